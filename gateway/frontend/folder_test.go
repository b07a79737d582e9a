package frontend

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"metahub/tenant"
)

// written is when every file of a test's folder was last changed.
var written = time.Date(2026, 1, 2, 3, 4, 5, 600, time.UTC)

// newFolder makes a folder with files next to one with secrets, and a site that serves it.
func newFolder(t testing.TB, files map[string]string) (s *site, folder string) {
	t.Helper()
	above := t.TempDir()
	folder = filepath.Join(above, "site")
	for name, content := range files {
		write(t, filepath.Join(folder, name), content)
	}
	write(t, filepath.Join(above, "secret.txt"), "secret")
	write(t, filepath.Join(above, "secrets", "index.html"), "secret")
	return newSite(t, Config{}, &tenant.Tenant{Slug: "anastasia", Frontend: tenant.Frontend{Folder: folder}}), folder
}

// newFiles is newFolder with a say in how the files are served.
func newFiles(t testing.TB, how tenant.Files, files map[string]string) (s *site, folder string) {
	t.Helper()
	s, folder = newFolder(t, files)
	s.tenant.Files = how
	return s, folder
}

func write(t testing.TB, name, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(name, written, written); err != nil {
		t.Fatal(err)
	}
}

func TestFolder(t *testing.T) {
	large := strings.Repeat("0123456789", 20_000)
	s, _ := newFolder(t, map[string]string{
		"index.html":                "home",
		"app.JS":                    "code",
		"data":                      "bytes",
		"empty.txt":                 "",
		"large.txt":                 large,
		"sub/index.html":            "sub",
		"Ümlaut ok.txt":             "name",
		"bare/file.txt":             "file",
		".well-known/security.txt":  "contact",
		"sub/deep/..dots..name.txt": "dots",
	})

	f := func(path string, wantStatus int, wantType, wantBody string) {
		t.Helper()
		a := s.get(t, path)
		if a.status != wantStatus || a.body != wantBody || string(a.header.ContentType()) != wantType {
			t.Fatalf("%s: %d %s %.60q", path, a.status, a.header.ContentType(), a.body)
		}
		if got, want := string(a.header.Peek("Last-Modified")), written.Format(http.TimeFormat); got != want {
			t.Fatalf("%s: Last-Modified %q, want %q", path, got, want)
		}
		head := s.ask(t, "HEAD", path)
		if got, want := string(head.header.Peek("Content-Length")), fmt.Sprint(len(wantBody)); head.status != wantStatus || got != want {
			t.Fatalf("HEAD %s: %d, Content-Length %s, want %s", path, head.status, got, want)
		}
	}

	f("/", 200, "text/html; charset=utf-8", "home")
	f("/index.html", 200, "text/html; charset=utf-8", "home")
	f("/?query=1", 200, "text/html; charset=utf-8", "home")
	f("/data", 200, "application/octet-stream", "bytes")
	f("/app.JS?v=1", 200, "text/javascript; charset=utf-8", "code")
	f("/empty.txt", 200, "text/plain; charset=utf-8", "")
	f("/large.txt", 200, "text/plain; charset=utf-8", large)
	f("/sub/", 200, "text/html; charset=utf-8", "sub")
	f("/%C3%9Cmlaut%20ok.txt", 200, "text/plain; charset=utf-8", "name")
	f("/%73ub/", 200, "text/html; charset=utf-8", "sub")
	f("/.well-known/security.txt", 200, "text/plain; charset=utf-8", "contact")

	redirected := s.get(t, "/sub?a=b")
	if location := string(redirected.header.Peek("Location")); redirected.status != 301 || location != "/sub/?a=b" {
		t.Errorf("%d to %q", redirected.status, location)
	}
	posted := s.ask(t, "POST", "/")
	if allow := string(posted.header.Peek("Allow")); posted.status != 405 || allow != "GET, HEAD" {
		t.Errorf("%d, Allow %q", posted.status, allow)
	}
}

