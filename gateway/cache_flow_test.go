package gateway

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"metahub/gateway/cache"
	"metahub/tenant"
)

const fresh = "public, max-age=60"

// TestCacheIsolation asks two tenants for one path, on every host that they have.
func TestCacheIsolation(t *testing.T) {
	w := startCached(t, upstreamOf(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", fresh)
		fmt.Fprint(w, r.Header.Get("X-Tenant"), " ", r.Host)
	}), nil)
	pair(t, func(t *testing.T, http2 bool) {
		client := w.client(http2, "")
		for range 2 {
			for host, owner := range map[string]string{"anna.test": "anna", "www.anna.test": "anna", "bert.test": "bert"} {
				for _, path := range []string{"/p", "/api/p"} {
					if a := w.do(client, "GET", "https://"+host+path, ""); a.body != owner+" "+host {
						t.Errorf("%s%s answers %q", host, path, a.body)
					}
				}
			}
		}
	})
	if n := len(w.logs.find("cache", "hit")); n < 12 {
		t.Errorf("%d hits in the access log", n)
	}
}

// TestCacheKeys asks for targets that some servers read alike, and for one page by http behind a proxy.
func TestCacheKeys(t *testing.T) {
	w := startCached(t, upstreamOf(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", fresh)
		fmt.Fprint(w, r.RequestURI, " ", r.Header.Get("X-Forwarded-Proto"))
	}), nil)
	settings := settings()
	trustLoopback(&settings, nil)
	w.registry.Publish(tenant.NewDirectory(settings, w.registry.Current().Tenants()))
	pair(t, func(t *testing.T, http2 bool) {
		client := w.client(http2, "")
		for range 2 {
			for _, target := range []string{"/a?x=1&y=2", "/a?y=2&x=1", "/a", "/a?", "/%61", "/A", "/a/", "//a", "/account;x.css", "/account/x.css", "/a%2Fb", "/a/b"} {
				for _, proto := range []string{"https", "http"} {
					r := w.target(client, "https://anna.test", target, "X-Forwarded-Proto: "+proto)
					if r.body != target+" "+proto {
						t.Errorf("%s by %s answers %q", target, proto, r.body)
					}
				}
			}
		}
	})
}

// target sends a request whose target is written as it is.
func (w *cachedWorld) target(c *http.Client, origin, target, header string) answer {
	w.Helper()
	r, err := http.NewRequest("GET", origin, nil)
	if err != nil {
		w.Fatal(err)
	}
	path, query, asked := strings.Cut(target, "?")
	r.URL.Opaque, r.URL.RawQuery, r.URL.ForceQuery = "//anna.test"+path, query, asked
	if strings.HasPrefix(path, "//") {
		r.URL.Opaque = "https://anna.test" + path
	}
	name, value, _ := strings.Cut(header, ": ")
	r.Header.Set(name, value)
	return w.send(c, r)
}

// TestCacheCollapses has many clients ask for a page that the origin is slow to make: it makes one, and what may not be shared it makes for
// all of them at once.
func TestCacheCollapses(t *testing.T) {
	const clients, waiting = 30, "metahub/gateway/cache.(*flight).wait("
	var asked, at atomic.Int64
	release := make(chan struct{})
	w := startCached(t, upstreamOf(t, func(w http.ResponseWriter, r *http.Request) {
		n := asked.Add(1)
		at.Add(1)
		defer at.Add(-1)
		<-release
		if strings.HasPrefix(r.URL.Path, "/shared") {
			w.Header().Set("Cache-Control", fresh)
		} else {
			w.Header().Set("Cache-Control", "no-store")
		}
		fmt.Fprint(w, n)
	}), nil)
	t.Cleanup(func() { close(release) }) // for requests that a failed test has left
	pair(t, func(t *testing.T, http2 bool) {
		ask := func(path string, n int) (wait func() []answer) {
			var all sync.WaitGroup
			answers := make([]answer, n)
			for i := range n {
				all.Go(func() { answers[i] = w.do(w.client(http2, ""), "GET", "https://anna.test"+path, "") })
			}
			return func() []answer { all.Wait(); return answers }
		}
		asked.Store(0)
		wait := ask("/shared/"+t.Name(), clients)
		await(t, "the origin to be asked", func() bool { return asked.Load() == 1 })
		await(t, "the others to wait", func() bool { return goroutinesOf(waiting) == clients-1 })
		release <- struct{}{}
		collapsed := 0
		for _, a := range wait() {
			if a.body != "1" {
				t.Errorf("%q, want the one answer", a.body)
			}
			if strings.HasSuffix(a.says(), "; collapsed") {
				collapsed++
			}
		}
		if asked.Load() != 1 || collapsed != clients-1 {
			t.Errorf("the origin was asked %d times, %d requests waited", asked.Load(), collapsed)
		}

		asked.Store(0)
		wait = ask("/own/"+t.Name(), clients)
		await(t, "the origin to be asked", func() bool { return asked.Load() == 1 })
		await(t, "the others to wait", func() bool { return goroutinesOf(waiting) == clients-1 })
		release <- struct{}{} // from here on all of them ask
		await(t, "all to be asked for at once", func() bool { return at.Load() == clients-1 })
		for range clients - 1 {
			release <- struct{}{}
		}
		wait()

		asked.Store(0) // and nobody waits for another any more
		wait = ask("/own/"+t.Name(), 5)
		await(t, "all to be asked for at once", func() bool { return at.Load() == 5 })
		for range 5 {
			release <- struct{}{}
		}
		wait()
	})
}

