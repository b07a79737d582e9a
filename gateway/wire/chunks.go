package wire

import (
	"bytes"

	"metahub/gateway/grammar"
)

const (
	// maxSizeLine bounds the line of a chunk's size and extensions. It fits the buffer of an idle connection.
	maxSizeLine = smallBuffer
	// maxSizeDigits is what fasthttp reads; RFC 9112 §7.1 asks only that no size overflows.
	maxSizeDigits = 15
	// maxFraming is how far size lines may outweigh the data that they frame, in bytes.
	maxFraming = 16 << 10
)

// chunks is the check of one chunked body (RFC 9112 §7.1): size line, data, CRLF, and so on to the trailer section.
type chunks struct {
	framing int64 // bytes of framing beyond what honest senders need
	trailer section
}

// sizeLine checks the line that begins a chunk at b[0]. With n == 0 it needs more bytes; else n is the line's length and size the
// chunk's.
func (c *chunks) sizeLine(b []byte) (n int, size int64, err *Error) {
	end := bytes.IndexByte(b[:min(len(b), maxSizeLine)], '\n')
	if end < 0 && len(b) >= maxSizeLine {
		return 0, 0, errChunkExtensions
	}
	if end < 0 {
		return 0, 0, nil
	}
	if end == 0 || b[end-1] != '\r' {
		return 0, 0, errLineEnding
	}
	size, err = parseSize(b[:end-1])
	if err != nil {
		return 0, 0, err
	}
	return end + 1, size, c.weigh(end+1, size)
}

// parseSize reads hexadecimal digits and steps over extensions. Blanks before the extensions are refused: peers differ over them.
func parseSize(line []byte) (size int64, err *Error) {
	digits := 0
	for digits < len(line) {
		value, ok := grammar.HexDigit(line[digits])
		if !ok {
			break
		}
		if digits++; digits > maxSizeDigits {
			return 0, errChunkSize
		}
		size = size<<4 | int64(value)
	}
	rest := line[digits:]
	if digits == 0 || len(rest) > 0 && rest[0] != ';' || !grammar.IsFieldValue(rest) {
		return 0, errChunkSize
	}
	return size, nil
}

// weigh refuses a body that is mostly chunk extensions, which would cost work out of proportion to its content. Each chunk is granted
// 16 bytes, and twice its data.
func (c *chunks) weigh(line int, size int64) *Error {
	c.framing = max(0, c.framing+int64(line)-16-2*size)
	if c.framing > maxFraming {
		return errChunkExtensions
	}
	return nil
}

// chunkEnd checks the CRLF after a chunk's data; n is its length, and 0 until it is complete.
func chunkEnd(b []byte) (n int, err *Error) {
	if len(b) > 0 && b[0] != '\r' || len(b) > 1 && b[1] != '\n' {
		return 0, errChunkEnd
	}
	if len(b) < 2 {
		return 0, nil
	}
	return 2, nil
}

// trailerSection checks the fields behind the last chunk, from b[0] to the empty line; n is then their length, and 0 until then.
func (c *chunks) trailerSection(b []byte, limits *Limits) (n int, err *Error) {
	for {
		line, ok, err := c.trailer.nextLine(b, limits)
		if !ok || err != nil {
			return 0, err
		}
		if line.isEmpty() {
			return c.trailer.next, nil
		}
		name, _, err := c.trailer.nextField(b, line, limits)
		if err != nil {
			return 0, err
		}
		if !grammar.MayTrail(name) {
			return 0, errTrailer
		}
	}
}
