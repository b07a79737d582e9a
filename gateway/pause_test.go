package gateway

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/valyala/fasthttp"

	"metahub/tenant"
)

func TestPauseAfter(t *testing.T) {
	f := func(refusals int, want time.Duration) {
		t.Helper()
		if got := pauseAfter(refusals); got != want {
			t.Errorf("%v after %d refusals, want %v", got, refusals, want)
		}
	}
	f(0, 0)
	f(freeRefusals, 0)
	f(freeRefusals+1, time.Millisecond)
	f(freeRefusals+2, 2*time.Millisecond)
	f(freeRefusals+9, longestPause)
	f(freeRefusals+10, longestPause)
	f(1<<30, longestPause)
}

// TestFloodIsReadSlowly sends many requests at once on one connection. It takes its time over a client, and none over a proxy, whose
// connection is that of many.
func TestFloodIsReadSlowly(t *testing.T) {
	f := func(requests int, adjust func(*tenant.Gateway, *Gateway)) time.Duration {
		w := start(t, func(s *tenant.Gateway, g *Gateway) {
			stopClock(s, g)
			adjust(s, g)
		})
		w.limitTenant("anna", func(l *tenant.Limits) { l.Rate, l.Burst = 1, 1 })
		c := w.dial("anna.test")
		r := bufio.NewReader(c)
		begun := time.Now()
		if _, err := io.WriteString(c, strings.Repeat("GET /api/x HTTP/1.1\r\nHost: anna.test\r\n\r\n", requests)); err != nil {
			t.Fatal(err)
		}
		for i := range requests {
			want := 429
			if i == 0 {
				want = 200
			}
			if got := w.read(r, "GET"); got.StatusCode != want {
				t.Fatalf("status %d of request %d", got.StatusCode, i)
			}
		}
		return time.Since(begun)
	}
	least := time.Duration(0)
	for refusals := range 19 {
		least += pauseAfter(refusals)
	}
	if took := f(20, func(*tenant.Gateway, *Gateway) {}); took < least {
		t.Errorf("20 requests of a client took %v, want %v at least", took, least)
	}
	if took := f(60, trustLoopback); took > 5*time.Second {
		t.Errorf("60 requests by way of a proxy took %v", took)
	}
}

// overStreams runs a test over all protocols with streams.
func overStreams(t *testing.T, f func(t *testing.T)) {
	overHTTP2(t, f)
	t.Run("http3", f)
}

// flooded starts a gateway whose anna may get one request, and has a client use that up.
func flooded(t *testing.T, adjust func(*tenant.Gateway, *Gateway), first string) (w *world, client *http.Client, got *http.Response) {
	w = start(t, func(s *tenant.Gateway, g *Gateway) {
		stopClock(s, g)
		adjust(s, g)
	})
	w.limitTenant("anna", func(l *tenant.Limits) { l.Rate, l.Burst = 1, 1 })
	client = w.client(true, "")
	got, err := client.Get("https://anna.test" + first)
	if err != nil {
		t.Fatal(err)
	}
	if got.StatusCode != 200 {
		t.Fatalf("status %d, want that of the request that may go on", got.StatusCode)
	}
	t.Cleanup(func() { got.Body.Close() })
	return w, client, got
}

// TestFloodOfStreamsIsAnsweredSlowly sends more requests on one connection than a browser does on six of HTTP/1.1. It takes its time over a
// client, and none over a proxy.
func TestFloodOfStreamsIsAnsweredSlowly(t *testing.T) {
	overStreams(t, func(t *testing.T) {
		const requests = 110
		f := func(adjust func(*tenant.Gateway, *Gateway)) (took time.Duration, remembered int32) {
			w, client, _ := flooded(t, adjust, "/")
			var flood sync.WaitGroup
			begun := time.Now()
			for range requests {
				flood.Go(func() {
					got, err := client.Get("https://anna.test/")
					if err != nil {
						t.Error(err)
						return
					}
					_, _ = io.Copy(io.Discard, got.Body)
					got.Body.Close()
					if got.StatusCode != 429 {
						t.Errorf("status %d, want 429", got.StatusCode)
					}
				})
			}
			flood.Wait()
			took = time.Since(begun)
			for _, c := range w.connections.list() {
				remembered += c.refusals.n.Load()
			}
			return took, remembered
		}
		least := time.Duration(0)
		for n := range requests + 1 {
			least += pauseAfter(n/browserConnections) / browserConnections
		}
		if took, remembered := f(func(*tenant.Gateway, *Gateway) {}); took < least || remembered != requests {
			t.Errorf("%d requests of a client took %v, want %v at least; %d are remembered", requests, took, least, remembered)
		}
		if _, remembered := f(trustLoopback); remembered != 0 {
			t.Errorf("%d requests by way of a proxy are remembered", remembered)
		}
	})
}

// TestOnlyRefusalsAreHeldBack has a refusal wait for seconds. An answer under way on the same connection goes on, and a client that does not wait
// is let go of.
func TestOnlyRefusalsAreHeldBack(t *testing.T) {
	overStreams(t, func(t *testing.T) {
		in, out := io.Pipe()
		w, client, stream := flooded(t, func(*tenant.Gateway, *Gateway) {}, "/")
		_ = stream.Body.Close()
		w.limitTenant("anna", func(l *tenant.Limits) { l.Rate, l.Burst = 1, 2 })
		w.answerWith(func(ctx *fasthttp.RequestCtx, _ string) { ctx.SetBodyStream(&body{Reader: in}, -1) })
		stream, err := client.Get("https://anna.test/")
		if err != nil || stream.StatusCode != 200 {
			t.Fatal(stream, err)
		}
		defer stream.Body.Close()
		for _, c := range w.connections.list() {
			c.refusals.n.Store(1000)
			c.refusals.due.Store(time.Now().Add(time.Hour).UnixNano())
		}
		ctx, leave := context.WithCancel(context.Background())
		defer leave()
		var flood sync.WaitGroup
		flood.Go(func() {
			request, _ := http.NewRequestWithContext(ctx, http.MethodGet, "https://anna.test/", nil)
			got, err := client.Do(request)
			if err == nil {
				got.Body.Close()
				t.Errorf("an answer of %d to who has left", got.StatusCode)
			}
		})
		await(t, "a refusal that is held back", func() bool { return w.held.Load() == 1 })
		begun := time.Now()
		go func() { _, _ = io.WriteString(out, "event") }()
		if _, err := io.ReadFull(stream.Body, make([]byte, len("event"))); err != nil {
			t.Error(err)
		}
		leave()
		await(t, "the end of the wait", func() bool { return w.held.Load() == 0 })
		if took := time.Since(begun); took > longestHold-time.Second {
			t.Errorf("it took %v", took)
		}
		out.Close()
		flood.Wait()
	})
}

// TestPauseEnds slows a connection down and lets as many requests on.
func TestPauseEnds(t *testing.T) {
	x := &exchange{peer: &peer{connection: new(connection)}}
	for range 2 {
		x.peer.connection.refusals.add(100)
	}
	for range 3 {
		x.quicken()
	}
	if n := x.peer.connection.refusals.n.Load(); n != 0 {
		t.Errorf("%d refusals are remembered", n)
	}
}
