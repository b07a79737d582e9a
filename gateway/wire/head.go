package wire

import (
	"bytes"

	"metahub/gateway/grammar"
	"metahub/tenant"
)

const (
	maxMethod    = 32 // the longest registered one, UPDATEREDIRECTREF, has 17
	versionBytes = len("HTTP/1.1")
	lineOverhead = maxMethod + len(" ") + len(" ") + versionBytes + len("\r\n") // what a request line has besides its target
)

// head is the check of one request head, line by line. It is resumed where it stopped as more bytes come, so that a head that drips in
// byte by byte is not read again from its start each time.
type head struct {
	section
	skip      int // bytes of an empty line before the request line, which are not part of the request
	begun     bool
	http10    bool
	host      span
	authority span // of an absolute-form target
	hasLength bool
	length    int64
	chunked   bool
}

// check reads on in b, the bytes of the connection from the head's first. It reports whether the head is complete; then b[h.skip:h.next]
// is the head.
func (h *head) check(b []byte, limits *Limits) (complete bool, err *Error) {
	for {
		line, ok, err := h.nextLine(b, limits)
		if !ok && !h.begun && len(b) >= limits.TargetBytes+lineOverhead {
			return false, errTargetTooLong
		}
		if !ok || err != nil {
			return false, err
		}
		switch {
		case h.begun && line.isEmpty():
			return true, h.finish(b)
		case h.begun:
			err = h.field(b, line, limits)
		case line.isEmpty():
			err = h.emptyLine()
		default:
			err = h.requestLine(b, line, limits)
		}
		if err != nil {
			return false, err
		}
	}
}

// emptyLine steps over one empty line before the request line, as RFC 9112 §2.2 asks.
func (h *head) emptyLine() *Error {
	if h.skip > 0 {
		return errEmptyLines
	}
	h.skip = h.next
	return nil
}

// requestLine checks method SP target SP version (RFC 9112 §3).
func (h *head) requestLine(b []byte, line span, limits *Limits) *Error {
	h.begun = true
	text := line.of(b)
	space := bytes.IndexByte(text, ' ')
	if space <= 0 || !grammar.IsToken(text[:min(space, maxMethod+1)]) {
		return errRequestLine
	}
	if space > maxMethod {
		return errMethodTooLong
	}
	method, text := text[:space], text[space+1:]
	space = bytes.IndexByte(text, ' ')
	if space <= 0 {
		return errRequestLine
	}
	target := text[:space]
	if err := h.version(text[space+1:]); err != nil {
		return err
	}
	if len(target) > limits.TargetBytes {
		return errTargetTooLong
	}
	return h.target(method, target, line.from+len(method)+1)
}

func (h *head) version(version []byte) *Error {
	if string(version) == "HTTP/1.1" {
		return nil
	}
	if len(version) != versionBytes || string(version[:5]) != "HTTP/" || !isDigit(version[5]) || version[6] != '.' || !isDigit(version[7]) {
		return errVersionSyntax
	}
	if string(version) != "HTTP/1.0" {
		return errVersion
	}
	h.http10 = true
	return nil
}

// target checks the request target, which stands at offset at, against the forms of RFC 9112 §3.2.
func (h *head) target(method, target []byte, at int) *Error {
	if string(method) == "CONNECT" {
		return errConnect // before routing: its target would replace the Host
	}
	if !grammar.IsTarget(target) {
		return errTarget
	}
	if target[0] == '/' {
		// fasthttp reads //evil.test/?u=http:// as an absolute form and takes its host from there.
		if len(target) > 1 && target[1] == '/' && bytes.Contains(target, schemeEnd) {
			return errTarget
		}
		return nil
	}
	if string(target) == "*" && string(method) == "OPTIONS" {
		return nil
	}
	return h.absoluteForm(target, at)
}

var schemeEnd = []byte("://")

