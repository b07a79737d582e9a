package certificate

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"

	"metahub/gateway/certificate/orders"
	"metahub/gateway/certificate/record"
	"metahub/gateway/certificate/storage"
	"metahub/tenant"
)

const (
	// registryPause is how soon a saved tenants.yaml is noticed.
	registryPause = 250 * time.Millisecond
	// storagePause is how soon another gateway's certificates are.
	storagePause = 2 * time.Second
	// wantedPause is how often the wanted domains are gone through although nothing has changed: files may be about to expire.
	wantedPause = time.Hour
	// changesTimeout bounds a question for them; a storage with 100,000 takes a second to answer the first.
	changesTimeout = 30 * time.Second
	// sweepPause is how often what killed gateways left of their challenges is removed.
	sweepPause = 24 * time.Hour
)

// follow keeps the queue's list of domains, and the shelf, up to date until ctx ends.
func (k *Keeper) follow(ctx context.Context) {
	f := follower{keeper: k, noted: map[string]time.Time{}}
	registry, shared, sweep := time.NewTicker(registryPause), time.NewTicker(storagePause), time.NewTimer(time.Minute)
	defer registry.Stop()
	defer shared.Stop()
	defer sweep.Stop()
	warm := make(chan struct{})
	k.background.Go(func() { defer close(warm); k.warmUp(ctx) })
	for {
		select {
		case <-ctx.Done():
			return
		case <-warm:
			warm = nil
			f.renewList()
		case <-registry.C:
			f.watchRegistry()
		case <-shared.C:
			f.watchStorage(ctx)
		case <-sweep.C:
			k.background.Go(func() { k.sweep(ctx) })
			sweep.Reset(sweepPause)
		case domain := <-k.asked:
			f.front(domain)
		case domain := <-k.torn:
			f.repair(domain)
		}
	}
}

// follower is what the follow loop knows; it belongs to that loop alone.
type follower struct {
	keeper    *Keeper
	directory *tenant.Directory
	files     *map[string]publication
	listed    time.Time
	noted     map[string]time.Time // stand-ins that the log has mentioned
	failing   bool                 // the storage does not answer
	stale     bool                 // the list is to be made anew
}

// watchRegistry gives the queue a new list when tenants.yaml or the PEM files have changed.
func (f *follower) watchRegistry() {
	k := f.keeper
	defer k.rescue("following tenants.yaml")
	if f.stale || k.registry.Current() != f.directory || k.files.published.Load() != f.files || time.Since(f.listed) > wantedPause {
		f.renewList()
	}
}

func (f *follower) renewList() {
	k := f.keeper
	defer k.rescue("listing the wanted certificates")
	before := f.directory
	f.stale, f.directory, f.files, f.listed = false, k.registry.Current(), k.files.published.Load(), time.Now()
	k.queue.Set(k.wanted(f.directory))
	f.wakeChanged(before)
}

// wakeChanged tries those domains at once whose tenant has just been told another issuer or another DNS provider.
func (f *follower) wakeChanged(before *tenant.Directory) {
	if before == nil || before == f.directory {
		return
	}
	for _, t := range f.directory.Tenants() {
		old, ok := before.Tenant([]byte(t.Slug))
		if ok && old != t && old.Certificate != t.Certificate {
			f.keeper.queue.Retry(t.Domains...)
		}
	}
}

// watchStorage takes over what other gateways, or metahub certs adopt, have stored.
func (f *follower) watchStorage(ctx context.Context) {
	k := f.keeper
	defer k.rescue("following the certificate storage")
	keys, mark, err := f.changes(ctx)
	if err != nil {
		if !f.failing && ctx.Err() == nil {
			k.logger.Warn("the certificate storage does not answer, certificates in use go on", zap.Stringer("storage", k.storage), zap.Error(err))
		}
		f.failing = true
		return
	}
	if f.failing {
		k.logger.Info("the certificate storage answers again", zap.Stringer("storage", k.storage))
	}
	f.failing, k.mark = false, mark
	late := k.untaken.takeAll()
	k.fetch(ctx, append(late, domainsOf(keys)...))
	if len(late) > 0 {
		f.stale = true // they were not on the list
	}
}

func (f *follower) changes(ctx context.Context) ([]string, storage.Mark, error) {
	ctx, cancel := context.WithTimeout(ctx, changesTimeout)
	defer cancel()
	return f.keeper.storage.Changes(ctx, record.Folder, f.keeper.mark)
}

// sweep removes leftovers of challenges.
func (k *Keeper) sweep(ctx context.Context) {
	defer k.rescue("removing leftovers of challenges")
	if err := k.challenges.Sweep(ctx); err != nil && ctx.Err() == nil {
		k.logger.Debug("leftovers of challenges could not be removed", zap.Error(err))
	}
}

// front moves the order of a host that visitors ask for to the front, and says once in a while why they see a warning.
func (f *follower) front(domain string) {
	k := f.keeper
	defer k.rescue("hastening an order")
	k.queue.Front(domain)
	now := time.Now()
	if now.Sub(f.noted[domain]) < time.Hour {
		return
	}
	if len(f.noted) > 10_000 {
		clear(f.noted)
	}
	f.noted[domain] = now
	status, _ := k.queue.StatusOf(domain)
	k.logger.Warn("visitors get a certificate of the local authority, which browsers do not accept, as the host's own is not there yet",
		zap.String("domain", domain), zap.String("state", string(status.State)), zap.String("reason", status.Error))
}

// repair orders the certificate anew of which the file is damaged.
func (f *follower) repair(domain string) {
	k := f.keeper
	defer k.rescue("repairing a certificate")
	k.unread.remove(domain)
	f.stale = true
	if _, ok := k.shelf.Info(domain); ok {
		if err := k.queue.Renew(domain); err != nil && !errors.Is(err, orders.ErrUnknownDomain) {
			k.logger.Warn("a damaged certificate cannot be ordered anew", zap.String("domain", domain), zap.Error(err))
		}
	}
}

// rescue keeps a fault of ours in a background task from ending the process for all tenants.
func (k *Keeper) rescue(task string) {
	if fault := recover(); fault != nil {
		k.logger.Error(task+" failed", zap.String("panic", fmt.Sprint(fault)), zap.Stack("stack"))
	}
}
