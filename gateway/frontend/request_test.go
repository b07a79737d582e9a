package frontend

import (
	"net"
	"strings"
	"testing"

	"metahub/tenant"
)

// TestRequestBytes sends raw requests and compares what reaches the upstream byte by byte.
func TestRequestBytes(t *testing.T) {
	upstream, requests := answering(t, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
	s := proxied(t, upstream)

	f := func(sent, want string) {
		t.Helper()
		b := s.browse(t)
		defer b.Close()
		b.send(sent)
		if a := b.receive("GET"); a.status != 200 {
			t.Fatalf("answer %d: %s", a.status, a.body)
		}
		if got := receive(t, "the request", requests); got != want {
			t.Fatalf("the upstream got\n%q\nwant\n%q", got, want)
		}
	}

	const ours = "X-Request-Id: r1\r\nX-Tenant: anastasia\r\n"

	// The least.
	f("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a.test\r\n"+ours+"\r\n")
	// The target as the client wrote it.
	f("GET /a%2Fb/../c//d?q=%20&r=a+b HTTP/1.1\r\nHost: a.test\r\n\r\n",
		"GET /a%2Fb/../c//d?q=%20&r=a+b HTTP/1.1\r\nHost: a.test\r\n"+ours+"\r\n")
	f("OPTIONS * HTTP/1.1\r\nHost: a.test\r\n\r\n",
		"OPTIONS * HTTP/1.1\r\nHost: a.test\r\n"+ours+"\r\n")
	// No User-Agent or Content-Type is made up, cookies come as they were.
	f("GET / HTTP/1.1\r\nHost: a.test\r\nCookie: a=\"x y\";b;  c=%20; =d\r\nCookie: e=f\r\nAccept: */*\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a.test\r\nCookie: a=\"x y\";b;  c=%20; =d\r\nCookie: e=f\r\nAccept: */*\r\n"+ours+"\r\n")
	// Hop-by-hop fields end here, and those that Connection names.
	f("GET / HTTP/1.1\r\nHost: a.test\r\nConnection: keep-alive, X-Private\r\nX-Private: 1\r\nKeep-Alive: 5\r\nProxy-Authorization: x\r\nTE: trailers\r\n"+
		"HTTP2-Settings: x\r\nUpgrade: h2c\r\nX-Public: 2\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a.test\r\nX-Public: 2\r\n"+ours+"\r\n")
	// Connection cannot take away the gateway's own.
	f("GET / HTTP/1.1\r\nHost: a.test\r\nConnection: close, X-Tenant, X-Request-ID, X-Forwarded-For, X-Real-IP, Host\r\nX-Forwarded-For: 1\r\nX-Real-IP: 2\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a.test\r\nX-Forwarded-For: 1\r\nX-Real-Ip: 2\r\n"+ours+"\r\n")
	// X-Tenant is the tenant's slug, whatever the client says.
	f("GET / HTTP/1.1\r\nHost: a.test\r\nX-Tenant: ensotek\r\nx-tenant: radanor\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a.test\r\n"+ours+"\r\n")
	f("GET / HTTP/1.1\r\nHost: a.test\r\nTrailer: X-Tenant\r\nX-Tenant: ensotek\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a.test\r\n"+ours+"\r\n")
	// Framing is written anew.
	f("POST / HTTP/1.1\r\nHost: a.test\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: a.test\r\n"+ours+"Content-Length: 0\r\n\r\n")
	f("DELETE / HTTP/1.1\r\nHost: a.test\r\n\r\n",
		"DELETE / HTTP/1.1\r\nHost: a.test\r\n"+ours+"\r\n")
	f("POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 5\r\nContent-Type: a/b\r\n\r\nhello",
		"POST / HTTP/1.1\r\nHost: a.test\r\nContent-Type: a/b\r\n"+ours+"Content-Length: 5\r\n\r\nhello")
	f("GET / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 5\r\n\r\nGET /",
		"GET / HTTP/1.1\r\nHost: a.test\r\n"+ours+"Content-Length: 5\r\n\r\nGET /")
	f("POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n5;x=y\r\nhello\r\n0\r\nX-T: ensotek\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: a.test\r\n"+ours+"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-T: ensotek\r\n\r\n")
	large := strings.Repeat("x", smallBody+1)
	f("PUT / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 8193\r\n\r\n"+large,
		"PUT / HTTP/1.1\r\nHost: a.test\r\n"+ours+"Content-Length: 8193\r\n\r\n"+large)
}

// TestRequestRefused sends what must not reach an upstream even if the guard in front lets it pass.
func TestRequestRefused(t *testing.T) {
	upstream, requests := answering(t, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
	s := serveSite(t, Config{}, upstreamTenant(upstream), func(c net.Conn) net.Conn { return c })

	f := func(sent string) {
		t.Helper()
		b := s.browse(t)
		defer b.Close()
		b.send(sent)
		if a := b.receive("GET"); a.status != 400 {
			t.Fatalf("answer %d", a.status)
		}
		select {
		case request := <-requests:
			t.Fatalf("the upstream got %q", request)
		default:
		}
	}

	f("GET nonsense HTTP/1.1\r\nHost: a.test\r\n\r\n")
	f("GET http://a.test/ HTTP/1.1\r\nHost: a.test\r\n\r\n")
	f("GET /a#b HTTP/1.1\r\nHost: a.test\r\n\r\n")
	f("GET / HTTP/1.1\r\nHost: a.test\r\nContent-Length x: 5\r\n\r\n")
}

func TestBackend(t *testing.T) {
	upstream, requests := answering(t, "HTTP/1.1 200 OK\r\nAccess-Control-Allow-Origin: *\r\naccess-control-allow-credentials: true\r\n"+
		"Access-Control-Expose-Headers: X-Total\r\nX-Request-ID: theirs\r\nContent-Length: 2\r\n\r\n{}")
	s := newSite(t, Config{}, &tenant.Tenant{Slug: "anastasia", Backend: upstream})

	a := s.get(t, "/api/settings?limit=1")
	if a.status != 200 || a.body != "{}" {
		t.Fatalf("answer %d %q", a.status, a.body)
	}
	for _, gone := range []string{"Access-Control-Allow-Origin", "access-control-allow-credentials", "X-Request-ID"} {
		if v := a.header.Peek(gone); v != nil {
			t.Errorf("%s: %s came through", gone, v)
		}
	}
	if v := a.header.Peek("Access-Control-Expose-Headers"); string(v) != "X-Total" {
		t.Errorf("Access-Control-Expose-Headers is %q", v)
	}
	if got := receive(t, "the request", requests); !strings.HasPrefix(got, "GET /api/settings?limit=1 HTTP/1.1\r\n") {
		t.Errorf("the backend got %q", got)
	}
}

func TestIsOriginForm(t *testing.T) {
	f := func(target string, want bool) {
		t.Helper()
		if got := isOriginForm([]byte(target)); got != want {
			t.Fatalf("isOriginForm(%q) = %v", target, got)
		}
	}

	f("/", true)
	f("/a?b://c", true)
	f("*", true)
	f("", false)
	f("https://a.test/b", false)
	f("a.test:443", false)
	f("/a b", false)
	f("/a\r\nX: y", false)
	f("/a\x00", false)
	f("/a\x7f", false)
	f("/a#b", false)
}
