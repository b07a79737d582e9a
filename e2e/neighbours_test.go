package e2e

import (
	"net"
	"slices"
	"strconv"
	"testing"
	"time"
)

// A tenant whose MongoDB is down, in each of the ways it can be, gets 503 with Retry-After within 3 s; its neighbour is served.
func TestDeadDatabaseIsOnlyItsTenantsProblem(t *testing.T) {
	hole, err := net.Listen("tcp", "127.0.0.1:0") // accepts and never answers
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = hole.Close() })
	refused := freeAddr(t)
	p := start(t, "gateway:\n  demo: true\ntenants:\n"+
		"  - slug: healthy\n    domains: [healthy.localhost]\n"+
		"  - slug: hole\n    domains: [hole.localhost]\n    mongo_uri: mongodb://user:hunter2@"+hole.Addr().String()+"/a\n"+
		"  - slug: refused\n    domains: [refused.localhost]\n    mongo_uri: mongodb://user:hunter2@"+refused+"/b\n")
	client := p.client("HTTP/1.1")
	for _, slug := range []string{"hole", "refused"} {
		var all []time.Duration
		for range 3 {
			began := time.Now()
			a := do(t, client, "GET", p.url(slug, "/api/settings"), "")
			all = append(all, time.Since(began))
			if a.Status != 503 {
				t.Errorf("%s: %d %s", slug, a.Status, a.Body)
			}
			if seconds, err := strconv.Atoi(a.Header.Get("Retry-After")); err != nil || seconds < 1 {
				t.Errorf("%s: Retry-After: %q", slug, a.Header.Get("Retry-After"))
			}
		}
		if slices.Min(all) > 3500*time.Millisecond { // a busy machine is late now and then
			t.Errorf("%s: the answers took %v", slug, all)
		}
		if a := do(t, client, "GET", p.url("healthy", "/api/settings"), ""); a.Status != 200 {
			t.Errorf("the neighbour of %s: %d %s", slug, a.Status, a.Body)
		}
	}
	if out := p.output.String(); contains(out, "hunter2") {
		t.Errorf("a password was printed:\n%s", out)
	}
}
