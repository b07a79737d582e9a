package certificate

import (
	"context"
	"errors"
	"io/fs"
	"maps"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"

	"metahub/gateway/certificate/record"
	"metahub/gateway/certificate/storage"
)

const (
	// loadTimeout bounds one reading of a certificate from the storage.
	loadTimeout = 5 * time.Second
	// loadsAtOnce bounds how many certificates are read from a storage on the network at a time.
	loadsAtOnce = 16
)

// domainSet is a set of domains. Its methods may be called at once.
type domainSet struct {
	mu      sync.Mutex
	domains map[string]bool
}

func (s *domainSet) add(domains ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.domains == nil {
		s.domains = make(map[string]bool, len(domains))
	}
	for _, domain := range domains {
		s.domains[domain] = true
	}
}

func (s *domainSet) has(domain string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.domains[domain]
}

func (s *domainSet) remove(domain string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.domains, domain)
}

func (s *domainSet) copy() map[string]bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.domains)
}

// takeAll empties the set.
func (s *domainSet) takeAll() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := slices.Collect(maps.Keys(s.domains))
	s.domains = nil
	return all
}

// loadLocal is what handshakes read a certificate with.
func (k *Keeper) loadLocal(domain string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(context.Background(), loadTimeout)
	defer cancel()
	return k.local.Load(ctx, record.StorageKey(domain))
}

// noteTorn is told of damaged files, by handshakes too: it does not wait.
func (k *Keeper) noteTorn(domain string) {
	select {
	case k.torn <- domain:
	default:
	}
}

// findStored learns which certificates there are, without reading them. Where the storage is on the network, those that this machine
// has no copy of are fetched first, as handshakes wait for no network.
func (k *Keeper) findStored() {
	ctx, cancel := context.WithTimeout(context.Background(), openPatience)
	defer cancel()
	keys, mark, err := k.storage.Changes(ctx, record.Folder, storage.Mark{})
	if err != nil {
		k.logger.Warn("the certificate storage does not answer, this machine's copy of the certificates serves", zap.Stringer("storage", k.storage), zap.Error(err))
	} else {
		k.mark = mark
	}
	shared := domainsOf(keys)
	local := k.findLocal(shared)
	k.shelf.Expect(local...)
	k.unread.add(shared...)
	k.unread.add(local...)
	ctx, cancel = context.WithTimeout(context.Background(), openPatience)
	defer cancel()
	k.fetch(ctx, missingFrom(shared, local)) // what is not done by then is read in the background
}

// findLocal lists the certificates on this machine.
func (k *Keeper) findLocal(shared []string) []string {
	if k.storage == k.local {
		return shared
	}
	ctx, cancel := context.WithTimeout(context.Background(), openPatience)
	defer cancel()
	keys, err := k.local.List(ctx, record.Folder, false)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		k.logger.Warn("the certificates on this machine cannot be listed", zap.Error(err))
	}
	return domainsOf(keys)
}

func domainsOf(keys []string) []string {
	domains := make([]string, 0, len(keys))
	for _, key := range keys {
		if domain, ok := record.DomainOf(key); ok {
			domains = append(domains, domain)
		}
	}
	return domains
}

// missingFrom returns what is in all and not in some.
func missingFrom(all, some []string) []string {
	have := make(map[string]bool, len(some))
	for _, domain := range some {
		have[domain] = true
	}
	var missing []string
	for _, domain := range all {
		if !have[domain] {
			missing = append(missing, domain)
		}
	}
	return missing
}

// fetch reads certificates from the storage, several at a time where it is on the network.
func (k *Keeper) fetch(ctx context.Context, domains []string) {
	readers := 1
	if k.storage != k.local {
		readers = loadsAtOnce
	}
	var reading sync.WaitGroup
	next := make(chan string)
	for range min(readers, len(domains)) {
		reading.Go(func() {
			for domain := range next {
				k.take(ctx, domain)
			}
		})
	}
	for _, domain := range domains {
		next <- domain
	}
	close(next)
	reading.Wait()
}

// take puts a domain's certificate from the storage on the shelf, and tells the queue. What cannot be read stays to be taken.
func (k *Keeper) take(ctx context.Context, domain string) {
	defer k.rescue("reading a certificate")
	ctx, cancel := context.WithTimeout(ctx, loadTimeout)
	defer cancel()
	info, err := k.supply.load(ctx, domain)
	switch {
	case errors.Is(err, fs.ErrNotExist): // removed, or empty: what is in memory serves on
		k.unread.remove(domain)
	case errors.Is(err, record.ErrTorn):
		k.unread.remove(domain)
		k.noteTorn(domain)
	case err != nil:
		k.untaken.add(domain)
		k.sayUnreadable(domain, err)
	default:
		k.unread.remove(domain)
		k.queue.Observe(domain, k.supply.have(domain, info))
	}
}

// unreadablePause is between two lines about certificates that cannot be read, as each is tried again every few seconds.
const unreadablePause = time.Minute

func (k *Keeper) sayUnreadable(domain string, err error) {
	now, said := time.Now().Unix(), k.unreadable.Load()
	if now-said < int64(unreadablePause.Seconds()) || !k.unreadable.CompareAndSwap(said, now) {
		return
	}
	k.logger.Warn("certificates cannot be read from the storage and are tried again: check that this user may read them and that the storage answers",
		zap.String("for_one", domain), zap.Stringer("storage", k.storage), zap.Error(err))
}

// warmUp reads what findStored has found, so that renewals can be planned. Handshakes do not wait for it.
func (k *Keeper) warmUp(ctx context.Context) {
	began := time.Now()
	pending := slices.Collect(maps.Keys(k.unread.copy()))
	k.fetch(ctx, pending)
	if len(pending) > 0 {
		k.logger.Info("read the certificates in the storage", zap.Int("certificates", len(pending)), zap.Duration("took", time.Since(began)))
	}
}