// TestCacheStreams sends the next piece of an answer that is kept only when the client has the last one, by a client that others wait for.
func TestCacheStreams(t *testing.T) {
	next := make(chan string)
	var asked atomic.Int64
	w := startCached(t, upstreamOf(t, func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		w.Header().Set("Cache-Control", fresh)
		if r.URL.Query().Has("length") {
			w.Header().Set("Content-Length", "40008")
		}
		_ = http.NewResponseController(w).Flush()
		for piece := range next {
			if piece == "" {
				return
			}
			_, _ = io.WriteString(w, piece)
			_ = http.NewResponseController(w).Flush()
		}
	}), nil)
	pieces := []string{"1234", strings.Repeat("x", 40_000), "5678"}
	pair(t, func(t *testing.T, http2 bool) {
		for _, query := range []string{"", "?length"} {
			url := "https://anna.test/" + t.Name() + query
			response, err := w.client(http2, "").Get(url)
			if err != nil {
				t.Fatal(err)
			}
			asked.Store(0)
			follower := make(chan answer, 1)
			go func() { follower <- w.do(w.client(http2, ""), "GET", url, "") }()
			for _, piece := range pieces {
				go func() { next <- piece }()
				got := make([]byte, len(piece))
				if _, err := io.ReadFull(response.Body, got); err != nil || string(got) != piece {
					t.Fatalf("%q, %v", got[:4], err)
				}
			}
			next <- ""
			if rest, err := io.ReadAll(response.Body); err != nil || len(rest) > 0 {
				t.Errorf("%q, %v at the end", rest, err)
			}
			response.Body.Close()
			if a := <-follower; a.body != strings.Join(pieces, "") || asked.Load() != 0 {
				t.Errorf("who waited got %d bytes, %q", len(a.body), a.says())
			}
			if a := w.do(w.client(http2, ""), "GET", url, ""); !strings.HasPrefix(a.says(), "hit") || a.body != strings.Join(pieces, "") {
				t.Errorf("%d bytes, %q", len(a.body), a.says())
			}
		}
	})
}

// TestCacheLongAndBroken does not keep a body that is too long, or has no end, and passes it on as it comes.
func TestCacheLongAndBroken(t *testing.T) {
	long := strings.Repeat("0123456789abcdef", 400<<10/16)
	w := startCached(t, upstreamOf(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", fresh)
		switch {
		case strings.HasPrefix(r.URL.Path, "/known"):
			w.Header().Set("Content-Length", fmt.Sprint(len(long)))
			fallthrough
		case strings.HasPrefix(r.URL.Path, "/long"):
			_, _ = io.WriteString(w, long)
		default:
			_, _ = io.WriteString(w, long[:100_000])
			_ = http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		}
	}), nil)
	pair(t, func(t *testing.T, http2 bool) {
		client := w.client(http2, "")
		for _, path := range []string{"/known", "/long", "/long"} {
			if a := w.do(client, "GET", "https://anna.test"+path, ""); a.body != long || strings.HasPrefix(a.says(), "hit") {
				t.Errorf("%s: %d bytes, %q", path, len(a.body), a.says())
			}
		}
		for range 2 {
			response, err := client.Get("https://anna.test/broken")
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(response.Body)
			response.Body.Close()
			if err == nil || len(body) > 100_000 || strings.HasPrefix(answer{response, ""}.says(), "hit") {
				t.Errorf("half an answer: %d bytes, %v, %q", len(body), err, answer{response, ""}.says())
			}
		}
	})
	await(t, "nothing to be on its way", func() bool { return w.cache.OnTheWay() == 0 })
}

