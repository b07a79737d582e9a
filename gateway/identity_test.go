package gateway

import (
	"net/http"
	"strings"
	"testing"

	"metahub/tenant"
)

// TestNobodyChoosesATenant sends all that hostile clients try to pass for another tenant's visitor.
func TestNobodyChoosesATenant(t *testing.T) {
	w := start(t, nil)
	f := func(name, lines string) {
		t.Helper()
		got := w.raw("anna.test", "GET /x HTTP/1.1\r\nHost: anna.test\r\n"+lines+"\r\n").seen(t)
		if got.Tenant != "anna" || got.one(t, "X-Tenant") != "anna" {
			t.Errorf("%s: bound to %q with X-Tenant %q, want anna", name, got.Tenant, got.Header["X-Tenant"])
		}
		for field, values := range got.Header {
			if contains(values, "bert") {
				t.Errorf("%s: %s: %q reached the frontend", name, field, values)
			}
		}
		if got.one(t, "Host") != "anna.test" || got.one(t, "X-Forwarded-Host") != "anna.test" {
			t.Errorf("%s: Host %q, X-Forwarded-Host %q", name, got.Header["Host"], got.Header["X-Forwarded-Host"])
		}
		if got.one(t, "X-Forwarded-For") != "127.0.0.1" || got.one(t, "X-Real-Ip") != "127.0.0.1" {
			t.Errorf("%s: X-Forwarded-For %q, X-Real-IP %q", name, got.Header["X-Forwarded-For"], got.Header["X-Real-Ip"])
		}
	}
	f("plain", "X-Tenant: bert\r\n")
	f("lower case", "x-tenant: bert\r\n")
	f("upper case", "X-TENANT: bert\r\n")
	f("underscore", "X_Tenant: bert\r\n")
	f("dot", "x.tenant: bert\r\n")
	f("mixed signs", "X~Tenant: bert\r\nx*tenant: bert\r\n")
	f("twice", "X-Tenant: bert\r\nX-Tenant: bert\r\n")
	f("ours among them", "X-Tenant: anna\r\nX_Tenant: bert\r\nX-Tenant: bert\r\n")
	f("connection option", "Connection: close, X-Tenant, X-Forwarded-For, X-Real-IP, Host\r\n")
	f("connection option and value", "Connection: X-Tenant\r\nX-Tenant: bert\r\nConnection: X-Tenant\r\n")
	f("announced as a trailer", "Trailer: X-Tenant, X-Request-Id\r\nX-Tenant: bert\r\n")
	f("forwarded", "Forwarded: for=bert;host=bert\r\nX-Forwarded-Host: bert\r\nX-Forwarded-For: bert\r\nX_Forwarded_For: bert\r\nX-Real-IP: bert\r\n")
	f("unknown forwarded", "X-Forwarded-Tenant: bert\r\nX-Forwarded: bert\r\nX.Forwarded.Prefix: bert\r\n")
	f("request id", "X-Request-ID: bert\r\nx_request_id: bert\r\n")
	f("httpoxy", "Proxy: bert\r\nProxy-Connection: bert\r\n")
	f("h2c", "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: bert\r\n")
	f("two upgrades", "Connection: Upgrade\r\nUpgrade: h2c\r\nUpgrade: websocket\r\n")
	f("middleware", "x-middleware-subrequest: bert\r\n")
}

// TestFieldsKeepTheirOrder has fields of one name around others that are removed.
func TestFieldsKeepTheirOrder(t *testing.T) {
	w := start(t, nil)
	f := func(lines string) {
		t.Helper()
		got := w.raw("anna.test", "GET / HTTP/1.1\r\nHost: anna.test\r\n"+lines+"\r\n").seen(t)
		if order := strings.Join(got.Header["Accept"], ","); order != "a,b,c" {
			t.Errorf("%q: Accept came as %q, want a,b,c", lines, order)
		}
		if got.Header["X-One"] != nil || got.one(t, "X-Tenant") != "anna" {
			t.Errorf("%q: the frontend saw %q", lines, got.Header)
		}
	}
	f("Accept: a\r\nAccept: b\r\naccept: c\r\n")
	f("X-Tenant: x\r\nAccept: a\r\nAccept: b\r\naccept: c\r\n")
	f("Accept: a\r\nForwarded: x\r\nX-Tenant: x\r\nAccept: b\r\nTE: x\r\nCookie: a=b\r\nAccept: c\r\n")
	f("X-One: x\r\nConnection: X-One\r\nX-One: y\r\nAccept: a\r\nAccept: b\r\nAccept: c\r\n")
}

