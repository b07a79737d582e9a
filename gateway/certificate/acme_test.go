package certificate

import (
	"context"
	"crypto/ecdsa"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"metahub/gateway/certificate/acmetest"
	"metahub/gateway/certificate/orders"
	"metahub/gateway/certificate/record"
	"metahub/tenant"
)

// What the whole is for: a saved tenant has a valid certificate soon, with no restart and no visitor.
func TestNewTenantGetsACertificate(t *testing.T) {
	f := func(challenge string) {
		t.Helper()
		e := startEdge(t, edgeOptions{change: func(s *tenant.Certificates) { s.Challenges = []string{challenge} }})
		began := time.Now()
		e.publish(site("ensotek", "ensotek.de", "www.ensotek.de"))
		for _, host := range []string{"ensotek.de", "www.ensotek.de"} {
			e.awaitState(host, orders.Active)
			leaf := e.mustBrowse(host)
			if !slices.Equal(leaf.DNSNames, []string{host}) {
				t.Errorf("%s: %s is served a certificate for %q, want one that shows no other name", challenge, host, leaf.DNSNames)
			}
		}
		if took := time.Since(began); took > 10*time.Second {
			t.Errorf("%s: it took %v", challenge, took)
		} else {
			t.Logf("%s: %v from save to certificate", challenge, took.Round(time.Millisecond))
		}
		if n := e.ca.NewOrders(); n != 2 {
			t.Errorf("%s: %d orders for two domains", challenge, n)
		}
	}
	f(tenant.ChallengeHTTP01)
	f(tenant.ChallengeTLSALPN01)
}

func TestVisitorsBeforeTheCertificateGetTheLocalAuthoritys(t *testing.T) {
	e := startEdge(t, edgeOptions{tenants: []*tenant.Tenant{site("ensotek", "ensotek.de")}})
	e.ca.Intercept(func(w http.ResponseWriter, r *http.Request) bool { http.Error(w, "down", 500); return true })
	eventually(t, "the order fails", func() bool { return e.state("ensotek.de").Error != "" })
	state, err := connect(e.https.Addr().String(), trusting(e.authority.root, "ensotek.de"))
	if err != nil || state.PeerCertificates[0].Issuer.CommonName != e.authority.root.Subject.CommonName {
		t.Fatalf("a visitor got %v, %v", state.PeerCertificates, err)
	}
	eventually(t, "the log says why", func() bool {
		found := e.logs.FilterMessageSnippet("certificate of the local authority").All()
		return len(found) == 1 && found[0].ContextMap()["reason"] != ""
	})
	if e.Stopgaps() == 0 {
		t.Error("the handshake was not counted")
	}
}

// A domain that does not lead here costs no order, and its owner is told what to do.
func TestRehearsalComesFirst(t *testing.T) {
	e := startEdge(t, edgeOptions{acme: acmetest.Options{}, change: func(s *tenant.Certificates) {}})
	e.ca.DNS().SetA("ensotek.de", "127.0.0.9") // nothing listens there
	e.publish(site("ensotek", "ensotek.de"))
	status := e.awaitState("ensotek.de", orders.WaitingForDNS)
	if !strings.Contains(status.Error, "127.0.0.9") || e.ca.NewOrders() != 0 {
		t.Errorf("%d orders, the sentence is %q", e.ca.NewOrders(), status.Error)
	}
	e.ca.DNS().SetA("ensotek.de", "127.0.0.1")
	if n, err := e.Retry("ensotek.de"); n != 1 || err != nil {
		t.Errorf("Retry woke %d, %v", n, err)
	}
	e.awaitState("ensotek.de", orders.Active)
	e.mustBrowse("ensotek.de")
}

// The CA moves a certificate's window to now: it is renewed under load, and no handshake fails.
func TestRenewalByTheCAsWindow(t *testing.T) {
	clock := newJumpingClock()
	e := startEdge(t, edgeOptions{clock: clock, tenants: []*tenant.Tenant{site("ensotek", "ensotek.de")}})
	e.awaitState("ensotek.de", orders.Active)
	first := e.mustBrowse("ensotek.de")
	e.ca.SetRenewalInfo(t, first, time.Now().Add(-2*time.Hour), time.Now().Add(-time.Hour))

	ctx, stop := context.WithCancel(context.Background())
	var handshakes atomic.Int64
	var load sync.WaitGroup
	defer load.Wait()
	defer stop()
	for range 4 {
		load.Go(func() {
			for ctx.Err() == nil {
				if _, err := e.browse("ensotek.de"); err != nil {
					t.Errorf("a handshake failed: %v", err)
					return
				}
				handshakes.Add(1)
			}
		})
	}
	clock.advance(25 * time.Hour) // by then every certificate has been asked for
	eventually(t, "another certificate serves", func() bool {
		leaf, err := e.browse("ensotek.de")
		return err == nil && !leaf.Equal(first)
	})
	stop()
	load.Wait()
	t.Logf("%d handshakes meanwhile", handshakes.Load())
	second := e.mustBrowse("ensotek.de")
	if public := second.PublicKey.(*ecdsa.PublicKey); public.Equal(first.PublicKey) {
		t.Error("the key was used again")
	}
	if n := e.ca.OrdersFor("ensotek.de"); n != 2 {
		t.Errorf("%d orders, want one and its renewal", n)
	}
}

