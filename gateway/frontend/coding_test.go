package frontend

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestPrecompressed(t *testing.T) {
	s, folder := newFolder(t, map[string]string{
		"app.js": "code", "app.js.br": "br", "app.js.zst": "zstd", "app.js.gz": "gzip",
		"old.css": "style", "old.css.br": "stale", "old.css.gz": "gzip",
		"logo.png": "logo", "logo.png.gz": "gzip", "bad.txt": "text", "bad.txt.br": "",
		"large.txt": strings.Repeat("x", 3*smallFile), "large.txt.gz": "gzip", "404.html": "nothing", "404.html.gz": "gzip",
	})
	before := written.Add(-time.Second)
	if err := os.Chtimes(filepath.Join(folder, "old.css.br"), before, before); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("../secret.txt", filepath.Join(folder, "logo.txt.gz")); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(folder, "logo.txt"), "logo")

	tags := map[string]string{}
	f := func(path, accepted, want, wantBody string) answer {
		t.Helper()
		a := s.get(t, path, "Accept-Encoding: "+accepted)
		if got := string(a.header.Peek("Content-Encoding")); got != want || wantBody != "" && a.body != wantBody {
			t.Errorf("%s, %q: %q %.20q, want %q %q", path, accepted, got, a.body, want, wantBody)
		}
		if tag := want + a.body; tags[string(a.header.Peek("Etag"))] == "" {
			tags[string(a.header.Peek("Etag"))] = tag
		} else if tags[string(a.header.Peek("Etag"))] != tag && a.status == 200 {
			t.Errorf("%.20q has the tag of %.20q", tag, tags[string(a.header.Peek("Etag"))])
		}
		return a
	}

	for range 2 { // the second time from memory
		f("/app.js", "", "", "code")
		f("/app.js", "gzip", "gzip", "gzip")
		f("/app.js", "GZIP", "gzip", "gzip")
		f("/app.js", "x-gzip", "gzip", "gzip")
		f("/app.js", "gzip, deflate, br, zstd", "br", "br")
		f("/app.js", "gzip;q=1.0, br;q=0.5, zstd;q=0.7", "gzip", "gzip")
		f("/app.js", "gzip, br;q=0", "gzip", "gzip")
		f("/app.js", "br;q=1.001, gzip", "gzip", "gzip")
		f("/app.js", "identity, gzip;q=0.5", "", "code")
		f("/app.js", "gzip;q=0.1", "gzip", "gzip")
		f("/app.js", "*", "br", "br")
		f("/app.js", "br;q=0, *;q=0.5", "zstd", "zstd")
		f("/app.js", "*;q=0", "", "code")
		f("/app.js", "deflate", "", "code")
		f("/app.js", ";,;q=,br;q=x,,", "", "code")
		f("/old.css", "gzip, br", "gzip", "gzip")
		f("/bad.txt", "br", "", "text")
		f("/logo.png", "gzip", "", "logo")
		f("/logo.txt", "gzip", "", "logo")
		f("/large.txt", "gzip", "gzip", "gzip")
		f("/large.txt", "br", "", strings.Repeat("x", 3*smallFile))
		f("/nowhere", "gzip", "gzip", "gzip")
		f("/app.js.gz", "gzip", "", "gzip")
	}

	a := f("/app.js", "br", "br", "br")
	if kind, vary := string(a.header.ContentType()), string(a.header.Peek("Vary")); kind != "text/javascript; charset=utf-8" || vary != "Accept-Encoding" {
		t.Errorf("%q, Vary %q", kind, vary)
	}
	if vary := f("/app.js", "", "", "code").header.Peek("Vary"); string(vary) != "Accept-Encoding" {
		t.Errorf("Vary %q of the file itself", vary)
	}
	tag := "If-None-Match: " + string(a.header.Peek("Etag"))
	if a := s.get(t, "/app.js", "Accept-Encoding: br", tag); a.status != 304 || string(a.header.Peek("Vary")) != "Accept-Encoding" {
		t.Errorf("%d\n%s", a.status, a.header)
	}
	if a := s.get(t, "/app.js", "Accept-Encoding: gzip", tag); a.status != 200 {
		t.Errorf("%d for the tag of another coding", a.status)
	}
	if a := s.get(t, "/app.js", "Accept-Encoding: br", "Accept-Encoding: gzip;q=0"); a.body != "br" {
		t.Errorf("%q", a.body)
	}
	if a := s.get(t, "/app.js", "Accept-Encoding: br", "Range: bytes=1-1"); a.status != 206 || a.body != "r" {
		t.Errorf("%d %q", a.status, a.body)
	}
}

func FuzzWeights(f *testing.F) {
	for _, list := range []string{"gzip, br;q=0.5", "*;q=0", "identity;q=1.000", ";q=,;;,", "br;q=9", "gzip;x=\"a,b\";q=0.3"} {
		f.Add(list)
	}
	f.Fuzz(func(t *testing.T, list string) {
		acceptsHTML([]byte(list))
		for c, weight := range weigh([][]byte{[]byte(list)}) {
			if weight < 0 || weight > 1000 {
				t.Fatalf("%q: %s has %d", list, codingNames[c], weight)
			}
		}
	})
}
