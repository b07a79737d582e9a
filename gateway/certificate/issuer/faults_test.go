package issuer

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// A CA answers an order of a known account with each fault, and the next order, without it, goes through.
func TestFaultsOfTheCA(t *testing.T) {
	e := newEdge(t)
	ca := e.start(t, nil)
	a := e.issuer(t, ca, nil)
	mustObtain(t, a, ca, Order{Domain: "before.example"})
	n := 0
	f := func(path string, fault func(http.ResponseWriter, *http.Request) bool, kind Kind, words ...string) *Error {
		t.Helper()
		ca.Intercept(func(w http.ResponseWriter, r *http.Request) bool { return r.URL.Path == path && fault(w, r) })
		failed := failure(t, a, Order{Domain: "fault.example"}, kind, words...)
		ca.Intercept(nil)
		n++
		mustObtain(t, a, ca, Order{Domain: fmt.Sprintf("after%d.example", n)})
		return failed
	}
	limited := f(newOrderPath, func(w http.ResponseWriter, r *http.Request) bool {
		w.Header().Set("Retry-After", "7200")
		return problem(w, http.StatusTooManyRequests, "rateLimited", "too many certificates (5) already issued for fault.example")
	}, RateLimited, "answered 429", "too many certificates (5)", "try again in 2 h")
	if limited.RetryAfter != 2*time.Hour {
		t.Errorf("retry after %s, want 2h", limited.RetryAfter)
	}
	limited = f(newOrderPath, func(w http.ResponseWriter, r *http.Request) bool {
		w.Header().Set("Retry-After", time.Now().Add(1000*time.Hour).UTC().Format(http.TimeFormat))
		http.Error(w, "slow down", http.StatusTooManyRequests)
		return true
	}, RateLimited)
	if limited.RetryAfter != maxRetryAfter {
		t.Errorf("retry after %s, want the most, a week", limited.RetryAfter)
	}
	busy := f(newOrderPath, func(w http.ResponseWriter, r *http.Request) bool {
		w.Header().Set("Retry-After", "60")
		return problem(w, http.StatusServiceUnavailable, "rateLimited", "Service busy; retry later.")
	}, Unavailable, "answered 503", "Service busy")
	if busy.RetryAfter != time.Minute {
		t.Errorf("retry after %s, want 1m", busy.RetryAfter)
	}
	f(newOrderPath, func(w http.ResponseWriter, r *http.Request) bool {
		return problem(w, http.StatusInternalServerError, "serverInternal", "out of\x00 \x1b[31mpaper\r\n"+strings.Repeat("ü", 2000))
	}, Unavailable, "answered 500", "out of")
	f(newOrderPath, func(w http.ResponseWriter, r *http.Request) bool {
		http.Error(w, "<html>"+strings.Repeat("x", 1<<20), http.StatusBadGateway)
		return true
	}, Unavailable)
	f(newOrderPath, func(w http.ResponseWriter, r *http.Request) bool {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusCreated)
		fmt.Fprint(w, "[[[")
		return true
	}, Unavailable, "makes no sense")
	f(newOrderPath, func(w http.ResponseWriter, r *http.Request) bool {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusCreated)
		fmt.Fprint(w, `{"status":"pending"}`)
		return true
	}, Unavailable, "0 authorizations")
	f(newOrderPath, func(w http.ResponseWriter, r *http.Request) bool {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusCreated)
		fmt.Fprintf(w, `{"status":"pending","authorizations":["http://169.254.169.254/latest/meta-data"]}`)
		return true
	}, Unavailable, "not https")
	f(newOrderPath, func(w http.ResponseWriter, r *http.Request) bool {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusCreated)
		fmt.Fprint(w, strings.Repeat(" ", 2<<20))
		return true
	}, Unavailable, "larger")
	f(newOrderPath, func(w http.ResponseWriter, r *http.Request) bool {
		http.Redirect(w, r, "https://elsewhere.example/", http.StatusTemporaryRedirect)
		return true
	}, Unavailable)
	f(newOrderPath, func(w http.ResponseWriter, r *http.Request) bool {
		return problem(w, http.StatusForbidden, "rejectedIdentifier", "the CA does not issue for this name")
	}, Rejected, "does not issue")
	f(newOrderPath, func(w http.ResponseWriter, r *http.Request) bool {
		return problem(w, http.StatusForbidden, "userActionRequired", "agree to the new terms")
	}, Refused, "agree to the new terms")
}

