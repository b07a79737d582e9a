package gateway

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/valyala/fasthttp"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"metahub/gateway/wire"
	"metahub/tenant"
)

type silent struct{}

func (silent) Serve(ctx *fasthttp.RequestCtx, _ *tenant.Tenant)        { ctx.SetBodyString("page") }
func (silent) ServeBackend(ctx *fasthttp.RequestCtx, _ *tenant.Tenant) { ctx.SetBodyString("page") }
func (silent) EndEvents()                                              {}

// quiet makes a gateway that writes its access log to nowhere.
func quiet(b *testing.B) *Gateway {
	b.Helper()
	encoder := zapcore.NewJSONEncoder(zap.NewProductionEncoderConfig())
	return New(Config{
		Registry:     tenant.NewRegistry(tenant.NewDirectory(settings(), tenants())),
		API:          func(ctx *fasthttp.RequestCtx) { ctx.SetBodyString("{}") },
		Certificates: newAuthority(b),
		Frontends:    silent{},
		Logger:       zap.New(zapcore.NewCore(encoder, zapcore.AddSync(io.Discard), zap.InfoLevel)),
	})
}

const browserHeader = "Host: anna.test\r\nConnection: keep-alive\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36\r\n" +
	"Accept: text/html,application/xhtml+xml\r\nAccept-Encoding: gzip, deflate, br\r\nAccept-Language: de,en;q=0.9\r\n" +
	"Cookie: accessToken=eyJhbGciOiJIUzI1NiJ9.e30.x; theme=dark\r\nSec-Fetch-Site: same-origin\r\nReferer: https://anna.test/\r\n"

// readAndHandle measures handle with a request that is parsed anew each time.
func readAndHandle(b *testing.B, ctx *fasthttp.RequestCtx, raw []byte, handle fasthttp.RequestHandler) {
	b.Helper()
	source := bytes.NewReader(raw)
	reader := bufio.NewReader(source)
	b.ReportAllocs()
	for b.Loop() {
		ctx.Request.Reset()
		ctx.Response.Reset()
		source.Reset(raw)
		reader.Reset(source)
		if err := ctx.Request.Header.Read(reader); err != nil {
			b.Fatal(err)
		}
		handle(ctx)
	}
}

// BenchmarkChain is the whole way of an HTTP/1 request but its bytes: clean, identify, stamp, dispatch, log.
func BenchmarkChain(b *testing.B) {
	f := func(name, target, more string, handle func(*Gateway, *fasthttp.RequestCtx)) {
		b.Run(name, func(b *testing.B) {
			g := quiet(b)
			c := &connection{Conn: stub{}, set: &g.connections}
			var ctx fasthttp.RequestCtx
			ctx.Init2(&plainConn{Conn: wire.NewConn(c, wire.Limits{}), peer: peer{connection: c, text: []byte("192.0.2.1"), serverName: []byte("anna.test")}}, nil, false)
			raw := []byte("GET " + target + " HTTP/1.1\r\n" + browserHeader + more + "\r\n")
			readAndHandle(b, &ctx, raw, func(ctx *fasthttp.RequestCtx) { handle(g, ctx) })
			if status := ctx.Response.StatusCode(); status != fasthttp.StatusOK {
				b.Errorf("it was answered with %d: %s", status, ctx.Response.Body())
			}
		})
	}
	chain := (*Gateway).handle
	f("parse alone", "/about?x=1", "", func(_ *Gateway, ctx *fasthttp.RequestCtx) { ctx.URI() })
	f("page", "/about?x=1", "", chain)
	f("api", "/api/settings", "Origin: https://anna.test\r\n", chain)
	f("attack", "/about?x=1", "X-Tenant: bert\r\nX_Tenant: bert\r\nX-Forwarded-For: 1.2.3.4\r\n", chain)
}

type stub struct{ net.Conn }

// BenchmarkBridge is the way of an HTTP/2 request from net/http to the same handler and back.
func BenchmarkBridge(b *testing.B) {
	g := quiet(b)
	c := &carrier{peer: peer{connection: &connection{}, text: []byte("192.0.2.1"), serverName: []byte("anna.test"), http2: true}}
	r := &http.Request{
		Method: "GET", RequestURI: "/about?x=1", Host: "anna.test", URL: new(url.URL), TLS: new(tls.ConnectionState), Header: http.Header{}, Body: http.NoBody,
	}
	for _, line := range strings.Split(strings.TrimSpace(browserHeader), "\r\n") {
		name, value, _ := strings.Cut(line, ": ")
		if name != "Host" && name != "Connection" {
			r.Header.Set(name, value)
		}
	}
	r = r.WithContext(context.WithValue(context.Background(), connKey{}, c))
	w := &discard{header: http.Header{}}
	b.ReportAllocs()
	for b.Loop() {
		clear(w.header)
		g.serveHTTP2(w, r)
	}
	if w.status != 200 {
		b.Fatalf("status %d", w.status)
	}
}

type discard struct {
	header http.Header
	status int
}

func (d *discard) Header() http.Header         { return d.header }
func (d *discard) Write(p []byte) (int, error) { return len(p), nil }
func (d *discard) WriteHeader(status int)      { d.status = status }

func BenchmarkClassify(b *testing.B) {
	raw := []byte(browserHeader)
	b.ReportAllocs()
	for b.Loop() {
		for rest := raw; len(rest) > 0; {
			var name []byte
			name, _, rest = nextField(rest)
			classify(name)
		}
	}
}

// BenchmarkProtocols sends a page and 1 MiB over real sockets, the client in the same process, each protocol's usual Go client.
func BenchmarkProtocols(b *testing.B) {
	f := func(name string, size int, client func(w *world) *http.Client) {
		b.Run(name, func(b *testing.B) {
			w := start(b, nil)
			w.access = zap.NewNop()
			page := strings.Repeat("x", size)
			w.answerWith(func(ctx *fasthttp.RequestCtx, _ string) { ctx.SetBodyString(page) })
			c := client(w)
			b.SetBytes(int64(size))
			b.ReportAllocs()
			b.SetParallelism(8)
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					response, err := c.Get("https://anna.test/")
					if err != nil {
						b.Error(err)
						return
					}
					_, _ = io.Copy(io.Discard, response.Body)
					response.Body.Close()
				}
			})
		})
	}
	http2 := func(w *world) *http.Client { return w.client(true, "") }
	http3 := func(w *world) *http.Client { return w.clientHTTP3("") }
	f("page over http2", 1<<10, http2)
	f("page over http3", 1<<10, http3)
	f("1MiB over http2", 1<<20, http2)
	f("1MiB over http3", 1<<20, http3)
}
