// Package message holds the head of a request that comes as single fields, as those of HTTP/2 and HTTP/3 do, to the rules that both have for
// it (RFC 9113 §8.2 and §8.3, RFC 9114 §4.2 and §4.3).
//
//	h.Reset(limit, fields)
//	err := h.Add(":method", "GET") // and so on, while they are decoded
//	err = h.Complete()
//
// It knows no frames and no coding of fields, and keeps the strings that it gets.
package message

import (
	"errors"
	"strconv"
	"strings"
	"unsafe"

	"metahub/gateway/grammar"
)

// Field is one field.
type Field struct{ Name, Value string }

// Head is what a request says before its body. It is used by one goroutine at a time, and for any number of requests, one after the
// other.
type Head struct {
	Method, Scheme, Path string
	Authority            string  // :authority, or else Host
	Priority             string  // of RFC 9218; it is among Fields too
	Fields               []Field // as they came, but Host and Content-Length
	Length               int64   // Content-Length; -1 without one
	host                 string  // the Host field
	seen                 uint8   // which pseudo-header fields there were
	hosted, regular      bool    // there was a Host field, a field that is none of the pseudo-header's
	limit, fields        int     // bytes and fields that may still come
}

// Malformed is a head that breaks the rules.
type Malformed struct {
	Reason string
	// Nameless says that a field is not what it says it is, or that one without which there is no request is missing: what was asked for
	// cannot be told, so there is nothing to answer.
	Nameless bool
}

// Error implements error.
func (e *Malformed) Error() string { return e.Reason }

// ErrTooLarge is a head with more bytes or fields than it may have.
var ErrTooLarge = errors.New("the header is too large")

func malformed(reason string) error { return &Malformed{Reason: reason} }
func nameless(reason string) error  { return &Malformed{Reason: reason, Nameless: true} }

const (
	seenMethod = 1 << iota
	seenScheme
	seenPath
	seenAuthority
)

// overhead is what each field counts for beside its bytes, by RFC 9113 §6.5.2 and RFC 9114 §4.2.2.
const overhead = 32

// Size returns what a field counts for against a limit, in bytes.
func Size(name, value string) int { return len(name) + len(value) + overhead }

// Reset begins another head, of at most limit bytes as Size counts them, and of at most fields fields beside the pseudo-header's.
func (h *Head) Reset(limit, fields int) {
	clear(h.Fields)
	*h = Head{Fields: h.Fields[:0], Length: -1, limit: limit, fields: fields}
}

// Add takes the next field. Its error is ErrTooLarge or a *Malformed, and the head is then good for nothing.
func (h *Head) Add(name, value string) error {
	if h.limit -= Size(name, value); h.limit < 0 {
		return ErrTooLarge
	}
	if name != "" && name[0] == ':' {
		return h.pseudo(name, value)
	}
	h.regular = true
	if h.fields--; h.fields < 0 {
		return ErrTooLarge
	}
	return h.field(name, value)
}

func (h *Head) pseudo(name, value string) error {
	var bit uint8
	var to *string
	switch name {
	case ":method":
		bit, to = seenMethod, &h.Method
	case ":scheme":
		bit, to = seenScheme, &h.Scheme
	case ":path":
		bit, to = seenPath, &h.Path
	case ":authority":
		bit, to = seenAuthority, &h.Authority
	default: // :protocol too, since extended CONNECT was not announced
		return nameless("an unknown pseudo-header field")
	}
	if h.regular || h.seen&bit != 0 {
		return nameless("a pseudo-header field that comes twice, or behind another field")
	}
	h.seen |= bit
	*to = value
	return nil
}

func (h *Head) field(name, value string) error {
	if err := Check(name, value); err != nil {
		return err
	}
	switch name {
	case "host":
		if h.hosted {
			return malformed("Host twice")
		}
		h.hosted, h.host = true, value
		return nil
	case "content-length":
		n, err := strconv.ParseUint(value, 10, 63)
		if err != nil || h.Length >= 0 {
			return malformed("a Content-Length that is not one number")
		}
		h.Length = int64(n)
		return nil
	case "priority":
		h.Priority = value
	}
	h.Fields = append(h.Fields, Field{name, value})
	return nil
}

// Check holds a field to RFC 9113 §8.2 and RFC 9114 §4.2: a name in lower case, a value without control characters and whitespace around
// it, and nothing that is about a connection. Its error is a *Malformed.
func Check(name, value string) error {
	if !grammar.IsToken(name) || !grammar.IsFieldValue(bytesOf(value)) {
		return nameless("a field that is not well formed")
	}
	for i := range len(name) {
		if c := name[i]; 'A' <= c && c <= 'Z' {
			return nameless("a field name in capitals")
		}
	}
	if isPadded(value) {
		return malformed("a value with whitespace around it")
	}
	switch name {
	case "connection", "proxy-connection", "keep-alive", "transfer-encoding", "upgrade":
		return malformed("a field that is about a connection")
	case "te":
		if value != "trailers" {
			return malformed("a TE other than trailers")
		}
	}
	return nil
}

// CheckTrailer holds a field behind the content to the same rules. Which may be there at all is up to grammar.MayTrail.
func CheckTrailer(name, value string) error {
	if name != "" && name[0] == ':' {
		return nameless("a pseudo-header field among the trailers")
	}
	return Check(name, value)
}

func isPadded(value string) bool {
	return value != "" && (grammar.IsBlank(value[0]) || grammar.IsBlank(value[len(value)-1]))
}

// bytesOf lends a string to who only reads it.
func bytesOf(s string) []byte { return unsafe.Slice(unsafe.StringData(s), len(s)) } // #nosec G103

// Complete checks what must be there (RFC 9113 §8.3.1, RFC 9114 §4.3.1; for CONNECT §8.5 and §4.4). What it accepts has a method, and but for
// CONNECT a scheme, a path and an authority; only their grammar is left to check. Its error is a *Malformed.
func (h *Head) Complete() error {
	want := uint8(seenMethod | seenScheme | seenPath)
	if h.Method == "CONNECT" {
		want = seenMethod | seenAuthority
	}
	if h.seen&^seenAuthority != want&^seenAuthority {
		return nameless("a pseudo-header field is missing, or one too many")
	}
	switch {
	case h.Path == "" && h.Method != "CONNECT":
		return nameless("an empty path")
	case h.Scheme != "" && h.Scheme != "https" && h.Scheme != "http", h.Scheme == "" && h.seen&seenScheme != 0:
		return nameless("a scheme that is none of HTTP's")
	case strings.Contains(h.Authority, "@"):
		return nameless("user information in :authority")
	case h.seen&seenAuthority == 0 && h.hosted:
		h.Authority = h.host
	case h.hosted && h.host != h.Authority:
		return malformed("Host is not :authority")
	}
	if h.Authority == "" {
		return malformed("no :authority and no Host")
	}
	return nil
}
