package storage

import (
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// A lock file that no holder writes is free at once, which is said once.
func TestTornLockFileIsFree(t *testing.T) {
	f := func(content string) {
		t.Helper()
		path := t.TempDir()
		logger, logs := watchLog(t)
		s, err := OpenFolder(path, logger)
		if err != nil {
			t.Fatal(err)
		}
		closeLater(t, s)
		for range 2 {
			writeFile(t, filepath.Join(path, locksFolder, "order.lock"), content)
			mustLock(t, s, "order")
			mustUnlock(t, s, "order")
		}
		if logs.Len() != 1 {
			t.Errorf("%d lines were logged", logs.Len())
		}
	}
	f("")
	f("{")
	f("{}")
	f(`{"created":"2026-01-01T00:00:00Z","tok`)
	f(`{"created":"2026-01-01T00:00:00Z","token":-5}`)
	f(`{"created":"2026-01-01T00:00:00Z"}{}`)
	f("\x00\x00\x00\x00")
}

// Tokens grow on when their count is lost, and past those in lock files.
func TestTokensGrowOn(t *testing.T) {
	path := t.TempDir()
	s := openFolder(t, path)
	last := int64(0)
	next := func() {
		t.Helper()
		mustLock(t, s, "order")
		token := tokenOf(t, s, "order")
		if token <= last {
			t.Errorf("token %d after %d", token, last)
		}
		last = token
		mustUnlock(t, s, "order")
	}
	next()
	next()
	guard := filepath.Join(path, locksFolder, guardFile)
	for _, content := range []string{"", "garbage", "-1"} {
		writeFile(t, guard, content)
		next()
	}
	if err := os.RemoveAll(filepath.Join(path, locksFolder)); err != nil {
		t.Fatal(err)
	}
	next()
	writeFile(t, guard, "5\n")
	last += 1000
	text, err := lockFile{Created: time.Now(), Token: last}.format()
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Join(path, locksFolder, "order.lock"), string(text))
	makeDead(t, s, "order")
	next()
}

// makeDead makes s believe that it has seen a lock unchanged for long enough.
func makeDead(t testing.TB, s Storage, name string) {
	t.Helper()
	if ok, err := s.TryLock(t.Context(), name); ok || err != nil {
		t.Fatalf("the lock is not held: %v, %v", ok, err)
	}
	l := leasesOf(s)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.seen[name] = observed{sighting: l.seen[name].sighting, since: time.Now().Add(-deadAfter)}
}

// Many find a holder dead at the same moment; one of them takes over.
func TestOneTakesOver(t *testing.T) {
	forEachStorage(t, func(t *testing.T, open func() Storage) {
		gateways := []Storage{open(), open(), open(), open()}
		for round := range 10 {
			former := gateways[round%4]
			mustLock(t, former, "order")
			others := slices.DeleteFunc(slices.Clone(gateways), func(s Storage) bool { return s == former })
			for _, s := range others {
				makeDead(t, s, "order")
			}
			var won atomic.Int32
			var winner Storage
			var running sync.WaitGroup
			for _, s := range others {
				running.Go(func() {
					ok, err := s.TryLock(t.Context(), "order")
					if err != nil {
						t.Error(err)
					}
					if ok {
						won.Add(1)
						winner = s
					}
				})
			}
			running.Wait()
			if won.Load() != 1 {
				t.Fatalf("%d took over", won.Load())
			}
			// the former holder, who knows nothing of it, cannot store
			if err := former.StoreLocked(t.Context(), "order", "certificates/a.pem", []byte("late")); err == nil {
				t.Error("a former holder stored")
			}
			if err := winner.StoreLocked(t.Context(), "order", "certificates/a.pem", []byte("new")); err != nil {
				t.Error(err)
			}
			mustUnlock(t, former, "order")
			if ok, err := former.TryLock(t.Context(), "order"); ok || err != nil {
				t.Errorf("the former holder freed its successor's lock: %v, %v", ok, err)
			}
			mustUnlock(t, winner, "order")
		}
	})
}

func FuzzParseLockFile(f *testing.F) {
	text, err := lockFile{Created: time.Unix(1, 0), Updated: time.Unix(2, 0), Token: 3, Renewals: 4, Owner: "x", Holder: "host pid 1"}.format()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Add([]byte(`{"created":"2024-05-01T10:00:00+02:00","updated":"2024-05-01T10:00:05+02:00"}` + "\n"))
	f.Add([]byte(""))
	f.Add([]byte("{}"))
	f.Fuzz(func(t *testing.T, text []byte) {
		l, err := parseLockFile(text)
		if err != nil {
			return
		}
		if l.Token < 0 || l.Created.IsZero() || len(text) > maxLockFile {
			t.Fatalf("%q is taken for %+v", text, l)
		}
		again, err := l.format()
		if err != nil {
			t.Fatalf("%+v: %v", l, err)
		}
		if back, err := parseLockFile(again); err == nil && (back.Token != l.Token || back.Owner != l.Owner || back.Renewals != l.Renewals) {
			t.Fatalf("%+v became %+v", l, back)
		}
	})
}
