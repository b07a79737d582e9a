package compress

import (
	"bytes"
	"io"
	"strings"
	"testing"

	"metahub/tenant"
)

// TestWhole compresses bodies in memory and reads them again.
func TestWhole(t *testing.T) {
	f := func(accept, want string, size int) {
		t.Helper()
		page := text(size)
		ctx := exchange(t, "GET", accept, string(page), "content-type: text/html")
		New().Answer(ctx, all, false)
		if got := string(ctx.Response.Header.ContentEncoding()); got != want {
			t.Fatalf("the coding is %q, want %q", got, want)
		}
		if want != "" && len(ctx.Response.Body())*2 > size {
			t.Errorf("%d bytes became %d", size, len(ctx.Response.Body()))
		}
		got, err := io.ReadAll(decoder(t, want, bytes.NewReader(ctx.Response.Body())))
		if err != nil || !bytes.Equal(got, page) {
			t.Errorf("%q: %d bytes came back as %d, %v", want, size, len(got), err)
		}
	}
	f("gzip, deflate, br, zstd", "zstd", 100_000)
	f("gzip, deflate, br", "gzip", 100_000)
	f("deflate, br", "br", 100_000)
	f("gzip", "gzip", 100_000)
	f("gzip", "gzip", 3<<20)
	f("br", "br", 3<<20)
	f("zstd", "zstd", 3<<20)
	f("zstd", "zstd", minSize)
	f("zstd", "", minSize-1)
	f("zstd, identity;q=0", "zstd", minSize-1)
	f("deflate", "", 100_000)
}

// TestAnswer is about which answers are compressed, and what their fields say. Of the answer's fields, those that are named in want are
// compared; "Name: " means that it must not be there.
func TestAnswer(t *testing.T) {
	page := string(text(5000))
	type rule struct {
		method, ask, answer string
		api                 bool
		body                string
		status              int
	}
	f := func(r rule, want ...string) {
		t.Helper()
		if r.method == "" {
			r.method = "GET"
		}
		if r.body == "" {
			r.body = page
		}
		ctx := exchange(t, r.method, "gzip", strings.TrimPrefix(r.body, "-"), lines(r.answer)...)
		if r.status != 0 {
			ctx.SetStatusCode(r.status)
		}
		for _, field := range lines(r.ask) {
			name, value, _ := strings.Cut(field, ": ")
			ctx.Request.Header.Set(name, value)
		}
		New().Answer(ctx, all, r.api)
		for _, field := range want {
			name, value, _ := strings.Cut(field, ": ")
			var got []string
			for n, v := range ctx.Response.Header.All() {
				if strings.EqualFold(string(n), name) {
					got = append(got, string(v))
				}
			}
			if strings.Join(got, " | ") != value {
				t.Errorf("%+.60v: %s is %q, want %q", r, name, got, value)
			}
		}
	}
	const html = "Content-Type: text/html\n"
	yes, no := "Content-Encoding: gzip", "Content-Encoding: "
	vary, unvaried := "Vary: Accept-Encoding", "Vary: "

	f(rule{answer: html}, yes, vary)
	f(rule{answer: html, status: 404}, yes, vary)
	f(rule{answer: html, method: "POST"}, yes, vary)
	f(rule{answer: html + "Set-Cookie: a=b"}, yes, vary)
	f(rule{answer: "Content-Type: image/png"}, no, unvaried)
	f(rule{answer: ""}, no, unvaried)
	f(rule{answer: "Content-Type: text/event-stream"}, no, unvaried)
	// noise gets no shorter
	f(rule{answer: html, body: noise(5000)}, no, vary)
	// what may not be changed
	f(rule{answer: html + "content-encoding: br"}, "Content-Encoding: br", unvaried)
	f(rule{answer: html + "Content-Encoding: identity"}, "Content-Encoding: identity", unvaried)
	f(rule{answer: html + "Content-Range: bytes 0-4999/10000", status: 206}, no, unvaried)
	f(rule{answer: html + "content-range: bytes */10000", status: 416}, no, unvaried)
	f(rule{answer: html + "Cache-Control: public,No-Transform"}, no, unvaried)
	f(rule{answer: html + "Content-MD5: x"}, no)
	f(rule{answer: html + "Digest: x"}, no)
	f(rule{answer: html + "content-digest: x"}, no)
	f(rule{answer: html + "Repr-Digest: x"}, no)
	f(rule{answer: html, ask: "Cache-Control: no-transform"}, no, vary)
	f(rule{answer: html, ask: "Accept-Encoding: deflate"}, no, vary)
	// fields of the body
	f(rule{answer: html + "ETag: \"x\""}, yes, `ETag: W/"x"`)
	f(rule{answer: html + "etag: \"x\""}, yes, `ETag: W/"x"`)
	f(rule{answer: html + "ETag: W/\"x\""}, yes, `ETag: W/"x"`)
	f(rule{answer: html + "ETag: \"x\"", ask: "Accept-Encoding: deflate"}, no, `ETag: "x"`)
	f(rule{answer: html + "accept-ranges: bytes"}, yes, "Accept-Ranges: none")
	f(rule{answer: html + "Content-Length: 5000"}, yes)
	// Vary is kept, and said once
	f(rule{answer: html + "vary: Cookie"}, yes, "Vary: Cookie, Accept-Encoding")
	f(rule{answer: html + "vary: rsc, accept-encoding"}, yes, "Vary: rsc, accept-encoding")
	f(rule{answer: html + "Vary: Cookie\nVary: Accept-Encoding"}, yes, "Vary: Cookie | Accept-Encoding")
	f(rule{answer: html + "Vary: Cookie\nVary: Origin"}, yes, "Vary: Cookie, Accept-Encoding | Origin")
	f(rule{answer: html + "Vary: *"}, yes, "Vary: *")
	// HEAD has the fields of GET
	f(rule{method: "HEAD", body: "-", answer: html + "Content-Length: 5000\nETag: \"x\""}, yes, vary, "Content-Length: ", `ETag: W/"x"`)
	f(rule{method: "HEAD", body: "-", answer: html}, yes, vary)
	f(rule{method: "HEAD", body: "-", answer: html + "Content-Length: 100"}, no, unvaried, "Content-Length: 100")
	// nothing is no content
	f(rule{body: "-", answer: html}, no, unvaried)
	f(rule{status: 204, body: "-", answer: html}, no, unvaried)
	f(rule{status: 101, body: "-", answer: html}, no, unvaried)
	// 304 names what the client has
	f(rule{status: 304, body: "-", answer: "ETag: \"x\"", ask: `If-None-Match: "y", W/"x"`}, `ETag: W/"x"`, vary)
	f(rule{status: 304, body: "-", answer: "etag: \"x\"\nVary: Cookie", ask: `If-None-Match: W/"x"`}, `ETag: W/"x"`, "Vary: Cookie, Accept-Encoding")
	f(rule{status: 304, body: "-", answer: "ETag: \"x\"", ask: `If-None-Match: "x"`}, `ETag: "x"`, unvaried)
	f(rule{status: 304, body: "-", answer: "ETag: \"x\"", ask: `If-None-Match: W/"xx"`}, `ETag: "x"`, unvaried)
	f(rule{status: 304, body: "-", answer: "ETag: W/\"x\"", ask: `If-None-Match: W/"x"`}, `ETag: W/"x"`, unvaried)
	f(rule{status: 304, body: "-", answer: "", ask: `If-None-Match: W/"x"`}, "ETag: ", unvaried)
	// an API's answers
	const json = "Content-Type: application/json\n"
	f(rule{api: true, answer: json}, yes, vary)
	f(rule{api: true, answer: json + "Cache-Control: no-cache"}, yes, vary)
	f(rule{api: true, answer: json + "Cache-Control: private, no-store"}, no)
	f(rule{api: true, answer: json + "cache-control: Private"}, no)
	f(rule{api: true, answer: json + "Cache-Control: no-store"}, no)
	f(rule{api: true, answer: json + "set-cookie: accessToken=x"}, no)
	f(rule{api: true, answer: json, method: "POST"}, no)
	f(rule{api: true, answer: json, ask: "Cookie: accessToken=x"}, yes)
	f(rule{api: true, answer: json, ask: "Cookie: accessToken=x\nSec-Fetch-Site: same-origin"}, yes)
	f(rule{api: true, answer: json, ask: "Sec-Fetch-Site: cross-site"}, yes)
	f(rule{api: true, answer: json, ask: "Cookie: accessToken=x\nSec-Fetch-Site: cross-site"}, no, vary)
	f(rule{answer: json, ask: "Cookie: accessToken=x\nSec-Fetch-Site: cross-site"}, yes)
}

