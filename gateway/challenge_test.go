package gateway

import (
	"crypto/tls"
	"io"
	"net"
	"testing"
	"time"
)

func TestChallengesOnThePlainPort(t *testing.T) {
	w := start(t, nil)
	f := func(head string, status int, body string) {
		t.Helper()
		got := w.plain(head + "\r\n\r\n")
		if got.StatusCode != status || got.body != body {
			t.Errorf("%q: %d %q, want %d %q", head, got.StatusCode, got.body, status, body)
		}
	}
	const path = "/.well-known/acme-challenge/"
	f("GET "+path+"on-order HTTP/1.1\r\nHost: anna.test", 200, "on-order.thumbprint")
	f("GET "+path+"on-order HTTP/1.1\r\nHost: ANNA.test.:80", 200, "on-order.thumbprint")

	// another tenant's host, another token, another method: as ever
	f("GET "+path+"on-order HTTP/1.1\r\nHost: bert.test", 308, "")
	f("GET "+path+"other HTTP/1.1\r\nHost: anna.test", 308, "")
	f("POST "+path+"on-order HTTP/1.1\r\nHost: anna.test\r\nContent-Length: 0", 308, "")
	if got := w.plain("GET " + path + "on-order HTTP/1.1\r\nHost: evil.test\r\n\r\n"); got.StatusCode != 421 {
		t.Errorf("an unknown host was answered %d", got.StatusCode)
	}
}

// A CA follows a redirect that something in front of us sends.
func TestChallengesOnTheSecurePort(t *testing.T) {
	w := start(t, nil)
	const path = "/.well-known/acme-challenge/"
	get := func(host, token string) answer {
		return w.raw(host, "GET "+path+token+" HTTP/1.1\r\nHost: "+host+"\r\n\r\n")
	}
	for _, host := range []string{"anna.test", "api.test"} {
		if got := get(host, "on-order"); got.StatusCode != 200 || got.body != "on-order.thumbprint" {
			t.Errorf("%s answered %d %q", host, got.StatusCode, got.body)
		}
	}
	if got := get("anna.test", "other").seen(t); got.By != "frontend" {
		t.Errorf("a token that is not ours went to %q", got.By)
	}
	if got := get("api.test", "other"); got.StatusCode != 404 {
		t.Errorf("a token that is not ours was answered %d by an API host", got.StatusCode)
	}
}

// After a TLS-ALPN-01 handshake there is nothing to say (RFC 8737 §3).
func TestValidationConnectionsAreClosed(t *testing.T) {
	w := start(t, nil)
	conn, err := tls.DialWithDialer(&net.Dialer{Timeout: 10 * time.Second}, "tcp", w.https.String(),
		&tls.Config{RootCAs: w.roots, ServerName: "anna.test", NextProtos: []string{acmeTLS}})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if got := conn.ConnectionState().NegotiatedProtocol; got != acmeTLS {
		t.Fatalf("negotiated %q", got)
	}
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	if n, err := conn.Read(make([]byte, 1)); n != 0 || err != io.EOF {
		t.Errorf("read %d bytes, %v", n, err)
	}
}