// TestFolderAttacks asks in many ways for what is not the folder's.
func TestFolderAttacks(t *testing.T) {
	s, folder := newFolder(t, map[string]string{
		"index.html":                 "home",
		"file.txt":                   "file",
		"bare/file.txt":              "file",
		".env":                       "secret",
		".git/config":                "secret",
		"sub/.hidden":                "secret",
		"sub/.hide/file.txt":         "secret",
		".well-known/.secret":        "secret",
		"x/.well-known/security.txt": "secret",
	})
	for link, to := range map[string]string{
		"out.txt":  "../secret.txt",
		"outside":  "../secrets",
		"absolute": filepath.Join(filepath.Dir(folder), "secret.txt"),
		"loop":     "loop",
	} {
		if err := os.Symlink(to, filepath.Join(folder, link)); err != nil {
			t.Fatal(err)
		}
	}
	if err := makePipe(filepath.Join(folder, "pipe")); err != nil {
		t.Fatal(err)
	}

	for _, path := range []string{
		"/../secret.txt", "/..", "/../", "/./index.html", "/bare/../index.html", "/bare/../../secret.txt",
		"/%2e%2e/secret.txt", "/%2e%2e%2fsecret.txt", "/..%2Fsecret.txt", "/%252e%252e/secret.txt", "/..%5csecret.txt", `/..\secret.txt`,
		"/..%c0%afsecret.txt", "/%c0%ae%c0%ae/secret.txt", "/..;/secret.txt", "/....//secret.txt",
		"//index.html", "/bare//file.txt", "//evil.test/%2e%2e", "/%2F%2Fevil.test", `/\evil.test`, "/%5cevil.test/",
		"/index.html%00", "/index.html%00.txt", "/%00", "/%", "/%zz", "/index.html/", "/file.txt/..", "/bare/", "/pipe", "/loop", "/loop/",
		"/.env", "/%2eenv", "/.git/config", "/.git", "/sub/.hidden", "/sub/.hide/file.txt", "/.well-known/.secret", "/x/.well-known/security.txt",
		"/out.txt", "/outside/", "/outside/index.html", "/absolute", "/nowhere",
		"/" + strings.Repeat("x", 5000), "/" + strings.Repeat("x/", 2000),
	} {
		a := s.get(t, path)
		if a.status != 404 || strings.Contains(a.body, "secret") {
			t.Errorf("%.60s: %d %.60q", path, a.status, a.body)
		}
	}
	// A folder's form with a slash must never lead to another host.
	if a := s.get(t, "/bare"); string(a.header.Peek("Location")) != "/bare/" {
		t.Errorf("Location %q", a.header.Peek("Location"))
	}
}

func TestFolderOwnNotFoundPage(t *testing.T) {
	s, _ := newFolder(t, map[string]string{"404.html": "nothing here"})
	a := s.get(t, "/nowhere", "If-None-Match: *", "Range: bytes=0-1")
	if a.status != 404 || a.body != "nothing here" || len(a.header.Peek("Etag")) > 0 {
		t.Fatalf("%d %q\n%s", a.status, a.body, a.header)
	}
	if a := s.get(t, "/404.html"); a.status != 200 {
		t.Fatal(a.status)
	}
}

func TestFolderMissing(t *testing.T) {
	s, folder := newFolder(t, map[string]string{"index.html": "home"})
	if err := os.Rename(folder, folder+".new"); err != nil {
		t.Fatal(err)
	}
	if a := s.get(t, "/"); a.status != 503 {
		t.Fatal(a.status)
	}
	// A deployment puts another folder in its place.
	if err := os.Symlink(folder+".new", folder); err != nil {
		t.Fatal(err)
	}
	if a := s.get(t, "/"); a.status != 200 || a.body != "home" {
		t.Fatalf("%d %q", a.status, a.body)
	}
}

