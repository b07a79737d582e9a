package issuer

import (
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/certmagic"
	"github.com/mholt/acmez/v3"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"metahub/gateway/certificate/acmetest"
)

// edge answers challenges on loopback as the gateway's listeners do.
type edge struct {
	storage           certmagic.Storage
	challenges        *Challenges
	httpPort, tlsPort int
}

func newEdge(t testing.TB) *edge {
	t.Helper()
	storage := &certmagic.FileStorage{Path: t.TempDir()}
	e := &edge{storage: storage, challenges: NewChallenges(storage, nil)}
	e.httpPort = serveHTTP01(t, e.challenges)
	e.tlsPort = serveALPN(t, e.challenges)
	return e
}

func serveHTTP01(t testing.TB, challenges *Challenges) (port int) {
	t.Helper()
	listener := listen(t)
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host, _, _ := net.SplitHostPort(r.Host)
		token, is := strings.CutPrefix(r.URL.Path, "/.well-known/acme-challenge/")
		answer, ok := challenges.KeyAuthorization(r.Context(), host, token)
		if !is || !ok {
			http.NotFound(w, r)
			return
		}
		io.WriteString(w, answer)
	})}
	serveUntilEnd(t, server, listener)
	return listener.Addr().(*net.TCPAddr).Port
}

func serveALPN(t testing.TB, challenges *Challenges) (port int) {
	t.Helper()
	listener := listen(t)
	server := &http.Server{ErrorLog: zap.NewStdLog(zap.NewNop())}
	config := &tls.Config{
		NextProtos: []string{acmez.ACMETLS1Protocol},
		GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
			if certificate := challenges.ALPNCertificate(hello.ServerName); certificate != nil {
				return certificate, nil
			}
			return nil, errors.New("no challenge")
		},
	}
	serveUntilEnd(t, server, tls.NewListener(listener, config))
	return listener.Addr().(*net.TCPAddr).Port
}

func listen(t testing.TB) net.Listener {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return listener
}

func serveUntilEnd(t testing.TB, server *http.Server, listener net.Listener) {
	done := make(chan struct{})
	go func() { defer close(done); server.Serve(listener) }()
	t.Cleanup(func() { server.Close(); <-done })
}

// start runs a CA that validates at the edge and resolves all names to loopback.
func (e *edge) start(t testing.TB, change func(*acmetest.Options)) *acmetest.CA {
	t.Helper()
	o := acmetest.Options{HTTPPort: e.httpPort, TLSPort: e.tlsPort}
	if change != nil {
		change(&o)
	}
	ca := acmetest.Start(t, o)
	ca.DNS().DefaultTo("127.0.0.1")
	return ca
}

// impatient has a test that hangs fail by itself, on a machine that has more to do.
func impatient() patience {
	p := defaultPatience()
	p.directory, p.polling, p.obtain = 5*time.Second, 20*time.Second, time.Minute
	return p
}

func (e *edge) issuer(t testing.TB, ca *acmetest.CA, change func(*Config)) *ACME {
	t.Helper()
	a, _ := e.observed(t, ca, change)
	return a
}

func (e *edge) observed(t testing.TB, ca *acmetest.CA, change func(*Config)) (*ACME, *observer.ObservedLogs) {
	t.Helper()
	core, logs := observer.New(zapcore.DebugLevel)
	config := Config{
		Name: "test", Directory: ca.Directory(), Roots: ca.HTTPRoots(), HTTP01: true, TLSALPN01: true,
		Storage: e.storage, Challenges: e.challenges, Logger: zap.New(core),
	}
	if change != nil {
		change(&config)
	}
	a, err := newACME(config, impatient())
	if err != nil {
		t.Fatal(err)
	}
	return a, logs
}

// obtain orders and verifies what came as a browser would.
func obtain(t testing.TB, a *ACME, ca *acmetest.CA, o Order) (*x509.Certificate, error) {
	t.Helper()
	if o.Key == nil {
		o.Key = testKey(t)
	}
	chain, err := a.Obtain(t.Context(), o)
	if err != nil {
		return nil, err
	}
	var leaf *x509.Certificate
	between := x509.NewCertPool()
	for i, der := range chain {
		certificate, err := x509.ParseCertificate(der)
		if err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			leaf = certificate
		} else {
			between.AddCert(certificate)
		}
	}
	name := strings.Replace(o.Domain, "*.", "any.", 1)
	if _, err := leaf.Verify(x509.VerifyOptions{DNSName: name, Roots: ca.Roots(), Intermediates: between}); err != nil {
		t.Errorf("the chain for %q does not verify: %v", o.Domain, err)
	}
	return leaf, nil
}

func mustObtain(t testing.TB, a *ACME, ca *acmetest.CA, o Order) *x509.Certificate {
	t.Helper()
	leaf, err := obtain(t, a, ca, o)
	if err != nil {
		t.Fatalf("obtain %q: %v", o.Domain, err)
	}
	return leaf
}

// failure orders and demands an *Error of a kind whose message holds some words.
func failure(t testing.TB, a *ACME, o Order, kind Kind, words ...string) *Error {
	t.Helper()
	if o.Key == nil {
		o.Key = testKey(t)
	}
	_, err := a.Obtain(t.Context(), o)
	return wantError(t, err, kind, words...)
}

func wantError(t testing.TB, err error, kind Kind, words ...string) *Error {
	t.Helper()
	var e *Error
	if !errors.As(err, &e) {
		t.Fatalf("%v (%T) is no *Error", err, err)
	}
	if e.Kind != kind {
		t.Errorf("kind %s, want %s: %s (%v)", e.Kind, kind, e.Message, e.Err)
	}
	for _, word := range words {
		if !strings.Contains(e.Message, word) {
			t.Errorf("message %q says nothing of %q", e.Message, word)
		}
	}
	if len(e.Message) > maxMessage || clip(e.Message, maxMessage) != e.Message {
		t.Errorf("message %q is not one clean sentence", e.Message)
	}
	return e
}

func testKey(t testing.TB) crypto.Signer {
	t.Helper()
	key, err := NewKey("")
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// problem has the CA answer a request with a problem document.
func problem(w http.ResponseWriter, status int, kind, detail string) bool {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(map[string]any{"type": "urn:ietf:params:acme:error:" + kind, "detail": detail, "status": status})
	return true
}

// payload reads what a signed request says.
func payload(t testing.TB, r *http.Request) map[string]any {
	var signed struct{ Payload string }
	if err := json.NewDecoder(r.Body).Decode(&signed); err != nil {
		return nil
	}
	raw, err := base64.RawURLEncoding.DecodeString(signed.Payload)
	if err != nil {
		t.Errorf("payload: %v", err)
	}
	said := map[string]any{}
	json.Unmarshal(raw, &said)
	return said
}

// eventually waits for a condition.
func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !holds(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("still not so: %s", what)
		}
	}
}

// The paths of Pebble.
const (
	directoryPath = "/dir"
	newOrderPath  = "/order-plz"
	noncePath     = "/nonce-plz"
	certPath      = "/certZ/"
)
