package orders

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"
)

type transient struct{ after time.Duration }

func (e transient) Error() string             { return "the CA does not answer" }
func (e transient) Transient() bool           { return true }
func (e transient) RetryAfter() time.Duration { return e.after }

func TestDeadCAForAnHour(t *testing.T) {
	simulate(t, nil, func(t *testing.T, q *Queue, ca *ca, logs *observer.ObservedLogs) {
		ca.usual = func(context.Context, Job) (Have, error) {
			time.Sleep(time.Second)
			if time.Since(ca.began) < time.Hour {
				return Have{}, transient{}
			}
			return fresh90(0), nil
		}
		var all []Domain
		for i := range 100 {
			all = append(all, Domain{Name: fmt.Sprintf("d%d.example", i)})
			if i%2 == 0 {
				all[i].Have = new(fresh90(80 * day))
			}
		}
		q.Set(all)
		q.Start()
		pass(30 * time.Minute)
		if status := want(t, q, "d0.example", Failing); status.NotAfter.IsZero() || status.Error != "the CA does not answer" || status.NextTry.IsZero() || status.Attempts == 0 {
			t.Errorf("status of a renewal: %+v", status)
		}
		pass(42 * time.Minute) // the longest pause is 10 minutes, and a tenth
		if counts := q.Counts(); counts[Active] != 100 {
			t.Errorf("a quarter of an hour after the CA is back: %v", counts)
		}
		if jobs, _ := ca.of("d1.example"); len(jobs) > 12 {
			t.Errorf("%d attempts in an hour", len(jobs))
		}
		if warned := logs.FilterLevelExact(zapcore.WarnLevel).Len(); warned != 100 {
			t.Errorf("%d warnings for 100 domains with one fault each", warned)
		}
	})
}

func TestBackoff(t *testing.T) {
	f := func(name string, err error, have *Have, wanted ...time.Duration) {
		t.Helper()
		t.Run(name, func(t *testing.T) {
			simulate(t, nil, func(t *testing.T, q *Queue, ca *ca, _ *observer.ObservedLogs) {
				ca.usual = always(err)
				domain := Domain{Name: "d.example"}
				if have != nil { // its times are ages
					now := time.Now()
					domain.Have = &Have{NotBefore: now.Add(-have.NotBefore.Sub(time.Time{})), NotAfter: now.Add(have.NotAfter.Sub(time.Time{}))}
				}
				q.Set([]Domain{domain})
				q.Start()
				pass(8 * day)
				_, times := ca.of("d.example")
				var got []time.Duration
				for i := range wanted {
					got = append(got, times[i+1]-times[i])
				}
				if !reflect.DeepEqual(got, wanted) {
					t.Errorf("pauses %v, want %v", got, wanted)
				}
			})
		})
	}
	m, h := time.Minute, time.Hour
	ages := func(old, left time.Duration) *Have {
		return &Have{NotBefore: time.Time{}.Add(old), NotAfter: time.Time{}.Add(left)}
	}
	f("waits for DNS", &DNSFault{Sentence: "no"}, nil, 1*m, 2*m, 3*m, 5*m, 5*m, 10*m, 15*m, 20*m, 30*m, 30*m)
	f("rejected", errors.New("no"), nil, 10*m, 30*m, 1*h, 3*h, 6*h, 12*h, 24*h, 24*h)
	f("no CA", transient{}, nil, 30*time.Second, 1*m, 2*m, 5*m, 5*m, 10*m, 10*m)
	f("a word of the CA lengthens", transient{7 * m}, nil, 7*m, 7*m, 7*m, 7*m, 7*m, 10*m)
	f("and is bounded", transient{1000 * h}, nil, 24*h, 24*h)
	f("close to expiry", errors.New("no"), ages(80*day, 10*day), 10*m, 30*m, 1*h, 1*h, 1*h)
	f("not close", errors.New("no"), ages(70*day, 20*day), 10*m, 30*m, 1*h, 3*h, 6*h)
	f("less than a day of a short life", errors.New("no"), ages(2*day, 20*h), 10*m, 30*m, 1*h, 1*h, 1*h)
	f("long expired", errors.New("no"), ages(200*day, -10*day), 10*m, 30*m, 1*h, 3*h)
	f("left", &DNSFault{Sentence: "no", Elsewhere: true}, ages(70*day, 20*day), 6*h, 6*h, 6*h)
}

