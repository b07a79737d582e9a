package frontend

import (
	"bytes"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/valyala/fasthttp"
	"golang.org/x/net/websocket"

	"metahub/tenant"
)

// routed is a tenant with several frontends.
func routed(routes ...tenant.Route) *tenant.Tenant {
	t := upstreamTenant(nil)
	t.Frontend.Routes = tenant.NewRoutes(routes)
	return t
}

func to(u *url.URL) tenant.Frontend { return tenant.Frontend{URL: u} }

// echoing is an upstream that answers with its name, the request's target and X-Forwarded-Prefix.
func echoing(t testing.TB, name string) *url.URL {
	return rawUpstream(t, func(c *scripted) {
		for {
			request, err := c.request()
			if err != nil {
				return
			}
			said := name + " " + strings.Fields(request)[1]
			if _, prefix, ok := strings.Cut(request, "\r\nX-Forwarded-Prefix: "); ok {
				prefix, _, _ = strings.Cut(prefix, "\r\n")
				said += " for " + prefix
			}
			c.say(fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(said), said))
		}
	})
}

func TestRoutes(t *testing.T) {
	site := echoing(t, "site")
	s := newSite(t, Config{}, routed(
		tenant.Route{To: to(site)},
		tenant.Route{Prefix: "/socket.io", To: to(echoing(t, "events"))},
		tenant.Route{Prefix: "/shop", To: to(echoing(t, "shop")), Replaced: true},
		tenant.Route{Prefix: "/shop/admin", To: to(site)},
		tenant.Route{Prefix: "/v1", To: tenant.Frontend{Upstreams: []tenant.Upstream{{URL: echoing(t, "api"), Weight: 1}, {URL: site, Weight: 1}}},
			Replaced: true, Replacement: "/v%202/x"},
		tenant.Route{Prefix: "/ü", To: to(site), Replaced: true},
	))
	f := func(target, want string) {
		t.Helper()
		if a := s.get(t, target); a.status != 200 || a.body != want {
			t.Errorf("%s: %d %q, want %q", target, a.status, a.body, want)
		}
	}

	f("/", "site /")
	f("/?a=/shop/", "site /?a=/shop/")
	f("/socket.io/?EIO=4", "events /socket.io/?EIO=4")
	f("/socket.iox/", "site /socket.iox/")
	// the query and what is encoded stay as they came
	f("/shop/a%20b%2Fc?d=%2e%2F&e", "shop /a%20b%2Fc?d=%2e%2F&e for /shop")
	f("/shop/", "shop / for /shop")
	f("/shop", "shop / for /shop")
	f("/shop?x=1", "shop /?x=1 for /shop")
	f("/shopping", "site /shopping")
	f("/shop/admin/x", "site /shop/admin/x")
	f("/v1/x", "api /v%202/x/x for /v1")
	f("/v1", "site /v%202/x for /v1")
	f("/v1/", "api /v%202/x/ for /v1")
	f("/%C3%BC/x", "site /x for /%C3%BC")
	// other spellings of a prefix lead where it leads
	f("/%73hop/x", "shop /x for /shop")
	f("//shop/x", "shop /x for /shop")
	f("/shop%2Fx", "shop /x for /shop")
	f("/shop%2fadmin", "site /shop%2fadmin")
	// and nothing that follows a prefix begins an authority
	f("/shop//evil.test/", "shop /evil.test/ for /shop")
	f("/shop/%2Fevil.test/", "shop /evil.test/ for /shop")
	f("/shop%2f%2F/evil.test//", "shop /evil.test// for /shop")
}

func TestBackendRoutes(t *testing.T) {
	tn := upstreamTenant(nil)
	tn.BackendRoutes = tenant.NewRoutes([]tenant.Route{
		{Prefix: "/api/orders", To: to(echoing(t, "orders")), Replaced: true},
		{Prefix: "/api/v1", To: to(echoing(t, "v1"))},
	})
	s := New(Config{})
	defer s.Close()
	f := func(target string, has bool, want string) {
		t.Helper()
		var ctx fasthttp.RequestCtx
		ctx.Init(&fasthttp.Request{}, nil, nil)
		ctx.Request.SetRequestURI(target)
		ctx.Request.Header.SetHost("a.test")
		if got := tn.HasBackend(ctx.Path()); got != has {
			t.Errorf("%s: has a backend: %t", target, got)
		}
		if !has {
			return
		}
		if s.ServeBackend(&ctx, tn); string(ctx.Response.Body()) != want {
			t.Errorf("%s: %q, want %q", target, ctx.Response.Body(), want)
		}
	}

	f("/api/orders/7?x", true, "orders /7?x for /api/orders")
	f("/api/v1/users", true, "v1 /api/v1/users")
	// the rest is the embedded API's
	f("/api/users", false, "")
	f("/api/ordersx", false, "")
}

