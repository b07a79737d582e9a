// Package store gives each tenant its MongoDB database.
//
//	s := store.New(store.Config{Data: "data", Logger: logger})
//	err := s.Do(ctx, t, func(ctx context.Context, db *mongo.Database) error {
//		return db.Collection("products").FindOne(ctx, filter).Err()
//	})
//
// Tenants whose URIs lead to the same deployment with the same credentials share one client; the database is chosen by the tenant
// alone. Clients are made at first use and closed when idle. A tenant without a URI lives in the embedded database, which starts at the
// first use by such a tenant. A deployment that is down, or a tenant that asks for too much, is answered with *Unavailable and costs the
// others nothing.
//
// The package knows nothing of documents: queries, validation and authorization are its callers'.
package store

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.uber.org/zap"

	"metahub/tenant"
)

// Config is what a Store needs.
type Config struct {
	// Data is the folder under which the embedded database keeps its files, in "embedded".
	Data string
	// Idle is how long a client is kept without use; 0 means 5 minutes.
	Idle time.Duration
	// Patience is how long a database may be silent before it is taken to be down, an operation may wait for its turn, and one without a
	// deadline may take. 0 means what suits requests: about 2 s to know, 250 ms to wait, on the embedded database 2 s, and 5 s.
	Patience time.Duration
	// Logger may be nil.
	Logger *zap.Logger
}

const (
	defaultIdle    = 5 * time.Minute
	defaultTimeout = 5 * time.Second
)

// Store gives each tenant its database. Its methods may be called at once from any number of goroutines.
type Store struct {
	idle     time.Duration
	patience time.Duration // 0 for what suits requests
	timeout  time.Duration // of an operation without a deadline
	logger   *zap.Logger
	embedded *embedded // runs from the first use to Close

	life       context.Context // ends with Close
	stop       context.CancelFunc
	background sync.WaitGroup
	seeding    sync.Mutex

	mu          sync.Mutex
	closed      bool
	deployments map[deploymentKey]*deployment
	byURI       map[string]*deployment // so that a URI is parsed once
	drained     chan struct{}          // made by Close, closed with the last reference
}

// New makes a Store, which connects to nothing until the first Do. Close it when done.
func New(config Config) *Store {
	ctx, stop := context.WithCancel(context.Background())
	s := &Store{
		idle:        config.Idle,
		patience:    config.Patience,
		timeout:     max(config.Patience, defaultTimeout),
		logger:      config.Logger,
		life:        ctx,
		stop:        stop,
		deployments: map[deploymentKey]*deployment{},
		byURI:       map[string]*deployment{},
	}
	if s.idle <= 0 {
		s.idle = defaultIdle
	}
	if s.logger == nil {
		s.logger = zap.NewNop()
	}
	s.embedded = newEmbedded(filepath.Join(config.Data, "embedded"), s.logger)
	s.background.Go(func() { s.closeIdleUntil(ctx) })
	return s
}

// Do runs op on t's database. The context that op gets ends with ctx, 5 s from now, or Patience, where ctx has no deadline, and as soon as the
// deployment is found to be down. Neither it nor db may be kept, and op must not call Do: it holds a slot of the tenant, which may be the
// only one.
//
// The error is an *Unavailable when the deployment cannot be reached, its circuit breaker is open, or too many operations of t or of the
// deployment are running; op may then not have run, or may have taken effect without our knowing. Any other error is op's own, or says
// what is wrong with t's URI.
func (s *Store) Do(ctx context.Context, t *tenant.Tenant, op func(ctx context.Context, db *mongo.Database) error) error {
	d, err := s.acquire(t)
	if err != nil {
		return err
	}
	defer s.release(d)
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, s.timeout)
		defer cancel()
	}
	return d.do(ctx, t, op)
}

