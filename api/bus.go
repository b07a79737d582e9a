package api

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"metahub/tenant"
)

const (
	// remembered is how many events of a tenant are kept for clients that come back.
	remembered = 64
	// maxListeners bounds the open streams of one tenant, and maxAllListeners those of all.
	maxListeners    = 100
	maxAllListeners = 5000
	// backlog is how many events a stream may be behind before its client is told to read all again.
	backlog = remembered
)

// event is a change of a document.
type event struct {
	id         eventID
	collection string // empty: all of the tenant's
	op         string // create, update, delete, or reset where nobody knows what has changed
	document   string // its id, where it is known
	before     sight
	after      sight
}

// sight is what a document was or is like, as far as that says who is shown it.
type sight struct {
	known  bool
	fields bson.Raw // nil: there is none
}

// bus carries what is written to those who listen. Tenants are apart: a listener hears its own tenant and nobody else's. A tenant's
// changes come from its database's change stream while that is followed, and from the writes through here otherwise. Its methods may be
// called at once from any number of goroutines.
type bus struct {
	follow func(context.Context, *tenant.Tenant, *source)

	mu        sync.Mutex
	ended     bool
	tenants   map[string]*channel // of those that have had a listener
	all       int                 // listeners
	following sync.WaitGroup
}

// channel is what a tenant's listeners share.
type channel struct {
	tenant    *tenant.Tenant
	listeners map[*listener]struct{}
	recent    []event // the last ones, the oldest first
	before    eventID // of the event before recent
	source    *source // nil while nobody listens
	position  position
}

// source is one following of a tenant's change stream, while somebody listens.
type source struct {
	bus     *bus
	channel *channel
	cancel  context.CancelFunc
	live    time.Time // since when the stream tells of all that is written; zero while it does not
}

// listener is one stream of events.
type listener struct {
	collection string
	pending    []event
	lost       bool          // pending has become too long, and was thrown away
	ended      bool          // the stream is to end
	wake       chan struct{} // holds one as long as there is something to take
}

func newBus(follow func(context.Context, *tenant.Tenant, *source)) *bus {
	return &bus{follow: follow, tenants: map[string]*channel{}}
}

// heeded reports whether anybody has listened to a tenant's changes.
func (b *bus) heeded(slug string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.tenants[slug] != nil
}

// publish tells the tenant's listeners of a write that has begun then, unless its change stream tells them. It waits for none of them.
func (b *bus) publish(slug string, begun time.Time, e event) {
	b.mu.Lock()
	defer b.mu.Unlock()
	c := b.tenants[slug]
	switch {
	case c == nil:
	case c.source == nil && c.position.token != nil: // who comes back goes on from there
	case c.source != nil && !c.source.live.IsZero() && begun.After(c.source.live):
	default:
		c.append(e)
	}
}

func (c *channel) append(e event) {
	e.id = eventID{rand.Uint64(), c.position}
	if len(c.recent) == remembered {
		c.before = c.recent[0].id
		c.recent = append(c.recent[:0], c.recent[1:]...)
	}
	c.recent = append(c.recent, e)
	for l := range c.listeners {
		l.offer(e)
	}
}

// listen adds a listener to the changes of a collection, and starts to follow the tenant's changes for the first one. It is told at
// once what it has missed since the event that the client has heard last, or that this is not known any more. ok is false where there
// are too many listeners.
func (b *bus) listen(t *tenant.Tenant, collection, lastHeard string) (l *listener, ok bool) {
	heard, known := parseEventID(t, lastHeard)
	b.mu.Lock()
	defer b.mu.Unlock()
	c := b.channelOf(t)
	if b.ended || len(c.listeners) >= maxListeners || b.all >= maxAllListeners {
		return nil, false
	}
	l = &listener{collection: collection, wake: make(chan struct{}, 1)}
	missed, whole := c.since(heard)
	switch {
	case known && whole:
		for _, e := range missed {
			l.offer(e)
		}
	case known && heard.at.token != nil && c.source == nil: // the change stream tells
		c.forget(heard.at)
	default:
		if lastHeard != "" {
			l.lose()
		}
		if c.source == nil && c.position.token != nil { // it begins now, with a gap
			c.forget(position{})
		}
	}
	c.listeners[l] = struct{}{}
	b.all++
	if c.source == nil {
		b.start(c)
	}
	return l, true
}

