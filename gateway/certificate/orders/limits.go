package orders

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/caddyserver/certmagic"
	"go.uber.org/zap"
	"golang.org/x/net/publicsuffix"
)

// Limits mirrors what CAs allow, so that no order is sent that one would refuse. All gateways on one storage share the mirror:
// limits/<issuer>/orders.json, and limits/<issuer>/domains/<registered domain>.json. A file that is damaged counts as empty. Any number
// of goroutines may call it at once.
type Limits struct {
	storage certmagic.Storage
	clock   Clock
	logger  *zap.Logger

	mu    sync.Mutex
	desks map[string]*desk
	said  map[string]bool // damaged files that the log has had
}

// desk is where the orders to one issuer pass, one at a time.
type desk struct {
	turn chan struct{} // holds one value while somebody is at the desk; unlike a mutex it can be given up waiting for

	mu      sync.Mutex
	account account // as it was last read or written
	read    bool
}

// unlockPatience bounds the release of a lock, which is done although the caller may have given up.
const unlockPatience = 5 * time.Second

// NewLimits returns the mirror that a storage holds. clock and logger may be nil.
func NewLimits(storage certmagic.Storage, clock Clock, logger *zap.Logger) *Limits {
	if clock == nil {
		clock = System
	}
	if logger == nil {
		logger = zap.NewNop()
	}
	return &Limits{storage: storage, clock: clock, logger: logger, desks: map[string]*desk{}, said: map[string]bool{}}
}

// Request is an order that is about to be sent.
type Request struct {
	// Issuer is the name of the CA's account, as it is in file names.
	Issuer string
	Rules  Rules
	Domain string
	// Renewal says that there has been a certificate for exactly this name; Rules.Registered does not apply.
	Renewal bool
	// ARI says that the order replaces a certificate in the CA's window (RFC 9773 §5). No rule applies, and nothing is recorded.
	ARI bool
}

// Reserve records an order where there is room for it, and returns nil; else it says how long to wait. An error means that the storage
// could not be used; nothing should be ordered then. Even a renewal in the CA's window waits for the end of a Hold.
func (l *Limits) Reserve(ctx context.Context, r Request) (*Later, error) {
	if r.ARI || r.Rules == (Rules{}) {
		return l.held(ctx, r.Issuer)
	}
	var later *Later
	err := l.atDesk(ctx, r.Issuer, func(b *books) error {
		now := l.clock.Now()
		if later = b.refusal(r, now); later != nil {
			return nil
		}
		b.record(r, now)
		return b.save(r.Domain)
	})
	return later, err
}

// Refund takes back a reservation whose order did not reach the CA, or was refused by it.
func (l *Limits) Refund(ctx context.Context, r Request) error {
	if r.ARI || r.Rules == (Rules{}) {
		return nil
	}
	return l.atDesk(ctx, r.Issuer, func(b *books) error {
		site := b.site(r.Domain)
		at, ok := site.takeBack(r.Domain, l.clock.Now())
		if !ok {
			return b.err
		}
		b.account.takeBack(at)
		return b.save(r.Domain)
	})
}

// NotIssued says that an order reached the CA and no certificate came of it: it counts as an order, but as no certificate.
func (l *Limits) NotIssued(ctx context.Context, r Request) error {
	if r.ARI || r.Rules == (Rules{}) {
		return nil
	}
	return l.atDesk(ctx, r.Issuer, func(b *books) error {
		if _, ok := b.site(r.Domain).takeBack(r.Domain, l.clock.Now()); !ok {
			return b.err
		}
		return b.save(r.Domain)
	})
}

// Failed records a failed authorization of a domain. No certificate came of its last order, which counts as an order only from now on.
func (l *Limits) Failed(ctx context.Context, issuer, domain string) error {
	return l.atDesk(ctx, issuer, func(b *books) error {
		site, now := b.site(domain), l.clock.Now()
		site.takeBack(domain, now)
		site.Failures = bounded(append(forget(site.Failures, now, maxPause), event{Name: domain, At: stampOf(now)}))
		return b.save(domain)
	})
}

