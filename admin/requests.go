package admin

import (
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// buckets are the upper bounds of the duration histogram.
var buckets = [...]time.Duration{
	time.Millisecond, 2500 * time.Microsecond, 5 * time.Millisecond, 10 * time.Millisecond, 25 * time.Millisecond,
	50 * time.Millisecond, 100 * time.Millisecond, 250 * time.Millisecond, 500 * time.Millisecond,
	time.Second, 2500 * time.Millisecond, 5 * time.Second, 10 * time.Second,
}

// classes are the values of the label "code".
var classes = [...]string{"other", "1xx", "2xx", "3xx", "4xx", "5xx"}

// reasons are the values of the label "reason".
var reasons = [...]string{"rate", "client_rate", "concurrency", "saturation", "connections"}

// Labels that no slug can be.
const (
	other = "_other" // all tenants that have no label of their own
	none  = "_none"  // requests for which no tenant was found
)

// requests are the counters of requests by tenant: a prometheus.Collector whose observe costs some tens of nanoseconds.
type requests struct {
	members *members
	total   *prometheus.Desc
	seconds *prometheus.Desc
	in, out *prometheus.Desc
	limited *prometheus.Desc
	cached  *prometheus.Desc
}

func newRequests(labels int, tenants func() int) *requests {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(name, help, append([]string{"tenant"}, labels...), nil)
	}
	return &requests{
		members: newMembers(labels, tenants),
		total:   desc("metahub_requests_total", "Requests answered, by tenant and class of status code.", "code"),
		seconds: desc("metahub_request_duration_seconds", "Time from the first byte of a request to the last of its answer."),
		in:      desc("metahub_request_bytes_total", "Bytes of request bodies received."),
		out:     desc("metahub_response_bytes_total", "Bytes of response bodies sent."),
		limited: desc("metahub_limited_total", "Requests and connections that a limit refused, by tenant and reason.", "reason"),
		cached:  desc("metahub_cache_requests_total", "Requests that the cache has to do with, by tenant and what it has made of them.", "result"),
	}
}

func (r *requests) observe(slug string, status int, took time.Duration, received, sent int64) {
	s := r.members.series(slug).stripe()
	s.codes[class(status)].Add(1)
	s.buckets[bucket(took)].Add(1)
	s.nanoseconds.Add(uint64(max(took, 0)))
	s.received.Add(uint64(max(received, 0)))
	s.sent.Add(uint64(max(sent, 0)))
}

// limit counts what a limit refused. A reason that is not in reasons is left out, as it would have no bound.
func (r *requests) limit(slug, reason string) {
	if i := slices.Index(reasons[:], reason); i >= 0 {
		r.members.series(slug).stripe().limited[i].Add(1)
	}
}

func class(status int) int {
	if c := status / 100; 1 <= c && c < len(classes) {
		return c
	}
	return 0
}

func bucket(took time.Duration) int {
	for i, bound := range buckets {
		if took <= bound {
			return i
		}
	}
	return len(buckets)
}

// Describe implements prometheus.Collector.
func (r *requests) Describe(c chan<- *prometheus.Desc) {
	c <- r.total
	c <- r.seconds
	c <- r.in
	c <- r.out
	c <- r.limited
	c <- r.cached
}

// Collect implements prometheus.Collector.
func (r *requests) Collect(c chan<- prometheus.Metric) {
	r.members.each(func(name string, s *series) {
		sum := s.sum()
		for i, n := range sum.codes {
			if n > 0 {
				c <- prometheus.MustNewConstMetric(r.total, prometheus.CounterValue, float64(n), name, classes[i])
			}
		}
		for i, n := range sum.limited {
			if n > 0 {
				c <- prometheus.MustNewConstMetric(r.limited, prometheus.CounterValue, float64(n), name, reasons[i])
			}
		}
		r.collectCached(c, name, &sum)
		cumulative, count := make(map[float64]uint64, len(buckets)), uint64(0)
		for i, bound := range buckets {
			count += sum.buckets[i]
			cumulative[bound.Seconds()] = count
		}
		count += sum.buckets[len(buckets)]
		c <- prometheus.MustNewConstHistogram(r.seconds, count, float64(sum.nanoseconds)/1e9, cumulative, name)
		c <- prometheus.MustNewConstMetric(r.in, prometheus.CounterValue, float64(sum.received), name)
		c <- prometheus.MustNewConstMetric(r.out, prometheus.CounterValue, float64(sum.sent), name)
	})
}

// stripes is how many copies of a tenant's counters there are; a scrape adds them up.
const stripes = 8

// series are the counters of one value of the label "tenant".
type series struct{ stripes [stripes]stripe }

// stripe is one at random, which keeps cores off each other's cache lines; rand's global source has a state for each thread.
func (s *series) stripe() *stripe { return &s.stripes[rand.Uint32()%stripes] }

type stripe struct {
	codes       [len(classes)]atomic.Uint64
	buckets     [len(buckets) + 1]atomic.Uint64
	nanoseconds atomic.Uint64
	received    atomic.Uint64
	sent        atomic.Uint64
	limited     [len(reasons)]atomic.Uint64
	cached      [len(results)]atomic.Uint64
	_           [64]byte // the next stripe begins on another cache line
}

// totals are the sums of a series at one moment.
type totals struct {
	codes                       [len(classes)]uint64
	buckets                     [len(buckets) + 1]uint64
	nanoseconds, received, sent uint64
	limited                     [len(reasons)]uint64
	cached                      [len(results)]uint64
}

func (s *series) sum() totals {
	var t totals
	for i := range s.stripes {
		stripe := &s.stripes[i]
		for j := range stripe.codes {
			t.codes[j] += stripe.codes[j].Load()
		}
		for j := range stripe.buckets {
			t.buckets[j] += stripe.buckets[j].Load()
		}
		for j := range stripe.limited {
			t.limited[j] += stripe.limited[j].Load()
		}
		for j := range stripe.cached {
			t.cached[j] += stripe.cached[j].Load()
		}
		t.nanoseconds += stripe.nanoseconds.Load()
		t.received += stripe.received.Load()
		t.sent += stripe.sent.Load()
	}
	return t
}
