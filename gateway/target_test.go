package gateway

import (
	"net/url"
	"path"
	"strings"
	"testing"
)

// TestPaths says who answers for which path, and which paths nobody answers for.
func TestPaths(t *testing.T) {
	w := start(t, nil)
	f := func(target, by string) {
		t.Helper()
		got := w.raw("anna.test", "GET "+target+" HTTP/1.1\r\nHost: anna.test\r\n\r\n")
		if by == "" {
			if got.StatusCode != 400 {
				t.Errorf("%s: status %d, want 400", target, got.StatusCode)
			}
			return
		}
		s := got.seen(t)
		if s.By != by || s.URI != target {
			t.Errorf("%s: answered by %s as %q, want %s as it is", target, s.By, s.URI, by)
		}
		if isAPI := s.Path == "/api" || strings.HasPrefix(s.Path, "/api/"); isAPI != (by == "api") {
			t.Errorf("%s: answered by %s, who reads the path as %q", target, s.By, s.Path)
		}
	}
	f("/", "frontend")
	f("/api", "api")
	f("/api/", "api")
	f("/api?x=/../", "api")
	f("/api/products?page=2", "api")
	f("/%61pi/products", "api")
	f("/api%2fproducts", "api")
	f("//api/products", "api")
	f("/api//products", "api")
	f("/API/products", "frontend")
	f("/apis", "frontend")
	f("/api.js", "frontend")
	f("/x/api/", "frontend")
	f("/.well-known/security.txt", "frontend")
	f("/..x/...", "frontend")
	f("/a%2Fb%20c?d=%2e%2e/", "frontend")
	// two readers might differ over these
	f("/x/../api/products", "")
	f("/./api/products", "")
	f("/api/../admin", "")
	f("/api/..%2fadmin", "")
	f("/api/%2e%2E/admin", "")
	f("/api/.%2e", "")
	f("/api/..\\admin", "")
	f("/api%5c..%5cadmin", "")
	f("/..", "")
	f("/x%00", "")
	f("//x/?u=http://y", "")
	f("//x/a//://", "")
	f("//../a?u=http://y", "")
}

func TestHasDotSegment(t *testing.T) {
	f := func(path string, want bool) {
		t.Helper()
		if got := hasDotSegment([]byte(path)); got != want {
			t.Errorf("hasDotSegment(%q) = %v, want %v", path, got, want)
		}
	}
	f("", false)
	f("/", false)
	f("/a.b/.c/d./..e/...", false)
	f("/%", false)
	f("/%2", false)
	f("/%2e", true)
	f("/%2e%", false)
	f("/a/.", true)
	f("/../", true)
	f("/%2fa%2f..", true)
	f("/%252e%252e/", false)
	f("/\x00", true)
}

// FuzzHasDotSegment compares with what the standard library makes of a path.
func FuzzHasDotSegment(f *testing.F) {
	for _, seed := range []string{"/", "/a/../b", "/%2e%2e", "/a%2f..%2fb", "/.a/b.", "/%zz/.."} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, p string) {
		decoded, err := url.PathUnescape(p)
		if err != nil || !strings.HasPrefix(p, "/") || strings.ContainsAny(decoded, "\\\x00") {
			_ = hasDotSegment([]byte(p)) // must not panic
			return
		}
		for strings.Contains(decoded, "//") {
			decoded = strings.ReplaceAll(decoded, "//", "/")
		}
		want := path.Clean(decoded) != strings.TrimSuffix(decoded, "/") && decoded != "/"
		if got := hasDotSegment([]byte(p)); got != want {
			t.Errorf("hasDotSegment(%q) = %v, want %v", p, got, want)
		}
	})
}
