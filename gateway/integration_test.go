package gateway

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"metahub/gateway/frontend"
	"metahub/tenant"
)

// startWithUpstream runs a gateway whose tenants "up" and "back" are served by a real upstream, "files" by a folder and "plain" by the
// welcome page.
func startWithUpstream(t testing.TB, upstream http.HandlerFunc) *world {
	t.Helper()
	server := httptest.NewServer(upstream)
	t.Cleanup(server.Close)
	at, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, "index.html"), []byte("<h1>files</h1>"), 0o600); err != nil {
		t.Fatal(err)
	}
	w := start(t, func(_ *tenant.Gateway, g *Gateway) {
		frontends := frontend.New(frontend.Config{Logger: g.log})
		t.Cleanup(frontends.Close)
		g.frontends = frontends
	})
	limits := tenant.Limits{Body: 1 << 20, Timeout: time.Minute}
	w.registry.Publish(tenant.NewDirectory(settings(), []*tenant.Tenant{
		{Slug: "up", Brand: "Up", Domains: []string{"up.test"}, Enabled: true, Limits: limits, Frontend: tenant.Frontend{URL: at}},
		{Slug: "back", Brand: "Back", Domains: []string{"back.test"}, Enabled: true, Limits: limits, Backend: at},
		{Slug: "files", Brand: "Files", Domains: []string{"files.test"}, Enabled: true, Limits: limits, Frontend: tenant.Frontend{Folder: folder}},
		{Slug: "plain", Brand: "Plain & Co", Domains: []string{"plain.test"}, Enabled: true, Limits: limits},
	}))
	return w
}

func TestUpstreamSeesOneCleanRequest(t *testing.T) {
	pair(t, func(t *testing.T, http2 bool) {
		requests := make(chan *http.Request, 10)
		bodies := make(chan string, 10)
		w := startWithUpstream(t, func(rw http.ResponseWriter, r *http.Request) {
			text, _ := io.ReadAll(r.Body)
			requests <- r
			bodies <- string(text)
			rw.Header().Set("Access-Control-Allow-Origin", "*")
			fmt.Fprint(rw, "from upstream")
		})
		c := w.client(http2, "")
		got := w.do(c, "POST", "https://up.test:8443/a%20b?c=d", "body", "X-Tenant: bert", "X_Tenant: bert", "X-Forwarded-For: 1.2.3.4", `Cookie: a=b; c="d e"`)
		if got.StatusCode != 200 || got.body != "from upstream" {
			t.Fatalf("status %d, %q", got.StatusCode, got.body)
		}
		r := <-requests
		if r.Host != "up.test:8443" || r.RequestURI != "/a%20b?c=d" || <-bodies != "body" || r.Header.Get("Cookie") != `a=b; c="d e"` {
			t.Errorf("the upstream saw %q %q %q", r.Host, r.RequestURI, r.Header)
		}
		for name, want := range map[string]string{
			"X-Tenant": "up", "X-Forwarded-For": "127.0.0.1", "X-Forwarded-Host": "up.test:8443", "X-Forwarded-Proto": "https",
			"X-Forwarded-Port": "8443", "X-Real-Ip": "127.0.0.1", "X-Request-Id": got.Header.Get("X-Request-Id"),
		} {
			if values := r.Header.Values(name); len(values) != 1 || values[0] != want {
				t.Errorf("%s: %q, want %q", name, values, want)
			}
		}
		for name := range r.Header {
			if strings.EqualFold(name, "X_Tenant") {
				t.Errorf("the upstream saw %q", r.Header)
			}
		}
		got = w.do(c, "GET", "https://back.test/api/x", "", "Origin: https://evil.test")
		<-requests
		<-bodies
		if got.body != "from upstream" || got.Header.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("the backend's answer: %q %q", got.body, got.Header)
		}
		got = w.do(c, "GET", "https://back.test/api/x", "", "Origin: https://back.test")
		if values := got.Header.Values("Access-Control-Allow-Origin"); len(values) != 1 || values[0] != "https://back.test" {
			t.Errorf("the backend's answer to its own page: %q", got.Header)
		}
		if line := w.logs.find("logger", "access")[0]; !strings.HasPrefix(fmt.Sprint(line["upstream"]), "127.0.0.1:") || line["bytes"] != 13.0 {
			t.Errorf("logged %v", line)
		}
	})
}

