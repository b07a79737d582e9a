package storage

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"
)

const (
	// guardFile is locked by the operating system while lock files are changed; it holds the token given last.
	guardFile  = besidePrefix + "guard"
	guardPause = 2 * time.Millisecond
)

// guard lets one at a time of all goroutines and processes that share a folder look at its locks and change them, for a moment. The
// operating system lets go of it when its holder dies.
type guard struct {
	folder string
	turn   chan struct{} // goroutines of this process queue here
}

// errGuarded is what lockFileNow says while another process has the lock.
var errGuarded = errors.New("another process is looking at the locks")

func newGuard(folder string) *guard { return &guard{folder: folder, turn: make(chan struct{}, 1)} }

// do runs f, which is given the guard's file, within callTimeout.
func (g *guard) do(ctx context.Context, f func(*os.File) error) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	select {
	case g.turn <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-g.turn }()
	file, err := g.acquire(ctx)
	if err != nil {
		return err
	}
	defer file.Close() // which unlocks it
	return f(file)
}

func (g *guard) acquire(ctx context.Context) (*os.File, error) {
	path := filepath.Join(g.folder, guardFile)
	for {
		file, err := lockFileNow(path)
		switch {
		case err == nil:
			return file, nil
		case errors.Is(err, fs.ErrNotExist):
			if err := makeFolders(g.folder); err != nil {
				return nil, fmt.Errorf("the folder %q cannot be made: make the certificate folder writable for this user: %w", g.folder, err)
			}
			continue
		case !errors.Is(err, errGuarded):
			return nil, fmt.Errorf("the file %q cannot be locked: make it writable for this user, on a file system that knows locks: %w", path, err)
		}
		timer := time.NewTimer(rand.N(guardPause) + time.Microsecond)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return nil, fmt.Errorf("%q: %w: %w", path, errGuarded, ctx.Err())
		}
	}
}
