package api_test

import (
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func TestIdempotencyKey(t *testing.T) {
	s := newSite(t)
	now := time.Now()
	var clock sync.Mutex
	s.api.SetClock(func() time.Time { clock.Lock(); defer clock.Unlock(); return now })
	s.addUsers(anna)
	s.addUsers(ben)
	admin := s.signIn(anna, adminEmail)
	const body = `{"title":{"en":"Once"}}`
	post := func(slug, path, body, key string, headers ...string) answer {
		t.Helper()
		return s.send(slug, "POST", path, body, append(headers, "Idempotency-Key: "+key)...)
	}
	first := post(anna, "/api/products", body, "k1", admin)
	again := post(anna, "/api/products", body, "k1", admin)
	if first.status != 201 || again.status != 201 || again.body != first.body || again.header.Get("Idempotent-Replayed") != "true" || first.header.Get("Idempotent-Replayed") != "" {
		t.Errorf("first %d %s, again %d %s", first.status, first.body, again.status, again.body)
	}
	f := func(name string, got answer, status int, fresh bool) {
		t.Helper()
		if got.status != status || fresh == (got.header.Get("Idempotent-Replayed") == "true") || fresh && got.body == first.body {
			t.Errorf("%s: %d, want %d: %s", name, got.status, status, got.body)
		}
	}
	f("another key", post(anna, "/api/products", body, "k2", admin), 201, true)
	f("without a key", s.send(anna, "POST", "/api/products", body, admin), 201, true)
	f("another address", post(anna, "/api/services", body, "k1", admin), 201, true)
	f("the other tenant", post(ben, "/api/products", body, "k1", s.signIn(ben, adminEmail)), 201, true)
	f("nobody gets the admin's answer", post(anna, "/api/products", body, "k1"), 401, true)
	f("nor does a user", post(anna, "/api/products", body, "k1", s.signIn(anna, userEmail)), 403, true)
	f("another body", post(anna, "/api/products", `{"title":{"en":"Other"}}`, "k1", admin), 422, true)
	f("too long a key", post(anna, "/api/products", body, strings.Repeat("k", 201), admin), 400, true)
	// What was refused was not done, and may be tried again with the same key.
	f("refused", post(anna, "/api/products", `{"title":{"en":"x"},"price":"x"}`, "k3", admin), 422, true)
	f("mended", post(anna, "/api/products", `{"title":{"en":"x"},"price":1}`, "k3", admin), 201, true)
	bulk := `{"items":[{"op":"create","body":{"name":{"en":"C"}}}]}`
	f("a bulk", post(anna, "/api/newscategory/_bulk", bulk, "k4", admin), 200, true)
	f("a bulk again", post(anna, "/api/newscategory/_bulk", bulk, "k4", admin), 200, false)
	if n := s.count(anna, "newscategories"); n != 1 {
		t.Errorf("%d categories", n)
	}
	// A day later it is forgotten.
	clock.Lock()
	now = now.Add(25 * time.Hour)
	clock.Unlock()
	f("a day later", post(anna, "/api/products", body, "k1", s.signIn(anna, adminEmail)), 201, true)

	// Of many at once one is done.
	var done, waiting atomic.Int32
	var wait sync.WaitGroup
	for range 8 {
		wait.Go(func() {
			switch got := post(anna, "/api/contact", `{"name":"A","email":"a@b.test","message":"m"}`, "k5"); got.status {
			case 201:
				done.Add(1)
			case 409:
				waiting.Add(1)
			default:
				t.Errorf("status %d: %s", got.status, got.body)
			}
		})
	}
	wait.Wait()
	if n := s.count(anna, "contactmessages"); n != 1 || done.Load() == 0 {
		t.Errorf("%d messages; %d were answered, %d told to wait", n, done.Load(), waiting.Load())
	}
}
