package api

import (
	"context"
	"errors"
	"strings"
	"testing"

	"golang.org/x/crypto/bcrypt"

	"metahub/api/model"
)

func TestPasswords(t *testing.T) {
	h := newHasher()
	hash := func(as model.Hash) string {
		t.Helper()
		stored, err := h.hash(t.Context(), "one", "correct horse", as)
		if err != nil || h.cost.outdated(stored, as) {
			t.Fatalf("%s: %q, %v", as, stored, err)
		}
		return stored
	}
	crypted, argon := hash(model.Bcrypt), hash(model.Argon2id)
	if !h.cost.outdated(crypted, model.Argon2id) || !h.cost.outdated(argon, model.Bcrypt) || argon == hash(model.Argon2id) {
		t.Error("one kind passes for the other, or two hashes have one salt")
	}
	long, err := bcrypt.GenerateFromPassword([]byte(strings.Repeat("x", 72)), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	f := func(hash, password string) {
		t.Helper()
		if same, err := h.matches(t.Context(), "one", hash, password); err != nil || !same {
			t.Errorf("%q: %v, %v", password, same, err)
		}
	}
	f(crypted, "correct horse")
	f(argon, "correct horse")
	// A hash of another program, with settings of its own: "password", by the reference implementation.
	f("$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc", "password")
	// Existing users' longer passwords were cut at 72 bytes.
	f(string(long), strings.Repeat("x", 80))
}

// A hash that would take days, or all memory, is not tried: a tenant writes its own database.
func TestExpensiveHashesAreNotTried(t *testing.T) {
	f := func(settings string, want bool) {
		t.Helper()
		if _, ok := parseArgon("$argon2id$v=19$" + settings + "$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc"); ok != want {
			t.Errorf("%s is usable: %v, want %v", settings, ok, want)
		}
	}
	f("m=19456,t=2,p=1", true)
	f("m=65536,t=2,p=4", true)
	f("m=65537,t=1,p=1", false)
	f("m=4294967295,t=1,p=1", false)
	f("m=65536,t=65536,p=1", false)
	f("m=65536,t=3,p=1", false)
	f("m=8,t=4294967295,p=1", false)
	f("m=8,t=0,p=1", false)
	f("m=8,t=1,p=0", false)
	f("m=19456,t=1,p=255", false)
	f("m=7,t=1,p=1", false)
	f("m=-1,t=1,p=1", false)
	f("m=19456,t=2,p=1,x=1", false)
	f("t=2,m=19456,p=1", false)
}

// Nothing but the password of a usable hash matches, and the work for an unknown user is that for a known one, of either kind.
func TestUnknownUsersCostTheSame(t *testing.T) {
	full, c := fullCost(), cheapCost()
	if cost, err := bcrypt.Cost([]byte(full.nobody)); err != nil || cost != bcrypt.DefaultCost || full.bcrypt != cost {
		t.Errorf("nobody's hash has cost %d, %v", cost, err)
	}
	crypted, err := bcrypt.GenerateFromPassword([]byte("correct horse"), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	argon, err := c.hash("correct horse", model.Argon2id)
	if err != nil {
		t.Fatal(err)
	}
	f := func(hash, password string) {
		t.Helper()
		if same, done := c.compare(hash, password); same || done != (work{true, true}) {
			t.Errorf("%q and %q: %v, after %+v", hash, password, same, done)
		}
	}
	f("", "")
	f("plain", "plain")
	f(argon, "wrong")
	f(string(crypted), "wrong")
	f(string(crypted), "")
	f(strings.Replace(string(crypted), "$04$", "$31$", 1), "correct horse") // which would take days
}

func TestPasswordsWaitForNoOneForever(t *testing.T) {
	h := newHasher()
	for range cap(h.slots) {
		h.slots <- struct{}{}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := h.matches(ctx, "one", "", "x"); !errors.Is(err, errBusy) {
		t.Errorf("got %v, want %v", err, errBusy)
	}
}

// A tenant whose sign-in is flooded holds its own share of the slots, and leaves nothing behind.
func TestFloodedTenantLeavesSlotsToOthers(t *testing.T) {
	a := &API{passwords: newHasher()}
	end := a.FloodSignIn("flooded")
	if err := a.passwords.run(t.Context(), "flooded", func() error { return nil }); !errors.Is(err, errBusy) {
		t.Errorf("one more of the flood: %v, want %v", err, errBusy)
	}
	var worked bool
	if err := a.passwords.run(t.Context(), "other", func() error { worked = true; return nil }); err != nil || !worked {
		t.Errorf("the other tenant: %v, worked %v", err, worked)
	}
	end()
	if len(a.passwords.shares) != 0 {
		t.Errorf("%d shares are left behind", len(a.passwords.shares))
	}
}

func FuzzParseArgon(f *testing.F) {
	f.Add("$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc")
	f.Add("$argon2id$v=19$m=8,t=1,p=1$$")
	f.Fuzz(func(t *testing.T, text string) {
		a, ok := parseArgon(text)
		if ok && (uint64(a.memory)*uint64(a.time) > maxArgonWork || a.memory > maxArgonMemory || a.threads > maxArgonThreads || a.String() == "") {
			t.Errorf("%q asks for m=%d, t=%d, p=%d", text, a.memory, a.time, a.threads)
		}
	})
}

func BenchmarkHash(b *testing.B) {
	cost := fullCost()
	for _, as := range []model.Hash{model.Bcrypt, model.Argon2id} {
		b.Run(string(as), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := cost.hash("correct horse", as); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
