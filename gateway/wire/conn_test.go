package wire

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/valyala/fasthttp"
)

// waitFor polls a condition that another goroutine brings about.
func waitFor(t *testing.T, what string, condition func() bool) {
	t.Helper()
	ticker := time.NewTicker(time.Millisecond)
	defer ticker.Stop()
	for deadline := time.Now().Add(10 * time.Second); !condition(); <-ticker.C {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain until %s", what)
		}
	}
}

func TestCloseIdle(t *testing.T) {
	t.Parallel()
	r := startRecorder(t, Limits{})
	f := func(name, sent string, requests int, want bool) {
		t.Helper()
		c := r.dial(t)
		if _, err := io.WriteString(c, sent); err != nil {
			t.Fatal(err)
		}
		reader := bufio.NewReader(c)
		for range requests {
			if err := skipAnswer(reader); err != nil {
				t.Fatal(err)
			}
		}
		guarded := r.guarded(t, c)
		if want {
			waitFor(t, name+" is idle", guarded.CloseIdle)
			if rest, err := io.ReadAll(reader); len(rest) > 0 || err != nil {
				t.Errorf("%s: after CloseIdle came %q, %v; want a plain end", name, rest, err)
			}
			return
		}
		waitFor(t, name+" has begun", func() bool { return guarded.state.Load() == active })
		if guarded.CloseIdle() {
			t.Errorf("%s: closed as idle", name)
		}
		c.Close()
	}

	f("new", "", 0, true)
	f("served", get, 1, true)
	f("served with an empty line", "\r\n"+get, 1, true)
	f("begun", "G", 0, false)
	f("begun behind a request", get+"G", 1, false)
	f("in its content", "POST / HTTP/1.1\r\n"+host+"Content-Length: 5\r\n\r\nh", 0, false)
}

// guarded returns the server's end of a client's connection.
func (r *recorder) guarded(t *testing.T, client net.Conn) (c *Conn) {
	t.Helper()
	waitFor(t, "the connection is accepted", func() bool {
		r.listener.mu.Lock()
		defer r.listener.mu.Unlock()
		c = r.listener.last
		return c != nil && c.RemoteAddr().String() == client.LocalAddr().String()
	})
	return c
}

func skipAnswer(reader *bufio.Reader) error {
	var response fasthttp.Response
	return response.Read(reader)
}

