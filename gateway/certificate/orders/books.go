package orders

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"time"
)

// books are the files of one issuer while somebody holds their lock.
type books struct {
	ctx     context.Context
	limits  *Limits
	folder  string // their prefix in the storage
	issuer  string
	account *account
	sites   map[string]*site // by storage key
	err     error            // the first failure to read
}

// open reads an account's file.
func (l *Limits) open(ctx context.Context, issuer string) *books {
	b := &books{ctx: ctx, limits: l, folder: path.Join("limits", fileName(issuer)), issuer: issuer, account: &account{}, sites: map[string]*site{}}
	*b.account = read(b, b.accountKey(), parseAccount)
	return b
}

func (b *books) accountKey() string { return path.Join(b.folder, "orders.json") }

func (b *books) siteKey(domain string) string {
	return path.Join(b.folder, "domains", fileName(registeredDomain(domain))+".json")
}

// read returns what a file says: nothing, where it is absent or damaged.
func read[T any](b *books, key string, parse func([]byte, time.Time) (T, error)) T {
	var none T
	text, err := b.limits.storage.Load(b.ctx, key)
	if errors.Is(err, fs.ErrNotExist) {
		return none
	}
	if err != nil {
		b.err = errors.Join(b.err, fmt.Errorf("the limits in %q cannot be read from the storage: %w", key, err))
		return none
	}
	content, err := parse(text, b.limits.clock.Now())
	if err != nil {
		b.limits.warnOnce(key)
	}
	return content
}

// site returns the file of a domain's registered domain.
func (b *books) site(domain string) *site {
	key := b.siteKey(domain)
	s := b.sites[key]
	if s == nil {
		content := read(b, key, parseSite)
		s = &content
		b.sites[key] = s
	}
	return s
}

// refusal says why an order must wait, nil when it need not. Rules that concern the domain alone come before those that concern all:
// the others need not wait for it.
func (b *books) refusal(r Request, now time.Time) *Later {
	if later := b.account.refusal(r.Issuer, now); later != nil {
		return later
	}
	site := b.site(r.Domain)
	if b.err != nil {
		return nil // not known: the caller gets the error
	}
	rules := r.Rules
	var own *Later
	add := func(limit Limit, stamps []stamp, what string) {
		if wait := limit.wait(stamps, now, 1); wait > 0 && (own == nil || now.Add(wait).After(own.Until)) {
			own = refuse(r.Issuer, limit, what, now.Add(wait))
		}
	}
	add(rules.Failures, of(site.Failures, r.Domain), "failed authorizations of "+r.Domain)
	add(rules.Set, of(site.Orders, r.Domain), "certificates for "+r.Domain)
	if !r.Renewal {
		add(rules.Registered, site.newOrders(), "new certificates below "+registeredDomain(r.Domain))
	}
	if own != nil {
		return own
	}
	if wait := rules.Orders.wait(b.account.Orders, now, 1); wait > 0 {
		own = refuse(r.Issuer, rules.Orders, "new orders", now.Add(wait))
		own.All = true
	}
	return own
}

func refuse(issuer string, limit Limit, what string, until time.Time) *Later {
	return &Later{Until: until, Reason: fmt.Sprintf("%s allows %d %s in %s, the next one may begin at %s", issuer, limit.N, what, span(limit.Per), until.UTC().Format("2006-01-02 15:04 MST"))}
}

// refusal says until when the CA wants no orders.
func (a *account) refusal(issuer string, now time.Time) *Later {
	if until := a.Hold.time(); until.After(now) {
		return &Later{Until: until, Reason: fmt.Sprintf("%s wants no orders before %s", issuer, until.UTC().Format("2006-01-02 15:04 MST")), All: true}
	}
	return nil
}

// record enters an order and forgets what counts no more.
func (b *books) record(r Request, now time.Time) {
	site, rules, at := b.site(r.Domain), r.Rules, stampOf(now)
	b.account.Orders = slices.Clone(since(b.account.Orders, now.Add(-rules.Orders.window())))
	if rules.Orders.N > 0 {
		b.account.Orders = append(b.account.Orders, at)
		slices.Sort(b.account.Orders) // a clock may have been set back
	}
	site.Orders = forget(site.Orders, now, max(rules.Registered.window(), rules.Set.window(), rules.Orders.window()))
	site.Failures = forget(site.Failures, now, rules.Failures.window())
	site.Orders = bounded(append(site.Orders, event{Name: r.Domain, At: at, Renewal: r.Renewal}))
}

// save writes the account and a domain's file, the account first: of a half that is lost the limit that concerns all is kept.
func (b *books) save(domain string) error {
	if b.err != nil {
		return b.err
	}
	if err := b.saveAccount(); err != nil {
		return err
	}
	key, site := b.siteKey(domain), b.site(domain)
	if len(site.Orders)+len(site.Failures) > 0 {
		return b.write(key, site)
	}
	if err := b.limits.storage.Delete(b.ctx, key); err != nil {
		return fmt.Errorf("the limits in %q cannot be removed from the storage: %w", key, err)
	}
	return nil
}

func (b *books) saveAccount() error { return b.write(b.accountKey(), b.account) }

func (b *books) write(key string, content any) error {
	text, err := json.Marshal(content)
	if err == nil {
		err = b.limits.storage.Store(b.ctx, key, text)
	}
	if err != nil {
		return fmt.Errorf("the limits in %q cannot be written to the storage: %w", key, err)
	}
	return nil
}
