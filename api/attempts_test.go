package api

import (
	"fmt"
	"testing"
	"time"
)

func TestAttempts(t *testing.T) {
	a := newAttempts()
	now := time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)
	key := a.key("anna", "a@example.test", "192.0.2.1")
	for range freeAttempts {
		if wait := a.begin(key, now); wait > 0 {
			t.Fatalf("wait %v within the free attempts", wait)
		}
	}
	// Each failure after a wait doubles the next one.
	for _, want := range []time.Duration{1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900} {
		if wait := a.begin(key, now); wait != want*time.Second {
			t.Fatalf("wait %v, want %v", wait, want*time.Second)
		}
		now = now.Add(want*time.Second - 1)
		if wait := a.begin(key, now); wait != 1 {
			t.Fatalf("wait %v just before the end", wait)
		}
		now = now.Add(1)
		if want == 900 {
			break // failures that are so long ago are forgotten
		}
		if wait := a.begin(key, now); wait > 0 {
			t.Fatalf("wait %v after the wait", wait)
		}
	}
	if wait := a.begin(key, now); wait > 0 {
		t.Errorf("wait %v after everything was forgotten", wait)
	}
}

func TestAttemptsTakenBack(t *testing.T) {
	a := newAttempts()
	now := time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)
	key := a.key("anna", "a@example.test", "192.0.2.1")
	for range 3 * freeAttempts {
		if wait := a.begin(key, now); wait > 0 {
			t.Fatalf("wait %v though every attempt was taken back", wait)
		}
		a.undo(key, now)
	}
	for range freeAttempts {
		a.begin(key, now)
	}
	a.succeed(key, now)
	if wait := a.begin(key, now); wait > 0 {
		t.Errorf("wait %v after success", wait)
	}
}

func TestAttemptsByNetwork(t *testing.T) {
	a := newAttempts()
	f := func(one, other string, same bool) {
		t.Helper()
		if got := a.key("anna", "a", one) == a.key("anna", "a", other); got != same {
			t.Errorf("%s and %s are the same: %v, want %v", one, other, got, same)
		}
	}
	f("192.0.2.1", "192.0.2.2", false)
	f("2001:db8::1", "2001:db8::ffff:2", true)
	f("2001:db8::1", "2001:db8:0:1::1", false)
	f("::ffff:192.0.2.1", "::ffff:192.0.2.2", false)
}

// Many accounts use no more memory and do not free the one that is being guessed, until its set is full of later failures.
func TestAttemptsAreBounded(t *testing.T) {
	a := newAttempts()
	now := time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)
	key := a.key("anna", "victim", "192.0.2.1")
	for i := range 100_000 {
		now = now.Add(time.Millisecond)
		a.begin(a.key("anna", fmt.Sprint(i), "192.0.2.1"), now)
	}
	for range freeAttempts {
		a.begin(key, now)
	}
	if wait := a.begin(key, now); wait <= 0 {
		t.Error("a full table remembers nothing")
	}
}

func BenchmarkAttempt(b *testing.B) {
	a := newAttempts()
	now := time.Now()
	b.ReportAllocs()
	for b.Loop() {
		key := a.key("anna", "a@example.test", "192.0.2.1")
		a.begin(key, now)
		a.succeed(key, now)
	}
}
