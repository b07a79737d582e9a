package h3

import (
	"bufio"
	"bytes"
	"errors"
	"io"

	"github.com/quic-go/quic-go/quicvarint"

	"metahub/gateway/message"
)

const (
	// maxSettingsBytes bounds a client's SETTINGS.
	maxSettingsBytes = 1 << 10
	// maxPriorityBytes bounds a PRIORITY_UPDATE.
	maxPriorityBytes = 1 << 10
)

// ReadControl reads a client's control stream, behind the type of the stream, as long as it keeps to the protocol (RFC 9114 §6.2.1), and
// has update take the priorities of requests, whose error ends it. Nothing else that a client can say there changes what the gateway does.
// The error is a breach, or that of the stream, which the connection took with it.
func ReadControl(r *bufio.Reader, update func(stream uint64, p message.Priority) error) error {
	if err := readSettings(r); err != nil {
		return err
	}
	for {
		kind, length, err := readFrame(r)
		if errors.Is(err, io.EOF) {
			return breach(ClosedCriticalStream, "the control stream was closed")
		}
		if err != nil {
			return err
		}
		switch {
		case kind == frameRequestPriority:
			err = readPriority(r, length, update)
		case kind == framePushPriority:
			err = breach(IDError, "the priority of a push that was not promised")
		case isControl(kind):
			err = skip(r, length)
		default:
			err = breach(FrameUnexpected, "a frame that has no place on the control stream")
		}
		if err != nil {
			return err
		}
	}
}

// readPriority reads a PRIORITY_UPDATE (RFC 9218 §7.2).
func readPriority(r *bufio.Reader, length uint64, update func(stream uint64, p message.Priority) error) error {
	block, err := readBlock(r, length, maxPriorityBytes, nil)
	if errors.Is(err, ErrTooLarge) {
		return breach(ExcessiveLoad, "PRIORITY_UPDATE is too large")
	}
	if err != nil {
		return err
	}
	stream, n, err := quicvarint.Parse(block)
	switch {
	case err != nil:
		return breach(FrameError, "PRIORITY_UPDATE is cut short")
	case stream%4 != 0: // RFC 9000 §2.1
		return breach(IDError, "the priority of a stream that is no request's")
	}
	return update(stream, message.ParsePriority(string(block[n:])))
}

// isControl reports whether another frame may come behind SETTINGS: CANCEL_PUSH, GOAWAY, MAX_PUSH_ID, and unknown ones.
func isControl(kind uint64) bool {
	switch kind {
	case 0x3, frameGoAway, 0xd:
		return true
	}
	return kind > frameHeaders && !isMisplaced(kind)
}

func readSettings(r *bufio.Reader) error {
	kind, length, err := readFrame(r)
	switch {
	case errors.Is(err, io.EOF):
		return breach(ClosedCriticalStream, "the control stream was closed")
	case err != nil:
		return err
	case kind != frameSettings:
		return breach(MissingSettings, "the control stream does not begin with SETTINGS")
	}
	block, err := readBlock(r, length, maxSettingsBytes, nil)
	if errors.Is(err, ErrTooLarge) {
		return breach(ExcessiveLoad, "SETTINGS are too large")
	}
	if err != nil {
		return err
	}
	return checkSettings(block)
}

// checkSettings refuses settings of HTTP/2 and what comes twice (RFC 9114 §7.2.4, §7.2.4.1).
func checkSettings(block []byte) error {
	r := bytes.NewReader(block)
	seen := map[uint64]bool{}
	for r.Len() > 0 {
		id, err := quicvarint.Read(r)
		if err == nil {
			_, err = quicvarint.Read(r)
		}
		if err != nil {
			return breach(FrameError, "SETTINGS are cut short")
		}
		if seen[id] || 2 <= id && id <= 5 {
			return breach(SettingsError, "a setting that comes twice, or is of HTTP/2")
		}
		seen[id] = true
	}
	return nil
}
