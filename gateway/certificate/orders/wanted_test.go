package orders

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap/zaptest/observer"
)

func TestSetDuringOrders(t *testing.T) {
	simulate(t, func(c *Config) { c.Workers = 3 }, func(t *testing.T, q *Queue, ca *ca, _ *observer.ObservedLogs) {
		cancelled := 0
		ca.answer("gone.example", func(ctx context.Context, _ Job) (Have, error) {
			<-ctx.Done()
			cancelled++
			return Have{}, ctx.Err()
		})
		ca.answer("stays.example", after(10*time.Second))
		q.Start()
		q.Set(names("gone.example", "stays.example"))
		pass(time.Second)
		q.Set(append(names("new.example"), Domain{Name: "stays.example", Tenant: "other"}))
		synctest.Wait()
		if _, ok := q.StatusOf("gone.example"); ok || cancelled != 1 || len(q.Status("")) != 2 {
			t.Errorf("a domain that is gone is there: %v, cancelled %d times, %d are listed", ok, cancelled, len(q.Status("")))
		}
		if status := want(t, q, "stays.example", Ordering); status.Tenant != "other" {
			t.Errorf("status: %+v", status)
		}
		pass(10 * time.Second)
		want(t, q, "new.example", Active)
		want(t, q, "stays.example", Active)
		if jobs, _ := ca.of("stays.example"); len(jobs) != 1 {
			t.Errorf("%d jobs for a domain that stayed", len(jobs))
		}
		q.Set(nil)
		if counts := q.Counts(); counts[Active] != 0 || len(q.domains) != 0 || q.schedule.len() != 0 {
			t.Errorf("nothing is wanted: %v", counts)
		}
	})
}

// A domain that comes back before its cancelled job has ended is not worked on twice.
func TestSetAwayAndBack(t *testing.T) {
	simulate(t, nil, func(t *testing.T, q *Queue, ca *ca, _ *observer.ObservedLogs) {
		ca.answer("a.example", func(ctx context.Context, _ Job) (Have, error) {
			<-ctx.Done()
			time.Sleep(5 * time.Second) // it is slow to give up
			return Have{}, ctx.Err()
		})
		q.Start()
		q.Set(names("a.example"))
		pass(time.Second)
		q.Set(nil)
		q.Set(names("a.example"))
		pass(time.Second)
		want(t, q, "a.example", Ordering)
		if jobs, _ := ca.of("a.example"); len(jobs) != 1 {
			t.Errorf("%d jobs at once", len(jobs))
		}
		ca.answer("a.example", nil)
		pass(6 * time.Second)
		if status := want(t, q, "a.example", Active); status.Attempts != 0 {
			t.Errorf("status: %+v", status)
		}
		q.Set(nil) // and away for good while nothing runs
		if _, ok := q.StatusOf("a.example"); ok {
			t.Error("it is still there")
		}
	})
}

func TestSetKeepsWhatIsKnown(t *testing.T) {
	simulate(t, nil, func(t *testing.T, q *Queue, ca *ca, _ *observer.ObservedLogs) {
		ca.answer("bad.example", always(errors.New("no")))
		have := fresh90(day)
		q.Start()
		q.Set([]Domain{{Name: "has.example", Have: &have}, {Name: "bad.example"}, {Name: "bad.example"}})
		pass(time.Hour)
		before := want(t, q, "bad.example", Failing)
		for range 3 {
			q.Set([]Domain{{Name: "has.example"}, {Name: "bad.example"}})
			q.Set([]Domain{{Name: "bad.example"}, {Name: "has.example", Have: &have}})
			q.Observe("has.example", have)
			q.Observe("nobody.example", have)
		}
		pass(time.Second)
		if after := want(t, q, "bad.example", Failing); after.NextTry != before.NextTry || after.Attempts != before.Attempts {
			t.Errorf("before %+v, after %+v", before, after)
		}
		if status := want(t, q, "has.example", Active); !status.NotAfter.Equal(have.NotAfter) || !status.RenewAt.Equal(have.RenewAt) {
			t.Errorf("status: %+v", status)
		}
		have.RenewAt = time.Now() // the same certificate, but to be replaced
		q.Observe("has.example", have)
		pass(2 * time.Second)
		if jobs, _ := ca.of("has.example"); len(jobs) != 1 {
			t.Errorf("%d renewals", len(jobs))
		}
	})
}

func TestObserve(t *testing.T) {
	simulate(t, func(c *Config) { c.Workers = 1 }, func(t *testing.T, q *Queue, ca *ca, _ *observer.ObservedLogs) {
		ca.answer("runs.example", func(context.Context, Job) (Have, error) {
			time.Sleep(time.Minute)
			return Have{}, errors.New("another gateway was first")
		})
		ca.answer("bad.example", always(errors.New("no")))
		q.Start()
		q.Set(names("bad.example", "runs.example", "queued.example"))
		pass(time.Second)
		want(t, q, "bad.example", Failing)
		want(t, q, "runs.example", Ordering)
		for _, domain := range []string{"bad.example", "runs.example", "queued.example"} {
			q.Observe(domain, fresh90(time.Hour))
		}
		if status := want(t, q, "bad.example", Active); status.Error != "" || status.Attempts != 0 {
			t.Errorf("status: %+v", status)
		}
		want(t, q, "queued.example", Active)
		want(t, q, "runs.example", Ordering)
		pass(time.Minute)
		want(t, q, "runs.example", Active)
		q.Observe("queued.example", fresh90(80*day)) // an old one was adopted: it is due
		pass(2 * time.Second)
		if jobs, _ := ca.of("queued.example"); len(jobs) != 1 || jobs[0].Have == nil {
			t.Errorf("jobs: %+v", jobs)
		}
	})
}

// A certificate that is due the moment it was obtained must not be ordered in a circle, whoever else tells of it.
func TestObtainedAndDue(t *testing.T) {
	simulate(t, nil, func(t *testing.T, q *Queue, ca *ca, _ *observer.ObservedLogs) {
		ca.usual = func(context.Context, Job) (Have, error) {
			have := fresh90(0)
			have.RenewAt = have.NotBefore
			go func() { time.Sleep(time.Second); q.Observe("a.example", have) }()
			return have, nil
		}
		q.Start()
		q.Set(names("a.example"))
		pass(65 * time.Minute)
		if jobs, _ := ca.of("a.example"); len(jobs) > 7 {
			t.Errorf("%d jobs in an hour", len(jobs))
		}
	})
}

// What Set remembers of the last one goes round.
func TestSetManyTimes(t *testing.T) {
	q := New(Config{Do: always(nil)})
	for range 600 {
		q.Set(names("a.example"))
		q.Set(names("a.example", "b.example"))
		if q.Set(names("b.example")); len(q.Status("")) != 1 || q.Counts()[Queued] != 1 {
			t.Fatalf("status: %+v", q.Status(""))
		}
	}
}
