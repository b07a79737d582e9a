package frontend

import (
	"bufio"
	"bytes"
	"io"

	"metahub/gateway/grammar"
)

// maxHead is the size in bytes up to which the head of an answer, or its trailers, are read.
const maxHead = 64 << 10

// maxInterim is how many 1xx answers may precede the final one.
const maxInterim = 16

// head is the status line and the header fields of an answer, checked: nothing in it can be read in two ways (RFC 9112 §6).
// Its slices are valid until the next read from the connection.
type head struct {
	raw        []byte // keeps a head that came in pieces
	fields     []field
	connection []byte // all options of Connection, joined by commas
	status     int
	length     int64 // Content-Length, or -1
	http10     bool
	chunked    bool
	websocket  bool // it agrees to an upgrade to websocket
	named      bool // connection names other fields
}

type field struct{ name, value []byte }

// malformed is why an answer was refused.
type malformed string

// Error implements error.
func (m malformed) Error() string { return "malformed answer: " + string(m) }

// readFinal reads heads up to the first that is not 1xx; 101 is final. It reads nothing beyond.
func (h *head) readFinal(r *bufio.Reader) error {
	for range maxInterim {
		raw, err := h.readBlock(r)
		if err != nil {
			return err
		}
		if err := h.parse(raw); err != nil {
			return err
		}
		if h.status >= 200 || h.status == 101 {
			return nil
		}
	}
	return malformed("too many 1xx answers")
}

// readBlock returns the bytes up to and with the empty line that ends a head. io.EOF means that there was not one byte.
func (h *head) readBlock(r *bufio.Reader) ([]byte, error) {
	if _, err := r.Peek(1); err != nil {
		return nil, err
	}
	buffered, _ := r.Peek(r.Buffered())
	if end := bytes.Index(buffered, emptyLine); end >= 0 {
		end += len(emptyLine)
		_, err := r.Discard(end)
		return buffered[:end], err
	}
	return h.collectBlock(r)
}

// collectBlock is readBlock for a head that is not in the buffer as a whole.
func (h *head) collectBlock(r *bufio.Reader) ([]byte, error) {
	h.raw, h.status = h.raw[:0], 0
	for lines := 0; ; lines++ {
		line, err := r.ReadSlice('\n')
		h.raw = append(h.raw, line...)
		if lines == 0 && err == nil { // at once: who speaks another protocol may wait for us now
			if err := h.parseFirstLine(); err != nil {
				return nil, err
			}
		}
		switch {
		case len(h.raw) > maxHead:
			return nil, malformed("the head is longer than 64 KiB")
		case err == bufio.ErrBufferFull:
			continue
		case err == io.EOF:
			return nil, io.ErrUnexpectedEOF
		case err != nil:
			return nil, err
		case !bytes.HasSuffix(h.raw, lineEnd):
			return nil, malformed("a line feed without carriage return")
		case bytes.HasSuffix(h.raw, emptyLine), len(h.raw) == len(lineEnd):
			return h.raw, nil
		}
	}
}

func (h *head) parseFirstLine() error {
	line, _, err := cutLine(h.raw)
	if err != nil {
		return err
	}
	return h.parseStatusLine(line)
}

var (
	lineEnd   = []byte("\r\n")
	emptyLine = []byte("\r\n\r\n")
)

// parse checks one whole head and takes it apart. It is strict where leniency lets one answer be read as two.
func (h *head) parse(raw []byte) error {
	*h = head{raw: h.raw, fields: h.fields[:0], connection: h.connection[:0], length: -1}
	line, raw, err := cutLine(raw)
	if err != nil {
		return err
	}
	if err := h.parseStatusLine(line); err != nil {
		return err
	}
	for {
		line, raw, err = cutLine(raw)
		if err != nil {
			return err
		}
		if len(line) == 0 {
			break
		}
		if err := h.parseField(line); err != nil {
			return err
		}
	}
	if len(raw) > 0 {
		return malformed("bytes after the empty line")
	}
	return h.checkFraming()
}

