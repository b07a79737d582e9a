package api

import (
	"context"
	"runtime"
	"sync"
	"time"

	"golang.org/x/crypto/bcrypt"

	"metahub/api/model"
	"metahub/api/upload"
)

// SetClock stops the API's clock for tests, before the first request.
func (a *API) SetClock(now func() time.Time) { a.now = now }

// SetMaxSkip bounds how far pages reach for tests, before the first request.
func (a *API) SetMaxSkip(documents int) { a.maxSkip = documents }

// SetMaxPage bounds a list for tests, before the first request.
func (a *API) SetMaxPage(bytes int) { a.maxPage = bytes }

// WatchModelsEvery is WatchModels with less patience.
func (a *API) WatchModelsEvery(ctx context.Context, poll time.Duration) { a.watchModels(ctx, poll) }

// HashCheaply makes passwords cost next to nothing for tests, which the race detector makes a hundred times as long, before the first request.
func (a *API) HashCheaply() { a.passwords.cost = cheapCost() }

func cheapCost() hashCost {
	return hashCost{argon: argonHash{memory: 64, time: 1, threads: 1}, bcrypt: bcrypt.MinCost, nobody: "$2a$04$3MjNTjf7BviVysRNBm.JKuFtou3FR0/z7uO9/saik5HTJoTme6kKq"}
}

// FloodSignIn has as many sign in at a tenant as may, none of whom gets done before end is called.
func (a *API) FloodSignIn(slug string) (end func()) {
	h := a.passwords
	h.slots = make(chan struct{}, 2) // a share is one
	release := make(chan struct{})
	var flood sync.WaitGroup
	for range maxWaiting {
		flood.Go(func() { _ = h.run(context.Background(), slug, func() error { <-release; return nil }) })
	}
	for users := 0; users < maxWaiting; runtime.Gosched() {
		h.mu.Lock()
		if own := h.shares[slug]; own != nil {
			users = own.users
		}
		h.mu.Unlock()
	}
	return func() {
		close(release)
		flood.Wait()
	}
}

// Translated reports whether a message is there in German and in Turkish.
func Translated(message string) bool {
	german, _ := model.ParseLanguage([]byte("de"))
	turkish, _ := model.ParseLanguage([]byte("tr"))
	return translate(german, message) != message && translate(turkish, message) != message
}

// BeatEvery sets how often streams of events say that they are there.
func (a *API) BeatEvery(d time.Duration) { a.heartbeat = d }

// RequestTimeout is how long a request may take outside tests.
const RequestTimeout = requestTimeout

// WaitFor sets how long a request may take, before the first one.
func (a *API) WaitFor(d time.Duration) { a.patience = d }

// SetUploads gives the API a folder of files anew, as another process would open it.
func (a *API) SetUploads(files *upload.Files) { a.uploads = files }