// TestCacheCompresses compresses what is kept once for each coding.
func TestCacheCompresses(t *testing.T) {
	page := lines(20_000)
	w := startCached(t, upstreamOf(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", fresh)
		w.Header().Set("Content-Type", "text/html")
		w.Header().Set("ETag", `"v1"`)
		_, _ = io.WriteString(w, page)
	}), func(t *tenant.Tenant) { t.Compress = tenant.AllCodings() })
	pair(t, func(t *testing.T, http2 bool) {
		client, url := w.client(http2, ""), "https://anna.test/"+t.Name()
		for _, coding := range append([]string{""}, codings...) {
			before := w.cache.Bytes()["anna"]
			for n := range 3 {
				a := w.do(client, "GET", url, "", "Accept-Encoding: "+coding)
				got, err := io.ReadAll(decoded(t, coding, strings.NewReader(a.body)))
				if err != nil || string(got) != page || a.Header.Get("Content-Encoding") != coding || a.Header.Get("Vary") != "Accept-Encoding" {
					t.Errorf("%d bytes, %v, %v", len(got), err, a.Header)
				}
				again := w.do(client, "GET", url, "", "Accept-Encoding: "+coding, "If-None-Match: "+a.Header.Get("ETag"))
				if again.StatusCode != 304 || again.Header.Get("ETag") != a.Header.Get("ETag") {
					t.Errorf("%s: %d %v", coding, again.StatusCode, again.Header)
				}
				after := w.cache.Bytes()["anna"]
				if grown := after > before; n > 0 && grown || n == 0 && coding != "" && !grown {
					t.Errorf("request %d in %q: %d bytes kept before, %d after", n+1, coding, before, after)
				}
				before = after
			}
		}
		if head := w.do(client, "HEAD", url, "", "Accept-Encoding: gzip"); head.Header.Get("Content-Encoding") != "gzip" || head.ContentLength >= 0 {
			t.Errorf("HEAD: %v", head.Header)
		}
	})
}

// TestCacheStaleWhileRevalidate answers at once with what is old, and asks for something newer once.
func TestCacheStaleWhileRevalidate(t *testing.T) {
	origin := newScript()
	w := startCached(t, upstreamOf(t, origin.ServeHTTP), nil)
	pair(t, func(t *testing.T, http2 bool) {
		client, path := w.client(http2, ""), "/"+t.Name()
		url := "https://anna.test" + path
		origin.set(path, 0, "Cache-Control: s-maxage=10, stale-while-revalidate=100")
		w.do(client, "GET", url, "")
		w.pass(20 * time.Second)
		if a := w.do(client, "HEAD", url, "", `If-None-Match: "x"`); !strings.Contains(a.says(), "detail=revalidating") || a.Header.Get("Age") == "0" {
			t.Errorf("%v", a.Header)
		}
		await(t, "a newer one", func() bool { return w.do(client, "GET", url, "").body == "2" })
		if n := origin.times(path); n != 2 {
			t.Errorf("asked %d times", n)
		}
		w.pass(1000 * time.Second) // too old even for that
		if a := w.do(client, "GET", url, ""); a.body != "3" || a.says() != "fwd=stale; stored" {
			t.Errorf("%q %s", a.body, a.says())
		}
	})
}

// TestCacheLocation drops what an answer to POST names on the same host, and nothing else.
func TestCacheLocation(t *testing.T) {
	var asked sync.Map
	w := startCached(t, upstreamOf(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method == "POST" {
			w.Header().Set("Location", r.Header.Get("X-Location"))
			w.Header().Set("Content-Location", "/second?x=1")
			w.WriteHeader(http.StatusCreated)
			return
		}
		n, _ := asked.LoadOrStore(r.URL.Path, new(atomic.Int64))
		w.Header().Set("Cache-Control", fresh)
		fmt.Fprint(w, n.(*atomic.Int64).Add(1))
	}), nil)
	client := w.client(true, "")
	get := func(path string) string { return w.do(client, "GET", "https://anna.test"+path, "").body }
	f := func(location string, want string) {
		t.Helper()
		asked.Clear()
		if _, err := w.cache.Purge("anna", cache.Selection{}); err != nil {
			t.Fatal(err)
		}
		get("/first")
		get("/second?x=1")
		w.do(client, "POST", "https://anna.test/form/post", "", "X-Location: "+location)
		if got := get("/first") + get("/second?x=1"); got != want {
			t.Errorf("after a POST with Location %q: %s, want %s", location, got, want)
		}
	}
	f("/first", "22")
	f("https://ANNA.test/first", "22")
	f("../first", "22")
	f("https://bert.test/first", "12")
	f("https://anna.test:444/first", "12")
	f("/other", "12")
}

