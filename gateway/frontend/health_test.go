package frontend

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"metahub/tenant"
)

// often is a check of a path that does not keep a test waiting.
func often(path string) tenant.Health {
	return tenant.Health{Path: path, Interval: 20 * time.Millisecond, Timeout: patience, From: 200, To: 399}
}

// checkedSite serves the first of the tenants of a registry.
func checkedSite(t testing.TB, log *zap.Logger, tenants ...*tenant.Tenant) (*site, *tenant.Registry) {
	t.Helper()
	for i, tn := range tenants {
		tn.Slug, tn.Enabled = fmt.Sprintf("t%d", i), true
	}
	registry := tenant.NewRegistry(tenant.NewDirectory(tenant.Gateway{}, tenants))
	return newSite(t, Config{Registry: registry, Logger: log}, tenants[0]), registry
}

// patient is an upstream with a name, which can be ill.
type patient struct {
	name string
	ill  atomic.Bool
	seen sync.Map // paths
}

func (p *patient) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.seen.Store(r.URL.Path, r)
	if strings.HasPrefix(r.URL.Path, "/health") && p.ill.Load() {
		w.WriteHeader(503)
		return
	}
	fmt.Fprint(w, p.name)
}

func (s *site) isUp(u *url.URL) bool {
	return slices.ContainsFunc(s.Checked(), func(c Checked) bool { return c.Upstream == u.Host && c.Up })
}

// TestHealth has one of two upstreams fall ill and recover. Requests go round it meanwhile, and the log has a line for each change.
func TestHealth(t *testing.T) {
	a, b := &patient{name: "a"}, &patient{name: "b"}
	first, second := netUpstream(t, a), netUpstream(t, b)
	for _, balance := range []tenant.Balance{tenant.RoundRobin, tenant.LeastConnections} {
		core, logs := observer.New(zap.InfoLevel)
		tn := balanced(balance, 0, tenant.Upstream{URL: first, Weight: 1}, tenant.Upstream{URL: second, Weight: 1})
		tn.Health = often("/health?key=hunter2")
		s, _ := checkedSite(t, zap.New(core), tn)
		if got := s.answers(t, 20); got["a"] != 10 {
			t.Errorf("%s: %v while both are well", balance, got)
		}
		a.ill.Store(true)
		eventually(t, "it is noticed", func() bool { return !s.isUp(first) })
		if got := s.answers(t, 20); got["b"] != 20 {
			t.Errorf("%s: %v while one is ill", balance, got)
		}
		if !s.isUp(second) {
			t.Error("the other is said to be ill")
		}
		b.ill.Store(true)
		eventually(t, "it is noticed of the other too", func() bool { return !s.isUp(second) })
		if got := s.answers(t, 20); got["a"]+got["b"] != 20 {
			t.Errorf("%s: %v while both are ill", balance, got)
		}
		a.ill.Store(false)
		b.ill.Store(false)
		eventually(t, "both are well", func() bool { return s.isUp(first) && s.isUp(second) })
		eventually(t, "the first gets requests again", func() bool { return s.answers(t, 20)["a"] > 0 })
		if list := s.Checked(); len(list) != 2 || list[0].Path != "/health" {
			t.Errorf("the metrics have %v", list)
		}
		var said []string
		for _, entry := range logs.All() {
			if strings.Contains(fmt.Sprint(entry), "hunter2") {
				t.Errorf("a secret is logged: %v", entry)
			}
			said = append(said, fmt.Sprint(entry.ContextMap()["upstream"], " ", entry.Message[:len("the upstream passes")]))
		}
		slices.Sort(said)
		want := []string{first.Host + " the upstream fails ", first.Host + " the upstream passes", second.Host + " the upstream fails ", second.Host + " the upstream passes"}
		if slices.Sort(want); !slices.Equal(said, want) {
			t.Errorf("%s: the log says %q", balance, said)
		}
	}
}

