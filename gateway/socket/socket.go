// Package socket reads and writes TCP and Unix sockets with system calls that Go's scheduler does not hear of.
//
//	c := socket.New(accepted)
//	n, err := c.Read(p)
//
// The scheduler prepares each system call for one that blocks: should it take more than some ten microseconds, as on a busy machine the
// sending of a page does, another thread is woken to take over, and a watcher looks for such calls up to 50,000 times a second. A
// socket of Go never blocks in a call, so nothing of that is needed; waiting is still left to the runtime's poller, with its deadlines.
//
// It knows no protocol.
package socket

import "net"

// New returns c with faster calls, or c itself where there are none: on systems other than Linux, and for what is no TCP or Unix socket.
// What it returns may be used by any number of goroutines at once, like c.
func New(c net.Conn) net.Conn { return quicken(c) }

// Asker is what New returns for a socket that can send and wait in one.
type Asker interface {
	// Ask sends p on a socket on which nothing is expected to arrive before, and waits until something does, or the read deadline has
	// passed; the Read that follows says which. It saves the Read that would come too early. Unless silent is true of the socket, nothing
	// is sent: ErrNotSilent. After another error some of p may have been sent, n bytes of it.
	Ask(p []byte) (n int, err error)
}

// Batcher is what New returns for a socket that can be told that more follows.
type Batcher interface {
	// Gather says whether more follows what is written from now on, so that TCP sends no short packet of it, which would wake the other side. What
	// the last Write after Gather(true) leaves is sent with the next one after Gather(false), or a fifth of a second later.
	Gather(on bool)
}

// notSilent is the type of ErrNotSilent.
type notSilent struct{}

// Error implements error.
func (notSilent) Error() string {
	return "the other side has closed the connection, or sent what nobody asked for"
}

// ErrNotSilent is the error of an Ask on a socket that has something to read already, be it its end.
var ErrNotSilent error = notSilent{}
