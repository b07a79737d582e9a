package api

import "time"

// SetClock stops the API's clock for tests, before the first request.
func (a *API) SetClock(now func() time.Time) { a.now = now }
