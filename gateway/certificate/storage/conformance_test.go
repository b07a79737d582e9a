package storage

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// forEachStorage runs a test against every implementation, each time in a place of its own.
func forEachStorage(t *testing.T, test func(t *testing.T, open func() Storage)) {
	uri := startMongo(t)
	key := bytes.Repeat([]byte{7}, 32)
	seal := func(t testing.TB, s Storage) Storage {
		sealed, err := Seal(s, key)
		if err != nil {
			t.Fatal(err)
		}
		return sealed
	}
	run := func(name string, place func(t testing.TB) string, open func(t testing.TB, place string) Storage) {
		t.Run(name, func(t *testing.T) {
			where := place(t)
			test(t, func() Storage { return open(t, where) })
		})
	}
	folderPlace := func(t testing.TB) string { return t.TempDir() }
	mongoPlace := func(name string) func(testing.TB) string { return func(testing.TB) string { return uri(name) } }
	run("folder", folderPlace, func(t testing.TB, place string) Storage { return openFolder(t, place) })
	run("mongo", mongoPlace("plain"), func(t testing.TB, place string) Storage { return openMongo(t, place) })
	run("sealed folder", folderPlace, func(t testing.TB, place string) Storage { return seal(t, openFolder(t, place)) })
	run("sealed mongo", mongoPlace("sealed"), func(t testing.TB, place string) Storage { return seal(t, openMongo(t, place)) })
}

func TestValues(t *testing.T) {
	forEachStorage(t, func(t *testing.T, open func() Storage) {
		s, other := open(), open()
		const key = "certificates/ensotek.example.pem"
		expectAbsent(t, s, key)
		mustStore(t, s, key, "one")
		expectValue(t, other, key, "one")
		mustStore(t, other, key, "two, and longer")
		expectValue(t, s, key, "two, and longer")

		// any bytes, and not few
		big := strings.Repeat("\x00\xff\r\n", 50_000)
		mustStore(t, s, "acme/big", big)
		expectValue(t, other, "acme/big", big)
		if err := s.Store(t.Context(), "acme/huge", make([]byte, maxValue+1)); err == nil {
			t.Error("a value above the limit is taken")
		}

		// nothing is the same as no value
		mustStore(t, s, key, "")
		if _, err := other.Load(t.Context(), key); !errors.Is(err, fs.ErrNotExist) || !errors.Is(err, ErrTorn) {
			t.Errorf("an empty value: %v", err)
		}
		if _, err := s.Stat(t.Context(), key); !errors.Is(err, fs.ErrNotExist) || s.Exists(t.Context(), key) {
			t.Errorf("an empty value: %v", err)
		}

		if err := s.Delete(t.Context(), key); err != nil {
			t.Error(err)
		}
		expectAbsent(t, other, key)
		if err := s.Delete(t.Context(), key); err != nil {
			t.Errorf("deleting what is not there: %v", err)
		}
	})
}

func TestFolders(t *testing.T) {
	forEachStorage(t, func(t *testing.T, open func() Storage) {
		s := open()
		for _, key := range []string{"a/b/1", "a/b/2", "a/c", "a-b", "a0", "ab/x"} {
			mustStore(t, s, key, "value of "+key)
		}
		list := func(prefix string, recursive bool, want ...string) {
			t.Helper()
			if got, err := s.List(t.Context(), prefix, recursive); err != nil || !slices.Equal(slices.Sorted(slices.Values(got)), want) {
				t.Errorf("List(%q, %v) = %q, %v", prefix, recursive, got, err)
			}
		}
		list("", false, "a", "a-b", "a0", "ab")
		list("", true, "a", "a-b", "a/b", "a/b/1", "a/b/2", "a/c", "a0", "ab", "ab/x")
		list("a", false, "a/b", "a/c")
		list("a", true, "a/b", "a/b/1", "a/b/2", "a/c")
		for _, prefix := range []string{"b", "a/c", "a/b/1/x"} {
			if got, err := s.List(t.Context(), prefix, true); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("List(%q) = %q, %v", prefix, got, err)
			}
		}

		info, err := s.Stat(t.Context(), "a/b/1")
		if err != nil || !info.IsTerminal || info.Key != "a/b/1" || info.Size < int64(len("value of a/b/1")) || time.Since(info.Modified).Abs() > time.Minute {
			t.Errorf("%+v, %v", info, err)
		}
		if info, err = s.Stat(t.Context(), "a/b"); err != nil || info.IsTerminal {
			t.Errorf("%+v, %v", info, err)
		}
		if !s.Exists(t.Context(), "a") || s.Exists(t.Context(), "b") || s.Exists(t.Context(), "a/b/1/x") {
			t.Error("Exists is wrong")
		}

		// a folder goes with all that is in it, and its neighbours stay
		if err := s.Delete(t.Context(), "a"); err != nil {
			t.Error(err)
		}
		list("", true, "a-b", "a0", "ab", "ab/x")
	})
}

