package frontend

import (
	"bufio"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"metahub/gateway/grammar"
)

func TestHead(t *testing.T) {
	f := func(raw string, want head, wantFields int) {
		t.Helper()
		// Byte by byte it must come to the same as in one piece.
		for _, source := range []io.Reader{strings.NewReader(raw), iotest.OneByteReader(strings.NewReader(raw))} {
			r := bufio.NewReader(source)
			var h head
			if err := h.readFinal(r); err != nil {
				t.Fatal(err)
			}
			if h.status != want.status || h.length != want.length || h.chunked != want.chunked || h.http10 != want.http10 ||
				h.websocket != want.websocket || len(h.fields) != wantFields {
				t.Fatalf("%+v", h)
			}
			if rest, err := io.ReadAll(r); err != nil || string(rest) != "rest" {
				t.Fatalf("left over %q, %v", rest, err)
			}
		}
	}

	f("HTTP/1.1 200 OK\r\n\r\nrest", head{status: 200, length: -1}, 0)
	// The reason may be empty, long, or missing with its space.
	f("HTTP/1.1 200 \r\n\r\nrest", head{status: 200, length: -1}, 0)
	f("HTTP/1.1 200\r\n\r\nrest", head{status: 200, length: -1}, 0)
	f("HTTP/1.1 299 Sch\u00f6n so\r\n\r\nrest", head{status: 299, length: -1}, 0)
	f("HTTP/1.0 200 OK\r\n\r\nrest", head{status: 200, length: -1, http10: true}, 0)
	// Interim answers are skipped.
	f("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: <a>\r\nTransfer-Encoding: chunked\r\n\r\nHTTP/1.1 404 X\r\nA: b\r\n\r\nrest",
		head{status: 404, length: -1}, 1)
	f("HTTP/1.1 200 OK\r\ncontent-LENGTH:\t5 \r\n\r\nrest", head{status: 200, length: 5}, 1)
	// The same length twice says one thing.
	f("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nrest", head{status: 200, length: 5}, 2)
	f("HTTP/1.1 200 OK\r\nTransfer-Encoding: CHUNKED\r\n\r\nrest", head{status: 200, length: -1, chunked: true}, 1)
	f("HTTP/1.1 101 X\r\nUpgrade: WebSocket\r\nConnection: keep-alive\r\nConnection: Upgrade\r\n\r\nrest",
		head{status: 101, length: -1, websocket: true}, 3)
	f("HTTP/1.1 200 OK\r\nA:\r\nB: x\ty\xffz\r\n\r\nrest", head{status: 200, length: -1}, 2)
	f("HTTP/1.1 200 OK\r\nA: "+strings.Repeat("x", maxHead-100)+"\r\n\r\nrest", head{status: 200, length: -1}, 1)
}

// malformedHeads are answers that must become 502, whatever a lenient reader would make of them.
var malformedHeads = []string{
	"\r\n\r\n",
	"garbage\r\n\r\n",
	"\x16\x03\x01\x02\x00\x01\x00\x01\r\n\r\n",
	"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
	"\x00\x00\x12\x04\x00\x00\x00\x00\x00\x00\x03\x00\x00\x00\x80\n",
	"HTTP/2.0 200 OK\r\n\r\n",
	"HTTP/1.2 200 OK\r\n\r\n",
	"HTTP/1.1  200 OK\r\n\r\n",
	"HTTP/1.1 20 OK\r\n\r\n",
	"HTTP/1.1 2000 OK\r\n\r\n",
	"HTTP/1.1 099 OK\r\n\r\n",
	"HTTP/1.1 2x0 OK\r\n\r\n",
	"HTTP/1.1 200 O\x00K\r\n\r\n",
	"HTTP/1.1 200 OK\n\n",
	"HTTP/1.1 200 OK\r\nA: b\nC: d\r\n\r\n",
	"HTTP/1.1 200 OK\r\nA: b\rC: d\r\n\r\n",
	"HTTP/1.1 200 OK\r\nA: b\r\n folded\r\n\r\n",
	"HTTP/1.1 200 OK\r\n A: b\r\n\r\n",
	"HTTP/1.1 200 OK\r\nA : b\r\n\r\n",
	"HTTP/1.1 200 OK\r\n: b\r\n\r\n",
	"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
	"HTTP/1.1 200 OK\r\nA: b\x00\r\n\r\n",
	"HTTP/1.1 200 OK\r\nA: b\x7f\r\n\r\n",
	"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
	"HTTP/1.1 200 OK\r\nContent-Length: 5, 5\r\n\r\n",
	"HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\n",
	"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n",
	"HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\n",
	"HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551621\r\n\r\n",
	"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
	"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
	"HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\n\r\n",
	"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
	"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
	"HTTP/1.1 200 OK\r\nA: " + strings.Repeat("x", maxHead) + "\r\n\r\n",
	strings.Repeat("HTTP/1.1 100 Continue\r\n\r\n", maxInterim+1),
}

func TestHeadMalformed(t *testing.T) {
	for _, raw := range malformedHeads {
		for _, source := range []io.Reader{strings.NewReader(raw), iotest.OneByteReader(strings.NewReader(raw))} {
			var h head
			err := h.readFinal(bufio.NewReader(source))
			var bad malformed
			if !errors.As(err, &bad) {
				t.Errorf("%.60q: error %v", raw, err)
			}
		}
	}
}

func TestHeadCutShort(t *testing.T) {
	const whole = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"
	for end := range len(whole) {
		var h head
		err := h.readFinal(bufio.NewReader(strings.NewReader(whole[:end])))
		if want := map[bool]error{true: io.EOF, false: io.ErrUnexpectedEOF}[end == 0]; err != want {
			t.Fatalf("%q: error %v, want %v", whole[:end], err, want)
		}
	}
}

// FuzzHead checks that no answer crashes the reader, that what it accepts has one meaning, and that pieces change nothing.
func FuzzHead(f *testing.F) {
	for _, raw := range malformedHeads {
		f.Add([]byte(raw))
	}
	f.Add([]byte("HTTP/1.1 100 C\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\nSet-Cookie: a=b\r\nConnection: close, x\r\n\r\nhello"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		var h, pieces head
		err := h.readFinal(bufio.NewReader(strings.NewReader(string(raw))))
		again := pieces.readFinal(bufio.NewReader(iotest.OneByteReader(strings.NewReader(string(raw)))))
		if (err == nil) != (again == nil) {
			t.Fatalf("in one piece %v, in many %v", err, again)
		}
		if err != nil {
			return
		}
		if h.status != pieces.status || h.length != pieces.length || h.chunked != pieces.chunked || len(h.fields) != len(pieces.fields) {
			t.Fatalf("in one piece %+v, in many %+v", h, pieces)
		}
		if h.chunked && h.length >= 0 || h.status < 100 || h.status > 999 {
			t.Fatalf("two meanings: %+v", h)
		}
		for _, field := range h.fields {
			if !grammar.IsToken(field.name) || !grammar.IsFieldValue(field.value) {
				t.Fatalf("a field %q: %q", field.name, field.value)
			}
		}
	})
}