func TestHTTP2NobodyChoosesATenant(t *testing.T) {
	w := start(t, nil)
	got := w.do(w.client(true, ""), "POST", "https://anna.test/x?y=1", "body", "X-Tenant: bert", "x_tenant: bert", "X.Tenant: bert",
		"X-Forwarded-For: 1.2.3.4", "X-Forwarded-Host: bert", "Forwarded: for=bert", "X-Real-IP: bert", "Proxy: bert", "Cookie: a=b", "Cookie: c=d").seen(t)
	if got.Tenant != "anna" || got.one(t, "X-Tenant") != "anna" || got.one(t, "X-Forwarded-For") != "127.0.0.1" {
		t.Errorf("bound to %q with %q", got.Tenant, got.Header)
	}
	for field, values := range got.Header {
		if contains(values, "bert") {
			t.Errorf("%s: %q reached the frontend", field, values)
		}
	}
	if got.Body != "body" || got.URI != "/x?y=1" || got.one(t, "X-Forwarded-Proto") != "https" || got.one(t, "X-Forwarded-Port") != "443" {
		t.Errorf("the frontend saw %+v", got)
	}
	if got.one(t, "Cookie") != "a=b; c=d" {
		t.Errorf("Cookie %q", got.Header["Cookie"])
	}
}

func TestHosts(t *testing.T) {
	w := start(t, nil)
	f := func(sni, line, host string, status int, slug string) {
		t.Helper()
		got := w.raw(sni, line+" HTTP/1.1\r\nHost: "+host+"\r\n\r\n")
		if got.StatusCode != status {
			t.Errorf("%s with Host %q on %q: status %d, want %d", line, host, sni, got.StatusCode, status)
			return
		}
		if got.Header.Get("X-Request-Id") == "" {
			t.Errorf("%s with Host %q on %q: no request id in %q", line, host, sni, got.Header)
		}
		if slug == "" {
			return
		}
		if s := got.seen(t); s.Tenant != slug || s.URI != "/a?b=%2f" || s.one(t, "Host") != strings.TrimSuffix(strings.ToLower(host), ".") {
			t.Errorf("%s with Host %q: tenant %q, target %q, host %q", line, host, s.Tenant, s.URI, s.Header["Host"])
		}
	}
	const get = "GET /a?b=%2f"
	f("anna.test", get, "anna.test", 200, "anna")
	f("anna.test", get, "ANNA.Test", 200, "anna")
	f("anna.test", get, "anna.test.", 200, "anna")
	f("anna.test", get, "anna.test:8443", 200, "anna")
	f("ANNA.test", get, "anna.test", 200, "anna")
	f("www.anna.test", get, "anna.test", 200, "anna") // another name of the same tenant
	f("x.shop.test", get, "y.shop.test", 200, "anna")
	// names that are nobody's
	f("anna.test", get, "anna.test.evil.test", 421, "")
	f("a.x.shop.test", get, "a.x.shop.test", 421, "")
	f("nobody.test", get, "nobody.test", 421, "")
	// TLS name and Host of different tenants
	f("anna.test", get, "bert.test", 421, "")
	f("bert.test", get, "anna.test", 421, "")
	f("api.test", get, "anna.test", 421, "")
	f("anna.test", "GET /api/x", "api.test", 421, "")
	f("nobody.test", get, "anna.test", 421, "")
	// no host at all
	f("anna.test", get, "anna.test@bert.test", 400, "")
	f("anna.test", get, "anna.test/x", 400, "")
	f("anna.test", get, "", 400, "")
	// a target that names a host
	f("anna.test", "GET https://anna.test/a?b=%2f", "anna.test", 200, "anna")
	f("anna.test", "GET https://bert.test/a?b=%2f", "anna.test", 400, "")
	f("anna.test", "GET https://anna.test/a?b=%2f", "bert.test", 400, "")
	// a tenant that is switched off
	f("gone.test", get, "gone.test", 503, "")
}

func TestAbsoluteFormWithoutPath(t *testing.T) {
	w := start(t, nil)
	f := func(target, want string) {
		t.Helper()
		if got := w.raw("anna.test", "GET "+target+" HTTP/1.1\r\nHost: anna.test\r\n\r\n").seen(t); got.URI != want {
			t.Errorf("%s became %q, want %q", target, got.URI, want)
		}
	}
	f("https://anna.test", "/")
	f("https://anna.test?q=1", "/?q=1")
	f("https://anna.test/p?q=https://bert.test/", "/p?q=https://bert.test/")
}

