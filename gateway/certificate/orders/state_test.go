package orders

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
)

func TestParseState(t *testing.T) {
	f := func(text string, wanted State) {
		t.Helper()
		got, err := ParseState(text)
		if got != wanted || (err == nil) != (wanted != "") {
			t.Errorf("ParseState(%q) = %q, %v, want %q", text, got, err, wanted)
		}
	}
	// each state's own text
	for _, state := range States() {
		f(string(state), state)
	}
	// as people type
	f("waiting-for-dns", WaitingForDNS)
	f("Waiting_for_DNS ", WaitingForDNS)
	f("FAILING", Failing)
	// no state
	f("", "")
	f("all", "")
	if _, err := ParseState("al l"); !strings.Contains(err.Error(), "waiting-for-dns, queued") {
		t.Errorf("the error does not say what there is: %v", err)
	}
}

func TestStatusJSON(t *testing.T) {
	f := func(status Status, wanted string) {
		t.Helper()
		if got, err := json.Marshal(status); string(got) != wanted || err != nil {
			t.Errorf("got %s, want %s", got, wanted)
		}
	}
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	f(Status{Domain: "a.example", State: Queued}, `{"domain":"a.example","state":"queued"}`)
	f(Status{Domain: "a.example", Tenant: "t", State: Failing, Since: at, Position: 1, ETA: at, Issuer: "ca", NotAfter: at, RenewAt: at, NextTry: at, Attempts: 2, Error: "no"},
		`{"domain":"a.example","tenant":"t","state":"failing","since":"2026-03-01T12:00:00Z","position":1,"eta":"2026-03-01T12:00:00Z","issuer":"ca",`+
			`"not_after":"2026-03-01T12:00:00Z","renew_at":"2026-03-01T12:00:00Z","next_try":"2026-03-01T12:00:00Z","attempts":2,"error":"no"}`)
}

func TestSentenceOf(t *testing.T) {
	f := func(text, wanted string) {
		t.Helper()
		if got := sentenceOf(text); got != wanted {
			t.Errorf("sentenceOf(%q) = %q, want %q", text, got, wanted)
		}
	}
	f("all is well", "all is well")
	// what would break a table, or a terminal
	f("two\nlines\x1b[31m", "two lines [31m")
	f("\xff\xfe", "")
	f(strings.Repeat("x", 5000), strings.Repeat("x", maxSentence)+"…")
}

func TestFingerprint(t *testing.T) {
	f := func(a, b string, same bool) {
		t.Helper()
		if got := fingerprint(a) == fingerprint(b); got != same {
			t.Errorf("fingerprints of %q and %q are equal: %v", a, b, got)
		}
	}
	f("order 123 at 12:01 failed", "order 97 at 13:20 failed", true)
	f("no address", "no CAA", false)
}

func TestEstimates(t *testing.T) {
	now := momentOf(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC))
	f := func(place turn, held, pace, wanted time.Duration) {
		t.Helper()
		c := clerk{now: now, heldUntil: now.add(held), took: time.Second, pace: func(n int) time.Duration { return time.Duration(n) * pace }}
		status := Status{State: Queued}
		c.estimate(&status, place)
		if got := status.ETA.Sub(now.time()); got != wanted || status.Position != place.position {
			t.Errorf("%+v: in %v, want %v", place, got, wanted)
		}
	}
	f(turn{position: 10, counted: 4}, 0, 0, 10*time.Second)
	f(turn{position: 10, counted: 4}, 0, time.Minute, 4*time.Minute)
	f(turn{position: 10, counted: 4}, time.Hour, time.Minute, time.Hour)
	f(turn{position: 10}, time.Hour, time.Minute, 10*time.Second) // no limit holds it
}