func TestFolderConditions(t *testing.T) {
	const size = 40_000
	content := strings.Repeat("0123456789", size/10)
	s, _ := newFolder(t, map[string]string{"file.txt": content, "empty.txt": ""})
	etag := string(s.get(t, "/file.txt").header.Peek("Etag"))
	now, before := written.Format(http.TimeFormat), written.Add(-time.Second).Format(http.TimeFormat)

	f := func(path, field string, wantStatus int, wantRange, wantBody string) {
		t.Helper()
		a := s.get(t, path, strings.Split(field, "\n")...)
		if got := string(a.header.Peek("Content-Range")); a.status != wantStatus || got != wantRange || a.body != wantBody {
			t.Fatalf("%q: %d, Content-Range %q, %d bytes %.20q", field, a.status, got, len(a.body), a.body)
		}
	}

	f("/file.txt", "If-None-Match: "+etag, 304, "", "")
	f("/file.txt", "If-None-Match: W/"+etag, 304, "", "")
	f("/file.txt", `If-None-Match: "x", `+etag, 304, "", "")
	f("/file.txt", "If-None-Match: *", 304, "", "")
	f("/file.txt", `If-None-Match: "x"`, 200, "", content)
	f("/file.txt", "If-Modified-Since: "+now, 304, "", "")
	f("/file.txt", "If-Modified-Since: "+before, 200, "", content)
	f("/file.txt", "If-Modified-Since: yesterday", 200, "", content)
	f("/file.txt", "If-None-Match: \"x\"\nIf-Modified-Since: "+now, 200, "", content)

	f("/file.txt", "Range: bytes=0-4", 206, "bytes 0-4/40000", "01234")
	f("/file.txt", "Range: bytes=39995-", 206, "bytes 39995-39999/40000", "56789")
	f("/file.txt", "Range: bytes=39995-99999999999999999999", 206, "bytes 39995-39999/40000", "56789")
	f("/file.txt", "Range: bytes=-3", 206, "bytes 39997-39999/40000", "789")
	f("/file.txt", "Range: bytes=-50000", 206, "bytes 0-39999/40000", content)
	f("/file.txt", "Range: bytes=1-", 206, "bytes 1-39999/40000", content[1:])
	f("/file.txt", "Range: bytes=40000-", 416, "bytes */40000", "")
	f("/file.txt", "Range: bytes=-0", 416, "bytes */40000", "")
	f("/empty.txt", "Range: bytes=0-", 416, "bytes */0", "")
	// What is not one good range gets all of it.
	for _, odd := range []string{"bytes=5-4", "bytes=-", "bytes=a-b", "bytes=0-1,3-4", "bytes=0", "items=0-1", "bytes=+1-2", "bytes=1--2"} {
		f("/file.txt", "Range: "+odd, 200, "", content)
	}

	f("/file.txt", "Range: bytes=0-4\nIf-Range: "+etag, 206, "bytes 0-4/40000", "01234")
	f("/file.txt", "Range: bytes=0-4\nIf-Range: "+now, 206, "bytes 0-4/40000", "01234")
	f("/file.txt", "Range: bytes=0-4\nIf-Range: \"x\"", 200, "", content)
	f("/file.txt", "Range: bytes=0-4\nIf-Range: W/"+etag, 200, "", content)
	f("/file.txt", "Range: bytes=0-4\nIf-None-Match: "+etag, 304, "", "")

	// The order of RFC 9110 §13.2.2: tags before dates, what must hold before what must not.
	f("/file.txt", "If-Match: "+etag, 200, "", content)
	f("/file.txt", "If-Match: \"x\"\nIf-Match: "+etag, 200, "", content)
	f("/file.txt", "If-Match: *", 200, "", content)
	f("/file.txt", "If-Unmodified-Since: "+now, 200, "", content)
	f("/file.txt", "If-Unmodified-Since: yesterday", 200, "", content)
	f("/file.txt", "If-Match: "+etag+"\nIf-Unmodified-Since: "+before, 200, "", content)
	f("/file.txt", "If-Match: "+etag+"\nIf-None-Match: "+etag, 304, "", "")
	f("/file.txt", "If-Match: "+etag+"\nRange: bytes=0-4", 206, "bytes 0-4/40000", "01234")
	for _, failing := range []string{
		"If-Match: \"x\"", "If-Match: W/" + etag, "If-Unmodified-Since: " + before, "If-Match: \"x\"\nIf-None-Match: " + etag,
		"If-Match: \"x\"\nIf-Unmodified-Since: " + now, "If-Match: \"x\"\nRange: bytes=0-4",
	} {
		if a := s.get(t, "/file.txt", strings.Split(failing, "\n")...); a.status != 412 || len(a.header.Peek("Etag")) > 0 {
			t.Errorf("%q: %d", failing, a.status)
		}
	}
}

// TestFileCutShort truncates a file while it is sent.
func TestFileCutShort(t *testing.T) {
	s, folder := newFolder(t, map[string]string{"large.bin": ""})
	if err := os.Truncate(filepath.Join(folder, "large.bin"), 64<<20); err != nil {
		t.Fatal(err)
	}
	b := s.browse(t)
	b.send("GET /large.bin HTTP/1.1\r\nHost: a.test\r\n\r\n")
	if _, err := b.reader.Peek(1000); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(filepath.Join(folder, "large.bin"), 1000); err != nil {
		t.Fatal(err)
	}
	if a := b.receive("GET"); a.status != 200 || a.err == nil {
		t.Fatalf("%d, the body looks complete: %d bytes", a.status, len(a.body))
	}
}

func FuzzFileName(f *testing.F) {
	for _, target := range []string{"/", "/a/b.txt", "/%2e%2e/x", "/a%2fb", "/.well-known/x", "//x", "/\\x", "/%00", "/a/"} {
		f.Add(target)
	}
	f.Fuzz(func(t *testing.T, target string) {
		name, _, err := fileName(target)
		if err != nil {
			return
		}
		if !filepath.IsLocal(name) || strings.ContainsAny(name, "\\\x00") || strings.Contains(name, "..") && strings.Contains("/"+name+"/", "/../") {
			t.Fatalf("%q became %q", target, name)
		}
	})
}
