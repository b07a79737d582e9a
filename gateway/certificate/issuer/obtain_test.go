package issuer

import (
	"context"
	"crypto/ecdsa"
	"crypto/rsa"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"metahub/gateway/certificate/acmetest"
)

func TestHTTP01(t *testing.T) {
	e := newEdge(t)
	ca := e.start(t, nil)
	a := e.issuer(t, ca, func(c *Config) { c.TLSALPN01 = false })
	leaf := mustObtain(t, a, ca, Order{Domain: "ensotek.example"})
	if len(leaf.DNSNames) != 1 {
		t.Errorf("names %q, want the one", leaf.DNSNames)
	}
	if n := ca.OrdersFor("ensotek.example"); n != 1 {
		t.Errorf("%d orders, want 1", n)
	}
	if keys, err := e.storage.List(t.Context(), challengeFolder, true); err == nil && len(keys) > 0 {
		t.Errorf("challenges were left in the storage: %q", keys)
	}
}

func TestTLSALPN01(t *testing.T) {
	e := newEdge(t)
	ca := e.start(t, nil)
	a := e.issuer(t, ca, func(c *Config) { c.HTTP01 = false })
	mustObtain(t, a, ca, Order{Domain: "alpn.example"})
	if e.challenges.ALPNCertificate("alpn.example") != nil {
		t.Error("the challenge's certificate is still announced")
	}
}

// Port 80 is closed: the second order goes by port 443.
func TestTLSALPN01AfterHTTP01(t *testing.T) {
	e := newEdge(t)
	ca := e.start(t, func(o *acmetest.Options) { o.HTTPPort = closedPort(t) })
	a := e.issuer(t, ca, nil)
	mustObtain(t, a, ca, Order{Domain: "both.example"})
	if n := ca.OrdersFor("both.example"); n != 2 {
		t.Errorf("%d orders, want 2: HTTP-01 and then TLS-ALPN-01", n)
	}
}

// Both ports are closed: two orders, no third, and one sentence that tells of both.
func TestDomainThatCannotBeProven(t *testing.T) {
	e := newEdge(t)
	ca := e.start(t, func(o *acmetest.Options) { o.HTTPPort, o.TLSPort = closedPort(t), closedPort(t) })
	a := e.issuer(t, ca, nil)
	failure(t, a, Order{Domain: "closed.example"}, Rejected, "closed.example by http-01", "closed.example by tls-alpn-01")
	if n := ca.OrdersFor("closed.example"); n != 2 {
		t.Errorf("%d orders, want 2", n)
	}
}

// No address, no port that could help: one order.
func TestDomainWithoutAddress(t *testing.T) {
	e := newEdge(t)
	ca := e.start(t, nil)
	ca.DNS().SetA("nowhere.example")
	a := e.issuer(t, ca, func(c *Config) { c.TLSALPN01 = false })
	failure(t, a, Order{Domain: "nowhere.example"}, Rejected, `"test"`, "nowhere.example by http-01")
	if n := ca.OrdersFor("nowhere.example"); n != 1 {
		t.Errorf("%d orders, want 1", n)
	}
}

func TestHalfOfAllNoncesRefused(t *testing.T) {
	e := newEdge(t)
	ca := e.start(t, func(o *acmetest.Options) { o.NonceReject = 50 })
	a := e.issuer(t, ca, nil)
	mustObtain(t, a, ca, Order{Domain: "nonce.example"})
	if n := ca.OrdersFor("nonce.example"); n != 1 {
		t.Errorf("%d orders, want 1", n)
	}
}

func TestProfile(t *testing.T) {
	e := newEdge(t)
	ca := e.start(t, func(o *acmetest.Options) {
		o.Profiles = map[string]time.Duration{"classic": 90 * 24 * time.Hour, "shortlived": 160 * time.Hour}
	})
	a := e.issuer(t, ca, func(c *Config) { c.Profile = "shortlived" })
	leaf := mustObtain(t, a, ca, Order{Domain: "short.example"})
	if life := leaf.NotAfter.Sub(leaf.NotBefore).Round(time.Minute); life != 160*time.Hour {
		t.Errorf("lives %s, want the profile's 160h", life)
	}
	unknown := e.issuer(t, ca, func(c *Config) { c.Profile = "eternal" })
	failure(t, unknown, Order{Domain: "short.example"}, Refused, `"eternal"`, "classic, shortlived")
	if ca.NewOrders() != 1 {
		t.Errorf("%d orders; one with an unknown profile was placed", ca.NewOrders())
	}
}