// A CA that does not answer, cuts the connection, or is another web server altogether.
func TestCAThatIsNotThere(t *testing.T) {
	e := newEdge(t)
	ca := e.start(t, nil)
	a := e.issuer(t, ca, nil)
	a.patience.directory, a.http.Timeout = time.Second, 2*time.Second
	hang := func(w http.ResponseWriter, r *http.Request) bool { <-r.Context().Done(); return true }
	f := func(fault func(http.ResponseWriter, *http.Request) bool, within time.Duration, words ...string) {
		t.Helper()
		ca.Intercept(fault)
		begin := time.Now()
		failure(t, a, Order{Domain: "down.example"}, Unavailable, words...)
		if took := time.Since(begin); took > within {
			t.Errorf("noticed after %s, want less than %s", took, within)
		}
	}
	f(hang, 5*time.Second, "does not answer in time")
	f(func(w http.ResponseWriter, r *http.Request) bool { panic(http.ErrAbortHandler) }, 5*time.Second)
	f(func(w http.ResponseWriter, r *http.Request) bool { fmt.Fprint(w, "<html>welcome</html>"); return true }, 5*time.Second, "not an ACME directory", "not JSON")
	f(func(w http.ResponseWriter, r *http.Request) bool {
		fmt.Fprint(w, `{"newOrder":"ftp://x"}`)
		return true
	}, 5*time.Second, "newNonce")
	f(func(w http.ResponseWriter, r *http.Request) bool { http.NotFound(w, r); return true }, 5*time.Second, "404")
	// The garbage does not stick.
	ca.Intercept(nil)
	mustObtain(t, a, ca, Order{Domain: "up.example"})
	// It hangs later than at the directory: three tries of two seconds; the next order sees at once that it is down.
	ca.Intercept(hang)
	failure(t, a, Order{Domain: "down.example"}, Unavailable, "does not answer in time")
	f(hang, 3*time.Second, "does not answer in time")

	gone, err := newACME(Config{
		Name: "gone", Directory: fmt.Sprintf("https://127.0.0.1:%d/dir", closedPort(t)), HTTP01: true, Storage: e.storage, Challenges: e.challenges,
	}, impatient())
	if err != nil {
		t.Fatal(err)
	}
	failure(t, gone, Order{Domain: "down.example"}, Unavailable, `"gone"`, "refused")
}

// One CA hangs, from the beginning or once its directory has been read; another issues meanwhile.
func TestHangingCADoesNotHoldUpAnother(t *testing.T) {
	e := newEdge(t)
	hanging, working := e.start(t, nil), e.start(t, nil)
	for _, readable := range []int32{0, 1} {
		var held, read atomic.Int32
		hanging.Intercept(func(w http.ResponseWriter, r *http.Request) bool {
			if r.URL.Path == directoryPath && read.Add(1) <= readable {
				return false
			}
			held.Add(1)
			<-r.Context().Done()
			return true
		})
		done := make(chan error, 4)
		slow := e.issuer(t, hanging, nil)
		slow.patience.directory, slow.http.Timeout = time.Minute, time.Minute
		for range cap(done) {
			go func() {
				_, err := slow.Obtain(t.Context(), Order{Domain: "slow.example", Key: testKey(t)})
				done <- err
			}()
		}
		eventually(t, "the CA holds an order up", func() bool { return held.Load() > 0 })
		begin := time.Now()
		mustObtain(t, e.issuer(t, working, func(c *Config) { c.Name = "working" }), working, Order{Domain: "quick.example"})
		if took := time.Since(begin); took > 5*time.Second {
			t.Errorf("the directory read %d times: the other CA took %s", readable, took)
		}
		if len(done) > 0 {
			t.Errorf("the directory read %d times: %v; it did not hang", readable, <-done)
		}
		hanging.Intercept(func(w http.ResponseWriter, r *http.Request) bool {
			return problem(w, http.StatusServiceUnavailable, "serverInternal", "gone")
		})
	}
}

func TestCAAIdentities(t *testing.T) {
	e := newEdge(t)
	ca := e.start(t, nil)
	a := e.issuer(t, ca, nil)
	identities, err := a.CAAIdentities(t.Context())
	if err != nil || len(identities) != 1 || identities[0] != "pebble.letsencrypt.org" {
		t.Errorf("%q, %v", identities, err)
	}
	ca.Intercept(func(w http.ResponseWriter, r *http.Request) bool {
		http.Error(w, "no", http.StatusBadGateway)
		return true
	})
	if _, err := e.issuer(t, ca, nil).CAAIdentities(t.Context()); err == nil {
		t.Error("a CA that is down named its identities")
	} else {
		wantError(t, err, Unavailable, "502")
	}
	if again, err := a.CAAIdentities(t.Context()); err != nil || len(again) != 1 {
		t.Errorf("the directory at hand was not used: %v", err)
	}
}

func TestClip(t *testing.T) {
	f := func(text string, limit int, want string) {
		t.Helper()
		if got := clip(text, limit); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	f("a  sentence\r\n\twith\x00\x1b[31m colours\u202e", 100, "a sentence with [31m colours")
	f("over long", 8, "over…")
	f("üüü", 5, "ü…")
	f("ab\xffc", 10, "abc")
	f("", 10, "")
}

func TestSpan(t *testing.T) {
	f := func(d time.Duration, want string) {
		t.Helper()
		if got := span(d); got != want {
			t.Errorf("%s: %q, want %q", d, got, want)
		}
	}
	f(100*time.Millisecond, "1 s")
	f(45*time.Second, "45 s")
	f(10*time.Minute, "10 min")
	f(90*time.Minute, "1 h 30 min")
	f(2*time.Hour, "2 h")
	f(100*time.Hour+20*time.Minute, "100 h")
}

func TestPanicOverAnAnswer(t *testing.T) {
	e := newEdge(t)
	a := e.issuer(t, e.start(t, nil), nil)
	err := func() (err error) {
		defer a.guard(&err)
		panic(errors.New("index out of range"))
	}()
	wantError(t, err, Unavailable, "cannot be handled")
}
