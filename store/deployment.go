package store

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.mongodb.org/mongo-driver/v2/mongo/readpref"
	"go.uber.org/zap"
	"golang.org/x/sync/singleflight"

	"metahub/tenant"
)

// DeploymentStatus is one deployment as administrators may see it: without passwords.
type DeploymentStatus struct {
	// Name is "user@host:port,host:port", with a number behind it where that is not unique, or "embedded".
	Name string
	// Embedded is set for the embedded database.
	Embedded bool
	// Available is false while the circuit breaker is open for what the primary has to answer. Public reads from secondaries may go on.
	Available bool
	// LastError says why the deployment is not Available; else it is empty.
	LastError string
	// Since is when Available last changed, or when the deployment was first used.
	Since time.Time
	// InFlight is how many operations are running or waiting to.
	InFlight int
	// Watches is how many change streams are open.
	Watches int
}

// deployment is one MongoDB server or cluster as one user sees it: its client, its gates and its circuit breakers.
type deployment struct {
	target
	server *embedded // nil but for the embedded database
	logger *zap.Logger
	gates  *gates
	slow   time.Duration // an operation that takes longer has a ping sent
	silent time.Duration // which may take as long

	// Guarded by Store.mu.
	references int
	lastUsed   time.Time

	client     atomic.Pointer[mongo.Client]
	connecting singleflight.Group
	primary    *breaker // of all but reads from secondaries
	watches    atomic.Int32
	background sync.WaitGroup

	life    context.Context
	endLife context.CancelFunc

	mu     sync.Mutex
	closed bool
	others map[readpref.Mode]*breaker // beside primary, made at first use
}

func newDeployment(target target, logger *zap.Logger, patience time.Duration) *deployment {
	room := remoteRoom()
	if target.embedded {
		room = embeddedRoom()
	}
	slow, silent := slowAfter, pingTimeout
	if patience > 0 {
		slow, silent, room.wait = patience, patience, patience
	}
	d := &deployment{
		target:   target,
		slow:     slow,
		silent:   silent,
		logger:   logger.With(zap.String("deployment", target.name)),
		gates:    newGates(room),
		lastUsed: time.Now(),
		others:   map[readpref.Mode]*breaker{},
	}
	d.life, d.endLife = context.WithCancel(context.Background())
	d.primary = newBreaker(d, readpref.PrimaryMode)
	return d
}

