package page

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/valyala/fasthttp"
	"golang.org/x/net/html"

	"metahub/tenant"
)

// newContext is a request with a half-made answer that must not show through.
func newContext(method, target string, fields ...string) *fasthttp.RequestCtx {
	ctx := &fasthttp.RequestCtx{}
	ctx.Request.Header.SetMethod(method)
	ctx.Request.SetRequestURI(target)
	ctx.Request.Header.Set("X-Request-ID", "r1")
	for i := 0; i < len(fields); i += 2 {
		ctx.Request.Header.Set(fields[i], fields[i+1])
	}
	ctx.SetStatusCode(200)
	ctx.Response.Header.Set("X-Half", "made")
	ctx.SetBodyString("half an answer")
	return ctx
}

func TestErrorForm(t *testing.T) {
	f := func(target, accept string, wantJSON bool) {
		t.Helper()
		ctx := newContext("GET", target, "Accept", accept)
		Error(ctx, 502, "upstream_refused", "This site is not running.")
		h := &ctx.Response.Header
		if ctx.Response.StatusCode() != 502 || len(h.Peek("X-Half")) > 0 || strings.Contains(string(ctx.Response.Body()), "half") {
			t.Fatalf("%d\n%s", ctx.Response.StatusCode(), ctx.Response.Body())
		}
		if string(h.Peek("Cache-Control")) != "no-store" || string(h.Peek("X-Content-Type-Options")) != "nosniff" {
			t.Fatalf("%s", h)
		}
		if wantType := map[bool]string{true: jsonType, false: htmlType}[wantJSON]; string(h.ContentType()) != wantType {
			t.Fatalf("%s for %s, want %s", h.ContentType(), accept, wantType)
		}
		if !wantJSON {
			checkPage(t, ctx, "502", "Bad Gateway", "This site is not running.", "r1")
			return
		}
		var got map[string]any
		if err := json.Unmarshal(ctx.Response.Body(), &got); err != nil {
			t.Fatal(err)
		}
		want := map[string]any{"success": false, "message": "This site is not running.", "code": "upstream_refused", "request_id": "r1"}
		for key, value := range want {
			if got[key] != value || len(got) != len(want) {
				t.Fatalf("%v, want %v", got, want)
			}
		}
	}

	const browser = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
	f("/", browser, false)
	f("/", "", false)
	f("/", "*/*", false)
	f("/", "text/html, application/json", false)
	f("/apiary", browser, false)
	f("/", "application/json, text/plain, */*", true)
	f("/", "Application/JSON", true)
	f("/api/products", browser, true)
	f("/api", browser, true)
}

// TestEscaped puts markup wherever it can come from outside.
func TestEscaped(t *testing.T) {
	const evil = `"><script>alert(1)</script><img src=x onerror=alert(1)>`
	ctx := newContext("GET", "/", "X-Request-ID", evil)
	Error(ctx, 404, "not_found", evil)
	checkPage(t, ctx, evil)

	ctx = newContext("GET", "/")
	Welcome(ctx, &tenant.Tenant{Slug: evil, Brand: evil, Domains: []string{evil, evil}})
	checkPage(t, ctx, evil)

	ctx = newContext("GET", "/api/", "X-Request-ID", evil)
	Error(ctx, 404, "not_found", evil)
	if body := string(ctx.Response.Body()); strings.Contains(body, "<") {
		t.Errorf("%s", body)
	}
}

func TestWelcome(t *testing.T) {
	tn := &tenant.Tenant{Slug: "anastasia", Brand: "Königs & Massage", Domains: []string{"anastasia.localhost", "www.anastasia.localhost"}}
	ctx := newContext("GET", "/?utm=1")
	Welcome(ctx, tn)
	if ctx.Response.StatusCode() != 200 {
		t.Fatal(ctx.Response.StatusCode())
	}
	checkPage(t, ctx, "Königs & Massage", "anastasia.localhost", "www.anastasia.localhost", "tenants.yaml", "/api/settings", "- slug: anastasia")

	f := func(method, target string, want int) {
		t.Helper()
		ctx := newContext(method, target)
		Welcome(ctx, tn)
		if got := ctx.Response.StatusCode(); got != want {
			t.Fatalf("%s %s: %d, want %d", method, target, got, want)
		}
	}

	f("HEAD", "/", 200)
	f("GET", "/favicon.ico", 404)
	f("GET", "/index.html", 404)
	f("POST", "/", 405)

	// A tenant need not have a brand.
	ctx = newContext("GET", "/")
	Welcome(ctx, &tenant.Tenant{Slug: "metahub"})
	checkPage(t, ctx, "metahub")
}

// checkPage parses a page: it must be self-contained, and each text must be on it as text.
func checkPage(t *testing.T, ctx *fasthttp.RequestCtx, texts ...string) {
	t.Helper()
	if csp := string(ctx.Response.Header.Peek("Content-Security-Policy")); !strings.HasPrefix(csp, "default-src 'none'; style-src 'unsafe-inline'") {
		t.Fatalf("Content-Security-Policy: %s", csp)
	}
	doc, err := html.Parse(strings.NewReader(string(ctx.Response.Body())))
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	lang := ""
	for n := range doc.Descendants() {
		switch {
		case n.Type == html.TextNode:
			text.WriteString(n.Data)
		case n.Type == html.ElementNode && (n.Data == "script" || n.Data == "img" || n.Data == "link"):
			t.Fatalf("the page has a <%s>", n.Data)
		}
		for _, a := range n.Attr {
			if a.Key == "lang" {
				lang = a.Val
			}
			if strings.HasPrefix(a.Key, "on") || a.Key == "src" || a.Key == "href" && a.Val != "/api/settings" {
				t.Fatalf("the page has %s=%q", a.Key, a.Val)
			}
		}
	}
	if lang != "en" {
		t.Fatalf("lang is %q", lang)
	}
	for _, want := range texts {
		if !strings.Contains(text.String(), want) {
			t.Fatalf("%q is not on the page:\n%s", want, text.String())
		}
	}
}
