package gateway

import "testing"

func TestClassify(t *testing.T) {
	f := func(want kind, names ...string) {
		t.Helper()
		for _, name := range names {
			if got := classify([]byte(name)); got != want {
				t.Errorf("classify(%q) = %d, want %d", name, got, want)
			}
		}
	}
	// a claim has the hyphen where it belongs
	f(tenantClaim, "X-Tenant", "x-tenant", "X-TENANT")
	f(forwardedForClaim, "X-Forwarded-For", "x-forwarded-for")
	f(protoClaim, "X-Forwarded-Proto")
	f(requestIDClaim, "X-Request-ID", "X-Request-Id")
	f(upgradeClaim, "Upgrade", "upgrade")
	f(connectionOptions, "Connection", "CONNECTION")
	// what a careless server would take for one of ours
	f(dropped, "X_Tenant", "x.tenant", "X~TENANT", "x_request-id", "X_Request_ID")
	f(dropped, "X_Forwarded_For", "X-Forwarded-Host", "X-Forwarded-Port", "X-Forwarded", "x.forwarded.anything", "X-Real-IP", "X_Real_Ip")
	f(dropped, "Forwarded", "FORWARDED", "X-Middleware-Subrequest")
	f(dropped, "Proxy", "proxy", "Proxy-Connection", "Proxy_Authorization", "Keep-Alive", "TE", "Trailer", "HTTP2-Settings", "Expect")
	f(dropped, "Content_Length", "Transfer.Encoding")
	// the client's own
	f(ordinary, "Host", "Content-Length", "Transfer-Encoding", "Content-Type", "Cookie", "Authorization", "Accept", "T", "Upgrade-Insecure-Requests")
	f(ordinary, "X-Tenants", "X-Tenan", "XX-Tenant", "X-Requested-With", "Forwarded-By", "Proxies", "User-Agent", "X")
}

func TestIsID(t *testing.T) {
	f := func(id string, want bool) {
		t.Helper()
		if got := isID([]byte(id)); got != want {
			t.Errorf("isID(%q) = %v, want %v", id, got, want)
		}
	}
	f("0f3c-A_z.9", true)
	f("", false)
	f("a b", false)
	f("a\"b", false)
	f("a\xc3\xa4", false)
	long := make([]byte, maxID+1)
	for i := range long {
		long[i] = 'a'
	}
	f(string(long[:maxID]), true)
	f(string(long), false)
}

// FuzzClassify holds classify to its promise for the names that matter most, whatever their spelling.
func FuzzClassify(f *testing.F) {
	for _, seed := range []string{"X-Tenant", "x_forwarded_for", "X-Real.IP", "Te", "Proxy-", "Connection"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, name []byte) {
		plain := make([]byte, len(name)) // how a CGI program reads the name
		for i, c := range name {
			switch {
			case 'A' <= c && c <= 'Z':
				c |= 0x20
			case 'a' <= c && c <= 'z' || '0' <= c && c <= '9':
			default:
				c = '-'
			}
			plain[i] = c
		}
		kind := classify(name)
		switch string(plain) {
		case "x-tenant", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-forwarded-port", "x-real-ip", "x-request-id", "forwarded", "proxy":
			if kind == ordinary {
				t.Errorf("%q passes", name)
			}
		}
	})
}

func FuzzSplitOrigin(f *testing.F) {
	for _, seed := range []string{"https://anna.test", "http://[::1]:8443", "null", "https://a@b", "https://A.test.:1"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, origin []byte) {
		scheme, host, port, ok := splitOrigin(nil, origin)
		if !ok {
			return
		}
		again := string(scheme) + "://" + string(host)
		if len(port) > 0 {
			again += ":" + string(port)
		}
		scheme2, host2, port2, ok := splitOrigin(nil, []byte(again))
		if !ok || string(scheme2) != string(scheme) || string(host2) != string(host) || string(port2) != string(port) {
			t.Errorf("%q is %q, which is read as %q %q %q", origin, again, scheme2, host2, port2)
		}
	})
}
