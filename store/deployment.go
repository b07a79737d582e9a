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
	// Available is false while the circuit breaker is open.
	Available bool
	// LastError says why the deployment is not Available; else it is empty.
	LastError string
	// Since is when Available last changed, or when the deployment was first used.
	Since time.Time
	// InFlight is how many operations are running or waiting to.
	InFlight int
}

// deployment is one MongoDB server or cluster as one user sees it: its client, its gates and its circuit breaker.
type deployment struct {
	target
	server *embedded // nil but for the embedded database
	logger *zap.Logger
	gates  *gates

	// Guarded by Store.mu.
	references int
	lastUsed   time.Time

	client     atomic.Pointer[mongo.Client]
	connecting singleflight.Group
	pinging    atomic.Bool
	background sync.WaitGroup

	mu      sync.Mutex
	closed  bool
	outage  *Unavailable
	since   time.Time
	up      context.Context // ends with the next outage, whose *Unavailable is its cause, or with the deployment
	endUp   context.CancelCauseFunc
	life    context.Context
	endLife context.CancelFunc
}

func newDeployment(target target, logger *zap.Logger) *deployment {
	room := remoteRoom()
	if target.embedded {
		room = embeddedRoom()
	}
	d := &deployment{
		target:   target,
		logger:   logger.With(zap.String("deployment", target.name)),
		gates:    newGates(room),
		lastUsed: time.Now(),
		since:    time.Now(),
	}
	d.life, d.endLife = context.WithCancel(context.Background())
	d.up, d.endUp = context.WithCancelCause(d.life)
	return d
}

// do is Store.Do for a tenant of this deployment. ctx has a deadline.
func (d *deployment) do(ctx context.Context, t *tenant.Tenant, op func(context.Context, *mongo.Database) error) error {
	up, err := d.available()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
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
	defer time.AfterFunc(slowAfter, d.check).Stop()
	if err := op(ctx, client.Database(t.Database.Name)); err != nil {
		return d.judge(ctx, err)
	}
	return nil
}

// available returns a context that ends with the next outage, or the error of the present one.
func (d *deployment) available() (up context.Context, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.outage != nil {
		return nil, d.outage
	}
	return d.up, nil
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
		return d.open(err)
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
		d.check()
		return err
	case failedLink:
		d.check()
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
	d.mu.Lock()
	defer d.mu.Unlock()
	status := DeploymentStatus{Name: d.name, Embedded: d.embedded, Available: d.outage == nil, Since: d.since}
	if d.outage != nil {
		status.LastError = d.outage.Cause.Error()
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
