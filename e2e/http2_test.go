package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// servers are the values of gateway.http2.
var servers = []string{"engine", "standard"}

// startHTTP2 runs metahub with one of them in front of an upstream. The tenant's domain is localhost, which is a name that every client can
// look up.
func startHTTP2(t *testing.T, server, upstream string) *process {
	t.Helper()
	p := prepare(t)
	p.env = []string{"METAHUB_GATEWAY_HTTP2=" + server}
	p.writeConfig(fmt.Sprintf("tenants:\n  - {slug: one, domains: [localhost], frontend: %q, body_limit: 4GiB}\n", upstream))
	p.run()
	return p
}

// local is a URL of that tenant.
func (p *process) local(path string) string {
	_, port, _ := net.SplitHostPort(p.https)
	return "https://localhost:" + port + path
}

// replica answers what the clients of HTTP/2 ask for, and tells of those that left.
func replica(t *testing.T, left chan<- string) *httptest.Server {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprintf(w, "<title>page</title>%s", strings.Repeat("x", 580))
	})
	mux.HandleFunc("POST /sum", func(w http.ResponseWriter, r *http.Request) {
		n, sum, err := drain(r.Body)
		fmt.Fprintf(w, "%d %x %v %s", n, sum, err, r.Trailer.Get("X-Sum"))
	})
	mux.HandleFunc("GET /bytes/{n}", func(w http.ResponseWriter, r *http.Request) {
		n, _ := strconv.ParseInt(r.PathValue("n"), 10, 64)
		w.Header().Set("Cache-Control", "no-store")
		_, _ = io.Copy(w, pattern(n))
	})
	mux.HandleFunc("GET /trailers", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Trailer", "X-Sum")
		w.Header().Set("Cache-Control", "no-store")
		_, _ = io.WriteString(w, "body")
		w.Header().Set("X-Sum", "42")
	})
	mux.HandleFunc("GET /events", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		for i := range 3 {
			fmt.Fprintf(w, "data: %d\n\n", i)
			_ = http.NewResponseController(w).Flush()
		}
		<-r.Context().Done()
		left <- r.URL.RawQuery
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server
}

