//go:build linux && (amd64 || arm64)

package socket

import (
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"unsafe"
)

// conn is a socket whose calls the scheduler does not hear of.
type conn struct {
	net.Conn
	raw     syscall.RawConn
	in, out half
}

// half is one direction. Its functions are kept, so that a call allocates nothing.
type half struct {
	mu   sync.Mutex
	call func(fd uintptr) (done bool)
	ask  func(fd uintptr) (done bool)

	// Of the call that goes on.
	p     []byte
	n     int
	errno syscall.Errno
	asked bool
	first [1]byte
	flags uintptr // of each sending
}

var (
	_ Asker        = (*conn)(nil)
	_ Batcher      = (*conn)(nil)
	_ syscall.Conn = (*conn)(nil)
)

func quicken(c net.Conn) net.Conn {
	switch c.(type) {
	case *net.TCPConn, *net.UnixConn:
	default:
		return c // a layer above a socket may hold bytes of it
	}
	raw, err := c.(syscall.Conn).SyscallConn()
	if err != nil {
		return c
	}
	fast := &conn{Conn: c, raw: raw}
	fast.in.call, fast.out.call, fast.in.ask = fast.in.receive, fast.out.send, fast.in.sendAndWait
	return fast
}

// SyscallConn implements syscall.Conn.
func (c *conn) SyscallConn() (syscall.RawConn, error) { return c.raw, nil }

// CloseWrite ends the sending half.
func (c *conn) CloseWrite() error { return c.Conn.(interface{ CloseWrite() error }).CloseWrite() }

// Read implements net.Conn.
func (c *conn) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	h := &c.in
	h.mu.Lock()
	h.p, h.n, h.errno = p, 0, 0
	err := c.raw.Read(h.call)
	n, errno := h.n, h.errno
	h.p = nil
	h.mu.Unlock()
	switch {
	case errno != 0:
		return 0, c.fault("read", errno)
	case err != nil:
		return 0, renamed(err, "read")
	case n == 0:
		return 0, io.EOF
	}
	return n, nil
}

// Write implements net.Conn.
func (c *conn) Write(p []byte) (int, error) {
	h := &c.out
	h.mu.Lock()
	h.p, h.n, h.errno = p, 0, 0
	err := c.raw.Write(h.call)
	n, errno := h.n, h.errno
	h.p = nil
	h.mu.Unlock()
	if errno != 0 {
		return n, c.fault("write", errno)
	}
	return n, renamed(err, "write")
}

// Gather implements Batcher.
func (c *conn) Gather(on bool) {
	const more = 0x8000 // MSG_MORE
	c.out.mu.Lock()
	c.out.flags = 0
	if on {
		c.out.flags = more
	}
	c.out.mu.Unlock()
}

// Ask implements Asker.
func (c *conn) Ask(p []byte) (int, error) {
	h := &c.in
	h.mu.Lock()
	h.p, h.n, h.errno, h.asked = p, 0, 0, false
	err := c.raw.Read(h.ask)
	n, errno, asked := h.n, h.errno, h.asked
	h.p = nil
	h.mu.Unlock()
	switch {
	case !asked && err != nil:
		return 0, renamed(err, "read")
	case !asked:
		return 0, ErrNotSilent
	case errno == 0 && n == len(p):
		return n, nil // whatever ended the wait ends the next Read too
	case errno != 0:
		return n, c.fault("write", errno)
	}
	more, err := c.Write(p[n:])
	return n + more, err
}

func (c *conn) fault(call string, errno syscall.Errno) error {
	addr := c.RemoteAddr()
	return &net.OpError{Op: call, Net: addr.Network(), Source: c.LocalAddr(), Addr: addr, Err: os.NewSyscallError(call, errno)}
}

// renamed gives an error of a raw connection the call's name, so that logs say "read" as they do of package net, and not "raw-read".
func renamed(err error, call string) error {
	op, ok := err.(*net.OpError)
	if !ok {
		return err
	}
	named := *op
	named.Op = call
	return &named
}

// receive reads what has arrived.
func (h *half) receive(fd uintptr) (done bool) {
	n, errno := receive(fd, h.p, 0)
	if errno == syscall.EAGAIN {
		return false
	}
	h.n, h.errno = n, errno
	return true
}

// send writes all of p that the socket takes.
func (h *half) send(fd uintptr) (done bool) {
	for h.n < len(h.p) {
		n, errno := send(fd, h.p[h.n:], h.flags)
		if errno == syscall.EAGAIN {
			return false
		}
		if errno != 0 {
			h.errno = errno
			return true
		}
		h.n += n
	}
	return true
}

// sendAndWait is called again when something has arrived. The poller was told to watch before it is called first, so that it notices
// what arrives from then on, and would miss what came before: hence the look.
func (h *half) sendAndWait(fd uintptr) (done bool) {
	if h.asked {
		return true
	}
	if _, errno := receive(fd, h.first[:], syscall.MSG_PEEK); errno != syscall.EAGAIN {
		return true
	}
	h.asked = true
	n, errno := send(fd, h.p, 0)
	if errno == syscall.EAGAIN {
		return true // Write waits for room
	}
	h.n, h.errno = n, errno
	return errno != 0 || n < len(h.p)
}

// receive and send do not wait, since a socket of Go never does.

func receive(fd uintptr, p []byte, flags uintptr) (int, syscall.Errno) {
	for {
		n, _, errno := syscall.RawSyscall6(syscall.SYS_RECVFROM, fd, uintptr(unsafe.Pointer(&p[0])), uintptr(len(p)), flags, 0, 0) // #nosec G103
		switch errno {
		case 0:
			return int(n), 0
		case syscall.EINTR:
		default:
			return 0, errno
		}
	}
}

func send(fd uintptr, p []byte, flags uintptr) (int, syscall.Errno) {
	for {
		n, _, errno := syscall.RawSyscall6(syscall.SYS_SENDTO, fd, uintptr(unsafe.Pointer(&p[0])), uintptr(len(p)), syscall.MSG_NOSIGNAL|flags, 0, 0) // #nosec G103
		switch errno {
		case 0:
			return int(n), 0
		case syscall.EINTR:
		default:
			return 0, errno
		}
	}
}