// TestCachePurge drops what is named and counts it, and an answer that the origin was asked for before is not kept.
func TestCachePurge(t *testing.T) {
	var gate atomic.Pointer[chan struct{}]
	var asked atomic.Int64
	w := startCached(t, upstreamOf(t, func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		w.Header().Set("Cache-Control", fresh)
		w.Header().Set("Vary", "Accept-Language")
		if wait := gate.Load(); wait != nil {
			_, _ = io.WriteString(w, strings.Repeat("x", 50_000))
			_ = http.NewResponseController(w).Flush()
			<-*wait
		}
		fmt.Fprint(w, "page")
	}), nil)
	client := w.client(true, "")
	fill := func() {
		for _, url := range []string{"anna.test/a", "anna.test/a?x", "anna.test/b/1", "anna.test/b/2", "www.anna.test/a", "bert.test/a"} {
			for _, language := range []string{"de", "tr"} {
				w.do(client, "GET", "https://"+url, "", "Accept-Language: "+language)
			}
		}
	}
	purge := func(want int, selection cache.Selection, err error) {
		t.Helper()
		fill()
		n, bad := 0, err
		if err == nil {
			n, bad = w.cache.Purge("anna", selection)
		}
		if n != want || bad != nil {
			t.Errorf("%d, %v; want %d", n, bad, want)
		}
	}
	of := func(s cache.Selection, err error) (cache.Selection, error) { return s, err }
	s, err := of(cache.SelectURL("https://anna.test/a"))
	purge(2, s, err)
	s, err = of(cache.SelectURL("/a"))
	purge(4, s, err)
	s, err = of(cache.SelectPrefix("/a"))
	purge(6, s, err)
	s, err = of(cache.SelectPrefix("https://ANNA.test/b/"))
	purge(4, s, err)
	s, err = of(cache.SelectURL("https://anna.test:8443/a"))
	purge(0, s, err)
	purge(10, cache.Selection{}, nil)
	if n := w.cache.Bytes()["anna"]; n != 0 {
		t.Errorf("%d bytes of an empty cache", n)
	}
	if n, err := w.cache.Purge("anna", cache.Selection{}); n != 0 || err != nil {
		t.Errorf("an empty cache: %d, %v", n, err)
	}
	if _, err := w.cache.Purge("nobody", cache.Selection{}); err == nil {
		t.Error("nobody's cache was purged")
	}
	if n, _ := w.cache.Purge("bert", cache.Selection{}); n != 2 {
		t.Errorf("the neighbour has %d", n)
	}

	prefix, _ := cache.SelectPrefix("/under")
	other, _ := cache.SelectPrefix("/other")
	pair(t, func(t *testing.T, http2 bool) {
		client, url := w.client(http2, ""), "https://anna.test/under/"+t.Name()
		for _, c := range []struct {
			name string
			void func()
			kept bool
		}{
			{"a purge", func() { _, _ = w.cache.Purge("anna", prefix) }, false},
			{"a change", func() { w.change(url) }, false},
			{"a purge of other pages", func() { _, _ = w.cache.Purge("anna", other) }, true},
		} {
			wait := make(chan struct{})
			gate.Store(&wait)
			response, err := client.Get(url)
			if err != nil {
				t.Fatal(err)
			}
			gate.Store(nil)
			c.void()
			close(wait)
			if _, err := io.Copy(io.Discard, response.Body); err != nil {
				t.Error(err)
			}
			response.Body.Close()
			await(t, "the answer to be kept or not", func() bool { return w.cache.OnTheWay() == 0 })
			asked.Store(0)
			if w.do(client, "GET", url, ""); (asked.Load() == 0) != c.kept {
				t.Errorf("an answer that was under way during %s is kept: %v", c.name, asked.Load() == 0)
			}
			_, _ = w.cache.Purge("anna", cache.Selection{})
		}
	})
}

// change sends a POST to a URL.
func (w *cachedWorld) change(url string) { w.do(w.client(true, ""), "POST", url, "x") }

