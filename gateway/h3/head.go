package h3

import (
	"errors"
	"io"

	"github.com/quic-go/qpack"

	"metahub/gateway/message"
)

// ParseHead decodes a block into h: a head of at most limit bytes and fields fields, else it is ErrTooLarge.
func ParseHead(h *message.Head, block []byte, limit, fields int) error {
	h.Reset(limit, fields)
	err := eachField(block, h.Add)
	if err == nil {
		err = h.Complete()
	}
	return told(err)
}

// told gives a fault of a head, or of trailers, its code.
func told(err error) error {
	if fault, ok := errors.AsType[*message.Malformed](err); ok {
		return malformed(fault.Reason)
	}
	if err == message.ErrTooLarge {
		return ErrTooLarge
	}
	return err
}

// eachField decodes a block. Errors of the coding end the connection (RFC 9204 §2.2).
func eachField(block []byte, f func(name, value string) error) error {
	next := new(qpack.Decoder).Decode(block)
	for {
		field, err := next()
		if err == io.EOF { // itself: one inside a field is wrapped, or another
			return nil
		}
		if err != nil {
			return breach(DecompressionFailed, "the header is not in QPACK")
		}
		if err := f(field.Name, field.Value); err != nil {
			return err
		}
	}
}