// TestRoutedFolders lays folders at prefixes: each has its own pages, and leads visitors to addresses below its prefix.
func TestRoutedFolders(t *testing.T) {
	folder := func(name string, files ...string) tenant.Frontend {
		root := t.TempDir()
		for _, file := range files {
			path := filepath.Join(root, filepath.FromSlash(file))
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(name+" "+file), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		return tenant.Frontend{Folder: root}
	}
	tn := routed(
		tenant.Route{To: folder("site", "index.html", "404.html", "uploads/x.txt", "raw/x.txt")},
		tenant.Route{Prefix: "/uploads", To: folder("uploads", "x.txt", "404.html", "sub/index.html", "about.html"), Replaced: true},
		tenant.Route{Prefix: "/raw", To: folder("raw", "x.txt", "404.html", "raw/x.txt")},
		tenant.Route{Prefix: "/my docs", To: folder("docs", "a/index.html", "index.html"), Replaced: true},
	)
	tn.Files.CleanURLs = true
	s := newSite(t, Config{}, tn)
	f := func(target string, status int, want string) {
		t.Helper()
		for range 2 { // the second time from memory
			a := s.get(t, target)
			got := a.body
			if location := a.header.Peek("Location"); location != nil {
				got = string(location)
			}
			if a.status != status || got != want {
				t.Errorf("%s: %d %q, want %d %q", target, a.status, got, status, want)
			}
		}
	}

	f("/", 200, "site index.html")
	f("/uploads/x.txt", 200, "uploads x.txt")
	f("/%75ploads%2Fx.txt", 200, "uploads x.txt")
	f("/raw/x.txt", 200, "raw raw/x.txt")
	f("/uploads?a=b", 301, "/uploads/?a=b")
	f("/uploads/sub", 301, "/uploads/sub/")
	f("/uploads/sub/", 200, "uploads sub/index.html")
	f("/uploads/about/", 301, "/uploads/about")
	f("/my%20docs/a?b", 301, "/my%20docs/a/?b")
	f("/my%20docs/", 200, "docs index.html")
	f("/x", 404, "site 404.html")
	f("/uploads/y", 404, "uploads 404.html")
	f("/raw/y", 404, "raw 404.html")
	f("/uploads//sub%2fx", 404, "uploads 404.html")
}

// TestRoutedListing lists a folder below its prefix.
func TestRoutedListing(t *testing.T) {
	folder := t.TempDir()
	if err := os.Mkdir(filepath.Join(folder, "sub"), 0o755); err != nil {
		t.Fatal(err)
	}
	tn := routed(tenant.Route{}, tenant.Route{Prefix: "/pub", To: tenant.Frontend{Folder: folder}, Replaced: true})
	tn.Files.Listing = true
	s := newSite(t, Config{}, tn)
	for target, title := range map[string]string{"/pub/": "/pub/", "/pub/sub/": "/pub/sub/"} {
		if a := s.get(t, target); a.status != 200 || !strings.Contains(a.body, "<h1>"+title+"</h1>") {
			t.Errorf("%s: %d %s", target, a.status, a.body)
		}
	}
}

func TestWebSocketThroughRoute(t *testing.T) {
	site := naming(t, "site")
	events := netUpstream(t, websocket.Handler(func(c *websocket.Conn) {
		_ = websocket.Message.Send(c, c.Request().URL.String())
	}))
	s := newSite(t, Config{}, routed(tenant.Route{To: to(site)}, tenant.Route{Prefix: "/live", To: to(events), Replaced: true}))
	c, err := websocket.Dial("ws://"+s.addr+"/live/room?x=1", "", "http://a.test")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	var got string
	if err := websocket.Message.Receive(c, &got); err != nil || got != "/room?x=1" {
		t.Errorf("%q, %v", got, err)
	}
}

// FuzzAppendTarget compares what a server gets with how the gateway read the path: it is the rest of that path, and begins with one slash.
func FuzzAppendTarget(f *testing.F) {
	for _, seed := range []string{"/a/b", "//a//b?c", "/%61%2f%2Fb", "/a", "/a?b", "/a%", "/a/%zz", "/a%2", "/a\\b", "/a/%5c/"} {
		f.Add(seed)
	}
	routes := tenant.NewRoutes([]tenant.Route{{Prefix: ""}, {Prefix: "/a", Replaced: true}, {Prefix: "/a/b c", Replaced: true}})
	f.Fuzz(func(t *testing.T, target string) {
		if strings.HasPrefix(target, "//") && strings.Contains(target, "://") {
			return // nobody may ask for that: fasthttp would take the first segment for a host (gateway/wire, gateway/bridge.go)
		}
		if !isOriginForm([]byte(target)) || target == "*" || strings.Contains(strings.ToLower(strings.ReplaceAll(target, "%2e", ".")), "..") || strings.Contains(target, "/.") {
			return
		}
		path, query := pathOf(target)
		route := routes.Find(path)
		got, ok := appendTarget(nil, []byte(target), route)
		if !ok {
			t.Fatalf("%q: the prefix %q is not found", target, route.Prefix)
		}
		want := bytes.TrimPrefix(path, []byte(route.Prefix))
		if len(want) == 0 {
			want = []byte("/")
		}
		gotPath, gotQuery := pathOf(string(got))
		if !bytes.Equal(gotPath, want) || !bytes.Equal(gotQuery, query) || route.Replaced && bytes.HasPrefix(got, []byte("//")) {
			t.Errorf("%q becomes %q: the path %q, want %q", target, got, gotPath, want)
		}
	})
}

func pathOf(target string) (path, query []byte) {
	var u fasthttp.URI
	_ = u.Parse([]byte("a.test"), []byte(target))
	return u.Path(), u.QueryString()
}

func BenchmarkRoutedRequest(b *testing.B) {
	route := &tenant.Route{Prefix: "/index.html", Address: "/index.html", Replaced: true, Replacement: "/v2"}
	v := newVisitor()
	var r request
	b.ReportAllocs()
	for b.Loop() {
		if err := r.build(v.ask(b), "anastasia", route); err != nil {
			b.Fatal(err)
		}
	}
}
