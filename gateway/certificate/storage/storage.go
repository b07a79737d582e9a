// Package storage is where certificates, keys and what goes with them are kept, so that several gateways can share them.
//
//	s, err := storage.OpenFolder("certs", logger)             // or storage.OpenMongo(ctx, "mongodb://…", false, logger)
//	s, err = storage.Seal(s, key)                             // private keys at rest are encrypted
//	defer s.Close(ctx)
//	if ok, err := s.TryLock(ctx, "order-ensotek.de"); ok {
//		defer s.Unlock(ctx, "order-ensotek.de")
//		err = s.StoreLocked(ctx, "order-ensotek.de", "certificates/ensotek.de.pem", value)
//	}
//	keys, mark, err := s.Changes(ctx, "certificates", mark)   // what others wrote meanwhile
//
// A value is replaced as a whole or not at all, whatever dies in between. A lock carries a lease: its holder renews it, and one whose
// holder is gone is taken over. Each holder of a lock gets a token greater than the one before; StoreLocked checks it in the storage
// itself, so that a holder that slept through the end of its lease cannot overwrite what its successor wrote.
//
// The package knows nothing of what it keeps, and keeps no copies in memory.
package storage

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/caddyserver/certmagic"
)

// Storage is certmagic's contract and what several gateways on one storage need besides. Keys are paths with forward slashes; the
// folder "locks" is the storage's own. An empty value counts as absent. All methods may be called at once from any number of
// goroutines and processes.
type Storage interface {
	// Storage's Lock blocks until the lock is had or ctx ends. A lock is not reentrant. Unlock releases whatever ctx says, and is an error
	// where this process does not hold the lock; to release one that was lost meanwhile is none.
	certmagic.Storage

	// TryLock takes a lock that is free, or whose holder is gone, and does not wait.
	TryLock(ctx context.Context, name string) (bool, error)

	// StoreLocked is Store by the holder of a lock. It fails with ErrLockLost, and stores nothing, when the lock was lost meanwhile.
	StoreLocked(ctx context.Context, lock, key string, value []byte) error

	// Changes returns the keys below prefix that were written or deleted since a mark, and the mark for the next call. The zero Mark returns
	// all keys that there are. A key may be returned again that has not changed. Deletions are known for an hour.
	Changes(ctx context.Context, prefix string, since Mark) (keys []string, next Mark, err error)

	// String names the storage for people, without credentials.
	String() string

	// Close releases the locks that are held, as long as ctx allows; after it nothing may be called.
	Close(ctx context.Context) error
}

// Mark is a moment in the history of a storage and a prefix. It is immutable; of another storage or prefix it counts as the zero Mark.
type Mark struct {
	prefix string
	folder *folderMark
	mongo  *mongoMark
}

// ErrLockLost is what StoreLocked fails with when its lock is not held any more.
var ErrLockLost = errors.New("the lock was lost, because its lease could not be renewed in time or because another process took it over")

// ErrTorn is what a value is that is there but empty or damaged. An error that wraps it wraps fs.ErrNotExist too: such a value counts as
// absent.
var ErrTorn = fmt.Errorf("the value is empty or damaged: %w", fs.ErrNotExist)

var errClosed = errors.New("the certificate storage is closed")

const (
	// callTimeout bounds one exchange with the place where values are kept.
	callTimeout = 5 * time.Second
	// abandonTimeout bounds what is done for tidiness after a call has failed.
	abandonTimeout = time.Second
	// scanTimeout bounds a look at all keys.
	scanTimeout = 30 * time.Second
	// maxValue is the largest value, in bytes. A MongoDB document holds 16 MiB.
	maxValue = 8 << 20
)

func checkSize(key string, value []byte) error {
	if len(value) > maxValue {
		return fmt.Errorf("the value of %q has %d bytes, more than the %d that the certificate storage takes", key, len(value), maxValue)
	}
	return nil
}
