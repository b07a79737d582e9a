package frontend

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// TestEarlyAnswer refuses an upload while its client waits with the rest of it. The refusal must arrive, and the connection end.
func TestEarlyAnswer(t *testing.T) {
	f := func(framing, start string) {
		t.Helper()
		upstream := rawUpstream(t, func(c *scripted) {
			if _, err := c.head(); err == nil {
				c.say("HTTP/1.1 413 Content Too Large\r\nContent-Length: 8\r\n\r\ntoo much")
				c.untilClosed()
			}
		})
		b := proxied(t, upstream).browse(t)
		b.send("POST / HTTP/1.1\r\nHost: a.test\r\n" + framing + "\r\n\r\n" + start)
		a := b.receive("POST")
		if a.status != 413 || a.body != "too much" || !a.header.ConnectionClose() {
			t.Fatalf("%s: %d %q\n%s", framing, a.status, a.body, a.header)
		}
		if n, err := io.Copy(io.Discard, b.reader); n > 0 {
			t.Fatalf("%s: %d more bytes, %v", framing, n, err)
		}
	}

	f("Content-Length: 1000000", "x")
	f("Content-Length: 1000000", strings.Repeat("x", 100_000))
	f("Transfer-Encoding: chunked", "1\r\nx\r\n")
	f("Transfer-Encoding: chunked", "")
}

// TestEarlyStreamedAnswer is an early refusal whose body comes in pieces.
func TestEarlyStreamedAnswer(t *testing.T) {
	upstream := rawUpstream(t, func(c *scripted) {
		if _, err := c.head(); err != nil {
			return
		}
		c.say("HTTP/1.1 401 Unauthorized\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nnot\r\n")
		c.untilClosedOr(10 * time.Millisecond)
		c.say("4\r\n you\r\n0\r\n\r\n")
		c.untilClosed()
	})
	b := proxied(t, upstream).browse(t)
	b.send("POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 1000000\r\n\r\nx")
	if a := b.receive("POST"); a.status != 401 || a.body != "not you" || a.err != nil || !a.header.ConnectionClose() {
		t.Fatalf("%d %q %v", a.status, a.body, a.err)
	}
}

// TestAnswerWhileUploading echoes a body piece by piece: both directions must flow at once.
func TestAnswerWhileUploading(t *testing.T) {
	upstream := netUpstream(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		control := http.NewResponseController(w)
		if err := control.EnableFullDuplex(); err != nil {
			t.Error(err)
		}
		buffer := make([]byte, 100)
		for {
			n, err := r.Body.Read(buffer)
			if n > 0 {
				_, _ = w.Write(buffer[:n])
				_ = control.Flush()
			}
			if err != nil {
				return
			}
		}
	}))
	b := proxied(t, upstream).browse(t)
	b.send("POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n")
	head := ""
	for i := range 5 {
		word := fmt.Sprintf("word%d", i)
		b.send("5\r\n" + word + "\r\n")
		if i == 0 {
			for !strings.HasSuffix(head, "\r\n\r\n") {
				line, err := b.reader.ReadString('\n')
				if err != nil {
					t.Fatal(err)
				}
				head += line
			}
		}
		got := make([]byte, len("5\r\nword0\r\n"))
		if _, err := io.ReadFull(b.reader, got); err != nil || string(got) != "5\r\n"+word+"\r\n" {
			t.Fatalf("%q, %v", got, err)
		}
	}
	b.send("0\r\n\r\n")
	if end, err := b.reader.ReadString('\n'); err != nil || end != "0\r\n" {
		t.Fatalf("%q, %v", end, err)
	}
}

// TestUploadsKeepAlive sends bodies one after the other: neither connection may end for a race between the body's end and the answer.
func TestUploadsKeepAlive(t *testing.T) {
	var connections atomic.Int64
	upstream := rawUpstream(t, func(c *scripted) {
		connections.Add(1)
		for {
			if _, err := c.request(); err != nil {
				return
			}
			c.say("HTTP/1.1 204 No Content\r\n\r\n")
		}
	})
	b := proxied(t, upstream).browse(t)
	body := strings.Repeat("x", 20_000)
	for i := range 300 {
		if i%2 == 0 {
			b.send("POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 20000\r\n\r\n" + body)
		} else {
			b.send("POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n4e20\r\n" + body + "\r\n0\r\n\r\n")
		}
		if a := b.receive("POST"); a.status != 204 || a.header.ConnectionClose() {
			t.Fatalf("upload %d: %d\n%s", i, a.status, a.header)
		}
	}
	if n := connections.Load(); n != 1 {
		t.Errorf("%d connections to the upstream", n)
	}
}

