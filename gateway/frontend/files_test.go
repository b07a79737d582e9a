package frontend

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"metahub/tenant"
)

const navigation = "Accept: text/html,application/xhtml+xml,*/*;q=0.8"

// TestCleanURLs asks for the pages of a Next.js export. Whatever leads elsewhere must get there in one step.
func TestCleanURLs(t *testing.T) {
	s, _ := newFiles(t, tenant.Files{CleanURLs: true}, map[string]string{
		"index.html":       "home",
		"about.html":       "about",
		"about/team.html":  "team",
		"docs/index.html":  "docs",
		"docs.html":        "not docs",
		"plain":            "plain",
		"plain.html":       "not plain",
		"a b.html":         "spaced",
		"empty/readme.txt": "readme",
		"v1.2.html":        "version",
		".html":            "secret",
	})
	f := func(path string, wantStatus int, want string) {
		t.Helper()
		a := s.get(t, path)
		got := a.body
		if a.status == 301 {
			got = string(a.header.Peek("Location"))
			if control := string(a.header.Peek("Cache-Control")); control != "no-cache" {
				t.Errorf("%s: a browser may keep the redirect: %q", path, control)
			}
			path, _, _ := strings.Cut(got, "?")
			if next := s.get(t, path); next.status == 301 {
				t.Errorf("%s leads on to %s", got, next.header.Peek("Location"))
			}
		}
		if a.status != wantStatus || want != "" && got != want {
			t.Errorf("%s: %d %q, want %d %q", path, a.status, got, wantStatus, want)
		}
	}

	f("/", 200, "home")
	f("/about", 200, "about")
	f("/about?x=1", 200, "about")
	f("/about/", 301, "/about")
	f("/about/?x=1&y=%20", 301, "/about?x=1&y=%20")
	f("/about.html", 200, "about")
	f("/about/team", 200, "team")
	f("/about/team/", 301, "/about/team")
	f("/a%20b", 200, "spaced")
	f("/a%20b/", 301, "/a%20b")
	f("/v1.2", 200, "version")
	// An index goes before a page of the folder's name, a file before all.
	f("/docs", 301, "/docs/")
	f("/docs/", 200, "docs")
	f("/docs.html", 200, "not docs")
	f("/plain", 200, "plain")
	f("/plain/", 404, "")
	f("/empty", 301, "/empty/")
	f("/empty/", 404, "")
	f("/nowhere", 404, "")
	f("/nowhere/", 404, "")
	f("/.", 404, "")
	f("/about/.", 404, "")
	f("/about.html/", 404, "")
	f("/%2e%2e/secret.txt", 404, "")

	s.tenant.Files.CleanURLs = false
	f("/about.html", 200, "about")
	f("/v1.2/", 404, "")
	f("/about/team/", 404, "")
}

func TestSPA(t *testing.T) {
	s, _ := newFiles(t, tenant.Files{SPA: "app.html"}, map[string]string{
		"app.html": "app", "404.html": "nothing", "logo.svg": "logo", "assets/a.js": "code", "private.html": "private",
	})
	f := func(method, path, accept string, wantStatus int, wantBody string) {
		t.Helper()
		for range 2 { // the second time from memory
			a := s.ask(t, method, path, accept)
			if a.status != wantStatus || a.body != wantBody {
				t.Errorf("%s %s, %s: %d %q, want %d %q", method, path, accept, a.status, a.body, wantStatus, wantBody)
			}
		}
	}
	f("GET", "/users/7", navigation, 200, "app")
	f("GET", "/users/7/", navigation, 200, "app")
	f("GET", "/assets", navigation, 200, "app")
	f("GET", "/", navigation, 200, "app")
	f("GET", "/x?file=a.js", navigation, 200, "app")
	f("HEAD", "/users/7", navigation, 200, "")
	f("GET", "/logo.svg", navigation, 200, "logo")
	// Scripts, pictures and data that are gone must not become a page.
	f("GET", "/users/7", "Accept: */*", 404, "nothing")
	f("GET", "/users/7", "Accept: application/json", 404, "nothing")
	f("GET", "/users/7", "Accept: text/html;q=0, */*", 404, "nothing")
	f("GET", "/assets/old.js", navigation, 404, "nothing")
	f("GET", "/.git/config", navigation, 404, "nothing")
	f("GET", "/%2e%2e/secret", navigation, 404, "nothing")
	f("GET", "/a%2fb", navigation, 404, "nothing")

	a := s.get(t, "/users/7", navigation)
	if again := s.get(t, "/users/8", navigation, "If-None-Match: "+string(a.header.Peek("Etag"))); again.status != 304 {
		t.Errorf("%d", again.status)
	}
	if a := s.ask(t, "POST", "/users/7", navigation, "Content-Length: 0"); a.status != 405 {
		t.Errorf("POST: %d", a.status)
	}
}

func TestForeign(t *testing.T) {
	f := func(name string, want bool) {
		t.Helper()
		if got := foreign(name); got != want {
			t.Errorf("%q: %v", name, got)
		}
	}
	for _, name := range []string{"con", "a/NUL.txt", "com1", "LPT9.x", "COM¹", "aux .txt", "a.", "a ", "a/b./c", "x::$DATA", "a:b", "GIT~1", "a\x01", "conin$"} {
		f(name, true)
	}
	for _, name := range []string{"console", "com", "com10", "a.b", "_next/static/[id].js", "nul-1.txt", "lpt"} {
		f(name, false)
	}
}

func TestListing(t *testing.T) {
	s, folder := newFiles(t, tenant.Files{Listing: true}, map[string]string{
		"pub/b.txt": "b", "pub/.env": "secret", "pub/sub/x": "", "pub/<img src=x>&\".txt": "", "pub/javascript:alert(1)": "", "pub/a%2fb": "",
		"site/index.html": "index",
	})
	for link, to := range map[string]string{"pub/out": "../../secret.txt", "pub/in": "b.txt"} {
		if err := os.Symlink(to, filepath.Join(folder, link)); err != nil {
			t.Fatal(err)
		}
	}
	a := s.get(t, "/pub/")
	if a.status != 200 || string(a.header.ContentType()) != "text/html; charset=utf-8" {
		t.Fatalf("%d %s", a.status, a.body)
	}
	for _, want := range []string{`href="./b.txt"`, `href="./sub/"`, `href="./in"`, `href="./%3Cimg%20src=x%3E&amp;%22.txt"`, `href="./javascript:alert%281%29"`, "&lt;img src=x&gt;"} {
		if !strings.Contains(a.body, want) {
			t.Errorf("no %s in\n%s", want, a.body)
		}
	}
	for _, bad := range []string{".env", "out", "<img", `"javascript:`, "secret"} {
		if strings.Contains(a.body, bad) {
			t.Errorf("%s in\n%s", bad, a.body)
		}
	}
	if a := s.get(t, "/pub"); a.status != 301 || string(a.header.Peek("Location")) != "/pub/" {
		t.Errorf("%d", a.status)
	}
	if a := s.get(t, "/site/"); a.body != "index" {
		t.Errorf("%d %q", a.status, a.body)
	}
	if a := s.get(t, "/"); !strings.Contains(a.body, `href="./pub/"`) || strings.Contains(a.body, "../") {
		t.Errorf("%d %q", a.status, a.body)
	}
	s.tenant.Files.Listing = false
	if a := s.get(t, "/pub/"); a.status != 404 {
		t.Errorf("%d", a.status)
	}
}
