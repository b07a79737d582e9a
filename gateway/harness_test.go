package gateway

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"math/big"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/valyala/fasthttp"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"metahub/tenant"
)

// world is a gateway on real sockets, with certificates of an authority of its own and a frontend that answers with what it was asked.
type world struct {
	testing.TB
	*Gateway
	registry *tenant.Registry
	*authority
	roots  *x509.CertPool
	logs   *logs
	counts *counts
	// patience is how long a client of HTTP/3 waits for each packet of its handshake, and so how late it learns that nobody listens.
	patience time.Duration
	// answer stands in for the API, frontends and backends; who is "api", "frontend" or "backend".
	answer atomic.Pointer[func(ctx *fasthttp.RequestCtx, who string)]
}

// tenants are served in all tests.
func tenants() []*tenant.Tenant {
	backend := &url.URL{Scheme: "http", Host: "127.0.0.1:1"}
	limits := tenant.Limits{Body: 1000, Timeout: 5 * time.Second}
	return []*tenant.Tenant{
		{Slug: "anna", Domains: []string{"anna.test", "www.anna.test", "*.shop.test"}, Enabled: true, Limits: limits},
		{Slug: "bert", Domains: []string{"bert.test"}, Enabled: true, Limits: limits},
		{Slug: "back", Domains: []string{"back.test"}, Enabled: true, Limits: limits, Backend: backend},
		{Slug: "gone", Domains: []string{"gone.test"}, Limits: limits},
		{Slug: "press", Domains: []string{"press.test"}, Enabled: true, Limits: limits, Compress: tenant.AllCodings()},
		{Slug: "canon", Domains: []string{"canon.test", "www.canon.test"}, RedirectToCanonical: true, Enabled: true, Limits: limits},
	}
}

func settings() tenant.Gateway {
	return tenant.Gateway{HTTPS: "127.0.0.1:0", HTTP: "127.0.0.1:0", HTTP3: tenant.HTTP3{Enabled: true}, APIHosts: []string{"api.test"}}
}

// start runs a gateway until the test ends; change may alter its settings and limits before.
func start(t testing.TB, change func(*tenant.Gateway, *Gateway)) *world {
	t.Helper()
	authority := newAuthority(t)
	w := &world{TB: t, authority: authority, logs: new(logs), roots: authority.pool(), counts: new(counts), patience: 10 * time.Second}
	gateway := settings()
	gateway.HTTP2 = tenant.StandardHTTP2
	if isEngine(t) {
		gateway.HTTP2 = tenant.EngineHTTP2
	}
	w.Gateway = New(Config{
		Registry:     tenant.NewRegistry(tenant.NewDirectory(gateway, nil)),
		API:          func(ctx *fasthttp.RequestCtx) { w.serve(ctx, "api") },
		Certificates: authority,
		Frontends:    w,
		Observer:     w.counts,
		Logger:       zap.New(zapcore.NewCore(zapcore.NewJSONEncoder(zap.NewProductionEncoderConfig()), w.logs, zap.InfoLevel)),
	})
	if change != nil {
		change(&gateway, w.Gateway)
	}
	w.registry = w.Gateway.registry
	w.registry.Publish(tenant.NewDirectory(gateway, tenants()))
	if err := w.Start(); err != nil {
		t.Fatal(err)
	}
	if isEngine(t) != (w.engine != nil) && !strings.HasPrefix(t.Name(), "Fuzz") {
		t.Fatal("this is not the server of HTTP/2 that the test's name says")
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
		defer cancel()
		_ = w.Gateway.Shutdown(ctx)
	})
	return w
}

func (w *world) Serve(ctx *fasthttp.RequestCtx, t *tenant.Tenant)        { w.serve(ctx, "frontend") }
func (w *world) ServeBackend(ctx *fasthttp.RequestCtx, t *tenant.Tenant) { w.serve(ctx, "backend") }
func (w *world) EndEvents()                                              {}

func (w *world) serve(ctx *fasthttp.RequestCtx, who string) {
	if answer := w.answer.Load(); answer != nil {
		(*answer)(ctx, who)
		return
	}
	seen := seen{By: who, Tenant: tenant.FromContext(ctx).Slug, Method: string(ctx.Method()), Header: map[string][]string{}}
	seen.URI = string(ctx.Request.Header.RequestURI())
	seen.Path = string(ctx.Path())
	for name, value := range ctx.Request.Header.All() {
		seen.Header[string(name)] = append(seen.Header[string(name)], string(value))
	}
	seen.Body = string(ctx.PostBody())
	body, err := json.Marshal(seen)
	if err != nil {
		w.Error(err)
	}
	ctx.SetContentType("application/json")
	ctx.SetBody(body)
}

func (w *world) answerWith(f func(ctx *fasthttp.RequestCtx, who string)) { w.answer.Store(&f) }

