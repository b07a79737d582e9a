package api

import (
	"context"
	"embed"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"go.uber.org/zap"

	"metahub/api/model"
)

//go:embed models/*.yaml
var builtin embed.FS

// LoadModels compiles the models in files, or the built-in ones where files is nil. The error is model.Faults where the files are at
// fault, or says what sign-in lacks.
func LoadModels(files fs.FS) (*model.Set, error) {
	if files == nil {
		var err error
		if files, err = fs.Sub(builtin, "models"); err != nil {
			return nil, err
		}
	}
	models, err := model.Load(files)
	if err != nil {
		return nil, err
	}
	_, err = accountModel(models)
	return models, err
}

// ReloadModels reads the models again. Requests that begin from now on are answered by them; with an error the last good ones stay.
func (a *API) ReloadModels() error {
	a.reloading.Lock()
	defer a.reloading.Unlock()
	models, err := LoadModels(a.files)
	if err != nil {
		return err
	}
	users, err := accountModel(models)
	if err != nil {
		return err
	}
	routes, err := a.newRouter(models)
	if err != nil {
		return err
	}
	_, watched := models.Watched()
	a.resources.Store(&resources{models: models, watched: watched, users: users, routes: routes})
	a.events.dropAll() // who listens comes back, to what may be read now
	return nil
}

// modelsPoll is how often the files of the models are compared, and how long they must stay as they are before they are read.
const modelsPoll = time.Second

// WatchModels reads the models again whenever their files have changed and stay so, until ctx ends. The built-in ones never change.
func (a *API) WatchModels(ctx context.Context) { a.watchModels(ctx, modelsPoll) }

func (a *API) watchModels(ctx context.Context, poll time.Duration) {
	if a.files == nil {
		return
	}
	loaded := fingerprint(a.files)
	before := loaded
	ticker := time.NewTicker(poll)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		now := fingerprint(a.files)
		settled := now == before
		before = now
		if now == loaded || !settled {
			continue
		}
		loaded = now
		a.tellReload(a.ReloadModels())
	}
}

// tellReload logs the outcome of a reload, a line for each fault.
func (a *API) tellReload(err error) {
	if err == nil {
		a.log.Info("models loaded", zap.Int("models", len(a.resources.Load().models.All())))
		return
	}
	for _, fault := range strings.Split(err.Error(), "\n") {
		a.log.Error("models not loaded, the last good ones stay", zap.String("fault", fault))
	}
}

// fingerprint tells one state of the files from another by their names, sizes and times.
func fingerprint(files fs.FS) string {
	names, _ := fs.Glob(files, "*.yaml")
	var all strings.Builder
	for _, name := range names {
		info, err := fs.Stat(files, name)
		if err != nil {
			continue // it went away just now
		}
		fmt.Fprintf(&all, "%s %d %d\n", name, info.Size(), info.ModTime().UnixNano())
	}
	return all.String()
}