func TestKeys(t *testing.T) {
	e := newEdge(t)
	ca := e.start(t, nil)
	a := e.issuer(t, ca, nil)
	f := func(kind string, bits int) {
		t.Helper()
		key, err := NewKey(kind)
		if err != nil {
			t.Fatal(err)
		}
		leaf := mustObtain(t, a, ca, Order{Domain: kind + ".example", Key: key})
		switch public := leaf.PublicKey.(type) {
		case *ecdsa.PublicKey:
			if public.Curve.Params().BitSize != bits {
				t.Errorf("%q: %d bits, want %d", kind, public.Curve.Params().BitSize, bits)
			}
		case *rsa.PublicKey:
			if public.N.BitLen() != bits {
				t.Errorf("%q: %d bits, want %d", kind, public.N.BitLen(), bits)
			}
		}
	}
	f("p256", 256)
	f("p384", 384)
	f("rsa2048", 2048)
	if _, err := NewKey("dsa"); err == nil || !strings.Contains(err.Error(), "rsa4096") {
		t.Errorf("an unknown key type: %v", err)
	}
}

func TestOrdersThatCannotBePlaced(t *testing.T) {
	e := newEdge(t)
	ca := e.start(t, nil)
	a := e.issuer(t, ca, nil)
	failure(t, a, Order{Domain: "*.ensotek.example"}, Refused, "*.ensotek.example", "DNS")
	failure(t, a, Order{Domain: "not a domain"}, Refused, "canonical")
	failure(t, a, Order{Domain: "UPPER.example"}, Refused, "canonical")
	off := e.issuer(t, ca, func(c *Config) { c.HTTP01, c.TLSALPN01 = false, false })
	failure(t, off, Order{Domain: "ensotek.example"}, Refused, "HTTP-01 and TLS-ALPN-01 are off")
	if ca.NewAccounts()+ca.NewOrders() != 0 {
		t.Error("the CA heard of an order that cannot be")
	}
}

func TestManyAtOnce(t *testing.T) {
	e := newEdge(t)
	ca := e.start(t, nil)
	a := e.issuer(t, ca, nil)
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			if _, err := obtain(t, a, ca, Order{Domain: fmt.Sprintf("many%d.example", i), Key: testKey(t)}); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if ca.NewAccounts() != 1 || ca.NewOrders() != 8 {
		t.Errorf("%d accounts and %d orders, want 1 and 8", ca.NewAccounts(), ca.NewOrders())
	}
}

// What came is looked at: the chain of another domain is none.
func TestChainOfAnotherDomain(t *testing.T) {
	e := newEdge(t)
	ca := e.start(t, nil)
	a := e.issuer(t, ca, nil)
	mustObtain(t, a, ca, Order{Domain: "first.example"})
	var other []byte
	ca.Intercept(func(w http.ResponseWriter, r *http.Request) bool {
		if !strings.HasPrefix(r.URL.Path, certPath) {
			return false
		}
		w.Header().Set("Content-Type", "application/pem-certificate-chain")
		w.Write(other)
		return true
	})
	other, _ = selfSigned(t, "first.example", time.Hour)
	failure(t, a, Order{Domain: "second.example"}, Unavailable, "not for second.example")
	other, _ = selfSigned(t, "second.example", time.Hour)
	failure(t, a, Order{Domain: "second.example"}, Unavailable, "another key")
	other = []byte("<html>")
	failure(t, a, Order{Domain: "second.example"}, Unavailable, "empty")
}

func TestOrderGivenUp(t *testing.T) {
	e := newEdge(t)
	ca := e.start(t, nil)
	a := e.issuer(t, ca, nil)
	ctx, cancel := context.WithCancel(t.Context())
	ca.Intercept(func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path != newOrderPath {
			return false
		}
		cancel()
		<-r.Context().Done()
		return true
	})
	_, err := a.Obtain(ctx, Order{Domain: "stop.example", Key: testKey(t)})
	wantError(t, err, Local, "given up")
	if !errors.Is(err, context.Canceled) {
		t.Errorf("%v does not wrap context.Canceled", err)
	}
	// The CA may have closed in the same moment.
	if err := a.classify(ctx, io.ErrUnexpectedEOF, ""); err.Kind != Local || !errors.Is(err, context.Canceled) || !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("%v is %v, and wraps %v", err, err.Kind, err.Err)
	}
}

func closedPort(t testing.TB) int {
	t.Helper()
	listener := listen(t)
	defer listener.Close()
	return portOf(listener)
}
