package frontend

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/valyala/fasthttp"
)

// TestPiecesLeaveAtOnce sends the next piece only when the client has the last one, so that anything held back would hang.
func TestPiecesLeaveAtOnce(t *testing.T) {
	f := func(head string, piece func(i int) string, wait func(b *browser, i int)) {
		t.Helper()
		next := make(chan struct{})
		upstream := rawUpstream(t, func(c *scripted) {
			if _, err := c.request(); err != nil {
				return
			}
			c.say(head)
			for i := range 5 {
				<-next
				c.say(piece(i))
			}
		})
		b := proxied(t, upstream).browse(t)
		b.send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n")
		var header fasthttp.ResponseHeader
		if err := header.Read(b.reader); err != nil {
			t.Fatalf("the head: %v", err)
		}
		for i := range 5 {
			next <- struct{}{}
			wait(b, i)
		}
	}

	expect := func(b *browser, want string) {
		t.Helper()
		got := make([]byte, len(want))
		if _, err := io.ReadFull(b.reader, got); err != nil || string(got) != want {
			t.Fatalf("got %q, %v; want %q", got, err, want)
		}
	}
	event := func(i int) string { return fmt.Sprintf("data: %d\n\n", i) }

	// Server-sent events, which have no length.
	f("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n",
		func(i int) string { return fmt.Sprintf("9\r\n%s\r\n", event(i)) },
		func(b *browser, i int) { t.Helper(); expect(b, "9\r\n"+event(i)+"\r\n") })
	f("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n",
		event,
		func(b *browser, i int) { t.Helper(); expect(b, "9\r\n"+event(i)+"\r\n") })
	// A slow body of known length.
	f("HTTP/1.1 200 OK\r\nContent-Length: 45\r\n\r\n",
		event,
		func(b *browser, i int) { t.Helper(); expect(b, event(i)) })
}

// TestStreamed checks what the gateway's log is told of bodies that end in different ways.
func TestStreamed(t *testing.T) {
	type end struct {
		bytes int64
		err   error
	}
	f := func(answer string, read int64, want end) {
		t.Helper()
		upstream, _ := answering(t, answer)
		s := New(Config{})
		defer s.Close()
		var ctx fasthttp.RequestCtx
		ctx.Init(&fasthttp.Request{}, nil, nil)
		s.Serve(&ctx, upstreamTenant(upstream))
		body, ok := ctx.Response.BodyStream().(Streamed)
		if !ok {
			t.Fatalf("the body is a %T", ctx.Response.BodyStream())
		}
		ends := make(chan end, 2)
		body.OnDone(func(bytes int64, err error) { ends <- end{bytes, err} })
		if _, err := io.CopyN(io.Discard, body, read); err != nil && read < 1<<20 {
			t.Fatal(err)
		}
		if len(ends) > 0 {
			t.Fatal("done before it is closed")
		}
		body.Close()
		body.Close()
		if got := <-ends; got.bytes != want.bytes || !errors.Is(got.err, want.err) || len(ends) > 0 {
			t.Fatalf("done with %v, want %v", got, want)
		}
		if n, err := body.Read(make([]byte, 1)); n > 0 || err == nil {
			t.Fatalf("read %d, %v after the end", n, err)
		}
	}

	large := strings.Repeat("x", 100_000)
	f("HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n"+large, 100_000, end{100_000, nil})
	f("HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n"+large, 1<<20, end{100_000, nil})
	f("HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n"+large, 1000, end{1000, errAbandoned})
	f("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n186a0\r\n"+large+"\r\n0\r\n\r\n", 1<<20, end{100_000, nil})
	f("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n186a0\r\n"+large+"\r\n+1", 1<<20, end{100_000, malformed("a chunk without size")})
}

// TestAbandonedBody lets a client go in the middle; the upstream's connection must end too.
func TestAbandonedBody(t *testing.T) {
	ended := make(chan struct{})
	upstream := rawUpstream(t, func(c *scripted) {
		if _, err := c.request(); err != nil {
			return
		}
		c.say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
		piece := fmt.Sprintf("8000\r\n%s\r\n", strings.Repeat("x", 0x8000))
		for {
			if _, err := io.WriteString(c, piece); err != nil {
				close(ended)
				return
			}
		}
	})
	b := proxied(t, upstream).browse(t)
	b.send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n")
	if _, err := io.CopyN(io.Discard, b.reader, 100_000); err != nil {
		t.Fatal(err)
	}
	b.Close()
	receive(t, "the end of the upstream's connection", ended)
}

