package certificate

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"time"

	"github.com/fsnotify/fsnotify"
	"go.uber.org/zap"
)

const (
	// eventPause lets the writer of several files finish before they are looked at.
	eventPause = 200 * time.Millisecond
	// pollPause is between two looks by stat, for file systems that send no events, and for files that had not settled.
	pollPause = 2 * time.Second
	// pollShare keeps the looking below a hundredth of one core however many folders there are.
	pollShare = 100
)

func (k *Keeper) watch(ctx context.Context, watches *watches) {
	defer watches.close()
	poll := time.NewTimer(0)
	defer poll.Stop()
	var pause <-chan time.Time // runs from the first event of a burst
	for {
		select {
		case <-ctx.Done():
			return
		case event := <-watches.events():
			watches.forget(event)
			if pause == nil {
				pause = time.After(eventPause)
			}
			continue
		case <-watches.errors():
		case <-pause:
		case <-poll.C:
		}
		pause = nil
		poll.Reset(max(pollPause, pollShare*k.rescan()))
		if watches.follow(k.files.paths()) {
			pause = time.After(eventPause) // what happened before the watch began sent no event
		}
	}
}

// rescan returns how long it took. A fault of ours in it must not end the process for all tenants.
func (k *Keeper) rescan() (took time.Duration) {
	began := time.Now()
	defer func() {
		took = time.Since(began)
		if fault := recover(); fault != nil {
			k.logger.Error("looking at the certificate files failed", zap.String("panic", fmt.Sprint(fault)), zap.Stack("stack"))
		}
	}()
	k.files.scan(k.registry.Current())
	return took
}

// watches are the folders that the system reports changes of. Where it cannot, the poll alone finds them.
type watches struct {
	watcher *fsnotify.Watcher // nil: no events
	paths   map[string]bool
	full    bool
	logger  *zap.Logger
}

func newWatches(logger *zap.Logger) *watches {
	watcher, err := fsnotify.NewWatcher()
	if err != nil {
		logger.Warn("cannot watch the certificate folder, changes are found by looking every few seconds", zap.Error(err))
	}
	return &watches{watcher: watcher, paths: map[string]bool{}, logger: logger}
}

func (w *watches) events() <-chan fsnotify.Event {
	if w.watcher == nil {
		return nil
	}
	return w.watcher.Events
}

func (w *watches) errors() <-chan error {
	if w.watcher == nil {
		return nil
	}
	return w.watcher.Errors
}

// follow watches the paths that are not watched yet, and reports whether there were any.
func (w *watches) follow(paths []string) (more bool) {
	if w.watcher == nil || w.full {
		return false
	}
	for _, path := range paths {
		if w.paths[path] {
			continue
		}
		if err := w.watcher.Add(path); errors.Is(err, fs.ErrNotExist) {
			continue // removed since the scan
		} else if err != nil {
			w.full = true
			w.logger.Warn("cannot watch all certificate folders, changes are found by looking every few seconds", zap.String("folder", path), zap.Error(err))
			return more
		}
		w.paths[path] = true
		more = true
	}
	return more
}

// forget drops a folder that was removed or renamed, and with it its watch, so that one of the same name is watched anew.
func (w *watches) forget(event fsnotify.Event) {
	if event.Has(fsnotify.Remove) || event.Has(fsnotify.Rename) {
		delete(w.paths, filepath.Clean(event.Name))
	}
}

func (w *watches) close() {
	if w.watcher != nil {
		w.watcher.Close()
	}
}
