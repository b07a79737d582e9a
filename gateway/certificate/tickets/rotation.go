// Package tickets rotates the keys of TLS session tickets and shares them through the storage, so that a session that began at one
// gateway resumes at another (RFC 5077, RFC 8446 §4.6.1).
//
//	rotation, err := tickets.Start(ctx, tickets.Config{Storage: storage, Set: tlsConfig.SetSessionTicketKeys, Logger: logger})
//	defer rotation.Stop()
//
// The keys are in one file, which is written under the storage's lock. A new key is published before it is used, so that every gateway
// knows it by then, and the last four stay able to open tickets. Without the storage a gateway goes on with the keys that it has.
package tickets

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/caddyserver/certmagic"
	"go.uber.org/zap"
)

const (
	defaultEvery = 12 * time.Hour
	defaultPoll  = time.Minute
	// patience bounds each visit to the storage.
	patience = 10 * time.Second
)

// Config is what a Rotation is made of. Storage and Set are required.
type Config struct {
	// Storage is shared by the gateways whose sessions are to resume at each other.
	Storage certmagic.Storage
	// Set is tls.Config.SetSessionTicketKeys, or several of them: the first key encrypts, all of them decrypt. It is called by one
	// goroutine at a time, before Start returns and then whenever something changed. It must not keep or change the slice.
	Set func(keys [][32]byte)
	// Every is how long a key encrypts; 0 stands for 12 hours. A ticket opens for three to four times as long, and for seven days at most (RFC 8446 §4.6.1).
	Every time.Duration
	// Poll is how often the storage is looked at; 0 stands for one minute. A new key is published two polls before it is used, so all
	// gateways need about the same Poll, and clocks that differ by less.
	Poll time.Duration
	// Now is the clock; nil stands for time.Now.
	Now func() time.Time
	// Logger may be nil.
	Logger *zap.Logger
}

// Rotation keeps the keys of one gateway up to date until Stop.
type Rotation struct {
	storage certmagic.Storage
	set     func(keys [][32]byte)
	plan    plan
	poll    time.Duration
	now     func() time.Time
	logger  *zap.Logger

	keys    keyRing    // what the storage held when it was last looked at
	given   [][32]byte // what set was last called with
	ill     bool       // the storage failed when it was last visited; said
	torn    bool       // the file was damaged when it was last read; said
	stop    context.CancelFunc
	stopped sync.WaitGroup
}

// Start gives Set its first keys before it returns: those in the storage, or new ones. When the storage fails, for at most ten seconds,
// it makes keys of its own and goes on trying. The only errors are those of the Config. Ending ctx does what Stop does.
func Start(ctx context.Context, config Config) (*Rotation, error) {
	if config.Storage == nil || config.Set == nil {
		return nil, errors.New("session ticket keys need a Storage to be kept in and a Set to be handed to")
	}
	if config.Every <= 0 {
		config.Every = defaultEvery
	}
	if config.Poll <= 0 {
		config.Poll = defaultPoll
	}
	if config.Now == nil {
		config.Now = time.Now
	}
	if config.Logger == nil {
		config.Logger = zap.NewNop()
	}
	r := &Rotation{
		storage: config.Storage,
		set:     config.Set,
		plan:    plan{every: config.Every, lead: 2 * config.Poll},
		poll:    config.Poll,
		now:     config.Now,
		logger:  config.Logger,
	}
	ctx, r.stop = context.WithCancel(ctx)
	r.refresh(ctx)
	r.stopped.Go(func() { r.run(ctx) })
	return r, nil
}

// Stop ends the rotation and waits for it; a visit to the storage that is under way is broken off. The keys last set stay in use.
func (r *Rotation) Stop() {
	r.stop()
	r.stopped.Wait()
}

func (r *Rotation) run(ctx context.Context) {
	ticker := time.NewTicker(r.poll)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			r.refresh(ctx)
		}
	}
}

// refresh looks at the storage once and hands on what changed. A panic, of the storage or of Set, costs one round.
func (r *Rotation) refresh(ctx context.Context) {
	keys, err := r.visit(ctx)
	r.sayHealth(ctx, err)
	if err == nil {
		r.keys = keys
	}
	r.giveOut()
}

// giveOut calls Set where the keys, or the one that encrypts, are others than before.
func (r *Rotation) giveOut() {
	defer func() {
		if p := recover(); p != nil {
			r.logger.Error("panic while session ticket keys were set", zap.Any("panic", p), zap.Stack("stack"))
		}
	}()
	now := r.now()
	if r.plan.overdue(r.keys, now) { // the storage fails from the start, or has failed for long
		r.keys = r.plan.renew(r.keys, now)
	}
	if keys := r.keys.inUse(now); !slices.Equal(keys, r.given) {
		r.set(keys)
		r.given = keys
	}
}