// TestClientLeavesTheWait has a client of each protocol leave while its request waits for an upstream that refuses connections.
func TestClientLeavesTheWait(t *testing.T) {
	pair(t, func(t *testing.T, http2 bool) {
		timely(t, 300*time.Millisecond, func(t testing.TB) {
			w := startWithUpstream(t, func(http.ResponseWriter, *http.Request) {})
			nowhere := &url.URL{Scheme: "http", Host: freeAddress(t)}
			limits := tenant.Limits{Timeout: time.Minute, Hold: time.Minute}
			w.registry.Publish(tenant.NewDirectory(settings(), []*tenant.Tenant{
				{Slug: "up", Domains: []string{"up.test"}, Enabled: true, Limits: limits, Frontend: tenant.Frontend{URL: nowhere}},
			}))
			c := w.client(http2, "")
			c.Timeout = 300 * time.Millisecond
			if response, err := c.Get("https://up.test/waits"); err == nil {
				t.Fatalf("status %d from nowhere", response.StatusCode)
			}
			await(t, "the request to end", func() bool { return len(w.logs.find("path", "/waits")) == 1 })
		})
	})
}

// freeAddress is one of the loopback on which nobody listens.
func freeAddress(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func TestFoldersAndWelcome(t *testing.T) {
	pair(t, func(t *testing.T, http2 bool) {
		w := startWithUpstream(t, nil)
		c := w.client(http2, "")
		if got := w.do(c, "GET", "https://files.test/", ""); got.StatusCode != 200 || got.body != "<h1>files</h1>" {
			t.Errorf("a folder: %d %q", got.StatusCode, got.body)
		}
		if got := w.do(c, "GET", "https://plain.test/", ""); got.StatusCode != 200 || !strings.Contains(got.body, "Plain &amp; Co") {
			t.Errorf("the welcome page: %d %q", got.StatusCode, got.body)
		}
		await(t, "the log", func() bool {
			return len(w.logs.find("upstream", "dir")) == 1 && len(w.logs.find("upstream", "welcome")) == 1
		})
	})
}

func TestEventsArriveAtOnce(t *testing.T) {
	pair(t, func(t *testing.T, http2 bool) {
		next := make(chan struct{})
		w := startWithUpstream(t, func(rw http.ResponseWriter, r *http.Request) {
			rw.Header().Set("Content-Type", "text/event-stream")
			out := http.NewResponseController(rw)
			_ = out.Flush()
			for i := range 3 {
				<-next
				fmt.Fprintf(rw, "data: %d\n\n", i)
				_ = out.Flush()
			}
		})
		response, err := w.client(http2, "").Get("https://up.test/events")
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		events := bufio.NewReader(response.Body)
		for i := range 3 {
			next <- struct{}{} // the upstream sends one event, and nothing more until it has arrived
			if line, err := events.ReadString('\n'); line != fmt.Sprintf("data: %d\n", i) {
				t.Fatalf("read %q, %v", line, err)
			}
			_, _ = events.ReadString('\n')
		}
	})
}

// Streams of events never end by themselves: they do at a shutdown, and nobody takes them for complete.
func TestEventsEndWithTheGateway(t *testing.T) {
	pair(t, func(t *testing.T, http2 bool) {
		gone := make(chan struct{})
		w := startWithUpstream(t, func(rw http.ResponseWriter, r *http.Request) {
			rw.Header().Set("Content-Type", "text/event-stream")
			fmt.Fprint(rw, "data: 0\n\n")
			_ = http.NewResponseController(rw).Flush()
			<-r.Context().Done()
			close(gone)
		})
		w.grace = 200 * time.Millisecond
		response, err := w.client(http2, "").Get("https://up.test/events")
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		events := bufio.NewReader(response.Body)
		if line, err := events.ReadString('\n'); line != "data: 0\n" {
			t.Fatalf("read %q, %v", line, err)
		}
		if err := w.stop(25 * time.Second); err != nil {
			t.Error(err)
		}
		if rest, err := io.ReadAll(events); err == nil {
			t.Errorf("the stream ends like a complete one, with %q", rest)
		}
		select {
		case <-gone:
		case <-time.After(10 * time.Second):
			t.Error("the upstream goes on")
		}
	})
}

func TestUploadBeyondTheLimit(t *testing.T) {
	pair(t, func(t *testing.T, http2 bool) {
		received := make(chan int64, 1)
		w := startWithUpstream(t, func(rw http.ResponseWriter, r *http.Request) {
			n, err := io.Copy(io.Discard, r.Body)
			if err == nil {
				n = -1
			}
			received <- n
		})
		c := w.client(http2, "")
		response, err := c.Post("https://up.test/", "text/plain", struct{ io.Reader }{strings.NewReader(strings.Repeat("x", 3<<20))})
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		if response.StatusCode != http.StatusRequestEntityTooLarge {
			t.Errorf("status %d, want 413", response.StatusCode)
		}
		if n := <-received; n < 0 || n > 1<<20 {
			t.Errorf("the upstream got %d bytes of a body that it took for a whole one (-1) or that is over the limit", n)
		}
	})
}

func TestEarlyAnswerToAnUpload(t *testing.T) {
	pair(t, func(t *testing.T, http2 bool) {
		w := startWithUpstream(t, func(rw http.ResponseWriter, r *http.Request) {
			rw.Header().Set("Connection", "close") // net/http would wait for the body else
			rw.WriteHeader(http.StatusForbidden)
		})
		reader, writer := io.Pipe()
		defer writer.Close()
		go func() { _, _ = io.WriteString(writer, "the beginning") }()
		r, err := http.NewRequest("POST", "https://up.test/", reader)
		if err != nil {
			t.Fatal(err)
		}
		response, err := w.client(http2, "").Do(r) // the body never ends
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		if response.StatusCode != http.StatusForbidden {
			t.Errorf("status %d, want 403", response.StatusCode)
		}
	})
}

// TestCookiesStayAsTheyAre sends a second Cookie field besides one that is dropped.
func TestCookiesStayAsTheyAre(t *testing.T) {
	cookies := make(chan string, 1)
	w := startWithUpstream(t, func(rw http.ResponseWriter, r *http.Request) {
		cookies <- strings.Join(r.Header.Values("Cookie"), "|")
	})
	got := w.raw("up.test", "GET / HTTP/1.1\r\nHost: up.test\r\nCookie: a=\"b\"; c\r\nX-Tenant: bert\r\nCookie: d=\"e\"\r\n\r\n")
	if sent := <-cookies; got.StatusCode != 200 || sent != `a="b"; c|d="e"` {
		t.Errorf("status %d, Cookie: %s", got.StatusCode, sent)
	}
}

// TestUpgradeWithContent is no upgrade: where the content would end is for the frames to say.
func TestUpgradeWithContent(t *testing.T) {
	seen := make(chan string, 1)
	w := startWithUpstream(t, func(rw http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		seen <- r.Header.Get("Upgrade") + string(body)
	})
	f := func(framing string) {
		t.Helper()
		got := w.raw("up.test", "GET / HTTP/1.1\r\nHost: up.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+framing)
		if sent := <-seen; got.StatusCode != 200 || sent != "hello" {
			t.Errorf("%q: status %d, the upstream saw %q", framing, got.StatusCode, sent)
		}
	}
	f("Content-Length: 5\r\n\r\nhello")
	f("Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n")
}

func TestWebSocketThroughTheGateway(t *testing.T) {
	w := startWithUpstream(t, func(rw http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Upgrade") != "websocket" || r.Header.Get("X-Tenant") != "up" {
			rw.WriteHeader(http.StatusBadRequest)
			return
		}
		c, buffered, err := http.NewResponseController(rw).Hijack()
		if err != nil {
			return
		}
		defer c.Close()
		_, _ = io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
		_, _ = io.Copy(c, buffered)
	})
	c := w.dial("up.test")
	r := bufio.NewReader(c)
	if _, err := io.WriteString(c, "GET /ws HTTP/1.1\r\nHost: up.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	response, err := http.ReadResponse(r, nil)
	if err != nil || response.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("%v, %v; want 101", response, err)
	}
	for _, frame := range []string{"\x81\x05hello", "\x89\x00", "GET / HTTP/1.1\r\n\r\n"} {
		if _, err := io.WriteString(c, frame); err != nil {
			t.Fatal(err)
		}
		got := make([]byte, len(frame))
		if _, err := io.ReadFull(r, got); err != nil || string(got) != frame {
			t.Fatalf("echo %q, %v; want %q", got, err, frame)
		}
	}
	if line := w.logs.find("logger", "access"); len(line) != 1 || line[0]["status"] != 101.0 {
		t.Errorf("logged %v", line)
	}
	c.Close()
	await(t, "the connection's end", func() bool { return w.counts.event(Closed) == 1 })
}
