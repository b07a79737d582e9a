package certificate

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyserver/certmagic"
)

// countingIssuer counts what it is asked for, waits for its gate, and fails while it is down.
type countingIssuer struct {
	*authority
	asked atomic.Int32
	gate  chan struct{}
	down  atomic.Bool
}

func newCountingIssuer(t testing.TB) *countingIssuer {
	t.Helper()
	gate := make(chan struct{})
	close(gate)
	return &countingIssuer{authority: mustOpen(t, t.TempDir()), gate: gate}
}

func (c *countingIssuer) Issue(ctx context.Context, request *x509.CertificateRequest) (*certmagic.IssuedCertificate, error) {
	c.asked.Add(1)
	<-c.gate
	if c.down.Load() {
		return nil, errors.New("the issuer is down")
	}
	return c.authority.Issue(ctx, request)
}

func TestHandshakesShareOneIssuance(t *testing.T) {
	issuer := newCountingIssuer(t)
	issuer.gate = make(chan struct{})
	synctest.Test(t, func(t *testing.T) {
		l := newLeaves(issuer, 10)
		gate := make(chan struct{})
		issuer.gate = gate
		got := make([]*tls.Certificate, 50)
		var handshakes sync.WaitGroup
		for i := range got {
			handshakes.Go(func() { got[i], _ = l.obtain("ensotek.example") })
		}
		synctest.Wait() // all wait for the one that issues
		close(gate)
		handshakes.Wait()
		if n := issuer.asked.Load(); n != 1 {
			t.Errorf("the issuer was asked %d times", n)
		}
		for i := range got {
			if got[i] == nil || got[i] != got[0] {
				t.Fatalf("handshake %d got %p, the first %p", i, got[i], got[0])
			}
		}
	})
}

func TestIssuanceBlocksNoOtherHost(t *testing.T) {
	issuer := newCountingIssuer(t)
	l := newLeaves(issuer, 10)
	if _, err := l.obtain("ready.example"); err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		gate := make(chan struct{})
		issuer.gate = gate
		slow := make(chan error)
		go func() { _, err := l.obtain("slow.example"); slow <- err }()
		synctest.Wait() // slow.example is in the issuer's hands
		if l.lookup([]byte("ready.example"), time.Time{}) == nil {
			t.Error("a ready host has no certificate")
		}
		close(gate)
		if err := <-slow; err != nil {
			t.Error(err)
		}
	})
}

func TestRenewal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // its clock moves by Sleep alone
		k := newKeeper(t, directory())
		get := func() *tls.Certificate {
			t.Helper()
			c, err := k.GetCertificate(&tls.ClientHelloInfo{ServerName: "ensotek.example"})
			if err != nil {
				t.Fatal(err)
			}
			return c
		}
		first := get()

		time.Sleep(leafLife * 6 / 10)
		if get() != first {
			t.Error("renewed before two thirds of its life were gone")
		}

		time.Sleep(leafLife / 10)
		second := get()
		if second == first {
			t.Fatal("not renewed after two thirds of its life")
		}
		leaf, err := x509.ParseCertificate(second.Certificate[0])
		if err != nil {
			t.Fatal(err)
		}
		if err := verify(leaf, k.authority.root, "ensotek.example", time.Now().Add(leafLife-time.Minute)); err != nil {
			t.Errorf("the renewed leaf: %v", err)
		}

		time.Sleep(30 * leafLife) // nobody came for half a year
		leaf, _ = x509.ParseCertificate(get().Certificate[0])
		if err := verify(leaf, k.authority.root, "ensotek.example", time.Now()); err != nil {
			t.Errorf("after a long pause: %v", err)
		}
	})
}

func TestIssuerDown(t *testing.T) {
	issuer := newCountingIssuer(t)
	l := newLeaves(issuer, 10)
	first, err := l.obtain("ensotek.example")
	if err != nil {
		t.Fatal(err)
	}
	issuer.down.Store(true)
	age := func(notAfter time.Time) {
		l.cache.put("ensotek.example", &held{certificate: first, notAfter: notAfter, renewAt: time.Now().Add(-time.Hour)})
	}

	age(time.Now().Add(time.Hour))
	if again, err := l.obtain("ensotek.example"); err != nil || again != first {
		t.Errorf("a certificate that is due but valid was not served: %v", err)
	}
	age(time.Now().Add(-time.Minute))
	if _, err := l.obtain("ensotek.example"); err == nil {
		t.Error("an expired certificate was served")
	}
	if _, err := l.obtain("new.example"); err == nil || !strings.Contains(err.Error(), `"new.example"`) {
		t.Errorf("the error does not name the host: %v", err)
	}
	issuer.down.Store(false)
	if _, err := l.obtain("ensotek.example"); err != nil {
		t.Errorf("after the issuer came back: %v", err)
	}
}

func BenchmarkColdHandshakes(b *testing.B) {
	k := newKeeper(b, directory())
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		i++
		if _, err := k.leaves.obtain(fmt.Sprintf("%d.shops.example", i)); err != nil {
			b.Fatal(err)
		}
	}
}
