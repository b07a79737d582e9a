package cli

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
)

// TestCachePurge drops answers of a running server by the command line.
func TestCachePurge(t *testing.T) {
	var asked atomic.Int64
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "s-maxage=3600, stale-while-revalidate")
		fmt.Fprint(w, asked.Add(1))
	}))
	t.Cleanup(site.Close)
	folder := t.TempDir()
	file := filepath.Join(folder, "tenants.yaml")
	write(t, file, ports+"tenants:\n  - {slug: anna, domains: [anna.localhost], frontend: "+site.URL+"}\n  - {slug: bert, domains: [bert.localhost], frontend: "+site.URL+"}\n")
	i := serveIn(t, folder)
	admin := strings.TrimSuffix(strings.TrimPrefix(i.admin, "http://"), "/")
	fill := func() {
		for _, page := range []string{"anna.localhost/news", "anna.localhost/news?page=2", "anna.localhost/about", "bert.localhost/news"} {
			if status, _ := i.get("https://" + page); status != http.StatusOK {
				t.Fatalf("%s: status %d", page, status)
			}
		}
	}
	f := func(code int, want string, arguments ...string) {
		t.Helper()
		fill()
		got := run("", nil, append([]string{"cache", "purge", "--config", file, "--admin", admin}, arguments...)...)
		if got.code != code || !strings.Contains(got.stdout+got.stderr, want) {
			t.Errorf("%q ended with %d and said %q%q, want %q", arguments, got.code, got.stdout, got.stderr, want)
		}
	}
	f(exitOK, "1 answer dropped\n", "--tenant", "anna", "--url", "/news")
	f(exitOK, "1 answer dropped\n", "--tenant", "anna", "--url", "https://anna.localhost/news?page=2")
	f(exitOK, "2 answers dropped\n", "--tenant", "anna", "--prefix", "/news")
	f(exitOK, "3 answers dropped\n", "--tenant", "anna")
	f(exitOK, "0 answers dropped\n", "--tenant", "anna", "--url", "/nothing")
	f(exitError, `there is no tenant "nobody"`, "--tenant", "nobody")
	f(exitError, "neither a URL nor a path", "--tenant", "anna", "--url", "news")
	if n := asked.Load(); n != 4+1+1+2+3 {
		t.Errorf("the site was asked %d times, want 11", n)
	}
	status, metrics := i.get(i.admin + "metrics")
	for _, line := range []string{`metahub_cache_requests_total{result="miss",tenant="anna"} 10`, `metahub_cache_requests_total{result="hit",tenant="bert"} 6`} {
		if status != http.StatusOK || !strings.Contains(metrics, line+"\n") {
			t.Errorf("/metrics lacks %q", line)
		}
	}
}