func TestChanges(t *testing.T) {
	forEachStorage(t, func(t *testing.T, open func() Storage) {
		s, other := open(), open()
		var mark Mark
		expect := func(want ...string) {
			t.Helper()
			var got []string
			got, mark = mustChanges(t, s, "certificates", mark)
			if !slices.Equal(slices.Sorted(slices.Values(got)), want) {
				t.Errorf("changes are %q, want %q", got, want)
			}
		}
		expect()
		mustStore(t, s, "certificates/a.pem", "a")
		mustStore(t, other, "certificates/sub/b.pem", "b")
		mustStore(t, other, "certificates2/c.pem", "c")
		mark = Mark{}
		expect("certificates/a.pem", "certificates/sub/b.pem")

		// what was written at once with a look may be returned once more, but nothing is missed
		seen := func(want ...string) {
			t.Helper()
			var got []string
			got, mark = mustChanges(t, s, "certificates", mark)
			for _, key := range want {
				if !slices.Contains(got, key) {
					t.Errorf("changes are %q without %q", got, key)
				}
			}
		}
		mustStore(t, other, "certificates/a.pem", "A")
		seen("certificates/a.pem")
		mustStore(t, other, "certificates/sub/b.pem", "B")
		mustStore(t, other, "certificates/new.pem", "n")
		seen("certificates/sub/b.pem", "certificates/new.pem")
		if err := other.Delete(t.Context(), "certificates/sub"); err != nil {
			t.Fatal(err)
		}
		seen("certificates/sub/b.pem")
		if err := other.Delete(t.Context(), "certificates/a.pem"); err != nil {
			t.Fatal(err)
		}
		mustStore(t, other, "certificates/a.pem", "again")
		seen("certificates/a.pem")
		eventually(t, "no change is returned when there is none", 10*time.Second, func() bool {
			var got []string
			got, mark = mustChanges(t, s, "certificates", mark)
			return len(got) == 0
		})
		seen()

		// a mark of another prefix is none
		if got, _ := mustChanges(t, s, "certificates2", mark); !slices.Equal(got, []string{"certificates2/c.pem"}) {
			t.Errorf("changes are %q", got)
		}
		// the zero mark knows no deletions
		mark = Mark{}
		expect("certificates/a.pem", "certificates/new.pem")
	})
}

// Two gateways write at once while a third looks: it is told of the last state of every key.
func TestChangesMissNothing(t *testing.T) {
	forEachStorage(t, func(t *testing.T, open func() Storage) {
		reader := open()
		var writers sync.WaitGroup
		for g := range 2 {
			s := open()
			writers.Go(func() {
				for i := range 60 {
					if err := s.Store(t.Context(), fmt.Sprintf("certificates/%d.pem", i%10*2+g), fmt.Appendf(nil, "%d", i)); err != nil {
						t.Error(err)
					}
				}
			})
		}
		done := make(chan struct{})
		go func() {
			writers.Wait()
			close(done)
		}()
		var mark Mark
		last := map[string]string{}
		look := func() {
			var keys []string
			keys, mark = mustChanges(t, reader, "certificates", mark)
			for _, key := range keys {
				value, err := reader.Load(t.Context(), key)
				if err != nil {
					t.Errorf("%q: %v", key, err)
				}
				last[key] = string(value)
			}
		}
		for running := true; running; {
			select {
			case <-done:
				running = false
			default:
			}
			look()
		}
		current := func() bool {
			look()
			for key := range 20 {
				if want := fmt.Sprint(key/2 + 50); last[fmt.Sprintf("certificates/%d.pem", key)] != want {
					return false
				}
			}
			return true
		}
		eventually(t, "the last value of every key was loaded", 10*time.Second, current)
	})
}

func TestBadKeysAreRefused(t *testing.T) {
	forEachStorage(t, func(t *testing.T, open func() Storage) {
		s := open()
		f := func(key string) {
			t.Helper()
			ctx := t.Context()
			_, loadErr := s.Load(ctx, key)
			_, statErr := s.Stat(ctx, key)
			for _, err := range []error{s.Store(ctx, key, []byte("x")), s.Delete(ctx, key), loadErr, statErr} {
				if err == nil || errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "not a key") {
					t.Errorf("%q: %v", key, err)
				}
			}
			if s.Exists(ctx, key) {
				t.Errorf("%q exists", key)
			}
		}
		f("")
		f(".")
		f("..")
		f("../x")
		f("a/../../x")
		f("a/..")
		f("./a")
		f("/etc/passwd")
		f("a//b")
		f("a/")
		f(`a\b`)
		f(`..\x`)
		f("a\x00b")
		f("a\xff")
		f(strings.Repeat("a/", maxKey/2) + "a")
		// the storage's own
		f("locks")
		f("locks/authority.lock")
		f("certificates/.metahub-0123")
		for _, prefix := range []string{"..", "/", "locks", `a\b`} {
			if _, err := s.List(t.Context(), prefix, true); err == nil {
				t.Errorf("%q can be listed", prefix)
			}
			if _, _, err := s.Changes(t.Context(), prefix, Mark{}); err == nil {
				t.Errorf("%q can be asked for changes", prefix)
			}
		}
	})
}

