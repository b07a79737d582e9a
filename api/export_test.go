package api

import "time"

// SetClock stops the API's clock for tests, before the first request.
func (a *API) SetClock(now func() time.Time) { a.now = now }

// SetMaxPage bounds a list for tests, before the first request.
func (a *API) SetMaxPage(bytes int) { a.maxPage = bytes }