// TestHealthReturnsSlowly looks at the share of an upstream that passes its check again.
func TestHealthReturnsSlowly(t *testing.T) {
	var s standing
	now := time.Unix(1_000_000, 0)
	s.takeOut()
	s.answered(now)
	if s.accepts(now) || !s.isOut(now.Add(1000*time.Hour)) {
		t.Error("it is not out")
	}
	s.bringBack(now)
	accepted := 0
	for range 1000 {
		if s.accepts(now.Add(returnIn / 2)) {
			accepted++
		}
	}
	if accepted < 400 || accepted > 700 || s.isOut(now) || !s.accepts(now.Add(returnIn)) {
		t.Errorf("%d of 1000 accepted half way", accepted)
	}
}

// TestHealthIsShared has tenants check one upstream: alike, which is one check, and in other ways, whose result is no one else's.
func TestHealthIsShared(t *testing.T) {
	p := &patient{name: "a"}
	u, other := netUpstream(t, p), naming(t, "other")
	list := []tenant.Upstream{{URL: u, Weight: 1}, {URL: other, Weight: 1}}
	tenants := []*tenant.Tenant{balanced("", 0, list...), balanced("", 0, list...), balanced("", 0, list...), balanced("", 0, list...)}
	for i, path := range []string{"/well", "/health", "/health", ""} {
		if path != "" {
			tenants[i].Health = often(path)
		}
	}
	p.ill.Store(true)
	s, _ := checkedSite(t, nil, tenants...)
	want := []Checked{{other.Host, "/health", true}, {other.Host, "/well", true}, {u.Host, "/health", false}, {u.Host, "/well", true}}
	slices.SortFunc(want, func(a, b Checked) int { return strings.Compare(a.Upstream+a.Path, b.Upstream+b.Path) })
	eventually(t, "each check has its result", func() bool { return slices.Equal(s.Checked(), want) })
	if got := s.answers(t, 20); got["a"] != 10 {
		t.Errorf("%v for the tenant whose check passes", got)
	}
	s.tenant.Health = often("/health")
	if got := s.answers(t, 20); got["a"] != 0 {
		t.Errorf("%v for a tenant whose check fails", got)
	}
}

// TestHealthOfRoutes checks what routes and backends lead to.
func TestHealthOfRoutes(t *testing.T) {
	p := &patient{name: "a"}
	u := netUpstream(t, p)
	tn := routed(tenant.Route{To: to(u), Health: often("/health/site")}, tenant.Route{Prefix: "/x", To: to(u)})
	tn.BackendRoutes = tenant.NewRoutes([]tenant.Route{{Prefix: "/api/x", To: to(u), Health: often("/health/api")}})
	tn.Health = often("/health/unused")
	other := upstreamTenant(nil)
	other.Backend, other.BackendHealth = u, often("/health/backend")
	other.BackendHealth.Host = "www.example.com"
	checkedSite(t, nil, tn, other)
	asked := func(path, host string) {
		t.Helper()
		eventually(t, path, func() bool {
			r, ok := p.seen.Load(path)
			return ok && r.(*http.Request).Host == host
		})
	}
	asked("/health/site", u.Host)
	asked("/health/api", u.Host)
	asked("/health/backend", "www.example.com")
	if _, ok := p.seen.Load("/health/unused"); ok {
		t.Error("a check without an upstream was made")
	}
}

// TestHealthFollowsReloads starts and ends checks with what tenants.yaml says.
func TestHealthFollowsReloads(t *testing.T) {
	p := &patient{name: "a"}
	u := netUpstream(t, p)
	tn := upstreamTenant(u)
	tn.Health = often("/health/1")
	s, registry := checkedSite(t, nil, tn)
	p.ill.Store(true)
	eventually(t, "the first check", func() bool { return len(s.Checked()) == 1 && !s.isUp(u) })

	changed, newcomer := *tn, *tn
	changed.Brand, newcomer.Slug, newcomer.Health = "Another", "newcomer", often("/health/0")
	before := s.pool.checks.standing(u, &tn.Health)
	registry.Publish(tenant.NewDirectory(tenant.Gateway{}, []*tenant.Tenant{&changed, &newcomer}))
	eventually(t, "a check more", func() bool { return len(s.Checked()) == 2 })
	if s.pool.checks.standing(u, &tn.Health) != before || !before.isOut(time.Now()) {
		t.Error("a reload that changes nothing of it has begun the check anew")
	}

	other := *tn
	other.Health = often("/health/2")
	registry.Publish(tenant.NewDirectory(tenant.Gateway{}, []*tenant.Tenant{&other}))
	eventually(t, "the second check in place of the first", func() bool {
		list := s.Checked()
		return len(list) == 1 && list[0].Path == "/health/2"
	})
	eventually(t, "it asks", func() bool { _, ok := p.seen.Load("/health/2"); return ok })

	disabled := other
	disabled.Enabled = false
	ended := s.pool.checks.byKey[checkKey{originOf(u), other.Health}]
	registry.Publish(tenant.NewDirectory(tenant.Gateway{}, []*tenant.Tenant{&disabled}))
	eventually(t, "no check", func() bool { return len(s.Checked()) == 0 })
	if ended.enter() || ended.timer.Stop() {
		t.Error("it would be asked again")
	}
}

