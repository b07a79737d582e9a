package gateway

import (
	"errors"
	"io"
	"testing"
	"time"

	"github.com/valyala/fasthttp"
	"golang.org/x/net/http2"
)

// TestHTTP2ReadersThatStop ask for answers without end and leave no room for them: in the window of each stream, in that of the
// connection, or in the socket. What is made for them stays little, and they are given up.
func TestHTTP2ReadersThatStop(t *testing.T) {
	const streams, atMost = 50, 32 << 20 // bytes; a stream has its pieces, and a socket its buffers
	none := func(*rawHTTP2, int) error { return nil }
	overHTTP2(t, func(t *testing.T) {
		f := func(name, budget string, window uint32, each func(c *rawHTTP2, i int) error) {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				timely(t, time.Second, func(t testing.TB) {
					w := start(t, impatient(time.Second))
					endless := new(zeros)
					w.answerWith(func(ctx *fasthttp.RequestCtx, _ string) { ctx.SetBodyStream(&body{Reader: endless}, -1) })
					c := w.dialHTTP2("anna.test", http2.Setting{ID: http2.SettingInitialWindowSize, Val: window})
					if each == nil { // only the socket is in the way
						if err := c.WriteWindowUpdate(0, 1<<30); err != nil {
							t.Fatal(err)
						}
					}
					for i := range streams {
						if err := c.ask(stream(i), true, "GET", "/"); err != nil {
							t.Fatal(err)
						}
					}
					if err := c.flush(); err != nil {
						t.Fatal(err)
					}
					if each != nil {
						go c.await(nil)
						go func() {
							for i := 0; errors.Join(each(c, i), c.flush()) == nil; i++ {
								time.Sleep(tick)
							}
						}()
					}
					await(t, "the answers to be given up", func() bool { return len(w.counts.requests()) == streams })
					if n := endless.taken.Load(); n > atMost {
						t.Errorf("%d MiB were made for who takes nothing", n>>20)
					}
					if isEngine(t) && w.counts.attacked()[budget] == 0 {
						t.Errorf("counted %v, want %s", w.counts.attacked(), budget)
					}
				})
			})
		}
		f("windows of nothing", "slow_window", 0, none)
		f("windows that open by a byte", "slow_window", 0, func(c *rawHTTP2, i int) error { return c.WriteWindowUpdate(stream(i%streams), 1) })
		f("a connection's window that stays shut", "slow_window", 1<<31-1, none)
		f("a socket that is not read", "slow_reader", 1<<31-1, nil)
	})
}

// TestHTTP2Silence closes connections on which a client begins and does not go on.
func TestHTTP2Silence(t *testing.T) {
	t.Run("http2 engine", func(t *testing.T) { // net/http waits 10 s for a preface
		timely(t, 300*time.Millisecond, func(t testing.TB) {
			w := start(t, impatient(300*time.Millisecond))
			f := func(name string, sent ...[]byte) {
				t.Helper()
				c := w.dial("anna.test", "h2")
				for _, bytes := range sent {
					if _, err := c.Write(bytes); err != nil {
						t.Fatal(err)
					}
				}
				if _, err := io.Copy(io.Discard, c); isTimeout(err) {
					t.Errorf("%s: the connection goes on", name)
				}
			}
			settings := []byte{0, 0, 0, 4, 0, 0, 0, 0, 0}
			f("nothing")
			f("half a preface", []byte(http2.ClientPreface)[:10])
			f("half a frame", []byte(http2.ClientPreface), settings, []byte{0, 0, 8, 6, 0})
			f("half a header", []byte(http2.ClientPreface), settings, []byte{0, 0, 1, 1, 1, 0, 0, 0, 1, 0x82})
			if w.counts.attacked()["slow_head"] == 0 {
				t.Errorf("counted %v, want slow_head", w.counts.attacked())
			}
		})
	})
}

// TestHTTP2Streams plays games with the numbers of streams that h2spec does not.
func TestHTTP2Streams(t *testing.T) {
	overHTTP2(t, func(t *testing.T) {
		w := start(t, nil)
		f := func(name string, good uint32, bad func(c *rawHTTP2) error) {
			t.Helper()
			c := w.dialHTTP2("anna.test")
			defer c.close()
			if good > 0 {
				if err := errors.Join(c.ask(good, true, "GET", "/"), c.flush(), c.awaitEnd(good)); err != nil {
					t.Fatalf("%s: %v", name, err)
				}
			}
			if err := errors.Join(bad(c), c.flush()); err != nil {
				t.Fatal(err)
			}
			if e := c.await(nil); !e.said || e.code != http2.ErrCodeProtocol {
				t.Errorf("%s: %v", name, e)
			}
		}
		get := func(stream uint32) func(c *rawHTTP2) error {
			return func(c *rawHTTP2) error { return c.ask(stream, true, "GET", "/") }
		}
		f("one below the last there is", 1<<31-1, get(1<<31-3))
		f("one that was skipped", 5, get(3))
		f("one of the server's", 0, get(2))
		f("a promise", 0, func(c *rawHTTP2) error {
			return c.WritePushPromise(http2.PushPromiseParam{StreamID: 1, PromiseID: 2, BlockFragment: c.fields(":method", "GET"), EndHeaders: true})
		})
	})
}