// TestShutdown has fasthttp end idle connections at once, and wait for a request that has begun.
func TestShutdown(t *testing.T) {
	t.Parallel()
	r := startRecorder(t, Limits{})
	idle, busy := r.dial(t), r.dial(t)
	idleReader, busyReader := bufio.NewReader(idle), bufio.NewReader(busy)
	if _, err := io.WriteString(idle, get); err != nil {
		t.Fatal(err)
	}
	if err := skipAnswer(idleReader); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(busy, "POST / HTTP/1.1\r\n"+host+"Content-Length: 5\r\n\r\nhel"); err != nil {
		t.Fatal(err)
	}
	guarded := r.guarded(t, busy)
	waitFor(t, "the request has begun", func() bool { return guarded.state.Load() == active })

	ended := make(chan error, 1)
	go func() { ended <- r.Shutdown() }()
	if rest, err := io.ReadAll(idleReader); len(rest) > 0 || err != nil {
		t.Errorf("on the idle connection came %q, %v; want a plain end", rest, err)
	}
	if _, err := io.WriteString(busy, "lo"); err != nil {
		t.Fatal(err)
	}
	if err := skipAnswer(busyReader); err != nil {
		t.Error(err)
	}
	busy.Close()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// TestPassthrough upgrades a connection whose client sends on without waiting for the answer, and what no HTTP is.
func TestPassthrough(t *testing.T) {
	t.Parallel()
	f := func(name string, how cut, frames string) {
		t.Helper()
		r := startRecorder(t, quick())
		r.Handler = func(ctx *fasthttp.RequestCtx) {
			ctx.SetStatusCode(fasthttp.StatusSwitchingProtocols)
			if err := ctx.Conn().(*Conn).Passthrough(); err != nil {
				t.Error(err)
			}
			ctx.Hijack(func(c net.Conn) {
				if _, err := io.Copy(c, c); err != nil {
					t.Error(err)
				}
			})
		}
		r.listener.cutNext(how)
		c := r.dial(t)
		upgrade := "GET / HTTP/1.1\r\n" + host + "Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
		if _, err := io.WriteString(c, upgrade+frames[:len(frames)/2]); err != nil {
			t.Fatal(err)
		}
		reader := bufio.NewReader(c)
		response, err := reader.ReadString('\n')
		if err != nil || !strings.HasPrefix(response, "HTTP/1.1 101") {
			t.Fatalf("%s: answered %q, %v", name, response, err)
		}
		<-time.After(2 * quick().Idle) // a tunnel may be silent for as long as it likes
		if _, err := io.WriteString(c, frames[len(frames)/2:]); err != nil {
			t.Fatal(err)
		}
		if err := c.CloseWrite(); err != nil {
			t.Fatal(err)
		}
		rest, err := io.ReadAll(reader)
		if _, echoed, _ := strings.Cut(string(rest), "\r\n\r\n"); err != nil || echoed != frames {
			t.Errorf("%s: %d bytes came back, %v; want the %d that were sent", name, len(echoed), err, len(frames))
		}
		if refused := r.guarded(t, c).Err(); refused != nil {
			t.Errorf("%s: %v", name, refused)
		}
	}
	frames := strings.Repeat("\x81\x85\x00\x01\x02\x03\r\nGET\n", 10_000)
	f("whole", whole, frames)
	f("byte by byte", byByte, frames[:500])
}

// TestDeadlinesAreOurs has the server set deadlines that have passed.
func TestDeadlinesAreOurs(t *testing.T) {
	t.Parallel()
	server, client := socketPair(t)
	limits := quick()
	c := NewConn(server, limits)
	past := time.Unix(1, 0)
	if err := errors.Join(c.SetDeadline(past), c.SetReadDeadline(past), c.SetWriteDeadline(past)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(client, get); err != nil {
		t.Fatal(err)
	}
	p := make([]byte, 4096)
	if n, err := c.Read(p); string(p[:n]) != get || err != nil {
		t.Errorf("read %q, %v", p[:n], err)
	}
	if _, err := c.Write(p); err != nil {
		t.Error(err)
	}
	if err := c.Passthrough(); err != nil {
		t.Fatal(err)
	}
	late := time.AfterFunc(2*limits.Idle, func() { io.WriteString(client, "late") })
	defer late.Stop()
	if n, err := c.Read(p); string(p[:n]) != "late" || err != nil {
		t.Errorf("after Passthrough: read %q, %v", p[:n], err)
	}
	if err := c.SetDeadline(past); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Read(p); !isTimeout(err) {
		t.Errorf("after Passthrough: %v, want a timeout", err)
	}
}

// TestIdleIsSmall reads a head that needs the large buffer and expects it back before the next wait.
func TestIdleIsSmall(t *testing.T) {
	t.Parallel()
	c := NewConn(&source{left: []byte(headOf(MaxHeaderBytes))}, Limits{})
	if n, err := c.Read(make([]byte, 1)); n != 1 || err != nil || c.buffer.large == nil {
		t.Fatalf("read %d bytes, %v, of a buffer of %d bytes; want a large one", n, err, len(c.buffer.room()))
	}
	if n, err := c.Read(make([]byte, MaxHeaderBytes)); n != MaxHeaderBytes-1 || err != nil || c.buffer.large != nil {
		t.Errorf("read %d bytes, %v, and kept a buffer of %d bytes", n, err, len(c.buffer.room()))
	}
	if size := unsafe.Sizeof(*c); size > 2<<10 {
		t.Errorf("an idle connection holds %d bytes, want less than 2 KiB", size)
	}
}

// TestReadEndsWithRequest reads pipelined requests with room for all of them, and gets one at a time.
func TestReadEndsWithRequest(t *testing.T) {
	t.Parallel()
	post := "POST / HTTP/1.1\r\n" + host + "Content-Length: 5\r\n\r\nhello"
	c := NewConn(&source{left: []byte("\r\n" + get + post + get)}, Limits{})
	var got []string
	p := make([]byte, MaxHeaderBytes)
	for {
		n, err := c.Read(p)
		if err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		got = append(got, string(p[:n]))
	}
	if want := []string{get, post[:len(post)-5], "hello", get}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestAnswerSurvives refuses an upload that the client is in the middle of: the client must get to read why.
func TestAnswerSurvives(t *testing.T) {
	t.Parallel()
	f := func(name, head string, want int) {
		t.Helper()
		r := startRecorder(t, Limits{})
		r.StreamRequestBody = false
		c := r.dial(t)
		if _, err := io.WriteString(c, head); err != nil {
			t.Fatal(err)
		}
		// The client sends for as long as it is let, and reads only then.
		block := bytes.Repeat([]byte{'x'}, 64<<10)
		for range 32 {
			if _, err := c.Write(block); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
		}
		answers := readAnswers(t, c)
		if len(answers) != 1 || answers[0].status != want {
			t.Errorf("%s: answered %v, want one %d", name, answers, want)
		}
	}
	f("too large", "POST / HTTP/1.1\r\n"+host+"Content-Length: 13107200\r\n\r\n", 413)
	f("bad chunk", "POST / HTTP/1.1\r\n"+host+"Transfer-Encoding: chunked\r\n\r\n", 400)
}

func TestAsError(t *testing.T) {
	t.Parallel()
	f := func(err error, want *Error) {
		t.Helper()
		got, ok := AsError(err)
		if ok != (want != nil) || ok && *got != *want {
			t.Errorf("AsError(%v) = %v, %t; want %v", err, got, ok, want)
		}
	}
	f(errHost, errHost)
	f(fmt.Errorf("error when reading request headers: %w", errHost), errHost)
	f(&fasthttp.ErrSmallBuffer{}, errHeadTooLarge)
	f(fmt.Errorf("error when reading request headers: %w", fasthttp.ErrBadTrailer), errTrailer)
	f(fasthttp.ErrBodyTooLarge, &Error{413, "the content is larger than this site accepts"})
	f(io.ErrUnexpectedEOF, nil)
	f(nil, nil)
}