// Hold has nothing ordered from an issuer until then, a day at most: it answered 429 after all. An earlier end does not shorten it.
func (l *Limits) Hold(ctx context.Context, issuer string, until time.Time) error {
	return l.atDesk(ctx, issuer, func(b *books) error {
		limit := l.clock.Now().Add(maxHold)
		if until.After(limit) {
			until = limit
		}
		b.account.Hold = max(b.account.Hold, stampOf(until))
		return b.saveAccount()
	})
}

// Wait returns how long it takes until the nth next order, n from 1, may begin at an issuer. It asks memory only, which knows what the
// last Reserve saw.
func (l *Limits) Wait(issuer string, rules Rules, n int) time.Duration {
	d := l.desk(issuer)
	d.mu.Lock()
	defer d.mu.Unlock()
	now := l.clock.Now()
	hold := max(d.account.Hold.time().Sub(now), 0)
	return hold + rules.Orders.wait(d.account.Orders, now.Add(hold), n)
}

// held returns the refusal of an issuer that is on hold.
func (l *Limits) held(ctx context.Context, issuer string) (*Later, error) {
	d := l.desk(issuer)
	d.mu.Lock()
	account, read := d.account, d.read
	d.mu.Unlock()
	if !read {
		b := l.open(ctx, issuer)
		if b.err != nil {
			return nil, b.err
		}
		account = *b.account
		d.note(account)
	}
	return account.refusal(issuer, l.clock.Now()), nil
}

func (l *Limits) desk(issuer string) *desk {
	l.mu.Lock()
	defer l.mu.Unlock()
	d := l.desks[issuer]
	if d == nil {
		d = &desk{turn: make(chan struct{}, 1)}
		l.desks[issuer] = d
	}
	return d
}

// note remembers an account for Wait.
func (d *desk) note(a account) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.account, d.read = a, true
}

// atDesk reads the books, has work done on them and remembers the account, while nobody else does so: of this process, then of all.
func (l *Limits) atDesk(ctx context.Context, issuer string, work func(*books) error) error {
	d := l.desk(issuer)
	select {
	case d.turn <- struct{}{}:
		defer func() { <-d.turn }()
	case <-ctx.Done():
		return ctx.Err()
	}
	lock := "limits-" + fileName(issuer)
	if err := l.storage.Lock(ctx, lock); err != nil {
		return fmt.Errorf("the limits of %q cannot be locked in the storage: %w", issuer, err)
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), unlockPatience)
		defer cancel()
		if err := l.storage.Unlock(ctx, lock); err != nil {
			l.logger.Warn("the lock on a certificate authority's limits could not be released", zap.String("issuer", issuer), zap.Error(err))
		}
	}()
	b := l.open(ctx, issuer)
	if b.err != nil {
		return b.err
	}
	err := work(b)
	if err == nil {
		err = b.err
	}
	d.note(*b.account)
	return err
}

// warnOnce tells of a damaged file, once for each.
func (l *Limits) warnOnce(key string) {
	l.mu.Lock()
	known := l.said[key] || len(l.said) >= maxRecords
	l.said[key] = true
	l.mu.Unlock()
	if !known {
		l.logger.Warn("a file with a certificate authority's limits is damaged and counts as empty", zap.String("file", key))
	}
}

// registeredDomain is the name that a limit goes by: one label below a public suffix.
func registeredDomain(domain string) string {
	domain = strings.TrimPrefix(domain, "*.")
	if registered, err := publicsuffix.EffectiveTLDPlusOne(domain); err == nil {
		return registered
	}
	return domain // a suffix itself, or a single label
}

// fileName makes a name fit for a part of a storage key.
func fileName(name string) string {
	if safe := strings.Trim(certmagic.StorageKeys.Safe(name), "."); safe != "" {
		return safe
	}
	return "_"
}