// TestUploadCutShort is a client that goes away in the middle: the upstream must not take what it has for a whole body.
func TestUploadCutShort(t *testing.T) {
	f := func(framing, start string) {
		t.Helper()
		ends := make(chan error, 1)
		upstream := rawUpstream(t, func(c *scripted) {
			_, err := c.request()
			ends <- err
		})
		b := proxied(t, upstream).browse(t)
		b.send("POST / HTTP/1.1\r\nHost: a.test\r\n" + framing + "\r\n\r\n" + start)
		b.Close()
		if err := receive(t, "the end at the upstream", ends); err == nil {
			t.Fatalf("%s: the upstream got a whole request", framing)
		}
	}

	f("Content-Length: 100000", strings.Repeat("x", 50_000))
	f("Transfer-Encoding: chunked", "5\r\nhello\r\n")
	f("Transfer-Encoding: chunked", "5\r\nhel")
}

// TestMalformedUpload is a client whose chunks are bad: it is told so, and the upstream gets no whole request.
func TestMalformedUpload(t *testing.T) {
	begun, ends := make(chan struct{}), make(chan error, 1)
	upstream := rawUpstream(t, func(c *scripted) {
		head, err := c.head()
		close(begun)
		if err == nil {
			c.reader = bufio.NewReader(io.MultiReader(strings.NewReader(head), c.reader))
			_, err = c.request()
		}
		ends <- err
	})
	b := proxied(t, upstream).browse(t)
	b.send("POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
	<-begun
	b.send("0x1\r\n!\r\n0\r\n\r\n")
	if a := b.receive("POST"); a.status != 400 || !strings.Contains(a.body, "the size of a chunk is malformed") {
		t.Fatalf("%d %s", a.status, a.body)
	}
	if err := receive(t, "the end at the upstream", ends); err == nil {
		t.Fatal("the upstream got a whole request")
	}
}

// TestSmallBodyCutShort never reaches an upstream.
func TestSmallBodyCutShort(t *testing.T) {
	upstream, requests := answering(t, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
	s := proxied(t, upstream)
	b := s.browse(t)
	b.send("POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 10\r\n\r\nhello")
	b.Close()
	if a := s.get(t, "/after"); a.status != 200 {
		t.Fatal(a.status)
	}
	if got := receive(t, "the request after", requests); !strings.HasPrefix(got, "GET /after ") {
		t.Fatalf("the upstream got %q", got)
	}
}

// TestSlowSmallBody takes longer to send a body than the upstream may take to answer, which is no fault of the upstream's.
func TestSlowSmallBody(t *testing.T) {
	upstream, _ := answering(t, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
	tn := upstreamTenant(upstream)
	tn.Limits.Timeout = time.Second
	b := newSite(t, Config{}, tn).browse(t)
	begun := time.Now()
	b.send("POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 2\r\n\r\nh")
	eventually(t, "the timeout has passed", func() bool { return time.Since(begun) > 1200*time.Millisecond })
	b.send("i")
	if a := b.receive("POST"); a.status != 200 {
		t.Fatal(a.status)
	}
}

// TestUploadIntoClosedConnection answers and closes while the body is still coming; the answer counts.
func TestUploadIntoClosedConnection(t *testing.T) {
	upstream := rawUpstream(t, func(c *scripted) {
		if _, err := c.head(); err == nil {
			c.say("HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno")
		}
	})
	s := proxied(t, upstream)
	for range 20 {
		b := s.browse(t)
		b.send("POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 300000\r\n\r\n")
		b.send(strings.Repeat("x", 9000))
		if a := b.receive("POST"); a.status != 403 && a.status != 502 {
			t.Fatal(a.status)
		}
		b.Close()
	}
}

// TestUploadNotTaken is an upstream that reads nothing of a body and does not answer.
func TestUploadNotTaken(t *testing.T) {
	over := make(chan struct{})
	upstream := rawUpstream(t, func(c *scripted) {
		_, _ = c.head()
		<-over
	})
	defer close(over)
	s := newSite(t, Config{Timings: Timings{Body: 50 * time.Millisecond}}, upstreamTenant(upstream))
	b := s.browse(t)
	go func() {
		_, _ = io.WriteString(b, "POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 30000000\r\n\r\n"+strings.Repeat("x", 30_000_000))
	}()
	if a := b.receive("POST"); a.status != 504 || !a.header.ConnectionClose() {
		t.Fatalf("%d\n%s", a.status, a.header)
	}
}

func (c *scripted) untilClosedOr(d time.Duration) {
	_ = c.SetReadDeadline(time.Now().Add(d))
	c.untilClosed()
	_ = c.SetReadDeadline(time.Time{})
}
