package api

import (
	"context"
	"runtime"
	"sync"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"metahub/api/model"
)

const (
	// maxHashing bounds the hashes that are computed at once, and so their memory: argonMemory each.
	maxHashing = 8
	// maxWaiting is how many of one tenant may compute or wait to; the next one is refused at once.
	maxWaiting = 32
)

// hasher computes hashes of passwords, which are slow on purpose, on some of the processors: sign-in must not starve everything else. Each
// tenant has a share of the slots and waits for its own share first, so that one whose sign-in is attacked does not keep the others
// waiting.
type hasher struct {
	cost  hashCost
	slots chan struct{} // of all tenants, given out in the order of asking

	mu     sync.Mutex
	shares map[string]*share // by slug, of tenants that are hashing or waiting to
}

// share bounds how many slots one tenant holds or waits for at once.
type share struct {
	slots chan struct{}
	users int
}

var errBusy = &Error{Status: 503, Code: "unavailable", Message: "Too many sign in at this moment. Try again in a moment.", RetryAfter: time.Second}

func newHasher() *hasher {
	return &hasher{cost: fullCost(), slots: make(chan struct{}, min(maxHashing, max(1, runtime.GOMAXPROCS(0)/2))), shares: map[string]*share{}}
}

func (h *hasher) hash(ctx context.Context, slug, password string, as model.Hash) (hash string, err error) {
	err = h.run(ctx, slug, func() error {
		hash, err = h.cost.hash(password, as)
		return err
	})
	return hash, err
}

// matches compares with hash. Whoever does not know the password learns nothing from how long that takes, whatever hash there is, and also
// where there is no usable one.
func (h *hasher) matches(ctx context.Context, slug, hash, password string) (same bool, err error) {
	err = h.run(ctx, slug, func() error {
		same, _ = h.cost.compare(hash, password)
		return nil
	})
	return same, err
}

// run waits for a slot of the tenant's share and then for one of all, no longer than ctx.
func (h *hasher) run(ctx context.Context, slug string, work func() error) error {
	own, ok := h.join(slug)
	if !ok {
		return errBusy
	}
	defer h.part(slug, own)
	for _, slots := range [...]chan struct{}{own.slots, h.slots} {
		select {
		case slots <- struct{}{}:
			defer func() { <-slots }()
		case <-ctx.Done():
			return errBusy
		}
	}
	return work()
}

func (h *hasher) join(slug string) (own *share, ok bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	own = h.shares[slug]
	if own == nil {
		own = &share{slots: make(chan struct{}, max(1, cap(h.slots)/2))}
		h.shares[slug] = own
	}
	if own.users == maxWaiting {
		return nil, false
	}
	own.users++
	return own, true
}

// part forgets a share that nobody uses.
func (h *hasher) part(slug string, own *share) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if own.users--; own.users == 0 {
		delete(h.shares, slug)
	}
}

// hashPasswords replaces the passwords in a document by their hashes.
func (a *API) hashPasswords(ctx context.Context, slug string, m *model.Model, document bson.D) error {
	for i, e := range document {
		field, ok := m.Field(e.Key)
		if !ok || field.Hash == "" {
			continue
		}
		password, _ := e.Value.(string)
		if issue := passwordTooLong(password, field.Hash); issue != "" {
			return invalid([]model.Issue{{Path: e.Key, Message: issue}})
		}
		hash, err := a.passwords.hash(ctx, slug, password, field.Hash)
		if err != nil {
			return err
		}
		document[i].Value = hash
	}
	return nil
}
