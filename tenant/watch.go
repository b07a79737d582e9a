package tenant

import (
	"context"
	"maps"
	"path/filepath"
	"time"

	"github.com/fsnotify/fsnotify"
	"go.uber.org/zap"
)

const (
	// settleTime lets a file that is written in place become whole. A tool had better write beside and rename.
	settleTime = 200 * time.Millisecond
	// pollTime bounds how long a change goes unseen that the file system did not tell of: a network file system, a single file
	// mounted into a container, a folder that was removed and made again.
	pollTime = 2 * time.Second
	// patience is how long files may go on changing before that is logged.
	patience = 10 * time.Second
	// maxFolders bounds the folders that are watched; the rest is left to polling.
	maxFolders = 128
)

// Run watches the folders of all files that were read, and reloads when one of them has changed and settled. It returns nil when ctx
// ends, with nothing left running. Without file system events, for instance where the system's inotify limit is reached, it goes on
// by comparing.
func (r *Reloader) Run(ctx context.Context) error {
	w := r.newWatch()
	defer w.close()
	ticker := time.NewTicker(r.poll)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case event := <-w.events:
			if !w.concerns(event) {
				continue
			}
		case <-w.errors: // the queue ran over: look for oneself
		case <-ticker.C:
			w.follow(r.inputs.Load()) // a folder that was removed and made again is another one
		}
		if r.reloadChanged(ctx) {
			w.follow(r.inputs.Load())
		}
	}
}

// reloadChanged waits until the files stay as they are, and loads if they are not as at the last attempt. It reports whether it did.
func (r *Reloader) reloadChanged(ctx context.Context) bool {
	inputs := r.inputs.Load()
	stamps := inputs.now()
	if maps.Equal(stamps, inputs.stamps) || !r.settled(ctx, inputs, stamps) {
		return false
	}
	r.attempt.Lock()
	defer r.attempt.Unlock()
	if !r.inputs.Load().changed() {
		return false
	}
	r.load()
	return true
}

// settled waits until two looks at the files, a settle time apart, see the same. It gives up when ctx ends.
func (r *Reloader) settled(ctx context.Context, inputs *inputs, stamps map[input]stamp) bool {
	began, warned := time.Now(), false
	timer := time.NewTimer(r.settle)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return false
		case <-timer.C:
		}
		now := inputs.now()
		if maps.Equal(now, stamps) {
			return true
		}
		if !warned && time.Since(began) > patience {
			r.logger.Warn("files keep changing, so they are not loaded", zap.String("file", r.source.Path))
			warned = true
		}
		stamps = now
		timer.Reset(r.settle)
	}
}

// watch is the file system's word on the folders of the inputs. It belongs to one goroutine.
type watch struct {
	logger  *zap.Logger
	watcher *fsnotify.Watcher // nil where the system gives none
	events  <-chan fsnotify.Event
	errors  <-chan error
	names   map[string]struct{} // the inputs
}

func (r *Reloader) newWatch() *watch {
	w := &watch{logger: r.logger}
	watcher, err := fsnotify.NewWatcher()
	if err != nil {
		w.logger.Warn("files are not watched, only compared now and then", zap.Duration("every", r.poll), zap.Error(err))
		return w
	}
	w.watcher, w.events, w.errors = watcher, watcher.Events, watcher.Errors
	w.follow(r.inputs.Load())
	return w
}

// follow watches the folders of the inputs, and takes up again those that were made anew.
func (w *watch) follow(inputs *inputs) {
	if w.watcher == nil {
		return
	}
	w.names = inputs.names()
	folders := inputs.folders()
	for _, folder := range folders[:min(maxFolders, len(folders))] {
		if err := w.watcher.Add(folder); err != nil {
			w.logger.Debug("a folder is not watched, only compared now and then", zap.String("folder", folder), zap.Error(err))
		}
	}
}

// concerns tells whether an event may be about an input. What only writes to other files of the same folder is not; what comes and
// goes there may be the target of a symbolic link, as the "..data" of Kubernetes.
func (w *watch) concerns(event fsnotify.Event) bool {
	_, known := w.names[filepath.Clean(event.Name)]
	return known || event.Has(fsnotify.Create|fsnotify.Remove|fsnotify.Rename)
}

func (w *watch) close() {
	if w.watcher != nil {
		_ = w.watcher.Close()
	}
}
