package gateway

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/valyala/fasthttp"

	"metahub/gateway/frontend"
	"metahub/tenant"
)

// pressed is a gateway in front of a real frontend of the tenant "press", which compresses.
func pressed(t testing.TB, site tenant.Frontend) *world {
	t.Helper()
	w := start(t, nil)
	frontends := frontend.New(frontend.Config{})
	t.Cleanup(frontends.Close)
	w.answerWith(func(ctx *fasthttp.RequestCtx, _ string) {
		served := *tenant.FromContext(ctx)
		served.Frontend = site
		frontends.Serve(ctx, &served)
	})
	return w
}

func upstreamOf(t testing.TB, handler http.HandlerFunc) tenant.Frontend {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	u, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	return tenant.Frontend{URL: u}
}

// decoded reads a body in its coding.
func decoded(t testing.TB, coding string, r io.Reader) io.Reader {
	t.Helper()
	switch coding {
	case "zstd":
		d, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(8<<20))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(d.Close)
		return d
	case "br":
		return brotli.NewReader(r)
	case "gzip":
		d, err := gzip.NewReader(r)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	return r
}

var codings = []string{"zstd", "br", "gzip"}

func lines(n int) string {
	var b strings.Builder
	for i := 0; b.Len() < n; i++ {
		fmt.Fprintf(&b, "<li>item %d of the shop, at %d €</li>\n", i, i*i%97)
	}
	return b.String()
}

// TestCompressedPages fetches pages of all sizes from an upstream and from a folder.
func TestCompressedPages(t *testing.T) {
	folder := t.TempDir()
	pages := map[string]string{"/small.html": lines(5000), "/large.html": lines(1 << 20)}
	for name, page := range pages {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(page), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	proxied := upstreamOf(t, func(w http.ResponseWriter, r *http.Request) {
		page := pages[r.URL.Path]
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Header().Set("ETag", `"v1"`)
		if r.URL.RawQuery == "length" {
			w.Header().Set("Content-Length", strconv.Itoa(len(page)))
		}
		_, _ = io.WriteString(w, page)
	})
	sites := map[string]*world{"upstream": pressed(t, proxied), "folder": pressed(t, tenant.Frontend{Folder: folder})}
	pair(t, func(t *testing.T, http2 bool) {
		for name, w := range sites {
			client := w.client(http2, "")
			for path, page := range pages {
				for _, query := range []string{"", "?length"} {
					for _, coding := range codings {
						a := w.do(client, "GET", "https://press.test"+path+query, "", "Accept-Encoding: "+coding)
						got, err := io.ReadAll(decoded(t, coding, strings.NewReader(a.body)))
						if err != nil || string(got) != page {
							t.Errorf("%s%s in %s: %d bytes, %v", name, path, coding, len(got), err)
						}
						if h := a.Header; h.Get("Content-Encoding") != coding || h.Get("Vary") != "Accept-Encoding" || !strings.HasPrefix(h.Get("ETag"), `W/"`) {
							t.Errorf("%s%s in %s: %v", name, path, coding, h)
						}
						if a.ContentLength >= 0 && a.ContentLength != int64(len(a.body)) || len(a.body)*3 > len(page) {
							t.Errorf("%s%s in %s: %d bytes, Content-Length %d", name, path, coding, len(a.body), a.ContentLength)
						}
					}
				}
				head := w.do(client, "HEAD", "https://press.test"+path, "", "Accept-Encoding: gzip")
				if h := head.Header; h.Get("Content-Encoding") != "gzip" || head.ContentLength >= 0 || !strings.HasPrefix(h.Get("ETag"), `W/"`) {
					t.Errorf("HEAD of %s%s: %v", name, path, head.Header)
				}
				plain := w.do(client, "GET", "https://press.test"+path, "")
				if h := plain.Header; plain.body != page || h.Get("Content-Encoding") != "" || h.Get("Vary") != "Accept-Encoding" || strings.HasPrefix(h.Get("ETag"), "W/") {
					t.Errorf("%s%s as it is: %d bytes, %v", name, path, len(plain.body), h)
				}
			}
		}
	})
}

// TestRevalidation sends the ETag of a compressed page back.
func TestRevalidation(t *testing.T) {
	folder := t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, "index.html"), []byte(lines(5000)), 0o600); err != nil {
		t.Fatal(err)
	}
	w := pressed(t, tenant.Frontend{Folder: folder})
	pair(t, func(t *testing.T, http2 bool) {
		client := w.client(http2, "")
		tag := w.do(client, "GET", "https://press.test/", "", "Accept-Encoding: br").Header.Get("ETag")
		again := w.do(client, "GET", "https://press.test/", "", "Accept-Encoding: br", "If-None-Match: "+tag)
		if h := again.Header; again.StatusCode != 304 || h.Get("ETag") != tag || h.Get("Vary") != "Accept-Encoding" || h.Get("Content-Encoding") != "" {
			t.Errorf("%d %v", again.StatusCode, again.Header)
		}
		// A part is never compressed: its numbers count the file's bytes.
		part := w.do(client, "GET", "https://press.test/", "", "Accept-Encoding: br", "Range: bytes=0-1999")
		if part.StatusCode != 206 || part.body != lines(5000)[:2000] || part.Header.Get("Content-Encoding") != "" {
			t.Errorf("%d %v", part.StatusCode, part.Header)
		}
		resumed := w.do(client, "GET", "https://press.test/", "", "Range: bytes=2000-", "If-Range: "+tag)
		if resumed.StatusCode != 200 || resumed.body != lines(5000) {
			t.Errorf("a part of the file was offered to the owner of compressed bytes: %d", resumed.StatusCode)
		}
	})
}

