// Package h3 reads and writes what HTTP/3 puts on QUIC streams: frames, heads and bodies (RFC 9114, RFC 9204).
//
//	block, err := h3.ReadHead(stream, limit, nil)
//	err = h3.ParseHead(&head, block, limit, fields)
//	body.Reset(stream, head.Length)
//
// All that comes from a client is judged here, byte for byte, before the gateway acts on it. There is no dynamic table, no push and no
// extended CONNECT: none is announced, so a client that uses one breaks the protocol. The package opens no connection and knows
// nothing of tenants.
package h3

import "errors"

// Code is an error code of RFC 9114 §8.1 or RFC 9204 §6.
type Code uint64

// The codes that the gateway uses.
const (
	NoError              Code = 0x100
	InternalError        Code = 0x102
	StreamCreationError  Code = 0x103
	ClosedCriticalStream Code = 0x104
	FrameUnexpected      Code = 0x105
	FrameError           Code = 0x106
	ExcessiveLoad        Code = 0x107
	IDError              Code = 0x108
	SettingsError        Code = 0x109
	MissingSettings      Code = 0x10a
	RequestRejected      Code = 0x10b
	RequestCancelled     Code = 0x10c
	RequestIncomplete    Code = 0x10d
	MessageError         Code = 0x10e
	DecompressionFailed  Code = 0x200
)

// Error is a breach of the protocol. Connection says that it ends the connection, not just the stream.
type Error struct {
	Code       Code
	Connection bool
	Reason     string
}

// Error implements error.
func (e *Error) Error() string { return e.Reason }

// ErrTooLarge is a head with more bytes or fields than it may have.
var ErrTooLarge = errors.New("the header is too large")

func breach(code Code, reason string) *Error {
	return &Error{Code: code, Connection: true, Reason: reason}
}

func malformed(reason string) *Error { return &Error{Code: MessageError, Reason: reason} }
