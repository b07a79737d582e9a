package h3

import (
	"bufio"
	"errors"
	"io"

	"github.com/quic-go/quic-go/quicvarint"
)

// The types of frames (RFC 9114 §7.2).
const (
	frameData     = 0x0
	frameHeaders  = 0x1
	frameSettings = 0x4
	frameGoAway   = 0x7

	frameRequestPriority = 0xf0700 // PRIORITY_UPDATE (RFC 9218 §7.2)
	framePushPriority    = 0xf0701
)

// The types of unidirectional streams (RFC 9114 §6.2, RFC 9204 §4.2).
const (
	StreamControl = 0x0
	StreamPush    = 0x1
	StreamEncoder = 0x2
	StreamDecoder = 0x3
)

const settingFieldSection = 0x6 // SETTINGS_MAX_FIELD_SECTION_SIZE

var errCut = breach(FrameError, "a frame was cut short")

// readFrame reads the type and the length of the next frame. The error is io.EOF only between two frames.
func readFrame(r *bufio.Reader) (kind, length uint64, err error) {
	if _, err = r.Peek(1); err != nil {
		return 0, 0, err
	}
	if kind, err = quicvarint.Read(r); err == nil {
		length, err = quicvarint.Read(r)
	}
	return kind, length, cut(err)
}

// cut turns the end of the stream inside a frame into the error that it is (RFC 9114 §7.1).
func cut(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errCut
	}
	return err
}

// skip passes over the payload of a frame of an unknown type (RFC 9114 §9). What it may be is up to the client, and so is its length:
// the stream's deadline bounds it.
func skip(r *bufio.Reader, length uint64) error {
	n, err := io.CopyN(io.Discard, r, int64(length)) // a varint has 62 bits
	if uint64(n) < length {
		return cut(err)
	}
	return nil
}

// isMisplaced reports whether a frame of a known type must not be on a request's stream; those of HTTP/2 must be nowhere.
func isMisplaced(kind uint64) bool {
	switch kind {
	case 0x2, 0x3, frameSettings, 0x5, 0x6, frameGoAway, 0x8, 0x9, 0xd, frameRequestPriority, framePushPriority:
		return true
	}
	return false
}

// ReadHead reads the frame that a request begins with into buf, grown as needed, and returns its payload: at most limit bytes, else
// ErrTooLarge.
func ReadHead(r *bufio.Reader, limit int, buf []byte) ([]byte, error) {
	for {
		kind, length, err := readFrame(r)
		switch {
		case errors.Is(err, io.EOF):
			return nil, &Error{Code: RequestIncomplete, Reason: "the stream ended before the header"}
		case err != nil:
			return nil, err
		case kind == frameHeaders:
			return readBlock(r, length, limit, buf)
		case kind == frameData || isMisplaced(kind):
			return nil, breach(FrameUnexpected, "the first frame is no header")
		}
		if err := skip(r, length); err != nil {
			return nil, err
		}
	}
}

func readBlock(r *bufio.Reader, length uint64, limit int, buf []byte) ([]byte, error) {
	if length > uint64(limit) {
		return nil, ErrTooLarge
	}
	if uint64(cap(buf)) < length {
		buf = make([]byte, length)
	}
	buf = buf[:length]
	_, err := io.ReadFull(r, buf)
	return buf, cut(err)
}

// AppendDataFrame appends the head of a DATA frame that length bytes follow.
func AppendDataFrame(b []byte, length int) []byte { return appendFrame(b, frameData, uint64(length)) }

// AppendSettings appends the control stream's type and its SETTINGS: no dynamic table, and at most section bytes of header.
func AppendSettings(b []byte, section int) []byte {
	b = quicvarint.Append(b, StreamControl)
	b = appendFrame(b, frameSettings, uint64(quicvarint.Len(settingFieldSection)+quicvarint.Len(uint64(section))))
	return quicvarint.Append(quicvarint.Append(b, settingFieldSection), uint64(section))
}

// LastStream is the id of a GOAWAY that refuses no request yet (RFC 9114 §5.2).
const LastStream = 1<<62 - 4

// AppendGoAway appends a GOAWAY: requests on streams from id on will not be answered.
func AppendGoAway(b []byte, id uint64) []byte {
	return quicvarint.Append(appendFrame(b, frameGoAway, uint64(quicvarint.Len(id))), id)
}

func appendFrame(b []byte, kind, length uint64) []byte {
	return quicvarint.Append(quicvarint.Append(b, kind), length)
}

// AppendHeadersFrame appends a HEADERS frame of an encoded block.
func AppendHeadersFrame(b, block []byte) []byte {
	return append(appendFrame(b, frameHeaders, uint64(len(block))), block...)
}
