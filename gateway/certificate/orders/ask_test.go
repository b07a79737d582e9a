package orders

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/zap/zaptest/observer"
)

// window answers questions about renewals.
type window struct {
	mu       sync.Mutex
	asked    []time.Time
	renewAt  time.Time
	askAgain time.Duration
	err      error
}

func (w *window) ask(context.Context, string) (time.Time, time.Time, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.asked = append(w.asked, time.Now())
	if w.askAgain == 0 {
		return w.renewAt, time.Time{}, w.err
	}
	return w.renewAt, time.Now().Add(w.askAgain), w.err
}

func (w *window) set(renewAt time.Time, askAgain time.Duration, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.renewAt, w.askAgain, w.err = renewAt, askAgain, err
}

func (w *window) count() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.asked)
}

func asking(t *testing.T, run func(*testing.T, *Queue, *ca, *window)) {
	t.Helper()
	w := &window{}
	simulate(t, func(c *Config) { c.Ask = w.ask }, func(t *testing.T, q *Queue, ca *ca, _ *observer.ObservedLogs) {
		run(t, q, ca, w)
	})
}

func TestWindowMovedToThePast(t *testing.T) {
	asking(t, func(t *testing.T, q *Queue, ca *ca, w *window) {
		w.set(time.Now().Add(58*day), 6*time.Hour, nil)
		q.Set([]Domain{{Name: "a.example", Have: new(fresh90(0))}})
		q.Start()
		pass(day)
		if n := w.count(); n < 4 || n > 5 {
			t.Errorf("asked %d times in a day", n)
		}
		if status := want(t, q, "a.example", Active); time.Until(status.RenewAt) != 57*day {
			t.Errorf("status: %+v", status)
		}
		w.set(time.Now().Add(-time.Hour), 6*time.Hour, nil)
		pass(7 * time.Hour)
		jobs, _ := ca.of("a.example")
		if len(jobs) != 1 || !jobs[0].ARI || jobs[0].Forced {
			t.Fatalf("jobs: %+v", jobs)
		}
		pass(day) // a CA that always says so gets a renewal in each half of a day at most
		if jobs, _ := ca.of("a.example"); len(jobs) > 4 {
			t.Errorf("%d renewals in a day", len(jobs))
		}
	})
}

// Renewals in the CA's window count against no limit, so that nothing holds them.
func TestWindowPassesHold(t *testing.T) {
	asking(t, func(t *testing.T, q *Queue, ca *ca, w *window) {
		ca.answer("new.example", always(&Later{Until: time.Now().Add(day), Reason: "full", All: true}))
		q.Set(append(names("new.example"), Domain{Name: "a.example", Have: new(fresh90(day))}))
		q.Start()
		w.set(time.Now().Add(-time.Hour), 0, nil)
		pass(7 * time.Hour)
		if jobs, _ := ca.of("a.example"); len(jobs) != 1 || !jobs[0].ARI {
			t.Errorf("jobs: %+v", jobs)
		}
		if jobs, _ := ca.of("new.example"); len(jobs) != 1 {
			t.Errorf("%d jobs while held", len(jobs))
		}
	})
}

// The CA's word may be that nobody at all may order: then a renewal that passes the hold waits by itself.
func TestWindowIsHeldToo(t *testing.T) {
	asking(t, func(t *testing.T, q *Queue, ca *ca, w *window) {
		ca.usual = always(&Later{Until: time.Now().Add(10 * time.Hour), Reason: "429", All: true})
		w.set(time.Now().Add(-time.Hour), 0, nil)
		q.Set([]Domain{{Name: "a.example", Have: new(fresh90(day))}})
		q.Start()
		pass(9 * time.Hour)
		if jobs, _ := ca.of("a.example"); len(jobs) != 1 {
			t.Errorf("%d jobs", len(jobs))
		}
	})
}