func cutLine(raw []byte) (line, rest []byte, err error) {
	end := bytes.IndexByte(raw, '\n')
	if end < 1 || raw[end-1] != '\r' {
		return nil, nil, malformed("a line that does not end with CRLF")
	}
	return raw[:end-1], raw[end+1:], nil
}

// parseStatusLine reads "HTTP/1.1 200 OK"; the reason may be missing with or without its space (RFC 9112 §4).
func (h *head) parseStatusLine(line []byte) error {
	const version, code = len("HTTP/1.1"), len("HTTP/1.1 200")
	if len(line) < code || string(line[:version-1]) != "HTTP/1." || line[version] != ' ' ||
		(len(line) > code && line[code] != ' ') || !grammar.IsFieldValue(line) {
		return malformed("no HTTP/1.1 status line")
	}
	switch line[version-1] {
	case '1':
	case '0':
		h.http10 = true
	default:
		return malformed("an HTTP version other than 1.0 and 1.1")
	}
	for _, c := range line[version+1 : code] {
		if c < '0' || c > '9' {
			return malformed("a status that is not a number")
		}
		h.status = h.status*10 + int(c-'0')
	}
	if h.status < 100 {
		return malformed("a status below 100")
	}
	return nil
}

func (h *head) parseField(line []byte) error {
	colon := bytes.IndexByte(line, ':')
	if colon < 0 || !grammar.IsToken(line[:colon]) {
		return malformed("a header name that is not a token")
	}
	name, value := line[:colon], grammar.Trim(line[colon+1:])
	if !grammar.IsFieldValue(value) {
		return malformed("a control character in a header value")
	}
	h.fields = append(h.fields, field{name, value})
	switch len(name) {
	case 7:
		if grammar.EqualFold(name, "upgrade") && grammar.EqualFold(value, "websocket") {
			h.websocket = true
		}
	case 10:
		if grammar.EqualFold(name, "connection") {
			h.connection = append(append(h.connection, value...), ',')
		}
	case 14:
		if grammar.EqualFold(name, "content-length") {
			return h.setLength(value)
		}
	case 17:
		if grammar.EqualFold(name, "transfer-encoding") {
			if h.chunked || !grammar.EqualFold(value, "chunked") {
				return malformed("a Transfer-Encoding other than chunked")
			}
			h.chunked = true
		}
	}
	return nil
}

func (h *head) setLength(value []byte) error {
	const maxDigits = 18 // fits an int64
	if len(value) == 0 || len(value) > maxDigits {
		return malformed("a Content-Length that is not a size")
	}
	n := int64(0)
	for _, c := range value {
		if c < '0' || c > '9' {
			return malformed("a Content-Length that is not a size")
		}
		n = n*10 + int64(c-'0')
	}
	if h.length >= 0 && h.length != n {
		return malformed("two different Content-Length")
	}
	h.length = n
	return nil
}

func (h *head) checkFraming() error {
	if h.chunked && h.length >= 0 {
		return malformed("both Content-Length and Transfer-Encoding")
	}
	if h.chunked && h.http10 {
		return malformed("Transfer-Encoding in HTTP/1.0")
	}
	h.named = namesFields(h.connection)
	h.websocket = h.websocket && hasOption(h.connection, []byte("upgrade"))
	return nil
}

// keepAlive reports whether the upstream will take another request on this connection (RFC 9112 §9.3).
func (h *head) keepAlive() bool {
	return !h.http10 && (len(h.connection) == 0 || !hasOption(h.connection, []byte("close")))
}

// events reports whether the body is a stream of server-sent events.
func (h *head) events() bool {
	const kind = "text/event-stream"
	for _, f := range h.fields {
		if grammar.EqualFold(f.name, "content-type") {
			return len(f.value) >= len(kind) && grammar.EqualFold(f.value[:len(kind)], kind)
		}
	}
	return false
}

// bodiless reports whether the answer ends with its head, whatever its fields say (RFC 9112 §6.3).
func (h *head) bodiless(toHEAD bool) bool {
	return toHEAD || h.status < 200 || h.status == 204 || h.status == 304
}