func TestLocks(t *testing.T) {
	forEachStorage(t, func(t *testing.T, open func() Storage) {
		s, other := open(), open()
		const name = "order *.Ensotek.example"
		mustLock(t, s, name)
		for _, again := range []Storage{s, other} {
			if ok, err := again.TryLock(t.Context(), name); ok || err != nil {
				t.Fatalf("a held lock can be taken: %v, %v", ok, err)
			}
		}
		mustLock(t, other, "another")
		if err := other.Unlock(t.Context(), name); err == nil {
			t.Error("a lock can be released by another than its holder")
		}
		if err := s.StoreLocked(t.Context(), name, "certificates/a.pem", []byte("a")); err != nil {
			t.Error(err)
		}
		if err := other.StoreLocked(t.Context(), name, "certificates/a.pem", []byte("b")); !errors.Is(err, ErrLockLost) {
			t.Errorf("storing without the lock: %v", err)
		}
		expectValue(t, other, "certificates/a.pem", "a")

		short, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		if err := other.Lock(short, name); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("waiting for a lock: %v", err)
		}
		had := make(chan error, 1)
		go func() { had <- other.Lock(t.Context(), name) }()
		ended, cancelEnded := context.WithCancel(t.Context())
		cancelEnded()
		if err := s.Unlock(ended, name); err != nil { // which is for cleaning up, even when ctx has ended
			t.Error(err)
		}
		if err := <-had; err != nil {
			t.Fatal(err)
		}
		if err := s.StoreLocked(t.Context(), name, "certificates/a.pem", []byte("c")); !errors.Is(err, ErrLockLost) {
			t.Errorf("storing after Unlock: %v", err)
		}
		mustUnlock(t, other, name)
		if err := other.Unlock(t.Context(), name); err == nil {
			t.Error("a lock can be released twice")
		}
		if _, err := s.TryLock(t.Context(), "/"); err == nil {
			t.Error("a lock can have no name")
		}
		mustLock(t, s, strings.Repeat("very-long.", 100)+"example")
	})
}

// Two gateways, each with several goroutines, compete for one lock; nobody may be in it with another.
func TestLockIsExclusive(t *testing.T) {
	forEachStorage(t, func(t *testing.T, open func() Storage) {
		const rounds = 25
		gateways := []Storage{open(), open()}
		var inside atomic.Int32
		var running sync.WaitGroup
		tokens := make(chan int64, 4*rounds)
		for i := range 4 {
			s := gateways[i%2]
			running.Go(func() {
				for range rounds {
					if err := s.Lock(t.Context(), "order"); err != nil {
						t.Error(err)
						return
					}
					if n := inside.Add(1); n != 1 {
						t.Errorf("%d are in the lock at once", n)
					}
					tokens <- tokenOf(t, s, "order")
					if err := s.StoreLocked(t.Context(), "order", "certificates/a.pem", []byte("x")); err != nil {
						t.Error(err)
					}
					inside.Add(-1)
					if err := s.Unlock(t.Context(), "order"); err != nil {
						t.Error(err)
					}
				}
			})
		}
		running.Wait()
		close(tokens)
		last := int64(0)
		for token := range tokens {
			if token <= last {
				t.Fatalf("token %d came after %d", token, last)
			}
			last = token
		}
	})
}

func tokenOf(t testing.TB, s Storage, lock string) int64 {
	t.Helper()
	c, err := leasesOf(s).holding(lock)
	if err != nil {
		t.Error(err)
	}
	return c.token
}

func leasesOf(s Storage) *leases {
	switch s := s.(type) {
	case *sealed:
		return leasesOf(s.Storage)
	case *mongoStorage:
		return s.leases
	}
	return s.(*folder).leases
}

// Close gives the locks to others at once.
func TestCloseReleases(t *testing.T) {
	forEachStorage(t, func(t *testing.T, open func() Storage) {
		other := open()
		s := open()
		mustLock(t, s, "one")
		mustLock(t, s, "two")
		first := tokenOf(t, s, "one")
		if err := s.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, err := s.TryLock(t.Context(), "three"); !errors.Is(err, errClosed) {
			t.Errorf("locking after Close: %v", err)
		}
		mustLock(t, other, "one")
		mustLock(t, other, "two")
		if token := tokenOf(t, other, "one"); token <= first {
			t.Errorf("token %d after %d", token, first)
		}
	})
}
