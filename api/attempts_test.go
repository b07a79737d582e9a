package api

import (
	"fmt"
	"testing"
	"time"
)

var attemptsBegin = time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)

// waiting makes an attempt and returns how long it has to wait.
func (a *attempts) waiting(slug, account, address string, now time.Time) time.Duration {
	_, wait := a.begin(a.login(slug, account, address), now)
	return wait
}

func TestAttempts(t *testing.T) {
	a := newAttempts()
	now := attemptsBegin
	try := func() time.Duration { return a.waiting("anna", "a@example.test", "192.0.2.1", now) }
	for range pairPatience.free {
		if wait := try(); wait > 0 {
			t.Fatalf("wait %v within the free attempts", wait)
		}
	}
	// Each failure after a wait doubles the next one.
	for _, want := range []time.Duration{1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900} {
		if wait := try(); wait != want*time.Second {
			t.Fatalf("wait %v, want %v", wait, want*time.Second)
		}
		now = now.Add(want*time.Second - 1)
		if wait := try(); wait != 1 {
			t.Fatalf("wait %v just before the end", wait)
		}
		now = now.Add(1)
		if want == 900 {
			break // failures that are so long ago are forgotten
		}
		if wait := try(); wait > 0 {
			t.Fatalf("wait %v after the wait", wait)
		}
	}
	if wait := try(); wait > 0 {
		t.Errorf("wait %v after everything was forgotten", wait)
	}
}

// One address that tries a password on many accounts waits, at its own tenant, and so does everybody who tries one account from many.
func TestAttemptsOfAnAddressAndOnAnAccount(t *testing.T) {
	a := newAttempts()
	for i := range addressPatience.free {
		if wait := a.waiting("anna", fmt.Sprint(i), "192.0.2.1", attemptsBegin); wait > 0 {
			t.Fatalf("account %d waits %v", i, wait)
		}
	}
	if wait := a.waiting("anna", "another", "192.0.2.1", attemptsBegin); wait != time.Second {
		t.Errorf("the address waits %v", wait)
	}
	if wait := a.waiting("ben", "another", "192.0.2.1", attemptsBegin); wait > 0 {
		t.Errorf("at another tenant the address waits %v", wait)
	}
	for i := range accountPatience.free {
		if wait := a.waiting("anna", "victim", fmt.Sprintf("198.51.100.%d", i), attemptsBegin); wait > 0 {
			t.Fatalf("address %d waits %v", i, wait)
		}
	}
	if wait := a.waiting("anna", "victim", "203.0.113.1", attemptsBegin); wait != time.Second {
		t.Errorf("the account waits %v", wait)
	}
	now := attemptsBegin
	for i := range 20 {
		now = now.Add(time.Minute)
		if wait := a.waiting("anna", "victim", fmt.Sprintf("203.0.113.%d", i), now); wait > time.Minute {
			t.Fatalf("the account waits %v: who guesses locks its owner out", wait)
		}
	}
}

// Who has signed in from an address is not kept out there by guesses from elsewhere, and not let guess either.
func TestAttemptsWhereTheAccountIsAtHome(t *testing.T) {
	a := newAttempts()
	home, _ := a.begin(a.login("anna", "victim", "192.0.2.1"), attemptsBegin)
	a.succeed(home, attemptsBegin)
	for i := range 2 * accountPatience.free {
		a.waiting("anna", "victim", fmt.Sprintf("198.51.100.%d", i), attemptsBegin)
	}
	if wait := a.waiting("anna", "victim", "203.0.113.1", attemptsBegin); wait == 0 {
		t.Error("elsewhere the account does not wait")
	}
	for range pairPatience.free {
		if wait := a.waiting("anna", "victim", "192.0.2.1", attemptsBegin); wait > 0 {
			t.Fatalf("at home the account waits %v", wait)
		}
	}
	if wait := a.waiting("anna", "victim", "192.0.2.1", attemptsBegin); wait == 0 {
		t.Error("at home guessing is free")
	}
}

func TestAttemptsTakenBack(t *testing.T) {
	a := newAttempts()
	l := a.login("anna", "a@example.test", "192.0.2.1")
	for range 3 * addressPatience.free {
		counted, wait := a.begin(l, attemptsBegin)
		if wait > 0 {
			t.Fatalf("wait %v though every attempt was taken back", wait)
		}
		a.undo(counted, attemptsBegin)
	}
	for range pairPatience.free {
		a.begin(l, attemptsBegin)
	}
	a.succeed(l, attemptsBegin)
	if _, wait := a.begin(l, attemptsBegin); wait > 0 {
		t.Errorf("wait %v after success", wait)
	}
}

// Who has an account of their own cannot wash an address clean by signing in to it.
func TestAttemptsSuccessForgivesNobodyElse(t *testing.T) {
	a := newAttempts()
	for i := range 3 * addressPatience.free {
		a.waiting("anna", fmt.Sprint(i), "192.0.2.1", attemptsBegin)
		if own, wait := a.begin(a.login("anna", "own", "192.0.2.1"), attemptsBegin); wait == 0 {
			a.succeed(own, attemptsBegin)
		}
	}
	if wait := a.waiting("anna", "victim", "192.0.2.1", attemptsBegin); wait == 0 {
		t.Error("the address may guess on")
	}
}

func TestAttemptsByNetwork(t *testing.T) {
	a := newAttempts()
	f := func(one, other string, same bool) {
		t.Helper()
		if got := a.login("anna", "a", one)[1].key == a.login("anna", "a", other)[1].key; got != same {
			t.Errorf("%s and %s are the same: %v, want %v", one, other, got, same)
		}
	}
	f("192.0.2.1", "192.0.2.2", false)
	f("2001:db8::1", "2001:db8::ffff:2", true)
	f("2001:db8::1", "2001:db8:0:1::1", false)
	f("::ffff:192.0.2.1", "::ffff:192.0.2.2", false)
}

// Many accounts and addresses use no more memory, and those of one tenant do not free who guesses at another.
func TestAttemptsAreBounded(t *testing.T) {
	a := newAttempts()
	now := attemptsBegin
	for range pairPatience.free {
		a.waiting("anna", "victim", "192.0.2.1", now)
	}
	for i := range 20_000 {
		a.waiting("mallory", fmt.Sprint(i), fmt.Sprintf("2001:db8:%x:%x::1", i>>16, i&0xffff), now.Add(time.Duration(i)))
	}
	if wait := a.waiting("anna", "victim", "192.0.2.1", now.Add(time.Millisecond)); wait <= 0 {
		t.Error("a flood at another tenant washed the failures out")
	}
}

func TestAttemptsToRegister(t *testing.T) {
	a := newAttempts()
	for range registerPatience.free {
		if wait := a.register("anna", "192.0.2.1", attemptsBegin); wait > 0 {
			t.Fatalf("wait %v", wait)
		}
	}
	if a.register("anna", "192.0.2.1", attemptsBegin) == 0 || a.register("ben", "192.0.2.1", attemptsBegin) > 0 {
		t.Error("one address makes accounts without end, or is known to another tenant")
	}
}

func BenchmarkAttempt(b *testing.B) {
	a := newAttempts()
	now := time.Now()
	b.ReportAllocs()
	for b.Loop() {
		l, _ := a.begin(a.login("anna", "a@example.test", "192.0.2.1"), now)
		a.succeed(l, now)
	}
}