// TestCacheReload forgets what a tenant had that has changed, and keeps that of others.
func TestCacheReload(t *testing.T) {
	origin := newScript()
	origin.set("/", 0, "Cache-Control: "+fresh)
	w := startCached(t, upstreamOf(t, origin.ServeHTTP), nil)
	client := w.client(true, "")
	both := func() string {
		return w.do(client, "GET", "https://anna.test/", "").body + w.do(client, "GET", "https://bert.test/", "").body
	}
	if got := both() + both(); got != "1212" {
		t.Fatal(got)
	}
	d := w.registry.Current()
	changed := *d.Tenants()[0]
	w.registry.Publish(tenant.NewDirectory(*d.Gateway(), []*tenant.Tenant{&changed, d.Tenants()[1]}))
	if got := both(); got != "32" {
		t.Errorf("%q after a reload", got)
	}
	off := changed
	off.Cache = tenant.Cache{}
	w.registry.Publish(tenant.NewDirectory(*d.Gateway(), []*tenant.Tenant{&off, d.Tenants()[1]}))
	if got := both() + both(); got != "4252" || w.cache.Bytes()["anna"] != 0 {
		t.Errorf("%q, and %d bytes, without a cache", got, w.cache.Bytes()["anna"])
	}
}

// TestStaleShield stops the frontend: anonymous visitors get the last good page, nobody else does.
func TestStaleShield(t *testing.T) {
	origin := newScript()
	for path, control := range map[string]string{
		"/page": "", "/fresh": fresh, "/private": "private, no-cache", "/nostore": "no-store", "/strict": "max-age=5, must-revalidate",
	} {
		fields := []string{"Content-Type: text/html"}
		if control != "" {
			fields = append(fields, "Cache-Control: "+control)
		}
		origin.set(path, 0, fields...)
	}
	origin.set("/cookie", 0, "Set-Cookie: a=b")
	origin.set("/missing", 404)
	origin.set("/api/page", 0)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: origin}
	go server.Serve(listener)
	t.Cleanup(func() { server.Close() })
	site := tenant.Frontend{URL: &url.URL{Scheme: "http", Host: listener.Addr().String()}}
	w := startCached(t, site, func(t *tenant.Tenant) { t.Cache.Shield = t.Slug == "anna" })
	client := w.client(true, "")
	paths := []string{"/page", "/fresh", "/private", "/nostore", "/strict", "/cookie", "/missing", "/api/page"}
	for _, path := range paths {
		for _, host := range []string{"anna.test", "bert.test"} {
			w.do(client, "GET", "https://"+host+path, "")
		}
	}
	if a := w.do(client, "GET", "https://anna.test/page", ""); a.body != "3" || a.says() != "-" {
		t.Errorf("while the frontend works: %q %s", a.body, a.says())
	}
	server.Close()
	w.pass(time.Hour)
	pair(t, func(t *testing.T, http2 bool) {
		client := w.client(http2, "")
		f := func(method, url, want string, headers ...string) {
			t.Helper()
			a := w.do(client, method, "https://"+url, "", headers...)
			if got := fmt.Sprint(a.StatusCode, " ", a.shortBody()); got != want {
				t.Errorf("%s %s %q: %s, want %s", method, url, headers, got, want)
			}
			if shielded := a.StatusCode == 200; shielded && (!strings.HasSuffix(a.says(), "; detail=shield") || a.Header.Get("Age") != "3600") {
				t.Errorf("%s: %v", url, a.Header)
			}
		}
		f("GET", "anna.test/page", "200 1")
		f("GET", "anna.test/fresh", "200 1")
		f("GET", "anna.test/private", "502 ")
		f("GET", "anna.test/nostore", "502 ")
		f("GET", "anna.test/strict", "502 ")
		f("GET", "anna.test/cookie", "502 ")
		f("GET", "anna.test/missing", "502 ")
		f("GET", "anna.test/api/page", "502 ", "Accept: text/html")
		f("GET", "anna.test/page?x", "502 ")
		f("GET", "anna.test/page", "502 ", sessionID)
		f("GET", "anna.test/page", "502 ", "Authorization: Basic eDp5")
		f("HEAD", "anna.test/page", "502 ")
		f("POST", "anna.test/page", "502 ")
		f("GET", "anna.test/fresh", "502 ", sessionID)
		f("GET", "bert.test/page", "502 ")
		f("GET", "bert.test/fresh", "502 ")
	})
	w.pass(24 * time.Hour)
	if a := w.do(client, "GET", "https://anna.test/page", ""); a.StatusCode != 502 {
		t.Errorf("a page of yesterday: %d", a.StatusCode)
	}
}

