package storage

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"
)

const crashKeys = 4

// beChild is what a child process does until it is killed.
func beChild(what, path string) int {
	go func() {
		io.Copy(io.Discard, os.Stdin)
		os.Exit(1) // the test is gone
	}()
	s, err := OpenFolder(path, nil)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	ctx := context.Background()
	switch what {
	case "store":
		for i := 0; ; i++ {
			if err := s.Store(ctx, crashKey(i%crashKeys), checkable(i)); err != nil {
				fmt.Fprintln(os.Stderr, err)
				return 1
			}
		}
	case "lock":
		return holdLock(ctx, s)
	}
	return 1
}

// holdLock stores as the holder of a lock, until it is not that any more.
func holdLock(ctx context.Context, s Storage) int {
	if err := s.Lock(ctx, "order"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	for {
		err := s.StoreLocked(ctx, "order", "certificates/a.pem", []byte("child"))
		if errors.Is(err, ErrLockLost) {
			return childLostLock
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
}

const childLostLock = 42

func crashKey(i int) string { return fmt.Sprintf("certificates/%d.pem", i) }

// checkable is a value that shows whether it is whole.
func checkable(i int) []byte {
	value := bytes.Repeat(fmt.Appendf(nil, "%08d", i), 1+i%2000)
	sum := sha256.Sum256(value)
	return append(value, sum[:]...)
}

func whole(value []byte) bool {
	if len(value) < sha256.Size {
		return false
	}
	sum := sha256.Sum256(value[:len(value)-sha256.Size])
	return bytes.Equal(sum[:], value[len(value)-sha256.Size:])
}

// A process that is killed while it writes leaves the old value or the new one.
func TestKilledWhileWriting(t *testing.T) {
	path := t.TempDir()
	s := openFolder(t, path)
	var mark Mark
	for range 20 {
		child := startChild(t, "store", path)
		_, mark = mustChanges(t, s, "certificates", mark)
		eventually(t, "the child writes", 20*time.Second, func() bool {
			var keys []string
			keys, mark = mustChanges(t, s, "certificates", mark)
			return len(keys) > 0
		})
		time.Sleep(rand.N(20 * time.Millisecond)) // a random moment is the point
		child.Process.Kill()
		child.Wait()
		for i := range crashKeys {
			value, err := s.Load(t.Context(), crashKey(i))
			if errors.Is(err, fs.ErrNotExist) && !errors.Is(err, ErrTorn) {
				continue
			}
			if err != nil || !whole(value) {
				t.Fatalf("%q is torn: %d bytes, %v", crashKey(i), len(value), err)
			}
		}
		if keys, err := s.List(t.Context(), "certificates", true); err != nil || len(keys) > crashKeys {
			t.Fatalf("%q, %v", keys, err)
		}
	}
}

// The lock of a killed process can be had within 30 s.
func TestKilledHolderIsTakenOver(t *testing.T) {
	t.Parallel()
	path := t.TempDir()
	s := openFolder(t, path)
	child := startChild(t, "lock", path)
	waitForLock(t, s)
	child.Process.Kill()
	child.Wait()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if err := s.Lock(ctx, "order"); err != nil {
		t.Fatal(err)
	}
	if err := s.StoreLocked(ctx, "order", "certificates/a.pem", []byte("parent")); err != nil {
		t.Error(err)
	}
}

func waitForLock(t *testing.T, s *folder) {
	t.Helper()
	eventually(t, "the child has the lock", 20*time.Second, func() bool {
		_, _, err := readLockFile(filepath.Join(s.path, locksFolder, "order"+lockEnding))
		return err == nil
	})
	eventually(t, "the child stores", 20*time.Second, func() bool { return s.Exists(t.Context(), "certificates/a.pem") })
}
