package certificate

import (
	"context"
	"errors"
	"sync"
	"time"

	"go.uber.org/zap"

	"metahub/gateway/certificate/orders"
	"metahub/gateway/certificate/record"
	"metahub/gateway/certificate/shelf"
	"metahub/gateway/certificate/spread"
	"metahub/gateway/certificate/storage"
)

// changing lets only one at a time change what the shelf has of a domain. Handshakes know nothing of it.
type changing [64]sync.Mutex

func (c *changing) lock(domain string) (unlock func()) {
	mu := &c[int(spread.Of(domain)*float64(len(c)))]
	mu.Lock()
	return mu.Unlock
}

// stored finds what another gateway has obtained, or an administrator has adopted, since the job was made.
func (s *supply) stored(ctx context.Context, job orders.Job) (orders.Have, bool) {
	info, err := s.load(ctx, job.Domain)
	if err != nil || !s.clock.Now().Before(info.NotAfter) {
		return orders.Have{}, false
	}
	if job.Have != nil && !info.NotBefore.After(job.Have.NotBefore) {
		return orders.Have{}, false // the very one that is to be renewed
	}
	return s.have(job.Domain, info), true
}

// load brings the shelf up to date with the storage. What the shelf has and the storage has not yet, as after an outage, is kept.
func (s *supply) load(ctx context.Context, domain string) (shelf.Info, error) {
	defer s.changing.lock(domain)()
	text, err := s.storage.Load(ctx, record.StorageKey(domain))
	if err != nil {
		return shelf.Info{}, err
	}
	if info, ok := s.shelf.Info(domain); ok && s.isOlder(domain, text, info) {
		return info, nil
	}
	return s.shelf.Put(domain, text)
}

// isOlder reports whether a certificate came before another and is good for no longer.
func (s *supply) isOlder(domain string, text []byte, than shelf.Info) bool {
	r, err := record.Parse(domain, text)
	return err == nil && r.Leaf.NotBefore.Before(than.NotBefore) && !r.Leaf.NotAfter.After(than.NotAfter)
}

// keep puts a certificate into the storage and on the shelf.
func (s *supply) keep(ctx context.Context, lock, domain string, text []byte) (shelf.Info, error) {
	info, stored, err := s.storeAndPut(ctx, lock, domain, text)
	if err == nil && !stored {
		s.storeLater(ctx, lock, domain, text)
	}
	return info, err
}

// storeAndPut is one step for those who bring the shelf up to date from the storage: they see both or neither. What visitors have seen is
// in the storage already, unless that is away.
func (s *supply) storeAndPut(ctx context.Context, lock, domain string, text []byte) (info shelf.Info, stored bool, err error) {
	defer s.changing.lock(domain)()
	stored = s.store(ctx, lock, domain, text)
	info, err = s.shelf.Put(domain, text)
	return info, stored, err
}

// store reports whether there is no more to be done.
func (s *supply) store(ctx context.Context, lock, domain string, text []byte) (done bool) {
	err := s.storage.StoreLocked(ctx, lock, record.StorageKey(domain), text)
	if err == nil {
		return true
	}
	if errors.Is(err, storage.ErrLockLost) {
		err = s.storeAnew(ctx, lock, domain, text)
	}
	if err == nil {
		return true
	}
	s.logger.Error("a certificate was obtained and cannot be stored, it serves until this process ends: make the certificate storage writable",
		zap.String("domain", domain), zap.Stringer("storage", s.storage), zap.Error(err))
	return false
}

// storeAnew takes the lock again that ran out in an outage, and stores unless another gateway has stored a newer one meanwhile.
func (s *supply) storeAnew(ctx context.Context, lock, domain string, text []byte) error {
	s.unlock(ctx, lock)
	locked, err := s.storage.TryLock(ctx, lock)
	if err != nil {
		return err
	}
	if !locked {
		return storage.ErrLockLost
	}
	stored, err := s.storage.Load(ctx, record.StorageKey(domain))
	if err == nil {
		if ours, err := record.Parse(domain, text); err == nil && !s.isOlder(domain, stored, shelf.Info{NotBefore: ours.Leaf.NotBefore, NotAfter: ours.Leaf.NotAfter}) {
			_, err := s.shelf.Put(domain, stored)
			return err
		}
	}
	return s.storage.StoreLocked(ctx, lock, record.StorageKey(domain), text)
}

// storeLater keeps on trying, since an order was spent: the certificate serves from memory meanwhile.
func (s *supply) storeLater(ctx context.Context, lock, domain string, text []byte) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(storePause):
		}
		if s.store(ctx, lock, domain, text) {
			return
		}
	}
}