// breaker returns the one of operations under ctx.
func (d *deployment) breaker(ctx context.Context) *breaker {
	pref := preference(ctx)
	if pref == nil || pref.Mode() == readpref.PrimaryMode {
		return d.primary
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	b := d.others[pref.Mode()]
	if b == nil {
		b = newBreaker(d, pref.Mode())
		d.others[pref.Mode()] = b
	}
	return b
}

// detour sends what prefers the primary to secondaries while the primary's breaker is open: the driver takes up to 13 s to find out that a
// primary has gone silent, and lets everybody wait for it until then.
func (d *deployment) detour(ctx context.Context) context.Context {
	pref := preference(ctx)
	if pref == nil || pref.Mode() != readpref.PrimaryPreferredMode {
		return ctx
	}
	if outage, _ := d.primary.state(); outage == nil {
		return ctx
	}
	if bound, ok := pref.MaxStaleness(); ok {
		return ReadFrom(ctx, readpref.SecondaryPreferred(readpref.WithMaxStaleness(bound)))
	}
	return ReadFrom(ctx, readpref.SecondaryPreferred())
}

// suspect has found an operation under ctx slow or cut off. It asks for the primary too, which it may have been meant for.
func (d *deployment) suspect(ctx context.Context) {
	b := d.breaker(ctx)
	if b.check(); b != d.primary {
		d.primary.check()
	}
}

// do is Store.Do for a tenant of this deployment. ctx has a deadline.
func (d *deployment) do(ctx context.Context, t *tenant.Tenant, op func(context.Context, *mongo.Database) error) error {
	ctx = d.detour(ctx)
	up, err := d.breaker(ctx).available()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(withTenant(ctx, t.Slug))
	defer cancel(nil)
	defer context.AfterFunc(up, func() { cancel(context.Cause(up)) })()

	if err := d.gates.enter(ctx, t.Slug); err != nil {
		return err
	}
	defer d.gates.leave(t.Slug)
	client, err := d.connected(ctx)
	if err != nil {
		return d.connectFailed(ctx, t, err)
	}
	defer time.AfterFunc(d.slow, func() { d.suspect(ctx) }).Stop()
	if err := op(ctx, client.Database(t.Database.Name)); err != nil {
		return d.judge(ctx, err)
	}
	return nil
}

// connected returns the client, made by the first to ask while the others wait.
func (d *deployment) connected(ctx context.Context) (*mongo.Client, error) {
	if client := d.client.Load(); client != nil {
		return client, nil
	}
	select {
	case result := <-d.connecting.DoChan("", d.connect):
		if result.Err != nil {
			return nil, result.Err
		}
		return result.Val.(*mongo.Client), nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

func (d *deployment) connect() (any, error) {
	if client := d.client.Load(); client != nil {
		return client, nil
	}
	if d.life.Err() != nil {
		return nil, errClosed
	}
	var dialer options.ContextDialer
	if d.server != nil {
		if err := d.server.start(); err != nil {
			return nil, err
		}
		dialer = d.server
	}
	client, err := newClient(d.uri, dialer)
	if err != nil {
		return nil, errors.New(d.redact.Replace(err.Error()))
	}
	d.client.Store(client)
	d.logger.Debug("the client is made")
	return client, nil
}

// connectFailed tells a URI that can never work from a server or name server that may be back.
func (d *deployment) connectFailed(ctx context.Context, t *tenant.Tenant, err error) error {
	var unavailable *Unavailable
	switch {
	case errors.As(err, &unavailable):
		return err
	case errors.Is(ctx.Err(), context.Canceled):
		return err
	case d.embedded || strings.HasPrefix(d.uri, "mongodb+srv:"):
		return d.breaker(ctx).open(err)
	}
	return fmt.Errorf("tenant %q: mongo_uri: %w", t.Slug, err)
}

// judge turns an operation's error into what the caller should know, and draws conclusions about the deployment.
func (d *deployment) judge(ctx context.Context, err error) error {
	var outage *Unavailable
	if errors.As(context.Cause(ctx), &outage) {
		return outage
	}
	switch classify(ctx, err) {
	case failedSlowly:
		d.suspect(ctx)
		return err
	case failedLink:
		d.suspect(ctx)
		return d.unavailable(retryBusy, err)
	case failedFailover:
		return d.unavailable(retryBusy, err)
	}
	return err
}

func (d *deployment) unavailable(retryAfter time.Duration, cause error) *Unavailable {
	return &Unavailable{
		RetryAfter: retryAfter,
		Cause:      fmt.Errorf("deployment %q: %s", d.name, d.redact.Replace(cause.Error())),
	}
}

func (d *deployment) status() DeploymentStatus {
	outage, since := d.primary.state()
	status := DeploymentStatus{Name: d.name, Embedded: d.embedded, Available: outage == nil, Since: since, Watches: int(d.watches.Load())}
	if outage != nil {
		status.LastError = outage.Cause.Error()
	}
	return status
}

// goInBackground starts f unless the deployment is closing, which waits for it.
func (d *deployment) goInBackground(f func()) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return false
	}
	d.background.Go(f)
	return true
}

// close ends what is in flight, which is nothing unless the store is closing in haste, and waits until the client is gone.
func (d *deployment) close() {
	d.mu.Lock()
	d.closed = true
	d.mu.Unlock()
	d.endLife()
	d.background.Wait()
	// With an attempt still under way the client is its result.
	d.connecting.Do("", func() (any, error) { return nil, nil })
	if client := d.client.Load(); client != nil {
		// No deadline: with one the driver's pool spins until it ends or all connections are back. Without, it waits at most for
		// server selection.
		if err := client.Disconnect(context.Background()); err != nil {
			d.logger.Debug("disconnecting", zap.String("error", d.redact.Replace(err.Error())))
		}
	}
	d.logger.Debug("the client is closed")
}
