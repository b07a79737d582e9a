package admin

import (
	"net/http"
	"runtime"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"metahub/tenant"
)

// Metrics counts what the gateway does, for Prometheus. All its methods may be called at once from any number of goroutines; those on
// the path of a request take no lock and allocate nothing.
type Metrics struct {
	registry   *prometheus.Registry
	requests   *requests
	http1      prometheus.Counter
	http2      prometheus.Counter
	http3      prometheus.Counter
	opened     prometheus.Counter
	open       prometheus.Gauge
	handshakes prometheus.Counter
	refused    prometheus.Counter
	proxies    prometheus.Counter
	attacks    *prometheus.CounterVec
	delayed    prometheus.Counter
	turnedAway prometheus.Counter
}

// NewMetrics makes an empty set with a registry of its own. At most labels of the directory's tenants are told apart; all others share
// the label "_other".
func NewMetrics(version string, directory *tenant.Registry, labels int) *Metrics {
	registry := prometheus.NewRegistry()
	counter := func(name, help string) prometheus.Counter {
		c := prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
		registry.MustRegister(c)
		return c
	}
	protocols := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "metahub_protocol_requests_total", Help: "Requests answered, by protocol.",
	}, []string{"protocol"})
	m := &Metrics{
		registry: registry,
		requests: newRequests(labels, func() int { return len(directory.Current().Tenants()) }),
		http1:    protocols.WithLabelValues("HTTP/1.1"),
		http2:    protocols.WithLabelValues("HTTP/2.0"),
		http3:    protocols.WithLabelValues("HTTP/3.0"),
		opened:   counter("metahub_connections_opened_total", "Client connections accepted."),
		open: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "metahub_connections_open", Help: "Client connections that are open.",
		}),
		handshakes: counter("metahub_handshake_failures_total", "Connections on which TLS was not agreed on; an unlisted name is the common reason."),
		refused:    counter("metahub_refused_requests_total", "Requests refused because their bytes were no well-formed request."),
		proxies:    counter("metahub_proxy_header_failures_total", "Connections of gateway.proxy_protocol that began with no well-formed PROXY header."),
	}
	paced := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "metahub_paced_connections_total", Help: "Connections of addresses that open too many, or have attacked: delayed until their turn, or refused.",
	}, []string{"outcome"})
	m.delayed, m.turnedAway = paced.WithLabelValues("delayed"), paced.WithLabelValues("refused")
	m.attacks = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "metahub_http2_attacks_total", Help: "HTTP/2 connections and streams ended because their client used up a budget or was too slow, by what it was.",
	}, []string{"budget"})
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "metahub_build_info", Help: "Always 1; the labels say what is running.",
		ConstLabels: prometheus.Labels{"version": version, "go": runtime.Version()},
	})
	build.Set(1)
	registry.MustRegister(build, m.requests, protocols, m.open, m.attacks, paced,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// Request counts one request that was answered. slug is empty where no tenant was found; received and sent are the bytes of the two
// bodies.
func (m *Metrics) Request(slug, protocol string, status int, took time.Duration, received, sent int64) {
	m.requests.observe(slug, status, took, received, sent)
	switch protocol {
	case "HTTP/2.0":
		m.http2.Inc()
	case "HTTP/3.0":
		m.http3.Inc()
	default:
		m.http1.Inc()
	}
}

// Limited counts a request or a connection of a tenant that a limit refused; reason says which.
func (m *Metrics) Limited(slug, reason string) { m.requests.limit(slug, reason) }

// Cached counts a request of a tenant that the cache has to do with; result says what it has made of it.
func (m *Metrics) Cached(slug, result string) { m.requests.cache(slug, result) }

// ConnectionOpened counts a client connection; one ConnectionClosed follows.
func (m *Metrics) ConnectionOpened() {
	m.opened.Inc()
	m.open.Inc()
}

// ConnectionClosed ends what ConnectionOpened began.
func (m *Metrics) ConnectionClosed() { m.open.Dec() }

// HandshakeFailed counts a connection on which TLS was not agreed on.
func (m *Metrics) HandshakeFailed() { m.handshakes.Inc() }

// RequestRefused counts bytes that were no well-formed request.
func (m *Metrics) RequestRefused() { m.refused.Inc() }

// ProxyRefused counts a connection of a proxy that began with no well-formed PROXY header.
func (m *Metrics) ProxyRefused() { m.proxies.Inc() }

// ConnectionDelayed counts a connection that had to wait because its address opens too many, or has attacked.
func (m *Metrics) ConnectionDelayed() { m.delayed.Inc() }

// ConnectionRefused counts one that was closed because too many waited already.
func (m *Metrics) ConnectionRefused() { m.turnedAway.Inc() }

// Attacked counts an HTTP/2 connection, or a stream of one, that was ended because its client had used up a budget; there are some fifteen
// of those.
func (m *Metrics) Attacked(budget string) { m.attacks.WithLabelValues(budget).Inc() }

func (m *Metrics) handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{MaxRequestsInFlight: 4})
}
