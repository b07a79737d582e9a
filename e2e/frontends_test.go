package e2e

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/websocket"
)

// site is a frontend with what a Next.js server does: pages, a WebSocket, and answers that come in pieces.
func site(t *testing.T, next <-chan struct{}) *httptest.Server {
	mux := http.NewServeMux()
	mux.Handle("/echo", websocket.Server{Handler: echo})
	mux.HandleFunc("/events", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		for i := range 3 {
			fmt.Fprintf(w, "data: %d\n\n", i)
			_ = http.NewResponseController(w).Flush()
			<-next // until the client has it
		}
	})
	mux.HandleFunc("POST /upload", func(w http.ResponseWriter, r *http.Request) {
		n, err := io.Copy(io.Discard, r.Body)
		fmt.Fprintf(w, "%d %v", n, err)
	})
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%s %s %s %s", r.Header.Get("X-Tenant"), r.Host, r.Header.Get("X-Forwarded-Proto"), r.Header.Get("X-Forwarded-For"))
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server
}

func echo(socket *websocket.Conn) {
	for {
		var message string
		if websocket.Message.Receive(socket, &message) != nil || websocket.Message.Send(socket, message) != nil {
			return
		}
	}
}

func TestFrontends(t *testing.T) {
	next := make(chan struct{})
	frontend := site(t, next)
	p := prepare(t)
	if err := os.MkdirAll(filepath.Join(p.folder, "site"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(p.folder, "site", "index.html"), []byte("<h1>files</h1>"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(p.folder, "site", "about.html"), []byte("<h1>about</h1>"), 0o600); err != nil {
		t.Fatal(err)
	}
	p.writeConfig("tenants:\n" +
		"  - slug: next\n    domains: [next.localhost]\n    body_limit: 64MiB\n    frontend: " + frontend.URL + "\n" +
		"  - slug: files\n    domains: [files.localhost]\n    frontend: dir:site\n" +
		"  - slug: down\n    domains: [down.localhost]\n    frontend: http://" + freeAddr(t) + "\n" +
		"  - slug: express\n    domains: [express.localhost]\n    backend: " + frontend.URL + "\n" +
		"  - slug: off\n    domains: [off.localhost]\n    enabled: false\n")
	p.run()
	_, port, _ := net.SplitHostPort(p.https)

	for _, protocol := range []string{"HTTP/1.1", "HTTP/2.0"} {
		client := p.client(protocol)
		f := func(slug, path string, status int, body string) {
			t.Helper()
			if a := do(t, client, "GET", p.url(slug, path), ""); a.Status != status || !contains(string(a.Body), body) {
				t.Errorf("%s %s%s: %d %q, want %d with %q", protocol, slug, path, a.Status, a.Body, status, body)
			}
		}
		f("next", "/", 200, "next next.localhost:"+port+" https 127.0.0.1")
		f("files", "/", 200, "<h1>files</h1>")
		f("files", "/about", 200, "<h1>about</h1>")
		f("files", "/nothing", 404, "")
		f("files", "/..%2f..%2fetc/passwd", 400, "")
		f("down", "/", 502, "")
		f("express", "/api/anything", 200, "express express.localhost:"+port)
		f("off", "/", 503, "")

		upload := strings.Repeat("x", 20<<20)
		if a := do(t, client, "POST", p.url("next", "/upload"), upload); string(a.Body) != fmt.Sprintf("%d <nil>", len(upload)) {
			t.Errorf("%s upload: %d %s", protocol, a.Status, a.Body)
		}
		if a := do(t, client, "POST", p.url("express", "/api/upload"), upload); a.Status != 413 {
			t.Errorf("%s upload beyond the limit: %d, want 413", protocol, a.Status)
		}
		readEvents(t, client, p.url("next", "/events"), next)
	}
}

// readEvents fails by the frontend's silence if an event is held back: the next one is only sent when this one has arrived.
func readEvents(t *testing.T, client *http.Client, url string, next chan<- struct{}) {
	t.Helper()
	resp, err := client.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	lines := bufio.NewScanner(resp.Body)
	for i := 0; lines.Scan(); {
		if lines.Text() == fmt.Sprintf("data: %d", i) {
			next <- struct{}{}
			i++
		}
	}
	if err := lines.Err(); err != nil {
		t.Errorf("%s: %v", url, err)
	}
}

func TestWebSocketThroughTheGateway(t *testing.T) {
	p := start(t, "tenants:\n  - slug: next\n    domains: [next.localhost]\n    frontend: "+site(t, nil).URL+"\n")
	config, err := websocket.NewConfig(strings.Replace(p.url("next", "/echo"), "https:", "wss:", 1), p.url("next", "/"))
	if err != nil {
		t.Fatal(err)
	}
	conn, err := tls.Dial("tcp", p.https, &tls.Config{ServerName: "next.localhost", RootCAs: p.rootCA, NextProtos: []string{"http/1.1"}})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	socket, err := websocket.NewClient(config, conn)
	if err != nil {
		t.Fatal(err)
	}
	_ = socket.SetDeadline(time.Now().Add(20 * time.Second))
	for i := range 100 {
		sent := fmt.Sprintf("message %d %s", i, strings.Repeat("x", i*100))
		var got string
		if err := websocket.Message.Send(socket, sent); err != nil {
			t.Fatal(err)
		}
		if err := websocket.Message.Receive(socket, &got); err != nil || got != sent {
			t.Fatalf("echo %d: %v, %d bytes for %d", i, err, len(got), len(sent))
		}
	}
	if code := p.terminate(); code != 0 {
		t.Errorf("with an open WebSocket SIGTERM ended with %d\n%s", code, p.output)
	}
}
