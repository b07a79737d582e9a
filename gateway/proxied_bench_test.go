package gateway

import (
	"bytes"
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/url"
	"testing"
	"time"

	"github.com/valyala/fasthttp"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"metahub/gateway/frontend"
	"metahub/tenant"
)

// BenchmarkProxied is the whole way of a proxied page over HTTP/1.1 and TLS, through real sockets, with limits and the access log. Client
// and upstream are in the figure: both do no more than read, and write the same bytes each time.
func BenchmarkProxied(b *testing.B) {
	upstream := replyAlways(b, "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 580\r\n\r\n"+string(bytes.Repeat([]byte("x"), 580)))
	authority := newAuthority(b)
	frontends := frontend.New(frontend.Config{})
	g := New(Config{
		Registry: tenant.NewRegistry(tenant.NewDirectory(settings(), []*tenant.Tenant{{
			Slug: "anna", Domains: []string{"anna.test"}, Enabled: true, Frontend: tenant.Frontend{URL: upstream}, Compress: tenant.AllCodings(),
			Limits: tenant.Limits{Body: 1000, Timeout: time.Minute, Rate: 1e6, ClientRate: 1e6, Concurrency: 1000},
		}})),
		API:          func(*fasthttp.RequestCtx) {},
		Certificates: authority,
		Frontends:    frontends,
		Logger:       zap.New(zapcore.NewCore(zapcore.NewJSONEncoder(zap.NewProductionEncoderConfig()), zapcore.AddSync(io.Discard), zap.InfoLevel)),
	})
	if err := g.Start(); err != nil {
		b.Fatal(err)
	}
	defer frontends.Close()
	defer func() { _ = g.Shutdown(context.Background()) }()
	client, err := tls.Dial("tcp", g.https.String(), &tls.Config{ServerName: "anna.test", RootCAs: authority.pool()})
	if err != nil {
		b.Fatal(err)
	}
	defer client.Close()
	request, answer := []byte("GET /about?x=1 HTTP/1.1\r\n"+browserHeader+"\r\n"), make([]byte, 4<<10)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := client.Write(request); err != nil {
			b.Fatal(err)
		}
		n, err := client.Read(answer) // the answer is one TLS record
		if err != nil || !bytes.HasPrefix(answer, []byte("HTTP/1.1 200")) || !bytes.HasSuffix(answer[:n], []byte("xxxxxxxx")) {
			b.Fatalf("%q %v", answer[:n], err)
		}
	}
}

// replyAlways is an upstream that answers whatever it reads with the same bytes.
func replyAlways(b *testing.B, reply string) *url.URL {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				request, reply := make([]byte, 4<<10), []byte(reply)
				for {
					if _, err := c.Read(request); err != nil {
						return
					}
					if _, err := c.Write(reply); err != nil {
						return
					}
				}
			}()
		}
	}()
	return &url.URL{Scheme: "http", Host: l.Addr().String()}
}
