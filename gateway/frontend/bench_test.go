package frontend

import (
	"bufio"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/valyala/fasthttp"

	"metahub/tenant"
)

// page580 is the size of page that the project's comparisons with other proxies use.
var page580 = []byte(strings.Repeat("x", 580))

const browserRequest = "GET /index.html HTTP/1.1\r\nHost: anastasia.localhost\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0)\r\n" +
	"Accept: text/html,application/xhtml+xml,*/*;q=0.8\r\nAccept-Language: de,en;q=0.5\r\nAccept-Encoding: gzip, br\r\nCookie: session=0123456789abcdef\r\n" +
	"X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Proto: https\r\nX-Request-ID: 0123456789abcdef\r\n\r\n"

// benchUpstream is a local fasthttp server.
func benchUpstream(b *testing.B) *url.URL {
	b.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	server := &fasthttp.Server{Handler: func(ctx *fasthttp.RequestCtx) {
		ctx.Response.Header.Set("Cache-Control", "no-cache")
		ctx.Response.Header.Set("Etag", `"0123456789"`)
		ctx.SetBody(page580)
	}}
	go func() { _ = server.Serve(listener) }()
	b.Cleanup(func() { _ = server.Shutdown() })
	return &url.URL{Scheme: "http", Host: listener.Addr().String()}
}

// visitor makes the same request again and again. It is read anew each time, because reading all fields of one rewrites its cookies.
type visitor struct {
	fasthttp.RequestCtx
	raw    strings.Reader
	reader *bufio.Reader
}

func newVisitor() *visitor {
	v := &visitor{reader: bufio.NewReader(nil)}
	v.Init2(nil, silent{}, false)
	return v
}

func (v *visitor) ask(b *testing.B) *fasthttp.RequestCtx {
	v.raw.Reset(browserRequest)
	v.reader.Reset(&v.raw)
	v.Response.Reset()
	v.Request.Header.Reset()
	if err := v.Request.Header.Read(v.reader); err != nil {
		b.Fatal(err)
	}
	return &v.RequestCtx
}

// BenchmarkProxy is one exchange with a local upstream, whose own work is in the figure too. Its peer is BenchmarkHostClient.
func BenchmarkProxy(b *testing.B) { benchProxy(b, upstreamTenant(benchUpstream(b))) }

// BenchmarkProxyBalanced is the same with the choice between two.
func BenchmarkProxyBalanced(b *testing.B) {
	benchProxy(b, balanced(tenant.LeastConnections, 0, tenant.Upstream{URL: benchUpstream(b), Weight: 1}, tenant.Upstream{URL: benchUpstream(b), Weight: 1}))
}

// BenchmarkProxyRouted is the same through one of a hundred prefixes, which is taken off.
func BenchmarkProxyRouted(b *testing.B) {
	u := benchUpstream(b)
	routes := []tenant.Route{{}, {Prefix: "/index.html", To: tenant.Frontend{URL: u}, Replaced: true}}
	for i := range 98 {
		routes = append(routes, tenant.Route{Prefix: fmt.Sprintf("/section-%d", i)})
	}
	benchProxy(b, routed(routes...))
}

func benchProxy(b *testing.B, t *tenant.Tenant) {
	s := New(Config{})
	defer s.Close()
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		v := newVisitor()
		for pb.Next() {
			ctx := v.ask(b)
			s.Serve(ctx, t)
			if len(ctx.Response.Body()) != len(page580) {
				b.Fatalf("%d %s", ctx.Response.StatusCode(), ctx.Response.Body())
			}
		}
	})
}

// BenchmarkHostClient is the same exchange by fasthttp's own client, which checks and strips nothing.
func BenchmarkHostClient(b *testing.B) {
	client := &fasthttp.HostClient{Addr: benchUpstream(b).Host}
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		v := newVisitor()
		for pb.Next() {
			ctx := v.ask(b)
			if err := client.Do(&ctx.Request, &ctx.Response); err != nil || len(ctx.Response.Body()) != len(page580) {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkHead reads one answer's head.
func BenchmarkHead(b *testing.B) {
	raw := []byte("HTTP/1.1 200 OK\r\nServer: x\r\nDate: Sat, 01 Aug 2026 10:00:00 GMT\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: 580\r\n" +
		"Cache-Control: no-cache\r\nETag: \"0123456789\"\r\nVary: Accept-Encoding\r\nSet-Cookie: session=0123456789abcdef; Path=/; HttpOnly\r\n\r\n")
	var h head
	b.ReportAllocs()
	b.SetBytes(int64(len(raw)))
	for b.Loop() {
		if err := h.parse(raw); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkRequest reads and writes one request.
func BenchmarkRequest(b *testing.B) {
	v := newVisitor()
	var r request
	b.ReportAllocs()
	for b.Loop() {
		ctx := v.ask(b)
		if err := r.build(ctx, "anastasia", nil); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkFolder serves a small file of a folder: from memory, as its compressed form, and as a tenant does whose memory is full.
func BenchmarkFolder(b *testing.B) {
	f := func(name string, memory Memory, files ...string) {
		b.Run(name, func(b *testing.B) {
			s := New(Config{Memory: memory})
			defer s.Close()
			folder := b.TempDir()
			for _, name := range files {
				if err := os.WriteFile(filepath.Join(folder, name), page580, 0o644); err != nil {
					b.Fatal(err)
				}
			}
			t := &tenant.Tenant{Slug: "anastasia", Frontend: tenant.Frontend{Folder: folder}}
			v := newVisitor()
			b.ReportAllocs()
			for b.Loop() {
				ctx := v.ask(b)
				s.Serve(ctx, t)
				if len(ctx.Response.Body()) != len(page580) {
					b.Fatal(ctx.Response.StatusCode())
				}
			}
		})
	}
	f("memory", Memory{}, "index.html")
	f("precompressed", Memory{}, "index.html", "index.html.br")
	f("disk", Memory{Tenant: 1}, "index.html")
}
