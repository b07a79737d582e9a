package gateway

import (
	"context"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// TestContinue has clients wait for 100 before they send a body. They get it, and the upstream gets the body; where the body is too large
// they get neither. TestHTTP3Continue looks at when HTTP/3 says it: that client does not wait.
func TestContinue(t *testing.T) {
	pair(t, func(t *testing.T, http2 bool) {
		w := startWithUpstream(t, func(rw http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Expect") != "" {
				t.Error("the expectation came through, which the gateway has met")
			}
			_, _ = io.Copy(rw, r.Body)
		})
		c := w.client(http2, "")
		transport, waits := c.Transport.(*http.Transport)
		if waits {
			transport.ExpectContinueTimeout = 15 * time.Second
		}
		f := func(length int64, wantStatus int, wantContinue bool) {
			t.Helper()
			var told, early atomic.Bool
			trace := &httptrace.ClientTrace{
				Got1xxResponse: func(code int, _ textproto.MIMEHeader) error {
					told.Store(told.Load() || code == http.StatusContinue)
					return nil
				},
			}
			body := readerFunc(func(p []byte) (int, error) {
				if waits { // the transport asks for the body a moment before it tells of the 100
					for end := time.Now().Add(5 * time.Second); !told.Load() && time.Now().Before(end); time.Sleep(time.Millisecond) {
					}
				}
				early.Store(early.Load() || !told.Load())
				return strings.NewReader("hello").Read(p[:min(len(p), int(length))])
			})
			r, err := http.NewRequestWithContext(httptrace.WithClientTrace(context.Background(), trace), "POST", "https://up.test/", io.LimitReader(body, length))
			if err != nil {
				t.Fatal(err)
			}
			r.ContentLength = length
			r.Header.Set("Expect", "100-continue")
			response, err := c.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			defer response.Body.Close()
			got, err := io.ReadAll(response.Body)
			if response.StatusCode != wantStatus || told.Load() != wantContinue || wantContinue && (err != nil || string(got) != "hello") {
				t.Errorf("length %d: status %d, continue %v, body %q, %v", length, response.StatusCode, told.Load(), got, err)
			}
			if waits && early.Load() {
				t.Errorf("length %d: the body was sent before it was asked for", length)
			}
		}
		f(5, 200, true)
		f(2<<20, 413, false)
		f(5, 200, true)
	})
}

type readerFunc func(p []byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }
