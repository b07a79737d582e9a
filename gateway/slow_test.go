package gateway

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/valyala/fasthttp"
	"golang.org/x/net/http2"

	"metahub/gateway/h3"
	"metahub/tenant"
)

// impatient shortens what slow clients are allowed, on all protocols.
func impatient(limit time.Duration) func(*tenant.Gateway, *Gateway) {
	return func(_ *tenant.Gateway, g *Gateway) {
		g.limits.Header, g.limits.Body, g.limits.Write = limit, limit, limit
		g.http2.ReadTimeout = streamTime(limit)
		g.http2.HTTP2.SendPingTimeout, g.http2.HTTP2.PingTimeout, g.http2.HTTP2.WriteByteTimeout = limit, limit, limit
	}
}

// drip writes a byte each tick until it fails or all is sent.
func drip(w io.Writer, sent []byte, tick time.Duration) error {
	for i := range sent {
		if _, err := w.Write(sent[i : i+1]); err != nil {
			return err
		}
		time.Sleep(tick)
	}
	return nil
}

const tick = 20 * time.Millisecond

// TestHeadThatDrips is cut though each byte of it comes in time.
func TestHeadThatDrips(t *testing.T) {
	w := start(t, impatient(300*time.Millisecond))
	long := strings.Repeat("x", 4000)
	t.Run("http1", func(t *testing.T) {
		c := w.dial("anna.test")
		go func() { _ = drip(c, []byte("GET / HTTP/1.1\r\nHost: anna.test\r\nX-Long: "+long), tick) }()
		if got, err := io.ReadAll(c); !bytes.HasPrefix(got, []byte("HTTP/1.1 408 ")) {
			t.Errorf("%.40q, %v", got, err)
		}
	})
	overHTTP2(t, func(t *testing.T) {
		timely(t, 300*time.Millisecond, func(t testing.TB) {
			w := start(t, impatient(300*time.Millisecond))
			c := w.dialHTTP2("anna.test")
			var head bytes.Buffer
			err := http2.NewFramer(&head, nil).WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: []byte(long)})
			if err := errors.Join(err, c.WriteSettingsAck(), c.flush()); err != nil {
				t.Fatal(err)
			}
			go func() { _ = drip(c.layer, head.Bytes(), tick) }()
			if _, err := io.Copy(io.Discard, c.layer); isTimeout(err) {
				t.Error("the connection goes on")
			}
		})
	})
	t.Run("http3", func(t *testing.T) {
		r := w.dialHTTP3("anna.test")
		stream := r.send(nil, false)
		go func() { _ = drip(stream, h3.AppendHeadersFrame(nil, []byte(long)), tick) }()
		if got, err := r.status(stream); err == nil || isTimeout(err) {
			t.Errorf("answered with %s, %v", got, err)
		}
	})
}

func isTimeout(err error) bool {
	var timeout interface{ Timeout() bool }
	return errors.As(err, &timeout) && timeout.Timeout()
}

// TestBodyThatDrips is cut though each byte of it comes in time.
func TestBodyThatDrips(t *testing.T) {
	pair(t, func(t *testing.T, http2 bool) {
		timely(t, 300*time.Millisecond, func(t testing.TB) {
			w := start(t, impatient(300*time.Millisecond))
			f := func(length int64) {
				t.Helper()
				body, feed := io.Pipe()
				go func() { _ = drip(feed, make([]byte, 1000), tick) }()
				defer body.Close()
				r, err := http.NewRequest("POST", "https://anna.test/", body)
				if err != nil {
					t.Fatal(err)
				}
				r.ContentLength = length
				response, err := w.client(http2, "").Do(r)
				if err != nil {
					t.Fatal(err)
				}
				defer response.Body.Close()
				if response.StatusCode != http.StatusRequestTimeout {
					t.Errorf("a body of length %d: status %d, want 408", length, response.StatusCode)
				}
			}
			f(1000)
			f(-1)
		})
	})
}

// TestBodyThatComesSlowly takes several times as long as a client may be silent for, but makes progress.
func TestBodyThatComesSlowly(t *testing.T) {
	t.Parallel()
	pair(t, func(t *testing.T, http2 bool) {
		t.Parallel()
		const limit = 2 * time.Second
		timely(t, limit, func(t testing.TB) {
			w := start(t, impatient(limit))
			w.limitTenant("anna", func(l *tenant.Limits) { l.Body = 1 << 20 })
			body, feed := io.Pipe()
			began := time.Now()
			go func() {
				for time.Since(began) < 5*limit/2 {
					if _, err := feed.Write(make([]byte, 2<<10)); err != nil {
						return
					}
					time.Sleep(100 * time.Millisecond)
				}
				feed.Close()
			}()
			response, err := w.client(http2, "").Post("https://anna.test/", "", body)
			if err != nil {
				t.Fatal(err)
			}
			defer response.Body.Close()
			if response.StatusCode != 200 {
				t.Errorf("status %d after %v", response.StatusCode, time.Since(began))
			}
		})
	})
}

// TestReaderThatSips takes a byte of the answer now and then.
func TestReaderThatSips(t *testing.T) {
	pair(t, func(t *testing.T, http2 bool) {
		timely(t, 300*time.Millisecond, func(t testing.TB) {
			w := start(t, impatient(300*time.Millisecond))
			w.answerWith(func(ctx *fasthttp.RequestCtx, _ string) { ctx.SetBodyStream(&body{Reader: new(zeros)}, -1) })
			response, err := w.client(http2, "").Get("https://anna.test/")
			if err != nil {
				t.Fatal(err)
			}
			defer response.Body.Close()
			end := make(chan struct{})
			defer close(end)
			go func() {
				for {
					select {
					case <-end:
						return
					case <-time.After(tick):
						_, _ = response.Body.Read(make([]byte, 1))
					}
				}
			}()
			await(t, "the answer to be given up", func() bool { return len(w.counts.requests()) == 1 })
		})
	})
}

// TestReaderThatIsSlow takes a long answer in several times as long as it may take nothing for.
func TestReaderThatIsSlow(t *testing.T) {
	t.Parallel()
	pair(t, func(t *testing.T, http2 bool) {
		t.Parallel()
		const size = 16 << 20 // more than the buffers on the way
		for name, answer := range map[string]func(*fasthttp.RequestCtx){
			"stream": func(ctx *fasthttp.RequestCtx) { ctx.SetBodyStream(&body{Reader: io.LimitReader(new(zeros), size)}, -1) },
			"memory": func(ctx *fasthttp.RequestCtx) { ctx.SetBody(make([]byte, size)) },
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				const limit = 2 * time.Second
				timely(t, limit, func(t testing.TB) {
					w := start(t, impatient(limit))
					w.answerWith(func(ctx *fasthttp.RequestCtx, _ string) { answer(ctx) })
					response, err := w.client(http2, "").Get("https://anna.test/")
					if err != nil {
						t.Fatal(err)
					}
					defer response.Body.Close()
					var total int64
					for err == nil {
						var n int64
						n, err = io.CopyN(io.Discard, response.Body, 256<<10)
						total += n
						time.Sleep(80 * time.Millisecond)
					}
					if total != size || err != io.EOF {
						t.Errorf("read %d bytes of %d, %v", total, int64(size), err)
					}
				})
			})
		}
	})
}