// Status returns every deployment in use, sorted by name.
func (s *Store) Status() []DeploymentStatus {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]DeploymentStatus, 0, len(s.deployments))
	for _, d := range s.deployments {
		status := d.status()
		status.InFlight = d.references - status.Watches
		all = append(all, status)
	}
	slices.SortFunc(all, func(a, b DeploymentStatus) int { return strings.Compare(a.Name, b.Name) })
	return all
}

// Close refuses new operations, ends what watches, waits for those that run, or until ctx ends and then cancels them, and closes every client and the
// embedded database. The error is ctx's.
func (s *Store) Close(ctx context.Context) error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	s.closed = true
	s.drained = make(chan struct{})
	s.signalDrained()
	s.mu.Unlock()

	s.stop()
	var err error
	select {
	case <-s.drained:
	case <-ctx.Done():
		err = fmt.Errorf("closing the store with operations still running: %w", ctx.Err())
	}
	for _, d := range s.removeAll() {
		s.background.Go(d.close)
	}
	s.background.Wait()
	s.embedded.stop()
	return err
}

var errClosed = &Unavailable{RetryAfter: retryBusy, Cause: errors.New("the gateway is shutting down")}

// acquire finds or makes t's deployment and counts a reference to it.
func (s *Store) acquire(t *tenant.Tenant) (*deployment, error) {
	uri := t.Database.URI.Reveal()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, errClosed
	}
	d, ok := s.byURI[uri]
	if !ok {
		target, err := parseTarget(uri)
		if err != nil {
			return nil, fmt.Errorf("tenant %q: mongo_uri: %w", t.Slug, err)
		}
		d = s.deploymentOf(target)
		s.byURI[uri] = d
	}
	d.references++
	return d, nil
}

func (s *Store) deploymentOf(target target) *deployment {
	d, ok := s.deployments[target.key]
	if ok {
		return d
	}
	target.name = s.uniqueName(target.name)
	d = newDeployment(target, s.logger, s.patience)
	if target.embedded {
		d.server = s.embedded
	}
	s.deployments[target.key] = d
	return d
}

// uniqueName tells deployments with the same hosts apart by a number.
func (s *Store) uniqueName(name string) string {
	taken := func(name string) bool {
		for _, d := range s.deployments {
			if d.name == name {
				return true
			}
		}
		return false
	}
	unique := name
	for n := 2; taken(unique); n++ {
		unique = fmt.Sprintf("%s #%d", name, n)
	}
	return unique
}

func (s *Store) release(d *deployment) {
	s.mu.Lock()
	defer s.mu.Unlock()
	d.references--
	d.lastUsed = time.Now()
	if s.closed {
		s.signalDrained()
	}
}

func (s *Store) signalDrained() {
	for _, d := range s.deployments {
		if d.references > 0 {
			return
		}
	}
	select {
	case <-s.drained:
	default:
		close(s.drained)
	}
}

// closeIdleUntil closes idle deployments in the background until ctx ends.
func (s *Store) closeIdleUntil(ctx context.Context) {
	ticker := time.NewTicker(max(s.idle/4, time.Millisecond))
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			for _, d := range s.removeIdle() {
				s.background.Go(d.close)
			}
		}
	}
}

// removeIdle takes out the deployments without use. With no reference left and no way to get one, nothing of theirs is in flight.
func (s *Store) removeIdle() []*deployment {
	return s.remove(func(d *deployment) bool { return d.references == 0 && time.Since(d.lastUsed) >= s.idle })
}

func (s *Store) removeAll() []*deployment {
	return s.remove(func(*deployment) bool { return true })
}

func (s *Store) remove(unwanted func(*deployment) bool) []*deployment {
	s.mu.Lock()
	defer s.mu.Unlock()
	var removed []*deployment
	for key, d := range s.deployments {
		if unwanted(d) {
			delete(s.deployments, key)
			removed = append(removed, d)
		}
	}
	for uri, d := range s.byURI {
		if s.deployments[d.key] != d {
			delete(s.byURI, uri)
		}
	}
	return removed
}