func TestFallbackIssuer(t *testing.T) {
	p := openPorts(t)
	first := acmetest.Start(t, acmetest.Options{HTTPPort: p.httpPort(), TLSPort: p.tlsPort()})
	second := acmetest.Start(t, acmetest.Options{HTTPPort: p.httpPort(), TLSPort: p.tlsPort()})
	for _, ca := range []*acmetest.CA{first, second} {
		ca.DNS().DefaultTo("127.0.0.1")
	}
	roots := filepath.Join(t.TempDir(), "roots.pem")
	var both []byte
	for _, ca := range []*acmetest.CA{first, second} {
		content, err := os.ReadFile(ca.RootFile())
		if err != nil {
			t.Fatal(err)
		}
		both = append(both, content...)
	}
	write(t, roots, both)
	clock := newJumpingClock()
	o := edgeOptions{clock: clock, change: func(s *tenant.Certificates) { s.Fallback, s.CARoot = second.Directory(), roots }}
	e := &edge{TB: t, ports: p, ca: first}
	e.run(t.TempDir(), o)
	t.Cleanup(func() { e.Stop() })

	first.Intercept(func(w http.ResponseWriter, r *http.Request) bool {
		http.Error(w, "down", http.StatusServiceUnavailable)
		return true
	})
	e.publish(site("a", "a.de"))
	if got := e.awaitState("a.de", orders.Active); got.Issuer != second.Directory() {
		t.Fatalf("with the first CA down the issuer is %q", got.Issuer)
	}
	first.Intercept(nil)
	clock.advance(2 * time.Minute) // by then the first CA is tried again
	e.publish(site("a", "a.de"), site("b", "b.de"))
	if got := e.awaitState("b.de", orders.Active); got.Issuer != first.Directory() {
		t.Errorf("with the first CA back the issuer is %q", got.Issuer)
	}
}

// A CA that is out of order in every way for an hour: certificates in use go on, and the queue recovers by itself.
func TestTroubleAtTheCA(t *testing.T) {
	newOrderOnly := func(next func(http.ResponseWriter)) func(http.ResponseWriter, *http.Request) bool {
		return func(w http.ResponseWriter, r *http.Request) bool {
			if !strings.Contains(r.URL.Path, "order") {
				return false
			}
			next(w)
			return true
		}
	}
	survive(t, "429", newOrderOnly(func(w http.ResponseWriter) {
		w.Header().Set("Retry-After", "600")
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(429)
		io.WriteString(w, `{"type":"urn:ietf:params:acme:error:rateLimited","detail":"too many new orders","status":429}`)
	}))
	survive(t, "500", newOrderOnly(func(w http.ResponseWriter) { http.Error(w, "internal error", 500) }))
	survive(t, "garbage", newOrderOnly(func(w http.ResponseWriter) { fmt.Fprint(w, "<html>\x00\xff{{{") }))
	survive(t, "cut off", func(http.ResponseWriter, *http.Request) bool { panic(http.ErrAbortHandler) })
}

// A CA that accepts connections and says nothing. It takes a minute until that is a fact.
func TestSilentCA(t *testing.T) {
	t.Parallel()
	survive(t, "silent", func(_ http.ResponseWriter, r *http.Request) bool {
		<-r.Context().Done()
		return true
	})
}

// survive has a CA fail for an hour with one certificate in use and another on order.
func survive(t *testing.T, name string, fault func(http.ResponseWriter, *http.Request) bool) {
	t.Helper()
	clock := newJumpingClock()
	e := startEdge(t, edgeOptions{clock: clock, tenants: []*tenant.Tenant{site("old", "old.de")}})
	e.awaitState("old.de", orders.Active)
	before := e.mustBrowse("old.de")
	e.ca.Intercept(fault)
	e.publish(site("old", "old.de"), site("new", "new.de"))
	for end := time.Now().Add(2 * time.Minute); e.state("new.de").Error == ""; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s: the order does not fail: %+v", name, e.state("new.de"))
		}
	}
	if status := e.state("new.de"); status.State != orders.Failing && status.State != orders.Queued {
		t.Errorf("%s: the state is %q: %s", name, status.State, status.Error)
	}
	for range 12 { // an hour
		clock.advance(5 * time.Minute)
		if leaf := e.mustBrowse("old.de"); !leaf.Equal(before) {
			t.Errorf("%s: the certificate in use was replaced", name)
		}
	}
	e.ca.Intercept(nil)
	eventually(t, name+": the queue recovers", func() bool {
		clock.advance(time.Minute)
		return e.state("new.de").State == orders.Active
	})
	e.mustBrowse("new.de")
}

