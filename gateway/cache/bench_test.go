package cache

import (
	"net/url"
	"strings"
	"testing"

	"github.com/valyala/fasthttp"

	"metahub/tenant"
)

// always is an origin that gives one answer.
type always struct{ control, body string }

func (a always) Serve(ctx *fasthttp.RequestCtx, _ *tenant.Tenant) {
	h := &ctx.Response.Header
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Cache-Control", a.control)
	h.Set("ETag", `"dn3l5ul0zqwm-7tb"`)
	h.Set("Vary", "RSC, Next-Router-State-Tree, Next-Router-Prefetch, Accept-Encoding")
	h.Set("X-Powered-By", "Next.js")
	ctx.Response.SetBodyString(a.body)
}

func benchTenant() *tenant.Tenant {
	return &tenant.Tenant{
		Slug: "anna", Domains: []string{"anna.test"}, Enabled: true, Frontend: tenant.Frontend{URL: &url.URL{Scheme: "http", Host: "127.0.0.1:1"}},
		Cache: tenant.Cache{Enabled: true, Size: 32 << 20, Entry: 1 << 20, Shield: true},
	}
}

// BenchmarkServe is what the cache costs a request of a browser: beside an origin that costs nothing, and in place of it.
func BenchmarkServe(b *testing.B) {
	f := func(name string, t *tenant.Tenant, origin Origin, want Result) {
		b.Run(name, func(b *testing.B) {
			c := New(Config{Registry: tenant.NewRegistry(tenant.NewDirectory(tenant.Gateway{}, []*tenant.Tenant{t}))})
			defer c.Close()
			var ctx fasthttp.RequestCtx
			ctx.Init(&fasthttp.Request{}, nil, nil)
			h := &ctx.Request.Header
			h.SetHost("anna.test")
			h.SetRequestURI("/news?page=2")
			for _, line := range strings.Split(browser, "\n") {
				name, value, _ := strings.Cut(line, ": ")
				h.Set(name, value)
			}
			serve := func() Outcome {
				ctx.Response.Reset()
				return c.Serve(&ctx, t, Request{Shielded: true}, origin)
			}
			serve()
			b.ReportAllocs()
			for b.Loop() {
				if got := serve(); got.Result != want {
					b.Fatalf("%v, want %v", got.Result, want)
				}
			}
		})
	}
	off := benchTenant()
	off.Cache = tenant.Cache{}
	page := strings.Repeat("x", 20_000)
	f("off", off, always{"no-store", page}, None)
	f("hit", benchTenant(), always{"s-maxage=3600, stale-while-revalidate", page}, Hit)
	f("pass", benchTenant(), always{"private, no-cache, no-store", page}, Pass)
	f("pass shielded", benchTenant(), always{"max-age=0", page}, Pass)
}

const browser = `User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36
Accept: text/html,application/xhtml+xml
Accept-Encoding: gzip, deflate, br, zstd
Accept-Language: de,en;q=0.9
Sec-Fetch-Site: same-origin
X-Tenant: anna
X-Forwarded-For: 192.0.2.1
X-Forwarded-Proto: https
X-Forwarded-Host: anna.test
Referer: https://anna.test/`
