package wire

import (
	"bufio"
	"cmp"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/valyala/fasthttp"
)

// recorder is a real fasthttp.Server behind guarded connections on a real socket, that keeps what reached it.
type recorder struct {
	*fasthttp.Server
	listener *guardedListener
	served   chan error

	mu       sync.Mutex
	begun    int // calls of the handler
	requests []string
}

// guardedListener guards what it accepts.
type guardedListener struct {
	net.Listener
	limits Limits
	tls    *tls.Config // nil for plain connections

	mu   sync.Mutex
	cut  cut
	last *Conn
}

func (l *guardedListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.tls != nil {
		l.last = NewConn(tls.Server(c, l.tls), l.limits)
	} else {
		l.last = NewConn(&cutConn{Conn: c, cut: l.cut}, l.limits)
	}
	return l.last, nil
}

// cutNext decides how the bytes of the connections that follow arrive.
func (l *guardedListener) cutNext(cut cut) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cut = cut
}

// cut says up to which byte of all the next read may go, when some have been read.
type cut func(read int) (upTo int)

func whole(int) int       { return 1 << 30 }
func byByte(read int) int { return read + 1 }

func splitAt(at int) cut {
	return func(read int) int {
		if read < at {
			return at
		}
		return 1 << 30
	}
}

// cutConn limits each read below the guard.
type cutConn struct {
	net.Conn
	cut  cut
	read int
}

func (c *cutConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p[:min(len(p), c.cut(c.read)-c.read)])
	c.read += n
	return n, err
}

func (c *cutConn) CloseWrite() error { return c.Conn.(*net.TCPConn).CloseWrite() }

func startRecorder(t *testing.T, limits Limits) *recorder {
	t.Helper()
	return startGuarded(t, limits, nil)
}

func startGuarded(t *testing.T, limits Limits, config *tls.Config) *recorder {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &recorder{listener: &guardedListener{Listener: ln, limits: limits, tls: config, cut: whole}, served: make(chan error, 1)}
	r.Server = &fasthttp.Server{
		Handler:                      r.handle,
		ErrorHandler:                 r.refuse,
		ReadBufferSize:               MaxHeaderBytes,
		StreamRequestBody:            true,
		DisablePreParseMultipartForm: true,
		MaxRequestBodySize:           1 << 20,
		Logger:                       silent{},
	}
	go func() { r.served <- r.Serve(r.listener) }()
	t.Cleanup(func() {
		if err := r.Shutdown(); err != nil {
			t.Error(err)
		}
		if err := <-r.served; err != nil {
			t.Error(err)
		}
	})
	return r
}

type silent struct{}

func (silent) Printf(string, ...any) {}

func (r *recorder) handle(ctx *fasthttp.RequestCtx) {
	r.mu.Lock()
	r.begun++
	r.mu.Unlock()
	var body []byte
	if stream := ctx.RequestBodyStream(); stream != nil {
		read, err := io.ReadAll(stream)
		if err != nil {
			r.refuse(ctx, err)
			return
		}
		body = read
	}
	r.record(fmt.Sprintf("%s %s %s %q", ctx.Method(), ctx.RequestURI(), ctx.Request.Header.Host(), body))
	ctx.SetBodyString("served")
}

func (r *recorder) refuse(ctx *fasthttp.RequestCtx, err error) {
	guarded := ctx.Conn().(*Conn)
	refused := guarded.Err()
	if refused == nil {
		refused, _ = AsError(err)
	}
	if refused == nil {
		refused = &Error{Status: 599, Reason: fmt.Sprint("fasthttp refused what the guard let through: ", err)}
	}
	ctx.Error(refused.Reason, refused.Status)
}

func (r *recorder) record(request string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.requests = append(r.requests, request)
}

// taken returns what has been recorded, and forgets it.
func (r *recorder) taken() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	requests := r.requests
	r.requests = nil
	return requests
}

func (r *recorder) dial(t *testing.T) *net.TCPConn {
	t.Helper()
	c, err := net.Dial("tcp", r.listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if err := c.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return c.(*net.TCPConn)
}

// answer is what a client saw: a status and the body, which is the reason of a refusal.
type answer struct {
	status int
	body   string
}

// expect sends bytes in one piece, byte by byte, and split at each position, and compares what arrived at the server and what was
// answered; then the connection must be closed.
func (r *recorder) expect(t *testing.T, sent string, requests []string, answers []answer) {
	t.Helper()
	f := func(name string, how cut) bool {
		t.Helper()
		r.listener.cutNext(how)
		gotAnswers := r.exchange(t, sent)
		gotRequests := r.taken()
		if slices.Equal(gotRequests, requests) && slices.Equal(gotAnswers, answers) {
			return true
		}
		t.Errorf("%s: %.300q\narrived:  %q\nwant:     %q\nanswered: %v\nwant:     %v", name, sent, gotRequests, requests, gotAnswers, answers)
		return false
	}
	ok := f("whole", whole) && f("byte by byte", byByte)
	for at := 1; ok && at < min(len(sent), 400); at++ {
		ok = f(fmt.Sprintf("split at %d", at), splitAt(at))
	}
}

// exchange sends bytes, ends its side and reads answers until the server has closed the connection.
func (r *recorder) exchange(t *testing.T, sent string) []answer {
	t.Helper()
	c := r.dial(t)
	defer c.Close()
	var group sync.WaitGroup
	group.Go(func() {
		// The server may refuse, answer and close before it has read all.
		_, err := io.WriteString(c, sent)
		if cmp.Or(err, c.CloseWrite()) != nil {
			return
		}
	})
	defer group.Wait()
	return readAnswers(t, c)
}

// readAnswers reads final answers until the connection ends, which it must do in order, without a reset.
func readAnswers(t *testing.T, c net.Conn) []answer {
	t.Helper()
	var answers []answer
	reader := bufio.NewReader(c)
	for {
		if _, err := reader.Peek(1); errors.Is(err, io.EOF) {
			return answers
		}
		response, err := http.ReadResponse(reader, nil)
		if err != nil {
			t.Fatalf("after %d answers: %v", len(answers), err)
		}
		body, err := io.ReadAll(response.Body)
		if err != nil {
			t.Fatal(err)
		}
		if response.StatusCode != http.StatusContinue {
			answers = append(answers, answer{response.StatusCode, string(body)})
		}
	}
}
