package orders

import (
	"context"
	"io/fs"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyserver/certmagic"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"
)

// handClock is moved by hand.
type handClock struct {
	mu  sync.Mutex
	now time.Time
}

func newHandClock() *handClock {
	return &handClock{now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
}

func (c *handClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *handClock) After(time.Duration) <-chan time.Time { return nil }

func (c *handClock) move(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// memory is a certmagic.Storage for tests that take too many steps for a disk.
type memory struct {
	mu    sync.Mutex
	files map[string][]byte
	locks map[string]bool
	fails error // what every call answers
}

func newMemory() *memory { return &memory{files: map[string][]byte{}, locks: map[string]bool{}} }

var _ certmagic.Storage = (*memory)(nil)

func (m *memory) Lock(ctx context.Context, name string) error {
	for {
		m.mu.Lock()
		err, free := m.fails, !m.locks[name]
		m.locks[name] = true
		m.mu.Unlock()
		if err != nil || free {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Millisecond):
		}
	}
}

func (m *memory) Unlock(_ context.Context, name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.locks, name)
	return nil
}

func (m *memory) Store(_ context.Context, key string, value []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.files[key] = slices.Clone(value)
	return m.fails
}

func (m *memory) Load(_ context.Context, key string) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if value, ok := m.files[key]; ok || m.fails != nil {
		return slices.Clone(value), m.fails
	}
	return nil, fs.ErrNotExist
}

func (m *memory) Delete(_ context.Context, key string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.files, key)
	return nil
}

func (m *memory) Exists(ctx context.Context, key string) bool {
	_, err := m.Load(ctx, key)
	return err == nil
}

func (m *memory) List(_ context.Context, prefix string, _ bool) ([]string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.DeleteFunc(slices.Sorted(maps.Keys(m.files)), func(key string) bool { return !strings.HasPrefix(key, prefix+"/") }), nil
}

func (m *memory) Stat(_ context.Context, key string) (certmagic.KeyInfo, error) {
	return certmagic.KeyInfo{Key: key, IsTerminal: true}, nil
}

func (m *memory) total() (bytes int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, value := range m.files {
		bytes += len(value)
	}
	return bytes
}

const day = 24 * time.Hour

// fresh90 is a certificate of 90 days that was made age ago and is renewed after 60.
func fresh90(age time.Duration) Have {
	notBefore := time.Now().Add(-age)
	return Have{NotBefore: notBefore, NotAfter: notBefore.Add(90 * day), RenewAt: notBefore.Add(60 * day), Issuer: "testca"}
}

// ca stands for Config.Do: it answers by the domain, and notes who came when.
type ca struct {
	mu      sync.Mutex
	began   time.Time
	answers map[string]func(context.Context, Job) (Have, error)
	usual   func(context.Context, Job) (Have, error)
	jobs    []Job
	times   []time.Duration // since the beginning
	running int
	most    int // that ran at once
}

func newCA() *ca {
	return &ca{began: time.Now(), answers: map[string]func(context.Context, Job) (Have, error){}}
}

func (c *ca) do(ctx context.Context, job Job) (Have, error) {
	c.mu.Lock()
	c.jobs = append(c.jobs, job)
	c.times = append(c.times, time.Since(c.began))
	c.running++
	c.most = max(c.most, c.running)
	answer := c.answers[job.Domain]
	if answer == nil {
		answer = c.usual
	}
	c.mu.Unlock()
	defer func() {
		c.mu.Lock()
		c.running--
		c.mu.Unlock()
	}()
	if answer == nil {
		time.Sleep(time.Second) // by the bubble's clock
		return fresh90(0), nil
	}
	return answer(ctx, job)
}

// answer sets what one domain is answered; nil is a certificate.
func (c *ca) answer(domain string, answer func(context.Context, Job) (Have, error)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.answers[domain] = answer
}

// always answers an error at once.
func always(err error) func(context.Context, Job) (Have, error) {
	return func(context.Context, Job) (Have, error) { return Have{}, err }
}

// after answers a certificate after some time, or ctx's error.
func after(d time.Duration) func(context.Context, Job) (Have, error) {
	return func(ctx context.Context, _ Job) (Have, error) {
		select {
		case <-time.After(d):
			return fresh90(0), nil
		case <-ctx.Done():
			return Have{}, ctx.Err()
		}
	}
}

// of returns the jobs of a domain and when they began.
func (c *ca) of(domain string) (jobs []Job, times []time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, job := range c.jobs {
		if job.Domain == domain {
			jobs, times = append(jobs, job), append(times, c.times[i])
		}
	}
	return jobs, times
}

// order returns the domains in the order of their jobs.
func (c *ca) order() (domains []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, job := range c.jobs {
		domains = append(domains, job.Domain)
	}
	return domains
}

// simulate runs a test in a bubble whose clock jumps; random pauses are exact.
func simulate(t *testing.T, change func(*Config), run func(*testing.T, *Queue, *ca, *observer.ObservedLogs)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		core, logs := observer.New(zapcore.DebugLevel)
		authority := newCA()
		config := Config{Do: authority.do, Random: func() float64 { return 0.5 }, Logger: zap.New(core)}
		if change != nil {
			change(&config)
		}
		q := New(config)
		defer q.Stop()
		run(t, q, authority, logs)
	})
}

// pass lets time go by and all settle.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func names(domains ...string) (wanted []Domain) {
	for _, domain := range domains {
		wanted = append(wanted, Domain{Name: domain, Tenant: "t"})
	}
	return wanted
}

// want compares a domain's state.
func want(t *testing.T, q *Queue, domain string, state State) Status {
	t.Helper()
	status, ok := q.StatusOf(domain)
	if !ok || status.State != state {
		t.Fatalf("%s: %+v, want the state %q", domain, status, state)
	}
	return status
}

// random is one that repeats.
func random(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, seed)) }
