package storage

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"go.uber.org/zap"
)

const (
	lockEnding = ".lock"
	// lockBeside is where a lock file is written before it is put in its place; the guard keeps it to one process.
	lockBeside = besidePrefix + "lock"
)

// folderLocks is the lockTable of a folder: a file for each lock that is held, all changed under one guard only. The files are not fsynced:
// whoever held a lock before a crash of the machine is dead after it.
type folderLocks struct {
	folder string
	guard  *guard
	logger *zap.Logger
	said   map[string]bool // torn locks that were mentioned; the guard protects it
}

func newFolderLocks(path string, logger *zap.Logger) *folderLocks {
	return &folderLocks{folder: path, guard: newGuard(path), logger: logger, said: map[string]bool{}}
}

func (t *folderLocks) take(ctx context.Context, name string, dead sighting) (c claim, seen sighting, err error) {
	err = t.guard.do(ctx, func(counter *os.File) error {
		text, found, err := readLockFile(t.path(name))
		switch {
		case errors.Is(err, errTornLock):
			t.sayTorn(name, err)
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			return err
		case sighting(text) != dead:
			seen = sighting(text)
			return nil
		}
		token, err := nextToken(counter, found.Token)
		if err != nil {
			return err
		}
		c = claim{token: token, owner: randomID()}
		now := time.Now()
		return t.write(name, lockFile{Created: now, Updated: now, Token: token, Owner: c.owner, Holder: thisProcess()})
	})
	if err != nil {
		return claim{}, "", err
	}
	return c, seen, nil
}

func (t *folderLocks) renew(ctx context.Context, name string, c claim) error {
	return t.guard.do(ctx, func(*os.File) error {
		found, err := t.ours(name, c)
		if err != nil {
			return err
		}
		found.Updated, found.Renewals = time.Now(), c.renewals
		return t.write(name, found)
	})
}

func (t *folderLocks) release(ctx context.Context, name string, c claim) error {
	return t.guard.do(ctx, func(*os.File) error {
		if _, err := t.ours(name, c); err != nil {
			return err
		}
		return os.Remove(t.path(name))
	})
}

// ours reads the file of a lock that c holds; errTaken when c does not.
func (t *folderLocks) ours(name string, c claim) (lockFile, error) {
	_, found, err := readLockFile(t.path(name))
	if absent(err) || errors.Is(err, errTornLock) || err == nil && (found.Token != c.token || found.Owner != c.owner) {
		return lockFile{}, errTaken
	}
	return found, err
}

func (t *folderLocks) write(name string, l lockFile) error {
	text, err := l.format()
	if err != nil {
		return err
	}
	beside := filepath.Join(t.folder, lockBeside)
	if err := os.WriteFile(beside, text, 0o600); err != nil {
		return err
	}
	return os.Rename(beside, t.path(name))
}

func (t *folderLocks) sayTorn(name string, err error) {
	if t.said[name] || len(t.said) >= maxSightings {
		return
	}
	t.said[name] = true
	t.logger.Warn("a lock file is empty or damaged and counts as absent", zap.String("file", t.path(name)), zap.Error(err))
}

func (t *folderLocks) path(name string) string { return filepath.Join(t.folder, name+lockEnding) }

// readLockFile fails with errTornLock for what is no lock.
func readLockFile(path string) ([]byte, lockFile, error) {
	text, err := readFile(path, maxLockFile)
	if err != nil {
		return nil, lockFile{}, err
	}
	l, err := parseLockFile(text)
	return text, l, err
}

// nextToken counts on in the guard's file. Where that holds no number, or one below a token that was given, it counts on from the time of
// day in microseconds, which is more than any count before it.
func nextToken(counter *os.File, above int64) (int64, error) {
	var text [32]byte
	n, _ := counter.ReadAt(text[:], 0)
	token, err := strconv.ParseInt(strings.TrimSpace(string(text[:n])), 10, 64)
	if err != nil || token <= 0 {
		token = time.Now().UnixMicro()
	}
	token = max(token, above) + 1
	// One small write of a fixed length in place, for the lock is on this very file.
	if _, err := counter.WriteAt(fmt.Appendf(nil, "%020d\n", token), 0); err != nil {
		return 0, fmt.Errorf("the count of locks cannot be written: %w", err)
	}
	return token, nil
}

// thisProcess is what a person needs to find the holder of a lock.
func thisProcess() string {
	host, err := os.Hostname()
	if err != nil {
		host = "?"
	}
	return host + " pid " + strconv.Itoa(os.Getpid())
}