// A torn file is as good as none: said once, and repaired by a new order.
func TestTornCertificateIsRepaired(t *testing.T) {
	o := edgeOptions{tenants: []*tenant.Tenant{site("ensotek", "ensotek.de")}}
	e := startEdge(t, o)
	e.awaitState("ensotek.de", orders.Active)
	e.Stop()
	path := filepath.Join(e.settings.Folder, filepath.FromSlash(record.StorageKey("ensotek.de")))
	for _, size := range []int64{0, 700} {
		if err := os.Truncate(path, size); err != nil {
			t.Fatal(err)
		}
		e.run(e.settings.Folder, o)
		e.awaitState("ensotek.de", orders.Active)
		e.mustBrowse("ensotek.de")
		e.Stop()
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := record.Parse("ensotek.de", text); err != nil {
			t.Errorf("after truncation to %d the file is still damaged: %v", size, err)
		}
	}
	e.run(e.settings.Folder, o)
	orders := e.ca.NewOrders()
	e.awaitState("ensotek.de", "active")
	if e.ca.NewOrders() != orders {
		t.Error("a whole certificate was ordered again")
	}
}

// A wildcard is proven by a record that goes to a real DNS server, and serves every label.
func TestWildcardByDNS01(t *testing.T) {
	bind := acmetest.StartBIND(t, "ensotek.de")
	with := func(s *tenant.Certificates) {
		s.Resolver = bind.Address
		s.DNS = []tenant.DNSProvider{{Name: "main", Kind: "rfc2136", Settings: map[string]tenant.Secret{
			"server": tenant.NewSecret(bind.Address), "key_name": tenant.NewSecret("metahub"), "key": tenant.NewSecret(bind.Secret),
		}}}
	}
	e := startEdge(t, edgeOptions{acme: acmetest.Options{DNS: bind.Address}, change: with})
	wild := site("ensotek", "*.ensotek.de")
	e.publish(wild)
	if status := e.awaitState("*.ensotek.de", orders.Failing); !strings.Contains(status.Error, "certificate.dns") {
		t.Errorf("without a provider the sentence is %q", status.Error)
	}
	proven := *wild
	proven.Certificate.DNS = "main"
	e.publish(&proven) // which wakes the order
	e.awaitState("*.ensotek.de", orders.Active)
	for _, host := range []string{"shop.ensotek.de", "www.ensotek.de"} {
		if leaf := e.mustBrowse(host); !slices.Equal(leaf.DNSNames, []string{"*.ensotek.de"}) {
			t.Errorf("%s: a certificate for %q", host, leaf.DNSNames)
		}
	}
}

// Where TLS-ALPN-01 alone is used nobody needs port 80, the rehearsal neither.
func TestWithoutAPlainPort(t *testing.T) {
	e := startEdge(t, edgeOptions{change: func(s *tenant.Certificates) { s.Challenges = []string{tenant.ChallengeTLSALPN01} }})
	e.http.Close()
	e.publish(site("ensotek", "ensotek.de"))
	e.awaitState("ensotek.de", orders.Active)
	e.mustBrowse("ensotek.de")
}

// One tenant's CA that has had enough holds up no tenant of another CA.
func TestLimitsOfOneCAHoldUpNoOther(t *testing.T) {
	p := openPorts(t)
	options := acmetest.Options{HTTPPort: p.httpPort(), TLSPort: p.tlsPort()}
	good, bad := acmetest.Start(t, options), acmetest.Start(t, options)
	good.DNS().DefaultTo("127.0.0.1")
	bad.DNS().DefaultTo("127.0.0.1")
	bad.Intercept(func(w http.ResponseWriter, r *http.Request) bool {
		if !strings.Contains(r.URL.Path, "order") {
			return false
		}
		w.Header().Set("Retry-After", "86400")
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(http.StatusTooManyRequests)
		w.Write([]byte(`{"type":"urn:ietf:params:acme:error:rateLimited","detail":"too many new orders","status":429}`))
		return true
	})
	roots := filepath.Join(t.TempDir(), "roots.pem")
	write(t, roots, slices.Concat(mustRead(t, good.RootFile()), mustRead(t, bad.RootFile())))
	e := &edge{TB: t, ports: p, ca: good}
	e.run(t.TempDir(), edgeOptions{change: func(s *tenant.Certificates) { s.CARoot = roots }})
	t.Cleanup(func() { e.Stop() })

	limited := site("limited", "limited.de")
	limited.Certificate.Issuer = bad.Directory()
	e.publish(limited)
	eventually(t, "the other CA says no", func() bool { return e.state("limited.de").Error != "" })
	e.publish(limited, site("ensotek", "ensotek.de"))
	e.awaitState("ensotek.de", orders.Active)
}

func mustRead(t testing.TB, path string) []byte {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return content
}
