package store

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"time"
)

// room is how many operations a deployment runs at once.
type room struct {
	tenant int           // of one tenant
	all    int           // of all together
	wait   time.Duration // for a slot
}

// remoteRoom leaves connections over for pings, which must get through when operations fill the pool.
func remoteRoom() room {
	return room{tenant: 16, all: maxPoolSize - 8, wait: 250 * time.Millisecond}
}

// embeddedRoom runs one operation of a tenant at a time, for two reasons. The embedded database works on our own processors, and a
// tenant with a few heavy lists at once would leave none to the others. And FerretDB changes a document by reading it and writing it
// back, so that of two changes at once one would be lost.
func embeddedRoom() room {
	return room{tenant: 1, all: min(4*runtime.GOMAXPROCS(0), maxPoolSize-8), wait: 2 * time.Second}
}

// gates bound how many operations run at once on a deployment: of each tenant, so that none of them starves the others, and of all
// together, so that they queue here, where they can be turned away, and not in the driver. Slots are given out in the order of asking.
type gates struct {
	room room
	all  chan struct{}

	mu      sync.Mutex
	tenants map[string]*tenantGate
}

type tenantGate struct {
	slots chan struct{}
	users int // in and waiting
}

func newGates(room room) *gates {
	return &gates{room: room, all: make(chan struct{}, room.all), tenants: map[string]*tenantGate{}}
}

// enter takes a slot for an operation of the tenant with slug, to be given back by leave.
func (g *gates) enter(ctx context.Context, slug string) error {
	own := g.join(slug)
	patience := time.Now().Add(g.room.wait)
	if !take(ctx, own.slots, patience) {
		g.part(slug, own)
		return full(ctx, fmt.Errorf("tenant %q has %d database operations running already", slug, g.room.tenant))
	}
	if !take(ctx, g.all, patience) {
		<-own.slots
		g.part(slug, own)
		return full(ctx, fmt.Errorf("the deployment has %d operations running already", g.room.all))
	}
	return nil
}

// leave gives back the slot that enter took.
func (g *gates) leave(slug string) {
	<-g.all
	g.mu.Lock()
	own := g.tenants[slug]
	g.mu.Unlock()
	<-own.slots
	g.part(slug, own)
}

func (g *gates) join(slug string) *tenantGate {
	g.mu.Lock()
	defer g.mu.Unlock()
	own := g.tenants[slug]
	if own == nil {
		own = &tenantGate{slots: make(chan struct{}, g.room.tenant)}
		g.tenants[slug] = own
	}
	own.users++
	return own
}

// part forgets a gate that nobody uses, so that slugs of removed tenants do not pile up.
func (g *gates) part(slug string, own *tenantGate) {
	g.mu.Lock()
	defer g.mu.Unlock()
	own.users--
	if own.users == 0 {
		delete(g.tenants, slug)
	}
}

func take(ctx context.Context, slots chan struct{}, patience time.Time) bool {
	select {
	case slots <- struct{}{}:
		return true
	default:
	}
	timer := time.NewTimer(time.Until(patience))
	defer timer.Stop()
	select {
	case slots <- struct{}{}:
		return true
	case <-timer.C:
		return false
	case <-ctx.Done():
		return false
	}
}

func full(ctx context.Context, cause error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return &Unavailable{RetryAfter: retryBusy, Cause: cause}
}
