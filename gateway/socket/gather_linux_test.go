//go:build linux && (amd64 || arm64)

package socket

import (
	"bytes"
	"io"
	"net"
	"syscall"
	"testing"
)

// TestGather keeps back what is written until it is whole, as long as the kernel does: on a machine that is held up for so long it is tried again.
func TestGather(t *testing.T) {
	fast, other := pair(t, "tcp")
	batcher := fast.(Batcher)
	keptBack := false
	for range 20 {
		batcher.Gather(true)
		write(t, fast, "one ")
		write(t, fast, "and ")
		early := waiting(t, other)
		batcher.Gather(false)
		write(t, fast, "two")
		got := make([]byte, len("one and two"))
		if _, err := io.ReadFull(other, got); err != nil || string(got) != "one and two" {
			t.Fatalf("got %q, %v", got, err)
		}
		if keptBack = early == 0; keptBack {
			break
		}
	}
	if !keptBack {
		t.Error("what was to be gathered has been sent at once")
	}
}

// TestGatherMuch loses nothing and has nothing come twice, whatever the sizes.
func TestGatherMuch(t *testing.T) {
	fast, other := pair(t, "tcp")
	batcher := fast.(Batcher)
	sent := make([]byte, 3<<20)
	for i := range sent {
		sent[i] = byte(i * 7 / 3)
	}
	failed := make(chan error, 1)
	go func() {
		for left, size := sent, 1; len(left) > 0; size = size*5%(200<<10) + 1 {
			n := min(size, len(left))
			batcher.Gather(n < len(left) && size%3 != 0)
			if _, err := fast.Write(left[:n]); err != nil {
				failed <- err
				return
			}
			left = left[n:]
		}
		failed <- fast.(interface{ CloseWrite() error }).CloseWrite()
	}()
	got, err := io.ReadAll(other)
	if err != nil || !bytes.Equal(got, sent) {
		t.Errorf("%d bytes of %d came, or others: %v", len(got), len(sent), err)
	}
	if err := <-failed; err != nil {
		t.Error(err)
	}
}

func write(t *testing.T, c net.Conn, text string) {
	t.Helper()
	if n, err := c.Write([]byte(text)); err != nil || n != len(text) {
		t.Errorf("%d bytes of %q: %v", n, text, err)
	}
}

// waiting is how much has come that was not read.
func waiting(t *testing.T, c net.Conn) (n int) {
	t.Helper()
	raw, err := c.(syscall.Conn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	_ = raw.Control(func(fd uintptr) {
		n, _, _ = syscall.Recvfrom(int(fd), make([]byte, 100), syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
	})
	return max(n, 0)
}
