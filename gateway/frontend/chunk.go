package frontend

import (
	"bytes"
	"io"

	"metahub/gateway/grammar"
)

// chunks decodes a body in the chunked coding (RFC 9112 §7.1) from bytes as they come, without a copy. Only CRLF ends a line;
// extensions are checked and dropped. Its zero value is at the start of a body.
type chunks struct {
	state    chunkState
	left     int64  // of the chunk's data
	digits   int    // of the chunk's size
	skipped  int    // bytes of this line's extensions, or of the trailers
	line     int    // bytes of the trailer line
	trailers []byte // lines, each with its CRLF
}

type chunkState uint8

const (
	atSize      chunkState = iota // digits of the size
	inExtension                   // what follows the size
	atSizeLF                      // LF of the size line
	inData
	atDataCR
	atDataLF
	inTrailer
	atTrailerLF
	ended
)

// maxChunkDigits keeps a size within an int64.
const maxChunkDigits = 15

// next returns data at the front of src, of at most limit bytes, and how many bytes of src it used up. No data and no error means
// that src is used up and more is needed. io.EOF means that the body is complete; later bytes of src are not its own.
func (c *chunks) next(src []byte, limit int) (data []byte, used int, err error) {
	for used < len(src) {
		if c.state == inData {
			n := min(int64(len(src)-used), c.left, int64(limit))
			data = src[used : used+int(n)]
			if c.left -= n; c.left == 0 {
				c.state = atDataCR
			}
			return data, used + int(n), nil
		}
		if err := c.step(src[used]); err != nil {
			return nil, used, err
		}
		used++
		if c.state == ended {
			return nil, used, io.EOF
		}
	}
	return nil, used, nil
}

// whole appends the data of a body to dst if src holds all of it and nothing else; ok says so.
func (c chunks) whole(dst, src []byte) (_ []byte, ok bool) {
	if !bytes.HasSuffix(src, lastChunk) {
		return dst, false
	}
	for {
		data, used, err := c.next(src, len(src))
		dst, src = append(dst, data...), src[used:]
		if err != nil || used == 0 {
			return dst, err == io.EOF && len(src) == 0
		}
	}
}

var lastChunk = []byte("0\r\n\r\n")

// step takes one byte that is not data.
func (c *chunks) step(b byte) error {
	switch c.state {
	case atSize:
		return c.sizeByte(b)
	case inExtension:
		if b == '\r' {
			c.state = atSizeLF
			return nil
		}
		return c.skip(b)
	case atSizeLF:
		c.state = inData
		if c.left == 0 {
			c.state, c.line = inTrailer, 0
		}
		c.digits, c.skipped = 0, 0
		return expect(b, '\n')
	case atDataCR:
		c.state = atDataLF
		return expect(b, '\r')
	case atDataLF:
		c.state = atSize
		return expect(b, '\n')
	case inTrailer:
		if b == '\r' {
			c.state = atTrailerLF
			return nil
		}
		c.line++
		c.trailers = append(c.trailers, b)
		return c.skip(b)
	case atTrailerLF:
		if c.state = inTrailer; c.line == 0 {
			c.state = ended
		} else {
			c.trailers = append(c.trailers, lineEnd...)
		}
		c.line = 0
		return expect(b, '\n')
	}
	return malformed("bytes after the last chunk")
}

func (c *chunks) sizeByte(b byte) error {
	if v, ok := grammar.HexDigit(b); ok {
		if c.digits++; c.digits > maxChunkDigits {
			return malformed("a chunk size that is too long")
		}
		c.left = c.left<<4 | int64(v)
		return nil
	}
	if c.digits == 0 {
		return malformed("a chunk without size")
	}
	switch b {
	case '\r':
		c.state = atSizeLF
	case ';', ' ', '\t':
		c.state = inExtension
	default:
		return malformed("a chunk size that is not hexadecimal")
	}
	return nil
}

func (c *chunks) skip(b byte) error {
	if !grammar.IsValueByte(b) {
		return malformed("a control character between chunks")
	}
	if c.skipped++; c.skipped > maxHead {
		return malformed("extensions or trailers longer than 64 KiB")
	}
	return nil
}

func expect(b, want byte) error {
	if b != want {
		return malformed("a chunk that does not end with CRLF")
	}
	return nil
}
