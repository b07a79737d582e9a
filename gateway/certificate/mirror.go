package certificate

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"strings"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"metahub/gateway/certificate/storage"
)

// mirror is a storage on the network with a copy on this machine of what is needed to serve: what was read or written last is there when
// the network is not. Locks, limits and challenges are never copied.
type mirror struct {
	storage.Storage
	local  storage.Storage
	logger *zap.Logger
	failed atomic.Int64 // when the network failed last, Unix seconds
}

// downPause is for how long the copy answers at once after the network has failed, so that not everybody waits for the same time-out.
const downPause = 10 * time.Second

// isCopied reports whether a key is worth a copy.
func isCopied(key string) bool {
	for _, prefix := range []string{"certificates/", "authority/", "tickets/", "acme/"} {
		if strings.HasPrefix(key, prefix) {
			return true
		}
	}
	return false
}

// Load implements certmagic.Storage. The copy answers when the network does not.
func (m *mirror) Load(ctx context.Context, key string) ([]byte, error) {
	if time.Since(time.Unix(m.failed.Load(), 0)) < downPause && isCopied(key) {
		if value, err := m.local.Load(ctx, key); err == nil {
			return value, nil
		}
	}
	value, err := m.Storage.Load(ctx, key)
	switch {
	case err == nil:
		m.keep(ctx, key, value)
		return value, nil
	case errors.Is(err, fs.ErrNotExist) || !isCopied(key):
		return nil, err
	}
	m.failed.Store(time.Now().Unix())
	if value, localErr := m.local.Load(context.WithoutCancel(ctx), key); localErr == nil {
		return value, nil
	}
	return nil, err
}

// TryLock implements storage.Storage. Who holds a lock decides by what the storage itself says.
func (m *mirror) TryLock(ctx context.Context, name string) (bool, error) {
	locked, err := m.Storage.TryLock(ctx, name)
	if locked {
		m.failed.Store(0)
	}
	return locked, err
}

// Store implements certmagic.Storage.
func (m *mirror) Store(ctx context.Context, key string, value []byte) error {
	if err := m.Storage.Store(ctx, key, value); err != nil {
		return err
	}
	m.keep(ctx, key, value)
	return nil
}

// StoreLocked implements storage.Storage.
func (m *mirror) StoreLocked(ctx context.Context, lock, key string, value []byte) error {
	if err := m.Storage.StoreLocked(ctx, lock, key, value); err != nil {
		return err
	}
	m.keep(ctx, key, value)
	return nil
}

// keep brings the copy up to date.
func (m *mirror) keep(ctx context.Context, key string, value []byte) {
	if !isCopied(key) {
		return
	}
	ctx = context.WithoutCancel(ctx)
	if old, err := m.local.Load(ctx, key); err == nil && bytes.Equal(old, value) {
		return
	}
	if err := m.local.Store(ctx, key, value); err != nil {
		m.logger.Warn("the local copy of the certificate storage cannot be written", zap.String("key", key), zap.Error(err))
	}
}

// Close implements storage.Storage.
func (m *mirror) Close(ctx context.Context) error {
	return errors.Join(m.Storage.Close(ctx), m.local.Close(ctx))
}
