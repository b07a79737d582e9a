package gateway

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/valyala/fasthttp"

	"metahub/gateway/cache"
	"metahub/gateway/frontend"
	"metahub/tenant"
)

// cachedWorld is a gateway with real frontends, whose cache has a clock that the test turns.
type cachedWorld struct {
	*world
	ahead     atomic.Int64 // of the real time
	frontends *frontend.Server
}

// cachedTenants are "anna" and "bert", whose frontend and backend is one server.
func cachedTenants(site tenant.Frontend, change func(*tenant.Tenant)) []*tenant.Tenant {
	limits := tenant.Limits{Body: 1000, Timeout: time.Minute}
	kept := tenant.Cache{Enabled: true, Size: 4 << 20, Entry: 256 << 10, Shield: true}
	list := []*tenant.Tenant{
		{Slug: "anna", Domains: []string{"anna.test", "www.anna.test"}, Enabled: true, Limits: limits, Frontend: site, Backend: site.URL, Cache: kept},
		{Slug: "bert", Domains: []string{"bert.test"}, Enabled: true, Limits: limits, Frontend: site, Backend: site.URL, Cache: kept},
	}
	for _, t := range list {
		if change != nil {
			change(t)
		}
	}
	return list
}

func startCached(t testing.TB, site tenant.Frontend, change func(*tenant.Tenant)) *cachedWorld {
	t.Helper()
	w := &cachedWorld{frontends: frontend.New(frontend.Config{})}
	var gateway tenant.Gateway
	w.world = start(t, func(s *tenant.Gateway, g *Gateway) {
		gateway = *s
		now := func() time.Time { return time.Now().Add(time.Duration(w.ahead.Load())) }
		g.cache = cache.New(cache.Config{Registry: g.registry, Logger: g.log, Now: now, Wait: time.Minute})
		t.Cleanup(w.frontends.Close)
		t.Cleanup(g.cache.Close)
	})
	w.registry.Publish(tenant.NewDirectory(gateway, cachedTenants(site, change)))
	w.answerWith(func(ctx *fasthttp.RequestCtx, who string) {
		if who == "backend" {
			w.frontends.ServeBackend(ctx, tenant.FromContext(ctx))
			return
		}
		w.frontends.Serve(ctx, tenant.FromContext(ctx))
	})
	return w
}

func (w *cachedWorld) pass(d time.Duration) { w.ahead.Add(int64(d)) }

// says is our part of Cache-Status, without what changes from run to run; "-" for none.
func (a answer) says() string {
	said := a.Header.Values("Cache-Status")
	if len(said) == 0 {
		return "-"
	}
	ours, _ := strings.CutPrefix(said[len(said)-1], "MetaHub; ")
	return ours
}

// script is an origin that answers by path with what a test has written for it, and with how often it has been asked as the body.
type script struct {
	mu      sync.Mutex
	answers map[string]scripted
	asked   map[string]int
	seen    map[string]http.Header // of the last request
}

// scripted is what a page answers: "Name: value" lines, and a status other than 200.
type scripted struct {
	fields []string
	status int
}

func newScript() *script {
	return &script{answers: map[string]scripted{}, asked: map[string]int{}, seen: map[string]http.Header{}}
}

func (s *script) set(path string, status int, fields ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answers[path] = scripted{fields, status}
}

func (s *script) times(path string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked[path]
}

func (s *script) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	answer := s.answers[r.URL.Path]
	s.asked[r.URL.Path]++
	body := strconv.Itoa(s.asked[r.URL.Path])
	s.seen[r.URL.Path] = r.Header.Clone()
	s.mu.Unlock()
	for _, field := range answer.fields {
		name, value, _ := strings.Cut(field, ": ")
		if value == "in a minute" {
			value = time.Now().Add(time.Minute).UTC().Format(http.TimeFormat)
		}
		w.Header().Add(name, value)
	}
	status := answer.status
	if tag := w.Header().Get("ETag"); status == 0 && tag != "" && r.Header.Get("If-None-Match") == tag {
		status = http.StatusNotModified
	}
	if status != 0 {
		w.WriteHeader(status)
	}
	if status != http.StatusNotModified && status != http.StatusNoContent {
		fmt.Fprint(w, body)
	}
}

