package api

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/valyala/fasthttp"

	"metahub/bench/mongod"
	"metahub/store"
	"metahub/tenant"
)

// BenchmarkHandler is what requests cost within the process, from the request that the gateway has read to the answer that it will write. A
// server of MongoDB's protocol answers with 20 localized documents of 5 KB; it is in the same process, and a good part of the time where
// the database is asked.
func BenchmarkHandler(b *testing.B) {
	server, err := mongod.Start(mongod.Listing(20))
	if err != nil {
		b.Fatal(err)
	}
	defer server.Close()
	databases := store.New(store.Config{Data: b.TempDir()})
	defer func() { _ = databases.Close(context.Background()) }()
	asked := &tenant.Tenant{Slug: "asked", JWTSecret: tenant.NewSecret("key"), Database: tenant.Database{URI: tenant.NewSecret(server.URI("asked")), Name: "asked"}}
	rechecked := *asked
	rechecked.Slug, rechecked.Database.Recheck = "rechecked", time.Hour
	a, err := New(Config{Store: databases, Registry: tenant.NewRegistry(tenant.NewDirectory(tenant.Gateway{}, []*tenant.Tenant{asked, &rechecked}))})
	if err != nil {
		b.Fatal(err)
	}
	const list, item = "/api/products", "/api/products/66a000000000000000000000"
	var parts []string
	for range 10 {
		parts = append(parts, "u=/products")
	}
	batch := "/api/_batch?" + strings.Join(parts, "&")
	run := func(name string, t *tenant.Tenant, address string, conditional bool) {
		b.Run(name, func(b *testing.B) {
			http := newBenchmarkRequest(t, address)
			a.Handle(http)
			want := fasthttp.StatusOK
			if conditional {
				http.Request.Header.SetBytesV(fasthttp.HeaderIfNoneMatch, http.Response.Header.Peek(fasthttp.HeaderETag))
				want = fasthttp.StatusNotModified
			}
			size := len(http.Response.Body())
			b.ReportAllocs()
			for b.Loop() {
				http.Response.Reset()
				a.Handle(http)
				if got := http.Response.StatusCode(); got != want {
					b.Fatalf("status %d: %s", got, http.Response.Body())
				}
			}
			b.ReportMetric(float64(size), "B/answer")
		})
	}
	run("list", asked, list, false)
	run("item", asked, item, false)
	run("batch", asked, batch, false)
	run("list-304-asked", asked, list, true)
	run("item-304-asked", asked, item, true)
	run("list-304", &rechecked, list, true)
	run("item-304", &rechecked, item, true)
	run("batch-304", &rechecked, batch, true)
}

func newBenchmarkRequest(t *tenant.Tenant, address string) *fasthttp.RequestCtx {
	http := &fasthttp.RequestCtx{}
	http.Init(&fasthttp.Request{}, nil, nil)
	http.Request.Header.SetMethod(fasthttp.MethodGet)
	http.Request.SetRequestURI(address)
	http.Request.Header.SetHost(t.Slug + ".test")
	http.Request.Header.Set(fasthttp.HeaderAcceptLanguage, "de-DE,de;q=0.9,en;q=0.8")
	http.SetUserValue(tenant.ContextKey, t)
	return http
}
