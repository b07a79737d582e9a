package gateway

import (
	"bufio"
	"io"
	"net"
	"testing"
	"time"

	"metahub/tenant"
)

func (w *world) plain(request string) answer {
	w.Helper()
	c, err := net.Dial("tcp", w.http.String())
	if err != nil {
		w.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	if _, err := io.WriteString(c, request); err != nil {
		w.Fatal(err)
	}
	return w.read(bufio.NewReader(c), request)
}

func TestPlainPortRedirects(t *testing.T) {
	w := start(t, nil)
	_, port, _ := net.SplitHostPort(w.https.String())
	f := func(head string, status int, location string) {
		t.Helper()
		got := w.plain(head + "\r\n\r\n")
		if got.StatusCode != status || got.Response.Header.Get("Location") != location {
			t.Errorf("%q: status %d to %q, want %d to %q", head, got.StatusCode, got.Response.Header.Get("Location"), status, location)
		}
		if got.Response.Header.Get("X-Request-Id") == "" {
			t.Errorf("%q: no request id", head)
		}
	}
	f("GET / HTTP/1.1\r\nHost: anna.test", 308, "https://anna.test:"+port+"/")
	f("GET /a%2Fb//c?q=%20+&r=//x HTTP/1.1\r\nHost: Anna.test.:80", 308, "https://anna.test:"+port+"/a%2Fb//c?q=%20+&r=//x")
	f("POST /api/x HTTP/1.1\r\nHost: api.test\r\nContent-Length: 0", 308, "https://api.test:"+port+"/api/x")
	f("GET http://anna.test/x?y HTTP/1.1\r\nHost: anna.test", 308, "https://anna.test:"+port+"/x?y")
	f("GET //evil.test/ HTTP/1.1\r\nHost: anna.test", 308, "https://anna.test:"+port+"//evil.test/")
	f("OPTIONS * HTTP/1.1\r\nHost: anna.test", 308, "https://anna.test:"+port)
	f("GET / HTTP/1.1\r\nHost: evil.test", 421, "")
	f("GET / HTTP/1.1\r\nHost: evil.test@anna.test", 400, "")
	f("GET /../x HTTP/1.1\r\nHost: anna.test", 400, "")
}

func TestRedirectPort(t *testing.T) {
	f := func(https, location string) {
		t.Helper()
		w := start(t, nil)
		s := settings()
		s.HTTPS = https
		w.registry.Publish(tenant.NewDirectory(s, tenants()))
		if got := w.plain("GET /x HTTP/1.1\r\nHost: anna.test\r\n\r\n").Response.Header.Get("Location"); got != location {
			t.Errorf("with gateway.https %q: to %q, want %q", https, got, location)
		}
	}
	f(":443", "https://anna.test/x")
	f("127.0.0.1:443", "https://anna.test/x")
	f("[::]:8443", "https://anna.test:8443/x")
}

func TestRedirectToCanonical(t *testing.T) {
	pair(t, func(t *testing.T, http2 bool) {
		w := start(t, nil)
		c := w.client(http2, "")
		f := func(method, url string, status int, location string) {
			t.Helper()
			got := w.do(c, method, url, "")
			if got.StatusCode != status || got.Response.Header.Get("Location") != location {
				t.Errorf("%s: status %d to %q, want %d to %q", url, got.StatusCode, got.Response.Header.Get("Location"), status, location)
			}
		}
		f("GET", "https://www.canon.test/a%2fb?c=d", 308, "https://canon.test/a%2fb?c=d")
		f("POST", "https://www.canon.test:8443/x", 308, "https://canon.test:8443/x")
		f("GET", "https://www.canon.test/api/x", 200, "")
		f("GET", "https://canon.test/x", 200, "")
		f("GET", "https://www.anna.test/x", 200, "")
	})
}