func TestUnknownHostTenant(t *testing.T) {
	w := start(t, func(s *tenant.Gateway, _ *Gateway) { s.UnknownHost = "bert" })
	if got := w.raw("nobody.test", "GET / HTTP/1.1\r\nHost: other.test\r\n\r\n").seen(t); got.Tenant != "bert" {
		t.Errorf("an unknown host went to %q, want bert", got.Tenant)
	}
	if got := w.raw("nobody.test", "GET / HTTP/1.1\r\nHost: anna.test\r\n\r\n"); got.StatusCode != 421 {
		t.Errorf("an unknown TLS name with anna's Host: status %d, want 421", got.StatusCode)
	}
}

// TestMovedDomain moves a domain to another tenant while a connection is open.
func TestMovedDomain(t *testing.T) {
	w := start(t, nil)
	c := w.client(false, "")
	if got := w.do(c, "GET", "https://bert.test/", "").seen(t); got.Tenant != "bert" {
		t.Fatalf("bert.test is %q's", got.Tenant)
	}
	moved := tenants()[:1]
	moved[0].Domains = append(moved[0].Domains, "bert.test")
	w.registry.Publish(tenant.NewDirectory(settings(), moved))
	if got := w.do(c, "GET", "https://bert.test/", "").seen(t); got.Tenant != "anna" {
		t.Errorf("after the move bert.test is %q's, want anna", got.Tenant)
	}
}

func TestAPIHost(t *testing.T) {
	w := start(t, nil)
	f := func(path, lines string, status int, slug string) {
		t.Helper()
		got := w.raw("api.test", "GET "+path+" HTTP/1.1\r\nHost: api.test\r\n"+lines+"\r\n")
		if got.StatusCode != status {
			t.Errorf("%s with %q: status %d, want %d", path, lines, got.StatusCode, status)
		} else if slug != "" && got.seen(t).Tenant != slug {
			t.Errorf("%s with %q: tenant %q, want %q", path, lines, got.seen(t).Tenant, slug)
		}
	}
	f("/api/x", "X-Tenant: anna\r\n", 200, "anna")
	f("/api/x", "x-tenant: bert\r\n", 200, "bert")
	f("/api/x", "X-Tenant: bert\r\nOrigin: https://bert.test\r\n", 200, "bert")
	f("/api/x", "X-Tenant: anna\r\nOrigin: https://any.shop.test:8443\r\nReferer: https://www.anna.test/page?x=https://bert.test\r\n", 200, "anna")
	f("/api/x", "Origin: https://bert.test\r\n", 200, "bert")
	// another tenant's page
	f("/api/x", "X-Tenant: anna\r\nOrigin: https://bert.test\r\n", 403, "")
	f("/api/x", "X-Tenant: anna\r\nReferer: https://bert.test/\r\n", 403, "")
	f("/api/x", "X-Tenant: anna\r\nOrigin: https://anna.test\r\nReferer: https://bert.test/\r\n", 403, "")
	f("/api/x", "X-Tenant: anna\r\nOrigin: null\r\n", 403, "")
	f("/api/x", "X-Tenant: anna\r\nOrigin: https://anna.test.evil.test\r\n", 403, "")
	f("/api/x", "X-Tenant: anna\r\nOrigin: https://evil.test/anna.test\r\n", 403, "")
	f("/api/x", "X-Tenant: anna\r\nOrigin: https://anna.test\r\nOrigin: https://bert.test\r\n", 403, "")
	f("/api/x", "Origin: https://anna.test\r\nOrigin: https://bert.test\r\n", 403, "")
	f("/api/x", "Origin: https://evil.test\r\n", 403, "")
	// nobody, or no one in particular
	f("/api/x", "", 400, "")
	f("/api/x", "X_Tenant: anna\r\n", 400, "")
	f("/api/x", "X-Tenant: nobody\r\n", 400, "")
	f("/api/x", "X-Tenant:\r\n", 400, "")
	f("/api/x", "X-Tenant: anna\r\nX-Tenant: bert\r\n", 400, "")
	f("/api/x", "X-Tenant: anna\r\nX-Tenant: anna\r\n", 400, "")
	f("/api/x", "X-Tenant: anna, bert\r\n", 400, "")
	f("/api/x", "X-Tenant: gone\r\n", 503, "")
	// only the API is served
	f("/", "X-Tenant: anna\r\n", 404, "")
	f("/apix", "X-Tenant: anna\r\n", 404, "")
	f("/API/x", "X-Tenant: anna\r\n", 404, "")

	if got := w.do(w.client(true, ""), "GET", "https://api.test/api/x", "", "X-Tenant: anna").seen(t); got.Tenant != "anna" {
		t.Errorf("over HTTP/2: tenant %q, want anna", got.Tenant)
	}
	if got := w.do(w.client(true, ""), "GET", "https://api.test/api/x", "", "X-Tenant: anna", "Origin: https://bert.test"); got.StatusCode != http.StatusForbidden {
		t.Errorf("over HTTP/2 from another tenant's page: status %d, want 403", got.StatusCode)
	}
}

