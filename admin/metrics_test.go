package admin

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// gathered returns every sample of a metric by the value of its label "tenant", summed over its other labels.
func gathered(t *testing.T, m *Metrics, name string) map[string]float64 {
	t.Helper()
	families, err := m.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	values := map[string]float64{}
	for _, family := range families {
		if family.GetName() != name {
			continue
		}
		for _, metric := range family.GetMetric() {
			for _, label := range metric.GetLabel() {
				if label.GetName() == "tenant" {
					values[label.GetValue()] += metric.GetCounter().GetValue()
				}
			}
		}
	}
	return values
}

func TestMetricsPage(t *testing.T) {
	_, base := run(t, Config{
		Registry: registryOf(someTenants(3)...),
		Cache:    answers{"t00000": 500, "t00001": 30, "t00002": 40},
		Reloads:  verdict{OK: true, Time: time.Unix(1e9, 0), Duration: 250 * time.Millisecond, Flagged: []string{"t00001"}, Attempts: 5, Failures: 2},
		Databases: func() []Database {
			return []Database{{Available: true, InFlight: 2}, {Available: true, InFlight: 3}, {}}
		},
		Upstreams: func() []Upstream {
			list := make([]Upstream, mostUpstreams+2)
			for i := range list {
				list[i] = Upstream{fmt.Sprintf("10.0.0.%03d:80", i), "/healthz", i != 1 && i != mostUpstreams+1}
			}
			return list
		},
	}, func(m *Metrics) {
		m.Request("t00000", "HTTP/1.1", 200, 3*time.Millisecond, 10, 1000)
		m.Request("t00000", "HTTP/2.0", 204, 20*time.Second, 0, 0)
		m.Request("t00000", "HTTP/2.0", 404, time.Millisecond, 0, 5)
		m.Request("t00000", "HTTP/1.1", 0, -1, -1, -1)
		m.Request("", "HTTP/1.1", 421, time.Millisecond, 0, 50)
		m.Limited("t00000", "rate")
		m.Limited("t00000", "rate")
		m.Limited("t00000", "connections")
		m.Limited("t00000", "something else")
		m.Cached("t00000", "hit")
		m.Cached("t00000", "hit")
		m.Cached("t00000", "shield")
		m.Cached("t00000", "something else")
		m.ConnectionOpened()
		m.ConnectionOpened()
		m.ConnectionClosed()
		m.HandshakeFailed()
		m.RequestRefused()
		m.ProxyRefused()
		m.ConnectionDelayed()
		m.ConnectionDelayed()
		m.ConnectionRefused()
	})
	_, body := get(t, base+"/metrics", "")
	lines := map[string]bool{}
	for line := range strings.Lines(body) {
		lines[strings.TrimSpace(line)] = true
	}
	for _, want := range []string{
		`metahub_requests_total{code="2xx",tenant="t00000"} 2`,
		`metahub_requests_total{code="4xx",tenant="t00000"} 1`,
		`metahub_requests_total{code="other",tenant="t00000"} 1`,
		`metahub_requests_total{code="4xx",tenant="_none"} 1`,
		`metahub_request_bytes_total{tenant="t00000"} 10`,
		`metahub_response_bytes_total{tenant="t00000"} 1005`,
		`metahub_response_bytes_total{tenant="_other"} 0`,
		`metahub_request_duration_seconds_bucket{tenant="t00000",le="+Inf"} 4`,
		`metahub_limited_total{reason="rate",tenant="t00000"} 2`,
		`metahub_limited_total{reason="connections",tenant="t00000"} 1`,
		`metahub_cache_requests_total{result="hit",tenant="t00000"} 2`,
		`metahub_cache_requests_total{result="shield",tenant="t00000"} 1`,
		`metahub_cache_bytes{tenant="t00000"} 500`,
		`metahub_cache_bytes{tenant="_other"} 70`,
		`metahub_protocol_requests_total{protocol="HTTP/1.1"} 3`,
		`metahub_protocol_requests_total{protocol="HTTP/2.0"} 2`,
		`metahub_connections_opened_total 2`,
		`metahub_connections_open 1`,
		`metahub_handshake_failures_total 1`,
		`metahub_refused_requests_total 1`,
		`metahub_proxy_header_failures_total 1`,
		`metahub_paced_connections_total{outcome="delayed"} 2`,
		`metahub_paced_connections_total{outcome="refused"} 1`,
		`metahub_tenants 3`,
		`metahub_tenants_flagged 1`,
		`metahub_reloads_total{result="success"} 3`,
		`metahub_reloads_total{result="failure"} 2`,
		`metahub_reload_last_success 1`,
		`metahub_reload_last_timestamp_seconds 1e+09`,
		`metahub_reload_last_duration_seconds 0.25`,
		`metahub_databases{state="available"} 2`,
		`metahub_databases{state="unavailable"} 1`,
		`metahub_database_operations_in_flight 5`,
		`metahub_upstream_up{path="/healthz",upstream="10.0.0.000:80"} 1`,
		`metahub_upstream_up{path="/healthz",upstream="10.0.0.001:80"} 0`,
		`metahub_upstream_up{path="",upstream="_other"} 0`,
	} {
		if !lines[want] {
			t.Errorf("/metrics lacks %s", want)
		}
	}
	if n := strings.Count(body, "\nmetahub_upstream_up{"); n != mostUpstreams+1 {
		t.Errorf("%d series of upstreams", n)
	}
	for _, prefix := range []string{"metahub_build_info{", "go_goroutines ", "process_resident_memory_bytes "} {
		if !strings.Contains(body, "\n"+prefix) {
			t.Errorf("/metrics has no %s", prefix)
		}
	}
}

