package api

import (
	"context"
	"errors"
	"hash/maphash"
	"slices"
	"sync"
	"time"

	"go.mongodb.org/mongo-driver/v2/mongo"

	"metahub/api/model"
	"metahub/tenant"
)

// recall knows, for tenants with a Database.Recheck, which answers to public reads are still what the database would say, so that a
// client that has one is told so (304) without a query. Its methods may be called at once from any number of goroutines.
//
// Of an answer it keeps the tag, until when it may be told, and how many writes had gone through this process to the collections that the
// answer is of, before they were read. A write counts when it is over and before it is answered: who knows of it is told of no answer
// from before, and an answer that was read while it was on its way counts as one from before. What others write is noticed when
// the time is up, or when the tenant's change stream tells of it, while somebody listens.
type recall struct {
	registry *tenant.Registry
	seed     maphash.Seed

	mu      sync.RWMutex
	tenants map[string]*recalled // by slug
	most    int                  // how many they may become before removed tenants are looked for
}

const (
	// recallAnswers is how many answers of a tenant are known at most, of 96 bytes each.
	recallAnswers = 256
	// settleTime is how long a write of which no outcome is known may still take effect: the database stops it after requestTimeout.
	settleTime = 3 * requestTimeout
)

// recalled is what is known of one tenant. What its visitors ask for takes room from no other tenant.
type recalled struct {
	mu      sync.Mutex
	writes  map[string]*tally // by collection
	answers [recallAnswers]known
}

// tally counts the writes to one collection.
type tally struct {
	count   uint64
	settled time.Time // until then one of unknown outcome may take effect
}

// known is an answer. It is of one version of the tenant and of the models.
type known struct {
	address   uint64 // a hash that nobody outside can aim at; the tag is compared as well
	tenant    *tenant.Tenant
	resources *resources
	from      []*tally
	count     uint64 // of all in from: none of them ever goes down
	until     time.Time
	tag       string
}

func newRecall(registry *tenant.Registry) *recall {
	return &recall{registry: registry, seed: maphash.MakeSeed(), tenants: map[string]*recalled{}, most: 64}
}

// tag returns the tag of the answer to a request, or "" where only the database knows it.
func (c *recall) tag(r *request, clock func() time.Time) string {
	if r.tenant.Database.Recheck <= 0 || !r.http.IsGet() && !r.http.IsHead() {
		return ""
	}
	c.mu.RLock()
	t := c.tenants[r.tenant.Slug]
	c.mu.RUnlock()
	if t == nil {
		return ""
	}
	address, now := c.address(r), clock()
	t.mu.Lock()
	defer t.mu.Unlock()
	k := &t.answers[address%recallAnswers]
	if k.address != address || k.tenant != r.tenant || k.resources != r.resources || !now.Before(k.until) {
		return ""
	}
	if count, settled := total(k.from, now); !settled || count != k.count {
		return ""
	}
	return k.tag
}

// address is all of a request that the answer to a public read depends on, as long as its parameters have not been read.
func (c *recall) address(r *request) uint64 {
	var h maphash.Hash
	h.SetSeed(c.seed)
	_ = h.WriteByte(byte(r.language))
	_, _ = h.Write(r.http.Path())
	_ = h.WriteByte(0)
	_, _ = h.Write(r.http.URI().QueryString())
	return h.Sum64()
}

// reading is an answer that is about to be read. The zero value is not kept.
type reading struct {
	in    *recalled
	known known
}

