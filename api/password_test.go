package api

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"sync"
	"testing"

	"golang.org/x/crypto/bcrypt"

	"metahub/store"
)

func TestPasswords(t *testing.T) {
	h := newHasher()
	stored, err := h.hash(t.Context(), "one", "correct horse")
	if err != nil {
		t.Fatal(err)
	}
	expensive := strings.Replace(stored, "$10$", "$31$", 1)
	long, err := bcrypt.GenerateFromPassword([]byte(strings.Repeat("x", 72)), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	f := func(hash, password string, want bool) {
		t.Helper()
		same, err := h.matches(t.Context(), "one", hash, password)
		if err != nil || same != want {
			t.Errorf("%q: %v, %v, want %v", password, same, err, want)
		}
	}
	f(stored, "correct horse", true)
	f(stored, "wrong", false)
	f(stored, "", false)
	// No usable hash matches nothing.
	f("", "correct horse", false)
	f("plain", "plain", false)
	// A hash that would take days is not tried.
	f(expensive, "correct horse", false)
	// Existing users' longer passwords were cut at 72 bytes.
	f(string(long), strings.Repeat("x", 80), true)
}

func TestUnknownUsersCostTheSame(t *testing.T) {
	cost, err := bcrypt.Cost([]byte(nobodysHash))
	if err != nil || cost != passwordCost {
		t.Errorf("cost %d, %v, want %d", cost, err, passwordCost)
	}
}

func TestPasswordsWaitForNoOneForever(t *testing.T) {
	h := newHasher()
	for range cap(h.slots) {
		h.slots <- struct{}{}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var unavailable *store.Unavailable
	if _, err := h.matches(ctx, "one", "", "x"); !errors.As(err, &unavailable) {
		t.Errorf("got %v, want *store.Unavailable", err)
	}
}

// A tenant whose sign-in is flooded holds its own share of the slots; another tenant's sign-in gets the next one that is free.
func TestFloodedTenantLeavesSlotsToOthers(t *testing.T) {
	h := newHasher()
	h.slots = make(chan struct{}, 2)
	release := make(chan struct{})
	var flood sync.WaitGroup
	for range 50 {
		flood.Go(func() {
			_ = h.run(t.Context(), "flooded", func() error { <-release; return nil })
		})
	}
	for users := 0; users < 50; runtime.Gosched() {
		h.mu.Lock()
		if own := h.shares["flooded"]; own != nil {
			users = own.users
		}
		h.mu.Unlock()
	}
	var worked bool
	if err := h.run(t.Context(), "other", func() error { worked = true; return nil }); err != nil || !worked {
		t.Errorf("the other tenant: %v, worked %v", err, worked)
	}
	close(release)
	flood.Wait()
	if len(h.shares) != 0 {
		t.Errorf("%d shares are left behind", len(h.shares))
	}
}