// upload is a file of the upload's content, and what /sum says of it.
func upload(t *testing.T, size int64) (file, sum string) {
	t.Helper()
	file = filepath.Join(t.TempDir(), "upload")
	content, err := io.ReadAll(pattern(size))
	if err == nil {
		err = os.WriteFile(file, content, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	n, crc, err := drain(pattern(size))
	return file, fmt.Sprintf("%d %x %v", n, crc, err)
}

// TestHTTP2Clients has clients of other makes fetch a page, upload, read trailers and events, and leave in the middle of these, which the
// upstream must learn of.
func TestHTTP2Clients(t *testing.T) {
	left := make(chan string, 10)
	upstream := replica(t, left)
	file, sum := upload(t, 3<<20)
	for _, server := range servers {
		t.Run(server, func(t *testing.T) {
			p := startHTTP2(t, server, upstream.URL)
			c := &clients{process: p, t: t, file: file, sum: sum, left: left}
			for name, try := range map[string]func(){"curl": c.curl, "chromium": c.chromium, "node": c.node, "nghttp": c.nghttp, "h2load": c.h2load} {
				t.Run(name, func(t *testing.T) {
					if _, err := exec.LookPath(name); err != nil {
						t.Skip(name + " is not installed")
					}
					c.t = t
					try()
				})
			}
		})
	}
}

// clients are programs that know what to expect.
type clients struct {
	*process
	t         *testing.T
	file, sum string
	left      <-chan string
}

// run runs a program to its end and returns what it wrote.
func (c *clients) run(name string, arguments ...string) string {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, name, arguments...).CombinedOutput()
	if err != nil {
		c.t.Fatalf("%s %s: %v\n%s", name, strings.Join(arguments, " "), err, out)
	}
	return string(out)
}

// leave runs a program until it has written the last event, and ends it; the upstream must notice.
func (c *clients) leave(name string, command ...string) {
	c.t.Helper()
	cmd := exec.Command(command[0], command[1:]...)
	out := &lockedBuffer{}
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		c.t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { _ = cmd.Wait(); close(ended) }()
	defer func() { _ = cmd.Process.Kill(); <-ended }()
	eventually(c.t, 20*time.Second, name+" to write the events", func() error {
		if !contains(out.String(), "data: 2") {
			return fmt.Errorf("it wrote %q", out)
		}
		return nil
	})
	_ = cmd.Process.Kill()
	c.awaitLeft(name)
}

func (c *clients) awaitLeft(name string) {
	c.t.Helper()
	select {
	case who := <-c.left:
		if who != name {
			c.t.Errorf("%q left, not %q", who, name)
		}
	case <-time.After(20 * time.Second):
		c.t.Errorf("the upstream still serves %s", name)
	}
}

func (c *clients) want(what, got string, parts ...string) {
	c.t.Helper()
	for _, part := range parts {
		if !contains(got, part) {
			c.t.Errorf("%s: no %q in\n%.2000s", what, part, got)
		}
	}
}

func (c *clients) curl() {
	options := []string{"--http2", "--cacert", c.rootCAPath, "--silent", "--show-error", "--dump-header", "-"}
	curl := func(more ...string) string { return c.run("curl", slices.Concat(options, more)...) }
	c.want("page", curl(c.local("/")), "HTTP/2 200", "<title>page</title>")
	c.want("upload", curl("--data-binary", "@"+c.file, c.local("/sum")), "HTTP/2 200", c.sum)
	c.want("upload that waits for 100", curl("--header", "Expect: 100-continue", "--data-binary", "@"+c.file, c.local("/sum")), c.sum)
	c.want("trailers", curl("--verbose", c.local("/trailers")), "body", "< x-sum: 42")
	c.want("slow download", curl("--output", os.DevNull, "--limit-rate", "4M", "--write-out", "%{size_download}", c.local("/bytes/3000000")), "3000000")
	c.leave("curl", slices.Concat([]string{"curl", "--no-buffer"}, options, []string{c.local("/events?curl")})...)
	c.leave("curl1", slices.Concat([]string{"curl", "--no-buffer"}, options, []string{"--http1.1", c.local("/events?curl1")})...)
}

func (c *clients) nghttp() {
	page := c.run("nghttp", "--verbose", c.local("/"))
	c.want("page", page, ":status: 200", "<title>page</title>")
	c.want("upload", c.run("nghttp", "--verbose", "--data", c.file, c.local("/sum")), c.sum)
	c.want("padded upload", c.run("nghttp", "--padding=255", "--data", c.file, c.local("/sum")), c.sum)
	c.want("trailers", c.run("nghttp", "--verbose", c.local("/trailers")), "body", "x-sum: 42")
	c.want("small windows", c.run("nghttp", "--window-bits=4", "--connection-window-bits=4", c.local("/")), "<title>page</title>")
	downloads := c.run("nghttp", "--null-out", "--stat", "--multiply=10", "--window-bits=10", "--connection-window-bits=10", c.local("/bytes/300000"))
	if n := len(regexp.MustCompile(`200 +\d+K /bytes/300000`).FindAllString(downloads, -1)); n != 10 {
		c.t.Errorf("%d of 10 downloads through small windows:\n%s", n, downloads)
	}
	c.want("many at once", c.run("nghttp", "--null-out", "--stat", "--multiply=50", c.local("/")), "200")
	c.leave("nghttp", "stdbuf", "--output=0", "nghttp", c.local("/events?nghttp"))
}

func (c *clients) h2load() {
	f := func(what string, arguments ...string) {
		c.t.Helper()
		out := c.run("h2load", append([]string{"-t1", "-c10", "-m10"}, arguments...)...)
		c.want(what, out, "succeeded, 0 failed, 0 errored, 0 timeout", "Application protocol: h2")
		if statuses := regexp.MustCompile(`status codes: (\d+) 2xx, 0 3xx, 0 4xx, 0 5xx`).FindStringSubmatch(out); statuses == nil {
			c.t.Errorf("%s:\n%s", what, out)
		}
	}
	f("pages", "-n5000", c.local("/"))
	f("uploads", "-n50", "-d", c.file, c.local("/sum"))
	f("pages through small windows", "-n500", "-w8", "-W8", c.local("/"))
	f("downloads through small windows", "-c1", "-n100", "-w10", "-W10", c.local("/bytes/300000"))
}

// node runs a script of Node's own http2 module; what it prints is the answers, in order.
func (c *clients) node() {
	out := c.run("node", filepath.Join("testdata", "http2.mjs"), c.local(""), c.rootCAPath, c.file)
	var got struct{ Page, Upload, Trailers, Downloads, Events string }
	if err := json.Unmarshal([]byte(out), &got); err != nil {
		c.t.Fatalf("%v\n%s", err, out)
	}
	c.want("page", got.Page, "200 <title>page</title>")
	c.want("upload", got.Upload, "200 "+c.sum+" 43")
	c.want("trailers", got.Trailers, "200 body 42")
	c.want("downloads through small windows", got.Downloads, strings.TrimSpace(strings.Repeat("1000000 ", 8)))
	c.want("events", got.Events, "data: 2")
	c.awaitLeft("node")
}

func (c *clients) chromium() {
	b := openBrowser(c.t, "chromium", c.process, "--disable-quic", "--host-resolver-rules=MAP localhost 127.0.0.1")
	tab := b.open(c.t)
	tab.visit(c.local("/"))
	await(tab, `document.title`, "page")
	if protocol := get[string](tab, `performance.getEntriesByType("navigation")[0].nextHopProtocol`); protocol != "h2" {
		c.t.Errorf("the page came over %q", protocol)
	}
	n, sum, err := drain(bytes.NewReader(bytes.Repeat([]byte("x"), 3<<20)))
	c.want("upload", get[string](tab, `fetch("/sum", {method: "POST", body: "x".repeat(3 << 20)}).then(r => r.text())`), fmt.Sprintf("%d %x %v", n, sum, err))
	c.want("trailers", get[string](tab, `fetch("/trailers").then(r => r.text())`), "body") // which pages cannot see
	if n := get[int](tab, `fetch("/bytes/100000000").then(async r => {
		let n = 0
		for await (const piece of r.body) n += piece.length
		return n
	})`); n != 100_000_000 {
		c.t.Errorf("a download of %d bytes, want 100,000,000", n)
	}
	if n := get[int](tab, `Promise.all(Array.from({length: 500}, (_, i) => fetch("/bytes/" + i).then(r => r.arrayBuffer()))).then(all => all.reduce((n, b) => n + b.byteLength, 0))`); n != 499*500/2 {
		c.t.Errorf("downloads of %d bytes", n)
	}
	c.want("events", get[string](tab, `new Promise(done => {
		const source = new EventSource("/events?chromium")
		source.onmessage = event => { if (event.data == "2") { source.close(); done("data: " + event.data) } }
	})`), "data: 2")
	c.awaitLeft("chromium")
}