func TestHistogramIsCumulative(t *testing.T) {
	r := newRequests(50, func() int { return 1 })
	for _, took := range []time.Duration{0, time.Millisecond, time.Millisecond + 1, 10 * time.Second, time.Hour} {
		r.observe("a", 200, took, 0, 0)
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(r)
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		if family.GetName() != "metahub_request_duration_seconds" {
			continue
		}
		for _, metric := range family.GetMetric() {
			if metric.GetLabel()[0].GetValue() != "a" {
				continue
			}
			h := metric.GetHistogram()
			got := fmt.Sprint(h.GetSampleCount(), h.GetBucket()[0].GetCumulativeCount(), h.GetBucket()[1].GetCumulativeCount(), h.GetBucket()[len(buckets)-1].GetCumulativeCount())
			if want := "5 2 3 4"; got != want {
				t.Errorf("count, ≤ 1 ms, ≤ 2.5 ms, ≤ 10 s = %s, want %s", got, want)
			}
			return
		}
	}
	t.Error("there is no histogram of tenant a")
}

func TestTenantLabelIsBounded(t *testing.T) {
	const limit, tenants = 10, 1000
	m := NewMetrics("test", registryOf(someTenants(tenants)...), limit)
	total, before := 0.0, map[string]float64{}
	for round := range 20 {
		for i := range tenants {
			m.Request(fmt.Sprintf("t%05d", i), "HTTP/1.1", 200, time.Millisecond, 0, 0)
			total++
		}
		for range 2000 {
			m.Request("t00777", "HTTP/1.1", 200, time.Millisecond, 0, 0)
			total++
		}
		now := gathered(t, m, "metahub_requests_total")
		sum := 0.0
		for name, value := range now {
			sum += value
			if value < before[name] {
				t.Errorf("round %d: %s fell from %v to %v", round, name, before[name], value)
			}
		}
		for name := range before {
			if _, ok := now[name]; !ok {
				t.Errorf("round %d: the label %q is gone", round, name)
			}
		}
		if sum != total {
			t.Errorf("round %d: counted %v requests of %v", round, sum, total)
		}
		if len(now) > limit+1 {
			t.Fatalf("round %d: %d labels, want at most %d and %q", round, len(now), limit, other)
		}
		before = now
	}
	if before["t00777"] == 0 {
		t.Error("the busiest tenant has no label of its own")
	}
}

func TestFewTenantsAreAllToldApart(t *testing.T) {
	m := NewMetrics("test", registryOf(someTenants(50)...), 50)
	for i := range 50 {
		m.Request(fmt.Sprintf("t%05d", i), "HTTP/1.1", 200, time.Millisecond, 0, 0)
	}
	values := gathered(t, m, "metahub_requests_total")
	if len(values) != 50 || values[other] != 0 {
		t.Errorf("%d labels and %v requests of %q, want 50 and none", len(values), values[other], other)
	}
}

// TestLateBusyTenant: what comes first does not take every label from what is busy.
func TestLateBusyTenant(t *testing.T) {
	m := newMembers(50, func() int { return 10_000 })
	for i := range 10_000 {
		m.series(fmt.Sprintf("quiet%d", i))
	}
	for range 100_000 {
		m.series("busy")
	}
	if m.series("busy") == &m.others {
		t.Error("10,000 tenants with one request each left no label for one with 100,000")
	}
}

func TestConcurrentRequestsAreAllCounted(t *testing.T) {
	m := NewMetrics("test", registryOf(someTenants(100)...), 5)
	const workers, each = 8, 5000
	var wait sync.WaitGroup
	for range workers {
		wait.Go(func() {
			for i := range each {
				m.Request(fmt.Sprintf("t%05d", i%100), "HTTP/1.1", 200, time.Millisecond, 1, 1)
			}
		})
	}
	gathered(t, m, "metahub_requests_total")
	wait.Wait()
	sum := 0.0
	for _, value := range gathered(t, m, "metahub_requests_total") {
		sum += value
	}
	if sum != workers*each {
		t.Errorf("counted %v requests, want %d", sum, workers*each)
	}
}

func BenchmarkRequest(b *testing.B) {
	f := func(name string, tenants int) {
		b.Run(name, func(b *testing.B) {
			m := NewMetrics("test", registryOf(someTenants(tenants)...), 50)
			slugs := make([]string, tenants)
			for i := range slugs {
				slugs[i] = fmt.Sprintf("t%05d", i)
			}
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for i := 0; pb.Next(); i++ {
					m.Request(slugs[i%tenants], "HTTP/1.1", 200, time.Millisecond, 100, 1000)
				}
			})
		})
	}
	f("4 tenants", 4)
	f("10000 tenants", 10_000)
}
