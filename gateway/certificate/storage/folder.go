package storage

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"github.com/caddyserver/certmagic"
	"go.uber.org/zap"
)

// folder is a Storage of files, each at its key below a path, as certmagic.FileStorage lays them out; both may use one folder at once.
// It writes nothing but what it is asked to, so that other files can lie beside.
type folder struct {
	path   string
	locks  *folderLocks
	leases *leases
	logger *zap.Logger

	saying sync.Mutex
	said   map[string]bool // keys whose emptiness was mentioned
}

// OpenFolder uses a folder, which is made when it is not there. The file system must know flock where several processes share it, as local
// ones and NFS do. logger may be nil.
func OpenFolder(path string, logger *zap.Logger) (Storage, error) {
	if logger == nil {
		logger = zap.NewNop()
	}
	if err := os.MkdirAll(path, 0o755); err != nil {
		return nil, fmt.Errorf("certificates cannot be kept in %q: make the folder writable for this user: %w", path, err)
	}
	path, err := filepath.Abs(path) // a change of the working directory must not move it
	if err != nil {
		return nil, fmt.Errorf("certificates cannot be kept in %q: %w", path, err)
	}
	locks := newFolderLocks(filepath.Join(path, locksFolder), logger)
	return &folder{path: path, locks: locks, leases: newLeases(locks, logger), logger: logger, said: map[string]bool{}}, nil
}

// String implements Storage.
func (f *folder) String() string { return "folder " + f.path }

// Close implements Storage.
func (f *folder) Close(ctx context.Context) error { return f.leases.close(ctx) }

// Lock implements certmagic.Locker.
func (f *folder) Lock(ctx context.Context, name string) error { return f.leases.lock(ctx, name) }

// TryLock implements Storage.
func (f *folder) TryLock(ctx context.Context, name string) (bool, error) {
	return f.leases.tryLock(ctx, name)
}

// Unlock implements certmagic.Locker.
func (f *folder) Unlock(ctx context.Context, name string) error { return f.leases.unlock(ctx, name) }

// Store implements certmagic.Storage.
func (f *folder) Store(ctx context.Context, key string, value []byte) error {
	return f.write(ctx, key, value, func(rename func() error) error { return rename() })
}

// StoreLocked implements Storage. The lock is looked at and the file put in its place under the guard, which a taker needs too: nobody can
// become the holder in between.
func (f *folder) StoreLocked(ctx context.Context, lock, key string, value []byte) error {
	if _, err := f.leases.holding(lock); err != nil {
		return fmt.Errorf("storing %q: %w", key, err)
	}
	return f.write(ctx, key, value, func(rename func() error) error {
		return f.locks.guard.do(ctx, func(*os.File) error {
			if err := f.stillHolds(lock); err != nil {
				return err
			}
			return rename()
		})
	})
}

// stillHolds looks again, for writing may have taken long.
func (f *folder) stillHolds(lock string) error {
	c, err := f.leases.holding(lock)
	if err != nil {
		return err
	}
	name, err := lockName(lock)
	if err != nil {
		return err
	}
	if _, err = f.locks.ours(name, c); errors.Is(err, errTaken) {
		err = ErrLockLost
	}
	if err != nil {
		return fmt.Errorf("lock %q: %w", lock, err)
	}
	return nil
}

// Load implements certmagic.Storage. It fails with ErrTorn for an empty file, as a crash of the machine may leave one.
func (f *folder) Load(ctx context.Context, key string) ([]byte, error) {
	if err := f.check(ctx, key); err != nil {
		return nil, err
	}
	value, err := readFile(f.filename(key), maxValue)
	if err != nil {
		return nil, fmt.Errorf("loading %q: %w", key, asAbsent(err))
	}
	if len(value) == 0 {
		f.sayEmpty(key)
		return nil, fmt.Errorf("loading %q: %w", key, ErrTorn)
	}
	return value, nil
}

// readFile reads a regular file of a bounded size.
func readFile(path string, most int64) ([]byte, error) {
	info, err := os.Stat(path) // before it is opened, which a pipe would block
	if err != nil {
		return nil, err
	}
	if info.IsDir() {
		return nil, fs.ErrNotExist
	}
	if !info.Mode().IsRegular() || info.Size() > most {
		return nil, fmt.Errorf("%q is no regular file of at most %d bytes: move it away", path, most)
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return io.ReadAll(io.LimitReader(file, most))
}

func (f *folder) sayEmpty(key string) {
	f.saying.Lock()
	defer f.saying.Unlock()
	if f.said[key] || len(f.said) >= maxSightings {
		return
	}
	f.said[key] = true
	f.logger.Warn("a file of the certificate storage is empty and counts as absent", zap.String("file", f.filename(key)))
}

// Delete implements certmagic.Storage.
func (f *folder) Delete(ctx context.Context, key string) error {
	if err := f.check(ctx, key); err != nil {
		return err
	}
	path := f.filename(key)
	if err := os.RemoveAll(path); err != nil && !absent(err) {
		return fmt.Errorf("deleting %q: %w", key, err)
	}
	if err := syncFolder(filepath.Dir(path)); err != nil && !absent(err) {
		return fmt.Errorf("deleting %q: %w", key, err)
	}
	return nil
}

// Exists implements certmagic.Storage.
func (f *folder) Exists(ctx context.Context, key string) bool {
	_, err := f.Stat(ctx, key)
	return err == nil
}

// Stat implements certmagic.Storage.
func (f *folder) Stat(ctx context.Context, key string) (certmagic.KeyInfo, error) {
	if err := f.check(ctx, key); err != nil {
		return certmagic.KeyInfo{}, err
	}
	info, err := os.Stat(f.filename(key))
	if err != nil {
		return certmagic.KeyInfo{}, fmt.Errorf("looking at %q: %w", key, asAbsent(err))
	}
	if !info.IsDir() && info.Size() == 0 {
		return certmagic.KeyInfo{}, fmt.Errorf("looking at %q: %w", key, ErrTorn)
	}
	return certmagic.KeyInfo{Key: key, Modified: info.ModTime(), Size: info.Size(), IsTerminal: !info.IsDir()}, nil
}

func (f *folder) check(ctx context.Context, key string) error {
	if err := checkKey(key); err != nil {
		return err
	}
	return ctx.Err()
}

func (f *folder) filename(key string) string { return filepath.Join(f.path, filepath.FromSlash(key)) }