// begin is called before the parameters and the database are read. What the answer is of are the documents of a view, and those that they
// refer to; users are written by sign-in too, and are not for here. Nor is what secondaries answer: it may be older than writes that count.
func (c *recall) begin(r *request, m *model.Model, view *model.View, now time.Time) reading {
	recheck, users := r.tenant.Database.Recheck, r.resources.users.Collection
	if recheck <= 0 || view.Audience != model.Public || view.ReadFrom != nil || m.Collection == users {
		return reading{}
	}
	collections := append(make([]string, 0, 1+len(view.References)), m.Collection)
	for _, reference := range view.References {
		if reference.Target.Collection == users {
			return reading{}
		}
		collections = append(collections, reference.Target.Collection)
	}
	t := c.of(r.tenant.Slug)
	k := known{address: c.address(r), tenant: r.tenant, resources: r.resources, until: now.Add(recheck)}
	t.mu.Lock()
	defer t.mu.Unlock()
	var settled bool
	k.from = t.from(collections)
	if k.count, settled = total(k.from, now); !settled {
		return reading{}
	}
	return reading{t, k}
}

// keep remembers the tag of the answer that was read.
func (g reading) keep(tag string) {
	if g.in == nil {
		return
	}
	g.known.tag = tag
	g.in.mu.Lock()
	defer g.in.mu.Unlock()
	g.in.answers[g.known.address%recallAnswers] = g.known
}

// wrote counts a write to a collection that is over. Its outcome is known unless the error may have come between the database and us.
func (c *recall) wrote(slug, collection string, err error, now time.Time) {
	c.mu.RLock()
	t := c.tenants[slug]
	c.mu.RUnlock()
	if t == nil {
		return // nothing has been read
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	w := t.from([]string{collection})[0]
	w.count++
	if !outcomeKnown(err) {
		w.settled = now.Add(settleTime)
	}
}

// heard counts what a change stream over some collections tells of, whoever wrote it. e may be nil.
func (c *recall) heard(slug string, e *event, over []string, now time.Time) {
	switch {
	case e == nil:
	case e.collection != "":
		c.wrote(slug, e.collection, nil, now)
	default: // of the whole database
		for _, collection := range over {
			c.wrote(slug, collection, nil, now)
		}
	}
}

func outcomeKnown(err error) bool {
	var refusal *Error
	return err == nil || errors.Is(err, mongo.ErrNoDocuments) || errors.As(err, &refusal) || isDuplicate(err)
}

// of finds or makes what is known of a tenant.
func (c *recall) of(slug string) *recalled {
	c.mu.RLock()
	t := c.tenants[slug]
	c.mu.RUnlock()
	if t != nil {
		return t
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if t = c.tenants[slug]; t != nil {
		return t
	}
	if len(c.tenants) >= c.most {
		c.forgetRemoved()
		c.most = max(c.most, 2*len(c.tenants))
	}
	t = &recalled{writes: map[string]*tally{}}
	c.tenants[slug] = t
	return t
}

func (c *recall) forgetRemoved() {
	for slug := range c.tenants {
		if _, there := c.registry.Current().Tenant([]byte(slug)); !there {
			delete(c.tenants, slug)
		}
	}
}

// from finds or makes the counts of collections, each once.
func (t *recalled) from(collections []string) []*tally {
	from := make([]*tally, 0, len(collections))
	for _, name := range collections {
		w := t.writes[name]
		if w == nil {
			w = &tally{}
			t.writes[name] = w
		}
		if !slices.Contains(from, w) {
			from = append(from, w)
		}
	}
	return from
}

func total(from []*tally, now time.Time) (count uint64, settled bool) {
	settled = true
	for _, w := range from {
		count += w.count
		settled = settled && !now.Before(w.settled)
	}
	return count, settled
}

// write runs an operation that may change documents of a model. Every write to a model's collection goes through here, but for those of sign-in
// and registration to users, whose answers are not remembered.
func (a *API) write(ctx context.Context, t *tenant.Tenant, m *model.Model, op func(context.Context, *mongo.Database) error) error {
	outcome := errUnknown
	defer func() { a.recall.wrote(t.Slug, m.Collection, outcome, a.now()) }() // after a panic too
	outcome = a.store.Do(ctx, t, op)
	return outcome
}

var errUnknown = errors.New("the outcome of a write is not known")