// channelOf finds or makes a tenant's channel. Where the tenant has moved to another database, what was heard of the old one is nothing
// any more.
func (b *bus) channelOf(t *tenant.Tenant) *channel {
	c := b.tenants[t.Slug]
	if c == nil {
		c = &channel{tenant: t, listeners: map[*listener]struct{}{}}
		c.forget(position{})
		b.tenants[t.Slug] = c
	}
	if c.tenant.Database != t.Database {
		for l := range c.listeners {
			b.drop(c, l)
		}
		c.forget(position{})
	}
	c.tenant = t
	return c
}

// forget makes the channel begin anew: what came before is not known any more.
func (c *channel) forget(at position) {
	c.recent, c.position = c.recent[:0], at
	c.before = eventID{rand.Uint64(), at}
}

// now is where the channel has come to.
func (c *channel) now() eventID {
	id := c.before
	if n := len(c.recent); n > 0 {
		id = c.recent[n-1].id
	}
	id.at = c.position // which moves on without an event, too
	return id
}

// since returns the events behind one that a client has heard, and whether they are all.
func (c *channel) since(heard eventID) (missed []event, whole bool) {
	if c.before.mark == heard.mark {
		return c.recent, true
	}
	for i, e := range c.recent {
		if e.id.mark == heard.mark {
			return c.recent[i+1:], true
		}
	}
	if c.before.at.is(heard.at) { // it has heard that from another process
		return c.recent, true
	}
	for i, e := range c.recent {
		if e.id.at.is(heard.at) {
			return c.recent[i+1:], true
		}
	}
	return nil, false
}

// start follows the tenant's changes until nobody listens.
func (b *bus) start(c *channel) {
	ctx, cancel := context.WithCancel(context.Background())
	s := &source{bus: b, channel: c, cancel: cancel}
	c.source = s
	t := c.tenant
	b.following.Go(func() { b.follow(ctx, t, s) })
}

// leave takes a listener away. It may be gone already.
func (b *bus) leave(slug string, l *listener) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.drop(b.tenants[slug], l)
}

func (b *bus) drop(c *channel, l *listener) {
	if _, there := c.listeners[l]; !there {
		return
	}
	delete(c.listeners, l)
	b.all--
	l.ended = true
	l.poke()
	if len(c.listeners) == 0 {
		c.source.cancel()
		c.source = nil
	}
}

// dropAll ends all streams, whose clients come back.
func (b *bus) dropAll() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, c := range b.tenants {
		for l := range c.listeners {
			b.drop(c, l)
		}
	}
}

// end ends all streams, and lets nobody listen any more.
func (b *bus) end() {
	b.mu.Lock()
	b.ended = true
	b.mu.Unlock()
	b.dropAll()
	b.following.Wait()
}

// take returns what the listener has not been told yet, and the id of where the tenant's changes have come to with that. lost says that
// the client has to read all again, ended that the stream is over.
func (b *bus) take(slug string, l *listener) (events []event, at eventID, lost, ended bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	c := b.tenants[slug]
	events, lost = l.pending, l.lost
	l.pending, l.lost = nil, false
	return events, c.now(), lost, l.ended
}

// offer gives the listener an event, if it is of its collection.
func (l *listener) offer(e event) {
	if e.collection != "" && e.collection != l.collection {
		return
	}
	if l.lost = l.lost || len(l.pending) == backlog || e.op == "reset"; l.lost {
		l.pending = nil
	} else {
		l.pending = append(l.pending, e)
	}
	l.poke()
}

func (l *listener) lose() {
	l.lost = true
	l.poke()
}

func (l *listener) poke() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}