// step is a request, some time after the one before, and what comes of it: status, body, and our Cache-Status.
type step struct {
	after   time.Duration
	request string // "GET" and "Name: value" fields, with lines between
	want    string
}

// rule is one of RFC 9111's, or of ours, walked in steps.
type rule struct {
	name  string
	page  scripted
	then  map[int]scripted // the page from a step on
	steps []step
}

const (
	rfcDate   = "Tue, 15 Nov 1994 08:12:31 GMT"
	sessionID = "Cookie: session=1"
)

var rules = []rule{
	{name: "public and fresh", page: scripted{fields: []string{"Cache-Control: public, max-age=60"}}, steps: []step{
		{0, "GET", "200 1 fwd=uri-miss; stored"}, {0, "GET", "200 1 hit; ttl=59"}, {50 * time.Second, "GET", "200 1 hit; ttl=9"},
		{20 * time.Second, "GET", "200 2 fwd=stale; stored"},
	}},
	{name: "s-maxage goes before max-age", page: scripted{fields: []string{"Cache-Control: s-maxage=60, max-age=5"}}, steps: []step{
		{0, "GET", "200 1 fwd=uri-miss; stored"}, {30 * time.Second, "GET", "200 1 hit; ttl=29"},
	}},
	{name: "s-maxage=0 forbids", page: scripted{fields: []string{"Cache-Control: public, max-age=60, s-maxage=0"}}, steps: []step{
		{0, "GET", "200 1 -"}, {0, "GET", "200 2 -"},
	}},
	{name: "Expires", page: scripted{fields: []string{"Expires: in a minute"}}, steps: []step{
		{0, "GET", "200 1 fwd=uri-miss; stored"}, {time.Second, "GET", "200 1 hit; ttl=59"}, {time.Hour, "GET", "200 2 -"},
	}},
	{name: "Expires that is no date", page: scripted{fields: []string{"Cache-Control: public", "Expires: 0"}}, steps: []step{
		{0, "GET", "200 1 -"}, {0, "GET", "200 2 -"},
	}},
	{name: "no heuristics", page: scripted{fields: []string{"Last-Modified: " + rfcDate, "Cache-Control: public"}}, steps: []step{
		{0, "GET", "200 1 -"}, {0, "GET", "200 2 -"},
	}},
	{name: "Age counts", page: scripted{fields: []string{"Cache-Control: max-age=60", "Age: 50"}}, steps: []step{
		{0, "GET", "200 1 fwd=uri-miss; stored"}, {5 * time.Second, "GET", "200 1 hit; ttl=4"}, {10 * time.Second, "GET", "200 2 fwd=stale; stored"},
	}},
	{name: "no-store", page: scripted{fields: []string{"Cache-Control: max-age=60, no-store"}}, steps: []step{{0, "GET", "200 1 -"}, {0, "GET", "200 2 -"}}},
	{name: "private", page: scripted{fields: []string{"Cache-Control: max-age=60", "Cache-Control: private=\"X\""}}, steps: []step{{0, "GET", "200 1 -"}, {0, "GET", "200 2 -"}}},
	{name: "no-cache", page: scripted{fields: []string{"Cache-Control: public, max-age=60, no-cache"}}, steps: []step{{0, "GET", "200 1 -"}, {0, "GET", "200 2 -"}}},
	{name: "a directive that cannot be read", page: scripted{fields: []string{`Cache-Control: public, max-age=60, x="`}}, steps: []step{{0, "GET", "200 1 -"}, {0, "GET", "200 2 -"}}},
	{name: "Set-Cookie", page: scripted{fields: []string{"Cache-Control: public, max-age=60", "Set-Cookie: a=b"}}, steps: []step{{0, "GET", "200 1 -"}, {0, "GET", "200 2 -"}}},
	{name: "Authorization without public", page: scripted{fields: []string{"Cache-Control: max-age=60"}}, steps: []step{
		{0, "GET\nAuthorization: Basic eDp5", "200 1 -"}, {0, "GET", "200 2 fwd=uri-miss; stored"}, {0, "GET\nAuthorization: Basic eDp5", "200 3 -"}, {0, "GET", "200 2 hit; ttl=59"},
	}},
	{name: "Authorization with public", page: scripted{fields: []string{"Cache-Control: public, max-age=60"}}, steps: []step{
		{0, "GET\nAuthorization: Basic eDp5", "200 1 fwd=uri-miss; stored"}, {0, "GET", "200 1 hit; ttl=59"},
	}},
	{name: "a cookie, and nothing said of shared caches", page: scripted{fields: []string{"Cache-Control: max-age=60"}}, steps: []step{
		{0, "GET\n" + sessionID, "200 1 -"}, {0, "GET", "200 2 fwd=uri-miss; stored"}, {0, "GET\n" + sessionID, "200 3 -"},
	}},
	{name: "a cookie at a Next.js page", page: scripted{fields: []string{"Cache-Control: s-maxage=60, stale-while-revalidate"}}, steps: []step{
		{0, "GET\n" + sessionID, "200 1 fwd=uri-miss; stored"}, {0, "GET\nCookie: session=2", "200 1 hit; ttl=59"},
		// an editor sees what is not published
		{0, "GET\nCookie: x=1; __prerender_bypass=abc", "200 2 -"}, {0, "GET", "200 1 hit; ttl=59"},
	}},
	{name: "Vary: Cookie", page: scripted{fields: []string{"Cache-Control: public, max-age=60", "Vary: Cookie"}}, steps: []step{
		{0, "GET\n" + sessionID, "200 1 -"}, {0, "GET", "200 2 fwd=uri-miss; stored"}, {0, "GET\n" + sessionID, "200 3 -"}, {0, "GET", "200 2 hit; ttl=59"},
	}},
	{name: "Vary", page: scripted{fields: []string{"Cache-Control: public, max-age=60", "Vary: Accept-Language"}}, steps: []step{
		{0, "GET\nAccept-Language: de", "200 1 fwd=uri-miss; stored"}, {0, "GET\nAccept-Language: tr", "200 2 fwd=vary-miss; stored"},
		{0, "GET\nAccept-Language: de", "200 1 hit; ttl=59"}, {0, "GET\nAccept-Language: tr", "200 2 hit; ttl=59"}, {0, "GET", "200 3 fwd=vary-miss; stored"},
	}},
	{name: "Vary: Accept-Encoding", page: scripted{fields: []string{"Cache-Control: public, max-age=60", "Vary: accept-encoding"}}, steps: []step{
		{0, "GET\nAccept-Encoding: gzip;q=0.5, br", "200 1 fwd=uri-miss; stored"}, {0, "GET\nAccept-Encoding: br,gzip", "200 1 hit; ttl=59"},
		{0, "GET\nAccept-Encoding: br, gzip;q=0", "200 2 fwd=vary-miss; stored"},
	}},
	{name: "Vary: *", page: scripted{fields: []string{"Cache-Control: public, max-age=60", "Vary: *"}}, steps: []step{{0, "GET", "200 1 -"}, {0, "GET", "200 2 -"}}},
	{name: "an encoded body is for who accepts it", page: scripted{fields: []string{"Cache-Control: public, max-age=60", "Content-Encoding: gzip"}}, steps: []step{
		{0, "GET\nAccept-Encoding: gzip", "200 1 fwd=uri-miss; stored"}, {0, "GET\nAccept-Encoding: gzip", "200 1 hit; ttl=59"}, {0, "GET\nAccept-Encoding: br", "200 2 -"},
	}},
	{name: "validation", page: scripted{fields: []string{"Cache-Control: public, max-age=60", `ETag: "v1"`}}, steps: []step{
		{0, "GET", "200 1 fwd=uri-miss; stored"}, {time.Hour, "GET", "200 1 fwd=stale; ttl=60; fwd-status=304"}, {0, "GET", "200 1 hit; ttl=59"},
		// the client has a version of its own; it is answered with ours
		{time.Hour, "GET\nIf-None-Match: \"v0\"", "200 1 fwd=stale; ttl=60; fwd-status=304"},
		{0, "GET\nIf-None-Match: \"v0\", W/\"v1\"", "304  hit; ttl=59"}, {0, "GET\nIf-None-Match: *", "304  hit; ttl=59"},
	}},
	{name: "conditions by date", page: scripted{fields: []string{"Cache-Control: public, max-age=60", "Last-Modified: " + rfcDate}}, steps: []step{
		{0, "GET", "200 1 fwd=uri-miss; stored"}, {0, "GET\nIf-Modified-Since: " + rfcDate, "304  hit; ttl=59"},
		{0, "GET\nIf-Modified-Since: Tue, 15 Nov 1994 08:12:30 GMT", "200 1 hit; ttl=59"}, {0, "GET\nIf-Modified-Since: Tuesday, 15-Nov-94 08:12:32 GMT", "304  hit; ttl=59"},
		// tags go before dates
		{0, "GET\nIf-None-Match: \"x\"\nIf-Modified-Since: " + rfcDate, "200 1 hit; ttl=59"},
	}},
	{name: "conditions for the origin alone", page: scripted{fields: []string{"Cache-Control: public, max-age=60", `ETag: "v1"`}}, steps: []step{
		{0, "GET", "200 1 fwd=uri-miss; stored"}, {0, "GET\nIf-Match: \"v1\"", "200 2 -"}, {0, "GET\nRange: bytes=0-0", "200 3 -"},
	}},
	{name: "must-revalidate while fresh", page: scripted{fields: []string{"Cache-Control: public, max-age=60, must-revalidate, stale-if-error=600"}},
		then: map[int]scripted{2: {status: 503}}, steps: []step{
			{0, "GET", "200 1 fwd=uri-miss; stored"}, {0, "GET", "200 1 hit; ttl=59"}, {2 * time.Minute, "GET", "503 2 -"},
		}},
	{name: "stale-if-error", page: scripted{fields: []string{"Cache-Control: public, max-age=60, stale-if-error=600"}},
		then: map[int]scripted{1: {status: 503}}, steps: []step{
			{0, "GET", "200 1 fwd=uri-miss; stored"}, {2 * time.Minute, "GET", "200 1 fwd=stale; ttl=-60; fwd-status=503"}, {time.Hour, "GET", "503 3 -"},
		}},
	{name: "an error without that", page: scripted{fields: []string{"Cache-Control: public, max-age=60"}},
		then: map[int]scripted{1: {status: 500}}, steps: []step{{0, "GET", "200 1 fwd=uri-miss; stored"}, {2 * time.Minute, "GET", "500 2 -"}}},
	{name: "HEAD", page: scripted{fields: []string{"Cache-Control: public, max-age=60", `ETag: "v1"`}}, steps: []step{
		{0, "HEAD", "200  -"}, {0, "GET", "200 2 fwd=uri-miss; stored"}, {0, "HEAD", "200  hit; ttl=59"}, {0, "HEAD\nIf-None-Match: \"v1\"", "304  hit; ttl=59"},
	}},
	{name: "the client's no-store", page: scripted{fields: []string{"Cache-Control: public, max-age=60"}}, steps: []step{
		{0, "GET\nCache-Control: no-store", "200 1 -"}, {0, "GET", "200 2 fwd=uri-miss; stored"}, {0, "GET\nCache-Control: no-store", "200 2 hit; ttl=59"},
	}},
	{name: "the client reloads", page: scripted{fields: []string{"Cache-Control: public, max-age=60"}}, steps: []step{
		{0, "GET", "200 1 fwd=uri-miss; stored"}, {0, "GET\nCache-Control: no-cache", "200 1 hit; ttl=59"},
		{10 * time.Second, "GET\nCache-Control: no-cache", "200 2 fwd=request; stored"}, {0, "GET\nCache-Control: max-age=0", "200 2 hit; ttl=59"},
		{10 * time.Second, "GET\nCache-Control: max-age=20", "200 2 hit; ttl=49"}, {15 * time.Second, "GET\nCache-Control: max-age=20", "200 3 fwd=request; stored"},
	}},
	{name: "only-if-cached", page: scripted{fields: []string{"Cache-Control: public, max-age=60"}}, steps: []step{
		{0, "HEAD\nCache-Control: only-if-cached", "504  -"}, {0, "GET", "200 1 fwd=uri-miss; stored"}, {0, "GET\nCache-Control: only-if-cached, no-cache", "200 1 hit; ttl=59"},
	}},
	{name: "a body with GET", page: scripted{fields: []string{"Cache-Control: public, max-age=60"}}, steps: []step{
		{0, "GET\nBody: x", "200 1 -"}, {0, "GET", "200 2 fwd=uri-miss; stored"}, {0, "GET\nBody: x", "200 3 -"},
	}},
	{name: "fields that rewrite the request", page: scripted{fields: []string{"Cache-Control: public, max-age=60"}}, steps: []step{
		{0, "GET\nX-HTTP-Method-Override: POST", "200 1 -"}, {0, "GET\nX-Original-URL: /admin", "200 2 -"}, {0, "GET\nX-Now-Route-Matches: 1", "200 3 -"},
		{0, "GET\nX_Rewrite_URL: /", "200 4 -"}, {0, "GET\nX-Middleware-Prefetch: 1", "200 5 -"}, {0, "GET", "200 6 fwd=uri-miss; stored"},
	}},
	{name: "React Server Components are apart", page: scripted{fields: []string{"Cache-Control: public, max-age=60"}}, steps: []step{
		{0, "GET\nRSC: 1", "200 1 fwd=uri-miss; stored"}, {0, "GET", "200 2 fwd=uri-miss; stored"}, {0, "GET\nRSC: 1", "200 1 hit; ttl=59"},
	}},
	{name: "an answer for pages of one origin", page: scripted{fields: []string{"Cache-Control: public, max-age=60", "Access-Control-Allow-Origin: https://a.test"}}, steps: []step{
		{0, "GET\nOrigin: https://a.test", "200 1 fwd=uri-miss; stored"}, {0, "GET", "200 2 fwd=vary-miss; stored"}, {0, "GET\nOrigin: https://a.test", "200 1 hit; ttl=59"},
	}},
	{name: "a field of 2 KiB that is varied by", page: scripted{fields: []string{"Cache-Control: public, max-age=60", "Vary: X-Long"}}, steps: []step{
		{0, "GET\nX-Long: " + strings.Repeat("x", 3000), "200 1 -"}, {0, "GET", "200 2 fwd=uri-miss; stored"}, {0, "GET\nX-Long: " + strings.Repeat("x", 3000), "200 3 -"},
	}},
	{name: "a 304 that makes it private", page: scripted{fields: []string{"Cache-Control: public, max-age=60", `ETag: "v1"`}},
		then: map[int]scripted{1: {fields: []string{"Cache-Control: private", `ETag: "v1"`}}, 2: {fields: []string{"Cache-Control: no-store"}}}, steps: []step{
			{0, "GET", "200 1 fwd=uri-miss; stored"}, {time.Hour, "GET", "200 1 fwd=stale; ttl=0; fwd-status=304"}, {0, "GET", "200 3 -"},
		}},
	{name: "a 304 of another version", page: scripted{fields: []string{"Cache-Control: public, max-age=60", `ETag: "v1"`}},
		then: map[int]scripted{1: {status: 304, fields: []string{`ETag: "v2"`}}}, steps: []step{
			{0, "GET", "200 1 fwd=uri-miss; stored"}, {time.Hour, "GET", "304  -"},
		}},
	{name: "a page that has changed", page: scripted{fields: []string{"Cache-Control: public, max-age=60", `ETag: "v1"`}},
		then: map[int]scripted{1: {fields: []string{"Cache-Control: public, max-age=30", `ETag: "v2"`}}}, steps: []step{
			{0, "GET", "200 1 fwd=uri-miss; stored"}, {time.Hour, "GET", "200 2 fwd=stale; stored"}, {0, "GET\nIf-None-Match: \"v1\"", "200 2 hit; ttl=29"},
		}},
	{name: "what is not there", page: scripted{status: 404, fields: []string{"Cache-Control: public, max-age=60"}}, steps: []step{
		{0, "GET", "404 1 fwd=uri-miss; stored"}, {0, "GET", "404 1 hit; ttl=59"},
	}},
	{name: "a redirect", page: scripted{status: 302, fields: []string{"Cache-Control: public, max-age=60", "Location: /"}}, steps: []step{
		{0, "GET", "302 1 fwd=uri-miss; stored"}, {0, "GET", "302 1 hit; ttl=59"},
	}},
	{name: "errors that a request brings about", page: scripted{status: 400, fields: []string{"Cache-Control: public, max-age=60"}}, steps: []step{{0, "GET", "400 1 -"}, {0, "GET", "400 2 -"}}},
	{name: "a part", page: scripted{status: 206, fields: []string{"Cache-Control: public, max-age=60", "Content-Range: bytes 0-0/5"}}, steps: []step{{0, "GET", "206 1 -"}, {0, "GET", "206 2 -"}}},
	{name: "events", page: scripted{fields: []string{"Cache-Control: public, max-age=60", "Content-Type: text/event-stream"}}, steps: []step{{0, "GET", "200 1 -"}, {0, "GET", "200 2 -"}}},
	{name: "a change of the page", page: scripted{fields: []string{"Cache-Control: public, max-age=60"}}, steps: []step{
		{0, "GET", "200 1 fwd=uri-miss; stored"}, {0, "POST", "200 2 -"}, {0, "GET", "200 3 fwd=uri-miss; stored"}, {0, "OPTIONS", "200 4 -"}, {0, "GET", "200 3 hit; ttl=59"},
		{0, "DELETE", "200 5 -"}, {0, "GET", "200 6 fwd=uri-miss; stored"},
	}},
	{name: "a change that failed", page: scripted{fields: []string{"Cache-Control: public, max-age=60"}}, then: map[int]scripted{1: {status: 403}}, steps: []step{
		{0, "GET", "200 1 fwd=uri-miss; stored"}, {0, "POST", "403 2 -"}, {0, "GET", "200 1 hit; ttl=59"},
	}},
	{name: "a page that is no longer public", page: scripted{fields: []string{"Cache-Control: public, max-age=60"}},
		then: map[int]scripted{1: {fields: []string{"Cache-Control: private"}}}, steps: []step{{0, "GET", "200 1 fwd=uri-miss; stored"}, {time.Hour, "GET", "200 2 -"}, {0, "GET", "200 3 -"}}},
}

