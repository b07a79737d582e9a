package frontend

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"metahub/tenant"
)

const (
	// failuresOut is how many checks in a row must fail before an upstream is out. After the first the next one comes soon.
	failuresOut = 2
	soon        = time.Second
	// checksAtOnce is how many upstreams are asked at the same time; others wait for their turn.
	checksAtOnce = 32
	// followEvery is how often the checks look for a reload.
	followEvery = 500 * time.Millisecond
)

// checks ask upstreams how they are, as tenants want it. Who wants the same of the same upstream shares a check. Its methods may be called by
// any number of goroutines at once.
type checks struct {
	pool  *pool
	log   *zap.Logger
	slots chan struct{}
	ctx   context.Context
	stop  context.CancelFunc
	wait  sync.WaitGroup

	mu    sync.RWMutex
	byKey map[checkKey]*check
}

type checkKey struct {
	origin origin
	health tenant.Health
}

// check is one upstream that is asked one thing.
type check struct {
	checks   *checks
	key      checkKey
	url      *url.URL
	tenant   string // the first that wants it
	standing standing
	down     atomic.Bool
	failures int // in a row

	mu     sync.Mutex
	ctx    context.Context
	cancel context.CancelFunc
	timer  *time.Timer
}

// newChecks starts to follow the registry; close ends that.
func newChecks(p *pool, registry *tenant.Registry, log *zap.Logger) *checks {
	c := &checks{pool: p, log: log, slots: make(chan struct{}, checksAtOnce), byKey: map[checkKey]*check{}}
	c.ctx, c.stop = context.WithCancel(context.Background())
	if registry != nil {
		c.wait.Go(func() { c.follow(registry) })
	}
	return c
}

// close ends all checks, and waits for those under way.
func (c *checks) close() {
	c.stop()
	c.set(nil)
	c.wait.Wait()
}

func (c *checks) follow(registry *tenant.Registry) {
	tick := time.NewTicker(followEvery)
	defer tick.Stop()
	var known *tenant.Directory
	for {
		if d := registry.Current(); d != known {
			known = d
			c.set(wantedChecks(d))
		}
		select {
		case <-tick.C:
		case <-c.ctx.Done():
			return
		}
	}
}

// set starts the checks that are wanted, and ends all others. Those that go on keep what they know.
func (c *checks) set(wanted map[checkKey]*check) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for key, old := range c.byKey {
		if wanted[key] == nil {
			delete(c.byKey, key)
			old.end()
		}
	}
	for key, fresh := range wanted {
		if c.byKey[key] == nil && c.ctx.Err() == nil {
			c.byKey[key] = fresh
			fresh.begin(c)
		}
	}
}

// wantedChecks lists what the enabled tenants of a directory want to know.
func wantedChecks(d *tenant.Directory) map[checkKey]*check {
	wanted := map[checkKey]*check{}
	for _, t := range d.Tenants() {
		if !t.Enabled {
			continue
		}
		want := func(u *url.URL, health tenant.Health) {
			key := checkKey{originOf(u), health}
			if wanted[key] == nil && !health.IsZero() {
				wanted[key] = &check{key: key, url: u, tenant: t.Slug}
			}
		}
		wantAll := func(to tenant.Frontend, health tenant.Health) {
			if to.URL != nil {
				want(to.URL, health)
			}
			for _, up := range to.Upstreams {
				want(up.URL, health)
			}
		}
		wantAll(t.Frontend, t.Health)
		wantAll(tenant.Frontend{URL: t.Backend, Upstreams: t.Backends}, t.BackendHealth)
		for _, r := range slices.Concat(t.Frontend.Routes.All(), t.BackendRoutes.All()) {
			wantAll(r.To, r.Health)
		}
	}
	return wanted
}

// standing is what the check of an upstream says of it. Without a check, or before its first result, that is nothing bad.
func (c *checks) standing(u *url.URL, health *tenant.Health) *standing {
	if health.IsZero() {
		return &sound
	}
	c.mu.RLock()
	defer c.mu.RUnlock()
	if known := c.byKey[checkKey{originOf(u), *health}]; known != nil {
		return &known.standing
	}
	return &sound
}

// sound is the standing of upstreams that nobody asks. It never changes.
var sound standing

// begin has the upstream asked for the first time at some moment of the interval, so that not all are asked at once.
func (k *check) begin(c *checks) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.checks = c
	k.ctx, k.cancel = context.WithCancel(c.ctx)
	k.timer = time.AfterFunc(rand.N(k.key.health.Interval), k.run)
}

