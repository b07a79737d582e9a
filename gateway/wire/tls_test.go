package wire

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"io"
	"math/big"
	"slices"
	"testing"
	"time"
)

// startTLS is a recorder behind TLS, and the client's side of it.
func startTLS(t *testing.T, limits Limits) (r *recorder, client *tls.Config) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"a.test"}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(leaf)
	server := &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
	return startGuarded(t, limits, server), &tls.Config{RootCAs: roots, ServerName: "a.test"}
}

// TestTLS has a slow head leave its deadline in place, which then comes in the longer wait for the next request; a TLS connection must
// live on. The refusal behind it must end with an alert, not in a truncation.
func TestTLS(t *testing.T) {
	t.Parallel()
	limits := quick()
	limits.Idle = 20 * time.Second
	r, config := startTLS(t, limits)
	raw := r.dial(t)
	c := tls.Client(raw, config)
	reader := bufio.NewReader(c)
	send := func(piece string) {
		t.Helper()
		if _, err := io.WriteString(c, piece); err != nil {
			t.Fatal(err)
		}
	}
	served := func() {
		t.Helper()
		if err := skipAnswer(reader); err != nil {
			t.Fatal(err)
		}
	}

	send(get[:5])
	guarded := r.guarded(t, raw)
	waitFor(t, "the head has begun", func() bool { return guarded.state.Load() == active })
	send(get[5:])
	served()
	<-time.After(2 * limits.Header)
	send(get)
	served()
	send("GET / HTTP/1.1\r\n" + host + host + "\r\n")
	if got, want := readAnswers(t, c), []answer{{errHostTwice.Status, errHostTwice.Reason}}; !slices.Equal(got, want) {
		t.Errorf("answered %v, want %v", got, want)
	}
	if got := len(r.taken()); got != 2 {
		t.Errorf("%d requests arrived, want 2", got)
	}
}

func TestTLSCloseIdle(t *testing.T) {
	t.Parallel()
	r, config := startTLS(t, Limits{})
	raw := r.dial(t)
	c := tls.Client(raw, config)
	reader := bufio.NewReader(c)
	if _, err := io.WriteString(c, get); err != nil {
		t.Fatal(err)
	}
	if err := skipAnswer(reader); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "the connection is idle", r.guarded(t, raw).CloseIdle)
	if rest, err := io.ReadAll(reader); len(rest) > 0 || err != nil {
		t.Errorf("after CloseIdle came %q, %v; want close_notify", rest, err)
	}
}
