package api

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"golang.org/x/crypto/bcrypt"

	"metahub/api/model"
	"metahub/store"
)

const (
	// passwordCost is the one that existing users' hashes have, so that an unknown user costs as much time as a known one.
	passwordCost = bcrypt.DefaultCost
	// maxCost is the most work that a hash from a database may ask for: each step doubles it, and cannot be stopped.
	maxCost = 14
	// maxPassword is where bcrypt stops reading.
	maxPassword = 72
	// nobodysHash is compared with where there is no user. It is the hash of 32 random bytes that were thrown away.
	nobodysHash = "$2a$10$3MjNTjf7BviVysRNBm.JKuFtou3FR0/z7uO9/saik5HTJoTme6kKq"
)

// hasher runs bcrypt, which is slow on purpose, on some of the processors: sign-in must not starve everything else. Each tenant has
// a share of the slots and waits for its own share first, so that one whose sign-in is attacked does not keep the others waiting.
type hasher struct {
	slots chan struct{} // of all tenants, given out in the order of asking

	mu     sync.Mutex
	shares map[string]*share // by slug, of tenants that are hashing or waiting to
}

// share bounds how many slots one tenant holds or waits for at once.
type share struct {
	slots chan struct{}
	users int
}

func newHasher() *hasher {
	return &hasher{slots: make(chan struct{}, max(1, runtime.GOMAXPROCS(0)/2)), shares: map[string]*share{}}
}

func (h *hasher) hash(ctx context.Context, slug, password string) (hash string, err error) {
	err = h.run(ctx, slug, func() error {
		out, err := bcrypt.GenerateFromPassword([]byte(password), passwordCost)
		hash = string(out)
		return err
	})
	return hash, err
}

// matches compares with hash, or does as much work in vain where there is no usable hash. Passwords are cut at 72 bytes, as other
// implementations of bcrypt do that have made the hashes of existing users.
func (h *hasher) matches(ctx context.Context, slug, hash, password string) (same bool, err error) {
	cost, err := bcrypt.Cost([]byte(hash))
	known := err == nil && cost <= maxCost
	if !known {
		hash = nobodysHash
	}
	err = h.run(ctx, slug, func() error {
		same = bcrypt.CompareHashAndPassword([]byte(hash), []byte(password)) == nil && known
		return nil
	})
	return same, err
}

// run waits for a slot of the tenant's share and then for one of all, no longer than ctx.
func (h *hasher) run(ctx context.Context, slug string, work func() error) error {
	own := h.join(slug)
	defer h.part(slug, own)
	for _, slots := range [...]chan struct{}{own.slots, h.slots} {
		select {
		case slots <- struct{}{}:
			defer func() { <-slots }()
		case <-ctx.Done():
			return &store.Unavailable{RetryAfter: time.Second, Cause: errors.New("too many sign-ins wait for a processor")}
		}
	}
	return work()
}

func (h *hasher) join(slug string) *share {
	h.mu.Lock()
	defer h.mu.Unlock()
	own := h.shares[slug]
	if own == nil {
		own = &share{slots: make(chan struct{}, max(1, cap(h.slots)/2))}
		h.shares[slug] = own
	}
	own.users++
	return own
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
		if !ok || !field.Hashed() {
			continue
		}
		password, _ := e.Value.(string)
		if len(password) > maxPassword {
			return invalid([]model.Issue{{Path: e.Key, Message: "must have at most 72 bytes"}})
		}
		hash, err := a.passwords.hash(ctx, slug, password)
		if err != nil {
			return err
		}
		document[i].Value = hash
	}
	return nil
}