func lines(text string) []string {
	if text = strings.TrimSpace(text); text == "" {
		return nil
	}
	return strings.Split(text, "\n")
}

// TestSwitchedOff leaves everything as it is.
func TestSwitchedOff(t *testing.T) {
	ctx := exchange(t, "GET", "gzip", string(text(5000)), "Content-Type: text/html")
	New().Answer(ctx, &tenant.Tenant{Slug: "anna"}, false)
	if h := &ctx.Response.Header; len(h.ContentEncoding())+len(h.Peek("Vary")) > 0 {
		t.Error(h.String())
	}
}

// TestHTTP10 leaves an old client's answer as it is.
func TestHTTP10(t *testing.T) {
	ctx := exchange(t, "GET", "gzip", string(text(5000)), "Content-Type: text/html")
	ctx.Request.Header.SetProtocol("HTTP/1.0")
	New().Answer(ctx, all, false)
	if h := &ctx.Response.Header; len(h.ContentEncoding()) > 0 || string(h.Peek("Vary")) != "Accept-Encoding" {
		t.Error(h.String())
	}
}

// TestRawBody compresses a body that is not the response's own memory.
func TestRawBody(t *testing.T) {
	page := text(5000)
	kept := bytes.Clone(page)
	ctx := exchange(t, "GET", "gzip", "", "Content-Type: text/html")
	ctx.Response.SetBodyRaw(page)
	New().Answer(ctx, all, false)
	got, err := io.ReadAll(decoder(t, "gzip", bytes.NewReader(ctx.Response.Body())))
	if err != nil || !bytes.Equal(got, kept) || !bytes.Equal(page, kept) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
}

func noise(n int) string {
	b := make([]byte, n)
	seed := uint64(88172645463325252)
	for i := range b {
		seed ^= seed << 13
		seed ^= seed >> 7
		seed ^= seed << 17
		b[i] = byte(seed)
	}
	return string(b)
}
