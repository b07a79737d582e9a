package orders

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddyserver/certmagic"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"
)

// reserve fails the test where the storage does, and returns how long to wait.
func reserve(t testing.TB, l *Limits, r Request) *Later {
	t.Helper()
	later, err := l.Reserve(context.Background(), r)
	if err != nil {
		t.Fatal(err)
	}
	return later
}

func request(domain string) Request {
	return Request{Issuer: "letsencrypt", Rules: LetsEncrypt(), Domain: domain}
}

func TestReserve(t *testing.T) {
	f := func(name string, prepare func(*Limits, *handClock), r Request, wait time.Duration, all bool, reason string) {
		t.Helper()
		t.Run(name, func(t *testing.T) {
			clock := newHandClock()
			limits := NewLimits(newMemory(), clock, nil)
			prepare(limits, clock)
			later := reserve(t, limits, r)
			if wait == 0 {
				if later != nil {
					t.Fatalf("refused: %+v", later)
				}
				return
			}
			if later == nil || later.Until.Sub(clock.Now()) != wait || later.All != all || !strings.Contains(later.Reason, reason) {
				t.Fatalf("got %+v, want %v, %v, %q", later, wait, all, reason)
			}
		})
	}
	order := func(n int, r Request) func(*Limits, *handClock) {
		return func(l *Limits, clock *handClock) {
			for i := range n {
				numbered := r
				numbered.Domain = strings.ReplaceAll(r.Domain, "#", fmt.Sprint(i))
				reserve(t, l, numbered)
				clock.move(time.Second)
			}
		}
	}
	renewal, ari := request("www.a.de"), request("www.a.de")
	renewal.Renewal, ari.ARI = true, true
	week := 7 * day
	f("first", order(0, Request{}), request("a.de"), 0, false, "")
	f("the 5th of a set", order(4, request("www.a.de")), request("www.a.de"), 0, false, "")
	f("the 6th of a set", order(5, request("www.a.de")), request("www.a.de"), week+margin-5*time.Second, false, "5 certificates for www.a.de in 7 days")
	f("a renewal is of the set", order(5, request("www.a.de")), renewal, week+margin-5*time.Second, false, "5 certificates")
	f("another name", order(5, request("www.a.de")), request("a.de"), 0, false, "")
	f("the 50th below a domain", order(49, request("h#.a.de")), request("x.a.de"), 0, false, "")
	f("the 51st below a domain", order(50, request("h#.a.de")), request("x.a.de"), week+margin-50*time.Second, false, "50 new certificates below a.de")
	f("a wildcard is below it", order(50, request("h#.a.de")), request("*.a.de"), week+margin-50*time.Second, false, "below a.de")
	f("a renewal below it", order(50, request("h#.a.de")), renewal, 0, false, "")
	f("in the CA's window", order(50, request("h#.a.de")), ari, 0, false, "")
	f("another domain of the same suffix", order(50, request("h#.a.co.uk")), request("b.co.uk"), 0, false, "")
	f("a private suffix", order(60, request("h#.github.io")), request("x.github.io"), 0, false, "")
	f("the 300th order", order(299, request("h#.de")), request("x.de"), 0, false, "")
	f("the 301st order", order(300, request("h#.de")), request("x.de"), 3*time.Hour+margin-300*time.Second, true, "300 new orders in 3 h")
	f("a renewal is an order", order(300, request("h#.de")), renewal, 3*time.Hour+margin-300*time.Second, true, "300 new orders")
	f("the 301st in the CA's window", order(300, request("h#.de")), ari, 0, false, "")
	f("in the CA's window nothing is recorded", order(400, Request{Issuer: "letsencrypt", Rules: LetsEncrypt(), Domain: "h#.de", ARI: true}), request("x.de"), 0, false, "")
	f("another issuer", order(300, request("h#.de")), Request{Issuer: "zerossl", Rules: LetsEncrypt(), Domain: "x.de"}, 0, false, "")
	f("an issuer without rules", order(400, Request{Issuer: "own", Domain: "h.de"}), Request{Issuer: "own", Domain: "h.de"}, 0, false, "")

	ctx := context.Background()
	fail := func(n int) func(*Limits, *handClock) {
		return func(l *Limits, clock *handClock) {
			for range n {
				reserve(t, l, request("www.a.de"))
				if err := l.Failed(ctx, "letsencrypt", "www.a.de"); err != nil {
					t.Fatal(err)
				}
				clock.move(time.Minute)
			}
		}
	}
	f("4 failed authorizations", fail(4), request("www.a.de"), 0, false, "")
	f("5 failed authorizations", fail(5), request("www.a.de"), time.Hour+margin-5*time.Minute, false, "5 failed authorizations of www.a.de in 1 h")
	f("in the CA's window they use up no certificates either", func(l *Limits, clock *handClock) {
		order(5, request("www.a.de"))(l, clock)
		clock.move(20 * time.Minute)
		if err := l.Failed(ctx, "letsencrypt", "www.a.de"); err != nil {
			t.Fatal(err)
		}
	}, request("www.a.de"), week+margin-20*time.Minute-5*time.Second, false, "5 certificates")
	f("of another name", fail(5), request("a.de"), 0, false, "")
	f("they use up no certificates", func(l *Limits, clock *handClock) { fail(5)(l, clock); clock.move(2 * time.Hour) }, request("www.a.de"), 0, false, "")
	hold := func(d time.Duration) func(*Limits, *handClock) {
		return func(l *Limits, clock *handClock) {
			if err := l.Hold(ctx, "letsencrypt", clock.Now().Add(d)); err != nil {
				t.Fatal(err)
			}
			if err := l.Hold(ctx, "letsencrypt", clock.Now()); err != nil { // shortens nothing
				t.Fatal(err)
			}
		}
	}
	f("on hold", hold(time.Hour), request("a.de"), time.Hour, true, "wants no orders before")
	f("on hold in the CA's window", hold(time.Hour), ari, time.Hour, true, "wants no orders before")
	f("on hold without rules", hold(time.Hour), Request{Issuer: "letsencrypt", Domain: "a.de"}, time.Hour, true, "wants no orders before")
	f("hold is bounded", hold(1000*time.Hour), request("a.de"), day, true, "wants no orders before")
	f("after a hold", func(l *Limits, clock *handClock) { hold(time.Hour)(l, clock); clock.move(time.Hour) }, request("a.de"), 0, false, "")
	refund := func(l *Limits, clock *handClock) {
		order(5, request("www.a.de"))(l, clock)
		if err := l.Refund(ctx, request("www.a.de")); err != nil {
			t.Fatal(err)
		}
		if err := l.Refund(ctx, request("never.de")); err != nil {
			t.Fatal(err)
		}
	}
	f("after a refund", refund, request("www.a.de"), 0, false, "")
	f("not issued", func(l *Limits, clock *handClock) {
		order(5, request("www.a.de"))(l, clock)
		if err := l.NotIssued(ctx, request("www.a.de")); err != nil {
			t.Fatal(err)
		}
	}, request("www.a.de"), 0, false, "")
	f("not issued is an order still", func(l *Limits, clock *handClock) {
		order(300, request("h#.de"))(l, clock)
		if err := l.NotIssued(ctx, request("h7.de")); err != nil {
			t.Fatal(err)
		}
	}, request("h7.de"), 3*time.Hour+margin-300*time.Second, true, "300 new orders")
	f("refunded is no order", func(l *Limits, clock *handClock) {
		order(300, request("h#.de"))(l, clock)
		if err := l.Refund(ctx, request("h7.de")); err != nil {
			t.Fatal(err)
		}
	}, request("h7.de"), 0, false, "")
}

