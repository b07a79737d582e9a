// Package frontend serves what is not the embedded API: a tenant's upstream over HTTP/1.1, its folder of files, or the built-in
// welcome page; and a tenant's own backend in place of the embedded API.
//
//	frontends := frontend.New(frontend.Config{Logger: logger})
//	defer frontends.Close()
//	frontends.Serve(ctx, t)
//
// The gateway has identified the tenant, checked the message and set X-Tenant and X-Forwarded-* before. What an upstream gets is
// written from parsed fields, as exactly one message; what it answers is checked as strictly before a byte of it reaches the client.
// A site may have several of these, by the prefix of the path. Bodies stream both ways. While an upstream restarts, requests wait for it;
// several share a site's requests, and can be asked how they are. It does not cache answers; of folders it keeps small files in memory.
package frontend

import (
	"crypto/tls"
	"io"
	"sync"

	"github.com/valyala/fasthttp"
	"go.uber.org/zap"

	"metahub/gateway/page"
	"metahub/tenant"
)

// UpstreamKey is the user value under which Serve and ServeBackend leave who answers, for the access log: a fmt.Stringer that
// says "127.0.0.1:3001", "dir" or "welcome".
const UpstreamKey contextKey = "metahub.upstream"

type contextKey string

// Streamed is a response body that is still being read when the handler has returned.
type Streamed interface {
	io.ReadCloser
	// OnDone registers f, which Close calls once with the number of bytes read and with why the body ended: nil when it was
	// complete. It must be called before the first Read. f must not keep the request.
	OnDone(f func(bytes int64, err error))
}

// Config is what New needs. Its zero value works.
type Config struct {
	// Logger hears about upstreams that a person must look after; nil means no log.
	Logger *zap.Logger
	// Registry says whose upstreams are checked, at each moment; nil means that none are.
	Registry *tenant.Registry
	// TLS is the base of the connections to https upstreams; nil means the system's authorities. It is cloned.
	TLS *tls.Config
	// Timings replaces the built-in timeouts that are not zero.
	Timings Timings
	// Memory replaces the built-in bounds of the files in memory that are not zero: 8 MiB a tenant, 128 MiB in all.
	Memory Memory
}

// Server serves the frontends and backends of all tenants. It may be used by any number of goroutines at once.
type Server struct {
	log     *zap.Logger
	timings Timings
	pool    *pool
	tunnels tunnels
	events  eventStreams
	notices notices   // of what is no upstream's
	scratch sync.Pool // of *exchange
	memory  *memory   // of small files
	lookout lookout
}

// New starts a Server; Close it after the last request.
func New(c Config) *Server {
	log := c.Logger
	if log == nil {
		log = zap.NewNop()
	}
	log = log.Named("frontend")
	timings := c.Timings.orDefaults()
	return &Server{
		log:     log,
		timings: timings,
		pool:    newPool(c.TLS, timings, c.Registry, log),
		scratch: sync.Pool{New: func() any { return new(exchange) }},
		memory:  newMemory(c.Memory),
	}
}

// Close ends all tunnels and idle upstream connections, and waits for what it started. Requests that are still running finish, and
// their connections close after them.
func (s *Server) Close() {
	s.tunnels.close()
	s.pool.close()
	s.lookout.close()
}

// Serve answers ctx from t's frontend.
func (s *Server) Serve(ctx *fasthttp.RequestCtx, t *tenant.Tenant) {
	to := frontendOf(ctx, t)
	switch {
	case to.URL != nil, len(to.Upstreams) > 0:
		s.proxy(ctx, t, to.choice(), to.route, false)
	case to.Folder != "":
		ctx.SetUserValue(UpstreamKey, &folderName)
		s.folder(ctx, t, to.Folder, to.mount())
	default:
		ctx.SetUserValue(UpstreamKey, &welcomeName)
		page.Welcome(ctx, t)
	}
}

// ServeBackend answers ctx from t's backends, of which there must be one for its path. The gateway alone answers CORS for /api, so what the
// backend says about allowed origins is left out.
func (s *Server) ServeBackend(ctx *fasthttp.RequestCtx, t *tenant.Tenant) {
	if t.BackendRoutes == nil {
		s.proxy(ctx, t, choice{url: t.Backend, list: t.Backends, health: &t.BackendHealth}, nil, true)
		return
	}
	r := t.BackendRoutes.Find(ctx.Path())
	s.proxy(ctx, t, destination{&r.To, r, &r.Health}.choice(), r, true)
}

// name is a fixed answer for UpstreamKey.
type name string

// String implements fmt.Stringer.
func (n *name) String() string { return string(*n) }

var (
	folderName  name = "dir"
	welcomeName name = "welcome"
)
