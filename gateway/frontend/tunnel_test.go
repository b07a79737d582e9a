package frontend

import (
	"crypto/sha256"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"golang.org/x/net/websocket"
)

const upgrade = "GET /live?x HTTP/1.1\r\nHost: a.test\r\nConnection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\n" +
	"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"

const switching = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"

// TestWebSocketBytes compares both handshakes byte by byte, and sends bytes of the tunnel together with each of them.
func TestWebSocketBytes(t *testing.T) {
	requests := make(chan string, 1)
	upstream := rawUpstream(t, func(c *scripted) {
		request, err := c.head()
		if err != nil {
			return
		}
		requests <- request
		c.say(switching + "first from upstream")
		_, _ = io.Copy(c, c.reader) // echo until the client ends its half
	})
	b := proxied(t, upstream).browse(t)
	b.send(upgrade + "first from client")

	const wantRequest = "GET /live?x HTTP/1.1\r\nHost: a.test\r\nSec-Websocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-Websocket-Version: 13\r\n" +
		"X-Request-Id: r1\r\nX-Tenant: anastasia\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
	if got := receive(t, "the handshake", requests); got != wantRequest {
		t.Fatalf("the upstream got\n%q\nwant\n%q", got, wantRequest)
	}
	const wantAnswer = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
		"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\nfirst from upstreamfirst from client"
	got := make([]byte, len(wantAnswer))
	if _, err := io.ReadFull(b.reader, got); err != nil || string(got) != wantAnswer {
		t.Fatalf("the client got\n%q, %v\nwant\n%q", got, err, wantAnswer)
	}

	// The client's end reaches the upstream, whose last words reach the client.
	b.send("last")
	if err := b.Conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if rest, err := io.ReadAll(b.reader); err != nil || string(rest) != "last" {
		t.Fatalf("%q, %v", rest, err)
	}
}

// TestWebSocketBulk moves 8 MiB each way at once.
func TestWebSocketBulk(t *testing.T) {
	const size = 8 << 20
	upstream := rawUpstream(t, func(c *scripted) {
		if _, err := c.head(); err != nil {
			return
		}
		c.say(switching)
		_, _ = io.Copy(c, c.reader)
	})
	b := proxied(t, upstream).browse(t)
	b.send(upgrade)
	if head, err := (&scripted{reader: b.reader}).head(); err != nil || !strings.HasPrefix(head, "HTTP/1.1 101 ") {
		t.Fatalf("%q, %v", head, err)
	}
	go func() { _, _ = io.CopyN(b, noise(2), size) }()
	want, got := sha256.New(), sha256.New()
	if _, err := io.CopyN(want, noise(2), size); err != nil {
		t.Fatal(err)
	}
	if _, err := io.CopyN(got, b.reader, size); err != nil || string(got.Sum(nil)) != string(want.Sum(nil)) {
		t.Fatalf("other bytes came back, %v", err)
	}
}

// TestWebSocketPeers speaks real WebSocket on both ends.
func TestWebSocketPeers(t *testing.T) {
	s := proxied(t, netUpstream(t, websocket.Handler(func(c *websocket.Conn) {
		var message string
		for websocket.Message.Receive(c, &message) == nil && websocket.Message.Send(c, message) == nil {
		}
	})))
	c, err := websocket.Dial("ws://"+s.addr+"/", "", "http://a.test")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for i := range 10 {
		sent := fmt.Sprintf("%d %s", i, strings.Repeat("x", i*1000))
		if err := websocket.Message.Send(c, sent); err != nil {
			t.Fatal(err)
		}
		var got string
		if err := websocket.Message.Receive(c, &got); err != nil || got != sent {
			t.Fatalf("%.20q, %v", got, err)
		}
	}
}

// TestWebSocketRefused passes on an answer that is no 101, and the connection is good for more.
func TestWebSocketRefused(t *testing.T) {
	s := proxied(t, netUpstream(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Error(w, "not for you", http.StatusForbidden)
	})))
	b := s.browse(t)
	for range 2 {
		b.send(upgrade)
		if a := b.receive("GET"); a.status != 403 || a.body != "not for you\n" {
			t.Fatalf("%d %q", a.status, a.body)
		}
	}
}

// TestWebSocketEnds ends a tunnel from each side; the other side must notice.
func TestWebSocketEnds(t *testing.T) {
	f := func(end func(s *site, upstream *scripted, client *browser)) {
		t.Helper()
		upstreams := make(chan *scripted, 1)
		ended := make(chan struct{})
		upstream := rawUpstream(t, func(c *scripted) {
			if _, err := c.head(); err != nil {
				return
			}
			c.say(switching)
			upstreams <- c
			c.untilClosed()
			close(ended)
		})
		s := proxied(t, upstream)
		b := s.browse(t)
		b.send(upgrade)
		if _, err := (&scripted{reader: b.reader}).head(); err != nil {
			t.Fatal(err)
		}
		end(s, receive(t, "the tunnel", upstreams), b)
		if _, err := io.Copy(io.Discard, b.reader); err != nil && !strings.Contains(err.Error(), "closed") {
			t.Fatal(err)
		}
		b.Close()
		receive(t, "the upstream's end", ended)
	}

	f(func(_ *site, upstream *scripted, _ *browser) { upstream.Close() })
	f(func(_ *site, _ *scripted, client *browser) { client.Close() })
	f(func(s *site, _ *scripted, _ *browser) { s.Close() })
}
