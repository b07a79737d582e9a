package wire

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/valyala/fasthttp"
)

// FuzzConn holds the guard to what two parsers make of the bytes that it lets through: as many requests, framed alike.
func FuzzConn(f *testing.F) {
	chunked := "POST / HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\n\r\n"
	for _, seed := range []string{
		get + get,
		"\r\n" + get + "\r\n" + get,
		"POST / HTTP/1.1\r\n" + host + "Content-Length: 5\r\n\r\nhello" + get,
		"POST / HTTP/1.0\r\n" + host + "Expect: 100-continue\r\nContent-Length: 5\r\n\r\nhel",
		chunked + "5;a=\"b\"\r\nhello\r\n0\r\nX: y\r\n\r\n" + get,
		chunked + "A\r\n0123456789\r\n000000\r\n\r\n" + get,
		chunked + "5\r\nhello\r0\r\n\r\n" + get,
		"GET http://a.test/x?y HTTP/1.1\r\n" + host + "\r\n",
		"OPTIONS * HTTP/1.1\r\nHost: [::1]:80\r\n\r\n",
		"POST / HTTP/1.1\r\n" + host + "Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nG",
		"GET / HTTP/1.1\r\n" + host + "X: a\r\n b\r\n\r\n",
		"GET / HTTP/1.1\r\n" + host + "X: a\rTransfer-Encoding: chunked\r\n\r\n",
		"CONNECT a.test:22 HTTP/1.1\r\n" + host + "\r\n",
	} {
		f.Add([]byte(seed), uint8(0), uint8(0))
		f.Add([]byte(seed), uint8(1), uint8(7))
	}
	f.Fuzz(func(t *testing.T, sent []byte, arriving, reading uint8) {
		passed := pass(sent, int(arriving), int(reading))
		whole := pass(sent, 0, 0)
		// What arrives in one piece may be refused earlier.
		foreseen := passed.cut && whole.refused != nil && whole.refused == passed.refused && strings.HasPrefix(passed.bytes, whole.bytes)
		if !reflect.DeepEqual(passed, whole) && !foreseen {
			t.Fatalf("in pieces: %+v\nwhole:     %+v", passed, whole)
		}
		byFasthttp, err := parseFasthttp(passed.bytes)
		if errors.Is(err, fasthttp.ErrBadTrailer) {
			return // announced in the head, which fasthttp refuses: as good
		}
		if err != nil || passed.requests != len(byFasthttp) || passed.cut != isCut(byFasthttp) {
			t.Fatalf("guard: %+v\nfasthttp: %+v, %v", passed, byFasthttp, err)
		}
		byNetHTTP, err := parseNetHTTP(passed.bytes)
		if badURL := (*url.Error)(nil); errors.As(err, &badURL) {
			return // a target like "/%zz" is the frontend's to judge
		}
		if err != nil || !slices.Equal(byFasthttp, byNetHTTP) {
			t.Fatalf("guard: %+v\nfasthttp: %+v\nnet/http: %+v, %v", passed, byFasthttp, byNetHTTP, err)
		}
	})
}

// passage is what a guard lets through of a client's bytes.
type passage struct {
	bytes    string
	requests int  // begun
	cut      bool // the last request is not whole
	refused  *Error
}

// pass sends bytes through a guard: arriving and reading are the most that each read below and above it takes; 0 is no limit.
func pass(sent []byte, arriving, reading int) (passed passage) {
	c := NewConn(&source{left: sent, most: arriving}, Limits{})
	p := make([]byte, MaxHeaderBytes)
	if reading > 0 {
		p = p[:reading]
	}
	for {
		atHead := c.phase == inHead && c.ready == 0
		n, err := c.Read(p)
		passed.refused = c.Err()
		if err != nil || passed.refused != nil { // with n == 1 that is the NUL in front of a refusal
			passed.cut = !atHead
			return passed
		}
		if atHead {
			passed.requests++
		}
		passed.bytes += string(p[:n])
	}
}

// source is a client that has sent some bytes and ended its side.
type source struct {
	net.Conn
	left []byte
	most int
}

func (s *source) Read(p []byte) (int, error) {
	if len(s.left) == 0 {
		return 0, io.EOF
	}
	if s.most > 0 {
		p = p[:min(len(p), s.most)]
	}
	n := copy(p, s.left)
	s.left = s.left[n:]
	return n, nil
}

func (s *source) SetReadDeadline(time.Time) error { return nil }

// message is one request as a parser sees it. Of one that is cut short only the head is compared.
type message struct {
	method, target, body string
	cut                  bool
}

func isCut(messages []message) bool {
	return len(messages) > 0 && messages[len(messages)-1].cut
}

func parseFasthttp(stream string) (messages []message, err error) {
	reader := bufio.NewReaderSize(strings.NewReader(stream), MaxHeaderBytes)
	for {
		var request fasthttp.Request
		if err := request.Header.Read(reader); err == io.EOF {
			return messages, nil
		} else if err != nil {
			return messages, err
		}
		m := message{method: string(request.Header.Method()), target: string(request.Header.RequestURI())}
		if err := request.ContinueReadBody(reader, 1<<20, false); err != nil {
			m.cut = true
			return append(messages, m), nil
		}
		m.body = string(request.Body())
		messages = append(messages, m)
	}
}

func parseNetHTTP(stream string) (messages []message, err error) {
	reader := bufio.NewReaderSize(strings.NewReader(stream), MaxHeaderBytes)
	for {
		request, err := http.ReadRequest(reader)
		if err == io.EOF {
			return messages, nil
		} else if err != nil {
			return messages, err
		}
		m := message{method: request.Method, target: request.RequestURI}
		body, err := io.ReadAll(request.Body)
		if err != nil {
			m.cut = true
			return append(messages, m), nil
		}
		m.body = string(body)
		messages = append(messages, m)
	}
}