func TestLimitsAreSharedAndPersisted(t *testing.T) {
	clock, storage := newHandClock(), &certmagic.FileStorage{Path: t.TempDir()}
	rules := Rules{Orders: Limit{6, time.Hour}}
	var mu sync.Mutex
	granted := 0
	var gateways sync.WaitGroup
	for g := range 2 {
		limits := NewLimits(storage, clock, nil)
		for i := range 5 {
			gateways.Go(func() {
				later, err := limits.Reserve(context.Background(), Request{Issuer: "ca", Rules: rules, Domain: fmt.Sprintf("h%d-%d.de", g, i)})
				mu.Lock()
				defer mu.Unlock()
				if err != nil {
					t.Error(err)
				} else if later == nil {
					granted++
				}
			})
		}
	}
	gateways.Wait()
	if granted != 6 {
		t.Errorf("%d orders were granted, want 6", granted)
	}
	later := reserve(t, NewLimits(storage, clock, nil), Request{Issuer: "ca", Rules: rules, Domain: "x.de"})
	if later == nil || !later.All {
		t.Errorf("after a restart: %+v", later)
	}
}

func TestHoldIsReadAfterARestart(t *testing.T) {
	clock, storage := newHandClock(), newMemory()
	if err := NewLimits(storage, clock, nil).Hold(context.Background(), "ca", clock.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	if later := reserve(t, NewLimits(storage, clock, nil), Request{Issuer: "ca", Domain: "a.de", ARI: true}); later == nil {
		t.Error("it was forgotten")
	}
}

func TestTornFiles(t *testing.T) {
	f := func(content string) {
		t.Helper()
		core, logs := observer.New(zapcore.DebugLevel)
		storage := &certmagic.FileStorage{Path: t.TempDir()}
		limits := NewLimits(storage, newHandClock(), zap.New(core))
		reserve(t, limits, request("a.de"))
		for _, key := range []string{"limits/letsencrypt/orders.json", "limits/letsencrypt/domains/a.de.json"} {
			if err := os.WriteFile(storage.Filename(key), []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		// both count as empty and are written anew
		for range 5 {
			if later := reserve(t, limits, request("a.de")); later != nil {
				t.Errorf("refused: %+v", later)
			}
		}
		if later := reserve(t, limits, request("a.de")); later == nil {
			t.Error("what was written anew does not count")
		}
		if n := logs.Len(); n != 2 {
			t.Errorf("%d lines for two files: %v", n, logs.All())
		}
	}
	f("")
	f(`{"orders":[17`)
	f(`[]`)
	f(`{"orders":"many"}`)
	f("\x00\xff")
}

func TestStorageThatFails(t *testing.T) {
	storage := newMemory()
	limits := NewLimits(storage, newHandClock(), nil)
	storage.fails = io.ErrUnexpectedEOF
	if later, err := limits.Reserve(context.Background(), request("a.de")); !errors.Is(err, io.ErrUnexpectedEOF) || later != nil {
		t.Errorf("got %v, %v", later, err)
	}
	if later, err := limits.Reserve(context.Background(), Request{Issuer: "ca", Domain: "a.de", ARI: true}); !errors.Is(err, io.ErrUnexpectedEOF) || later != nil {
		t.Errorf("in the CA's window: %v, %v", later, err)
	}
	storage.fails = nil
	storage.locks["limits-letsencrypt"] = true // another gateway has it
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
	defer cancel()
	if _, err := limits.Reserve(ctx, request("a.de")); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}

func TestRegisteredDomain(t *testing.T) {
	f := func(domain, wanted string) {
		t.Helper()
		if got := registeredDomain(domain); got != wanted {
			t.Errorf("registeredDomain(%q) = %q, want %q", domain, got, wanted)
		}
	}
	f("ensotek.de", "ensotek.de")
	f("a.b.ensotek.de", "ensotek.de")
	f("*.ensotek.de", "ensotek.de")
	f("www.example.co.uk", "example.co.uk")
	f("x.y.github.io", "y.github.io")
	// a suffix itself, and names that are no public ones
	f("co.uk", "co.uk")
	f("localhost", "localhost")
	f("a.b.internal", "b.internal")
	f("", "")
}

func TestFileName(t *testing.T) {
	f := func(name, wanted string) {
		t.Helper()
		if got := fileName(name); got != wanted {
			t.Errorf("fileName(%q) = %q, want %q", name, got, wanted)
		}
	}
	f("letsencrypt", "letsencrypt")
	f("https://ca.example:14000/dir", "https-ca.example-14000dir")
	f("../../etc/passwd", "etcpasswd")
	f("..", "_")
	f(".", "_")
	f("", "_")
}
