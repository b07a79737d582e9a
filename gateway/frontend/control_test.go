package frontend

import (
	"strings"
	"testing"
	"time"

	"metahub/tenant"
)

func TestCacheControl(t *testing.T) {
	f := func(name, want string, rules ...tenant.CacheRule) {
		t.Helper()
		if got := controlOf(rules, name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	f("index.html", revalidated)
	f("logo.svg", revalidated)
	f("_next/static/chunks/main.js", immutable)
	f("x/_next/static/main.js", revalidated)
	f("assets/index-C4mnP2w1.js", immutable)
	f("assets/index-B-x3F_zQ.css", immutable)
	f("assets/index-C4mnP2w1.js.map", immutable)
	f("app/assets/main.3f2a1b9c.js", immutable)
	f("assets/logo.3f2a1b9c.png", immutable)
	// Names of people are no hashes.
	f("assets/main.js", revalidated)
	f("assets/photo-20240101.jpg", revalidated)
	f("assets/page-HomeView.js", revalidated)
	f("assets/jquery-validate.js", revalidated)
	f("assets/logo-iPhone13.js", revalidated)
	f("assets/deadbeef.js", revalidated)
	f("assets/3f2a1b9c.js", revalidated)
	f("myassets/main.3f2a1b9c.js", revalidated)
	// The first rule that matches holds, before the built-in ones.
	f("assets/a.js", "x", tenant.CacheRule{Match: "/assets/**", Control: "x"}, tenant.CacheRule{Match: "**", Control: "y"})
	f("_next/static/a.js", "no-store", tenant.CacheRule{Match: "/_next/**", Control: "no-store"})
	f("fonts/a.woff2", "x", tenant.CacheRule{Match: "*.woff2", Control: "x"})
	f("woff2/a.txt", revalidated, tenant.CacheRule{Match: "*.woff2", Control: "x"})

	s, _ := newFiles(t, tenant.Files{Cache: []tenant.CacheRule{{Match: "/index.html", Control: "max-age=5"}}}, map[string]string{"index.html": "home", "404.html": ""})
	home := s.get(t, "/")
	unchanged := s.get(t, "/", "If-None-Match: *")
	gone := s.get(t, "/x")
	if a, b, c := home.header.Peek("Cache-Control"), unchanged.header.Peek("Cache-Control"), gone.header.Peek("Cache-Control"); string(a) != "max-age=5" ||
		string(b) != "max-age=5" || string(c) != revalidated || unchanged.status != 304 || gone.status != 404 {
		t.Errorf("%q, %d %q, %d %q", a, unchanged.status, b, gone.status, c)
	}
}

func TestMatches(t *testing.T) {
	f := func(pattern, name string, want bool) {
		t.Helper()
		if got := matches(pattern, name); got != want {
			t.Errorf("%q, %q: %v", pattern, name, got)
		}
	}
	f("/a", "/a", true)
	f("/a", "/ab", false)
	f("/a*", "/abc", true)
	f("/a*", "/a/b", false)
	f("/*/c", "/ab/c", true)
	f("/*/c", "/a/b/c", false)
	f("/**/c", "/a/b/c", true)
	f("/**", "/a/b/c", true)
	f("/a/**", "/a", false)
	f("/**/*.js", "/a/b/c.js", true)
	f("/**/*.js", "/a/b/c.js/d", false)
	f("/**.js", "/a/b.js", true)
	f("*.*", "a.b.c", true)
	f("", "", true)
	f("*", "", true)
	f("**", "", true)
	f("/**a**b", "/xaxxb", true)
	f("/*a*b", "/xaxxbc", false)
	f("/[a]", "/a", false)
	start := time.Now()
	f("/"+strings.Repeat("*a", 90)+"b", "/"+strings.Repeat("a", 4000), false)
	f("/"+strings.Repeat("**a", 60)+"b", "/"+strings.Repeat("a", 4000), false)
	if took := time.Since(start); took > patience {
		t.Errorf("a pattern took %v", took)
	}
}
