package tenant

import (
	"fmt"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// routesTo makes routes to one server, in whose place their prefix tells them apart.
func routesTo(prefixes ...string) *Routes {
	var list []Route
	for _, prefix := range prefixes {
		list = append(list, Route{Prefix: prefix, To: Frontend{URL: &url.URL{Scheme: "http", Host: "127.0.0.1:1"}}})
	}
	return NewRoutes(list)
}

func TestFindRoute(t *testing.T) {
	r := routesTo("/b/deep/er", "", "/a", "/b", "/a/b", "/b/deep", "/ü")
	f := func(path, want string) {
		t.Helper()
		if got := r.Find([]byte(path)); got == nil || got.Prefix != want {
			t.Errorf("%q: got %v, want %q", path, got, want)
		}
	}

	f("/", "")
	f("/x", "")
	f("/a", "/a")
	f("/a/", "/a")
	f("/a/x", "/a")
	f("/a/b", "/a/b")
	f("/a/b/c/d", "/a/b")
	// prefixes end where a segment does, and case counts
	f("/ab", "")
	f("/a2/b", "")
	f("/A", "")
	f("/a/bc", "/a")
	// the longest wins, also past one that is none
	f("/b/deep/er/x", "/b/deep/er")
	f("/b/deep/e", "/b/deep")
	f("/b/dee", "/b")
	f("/ü/x", "/ü")
	// what only an asterisk form has
	f("*", "")

	if got := routesTo("/api/orders").Find([]byte("/api/users")); got != nil {
		t.Errorf("a path that no prefix covers has %v", got)
	}
}

func BenchmarkFindRoute(b *testing.B) {
	for _, n := range []int{1, 10, 100} {
		prefixes := []string{""}
		for i := 1; i < n; i++ {
			prefixes = append(prefixes, fmt.Sprintf("/section-%d/part", i))
		}
		r := routesTo(prefixes...)
		path := []byte(fmt.Sprintf("/section-%d/part/2026/11/a-picture.jpg", n-1))
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if r.Find(path) == nil {
					b.Fatal("not found")
				}
			}
		})
	}
}

// loadTenant reads one tenant, of which the text is all but slug and domains.
func loadTenant(t *testing.T, text string) *Tenant {
	t.Helper()
	path := filepath.Join(t.TempDir(), "tenants.yaml")
	writeFile(t, filepath.Join(filepath.Dir(path), "site", "index.html"), "x")
	writeFile(t, path, "tenants:\n  - slug: a\n    domains: [a.example.com]\n"+text)
	d, faults := Load(Source{Path: path})
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	return d.Tenants()[0]
}

const routedTenant = `
    frontend:
      /: http://127.0.0.1:3000
      /uploads/: dir:site
      /raw/: {to: dir:site, strip: false}
      /shop: {to: [http://127.0.0.1:4001, {url: http://127.0.0.1:4002, weight: 3}], strip: true, health: /ping}
      /v1/: {to: unix:/run/v2.sock, rewrite: /v 2/, health: "off"}
    backend:
      /api/: http://127.0.0.1:5000
      /api/orders/: {to: http://127.0.0.1:5001, rewrite: /}
    health: {path: /healthz, backend_path: /api/health, interval: 5s, status: 204}
`