// TestBodyThatStops is an upstream that hangs in the middle of a body.
func TestBodyThatStops(t *testing.T) {
	upstream := rawUpstream(t, func(c *scripted) {
		if _, err := c.request(); err == nil {
			c.say("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello")
			c.untilClosed()
		}
	})
	s := newSite(t, Config{Timings: Timings{Body: 50 * time.Millisecond}}, upstreamTenant(upstream))
	if a := s.get(t, "/"); a.status != 200 || a.err == nil {
		t.Fatalf("%d, the body looks complete: %q", a.status, a.body)
	}
}

// TestLargeBodies sends and fetches 64 MiB several times at once and watches the memory.
func TestLargeBodies(t *testing.T) {
	const size, clients, mostMemory = 64 << 20, 4, 32 << 20
	upstream := netUpstream(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == "PUT" {
			sum := sha256.New()
			if _, err := io.Copy(sum, r.Body); err != nil {
				t.Errorf("upload: %v", err)
			}
			fmt.Fprintf(w, "%x", sum.Sum(nil))
			return
		}
		if r.URL.Query().Has("length") {
			w.Header().Set("Content-Length", fmt.Sprint(size))
		}
		_, _ = io.CopyN(w, noise(1), size)
	}))
	s := proxied(t, upstream)
	sum := sha256.New()
	if _, err := io.CopyN(sum, noise(1), size); err != nil {
		t.Fatal(err)
	}

	runtime.GC()
	stop := make(chan struct{})
	peak := make(chan uint64)
	go func() {
		var stats runtime.MemStats
		runtime.ReadMemStats(&stats)
		before, most := stats.HeapInuse, uint64(0)
		for {
			runtime.ReadMemStats(&stats)
			most = max(most, stats.HeapInuse-min(before, stats.HeapInuse))
			select {
			case <-stop:
				peak <- most
				return
			case <-time.After(10 * time.Millisecond):
			}
		}
	}()
	var all sync.WaitGroup
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	for i := range clients {
		all.Go(func() {
			upload, err := http.NewRequest("PUT", "http://"+s.addr, io.LimitReader(noise(1), size))
			if err != nil {
				t.Error(err)
				return
			}
			if i%2 == 0 {
				upload.ContentLength = size
			}
			if got := read(t, client, upload, nil); got != fmt.Sprintf("%x", sum.Sum(nil)) {
				t.Errorf("another body arrived: %s", got)
			}
		})
		all.Go(func() {
			download, err := http.NewRequest("GET", "http://"+s.addr+[]string{"/", "/?length"}[i%2], nil)
			if err != nil {
				t.Error(err)
				return
			}
			got := sha256.New()
			read(t, client, download, got)
			if fmt.Sprintf("%x", got.Sum(nil)) != fmt.Sprintf("%x", sum.Sum(nil)) {
				t.Error("another body came back")
			}
		})
	}
	all.Wait()
	close(stop)
	most := <-peak
	t.Logf("the heap grew by %d KiB at most", most>>10)
	if most > mostMemory {
		t.Errorf("the heap grew by %d MiB", most>>20)
	}
}

// read sends a request and returns its body, or feeds it to sum.
func read(t *testing.T, client *http.Client, r *http.Request, sum hash.Hash) string {
	resp, err := client.Do(r)
	if err != nil {
		t.Error(err)
		return ""
	}
	defer resp.Body.Close()
	if sum != nil {
		if _, err := io.Copy(sum, resp.Body); err != nil {
			t.Error(err)
		}
		return ""
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Error(err)
	}
	return string(body)
}

// noise is an endless body that is the same for the same seed.
func noise(seed byte) io.Reader { return rand.NewChaCha8([32]byte{seed}) }

// netUpstream is an upstream by net/http.
func netUpstream(t testing.TB, h http.Handler) *url.URL {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	u, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	return u
}