func TestDNSWaitsHourlyAfterTwoDays(t *testing.T) {
	simulate(t, nil, func(t *testing.T, q *Queue, ca *ca, _ *observer.ObservedLogs) {
		ca.usual = always(&DNSFault{Sentence: "`d.example` points elsewhere", Elsewhere: true})
		q.Set(names("d.example"))
		q.Start()
		began := time.Now()
		pass(5 * day)
		_, times := ca.of("d.example")
		if n := len(times); times[n-1]-times[n-2] != time.Hour {
			t.Errorf("the last pause was %v", times[n-1]-times[n-2])
		}
		if status := want(t, q, "d.example", WaitingForDNS); !status.Since.Equal(began) || status.Attempts != len(times) {
			t.Errorf("waiting since %v, began %v: %+v", status.Since, began, status)
		}
	})
}

func TestJitter(t *testing.T) {
	f := func(random float64, wanted time.Duration) {
		t.Helper()
		if got := jittered(time.Minute, random); (got - wanted).Abs() > time.Millisecond {
			t.Errorf("jittered(1m, %v) = %v, want %v", random, got, wanted)
		}
	}
	f(0, 54*time.Second)
	f(0.5, time.Minute)
	f(1, 66*time.Second)
}

func TestLaterAll(t *testing.T) {
	simulate(t, func(c *Config) { c.Workers = 2 }, func(t *testing.T, q *Queue, ca *ca, logs *observer.ObservedLogs) {
		var full atomic.Bool
		full.Store(true)
		until := time.Now().Add(3 * time.Hour)
		ca.usual = func(context.Context, Job) (Have, error) {
			if full.Load() {
				return Have{}, &Later{Until: until, Reason: "300 orders in 3 h", All: true}
			}
			return fresh90(0), nil
		}
		q.Set(names("a.example", "b.example", "c.example", "d.example"))
		q.Start()
		pass(2*time.Hour + 59*time.Minute)
		if got := ca.order(); len(got) > 2 {
			t.Errorf("jobs while all are held: %v", got)
		}
		for i, domain := range []string{"a.example", "b.example", "c.example", "d.example"} {
			if status := want(t, q, domain, Queued); status.Position != i+1 || status.ETA.Before(until) || status.Attempts != 0 {
				t.Errorf("held: %+v", status)
			}
		}
		full.Store(false)
		pass(2 * time.Minute)
		if counts := q.Counts(); counts[Active] != 4 {
			t.Errorf("after it: %v", counts)
		}
		if logs.FilterMessage("orders wait for the certificate authority's limit").Len() != 1 {
			t.Errorf("log: %v", logs.All())
		}
	})
}

func TestLaterOfOneDomain(t *testing.T) {
	simulate(t, func(c *Config) { c.Workers = 1 }, func(t *testing.T, q *Queue, ca *ca, _ *observer.ObservedLogs) {
		until := time.Now().Add(2 * day)
		ca.answer("a.example", always(&Later{Until: until, Reason: "50 certificates below a.example"}))
		q.Set(names("a.example", "b.example"))
		q.Start()
		pass(time.Minute)
		want(t, q, "b.example", Active)
		status := want(t, q, "a.example", Queued)
		if status.Position != 0 || !status.NextTry.Equal(until) || !status.ETA.Equal(until) || status.Error != "50 certificates below a.example" || status.Attempts != 0 {
			t.Errorf("status: %+v", status)
		}
		ca.answer("a.example", nil)
		pass(2 * day)
		if status := want(t, q, "a.example", Active); status.Error != "" {
			t.Errorf("after it: %+v", status)
		}
	})
}

// A Later that is over already must not be asked for in a circle.
func TestLaterInThePast(t *testing.T) {
	simulate(t, nil, func(t *testing.T, q *Queue, ca *ca, _ *observer.ObservedLogs) {
		ca.answer("a.example", always(&Later{Reason: "none"}))
		ca.answer("b.example", always(&Later{Reason: "none", All: true}))
		q.Set(names("a.example", "b.example"))
		q.Start()
		pass(time.Minute)
		if n := len(ca.order()); n > 130 {
			t.Errorf("%d jobs in a minute", n)
		}
	})
}