// TestStreamingCompressed lets the upstream send a piece only when the browser has the last one decoded, as React streams a page.
func TestStreamingCompressed(t *testing.T) {
	next := make(chan string)
	w := pressed(t, upstreamOf(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		_ = http.NewResponseController(w).Flush()
		for piece := range next {
			if piece == "" {
				return
			}
			_, _ = io.WriteString(w, piece)
			_ = http.NewResponseController(w).Flush()
		}
	}))
	pair(t, func(t *testing.T, http2 bool) {
		for _, coding := range codings {
			request, err := http.NewRequest("GET", "https://press.test/", nil)
			if err != nil {
				t.Fatal(err)
			}
			request.Header.Set("Accept-Encoding", coding)
			response, err := w.client(http2, "").Do(request)
			if err != nil {
				t.Fatal(err)
			}
			var page io.Reader
			for i, piece := range []string{"<html>", "<p>Loading…</p>", lines(40_000), "</html>"} {
				began := time.Now()
				go func() { next <- piece }()
				if page == nil {
					page = decoded(t, coding, response.Body)
				}
				got := make([]byte, len(piece))
				if _, err := io.ReadFull(page, got); err != nil || string(got) != piece {
					t.Fatalf("%s: piece %d: %.40q, %v", coding, i, got, err)
				}
				t.Logf("%s: piece %d after %v", coding, i, time.Since(began))
			}
			next <- ""
			if rest, err := io.ReadAll(page); err != nil || len(rest) > 0 {
				t.Errorf("%s: %q, %v at the end", coding, rest, err)
			}
			response.Body.Close()
		}
	})
}

// TestEventsAreNotCompressed holds for a body of a type that looks like text.
func TestEventsAreNotCompressed(t *testing.T) {
	w := pressed(t, upstreamOf(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = io.WriteString(w, strings.Repeat("data: x\n\n", 1000))
	}))
	pair(t, func(t *testing.T, http2 bool) {
		a := w.do(w.client(http2, ""), "GET", "https://press.test/", "", "Accept-Encoding: gzip, br, zstd")
		if a.Header.Get("Content-Encoding") != "" || len(a.body) != 9000 {
			t.Errorf("%v, %d bytes", a.Header, len(a.body))
		}
	})
}

// TestCompressedUpstream passes on what is compressed already.
func TestCompressedUpstream(t *testing.T) {
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	_, _ = io.WriteString(z, lines(50_000))
	_ = z.Close()
	w := pressed(t, upstreamOf(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		w.Header().Set("Content-Encoding", "gzip")
		w.Header().Set("ETag", `"v1"`)
		_, _ = w.Write(packed.Bytes())
	}))
	pair(t, func(t *testing.T, http2 bool) {
		a := w.do(w.client(http2, ""), "GET", "https://press.test/", "", "Accept-Encoding: gzip, br, zstd")
		if h := a.Header; a.body != packed.String() || h.Get("Content-Encoding") != "gzip" || h.Get("ETag") != `"v1"` {
			t.Errorf("%v, %d bytes", h, len(a.body))
		}
	})
}
