package store

import (
	"encoding/binary"
	"errors"
	"io"
	"net"

	"github.com/klauspost/compress/zstd"
	"go.mongodb.org/mongo-driver/v2/x/mongo/driver/wiremessage"
)

const (
	headerSize = 16
	// maxReply is the longest message taken from a server, in bytes. A reply's documents have 16 MB together (MongoDB limits, "BSON document
	// size"), and the largest single one a little more.
	maxReply = 17 << 20
	// maxPromise is how many bytes are made room for on the word of a message's length.
	maxPromise = 1 << 20
)

var (
	errReplyLength     = errors.New("the server sent a message of an impossible length: it is no MongoDB, or broken")
	errReplyCompressed = errors.New("the server sent a compressed message that is broken, longer than it says or too long, or that nobody asked for")
)

// guarded is a connection from which the driver reads no message that is longer than a server's can be. The driver takes a message's length on
// trust and makes room for all of it before a byte has come, up to 48 MB or whatever the server says is its limit, and again with each
// of its attempts: a few servers that answer garbage would take the memory of all tenants. Here long messages get room as they come.
type guarded struct {
	net.Conn
	compressed bool          // messages may be
	unzstd     *zstd.Decoder // nil: not by zstd

	start [headerSize]byte
	begun int    // bytes of start that have come
	ready []byte // to be read before anything else
	left  int    // bytes of the present message that follow ready, straight from the connection
	long  []byte // a long message, as far as it has come
	size  int    // of the long message
}

// Read implements net.Conn. After an error that is a timeout it may be called again, and goes on where it was.
func (g *guarded) Read(p []byte) (int, error) {
	for len(g.ready) == 0 && g.left == 0 {
		if err := g.next(); err != nil {
			return 0, err
		}
	}
	if len(g.ready) > 0 {
		n := copy(p, g.ready)
		g.ready = g.ready[n:]
		return n, nil
	}
	n, err := g.Conn.Read(p[:min(len(p), g.left)])
	g.left -= n
	return n, err
}

// next reads so much of the next message that it can be judged.
func (g *guarded) next() error {
	if g.size == 0 {
		n, err := io.ReadFull(g.Conn, g.start[g.begun:])
		if g.begun += n; err != nil {
			return cutOff(err, g.begun)
		}
		g.begun = 0
		size := int(int32(binary.LittleEndian.Uint32(g.start[:])))
		if size < headerSize || size > maxReply {
			return errReplyLength
		}
		isCompressed := wiremessage.OpCode(binary.LittleEndian.Uint32(g.start[12:])) == wiremessage.OpCompressed
		if isCompressed && !g.compressed {
			return errReplyCompressed
		}
		if size <= maxPromise && !isCompressed {
			g.ready, g.left = g.start[:], size-headerSize
			return nil
		}
		g.size, g.long = size, append(make([]byte, 0, min(size, maxPromise)), g.start[:]...)
	}
	return g.gather()
}

// gather reads the rest of a long message, or of a compressed one.
func (g *guarded) gather() error {
	for len(g.long) < g.size {
		if len(g.long) == cap(g.long) {
			longer := make([]byte, len(g.long), min(g.size, 2*cap(g.long)))
			copy(longer, g.long)
			g.long = longer
		}
		n, err := g.Conn.Read(g.long[len(g.long):min(cap(g.long), g.size)])
		if g.long = g.long[:len(g.long)+n]; err != nil && len(g.long) < g.size {
			return cutOff(err, len(g.long))
		}
	}
	message := g.long
	g.size, g.long = 0, nil
	if _, _, _, code, _, _ := wiremessage.ReadHeader(message); code == wiremessage.OpCompressed {
		plain, err := g.uncompressed(message)
		if err != nil {
			return err
		}
		message = plain
	}
	g.ready = message
	return nil
}

// cutOff is err, which ended a message after so many of its bytes.
func cutOff(err error, n int) error {
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF) && n == 0:
		return io.EOF
	case errors.Is(err, io.EOF) && n > 0:
		return io.ErrUnexpectedEOF
	}
	return err
}