// TestHealthAnswers has an upstream answer its check in many ways.
func TestHealthAnswers(t *testing.T) {
	f := func(answer string, up bool) {
		t.Helper()
		var asked atomic.Int64
		u := rawUpstream(t, func(c *scripted) {
			if _, err := c.head(); err == nil {
				c.say(answer)
				asked.Add(1)
			}
		})
		tn := upstreamTenant(u)
		tn.Health = often("/health")
		s, _ := checkedSite(t, nil, tn)
		eventually(t, "it was asked", func() bool { return asked.Load() > failuresOut })
		eventually(t, fmt.Sprintf("%q says up: %t", answer, up), func() bool { return s.isUp(u) == up })
	}

	f("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", true)
	f("HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n", true)
	f("HTTP/1.1 302 Found\r\nLocation: /login\r\nContent-Length: 0\r\n\r\n", true)
	f("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", false)
	f("SSH-2.0-OpenSSH_9.2\r\n", false)
	f("", false)
}

// TestHealthOfTheDead checks an upstream that is not there, and one that hangs. The latter must not hold up a shutdown.
func TestHealthOfTheDead(t *testing.T) {
	f := func(u *url.URL, timeout time.Duration, want string) {
		t.Helper()
		core, logs := observer.New(zap.WarnLevel)
		tn := upstreamTenant(u)
		tn.Health = often("/health")
		tn.Health.Timeout = timeout
		checkedSite(t, zap.New(core), tn)
		eventually(t, want, func() bool {
			return logs.Len() == 1 && strings.Contains(fmt.Sprint(logs.All()[0].ContextMap()["error"]), want)
		})
	}

	f(absentUpstream(t, nil).url(), patience, "connection refused")
	f((&restarted{network: "unix", address: "/nowhere/site.sock"}).url(), patience, "no such file")
	f(rawUpstream(t, func(c *scripted) { c.untilClosed() }), 30*time.Millisecond, "no answer in 30ms")

	arrived := make(chan struct{}, 100)
	tn := upstreamTenant(rawUpstream(t, func(c *scripted) { arrived <- struct{}{}; c.untilClosed() }))
	tn.Health = often("/health")
	tn.Health.Timeout = time.Hour
	s, _ := checkedSite(t, nil, tn)
	receive(t, "a check that hangs", arrived)
	s.Close() // the test ends only if the check does
}

// TestHealthIsBounded wants more checks than may be made at once.
func TestHealthIsBounded(t *testing.T) {
	var here, most atomic.Int64
	let := make(chan struct{})
	u := rawUpstream(t, func(c *scripted) {
		n := here.Add(1)
		for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
		}
		<-let
		if _, err := c.head(); err == nil {
			here.Add(-1)
			c.say("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
		}
	})
	var tenants []*tenant.Tenant
	for i := range 3 * checksAtOnce {
		tn := upstreamTenant(u)
		tn.Health = often(fmt.Sprintf("/health/%d", i))
		tenants = append(tenants, tn)
	}
	s, _ := checkedSite(t, nil, tenants...)
	eventually(t, "as many as may be", func() bool { return here.Load() == checksAtOnce })
	eventually(t, "the others wait", func() bool { return len(s.Checked()) == 3*checksAtOnce })
	close(let)
	eventually(t, "it goes on", func() bool { return here.Load() < checksAtOnce })
	s.Close()
	if n := most.Load(); n > checksAtOnce {
		t.Errorf("%d checks at once", n)
	}
}
