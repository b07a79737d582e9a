package issuer

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"metahub/gateway/certificate/acmetest"
)

func TestRenewalInfo(t *testing.T) {
	e := newEdge(t)
	ca := e.start(t, nil)
	a := e.issuer(t, ca, nil)
	leaf := mustObtain(t, a, ca, Order{Domain: "ensotek.example"})

	start := time.Now().Add(-time.Hour).Truncate(time.Second)
	ca.SetRenewalInfoText(t, leaf, fmt.Sprintf(`{"suggestedWindow":{"start":%q,"end":%q},"explanationURL":"https://ca.example/why"}`,
		start.UTC().Format(time.RFC3339), start.Add(2*time.Hour).UTC().Format(time.RFC3339)))
	w, err := a.RenewalInfo(t.Context(), leaf)
	if err != nil {
		t.Fatal(err)
	}
	if !w.Start.Equal(start) || !w.End.Equal(start.Add(2*time.Hour)) || w.URL != "https://ca.example/why" {
		t.Errorf("window %+v", w)
	}
	if wait := time.Until(w.Ask); wait < 5*time.Hour+55*time.Minute || wait > 6*time.Hour { // Pebble says 6 h
		t.Errorf("ask again in %s, want 6h", wait)
	}

	// A certificate of another CA.
	stranger := e.start(t, nil)
	foreign := mustObtain(t, e.issuer(t, stranger, nil), stranger, Order{Domain: "foreign.example"})
	if _, err := a.RenewalInfo(t.Context(), foreign); !errors.Is(err, ErrNoRenewalInfo) {
		t.Errorf("a foreign certificate: %v", err)
	}

	for text, want := range map[string]string{
		`<html>`: "not JSON",
		`{}`:     "no window",
		`{"suggestedWindow":{"start":"2026-01-02T00:00:00Z","end":"2026-01-01T00:00:00Z"}}`: "no window",
	} {
		ca.SetRenewalInfoText(t, leaf, text)
		_, err := a.RenewalInfo(t.Context(), leaf)
		wantError(t, err, Unavailable, want)
	}
}

func TestNoRenewalInfo(t *testing.T) {
	e := newEdge(t)
	ca := e.start(t, nil)
	leaf := mustObtain(t, e.issuer(t, ca, nil), ca, Order{Domain: "ensotek.example"})
	replaced := replacements(t, ca, func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path == directoryPath {
			base := strings.TrimSuffix(ca.Directory(), directoryPath)
			fmt.Fprintf(w, `{"newNonce":%q,"newAccount":%q,"newOrder":%q}`, base+noncePath, base+"/sign-me-up", base+newOrderPath)
			return true
		}
		return false
	})
	a := e.issuer(t, ca, nil)
	if _, err := a.RenewalInfo(t.Context(), leaf); !errors.Is(err, ErrNoRenewalInfo) {
		t.Errorf("%v, want ErrNoRenewalInfo", err)
	}
	mustObtain(t, a, ca, Order{Domain: "ensotek.example", Replaces: leaf})
	if got := replaced(); len(got) != 1 || got[0] != "" {
		t.Errorf("orders replaced %q; a CA without renewal information was told of a replacement", got)
	}
}

func TestOrderReplaces(t *testing.T) {
	e := newEdge(t)
	ca := e.start(t, nil)
	a := e.issuer(t, ca, nil)
	leaf := mustObtain(t, a, ca, Order{Domain: "ensotek.example"})
	replaced := replacements(t, ca, nil)
	mustObtain(t, a, ca, Order{Domain: "ensotek.example", Replaces: leaf})
	if got := replaced(); len(got) != 1 || got[0] == "" {
		t.Fatalf("orders replaced %q, want one certificate", got)
	}
	// It has been replaced: 409, and once more without.
	mustObtain(t, a, ca, Order{Domain: "ensotek.example", Replaces: leaf})
	if got := replaced(); len(got) != 3 || got[1] == "" || got[2] != "" {
		t.Errorf("orders replaced %q, want one more certificate and then none", got)
	}
	// A certificate that the CA knows nothing of, after a reset.
	ca.Restart()
	mustObtain(t, a, ca, Order{Domain: "ensotek.example", Replaces: leaf})
}

func TestOneRetryWithoutReplaces(t *testing.T) {
	f := func(status int, kind, detail string, orders int, outcome Kind) {
		t.Helper()
		e := newEdge(t)
		ca := e.start(t, nil)
		a := e.issuer(t, ca, nil)
		leaf := mustObtain(t, a, ca, Order{Domain: "ensotek.example"})
		var seen atomic.Int32
		ca.Intercept(func(w http.ResponseWriter, r *http.Request) bool {
			if r.URL.Path != newOrderPath {
				return false
			}
			seen.Add(1)
			return problem(w, status, kind, detail)
		})
		failure(t, a, Order{Domain: "ensotek.example", Replaces: leaf}, outcome)
		if int(seen.Load()) != orders {
			t.Errorf("%d %s: %d new orders, want %d", status, kind, seen.Load(), orders)
		}
	}
	f(http.StatusForbidden, "unauthorized", "not your certificate", 2, Refused)
	f(http.StatusConflict, "alreadyReplaced", "has a replacement", 2, Refused)
	f(http.StatusBadRequest, "malformed", "parsing ARI CertID failed", 2, Refused)
	f(http.StatusTooManyRequests, "rateLimited", "too many orders that replace", 1, RateLimited)
	f(http.StatusBadRequest, "rejectedIdentifier", "forbidden by policy", 1, Rejected)
}

// replacements collects what each new order says it replaces.
func replacements(t *testing.T, ca *acmetest.CA, also func(http.ResponseWriter, *http.Request) bool) (seen func() []string) {
	got := make(chan string, 100)
	ca.Intercept(func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path == newOrderPath {
			replaces, _ := payload(t, r)["replaces"].(string)
			got <- replaces
		}
		return also != nil && also(w, r)
	})
	var all []string
	return func() []string {
		for len(got) > 0 {
			all = append(all, <-got)
		}
		return all
	}
}

func TestWindowAt(t *testing.T) {
	start := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	w := Window{Start: start, End: start.Add(48 * time.Hour)}
	quarters := [4]int{}
	for i := range 1000 {
		domain := fmt.Sprintf("tenant%d.example", i)
		at := w.At(domain)
		if at.Before(w.Start) || at.After(w.End) || !at.Equal(w.At(domain)) {
			t.Fatalf("%s renews at %s", domain, at)
		}
		quarters[min(3, at.Sub(start)/(12*time.Hour))]++
	}
	for i, n := range quarters {
		if n < 180 || n > 320 {
			t.Errorf("%d of 1000 domains renew in quarter %d", n, i+1)
		}
	}
}

func TestAskAfter(t *testing.T) {
	now := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	ahead := Window{Start: now.Add(24 * time.Hour), End: now.Add(48 * time.Hour)}
	begun := Window{Start: now.Add(-time.Hour), End: now.Add(time.Hour)}
	f := func(said time.Duration, w Window, want time.Duration) {
		t.Helper()
		if got := askAfter(said, w, now); got != want {
			t.Errorf("said %s: ask after %s, want %s", said, got, want)
		}
	}
	f(0, ahead, 6*time.Hour)
	f(4*time.Hour, ahead, 4*time.Hour)
	f(time.Second, ahead, time.Hour)
	f(1000*time.Hour, ahead, 24*time.Hour)
	f(time.Second, begun, 10*time.Minute)
	f(30*time.Minute, begun, 30*time.Minute)
}