// TestShieldCopies renews what is kept for an outage now and then, not with each request, and drops a page that is gone.
func TestShieldCopies(t *testing.T) {
	origin := newScript()
	var down atomic.Bool
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if down.Load() {
			panic(http.ErrAbortHandler)
		}
		origin.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	address, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	w := startCached(t, tenant.Frontend{URL: address}, nil)
	client := w.client(true, "")
	get := func() string {
		a := w.do(client, "GET", "https://anna.test/", "")
		return fmt.Sprint(a.StatusCode, a.shortBody())
	}
	lost := func() string {
		down.Store(true)
		defer down.Store(false)
		return get()
	}
	get()
	get()
	if got := lost(); got != "2001" {
		t.Errorf("%s, want the first page", got)
	}
	w.pass(20 * time.Second)
	if get(); lost() != "2003" {
		t.Errorf("%s, want the third page", lost())
	}
	origin.set("/", 503)
	if get(); lost() != "2003" {
		t.Errorf("%s, want the last good page", lost())
	}
	origin.set("/", 410)
	if get(); lost() != "502" {
		t.Errorf("%s of a page that is gone", lost())
	}
}

// TestCacheBounds floods one tenant's cache: it stays within its bytes, what many ask for stays in it, and the neighbour loses nothing.
func TestCacheBounds(t *testing.T) {
	page := strings.Repeat("x", 10_000)
	w := startCached(t, upstreamOf(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", fresh)
		_, _ = io.WriteString(w, page)
	}), func(t *tenant.Tenant) { t.Cache.Size = 1 << 20 })
	settings := settings()
	settings.Cache = 1200 << 10 // of both
	w.registry.Publish(tenant.NewDirectory(settings, w.registry.Current().Tenants()))
	client := w.client(true, "")
	get := func(url string) string { return w.do(client, "GET", "https://"+url, "").says() }
	for i := range 10 {
		get(fmt.Sprint("bert.test/", i))
	}
	for range 5 {
		get("anna.test/popular")
	}
	var flood sync.WaitGroup
	for part := range 4 {
		flood.Go(func() {
			for i := range 100 {
				get(fmt.Sprintf("anna.test/%d/%d", part, i))
				if i%10 == 0 {
					get("anna.test/popular")
				}
			}
		})
	}
	flood.Wait()
	kept := w.cache.Bytes()
	if kept["anna"] > 1<<20 || kept["anna"] < 512<<10 || kept["anna"]+kept["bert"] > settings.Cache {
		t.Errorf("%v bytes", kept)
	}
	if said := get("anna.test/popular"); !strings.HasPrefix(said, "hit") {
		t.Errorf("a popular page: %s", said)
	}
	for i := range 10 {
		if said := get(fmt.Sprint("bert.test/", i)); !strings.HasPrefix(said, "hit") {
			t.Errorf("page %d of the neighbour: %s", i, said)
		}
	}
	settings.Cache = 300 << 10
	w.registry.Publish(tenant.NewDirectory(settings, w.registry.Current().Tenants()))
	get("bert.test/0")
	if kept := w.cache.Bytes(); kept["anna"]+kept["bert"] > settings.Cache || kept["bert"] < 100_000 {
		t.Errorf("%v bytes after a reload that allows fewer", kept)
	}
}

// TestCacheSlowClient lets a client over HTTP/1.1 take nothing of an answer that others wait for.
func TestCacheSlowClient(t *testing.T) {
	page := strings.Repeat("0123456789abcdef", 250<<10/16)
	var asked atomic.Int64
	w := startCached(t, upstreamOf(t, func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		w.Header().Set("Cache-Control", fresh)
		_, _ = io.WriteString(w, page)
	}), nil)
	slow := w.dial("anna.test", "http/1.1")
	if _, err := io.WriteString(slow, "GET / HTTP/1.1\r\nHost: anna.test\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if _, err := bufio.NewReaderSize(slow, 16).ReadByte(); err != nil {
		t.Fatal(err)
	}
	if a := w.do(w.client(true, ""), "GET", "https://anna.test/", ""); a.body != page || asked.Load() != 1 {
		t.Errorf("%d bytes, and the origin was asked %d times", len(a.body), asked.Load())
	}
}
