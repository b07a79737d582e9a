package certificate

import (
	"context"
	"fmt"
	"os"
	"time"

	"go.uber.org/zap"

	"metahub/gateway/certificate/record"
	"metahub/gateway/certificate/storage"
	"metahub/tenant"
)

// openPatience is how long a start waits for a storage on the network.
const openPatience = 10 * time.Second

// openStorage opens what gateway.certificates.storage names, sealed where there is a storage_key. local is where handshakes find
// certificates: the same, or for MongoDB a copy in the certificate folder, which also carries a start on which MongoDB does not answer.
func openStorage(settings tenant.Certificates, logger *zap.Logger) (shared, local storage.Storage, err error) {
	if err := os.MkdirAll(settings.Folder, 0o755); err != nil {
		return nil, nil, fmt.Errorf("certificates cannot be kept in %q: make the folder writable for this user: %w", settings.Folder, err)
	}
	var key []byte
	if !settings.StorageKey.IsZero() {
		if key, err = storage.ParseKey(settings.StorageKey.Reveal()); err != nil {
			return nil, nil, fmt.Errorf("gateway.certificates.storage_key: %w", err)
		}
	}
	folder := settings.Folder
	if settings.StorageFolder != "" {
		folder = settings.StorageFolder
	}
	if local, err = openSealed(func() (storage.Storage, error) { return storage.OpenFolder(folder, logger) }, key); err != nil {
		return nil, nil, err
	}
	if settings.StorageURI.IsZero() {
		return local, local, nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), openPatience)
	defer cancel()
	remote, err := openSealed(func() (storage.Storage, error) {
		return storage.OpenMongo(ctx, settings.StorageURI.Reveal(), local.Exists(ctx, rootKeyKey), logger)
	}, key)
	if err != nil {
		return nil, nil, closeWith(local, err)
	}
	return &mirror{Storage: remote, local: local, logger: logger}, local, nil
}

// openSealed opens a storage that encrypts with key; without one it reads plain values and says of encrypted ones what they are.
func openSealed(open func() (storage.Storage, error), key []byte) (storage.Storage, error) {
	opened, err := open()
	if err != nil {
		return nil, err
	}
	return storage.Seal(opened, key)
}

// secretPrefixes are where private keys lie.
var secretPrefixes = []string{record.Folder, "acme", "authority", "tickets"}

// sealAll encrypts what lies in the storage in the clear, which it does after a storage_key was set for the first time.
func (k *Keeper) sealAll(ctx context.Context) {
	defer k.rescue("encrypting the certificate storage")
	if k.settings.StorageKey.IsZero() {
		return
	}
	stores := []storage.Storage{k.local}
	if m, ok := k.storage.(*mirror); ok {
		stores = append(stores, m.Storage)
	}
	for _, s := range stores {
		n, err := storage.SealAll(ctx, s, secretPrefixes...)
		if n > 0 {
			k.logger.Info("encrypted what lay in the certificate storage in the clear", zap.Stringer("storage", s), zap.Int("values", n))
		}
		if err != nil && ctx.Err() == nil {
			k.logger.Warn("not everything in the certificate storage could be encrypted", zap.Stringer("storage", s), zap.Error(err))
		}
	}
}
