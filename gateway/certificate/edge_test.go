package certificate

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"metahub/gateway/certificate/acmetest"
	"metahub/gateway/certificate/orders"
	"metahub/tenant"
)

// ports are where one gateway, or several in turn, answer browsers and CAs.
type ports struct {
	http, https net.Listener
	mu          sync.Mutex
	keeper      *Keeper
}

// openPorts answers until the test ends, with the keeper that was given last.
func openPorts(t testing.TB) *ports {
	t.Helper()
	p := &ports{}
	for _, l := range []*net.Listener{&p.http, &p.https} {
		var err error
		if *l, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
			t.Fatal(err)
		}
	}
	server := &http.Server{Handler: p}
	var serving sync.WaitGroup
	serving.Go(func() { server.Serve(p.http) })
	serving.Go(func() { p.accept() })
	t.Cleanup(func() { server.Close(); p.https.Close(); serving.Wait() })
	return p
}

func (p *ports) give(k *Keeper) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.keeper = k
}

func (p *ports) current() *Keeper {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.keeper
}

// ServeHTTP answers challenges.
func (p *ports) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	token, ok := strings.CutPrefix(r.URL.Path, "/.well-known/acme-challenge/")
	host, _, err := tenant.CanonicalHost(nil, []byte(r.Host))
	if k := p.current(); ok && err == nil && k != nil {
		if answer, ok := k.KeyAuthorization(r.Context(), string(host), token); ok {
			io.WriteString(w, answer)
			return
		}
	}
	http.NotFound(w, r)
}

func (p *ports) accept() {
	for {
		conn, err := p.https.Accept()
		if err != nil {
			return
		}
		if k := p.current(); k != nil {
			go greet(tls.Server(conn, k.TLSConfig()))
			continue
		}
		conn.Close()
	}
}

func (p *ports) httpPort() int { return p.http.Addr().(*net.TCPAddr).Port }
func (p *ports) tlsPort() int  { return p.https.Addr().(*net.TCPAddr).Port }

// edge is a Keeper at work: behind real ports, with Pebble as its CA.
type edge struct {
	testing.TB
	*Keeper
	*ports
	ca   *acmetest.CA
	logs *observer.ObservedLogs
}

// edgeOptions are what tests differ in.
type edgeOptions struct {
	acme    acmetest.Options
	ca      *acmetest.CA // of another edge
	change  func(*tenant.Certificates)
	clock   orders.Clock
	tenants []*tenant.Tenant
}

func (o edgeOptions) settings(folder string, ca *acmetest.CA, p *ports) tenant.Certificates {
	s := tenant.Certificates{
		Issuer: ca.Directory(), CARoot: ca.RootFile(), Folder: folder, StorageFolder: folder,
		Challenges: []string{tenant.ChallengeHTTP01, tenant.ChallengeTLSALPN01},
		Rehearsal:  true, Resolver: ca.DNS().Address(), ValidationPort: p.httpPort(), Limits: tenant.LimitsNone,
	}
	if o.change != nil {
		o.change(&s)
	}
	return s
}

// startEdge runs a Keeper until the test ends.
func startEdge(t testing.TB, o edgeOptions) *edge {
	t.Helper()
	e := &edge{TB: t, ports: openPorts(t), ca: o.ca}
	if e.ca == nil {
		o.acme.HTTPPort, o.acme.TLSPort = e.httpPort(), e.tlsPort()
		e.ca = acmetest.Start(t, o.acme)
		e.ca.DNS().DefaultTo("127.0.0.1")
	}
	e.run(t.TempDir(), o)
	t.Cleanup(e.Stop)
	return e
}

// run starts the Keeper; after Stop it may be called again.
func (e *edge) run(folder string, o edgeOptions) {
	e.Helper()
	e.prepare(folder, o)
	e.begin()
}

func (e *edge) prepare(folder string, o edgeOptions) {
	e.Helper()
	core, logs := observer.New(zapcore.InfoLevel)
	k, err := New(Config{
		Registry: tenant.NewRegistry(tenant.NewDirectory(tenant.Gateway{}, o.tenants)),
		Settings: o.settings(folder, e.ca, e.ports), Clock: o.clock, Logger: zap.New(core),
	})
	if err != nil {
		e.Fatal(err)
	}
	e.Keeper, e.logs = k, logs
}

func (e *edge) begin() {
	e.give(e.Keeper)
	e.Start()
	e.StartOrders()
}

// publish saves other tenants.
func (e *edge) publish(tenants ...*tenant.Tenant) {
	e.registry.Publish(tenant.NewDirectory(tenant.Gateway{}, tenants))
}

func (e *edge) state(domain string) orders.Status {
	status, _ := e.queue.StatusOf(domain)
	return status
}

// awaitState waits until a domain's order is in a state.
func (e *edge) awaitState(domain string, want orders.State) orders.Status {
	e.Helper()
	for end := time.Now().Add(60 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if got := e.state(domain); got.State == want {
			return got
		} else if time.Now().After(end) {
			e.Fatalf("%s is %+v, want it %q; the log: %v", domain, got, want, e.logs.All())
		}
	}
}

// browse completes a handshake that trusts nobody but the CA, and returns the certificate.
func (e *edge) browse(host string) (*x509.Certificate, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	dialer := &tls.Dialer{Config: &tls.Config{RootCAs: e.ca.Roots(), ServerName: host}}
	conn, err := dialer.DialContext(ctx, "tcp", e.https.Addr().String())
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	return conn.(*tls.Conn).ConnectionState().PeerCertificates[0], nil
}

func (e *edge) mustBrowse(host string) *x509.Certificate {
	e.Helper()
	leaf, err := e.browse(host)
	if err != nil {
		e.Fatalf("%s: %v", host, err)
	}
	return leaf
}

func site(slug string, domains ...string) *tenant.Tenant {
	return &tenant.Tenant{Slug: slug, Domains: domains, Enabled: true}
}
