package frontend

import (
	"net"
	"os"
	"sync"
	"syscall"
)

// lookoutWorks says that clients on HTTP/1.1 can be watched here.
const lookoutWorks = true

// lookout notices when HTTP/1.1 clients leave. One goroutine watches over all of them, and waits for the end of a connection only: what a
// client sends ahead stays in its socket and wakes nobody. Its zero value is ready.
type lookout struct {
	mu      sync.Mutex
	epoll   *os.File // nil until there is somebody to watch
	fd      int      // of epoll, for as long as it is open
	last    uint64   // id that was given
	watched map[uint64]func()
	closed  bool
	ended   sync.WaitGroup
}

// watch calls f in a goroutine of its own when the client has closed its connection, or the sending half of it. stop takes that back; it
// reports false when f has been called, and may not have returned yet.
func (l *lookout) watch(client net.Conn, f func()) (stop func() bool) {
	socket := socketBelow(client)
	if socket == nil {
		return stays
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed || !l.open() {
		return stays
	}
	l.last++
	id := l.last
	if !l.control(socket, syscall.EPOLL_CTL_ADD, id) {
		return stays
	}
	l.watched[id] = f
	return func() bool { return l.stop(socket, id) }
}

// open starts the goroutine, once.
func (l *lookout) open() bool {
	if l.epoll != nil {
		return true
	}
	fd, err := syscall.EpollCreate1(syscall.EPOLL_CLOEXEC)
	if err != nil {
		return false
	}
	if syscall.SetNonblock(fd, true) != nil { // so that the runtime waits for it, and no thread
		_ = syscall.Close(fd)
		return false
	}
	file := os.NewFile(uintptr(fd), "lookout")
	raw, err := file.SyscallConn()
	if err != nil {
		_ = file.Close()
		return false
	}
	l.epoll, l.fd, l.watched = file, fd, map[uint64]func(){}
	l.ended.Go(func() { l.run(raw) })
	return true
}

// control adds a socket, or takes it away. A socket that is closed is away already, and its number may be another's: Control fails then.
func (l *lookout) control(socket syscall.RawConn, what int, id uint64) bool {
	event := syscall.EpollEvent{Events: syscall.EPOLLRDHUP | syscall.EPOLLONESHOT, Fd: int32(id), Pad: int32(id >> 32)}
	var err error
	failed := socket.Control(func(fd uintptr) {
		err = syscall.EpollCtl(l.fd, what, int(fd), &event)
	})
	return failed == nil && err == nil
}

func (l *lookout) stop(socket syscall.RawConn, id uint64) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	_, waiting := l.watched[id]
	delete(l.watched, id)
	if !l.closed {
		l.control(socket, syscall.EPOLL_CTL_DEL, id)
	}
	return waiting
}

func (l *lookout) run(epoll syscall.RawConn) {
	var events [64]syscall.EpollEvent
	var n int
	wait := func(fd uintptr) bool {
		n, _ = syscall.EpollWait(int(fd), events[:], 0)
		return n > 0
	}
	for epoll.Read(wait) == nil {
		for _, event := range events[:n] {
			l.left(uint64(uint32(event.Fd)) | uint64(uint32(event.Pad))<<32)
		}
	}
}

func (l *lookout) left(id uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if f, ok := l.watched[id]; ok {
		delete(l.watched, id)
		go f()
	}
}

// close ends the goroutine and waits for it. Nobody is watched any more.
func (l *lookout) close() {
	l.mu.Lock()
	l.closed = true
	if l.epoll != nil {
		_ = l.epoll.Close()
	}
	l.mu.Unlock()
	l.ended.Wait()
}
