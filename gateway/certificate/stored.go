package certificate

import (
	"context"
	"errors"
	"io/fs"
	"maps"
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

// unread are the domains whose certificates are in the storage and have not been read since the start.
type unread struct {
	mu      sync.Mutex
	domains map[string]bool
}

func (u *unread) set(lists ...[]string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.domains = map[string]bool{}
	for _, domains := range lists {
		for _, domain := range domains {
			u.domains[domain] = true
		}
	}
}

// read notes that a domain's certificate is known now, or known to be damaged.
func (u *unread) read(domain string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	delete(u.domains, domain)
}

func (u *unread) copy() map[string]bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return maps.Clone(u.domains)
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
	local := k.findLocal(ctx, shared)
	k.shelf.Expect(local...)
	k.unread.set(shared, local)
	k.fetch(missingFrom(shared, local))
}

// findLocal lists the certificates on this machine.
func (k *Keeper) findLocal(ctx context.Context, shared []string) []string {
	if k.storage == k.local {
		return shared
	}
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

// fetch reads certificates from a storage on the network, several at a time.
func (k *Keeper) fetch(domains []string) {
	var readers sync.WaitGroup
	next := make(chan string)
	for range min(loadsAtOnce, len(domains)) {
		readers.Go(func() {
			for domain := range next {
				k.take(context.Background(), domain)
			}
		})
	}
	for _, domain := range domains {
		next <- domain
	}
	close(next)
	readers.Wait()
}

// take puts a domain's certificate from the storage on the shelf, and tells the queue.
func (k *Keeper) take(ctx context.Context, domain string) {
	defer k.rescue("reading a certificate")
	ctx, cancel := context.WithTimeout(ctx, loadTimeout)
	defer cancel()
	info, err := k.supply.load(ctx, domain)
	switch {
	case errors.Is(err, fs.ErrNotExist): // removed, or empty: what is in memory serves on
		k.unread.read(domain)
	case errors.Is(err, record.ErrTorn):
		k.unread.read(domain)
		k.noteTorn(domain)
	case err != nil:
		k.logger.Warn("a certificate cannot be read from the storage", zap.String("domain", domain), zap.Stringer("storage", k.storage), zap.Error(err))
	default:
		k.unread.read(domain)
		k.queue.Observe(domain, k.supply.have(domain, info))
	}
}

// warmUp reads what findStored has found, listed domains first come first, so that renewals can be planned. Handshakes do not wait for it.
func (k *Keeper) warmUp(ctx context.Context) {
	began := time.Now()
	pending := k.unread.copy()
	for domain := range pending {
		if ctx.Err() != nil {
			return
		}
		k.take(ctx, domain)
	}
	if len(pending) > 0 {
		k.logger.Info("read the certificates in the storage", zap.Int("certificates", len(pending)), zap.Duration("took", time.Since(began)))
	}
}
