package e2e

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// plainGet asks addr without TLS, under any Host.
func plainGet(t *testing.T, addr, host, target string) answer {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	return exchange(t, conn, fmt.Sprintf("GET %s HTTP/1.1\r\nHost: %s\r\n\r\n", target, host))
}

// rawTLS sends bytes as they are to the gateway, with sni as the TLS name, over HTTP/1.1.
func (p *process) rawTLS(sni, request string) answer {
	p.t.Helper()
	conn, err := tls.Dial("tcp", p.https, &tls.Config{ServerName: sni, RootCAs: p.rootCA, NextProtos: []string{"http/1.1"}})
	if err != nil {
		p.t.Fatalf("TLS to %q: %v", sni, err)
	}
	defer conn.Close()
	return exchange(p.t, conn, request)
}

func exchange(t *testing.T, conn net.Conn, request string) answer {
	t.Helper()
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	if _, err := io.WriteString(conn, request); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatalf("reading the answer to %q: %v", request, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{resp.StatusCode, resp.Proto, resp.Header, body}
}

func slugOf(t *testing.T, a answer) any {
	t.Helper()
	data, _ := a.json(t)["data"].(map[string]any)
	return data["slug"]
}

// Whatever tenant header a client sends on a tenant's domain, the tenant is that of the domain.
func TestClientCannotChooseItsTenant(t *testing.T) {
	p := start(t, sample(t))
	for _, attack := range []string{
		"X-Tenant: ensotek",
		"x-tenant: ensotek",
		"X_Tenant: ensotek",
		"X.Tenant: ensotek",
		"X-Tenant: ensotek\r\nX-Tenant: radanor",
		"Connection: X-Tenant\r\nX-Tenant: ensotek",
		"Connection: close, X-Tenant, X-Forwarded-For, Host",
		"X-Forwarded-Host: ensotek.localhost",
		"Forwarded: host=ensotek.localhost",
		"Origin: https://ensotek.localhost",
	} {
		a := p.rawTLS("anastasia.localhost", "GET /api/tenant HTTP/1.1\r\nHost: anastasia.localhost\r\n"+attack+"\r\n\r\n")
		if a.Status != 200 || slugOf(t, a) != "anastasia" {
			t.Errorf("%q: %d %s", attack, a.Status, a.Body)
		}
		if got := a.Header.Get("Access-Control-Allow-Origin"); strings.Contains(got, "ensotek") || got == "*" {
			t.Errorf("%q: Access-Control-Allow-Origin: %s", attack, got)
		}
	}
	h2 := p.client("HTTP/2.0")
	_, port, _ := net.SplitHostPort(p.https)
	for _, attack := range []string{"X-Tenant: ensotek", "X_Tenant: ensotek", "x.tenant: ensotek", "X-Forwarded-Host: ensotek.localhost"} {
		a := do(t, h2, "GET", "https://anastasia.localhost:"+port+"/api/tenant", "", attack)
		if a.Status != 200 || slugOf(t, a) != "anastasia" {
			t.Errorf("HTTP/2, %q: %d %s", attack, a.Status, a.Body)
		}
	}
}

func TestHostsThatAreRefused(t *testing.T) {
	p := start(t, sample(t))
	for _, c := range []struct {
		name, sni, request string
		status             int
	}{
		{"unknown Host", "anastasia.localhost", "GET / HTTP/1.1\r\nHost: unknown.example\r\n\r\n", 421},
		{"another tenant's Host", "anastasia.localhost", "GET / HTTP/1.1\r\nHost: ensotek.localhost\r\n\r\n", 421},
		{"a Host that only contains a domain", "anastasia.localhost", "GET / HTTP/1.1\r\nHost: anastasia.localhost.evil.test\r\n\r\n", 421},
		{"absolute-form of another tenant", "anastasia.localhost", "GET https://ensotek.localhost/ HTTP/1.1\r\nHost: anastasia.localhost\r\n\r\n", 400},
		{"userinfo", "anastasia.localhost", "GET / HTTP/1.1\r\nHost: anastasia.localhost@evil.test\r\n\r\n", 400},
		{"no Host", "anastasia.localhost", "GET / HTTP/1.1\r\n\r\n", 400},
		{"two Hosts", "anastasia.localhost", "GET / HTTP/1.1\r\nHost: anastasia.localhost\r\nHost: ensotek.localhost\r\n\r\n", 400},
		{"CONNECT", "anastasia.localhost", "CONNECT 127.0.0.1:22 HTTP/1.1\r\nHost: anastasia.localhost\r\n\r\n", 400},
	} {
		a := p.rawTLS(c.sni, c.request)
		if a.Status != c.status && (c.status != 400 || a.Status < 400 || a.Status > 499) {
			t.Errorf("%s: %d, want %d\n%s", c.name, a.Status, c.status, a.Body)
		}
	}
	if _, err := tls.Dial("tcp", p.https, &tls.Config{ServerName: "unknown.example", RootCAs: p.rootCA}); err == nil || !strings.Contains(err.Error(), "unrecognized name") {
		t.Errorf("a TLS name of no tenant: %v, want the alert unrecognized_name", err)
	}
}

// The shared API host is the one place where the client's X-Tenant is read.
func TestSharedAPIHost(t *testing.T) {
	p := start(t, sample(t))
	_, port, _ := net.SplitHostPort(p.https)
	url := "https://api.localhost:" + port + "/api/tenant"
	for _, protocol := range []string{"HTTP/1.1", "HTTP/2.0"} {
		client := p.client(protocol)
		for _, c := range []struct {
			headers []string
			status  int
			slug    any
		}{
			{[]string{"X-Tenant: ensotek"}, 200, "ensotek"},
			{[]string{"X-Tenant: radanor"}, 200, "radanor"},
			{[]string{"X-Tenant: ensotek", "Origin: https://ensotek.localhost:" + port}, 200, "ensotek"},
			{[]string{"X-Tenant: ensotek", "Origin: https://radanor.localhost:" + port}, 403, nil},
			{[]string{"X-Tenant: ensotek", "Referer: https://radanor.localhost:" + port + "/x"}, 403, nil},
			{[]string{"X-Tenant: ensotek", "Origin: https://evil.test"}, 403, nil},
			{[]string{"Origin: https://radanor.localhost:" + port}, 200, "radanor"},
			{[]string{"X-Tenant: nobody"}, 400, nil},
			{nil, 400, nil},
		} {
			a := do(t, client, "GET", url, "", c.headers...)
			if a.Status != c.status {
				t.Errorf("%s %q: %d, want %d: %s", protocol, c.headers, a.Status, c.status, a.Body)
				continue
			}
			if c.slug != nil && slugOf(t, a) != c.slug {
				t.Errorf("%s %q: %s, want %s", protocol, c.headers, a.Body, c.slug)
			}
		}
	}
}
