package api

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"metahub/store"
)

func TestAsError(t *testing.T) {
	f := func(err error, status int, code string, retryAfter time.Duration) {
		t.Helper()
		got := asError(fmt.Errorf("list products: %w", err))
		if got.Status != status || got.Code != code || got.RetryAfter != retryAfter {
			t.Errorf("%v: got %d, %q, %s, want %d, %q, %s", err, got.Status, got.Code, got.RetryAfter, status, code, retryAfter)
		}
	}

	f(errNoDocument, 404, "not_found", 0)
	f(&store.Unavailable{RetryAfter: 5 * time.Second, Cause: errors.New("down")}, 503, "unavailable", 5*time.Second)
	// Its cause may be a deadline too.
	f(&store.Unavailable{Cause: context.DeadlineExceeded}, 503, "unavailable", time.Second)
	// A query that takes too long, which may have to do with how much is asked of the database just now.
	f(context.DeadlineExceeded, 503, "timeout", time.Second)
	f(errors.New("unforeseen"), 500, "internal", 0)
}
