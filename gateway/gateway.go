// Package gateway is how requests arrive: it ends TLS for every tenant domain, speaks HTTP/1.1, HTTP/2 and HTTP/3, finds out whose request it
// is, and hands it to the embedded API or to the tenant's frontend.
//
//	g := gateway.New(gateway.Config{Registry: registry, API: api.Handle, Certificates: keeper, Frontends: frontends, Logger: log})
//	if err := g.Start(); err != nil { … }
//	defer g.Shutdown(ctx)
//
// Whatever the protocol, a request passes the one chain in handler.go. Behind it everyone may trust X-Tenant and the other headers
// named in headers.go, because no client's spelling of them gets through. The gateway obtains no certificates and speaks to no
// database.
package gateway

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/valyala/fasthttp"
	"go.uber.org/zap"

	"metahub/gateway/cache"
	"metahub/gateway/compress"
	"metahub/gateway/http2"
	"metahub/gateway/limit"
	"metahub/gateway/wire"
	"metahub/tenant"
)

// Config is what New needs. Cache, Observer and Logger may be nil.
type Config struct {
	Registry     *tenant.Registry
	API          fasthttp.RequestHandler // serves /api/ of tenants without a backend; the tenant is in tenant.FromContext
	Certificates CertificateSource
	Frontends    Frontends
	Cache        *cache.Cache // of the answers of frontends and backends; nil is one of the gateway's own
	Observer     Observer
	Logger       *zap.Logger
}

// CertificateSource says how connections are secured, and proves to a CA that hosts are served here. Its methods are called from many
// goroutines at once.
type CertificateSource interface {
	// TLSConfig gives the certificate of each handshake, from memory, and decides which sessions may be resumed. Unknown names it refuses
	// with an alert. Each call returns a value of its own, to which the gateway adds GetConfigForClient.
	TLSConfig() *tls.Config
	// KeyAuthorization returns the answer to an HTTP-01 challenge (RFC 8555 §8.3) for a canonical host; ok is false for a token that is
	// none of ours. It may wait for other gateways, until ctx ends.
	KeyAuthorization(ctx context.Context, host, token string) (answer string, ok bool)
}

// Frontends serves what the embedded API does not. Its methods are called from many goroutines at once.
type Frontends interface {
	// Serve answers from t's frontend.
	Serve(ctx *fasthttp.RequestCtx, t *tenant.Tenant)
	// ServeBackend answers from t's backend, which takes the place of the embedded API.
	ServeBackend(ctx *fasthttp.RequestCtx, t *tenant.Tenant)
	// EndEvents cuts off the streams of events, which would hold up a shutdown.
	EndEvents()
}

// The limits of a connection; those of a request are the tenant's.
const (
	handshakeTimeout = 10 * time.Second
	headerTimeout    = 10 * time.Second // from the first byte of a request to the end of its header
	idleTimeout      = 75 * time.Second
	restTimeout      = time.Second      // from then on an idle HTTP/1 connection holds next to no memory
	progressTimeout  = 30 * time.Second // without a byte of a body, or of room for an answer
	headerBytes      = 16 << 10
	targetBytes      = 8 << 10
	headerFields     = 100
)

// Gateway listens on gateway.https and gateway.http. Its methods may be called at once from any number of goroutines; a Gateway that
// was shut down cannot be started again.
type Gateway struct {
	registry  *tenant.Registry
	api       fasthttp.RequestHandler
	frontends Frontends
	observer  Observer
	log       *zap.Logger
	access    *zap.Logger
	limits    wire.Limits
	admissions
	arrivals arrivals
	clock    func() time.Time // when requests and warnings come

	cache        *cache.Cache
	compressor   *compress.Compressor
	certificates CertificateSource
	tls          *tls.Config
	secure       *fasthttp.Server // HTTP/1.1 on the HTTPS address
	plain        *fasthttp.Server // the HTTP address
	http2        *http.Server
	engine       *http2.Server // in place of http2; nil where that serves
	streams      *handover     // connections on their way to http2
	http3        *http3        // nil without HTTP/3
	altSvc       []byte        // what tells the clients of it
	exchanges    sync.Pool
	bridges      sync.Pool
	requests     sync.Pool // of HTTP/3

	listeners   []net.Listener
	https, http net.Addr
	accepting   sync.WaitGroup
	arriving    sync.WaitGroup // connections whose protocol is not known yet
	connections connections
	draining    atomic.Bool
	held        atomic.Int64  // refusals that are held back
	grace       time.Duration // of WebSockets and streams of events at a shutdown
}