// seen is a request as those behind the gateway see it.
type seen struct {
	By, Tenant, Method, URI, Path, Body string
	Header                              map[string][]string
}

// one returns the value of a header that must be there exactly once.
func (s seen) one(t testing.TB, name string) string {
	t.Helper()
	if len(s.Header[name]) != 1 {
		t.Errorf("%s is %q, want one value", name, s.Header[name])
		return ""
	}
	return s.Header[name][0]
}

// answer is what a client got.
type answer struct {
	*http.Response
	body string
}

func (a answer) seen(t testing.TB) seen {
	t.Helper()
	var s seen
	if err := json.Unmarshal([]byte(a.body), &s); err != nil || a.StatusCode != http.StatusOK {
		t.Fatalf("status %d with %q, want what a frontend saw", a.StatusCode, a.body)
	}
	return s
}

// raw sends bytes over a TLS connection of its own and reads one answer.
func (w *world) raw(serverName, request string) answer {
	w.Helper()
	c := w.dial(serverName)
	defer c.Close()
	if _, err := io.WriteString(c, request); err != nil {
		w.Fatal(err)
	}
	return w.read(bufio.NewReader(c), request)
}

func (w *world) read(r *bufio.Reader, request string) answer {
	w.Helper()
	method, _, _ := strings.Cut(request, " ")
	response, err := http.ReadResponse(r, &http.Request{Method: method})
	if err != nil {
		w.Fatalf("no answer to %.80q: %v", request, err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		w.Fatalf("half an answer to %.80q: %v", request, err)
	}
	return answer{response, string(body)}
}

func (w *world) dial(serverName string, protocols ...string) *tls.Conn {
	w.Helper()
	c, err := tls.Dial("tcp", w.https.String(), &tls.Config{ServerName: serverName, RootCAs: w.roots, NextProtos: protocols})
	if err != nil {
		w.Fatal(err)
	}
	_ = c.SetDeadline(time.Now().Add(atMost))
	w.Cleanup(func() { c.Close() })
	return c
}

// client speaks HTTP/2, or HTTP/1.1, or in a test of isHTTP3 that, to the gateway whatever the host of the URL. The TLS name is serverName, or the host.
func (w *world) client(http2 bool, serverName string) *http.Client {
	if isHTTP3(w) {
		return w.clientHTTP3(serverName)
	}
	protocols := new(http.Protocols)
	protocols.SetHTTP1(!http2)
	protocols.SetHTTP2(http2)
	transport := &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "tcp", w.https.String())
		},
		TLSClientConfig:    &tls.Config{RootCAs: w.roots, ServerName: serverName},
		Protocols:          protocols,
		DisableCompression: true,
	}
	w.Cleanup(transport.CloseIdleConnections)
	return &http.Client{
		Transport:     transport,
		Timeout:       atMost,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// do sends a request with headers given as "Name: value".
func (w *world) do(c *http.Client, method, url, body string, headers ...string) answer {
	w.Helper()
	r, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		w.Fatal(err)
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		r.Header.Add(name, value)
	}
	return w.send(c, r)
}

func (w *world) send(c *http.Client, r *http.Request) answer {
	w.Helper()
	response, err := c.Do(r)
	if err != nil {
		w.Fatal(err)
	}
	defer response.Body.Close()
	read, err := io.ReadAll(response.Body)
	if err != nil {
		w.Fatal(err)
	}
	return answer{response, string(read)}
}

// atMost is how long tests wait for what comes sooner or later. A machine may have much else to do.
const atMost = time.Minute

// await fails the test if a condition does not come about.
func await(t testing.TB, what string, condition func() bool) {
	t.Helper()
	for end := time.Now().Add(atMost); !condition(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

// logs are the lines that a gateway has logged, as a reader of its JSON gets them.
type logs struct {
	mu    sync.Mutex
	lines []map[string]any
}

func (l *logs) Write(p []byte) (int, error) {
	line := map[string]any{}
	if err := json.Unmarshal(p, &line); err != nil {
		return 0, err
	}
	l.mu.Lock()
	l.lines = append(l.lines, line)
	l.mu.Unlock()
	return len(p), nil
}

func (l *logs) Sync() error { return nil }

// find returns the lines in which a field begins with value.
func (l *logs) find(field, value string) []map[string]any {
	l.mu.Lock()
	defer l.mu.Unlock()
	var found []map[string]any
	for _, line := range l.lines {
		if text, _ := line[field].(string); strings.HasPrefix(text, value) {
			found = append(found, line)
		}
	}
	return found
}

// counts is an Observer that counts.
type counts struct {
	mu      sync.Mutex
	samples []Sample
	events  [7]int
	limited map[string]int // by tenant and reason
	attacks map[string]int // by budget
}

func (c *counts) Request(s Sample) {
	c.mu.Lock()
	c.samples = append(c.samples, s)
	c.mu.Unlock()
}

func (c *counts) Connection(e Event) {
	c.mu.Lock()
	c.events[e]++
	c.mu.Unlock()
}

func (c *counts) Limited(tenant, reason string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.limited == nil {
		c.limited = map[string]int{}
	}
	c.limited[tenant+" "+reason]++
}

func (c *counts) Attacked(budget string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.attacks == nil {
		c.attacks = map[string]int{}
	}
	c.attacks[budget]++
}

// attacked returns a copy of how often each budget was used up.
func (c *counts) attacked() map[string]int {
	c.mu.Lock()
	defer c.mu.Unlock()
	copied := map[string]int{}
	maps.Copy(copied, c.attacks)
	return copied
}

func (c *counts) limits(tenant, reason string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.limited[tenant+" "+reason]
}

func (c *counts) event(e Event) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.events[e]
}

func (c *counts) requests() []Sample {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]Sample(nil), c.samples...)
}