// TestRoutesAreRead looks at what becomes of a map of prefixes, now and after a restart with a broken file.
func TestRoutesAreRead(t *testing.T) {
	read := loadTenant(t, routedTenant)
	kept, err := keep(read).tenant()
	if err != nil || !kept.same(read) {
		t.Fatalf("%+v comes back as %+v, %v", read, kept, err)
	}
	for _, tn := range []*Tenant{read, kept} {
		f := func(r *Routes, path, want string) {
			t.Helper()
			route := r.Find([]byte(path))
			if route == nil {
				t.Fatalf("nothing serves %s", path)
			}
			folder := strings.TrimSuffix(filepath.ToSlash(route.To.Folder), "/site")
			got := strings.ReplaceAll(route.String(), folder, "")
			if route.Replaced {
				got += fmt.Sprintf(" as %q", route.Replacement)
			}
			if h := route.Health; !h.IsZero() {
				got += fmt.Sprintf(" if %s %d-%d every %s in %s", h.Path, h.From, h.To, h.Interval, h.Timeout)
			}
			if got != want {
				t.Errorf("%s: got\n%s\nwant\n%s", path, got, want)
			}
		}

		const asked = " 204-204 every 5s in 2s"
		f(tn.Frontend.Routes, "/about", "/ → http://127.0.0.1:3000 if /healthz"+asked)
		f(tn.Frontend.Routes, "/uploads/x", `/uploads/ → dir:/site as "" if /healthz`+asked)
		f(tn.Frontend.Routes, "/raw/x", "/raw/ → dir:/site if /healthz"+asked)
		f(tn.Frontend.Routes, "/shop", `/shop/ → http://127.0.0.1:4001, http://127.0.0.1:4002 as "" if /ping`+asked)
		f(tn.Frontend.Routes, "/v1", `/v1/ → unix:/run/v2.sock as "/v%202"`)
		f(tn.BackendRoutes, "/api/users", "/api/ → http://127.0.0.1:5000 if /api/health"+asked)
		f(tn.BackendRoutes, "/api/orders/7", `/api/orders/ → http://127.0.0.1:5001 as "" if /api/health`+asked)
	}
}

// TestRoutesDiffer has a reload see each change of a map.
func TestRoutesDiffer(t *testing.T) {
	before := loadTenant(t, routedTenant)
	f := func(old, new string) {
		t.Helper()
		text := strings.Replace(routedTenant, old, new, 1)
		if text == routedTenant {
			t.Fatalf("%q is not there", old)
		}
		after := loadTenant(t, text)
		after.Origin, after.JWTSecret = before.Origin, before.JWTSecret
		for i := range after.Frontend.Routes.list {
			if to := &after.Frontend.Routes.list[i].To; to.Folder != "" {
				to.Folder = before.Frontend.Routes.Find([]byte("/raw")).To.Folder
			}
		}
		if before.same(after) {
			t.Errorf("%q for %q goes unseen", new, old)
		}
	}

	f("/uploads/: dir:site", "/upload/: dir:site")
	f("strip: true, ", "")
	f("/v 2/", "/v3/")
	f("weight: 3", "weight: 4")
	f("/run/v2.sock", "/run/v3.sock")
	f("health: /ping", "health: /pong")
	f("127.0.0.1:5001", "127.0.0.1:5002")
	f("path: /healthz", "path: /health")
	f("backend_path: /api/health", "backend_path: /api/healthz")
}

// TestKeptRoutesAreChecked reads what somebody has edited.
func TestKeptRoutesAreChecked(t *testing.T) {
	f := func(spoil func(k *keptTenant)) {
		t.Helper()
		k := keep(loadTenant(t, routedTenant))
		spoil(&k)
		if back, err := k.tenant(); err == nil {
			t.Errorf("it is believed: %+v", back)
		}
	}

	f(func(k *keptTenant) { k.FrontendRoutes[0].Prefix = "/a/../b" })
	f(func(k *keptTenant) { k.FrontendRoutes[0].Replacement = "/a\r\nb" })
	f(func(k *keptTenant) { k.FrontendRoutes[1].Prefix = k.FrontendRoutes[2].Prefix })
	f(func(k *keptTenant) { k.FrontendRoutes[0].URL = "unix:site.sock" })
	f(func(k *keptTenant) { k.FrontendRoutes[0].URL = "" })
	f(func(k *keptTenant) { k.FrontendRoutes = k.FrontendRoutes[1:] })
	f(func(k *keptTenant) { k.FrontendRoutes[0].Health.Path = "/ HTTP/1.1\r\nHost: x" })
	f(func(k *keptTenant) { k.BackendRoutes[0].Health.Interval = time.Millisecond })
	f(func(k *keptTenant) { k.BackendHealth.Host = "a b" })
	f(func(k *keptTenant) { k.Health.To = 100 })
}