// New makes a Gateway that listens on nothing yet.
func New(config Config) *Gateway {
	g := &Gateway{
		registry:  config.Registry,
		api:       config.API,
		frontends: config.Frontends,
		observer:  config.Observer,
		log:       config.Logger,
		limits: wire.Limits{
			HeaderBytes: headerBytes,
			TargetBytes: targetBytes,
			Headers:     headerFields,
			Idle:        idleTimeout,
			Rest:        restTimeout,
			Header:      headerTimeout,
			Body:        progressTimeout,
			Write:       progressTimeout,
		},
	}
	g.admissions = admissions{limiter: limit.New(limit.Config{}), most: openFiles() / 2}
	g.arrivals = newArrivals()
	g.clock, g.grace = time.Now, socketGrace
	if g.observer == nil {
		g.observer = nobody{}
	}
	if g.log == nil {
		g.log = zap.NewNop()
	}
	g.access = g.log.Named("access")
	g.connections.observer = g.observer
	if g.cache = config.Cache; g.cache == nil {
		g.cache = cache.New(cache.Config{Registry: config.Registry, Logger: g.log})
	}
	g.compressor = compress.New()
	g.certificates, g.tls = config.Certificates, config.Certificates.TLSConfig()
	g.tls.GetConfigForClient = g.limitConnection
	g.exchanges.New = func() any { return &exchange{buffers: buffers{slot: new(limit.Slot)}} }
	g.bridges.New = func() any { return new(bridge) }
	g.requests.New = func() any { return newHTTP3Request() }
	g.connections.open = map[*connection]struct{}{}
	g.secure = g.newHTTP1(g.handle)
	g.secure.ExpectHandler = g.expect
	g.plain = g.newHTTP1(g.redirect)
	g.http2 = g.newHTTP2()
	return g
}

// Start listens on the addresses of the current Directory and returns once it does: on all of them, or, with an error that says what
// to do, on none.
func (g *Gateway) Start() error {
	addresses := g.registry.Current().Gateway()
	https, udp, err := listenHTTPS(addresses)
	if err != nil {
		return err
	}
	g.listeners, g.https = []net.Listener{https}, https.Addr()
	if udp != nil {
		if g.http3, err = g.newHTTP3(udp, addresses.HTTP3.Port); err != nil {
			return errors.Join(err, udp.Close(), https.Close())
		}
	}
	if addresses.HTTP != "" {
		plain, err := listen("gateway.http", addresses.HTTP)
		if err != nil {
			return errors.Join(err, g.http3.close(), https.Close())
		}
		g.listeners, g.http = append(g.listeners, plain), plain.Addr()
		g.accepting.Go(func() { g.accept(plain, g.servePlain) })
	}
	if addresses.HTTP2 != tenant.StandardHTTP2 {
		g.engine = g.newEngine()
	}
	if g.http3 != nil {
		g.accepting.Go(g.http3.accept)
	}
	g.streams = newHandover(g.https)
	g.accepting.Go(func() { g.accept(https, g.serveSecure) })
	g.connections.wait.Go(func() {
		if err := g.http2.Serve(g.streams); !errors.Is(err, http.ErrServerClosed) {
			g.log.Error("http/2 stopped answering", zap.Error(err))
		}
	})
	return nil
}

// Addrs returns the addresses that Start listens on, with the real port where tenants.yaml says 0. http is nil without a plain port.
func (g *Gateway) Addrs() (https, http net.Addr) { return g.https, g.http }