func TestElsewhere(t *testing.T) {
	simulate(t, func(c *Config) { c.Workers = 1 }, func(t *testing.T, q *Queue, ca *ca, logs *observer.ObservedLogs) {
		ca.answer("a.example", always(ErrElsewhere))
		ca.answer("b.example", always(ErrElsewhere))
		q.Set(names("a.example", "b.example", "c.example"))
		q.Start()
		pass(3 * time.Second)
		want(t, q, "a.example", Ordering)
		want(t, q, "c.example", Active)
		pass(time.Minute)
		if jobs, _ := ca.of("a.example"); len(jobs) < 10 || len(jobs) > 14 || jobs[5].Attempt != 0 {
			t.Errorf("%d looks in a minute", len(jobs))
		}
		q.Observe("a.example", fresh90(0)) // the other one has it
		want(t, q, "a.example", Active)
		ca.answer("b.example", nil) // the other one has died
		pass(7 * time.Second)
		want(t, q, "b.example", Active)
		if warned := logs.FilterLevelExact(zapcore.WarnLevel); warned.Len() > 0 {
			t.Errorf("warned: %v", warned.All())
		}
	})
}

func TestLeftAndBack(t *testing.T) {
	simulate(t, nil, func(t *testing.T, q *Queue, ca *ca, logs *observer.ObservedLogs) {
		gone := &DNSFault{Sentence: "`a.example` points to 203.0.113.7", Elsewhere: true}
		ca.answer("a.example", always(gone))
		q.Set([]Domain{{Name: "a.example", Have: new(fresh90(70 * day))}})
		q.Start()
		synctest.Wait()
		status := want(t, q, "a.example", Left)
		if status.NotAfter.IsZero() || status.Error != gone.Sentence || !status.NextTry.Equal(time.Now().Add(6*time.Hour)) {
			t.Errorf("status: %+v", status)
		}
		pass(19 * time.Hour)
		if jobs, _ := ca.of("a.example"); len(jobs) != 4 {
			t.Errorf("%d looks in 19 hours", len(jobs))
		}
		ca.answer("a.example", nil)
		q.Front("a.example")
		pass(2 * time.Second)
		want(t, q, "a.example", Active)
		if warned := logs.FilterLevelExact(zapcore.WarnLevel).Len(); warned != 1 {
			t.Errorf("%d warnings", warned)
		}
	})
}

func TestDNSFaultOfARenewalThatPointsHere(t *testing.T) {
	simulate(t, nil, func(t *testing.T, q *Queue, ca *ca, _ *observer.ObservedLogs) {
		ca.usual = always(&DNSFault{Sentence: "CAA forbids it"})
		q.Set([]Domain{{Name: "a.example", Have: new(fresh90(70 * day))}})
		q.Start()
		synctest.Wait()
		want(t, q, "a.example", Failing)
	})
}

func TestLogTellsEachFaultOnce(t *testing.T) {
	simulate(t, nil, func(t *testing.T, q *Queue, ca *ca, logs *observer.ObservedLogs) {
		attempt := 0
		ca.usual = func(context.Context, Job) (Have, error) {
			attempt++
			return Have{}, fmt.Errorf("order %d failed for reason %c", attempt, 'a'+attempt%3)
		}
		q.Set(names("a.example"))
		q.Start()
		pass(10 * day)
		lines := logs.FilterMessage("a certificate could not be obtained")
		if warned := lines.FilterLevelExact(zapcore.WarnLevel).Len(); warned != 3 || lines.Len() < 10 {
			t.Errorf("%d warnings in %d lines for three faults", warned, lines.Len())
		}
		fields := lines.All()[0].ContextMap()
		if fields["domain"] != "a.example" || fields["tenant"] != "t" || fields["error"] != "order 1 failed for reason b" || fields["next_try"] == nil {
			t.Errorf("fields: %v", fields)
		}
	})
}
