package acmetest

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mholt/acmez/v3"
	"github.com/mholt/acmez/v3/acme"
)

func TestCertificateIsIssued(t *testing.T) {
	site := newSite(t)
	ca := Start(t, Options{HTTPPort: site.port, NonceReject: 20, Profiles: map[string]time.Duration{"short": 6 * time.Hour}})
	ca.DNS().SetA("ensotek.example", "127.0.0.1")

	leaf, err := site.obtain(t, ca, "ensotek.example")
	if err != nil {
		t.Fatal(err)
	}
	if life := leaf.NotAfter.Sub(leaf.NotBefore).Round(time.Minute); life != 6*time.Hour {
		t.Errorf("lives %s, want the profile's 6h", life)
	}
	if ca.NewOrders() != 1 || ca.OrdersFor("ensotek.example") != 1 || ca.OrdersFor("other.example") != 0 || ca.NewAccounts() != 1 {
		t.Errorf("counted %d orders, %d for the domain, %d accounts", ca.NewOrders(), ca.OrdersFor("ensotek.example"), ca.NewAccounts())
	}

	start := time.Now().Add(-time.Hour).Truncate(time.Second)
	ca.SetRenewalInfo(t, leaf, start, start.Add(30*time.Minute))
	info, err := site.client(ca).GetRenewalInfo(t.Context(), leaf)
	if err != nil || !info.SuggestedWindow.Start.Equal(start) {
		t.Errorf("renewal info %v, %v; want start %s", info.SuggestedWindow, err, start)
	}

	ca.Restart()
	if again, err := site.obtain(t, ca, "ensotek.example"); err != nil || again.Issuer.CommonName == leaf.Issuer.CommonName {
		t.Errorf("after a restart: %v; want another issuer than before", err)
	}
	if ca.NewAccounts() != 2 {
		t.Errorf("%d accounts, want a second", ca.NewAccounts())
	}
}

func TestNoNameNoCertificate(t *testing.T) {
	site := newSite(t)
	ca := Start(t, Options{HTTPPort: site.port})
	var problem acme.Problem
	if _, err := site.obtain(t, ca, "nowhere.example"); !errors.As(err, &problem) {
		t.Fatalf("a name without an address: %v, want a problem", err)
	}
}

func TestFaults(t *testing.T) {
	ca := Start(t, Options{})
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: ca.HTTPRoots()}}, Timeout: time.Second}
	ca.Intercept(func(w http.ResponseWriter, r *http.Request) bool {
		<-r.Context().Done()
		return true
	})
	if _, err := client.Get(ca.Directory()); err == nil {
		t.Error("a hanging CA answered")
	}
	ca.Intercept(func(w http.ResponseWriter, r *http.Request) bool {
		http.Error(w, "busy", http.StatusTooManyRequests)
		return true
	})
	if answer, err := client.Get(ca.Directory()); err != nil || answer.StatusCode != http.StatusTooManyRequests {
		t.Errorf("%v %v, want 429", answer, err)
	}
	ca.Intercept(nil)
	if answer, err := client.Get(ca.Directory()); err != nil || answer.StatusCode != http.StatusOK {
		t.Errorf("%v %v, want 200", answer, err)
	}
}

// site answers HTTP-01 on loopback.
type site struct {
	port    int
	mu      sync.Mutex
	answers map[string]string
}

func newSite(t *testing.T) *site {
	t.Helper()
	s := &site{answers: map[string]string{}}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		defer s.mu.Unlock()
		io.WriteString(w, s.answers[strings.TrimPrefix(r.URL.Path, "/.well-known/acme-challenge/")])
	})}
	go server.Serve(listener)
	t.Cleanup(func() { server.Close() })
	s.port = listener.Addr().(*net.TCPAddr).Port
	return s
}

// Present and CleanUp make the site an acmez.Solver.
func (s *site) Present(_ context.Context, challenge acme.Challenge) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answers[challenge.Token] = challenge.KeyAuthorization
	return nil
}

func (s *site) CleanUp(context.Context, acme.Challenge) error { return nil }

func (s *site) client(ca *CA) acmez.Client {
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: ca.HTTPRoots()}}
	return acmez.Client{
		Client:           &acme.Client{Directory: ca.Directory(), HTTPClient: &http.Client{Transport: transport}},
		ChallengeSolvers: map[string]acmez.Solver{acme.ChallengeTypeHTTP01: s},
	}
}

func (s *site) obtain(t *testing.T, ca *CA, domain string) (*x509.Certificate, error) {
	t.Helper()
	client := s.client(ca)
	account, err := client.NewAccount(t.Context(), acme.Account{TermsOfServiceAgreed: true, PrivateKey: newKey(t)})
	if err != nil {
		t.Fatal(err)
	}
	chains, err := client.ObtainCertificateForSANs(t.Context(), account, newKey(t), []string{domain})
	if err != nil {
		return nil, err
	}
	chain, err := tlsChain(chains[0].ChainPEM)
	if err != nil {
		t.Fatal(err)
	}
	between := x509.NewCertPool()
	for _, c := range chain[1:] {
		between.AddCert(c)
	}
	if _, err := chain[0].Verify(x509.VerifyOptions{DNSName: domain, Roots: ca.Roots(), Intermediates: between}); err != nil {
		t.Errorf("the chain does not verify: %v", err)
	}
	return chain[0], nil
}
