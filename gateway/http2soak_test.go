package gateway

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"
)

// TestHTTP2CancelIsQuick has a client take back requests that an upstream works at. The upstream must learn of it within 10 ms, which is
// promised. A machine can be too busy for that: of five medians one must be short enough, beside the time that three goroutines take in the same
// moments to pass a byte on.
func TestHTTP2CancelIsQuick(t *testing.T) {
	const promised, times = 10 * time.Millisecond, 21
	overHTTP2(t, func(t *testing.T) {
		asked, left := make(chan struct{}), make(chan time.Time)
		w := startWithUpstream(t, func(rw http.ResponseWriter, r *http.Request) {
			asked <- struct{}{}
			<-r.Context().Done()
			left <- time.Now()
		})
		c := w.dialHTTP2("up.test")
		go c.await(nil)
		pass := relay(t)
		median := func(all []time.Duration) time.Duration {
			slices.Sort(all)
			return all[len(all)/2]
		}
		var medians, usual []time.Duration
		for try := 0; try < 5; try++ {
			var took, passed []time.Duration
			for i := range times {
				block := c.fields(":method", "GET", ":scheme", "https", ":authority", "up.test", ":path", "/")
				id := stream(try*times + i)
				if err := errors.Join(c.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: block, EndStream: true, EndHeaders: true}), c.flush()); err != nil {
					t.Fatal(err)
				}
				<-asked
				began := time.Now()
				if err := errors.Join(c.WriteRSTStream(id, http2.ErrCodeCancel), c.flush()); err != nil {
					t.Fatal(err)
				}
				took = append(took, (<-left).Sub(began))
				passed = append(passed, pass())
			}
			medians, usual = append(medians, median(took)), append(usual, median(passed))
			if medians[try] < promised+3*usual[try] {
				t.Logf("the upstream learns after %v (median of %d), at most %v; a byte is passed on in %v", medians[try], times, took[times-1], usual[try])
				return
			}
		}
		t.Errorf("medians of %v, promised are %v beside three times %v", medians, promised, usual)
	})
}

// relay returns a function that measures how long a byte is on its way over two connections of the loopback and three goroutines.
func relay(t *testing.T) (measure func() time.Duration) {
	pipe := func() (in, out net.Conn) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		if in, err = net.Dial("tcp", l.Addr().String()); err == nil {
			out, err = l.Accept()
		}
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { in.Close(); out.Close() })
		return in, out
	}
	first, between := pipe()
	behind, last := pipe()
	go func() { _, _ = io.Copy(struct{ io.Writer }{behind}, struct{ io.Reader }{between}) }()
	arrived := make(chan time.Time)
	go func() {
		for b := make([]byte, 1); ; {
			if _, err := last.Read(b); err != nil {
				close(arrived)
				return
			}
			arrived <- time.Now()
		}
	}()
	return func() time.Duration {
		began := time.Now()
		if _, err := first.Write([]byte{0}); err != nil {
			t.Fatal(err)
		}
		return (<-arrived).Sub(began)
	}
}

// TestHTTP2Soak has clients fetch, send and leave at random. Whatever is answered is whole, and nothing that was begun for a connection
// outlives it.
func TestHTTP2Soak(t *testing.T) {
	const clients, lasting = 8, 2 * time.Second
	overHTTP2(t, func(t *testing.T) {
		w := startWithUpstream(t, func(rw http.ResponseWriter, r *http.Request) {
			body, err := io.ReadAll(r.Body)
			if err != nil {
				return
			}
			out := http.NewResponseController(rw)
			for piece := range slices.Chunk(append(body, "the end"...), 20_000) {
				_, _ = rw.Write(piece)
				_ = out.Flush()
			}
		})
		w.large()
		var whole, left atomic.Int64
		var running sync.WaitGroup
		until := time.Now().Add(lasting)
		for range clients {
			c := w.client(true, "")
			for range 4 {
				running.Go(func() {
					for time.Now().Before(until) {
						sent := bytes.Repeat([]byte("x"), rand.IntN(200_000))
						ctx, cancel := context.WithCancel(context.Background())
						if rand.IntN(2) == 0 {
							time.AfterFunc(time.Duration(rand.IntN(5000))*time.Microsecond, cancel)
						}
						err := post(ctx, c, sent)
						switch {
						case err == nil:
							whole.Add(1)
						case ctx.Err() != nil:
							left.Add(1)
						default:
							t.Error(err)
						}
						cancel()
					}
				})
			}
			running.Go(func() { // whole connections end as well
				for time.Now().Before(until) {
					time.Sleep(time.Duration(rand.IntN(300)) * time.Millisecond)
					c.CloseIdleConnections()
				}
			})
		}
		running.Wait()
		t.Logf("%d answers were whole, %d requests were taken back; cut off: %v", whole.Load(), left.Load(), w.counts.attacked())
		if whole.Load() == 0 || left.Load() == 0 {
			t.Error("nothing was tried")
		}
		if err := w.stop(10 * time.Second); err != nil {
			t.Error(err)
		}
		await(t, "the last goroutine of HTTP/2 to end", func() bool { return goroutinesOf("metahub/gateway/http2.") == 0 })
		if opened, closed := w.counts.event(Opened), w.counts.event(Closed); opened != closed {
			t.Errorf("%d connections opened, %d closed", opened, closed)
		}
	})
}

func post(ctx context.Context, c *http.Client, sent []byte) error {
	r, err := http.NewRequestWithContext(ctx, "POST", "https://up.test/", bytes.NewReader(sent))
	if err != nil {
		return err
	}
	response, err := c.Do(r)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	got, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	if response.StatusCode != 200 || len(got) != len(sent)+len("the end") || !strings.HasSuffix(string(got), "the end") {
		return fmt.Errorf("status %d with %d bytes for %d", response.StatusCode, len(got), len(sent))
	}
	return nil
}

// goroutinesOf returns how many goroutines are in a function of a package.
func goroutinesOf(prefix string) (n int) {
	stacks := make([]byte, 16<<20)
	for one := range strings.SplitSeq(string(stacks[:runtime.Stack(stacks, true)]), "\n\n") {
		if strings.Contains(one, "\n"+prefix) {
			n++
		}
	}
	return n
}
