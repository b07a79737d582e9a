// Package acmetest is a real ACME server for tests: Let's Encrypt's Pebble in the process of the test, on loopback, with a DNS of its own.
//
//	ca := acmetest.Start(t, acmetest.Options{HTTPPort: port})
//	ca.DNS().DefaultTo("127.0.0.1")
//	… an ACME client with directory ca.Directory(), which trusts ca.HTTPRoots() …
//
// It validates challenges for real, at the ports of Options. What Pebble logs is shown only when the test fails. It is for tests alone:
// Pebble keeps a goroutine per CA for as long as the process lives.
package acmetest

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/http"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/letsencrypt/pebble/v2/wfe"
)

// CAAIdentity is what the directory's meta.caaIdentities names.
const CAAIdentity = "pebble.letsencrypt.org"

// Options say what the CA demands and where it validates.
type Options struct {
	// HTTPPort and TLSPort are where HTTP-01 and TLS-ALPN-01 are validated, instead of 80 and 443.
	HTTPPort, TLSPort int
	// NonceReject is the share of good nonces that are refused, in percent (RFC 8555 §6.5).
	NonceReject int
	// AuthzReuse is how often a valid authorization of the account is used again, in percent.
	AuthzReuse int
	// EAB are key ids and their MAC keys, base64url without padding; when there are any, an account needs one.
	EAB map[string]string
	// Profiles are names and how long their certificates live; without any there is "default", 90 days. An order that names none gets one by chance.
	Profiles map[string]time.Duration
	// DNS is the resolver that Pebble asks, "127.0.0.1:5353"; empty means the CA's own, see CA.DNS.
	DNS string
}

// CA is a running ACME server. All methods may be called at once.
type CA struct {
	t        testing.TB
	options  Options
	dns      *DNS
	address  string
	rootFile string
	roots    *x509.CertPool
	log      *tail

	pebble    atomic.Pointer[pebble]
	intercept atomic.Pointer[func(http.ResponseWriter, *http.Request) bool]
	counts    counts

	mu     sync.Mutex
	issued []*x509.Certificate // every root that this CA had
}

// Start runs a CA until the test ends.
func Start(t testing.TB, o Options) *CA {
	t.Helper()
	c := &CA{t: t, options: o, dns: startDNS(t), log: &tail{}}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("pebble's log:\n%s", c.log)
		}
	})
	certificate, root := listenerCertificate(t)
	c.roots = x509.NewCertPool()
	c.roots.AddCert(root)
	c.rootFile = filepath.Join(t.TempDir(), "acme-root.pem")
	writePEM(t, c.rootFile, root)
	c.Restart()
	c.listen(certificate)
	return c
}

func (c *CA) listen(certificate tls.Certificate) {
	c.t.Helper()
	listener, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{certificate}})
	if err != nil {
		c.t.Fatal(err)
	}
	c.address = listener.Addr().String()
	life, end := context.WithCancel(context.Background())
	server := &http.Server{
		Handler:           http.HandlerFunc(c.serve),
		ReadHeaderTimeout: 10 * time.Second,
		ErrorLog:          c.log.logger(),
		BaseContext:       func(net.Listener) context.Context { return life },
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		server.Serve(listener)
	}()
	c.t.Cleanup(func() {
		end() // a handler that a fault holds up
		server.Close()
		<-done
	})
}

// Restart is what a Pebble does that was stopped and started: accounts, orders and certificates are forgotten, new roots sign. Faults and
// counts stay.
func (c *CA) Restart() {
	c.t.Helper()
	p, err := newPebble(c.options, c.dns.Address(), c.log.logger())
	if err != nil {
		c.t.Fatal(err)
	}
	c.mu.Lock()
	c.issued = append(c.issued, p.root)
	c.mu.Unlock()
	c.pebble.Store(p)
}

// Directory is the URL that an ACME client begins with.
func (c *CA) Directory() string { return "https://" + c.address + wfe.DirectoryPath }

// RootFile is a PEM file with the root that the directory's HTTPS is trusted by.
func (c *CA) RootFile() string { return c.rootFile }

// HTTPRoots is RootFile, ready to use.
func (c *CA) HTTPRoots() *x509.CertPool { return c.roots.Clone() }

// Roots are the roots of the issued certificates.
func (c *CA) Roots() *x509.CertPool {
	c.mu.Lock()
	defer c.mu.Unlock()
	pool := x509.NewCertPool()
	for _, root := range c.issued {
		pool.AddCert(root)
	}
	return pool
}

// DNS is the CA's own DNS, which Pebble asks unless Options.DNS says otherwise.
func (c *CA) DNS() *DNS { return c.dns }

// Intercept has f look at every request first; true means that f answered it. The body may be read. A fault that waits has to end with
// r.Context(). Nil lets all requests through.
func (c *CA) Intercept(f func(w http.ResponseWriter, r *http.Request) (handled bool)) {
	if f == nil {
		c.intercept.Store(nil)
		return
	}
	c.intercept.Store(&f)
}

// NewOrders is how many new-order requests were accepted.
func (c *CA) NewOrders() int { return c.counts.allOrders() }

// OrdersFor is how many of them named a domain.
func (c *CA) OrdersFor(domain string) int { return c.counts.ordersFor(domain) }

// NewAccounts is how many accounts were made.
func (c *CA) NewAccounts() int { return c.counts.newAccounts() }