func (k *check) end() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.cancel()
	k.timer.Stop()
}

// run asks once, and sees to the next time.
func (k *check) run() {
	if !k.enter() {
		return
	}
	defer k.checks.wait.Done()
	select {
	case k.checks.slots <- struct{}{}:
	case <-k.ctx.Done():
		return
	}
	err := k.ask()
	<-k.checks.slots
	k.again(k.judge(err, time.Now()))
}

// enter counts the goroutine in, unless the check has ended.
func (k *check) enter() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.ctx.Err() != nil {
		return false
	}
	k.checks.wait.Add(1)
	return true
}

// again sets the next time, give or take a tenth.
func (k *check) again(in time.Duration) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.ctx.Err() == nil {
		k.timer.Reset(in*9/10 + rand.N(in/5+1))
	}
}

// ask returns nil if the upstream answers in time as it should. The connection is none of those that requests use, so that a server which
// has no more of them is not taken for a dead one.
func (k *check) ask() error {
	health := &k.key.health
	ctx, cancel := context.WithTimeoutCause(k.ctx, health.Timeout, fmt.Errorf("no answer in %s", health.Timeout))
	defer cancel()
	c, err := k.checks.pool.get(k.url, time.Now()).dial(ctx)
	if err != nil {
		return cmp.Or(context.Cause(ctx), err)
	}
	defer c.Close()
	defer c.detach()
	defer context.AfterFunc(ctx, func() { _ = c.Close() })()
	if _, err := io.WriteString(c, k.request()); err != nil {
		return cmp.Or(context.Cause(ctx), err)
	}
	var answer head
	if err := answer.readFinal(c.reader); err != nil {
		return cmp.Or(context.Cause(ctx), err)
	}
	if answer.status < health.From || answer.status > health.To {
		return fmt.Errorf("it answers %d", answer.status)
	}
	return nil
}

func (k *check) request() string {
	host := cmp.Or(k.key.health.Host, k.url.Host, "localhost")
	return "GET " + k.key.health.Path + " HTTP/1.1\r\nHost: " + host + "\r\nUser-Agent: MetaHub-Health\r\nAccept: */*\r\nConnection: close\r\n\r\n"
}

// judge draws the consequences of an answer, and returns when to ask again.
func (k *check) judge(err error, now time.Time) time.Duration {
	switch {
	case k.ctx.Err() != nil:
		return 0 // it has ended meanwhile
	case err == nil:
		k.failures = 0
		k.standing.answered(now)
		if k.down.CompareAndSwap(true, false) {
			k.standing.bringBack(now)
			k.logger().Info("the upstream passes its health check again")
		}
		return k.key.health.Interval
	}
	if k.failures++; k.failures < failuresOut {
		return min(soon, k.key.health.Interval)
	}
	if k.down.CompareAndSwap(false, true) {
		k.standing.takeOut()
		k.logger().Warn("the upstream fails its health check: see whether it runs, and what it answers there", zap.Error(err))
	}
	return k.key.health.Interval
}

func (k *check) logger() *zap.Logger {
	return k.checks.log.With(zap.String("tenant", k.tenant), zap.String("upstream", nameOf(k.url)), zap.String("path", k.path()))
}

// path is the path for people. A query may hold a secret.
func (k *check) path() string {
	path, _, _ := strings.Cut(k.key.health.Path, "?")
	return path
}

// Checked is the last word of a health check.
type Checked struct {
	// Upstream is "127.0.0.1:3001" or "unix:/run/site.sock", and Path what it is asked for, without a query.
	Upstream, Path string
	// Up is false once it has failed.
	Up bool
}

// Checked lists all upstreams that are checked, sorted. One that is asked for the same path in several ways is up if it is so in each.
func (s *Server) Checked() []Checked {
	c := s.pool.checks
	c.mu.RLock()
	list := make([]Checked, 0, len(c.byKey))
	for _, k := range c.byKey {
		list = append(list, Checked{nameOf(k.url), k.path(), !k.down.Load()})
	}
	c.mu.RUnlock()
	slices.SortFunc(list, func(a, b Checked) int {
		return cmp.Or(cmp.Compare(a.Upstream, b.Upstream), cmp.Compare(a.Path, b.Path), compareUp(a.Up, b.Up))
	})
	return slices.CompactFunc(list, func(a, b Checked) bool { return a.Upstream == b.Upstream && a.Path == b.Path })
}

// compareUp sorts what is down first.
func compareUp(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}
