package gateway

import (
	"strings"
	"testing"

	"github.com/valyala/fasthttp"
)

func TestCORS(t *testing.T) {
	pair(t, func(t *testing.T, http2 bool) {
		w := start(t, nil)
		w.answerWith(func(ctx *fasthttp.RequestCtx, who string) {
			h := &ctx.Response.Header
			if who == "backend" {
				h.DisableNormalizing() // as a frontend passes names on
			}
			h.Add("access-control-allow-origin", "*")
			h.Add("Access-Control-Allow-Origin", "https://evil.test")
			h.Add("Access-Control-Allow-Credentials", "true")
			h.Add("Access-Control-Expose-Headers", "X-Evil")
			h.Add("Vary", "Accept")
		})
		// f sends a request with an Origin and wants it allowed or not.
		f := func(url, origin string, allowed bool, headers ...string) {
			t.Helper()
			got := w.do(w.client(http2, ""), "GET", url, "", append(headers, "Origin: "+origin)...)
			want := ""
			if allowed {
				want = origin
			}
			if values := got.Header.Values("Access-Control-Allow-Origin"); strings.Join(values, ",") != want {
				t.Errorf("%s from %q: Access-Control-Allow-Origin %q, want %q", url, origin, values, want)
			}
			if credentials := got.Header.Get("Access-Control-Allow-Credentials"); (credentials == "true") != allowed {
				t.Errorf("%s from %q: credentials %q", url, origin, credentials)
			}
			if !contains(got.Header.Values("Vary"), "Origin") || contains(got.Header.Values("Access-Control-Expose-Headers"), "Evil") {
				t.Errorf("%s from %q: %q", url, origin, got.Header)
			}
		}
		for _, site := range []string{"https://anna.test", "https://api.test"} {
			claim := "X-Tenant: anna"
			f(site+"/api/x", "https://anna.test", true, claim)
			f(site+"/api/x", "https://www.anna.test", true, claim)
			f(site+"/api/x", "https://any.shop.test", true, claim)
			f(site+"/api", "https://anna.test:443", true, claim)
			f(site+":8443/api/x", "https://anna.test:8443", true, claim)
			f(site+":8443/api/x", "https://anna.test", true, claim)
			f(site+"/api/x", "https://anna.test:8443", false, claim)
			f(site+"/api/x", "http://anna.test", false, claim)
			f(site+"/api/x", "https://bert.test", false, claim)
			f(site+"/api/x", "https://anna.test.evil.test", false, claim)
			f(site+"/api/x", "https://evil-anna.test", false, claim)
			f(site+"/api/x", "https://a.b.shop.test", false, claim)
			f(site+"/api/x", "https://api.test", false, claim)
			f(site+"/api/x", "https://anna.test@evil.test", false, claim)
			f(site+"/api/x", "https://anna.test/", false, claim)
			f(site+"/api/x", "anna.test", false, claim)
			f(site+"/api/x", "null", false, claim)
		}
		f("https://back.test/api/x", "https://back.test", true)
		f("https://back.test/api/x", "https://evil.test", false)

		// a frontend's own headers are its own business
		got := w.do(w.client(http2, ""), "GET", "https://anna.test/page", "", "Origin: https://evil.test")
		if !contains(got.Header.Values("Access-Control-Expose-Headers"), "Evil") {
			t.Errorf("outside /api: %q", got.Header)
		}
	})
}

func TestPreflight(t *testing.T) {
	pair(t, func(t *testing.T, http2 bool) {
		w := start(t, nil)
		w.answerWith(func(ctx *fasthttp.RequestCtx, who string) {
			ctx.SetBodyString("asked " + who)
		})
		ask := []string{"Access-Control-Request-Method: PATCH", "Access-Control-Request-Headers: x-tenant,content-type"}
		for _, url := range []string{"https://anna.test/api/x", "https://api.test/api/x"} {
			got := w.do(w.client(http2, ""), "OPTIONS", url, "", append(ask, "Origin: https://www.anna.test")...)
			if got.StatusCode != 204 || got.body != "" || got.Header.Get("Access-Control-Allow-Origin") != "https://www.anna.test" ||
				got.Header.Get("Access-Control-Allow-Credentials") != "true" || got.Header.Get("Access-Control-Allow-Headers") != "x-tenant,content-type" ||
				!strings.Contains(got.Header.Get("Access-Control-Allow-Methods"), "PATCH") || got.Header.Get("Access-Control-Max-Age") == "" {
				t.Errorf("%s: status %d, %q, %q", url, got.StatusCode, got.body, got.Header)
			}
			got = w.do(w.client(http2, ""), "OPTIONS", url, "", append(ask, "Origin: https://evil.test")...)
			if got.StatusCode != 403 || got.Header.Get("Access-Control-Allow-Origin") != "" || got.Header.Get("Access-Control-Allow-Methods") != "" {
				t.Errorf("%s from evil.test: status %d, %q", url, got.StatusCode, got.Header)
			}
		}
		// OPTIONS that is no preflight belongs to those behind the gateway
		if got := w.do(w.client(http2, ""), "OPTIONS", "https://anna.test/api/x", ""); got.body != "asked api" {
			t.Errorf("OPTIONS without an origin: %q", got.body)
		}
		if got := w.do(w.client(http2, ""), "OPTIONS", "https://anna.test/x", "", append(ask, "Origin: https://anna.test")...); got.body != "asked frontend" {
			t.Errorf("OPTIONS of a page: %q", got.body)
		}
	})
}

func TestOptionsAsterisk(t *testing.T) {
	w := start(t, nil)
	got := w.raw("anna.test", "OPTIONS * HTTP/1.1\r\nHost: anna.test\r\n\r\n")
	if got.StatusCode != 204 || !strings.Contains(got.Header.Get("Allow"), "OPTIONS") {
		t.Errorf("status %d, Allow %q", got.StatusCode, got.Header.Get("Allow"))
	}
}
