//go:build unix

package storage

import (
	"context"
	"os"
	"syscall"
	"testing"
	"time"
)

// A process that was stopped for longer than its lease finds out that it has lost the lock, and does not write over its successor.
func TestStoppedHolderIsFenced(t *testing.T) {
	t.Parallel()
	path := t.TempDir()
	s := openFolder(t, path)
	child := startChild(t, "lock", path)
	waitForLock(t, s)
	// Not while it has the guard, which it would keep from everybody.
	if err := s.locks.guard.do(t.Context(), func(*os.File) error { return child.Process.Signal(syscall.SIGSTOP) }); err != nil {
		t.Skip(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if err := s.Lock(ctx, "order"); err != nil {
		t.Fatal(err)
	}
	if err := s.StoreLocked(ctx, "order", "certificates/a.pem", []byte("successor")); err != nil {
		t.Error(err)
	}
	if err := child.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	child.Wait()
	if code := child.ProcessState.ExitCode(); code != childLostLock {
		t.Errorf("the child ended with %d", code)
	}
	expectValue(t, s, "certificates/a.pem", "successor")
}
