// Package admin shows how MetaHub feels: a status page for people, /healthz and /readyz for whatever keeps it running, /metrics for
// Prometheus, /certs for the certificates, whose orders it can also hasten, and /cache/purge to drop what is kept of sites' answers.
//
//	server := admin.New(admin.Config{Registry: registry, Reloads: reloader, …})
//	err := server.Start()      // on the address that tenants.yaml gives, 127.0.0.1:9180 by default
//	server.SetState(admin.Ready)
//
// It shows no secret, and what changes something takes a header that no web page can send; yet it is meant for the machine's own administrators: it listens on loopback unless told
// otherwise, and answers only to the names of the address it listens on, so that no web page can read it through a rebound DNS name.
package admin

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"sync/atomic"
	"syscall"
	"time"

	"go.uber.org/zap"

	"metahub/tenant"
)

// Config is what New needs.
type Config struct {
	Registry *tenant.Registry
	Reloads  Reloads
	Metrics  *Metrics
	// Databases returns the deployments in use.
	Databases    func() []Database
	Certificates Certificates
	// Upstreams returns those that are checked, sorted; nil stands for none.
	Upstreams func() []Upstream
	Cache     Cache
	Version   string
	// Logger may be nil.
	Logger *zap.Logger
}

// Reloads tells how tenants.yaml was last read.
type Reloads interface{ Verdict() tenant.Verdict }

// Database is one deployment that tenants live in, without credentials.
type Database struct {
	Name      string    `json:"name"`
	Available bool      `json:"available"`
	Error     string    `json:"error,omitempty"`
	Since     time.Time `json:"since"`
	InFlight  int       `json:"in_flight"`
}

// Upstream is a server that is checked, and whether it passes.
type Upstream struct {
	Name, Path string
	Up         bool
}

// State is how far the process is; it decides what /readyz answers.
type State int32

// The states, in the order that a process goes through them.
const (
	Starting State = iota
	Ready
	Draining
)

// String implements fmt.Stringer.
func (s State) String() string {
	return [...]string{"starting", "ready", "draining"}[s]
}

// Server answers on the admin address.
type Server struct {
	config   Config
	log      *zap.Logger
	page     statusPage
	state    atomic.Int32
	started  time.Time
	http     *http.Server
	listener net.Listener
	done     chan struct{}
}

// New makes a Server that listens on nothing yet. config.Metrics then belongs to it alone.
func New(config Config) *Server {
	log := config.Logger
	if log == nil {
		log = zap.NewNop()
	}
	s := &Server{config: config, log: log, page: newStatusPage(), started: time.Now(), done: make(chan struct{})}
	config.Metrics.registry.MustRegister(newPulled(config))
	s.http = &http.Server{
		Handler:           s.routes(),
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      30 * time.Second,
		IdleTimeout:       75 * time.Second,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          zap.NewStdLog(log),
	}
	return s
}

func (s *Server) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", s.status)
	mux.HandleFunc("GET /healthz", s.healthz)
	mux.HandleFunc("GET /readyz", s.readyz)
	mux.Handle("GET /metrics", s.config.Metrics.handler())
	mux.HandleFunc("GET /certs", s.certs)
	mux.HandleFunc("POST /certs/renew", control(s.renewCert))
	mux.HandleFunc("POST /certs/retry", control(s.retryCerts))
	mux.HandleFunc("POST /cache/purge", control(s.purgeCache))
	return s.guard(mux)
}

// Start listens on the admin address of the current Directory and returns once it does.
func (s *Server) Start() error {
	addr := s.config.Registry.Current().Gateway().Admin
	l, err := net.Listen("tcp", addr)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("gateway.admin: address %q is in use by another program; stop that program, or choose another address", addr)
	case err != nil:
		return fmt.Errorf("gateway.admin: cannot listen on %q: %w; choose another address", addr, err)
	}
	s.listener = l
	go func() {
		defer close(s.done)
		if err := s.http.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			s.log.Error("the admin address stopped answering", zap.Error(err))
		}
	}()
	return nil
}

// Addr is the address that Start listens on.
func (s *Server) Addr() net.Addr { return s.listener.Addr() }

// SetState says how far the process is; New begins with Starting.
func (s *Server) SetState(state State) { s.state.Store(int32(state)) }

// Shutdown finishes what is in flight, until ctx ends, and stops listening.
func (s *Server) Shutdown(ctx context.Context) error {
	err := s.http.Shutdown(ctx)
	if err != nil {
		err = errors.Join(err, s.http.Close())
	}
	<-s.done
	return err
}

// guard refuses requests by another name than the address has, which a page of a foreign site can only send by pointing its own DNS
// name here, and writes the headers that every answer has.
func (s *Server) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cache-Control", "no-store")
		if !s.isOwnName(r) {
			http.Error(w, "this address answers to localhost and to its own IP address only", http.StatusMisdirectedRequest)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// isOwnName reports whether a request's Host is localhost, a loopback address, the IP address that it came in at, or the host name in
// gateway.admin.
func (s *Server) isOwnName(r *http.Request) bool {
	name, _, err := tenant.CanonicalHost(nil, []byte(r.Host))
	if err != nil {
		return false
	}
	host := string(name)
	if host == "localhost" {
		return true
	}
	if n := len(host); host[0] == '[' {
		host = host[1 : n-1]
	}
	if ip, err := netip.ParseAddr(host); err == nil {
		return ip.IsLoopback() || ip.Unmap() == localIP(r)
	}
	own, _, err := net.SplitHostPort(s.config.Registry.Current().Gateway().Admin)
	return err == nil && own == host
}

func localIP(r *http.Request) netip.Addr {
	addr, ok := r.Context().Value(http.LocalAddrContextKey).(*net.TCPAddr)
	if !ok {
		return netip.Addr{}
	}
	return addr.AddrPort().Addr().Unmap()
}