func (h *head) absoluteForm(target []byte, at int) *Error {
	scheme := bytes.Index(target, schemeEnd)
	if scheme < 0 || !grammar.EqualFold(target[:scheme], "https") && !grammar.EqualFold(target[:scheme], "http") {
		return errTarget
	}
	from := scheme + len(schemeEnd)
	to := from
	for to < len(target) && target[to] != '/' && target[to] != '?' {
		to++
	}
	h.authority = span{at + from, at + to}
	return nil
}

// field checks one field and takes in what frames and routes the request.
func (h *head) field(b []byte, line span, limits *Limits) *Error {
	name, at, err := h.nextField(b, line, limits)
	if err != nil {
		return err
	}
	value := at.of(b)
	switch len(name) {
	case len("host"):
		if grammar.EqualFold(name, "host") {
			return h.setHost(b, at)
		}
	case len("expect"):
		if grammar.EqualFold(name, "expect") && !h.http10 && !grammar.EqualFold(value, "100-continue") {
			return errExpectation // RFC 9110 §10.1.1; from HTTP/1.0 it is ignored
		}
	case len("content-length"):
		if grammar.EqualFold(name, "content-length") {
			return h.setLength(value)
		}
		return refuseAlias(name, "content-length")
	case len("transfer-encoding"):
		if grammar.EqualFold(name, "transfer-encoding") {
			return h.setCoding(value)
		}
		return refuseAlias(name, "transfer-encoding")
	}
	return nil
}

// refuseAlias refuses Content_Length and the like, which a frontend may take for the field that frames the request.
func refuseAlias(name []byte, framing string) *Error {
	for i, c := range name {
		if grammar.FoldName(c) != framing[i] {
			return nil
		}
	}
	return errAlias
}

func (h *head) setHost(b []byte, host span) *Error {
	if h.host.to > 0 {
		return errHostTwice
	}
	h.host = host
	var scratch [256]byte
	if _, _, err := tenant.CanonicalHost(scratch[:0], host.of(b)); err != nil {
		return errHost
	}
	return nil
}

// setLength takes one plain decimal number; a list of equal ones, which RFC 9112 §6.3 lets pass, is refused as well.
func (h *head) setLength(value []byte) *Error {
	if h.hasLength {
		return errLengthTwice
	}
	h.hasLength = true
	if len(value) == 0 {
		return errLength
	}
	for _, c := range value {
		if !isDigit(c) || h.length > maxLength/10 {
			return errLength
		}
		h.length = h.length*10 + int64(c-'0')
	}
	if h.length > maxLength {
		return errLength
	}
	return nil
}

// maxLength keeps every sum of lengths within an int64.
const maxLength = 1 << 62

func (h *head) setCoding(value []byte) *Error {
	switch {
	case h.chunked:
		return errCoding
	case grammar.EqualFold(value, "chunked"):
		h.chunked = true
		return nil
	case grammar.IsToken(value) && !grammar.EqualFold(value, "identity"):
		return errUnknownCoding // RFC 9112 §6.1
	}
	return errCoding
}

// finish checks what only the whole head shows.
func (h *head) finish(b []byte) *Error {
	switch {
	case h.host.to == 0:
		return errHostMissing // from HTTP/1.0 too: the request is routed by it
	case h.chunked && h.hasLength:
		return errTwoFramings
	case h.chunked && h.http10:
		return errCodingVersion
	case h.authority.to > 0:
		return sameAuthority(h.authority.of(b), h.host.of(b))
	}
	return nil
}

// sameAuthority holds an absolute-form target to the Host field. RFC 9112 §3.2.2 lets the target win; an honest client sends both alike.
func sameAuthority(authority, host []byte) *Error {
	var a, b [256]byte
	name, port, err := tenant.CanonicalHost(a[:0], authority)
	if err != nil {
		return errHost
	}
	hostName, hostPort, err := tenant.CanonicalHost(b[:0], host)
	if err != nil || !bytes.Equal(name, hostName) || !bytes.Equal(port, hostPort) {
		return errAuthority
	}
	return nil
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }
