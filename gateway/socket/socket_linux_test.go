//go:build linux && (amd64 || arm64)

package socket

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// pair returns the two ends of a connection, the first one quickened.
func pair(t testing.TB, network string) (fast, other net.Conn) {
	t.Helper()
	address := "127.0.0.1:0"
	if network == "unix" {
		address = filepath.Join(t.TempDir(), "s")
	}
	l, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if other, err = net.Dial(network, l.Addr().String()); err != nil {
		t.Fatal(err)
	}
	accepted, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	fast = New(accepted)
	t.Cleanup(func() { fast.Close(); other.Close() })
	if _, ok := fast.(Asker); !ok {
		t.Fatalf("%T is as slow as before", fast)
	}
	return fast, other
}

// TestStream sends more than any buffer takes, both ways at once, to the end.
func TestStream(t *testing.T) {
	for _, network := range []string{"tcp", "unix"} {
		fast, other := pair(t, network)
		sent := make([]byte, 4<<20)
		for i := range sent {
			sent[i] = byte(i * 7 / 3)
		}
		failed := make(chan error, 3)
		write := func(c net.Conn) {
			_, err := c.Write(sent)
			if half, ok := c.(interface{ CloseWrite() error }); err == nil && ok {
				err = half.CloseWrite()
			}
			failed <- err
		}
		go write(fast)
		go write(other)
		go func() {
			got, err := io.ReadAll(other)
			if err == nil && !bytes.Equal(got, sent) {
				err = errors.New("other bytes have arrived than were written")
			}
			failed <- err
		}()
		got, err := io.ReadAll(fast)
		if err != nil || !bytes.Equal(got, sent) {
			t.Errorf("%s: %d bytes were read: %v", network, len(got), err)
		}
		for range 3 {
			if err := <-failed; err != nil {
				t.Errorf("%s: %v", network, err)
			}
		}
	}
}

// TestErrors holds the errors to those of the sockets of package net.
func TestErrors(t *testing.T) {
	fast, _ := pair(t, "tcp")
	p := make([]byte, 1)
	if n, err := fast.Read(nil); n != 0 || err != nil {
		t.Errorf("no room: %d %v", n, err)
	}
	fast.SetReadDeadline(time.Now().Add(10 * time.Millisecond))
	if n, err := fast.Read(p); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) || !strings.HasPrefix(err.Error(), "read tcp ") {
		t.Errorf("deadline: %d %v", n, err)
	}
	fast.SetDeadline(time.Time{})
	go func() {
		time.Sleep(10 * time.Millisecond)
		fast.Close()
	}()
	if n, err := fast.Read(p); n != 0 || !errors.Is(err, net.ErrClosed) {
		t.Errorf("closed: %d %v", n, err)
	}
	if _, err := fast.Write(p); !errors.Is(err, net.ErrClosed) {
		t.Errorf("write after close: %v", err)
	}

	fast, other := pair(t, "tcp")
	other.(*net.TCPConn).SetLinger(0)
	other.Close()
	var fault *net.OpError
	if _, err := fast.Read(p); !errors.As(err, &fault) || fault.Op != "read" || fault.Addr == nil {
		t.Errorf("reset: %v", err)
	}
	if _, err := fast.Write(p); !errors.As(err, &fault) || fault.Op != "write" {
		t.Errorf("write after reset: %v", err)
	}
}

// TestWriteDeadline fills a socket that nobody reads from, and then counts what has arrived.
func TestWriteDeadline(t *testing.T) {
	fast, other := pair(t, "tcp")
	much := make([]byte, 16<<20)
	fast.SetWriteDeadline(time.Now().Add(100 * time.Millisecond))
	n, err := fast.Write(much)
	if n == len(much) || !errors.Is(err, os.ErrDeadlineExceeded) || !strings.HasPrefix(err.Error(), "write tcp ") {
		t.Errorf("%d %v", n, err)
	}
	fast.Close()
	if read, err := io.Copy(io.Discard, other); read != int64(n) || err != nil {
		t.Errorf("%d bytes were counted, %d have arrived: %v", n, read, err)
	}
}

// TestAsk asks again and again, of one who answers at once and of one who takes its time.
func TestAsk(t *testing.T) {
	for _, pause := range []time.Duration{0, time.Millisecond} {
		fast, other := pair(t, "tcp")
		go func() {
			p := make([]byte, 8)
			for {
				if _, err := io.ReadFull(other, p); err != nil {
					return
				}
				time.Sleep(pause)
				other.Write(p)
			}
		}()
		question, p := []byte("question"), make([]byte, 16)
		for i := range 200 {
			fast.SetReadDeadline(time.Now().Add(30 * time.Second))
			if n, err := fast.(Asker).Ask(question); n != len(question) || err != nil {
				t.Fatalf("question %d: %d %v", i, n, err)
			}
			if n, err := fast.Read(p); string(p[:n]) != "question" || err != nil {
				t.Fatalf("answer %d: %q %v", i, p[:n], err)
			}
		}
	}
}

// TestAskMuch asks with more than the socket takes at once.
func TestAskMuch(t *testing.T) {
	fast, other := pair(t, "tcp")
	question := bytes.Repeat([]byte("x"), 8<<20)
	go func() {
		io.CopyN(io.Discard, other, int64(len(question)))
		other.Write([]byte("yes"))
	}()
	if n, err := fast.(Asker).Ask(question); n != len(question) || err != nil {
		t.Fatal(n, err)
	}
	p := make([]byte, 16)
	if n, err := fast.Read(p); string(p[:n]) != "yes" || err != nil {
		t.Fatalf("%q %v", p[:n], err)
	}
}

// TestAskTheSilentOnly sends nothing where something has arrived, and loses nothing of that.
func TestAskTheSilentOnly(t *testing.T) {
	fast, other := pair(t, "tcp")
	other.Write([]byte("late"))
	arrived(t, fast)
	fast.SetReadDeadline(time.Now().Add(5 * time.Second))
	if n, err := fast.(Asker).Ask([]byte("question")); n != 0 || err != ErrNotSilent {
		t.Errorf("%d %v", n, err)
	}
	p := make([]byte, 16)
	if n, err := fast.Read(p); string(p[:n]) != "late" || err != nil {
		t.Errorf("%q %v", p[:n], err)
	}
	other.(*net.TCPConn).CloseWrite()
	arrived(t, fast)
	fast.SetReadDeadline(time.Now().Add(5 * time.Second))
	if n, err := fast.(Asker).Ask([]byte("question")); n != 0 || err != ErrNotSilent {
		t.Errorf("at the end: %d %v", n, err)
	}
	other.SetReadDeadline(time.Now().Add(10 * time.Millisecond))
	if n, _ := other.Read(p); n != 0 {
		t.Errorf("%q was sent", p[:n])
	}
	fast.Close()
	if n, err := fast.(Asker).Ask([]byte("question")); n != 0 || !errors.Is(err, net.ErrClosed) {
		t.Errorf("closed: %d %v", n, err)
	}
}

// arrived waits until a socket has something to read, and leaves it there.
func arrived(t *testing.T, c net.Conn) {
	t.Helper()
	c.SetReadDeadline(time.Now().Add(30 * time.Second))
	defer c.SetReadDeadline(time.Time{})
	seen := false
	if err := c.(*conn).raw.Read(func(fd uintptr) bool {
		var p [1]byte
		_, errno := receive(fd, p[:], syscall.MSG_PEEK)
		seen = errno == 0
		return seen
	}); err != nil || !seen {
		t.Fatal("nothing has arrived: ", err)
	}
}

// TestAskEnds waits for an answer that does not come.
func TestAskEnds(t *testing.T) {
	fast, _ := pair(t, "tcp")
	p := make([]byte, 1)
	fast.SetReadDeadline(time.Now().Add(10 * time.Millisecond))
	if n, err := fast.(Asker).Ask([]byte("question")); n != 8 || err != nil {
		t.Errorf("%d %v", n, err)
	}
	if _, err := fast.Read(p); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error(err)
	}
	fast.SetReadDeadline(time.Time{})
	go func() {
		time.Sleep(10 * time.Millisecond)
		fast.Close()
	}()
	if n, err := fast.(Asker).Ask([]byte("question")); n != 8 || err != nil {
		t.Errorf("%d %v", n, err)
	}
	if _, err := fast.Read(p); !errors.Is(err, net.ErrClosed) {
		t.Error(err)
	}
}

// TestNew leaves alone what is no socket: a layer above one may hold bytes of it.
func TestNew(t *testing.T) {
	pipe, _ := net.Pipe()
	fast, _ := pair(t, "tcp")
	for _, c := range []net.Conn{pipe, tls.Client(fast, &tls.Config{}), struct{ *net.TCPConn }{}} {
		if got := New(c); got != c {
			t.Errorf("%T became %T", c, got)
		}
	}
}

func BenchmarkAsk(b *testing.B)  { benchmark(b, true) }
func BenchmarkSlow(b *testing.B) { benchmark(b, false) }

// benchmark is a question and its answer, with all that the other end does.
func benchmark(b *testing.B, quick bool) {
	fast, other := pair(b, "tcp")
	if !quick {
		fast = fast.(*conn).Conn
	}
	go func() {
		p := make([]byte, 16)
		for {
			n, err := other.Read(p)
			if err != nil {
				return
			}
			other.Write(p[:n])
		}
	}()
	question, p := []byte("question"), make([]byte, 16)
	asker, _ := fast.(Asker)
	b.ReportAllocs()
	for b.Loop() {
		if quick {
			asker.Ask(question)
		} else {
			fast.Write(question)
		}
		if _, err := fast.Read(p); err != nil {
			b.Fatal(err)
		}
	}
}
