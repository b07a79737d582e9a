package tickets

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyserver/certmagic"
	"go.uber.org/zap/zapcore"
)

func TestStartNeeds(t *testing.T) {
	f := func(config Config) {
		t.Helper()
		if _, err := Start(t.Context(), config); err == nil {
			t.Error("started")
		}
	}
	f(Config{Storage: newStorage(t)})
	f(Config{Set: func([][32]byte) {}})
}

// TestKnownBeforeUsed runs three gateways for a week: no key encrypts before all the others have it, and each has its time.
func TestKnownBeforeUsed(t *testing.T) {
	folder := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		known := make([][][32]byte, 3)
		var used [][32]byte
		for i := range known {
			time.Sleep(17 * time.Second) // they do not start at once
			r, err := Start(context.Background(), Config{Storage: openStorage(t, folder), Set: func(keys [][32]byte) {
				mu.Lock()
				defer mu.Unlock()
				known[i] = slices.Clone(keys)
				for j, others := range known {
					if others != nil && !slices.Contains(others, keys[0]) {
						t.Errorf("gateway %d encrypts with a key that gateway %d cannot open", i, j)
					}
				}
				if !slices.Contains(used, keys[0]) {
					used = append(used, keys[0])
				}
			}})
			if err != nil {
				t.Fatal(err)
			}
			defer r.Stop()
		}
		time.Sleep(7*24*time.Hour - time.Hour) // in the middle of a key's time
		mu.Lock()
		defer mu.Unlock()
		if len(used) != 14 {
			t.Errorf("%d keys in a week of twelve hours each", len(used))
		}
		for i := range known {
			if len(known[i]) != maxKeys || known[i][0] != known[0][0] {
				t.Errorf("gateway %d has %d keys or another one first", i, len(known[i]))
			}
		}
	})
}

func TestSetOnChangeOnly(t *testing.T) {
	storage, c := newStorage(t), newClock()
	var own keysOf
	start(t, storage, c.now, own.set)
	if own.count() != 1 || len(own.current()) != 1 {
		t.Fatalf("set %d times before Start returned", own.count())
	}
	looked := storage.loads.Load()
	eventually(t, "the storage is polled", func() bool { return storage.loads.Load() > looked+10 })
	if own.count() != 1 || storage.stores.Load() != 1 {
		t.Errorf("set %d times, stored %d times", own.count(), storage.stores.Load())
	}
}

// TestStoredKeysAreTaken restarts a gateway.
func TestStoredKeysAreTaken(t *testing.T) {
	storage, c := newStorage(t), newClock()
	var before, after keysOf
	first, _ := start(t, storage, c.now, before.set)
	first.Stop()
	c.advance(testEvery / 2)
	start(t, storage, c.now, after.set)
	if before.first() != after.first() || storage.stores.Load() != 1 {
		t.Error("a restart made new keys")
	}
}

func TestSickStorage(t *testing.T) {
	storage, c := newStorage(t), newClock()
	storage.fail(errors.New("connection refused"))
	var a, b keysOf
	_, logs := start(t, storage, c.now, a.set)
	start(t, storage, c.now, b.set)
	if a.count() != 1 || b.count() != 1 || a.first() == b.first() {
		t.Fatal("each is to make keys of its own")
	}
	looked := storage.loads.Load()
	eventually(t, "they go on trying", func() bool { return storage.loads.Load() > looked+10 })
	if n := logs.FilterLevelExact(zapcore.WarnLevel).Len(); n != 1 {
		t.Errorf("said %d times", n)
	}
	// alone for long
	alone := a.first()
	c.advance(2 * testEvery)
	eventually(t, "it rotates alone", func() bool { return a.first() != alone && slices.Contains(a.current(), alone) })
	kept := [][32]byte{a.first(), b.first()}
	storage.heal()
	eventually(t, "they share", func() bool { return a.first() == b.first() })
	if !slices.Contains(kept, a.first()) {
		t.Error("the storage was empty, so the keys in use were to be kept")
	}
	eventually(t, "that is said", func() bool { return logs.FilterLevelExact(zapcore.InfoLevel).Len() == 1 })
	// a storage that panics is a storage that fails
	storage.panics.Store(true)
	eventually(t, "that is said, too", func() bool { return logs.FilterLevelExact(zapcore.WarnLevel).Len() == 2 })
	storage.panics.Store(false)
	eventually(t, "it goes on", func() bool { return logs.FilterLevelExact(zapcore.InfoLevel).Len() == 2 })
}

func TestTornFile(t *testing.T) {
	f := func(name string, spoil func(*sickly) error) {
		t.Run(name, func(t *testing.T) {
			storage, c := newStorage(t), newClock()
			// at the start
			if err := storage.Storage.Store(t.Context(), storageKey, []byte("{")); err != nil {
				t.Fatal(err)
			}
			var own keysOf
			_, logs := start(t, storage, c.now, own.set)
			if own.count() != 1 || newest(t, storage) != own.first() {
				t.Error("a torn file was not made anew")
			}
			// and while it runs: sessions go on
			held := own.first()
			if err := spoil(storage); err != nil {
				t.Fatal(err)
			}
			eventually(t, "the file is whole again", func() bool { return storage.stores.Load() == 2 })
			if newest(t, storage) != held || own.count() != 1 {
				t.Error("the keys in use were to be kept")
			}
			for _, line := range logs.All() {
				if line.Level != zapcore.WarnLevel {
					t.Errorf("said %q", line.Message)
				}
			}
			if n := logs.Len(); n > 2 {
				t.Errorf("said %d times", n)
			}
		})
	}
	f("cut short", func(s *sickly) error { return s.Storage.Store(context.Background(), storageKey, []byte("{")) })
	f("empty", func(s *sickly) error { return s.Storage.Store(context.Background(), storageKey, nil) })
	f("deleted", func(s *sickly) error { return s.Storage.Delete(context.Background(), storageKey) })
}

// TestWrongClock finds keys from a time that is far away.
func TestWrongClock(t *testing.T) {
	storage, c := newStorage(t), newClock()
	far := ring(20 * 365 * 24 * time.Hour)
	if err := storage.Storage.Store(t.Context(), storageKey, far.format()); err != nil {
		t.Fatal(err)
	}
	var own keysOf
	start(t, storage, c.now, own.set)
	if own.first() == far[0].secret {
		t.Error("a key is used twenty years before its time")
	}
}

// TestPanickingSet does not end the process, nor the rotation.
func TestPanickingSet(t *testing.T) {
	storage, c := newStorage(t), newClock()
	var own keysOf
	calls := 0
	start(t, storage, c.now, func(keys [][32]byte) {
		if calls++; calls < 3 {
			panic("a bug")
		}
		own.set(keys)
	})
	eventually(t, "keys are set", func() bool { return own.count() == 1 })
}

// TestStopBreaksOff ends a rotation whose storage hangs.
func TestStopBreaksOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var own keysOf
		r, err := Start(context.Background(), Config{Storage: hanging{}, Set: own.set})
		if err != nil || own.count() != 1 {
			t.Fatalf("%v, set %d times", err, own.count())
		}
		time.Sleep(defaultPoll + time.Second)
		begun := time.Now()
		r.Stop()
		if took := time.Since(begun); took > 0 {
			t.Errorf("Stop took %v", took)
		}
	})
}

// hanging is a storage that answers only when it is told to give up.
type hanging struct{ certmagic.Storage }

func (hanging) Load(ctx context.Context, _ string) ([]byte, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}