func TestAnswersOfAWindow(t *testing.T) {
	f := func(name string, renewAt, askAgain time.Duration, err error, wantAsked int, wantRenewIn time.Duration) {
		t.Helper()
		t.Run(name, func(t *testing.T) {
			asking(t, func(t *testing.T, q *Queue, ca *ca, w *window) {
				at := time.Time{}
				if renewAt != 0 {
					at = time.Now().Add(renewAt)
				}
				w.set(at, askAgain, err)
				began := time.Now()
				q.Set([]Domain{{Name: "a.example", Have: new(fresh90(0))}})
				q.Start()
				pass(30 * time.Hour)
				if n := w.count(); n < wantAsked-1-wantAsked/20 || n > wantAsked+1+wantAsked/20 {
					t.Errorf("asked %d times, want %d", n, wantAsked)
				}
				if status, _ := q.StatusOf("a.example"); status.RenewAt.Sub(began) != wantRenewIn {
					t.Errorf("renewed after %v, want %v", status.RenewAt.Sub(began), wantRenewIn)
				}
			})
		})
	}
	f("nothing to say", 0, 0, nil, 1, 60*day)
	f("earlier", 50*day, 0, nil, 1, 50*day)
	f("never too late", 200*day, 0, nil, 1, 75*day)
	f("asked too often", 60*day, time.Second, nil, 27*60, 60*day)
	f("asked too seldom", 60*day, 1000*day, nil, 2, 60*day)
	f("no answer", 0, 0, errors.New("no"), 27, 60*day)
}

func TestQuestionsAreSpread(t *testing.T) {
	var most, now, total atomic.Int32
	ask := func(context.Context, string) (a, b time.Time, err error) {
		total.Add(1)
		if n := now.Add(1); n > most.Load() {
			most.Store(n)
		}
		time.Sleep(time.Second)
		now.Add(-1)
		return a, b, nil
	}
	simulate(t, func(c *Config) { c.Ask = ask }, func(t *testing.T, q *Queue, ca *ca, _ *observer.ObservedLogs) {
		var all []Domain
		for i := range 6000 {
			all = append(all, Domain{Name: fmt.Sprintf("d%d.example", i), Have: new(fresh90(day))})
		}
		q.Set(all)
		q.Start()
		for hour := range 6 {
			before := total.Load()
			pass(time.Hour)
			if n := total.Load() - before; n < 800 || n > 1200 {
				t.Errorf("%d questions in hour %d", n, hour)
			}
		}
		if most.Load() > 2 {
			t.Errorf("%d questions at once", most.Load())
		}
		near := fresh90(60*day - time.Hour)
		q.Set(append(all, Domain{Name: "near.example", Have: &near}))
		before := total.Load()
		pass(5*time.Minute + time.Second)
		if total.Load() <= before {
			t.Error("no question about a certificate that is soon to be renewed")
		}
	})
}

func TestPanicInAsk(t *testing.T) {
	panics := func(context.Context, string) (a, b time.Time, err error) { panic("no") }
	simulate(t, func(c *Config) { c.Ask = panics }, func(t *testing.T, q *Queue, ca *ca, logs *observer.ObservedLogs) {
		q.Set([]Domain{{Name: "a.example", Have: new(fresh90(0))}})
		q.Start()
		pass(day)
		want(t, q, "a.example", Active)
		if n := logs.FilterMessage("asking for renewal information failed by a fault of ours").Len(); n < 15 {
			t.Errorf("%d panics in a day", n)
		}
	})
}

// An answer about a certificate that is another one by now says nothing.
func TestLateAnswer(t *testing.T) {
	slow := func(context.Context, string) (a, b time.Time, err error) {
		time.Sleep(30 * time.Second)
		return time.Now().Add(-time.Hour), b, nil
	}
	simulate(t, func(c *Config) { c.Ask = slow; c.AskSpread = time.Second }, func(t *testing.T, q *Queue, ca *ca, _ *observer.ObservedLogs) {
		q.Set([]Domain{{Name: "a.example", Have: new(fresh90(day))}})
		q.Start()
		pass(10 * time.Second)
		q.Observe("a.example", fresh90(0))
		pass(21 * time.Second)
		want(t, q, "a.example", Active)
		if n := len(ca.order()); n != 0 {
			t.Errorf("%d jobs", n)
		}
		q.Set(nil) // and about one that is gone
		pass(time.Minute)
		if n := len(ca.order()); n != 0 || q.asks.len() != 0 {
			t.Errorf("%d jobs, %d questions", n, q.asks.len())
		}
	})
}