// authority makes certificates for localhost and every name below .test.
type authority struct {
	root *x509.Certificate
	key  *ecdsa.PrivateKey
	mu   sync.Mutex
	made map[string]*tls.Certificate
	met  map[string]bool // addresses of clients that began a handshake
}

func newAuthority(t testing.TB) *authority {
	t.Helper()
	a := &authority{made: map[string]*tls.Certificate{}, met: map[string]bool{}}
	var err error
	if a.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		t.Fatal(err)
	}
	a.root = &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test authority"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, a.root, a.root, a.key.Public(), a.key)
	if err == nil {
		a.root, err = x509.ParseCertificate(der)
	}
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func (a *authority) pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.root)
	return pool
}

// hasMet reports whether a client at an address has begun a handshake.
func (a *authority) hasMet(client string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.met[client]
}

// TLSConfig implements CertificateSource.
func (a *authority) TLSConfig() *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1", acmeTLS}, GetCertificate: a.certificate}
}

// KeyAuthorization implements CertificateSource: one token is on order for anna.test, and for the API host.
func (a *authority) KeyAuthorization(_ context.Context, host, token string) (string, bool) {
	return "on-order.thumbprint", (host == "anna.test" || host == "api.test") && token == "on-order"
}

func (a *authority) certificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	name := strings.ToLower(hello.ServerName)
	if !strings.HasSuffix(name, ".test") && name != "localhost" {
		return nil, errors.New("no certificate for this name")
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.met[hello.Conn.RemoteAddr().String()] = true
	if made := a.made[name]; made != nil {
		return made, nil
	}
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: a.root.NotBefore, NotAfter: a.root.NotAfter, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	der, err := x509.CreateCertificate(rand.Reader, leaf, a.root, key.Public(), a.key)
	if err != nil {
		return nil, err
	}
	a.made[name] = &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
	return a.made[name], nil
}

func trustLoopback(s *tenant.Gateway, _ *Gateway) {
	s.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("10.0.0.0/8")}
}

// stopClock has all requests come at one moment, as far as rates are concerned.
func stopClock(_ *tenant.Gateway, g *Gateway) { new(standing).keep(g) }

// standing is a clock that stands until it is moved.
type standing struct {
	from  time.Time
	moved atomic.Int64
}

// keep has a gateway go by the clock.
func (c *standing) keep(g *Gateway) {
	c.from = time.Now()
	g.clock = func() time.Time { return c.from.Add(time.Duration(c.moved.Load())) }
}

func (c *standing) move(after time.Duration) { c.moved.Add(int64(after)) }

// body is a streamed answer that a test feeds.
type body struct {
	io.Reader
	n    int64
	done func(int64, error)
	once sync.Once
}

func (b *body) OnDone(f func(int64, error)) { b.done = f }

func (b *body) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	b.n += int64(n)
	return n, err
}

func (b *body) Close() error {
	b.once.Do(func() {
		if b.done != nil {
			b.done(b.n, nil)
		}
	})
	return nil
}

// pair runs a test over all protocols. HTTP/3 counts as http2: both have streams. client knows it by isHTTP3.
func pair(t *testing.T, f func(t *testing.T, http2 bool)) {
	t.Run("http1", func(t *testing.T) { f(t, false) })
	overHTTP2(t, func(t *testing.T) { f(t, true) })
	t.Run("http3", func(t *testing.T) { f(t, true) })
}

// overHTTP2 runs a test over both servers of HTTP/2. start knows which by isEngine.
func overHTTP2(t *testing.T, f func(t *testing.T)) {
	t.Run("http2", f)
	t.Run("http2 engine", f)
}

// isHTTP3 reports whether pair runs the test over HTTP/3.
func isHTTP3(t testing.TB) bool { return strings.Contains(t.Name()+"/", "/http3/") }

// isEngine reports whether overHTTP2 runs the test over the engine.
func isEngine(t testing.TB) bool { return strings.Contains(t.Name()+"/", "/http2_engine/") }

func contains(list []string, want string) bool {
	return strings.Contains(strings.Join(list, ","), want)
}