// TestTrustedProxiesOverAllProtocols believes and disbelieves the same fields however they came.
func TestTrustedProxiesOverAllProtocols(t *testing.T) {
	pair(t, func(t *testing.T, http2 bool) {
		f := func(w *world, chain, real, proto string, fields ...string) {
			t.Helper()
			got := w.do(w.client(http2, ""), "GET", "https://anna.test/", "", fields...).seen(t)
			if got.one(t, "X-Forwarded-For") != chain || got.one(t, "X-Real-Ip") != real || got.one(t, "X-Forwarded-Proto") != proto {
				t.Errorf("%q gave %q", fields, got.Header)
			}
			if told := got.one(t, "X-Request-Id") == "abc-1"; told != (proto == "http") {
				t.Errorf("%q gave the request id %q", fields, got.Header["X-Request-Id"])
			}
		}
		all := []string{"X-Forwarded-For: 9.9.9.9, 8.8.8.8", "X-Forwarded-For: 10.1.1.1", "X-Forwarded-Proto: http", "X-Request-ID: abc-1", "Forwarded: for=1.1.1.1"}
		f(start(t, nil), "127.0.0.1", "127.0.0.1", "https", all...)
		trusting := start(t, trustLoopback)
		f(trusting, "9.9.9.9, 8.8.8.8, 10.1.1.1, 127.0.0.1", "8.8.8.8", "http", all...)
		f(trusting, "127.0.0.1", "127.0.0.1", "https", "X_Forwarded_For: 1.1.1.1", "X-Real-IP: 1.1.1.1")
	})
}

func TestTrustedProxies(t *testing.T) {
	f := func(w *world, lines, chain, real, proto, id string) {
		t.Helper()
		got := w.raw("anna.test", "GET / HTTP/1.1\r\nHost: anna.test\r\n"+lines+"\r\n").seen(t)
		if got.one(t, "X-Forwarded-For") != chain || got.one(t, "X-Real-Ip") != real || got.one(t, "X-Forwarded-Proto") != proto {
			t.Errorf("%q gave %q", lines, got.Header)
		}
		if (got.one(t, "X-Request-Id") == "abc-1") != (id == "abc-1") {
			t.Errorf("%q gave the request id %q", lines, got.Header["X-Request-Id"])
		}
	}
	all := "X-Forwarded-For: 9.9.9.9, 8.8.8.8\r\nX-Forwarded-For: 10.1.1.1\r\nX-Forwarded-Proto: http\r\nX-Request-ID: abc-1\r\n"
	strict := start(t, nil)
	f(strict, all, "127.0.0.1", "127.0.0.1", "https", "")
	trusting := start(t, trustLoopback)
	f(trusting, "", "127.0.0.1", "127.0.0.1", "https", "")
	f(trusting, all, "9.9.9.9, 8.8.8.8, 10.1.1.1, 127.0.0.1", "8.8.8.8", "http", "abc-1")
	f(trusting, "X-Forwarded-For: ::ffff:7.7.7.7\r\n", "::ffff:7.7.7.7, 127.0.0.1", "7.7.7.7", "https", "")
	f(trusting, "X-Forwarded-For: 6.6.6.6, unknown\r\n", "6.6.6.6, unknown, 127.0.0.1", "127.0.0.1", "https", "")
	f(trusting, "X-Forwarded-For: 10.0.0.2, 10.0.0.1\r\n", "10.0.0.2, 10.0.0.1, 127.0.0.1", "10.0.0.2", "https", "")
	f(trusting, "X-Request-ID: a b\r\nX-Forwarded-Proto: gopher\r\nX_Forwarded_For: 1.1.1.1\r\n", "127.0.0.1", "127.0.0.1", "https", "")
}
