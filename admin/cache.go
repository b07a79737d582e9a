package admin

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"github.com/prometheus/client_golang/prometheus"
)

// Cache is whoever keeps answers of tenants' servers. Its methods may be called from many goroutines at once.
type Cache interface {
	// Purge drops the answers of a tenant for a URL, or for all that begin with a prefix, or where both are empty all of them, and returns how
	// many they were. The error says what is wrong with url or prefix.
	Purge(tenant, url, prefix string) (int, error)
	// Bytes returns how much is kept of each tenant, by slug.
	Bytes() map[string]int64
}

// results are the values of the label "result" of metahub_cache_requests_total.
var results = [...]string{"hit", "stale", "revalidated", "miss", "pass", "shield"}

// purgeCache drops answers and says how many.
func (s *Server) purgeCache(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	slug := query.Get("tenant")
	if _, ok := s.config.Registry.Current().Tenant([]byte(slug)); !ok {
		http.Error(w, fmt.Sprintf("there is no tenant %q", slug), http.StatusNotFound)
		return
	}
	purged, err := 0, checkPurge(query)
	if err == nil {
		purged, err = s.config.Cache.Purge(slug, query.Get("url"), query.Get("prefix"))
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	_ = json.NewEncoder(w).Encode(map[string]int{"purged": purged})
}

// checkPurge refuses a purge that would drop more than somebody meant: a misspelt or empty key would stand for everything.
func checkPurge(query url.Values) error {
	for key, values := range query {
		switch {
		case key != "tenant" && key != "url" && key != "prefix":
			return fmt.Errorf("%q is not known: write tenant, and url or prefix", key)
		case len(values) > 1:
			return fmt.Errorf("%s is there twice: keep one", key)
		case values[0] == "":
			return fmt.Errorf("%s is empty: write a value, or leave it out for all of the tenant's answers", key)
		}
	}
	if query.Has("url") && query.Has("prefix") {
		return errors.New("both url and prefix are there: keep one")
	}
	return nil
}

// cache counts what the cache has made of a request. A result that is not in results is left out.
func (r *requests) cache(slug, result string) {
	for i, name := range results {
		if name == result {
			r.members.series(slug).stripe().cached[i].Add(1)
		}
	}
}

func (p *pulled) collectCache(gauge gauge) {
	bytes := map[string]int64{other: 0}
	for slug, n := range p.config.Cache.Bytes() {
		bytes[p.config.Metrics.requests.members.label(slug)] += n
	}
	for label, n := range bytes {
		gauge("metahub_cache_bytes", float64(n), label)
	}
}

func (r *requests) collectCached(c chan<- prometheus.Metric, name string, sum *totals) {
	for i, n := range sum.cached {
		if n > 0 {
			c <- prometheus.MustNewConstMetric(r.cached, prometheus.CounterValue, float64(n), name, results[i])
		}
	}
}