// TestCacheRules walks RFC 9111 over real sockets.
func TestCacheRules(t *testing.T) {
	pair(t, func(t *testing.T, http2 bool) {
		origin := newScript()
		w := startCached(t, upstreamOf(t, origin.ServeHTTP), nil)
		client := w.client(http2, "")
		for i, rule := range rules {
			path := fmt.Sprintf("/%d", i)
			w.ahead.Store(0)
			origin.set(path, rule.page.status, rule.page.fields...)
			for n, step := range rule.steps {
				if next, ok := rule.then[n]; ok {
					origin.set(path, next.status, next.fields...)
				}
				w.pass(step.after)
				lines := strings.Split(step.request, "\n")
				body := ""
				if len(lines) > 1 && strings.HasPrefix(lines[1], "Body: ") {
					body, lines = lines[1][len("Body: "):], lines[:1]
				}
				a := w.do(client, lines[0], "https://anna.test"+path, body, lines[1:]...)
				got := strings.TrimRight(fmt.Sprint(a.StatusCode, " ", a.shortBody(), " ", a.says()), "\n")
				if !same(got, step.want) {
					t.Errorf("%s, step %d (%q): %s, want %s", rule.name, n+1, step.request, got, step.want)
					break
				}
			}
		}
	})
}

// shortBody is the body without a page of the gateway.
func (a answer) shortBody() string {
	if len(a.body) > 10 {
		return ""
	}
	return a.body
}

// same compares what a step has come to with what it should; seconds may be less, as the tests take time.
func same(got, want string) bool {
	start := strings.Index(want, "ttl=")
	if start < 0 {
		return got == want
	}
	digits, rest := want[start+4:], ""
	if end := strings.Index(digits, ";"); end >= 0 {
		digits, rest = digits[:end], digits[end:]
	}
	seconds, err := strconv.Atoi(digits)
	for less := range 20 {
		if err == nil && got == fmt.Sprint(want[:start], "ttl=", seconds-less, rest) {
			return true
		}
	}
	return false
}
