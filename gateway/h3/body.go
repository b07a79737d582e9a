package h3

import (
	"bufio"
	"io"

	"metahub/gateway/grammar"
	"metahub/gateway/message"
)

// MaxTrailerBytes bounds the trailers of a request.
const MaxTrailerBytes = 8 << 10

// Body reads the DATA frames of a request up to the end of its stream. An end inside a frame is an error, and so is one before or
// after the length that was declared: what was cut short never passes for whole.
type Body struct {
	r        *bufio.Reader
	frame    uint64 // bytes left of the frame
	left     int64  // bytes left of the declared length; -1 without one
	trailers bool   // have come
	err      error  // for good

	// Trailers are the fields that came behind the content, once Read has returned io.EOF.
	Trailers []message.Field
}

// Reset makes b read another body: that of r, which declared its length, or -1.
func (b *Body) Reset(r *bufio.Reader, declared int64) { *b = Body{r: r, left: declared} }

// More reports whether the body has a byte, and waits for it or for the end of the stream.
func (b *Body) More() (bool, error) {
	b.advance()
	if b.err == io.EOF {
		return false, nil
	}
	return b.err == nil, b.err
}

// Read implements io.Reader.
func (b *Body) Read(p []byte) (int, error) {
	b.advance()
	if b.err != nil || len(p) == 0 {
		return 0, b.err
	}
	n, err := b.r.Read(p[:min(uint64(len(p)), b.frame)])
	b.frame -= uint64(n)
	if err != nil && (err != io.EOF || b.frame > 0) { // an end that came along with the last byte is met again
		b.err = cut(err)
	}
	return n, b.err
}

// advance goes to the next byte of the content, or leaves in b.err why there is none.
func (b *Body) advance() {
	for b.err == nil && b.frame == 0 {
		b.err = b.next()
	}
}

func (b *Body) next() error {
	kind, length, err := readFrame(b.r)
	switch {
	case err == io.EOF && b.left > 0:
		return malformed("the body is shorter than its Content-Length")
	case err != nil:
		return err
	case kind == frameData && b.trailers:
		return breach(FrameUnexpected, "data after the trailers")
	case kind == frameData:
		return b.begin(length)
	case kind == frameHeaders && b.trailers:
		return breach(FrameUnexpected, "trailers twice")
	case kind == frameHeaders:
		b.trailers = true
		return b.readTrailers(length)
	case isMisplaced(kind):
		return breach(FrameUnexpected, "a frame that has no place in a request")
	}
	return skip(b.r, length)
}

func (b *Body) begin(length uint64) error {
	if b.left >= 0 {
		if length > uint64(b.left) {
			return malformed("the body is longer than its Content-Length")
		}
		b.left -= int64(length)
	}
	b.frame = length
	return nil
}

// readTrailers holds trailers to the rules for fields (RFC 9114 §4.1, §4.3), and to those of HTTP/1.1 for where a field may be.
func (b *Body) readTrailers(length uint64) error {
	block, err := readBlock(b.r, length, MaxTrailerBytes, nil)
	if err == ErrTooLarge {
		return &Error{Code: ExcessiveLoad, Reason: "the trailers are too large"}
	}
	if err != nil {
		return err
	}
	left := MaxTrailerBytes
	err = eachField(block, func(name, value string) error {
		if left -= message.Size(name, value); left < 0 {
			return ErrTooLarge
		}
		if !grammar.MayTrail([]byte(name)) {
			return malformed("a trailer field that only a head may have")
		}
		b.Trailers = append(b.Trailers, message.Field{Name: name, Value: value})
		return message.CheckTrailer(name, value)
	})
	return told(err)
}
