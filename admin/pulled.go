package admin

import (
	"slices"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
)

// pulled are the metrics that nobody counts: each scrape asks the parts of the server that know.
type pulled struct {
	config Config
	descs  map[string]*prometheus.Desc
}

func newPulled(config Config) *pulled {
	p := &pulled{config: config, descs: map[string]*prometheus.Desc{}}
	add := func(name, help string, labels ...string) { p.descs[name] = prometheus.NewDesc(name, help, labels, nil) }
	add("metahub_tenants", "Tenants that are served, disabled ones included.")
	add("metahub_tenants_flagged", "Tenants at fault in tenants.yaml: served as they last were good, or left out.")
	add("metahub_reloads_total", "Attempts to read tenants.yaml since the start, by whether they found a fault.", "result")
	add("metahub_reload_last_success", "1 when the last attempt to read tenants.yaml found no fault, else 0.")
	add("metahub_reload_last_timestamp_seconds", "When tenants.yaml was last read.")
	add("metahub_reload_last_duration_seconds", "How long that took, until its tenants were served.")
	add("metahub_databases", "Database deployments in use, by state.", "state")
	add("metahub_database_operations_in_flight", "Operations that run on databases now.")
	add("metahub_certificate_faults", "Hosts whose own PEM files cannot be used.")
	add("metahub_certificate_next_expiry_timestamp_seconds", "When the first of the certificates in use expires.")
	add("metahub_certificates", "Domains whose certificates are ordered, by state.", "state")
	add("metahub_certificates_in_memory", "Ordered certificates in memory: all, packed, and those ready for handshakes, parsed.", "form")
	add("metahub_certificate_memory_bytes", "What the packed certificates and their keys take.")
	add("metahub_handshakes_unknown_name_total", "TLS handshakes refused because no tenant lists the name.")
	add("metahub_handshakes_stopgap_total", "TLS handshakes answered by the local authority because the host's own certificate is not there.")
	add("metahub_upstream_up", "1 while an upstream passes its health check, else 0; the first 200 by name, all others as _other, which is 1 if all are.", "upstream", "path")
	add("metahub_cache_bytes", "What is kept of the answers of tenants' servers, by tenant.", "tenant")
	return p
}

// Describe implements prometheus.Collector.
func (p *pulled) Describe(c chan<- *prometheus.Desc) {
	for _, desc := range p.descs {
		c <- desc
	}
}

// Collect implements prometheus.Collector.
func (p *pulled) Collect(c chan<- prometheus.Metric) {
	gauge := func(name string, value float64, labels ...string) {
		c <- prometheus.MustNewConstMetric(p.descs[name], prometheus.GaugeValue, value, labels...)
	}
	p.collectReloads(c, gauge)
	p.collectDatabases(gauge)
	p.collectCertificates(c, gauge)
	p.collectUpstreams(gauge)
	p.collectCache(gauge)
}

type gauge func(name string, value float64, labels ...string)

func (p *pulled) collectReloads(c chan<- prometheus.Metric, gauge gauge) {
	verdict := p.config.Reloads.Verdict()
	gauge("metahub_tenants", float64(len(p.config.Registry.Current().Tenants())))
	gauge("metahub_tenants_flagged", float64(len(verdict.Flagged)))
	total := func(result string, n uint64) {
		c <- prometheus.MustNewConstMetric(p.descs["metahub_reloads_total"], prometheus.CounterValue, float64(n), result)
	}
	total("success", verdict.Attempts-verdict.Failures)
	total("failure", verdict.Failures)
	gauge("metahub_reload_last_success", truth(verdict.OK))
	gauge("metahub_reload_last_timestamp_seconds", float64(verdict.Time.UnixMilli())/1e3)
	gauge("metahub_reload_last_duration_seconds", verdict.Duration.Seconds())
}

func (p *pulled) collectDatabases(gauge gauge) {
	up, down, running := 0, 0, 0
	for _, d := range p.config.Databases() {
		running += d.InFlight
		if d.Available {
			up++
		} else {
			down++
		}
	}
	gauge("metahub_databases", float64(up), "available")
	gauge("metahub_databases", float64(down), "unavailable")
	gauge("metahub_database_operations_in_flight", float64(running))
}

// mostUpstreams is how many upstreams are told apart.
const mostUpstreams = 200

func (p *pulled) collectUpstreams(gauge gauge) {
	if p.config.Upstreams == nil {
		return
	}
	list := p.config.Upstreams()
	for _, up := range list[:min(len(list), mostUpstreams)] {
		gauge("metahub_upstream_up", truth(up.Up), up.Name, up.Path)
	}
	if len(list) > mostUpstreams {
		isDown := func(up Upstream) bool { return !up.Up }
		gauge("metahub_upstream_up", truth(!slices.ContainsFunc(list[mostUpstreams:], isDown)), "_other", "")
	}
}

func (p *pulled) collectCertificates(c chan<- prometheus.Metric, gauge gauge) {
	summary := p.config.Certificates.Summary()
	for state, n := range summary.States {
		gauge("metahub_certificates", float64(n), strings.ReplaceAll(strings.ToLower(state), " ", "_"))
	}
	gauge("metahub_certificate_faults", float64(summary.Faults))
	if !summary.NextExpiry.IsZero() {
		gauge("metahub_certificate_next_expiry_timestamp_seconds", float64(summary.NextExpiry.Unix()))
	}
	gauge("metahub_certificates_in_memory", float64(summary.Packed), "packed")
	gauge("metahub_certificates_in_memory", float64(summary.Parsed), "parsed")
	gauge("metahub_certificate_memory_bytes", float64(summary.Bytes))
	counter := func(name string, n uint64) {
		c <- prometheus.MustNewConstMetric(p.descs[name], prometheus.CounterValue, float64(n))
	}
	counter("metahub_handshakes_unknown_name_total", summary.Refused)
	counter("metahub_handshakes_stopgap_total", summary.Stopgaps)
}

func truth(holds bool) float64 {
	if holds {
		return 1
	}
	return 0
}
