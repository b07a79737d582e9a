// Package wire guards a server connection below fasthttp, so that fasthttp only ever reads HTTP/1 requests that every careful peer
// frames alike.
//
//	server := &fasthttp.Server{ReadBufferSize: wire.MaxHeaderBytes, …}
//	err := server.ServeConn(wire.NewConn(tlsConn, wire.Limits{}))
//
// A Conn is a state machine of its own over the client's bytes: head, content, next head (RFC 9112). A head is checked whole before
// its first byte is delivered, chunk framing before it is passed on. At the first bad byte Read returns an *Error and the connection
// is dead. Bytes are never rewritten: what a Conn delivers is what the client sent, less an empty line before a request.
//
// It keeps the time too: the read and write deadlines of the connection are its own.
//
// It does not know tenants, methods (but CONNECT), body limits or hop-by-hop fields. Above all it lets Upgrade and HTTP2-Settings
// pass: that every Upgrade but websocket is dropped is up to the gateway, which alone knows what it can switch to.
package wire

import (
	"errors"
	"fmt"
	"time"

	"github.com/valyala/fasthttp"
)

// MaxHeaderBytes is the most that Limits.HeaderBytes can be. A fasthttp.Server behind a Conn needs a ReadBufferSize of at least that.
const MaxHeaderBytes = largeBuffer

// Limits bound what a client may send and how long it may take. A zero field means its default.
type Limits struct {
	// HeaderBytes bounds a head, and a trailer section, in bytes; 16 KiB, which is also the most. Beyond it: 431.
	HeaderBytes int
	// TargetBytes bounds a request target; 8 KiB. Beyond it: 414.
	TargetBytes int
	// Headers bounds the number of fields of a head or trailer section; 200, where browsers send under 40. Beyond it: 431.
	Headers int
	// Idle is how long a connection may wait for the first byte of a request; 75 s. Then it is closed without an answer.
	Idle time.Duration
	// Rest is how long a Read waits for a request before it gives the connection up to Await; 0 for as long as Idle.
	Rest time.Duration
	// Header is how long a head may take from its first byte to its last; 10 s. Then 408.
	Header time.Duration
	// Body is how long a client may be waited for while it sends nothing of its content, and in all for each KiB of it; 30 s. Then 408.
	Body time.Duration
	// Write is how long a client may take to accept 64 KiB of an answer; 30 s at least, twice that at most. Then the write fails.
	Write time.Duration
}

func (l Limits) withDefaults() Limits {
	if l.HeaderBytes <= 0 || l.HeaderBytes > MaxHeaderBytes {
		l.HeaderBytes = MaxHeaderBytes
	}
	if l.TargetBytes <= 0 {
		l.TargetBytes = 8 << 10
	}
	if l.Headers <= 0 {
		l.Headers = 200
	}
	setDefault(&l.Idle, 75*time.Second)
	setDefault(&l.Header, 10*time.Second)
	setDefault(&l.Body, 30*time.Second)
	setDefault(&l.Write, 30*time.Second)
	return l
}

func setDefault(d *time.Duration, value time.Duration) {
	if *d <= 0 {
		*d = value
	}
}

// Error says why a request was refused. It holds no bytes of the client.
type Error struct {
	// Status is what to answer: 400, 405, 408, 413, 414, 417, 431, 501 or 505.
	Status int
	// Reason is one lower-case sentence for people, without a full stop.
	Reason string
}

// Error implements error.
func (e *Error) Error() string { return fmt.Sprintf("refused with %d: %s", e.Status, e.Reason) }

// AsError finds the *Error in what a fasthttp ErrorHandler gets, and gives one for fasthttp's own limits. fasthttp hides the error of
// a body behind text that cannot be unwrapped, so ask Conn.Err first.
func AsError(err error) (*Error, bool) {
	var refused *Error
	if errors.As(err, &refused) {
		return refused, true
	}
	if errors.Is(err, fasthttp.ErrBodyTooLarge) {
		return &Error{fasthttp.StatusRequestEntityTooLarge, "the content is larger than this site accepts"}, true
	}
	if errors.Is(err, fasthttp.ErrBadTrailer) {
		return errTrailer, true
	}
	var small *fasthttp.ErrSmallBuffer
	if errors.As(err, &small) {
		return errHeadTooLarge, true
	}
	return nil, false
}

var (
	errTargetTooLong   = &Error{414, "the request target is too long"}
	errHeadTooLarge    = &Error{431, "the header fields are too large"}
	errTooManyFields   = &Error{431, "there are too many header fields"}
	errHeadTimeout     = &Error{408, "the head of the request took too long"}
	errBodyTimeout     = &Error{408, "the content of the request stopped coming"}
	errBodyIncomplete  = &Error{400, "the connection ended inside the content"}
	errLineEnding      = &Error{400, "a line does not end in CRLF"}
	errEmptyLines      = &Error{400, "there is more than one empty line before the request"}
	errRequestLine     = &Error{400, "the request line is not \"method target version\""}
	errMethodTooLong   = &Error{501, "the method is not known"}
	errConnect         = &Error{405, "this is not a proxy: CONNECT is refused"}
	errVersionSyntax   = &Error{400, "the HTTP version is malformed"}
	errVersion         = &Error{505, "only HTTP/1.1 and HTTP/1.0 are spoken here"}
	errTarget          = &Error{400, "the request target is malformed"}
	errField           = &Error{400, "a header field is not \"name: value\" with a token as its name"}
	errFieldValue      = &Error{400, "the value of a header field has a control character"}
	errAlias           = &Error{400, "there is a header field that may pass for Content-Length or Transfer-Encoding"}
	errHostMissing     = &Error{400, "the Host field is missing"}
	errHostTwice       = &Error{400, "the Host field is there more than once"}
	errHost            = &Error{400, "the Host is not a host name with an optional port"}
	errAuthority       = &Error{400, "the request target names another host than the Host field"}
	errLengthTwice     = &Error{400, "the Content-Length is there more than once"}
	errLength          = &Error{400, "the Content-Length is not a number"}
	errCoding          = &Error{400, "the Transfer-Encoding is not \"chunked\""}
	errUnknownCoding   = &Error{501, "the Transfer-Encoding is not known"}
	errTwoFramings     = &Error{400, "there are both Content-Length and Transfer-Encoding"}
	errCodingVersion   = &Error{400, "there is a Transfer-Encoding in an HTTP/1.0 request"}
	errExpectation     = &Error{417, "the only expectation that is met is 100-continue"}
	errChunkSize       = &Error{400, "the size of a chunk is malformed"}
	errChunkExtensions = &Error{400, "the chunk extensions are too large"}
	errChunkEnd        = &Error{400, "a chunk does not end in CRLF"}
	errTrailer         = &Error{400, "there is a trailer field that only a head may have"}
)
