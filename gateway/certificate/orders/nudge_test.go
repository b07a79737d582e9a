package orders

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap/zaptest/observer"
)

func TestFrontTriesAWaitingDomain(t *testing.T) {
	simulate(t, nil, func(t *testing.T, q *Queue, ca *ca, _ *observer.ObservedLogs) {
		ca.answer("a.example", always(&DNSFault{Sentence: "no address"}))
		q.Start()
		q.Set(names("a.example"))
		pass(2 * time.Hour) // the pauses are half an hour by now
		before, times := ca.of("a.example")
		last := ca.began.Add(times[len(times)-1])
		pass(time.Until(last.Add(30*time.Minute + 10*time.Second))) // ten seconds after the next attempt
		q.Front("a.example")
		pass(time.Second)
		if jobs, _ := ca.of("a.example"); len(jobs) != len(before)+1 {
			t.Errorf("tried %d times more, so soon after the last time", len(jobs)-len(before))
		}
		pass(50 * time.Second) // a minute after it
		if jobs, _ := ca.of("a.example"); len(jobs) != len(before)+2 {
			t.Errorf("tried %d times more", len(jobs)-len(before))
		}
		pass(2 * time.Minute)
		ca.answer("a.example", nil)
		q.Front("a.example")
		pass(2 * time.Second)
		want(t, q, "a.example", Active)
	})
}

func TestFrontFloodDoesNotBlock(t *testing.T) {
	q := New(Config{Do: after(time.Hour)})
	q.Set(names("a.example"))
	done := make(chan struct{})
	go func() { // nobody takes them: Start was not called
		defer close(done)
		for i := range 100_000 {
			q.Front(fmt.Sprintf("random%d.example", i))
		}
	}()
	select {
	case <-done:
	case <-time.After(20 * time.Second):
		t.Fatal("Front blocks")
	}
	if allocated := testing.AllocsPerRun(1000, func() { q.Front("a.example") }); allocated > 0 {
		t.Errorf("a call allocates %v times", allocated)
	}
}

func TestFrontFloodOrdersNothing(t *testing.T) {
	simulate(t, nil, func(t *testing.T, q *Queue, ca *ca, _ *observer.ObservedLogs) {
		ca.answer("waits.example", always(&DNSFault{Sentence: "no address"}))
		q.Start()
		q.Set([]Domain{{Name: "waits.example"}, {Name: "has.example", Have: new(fresh90(0))}})
		synctest.Wait()
		for i := range 100_000 {
			q.Front("has.example")
			q.Front("waits.example")
			q.Front(fmt.Sprintf("random%d.example", i))
		}
		synctest.Wait()
		if got := ca.order(); len(got) != 1 || len(q.domains) != 2 {
			t.Errorf("jobs: %v", got)
		}
		q.Set(names("new.example"))
		pass(2 * time.Second)
		want(t, q, "new.example", Active)
	})
}

func TestRenew(t *testing.T) {
	simulate(t, nil, func(t *testing.T, q *Queue, ca *ca, _ *observer.ObservedLogs) {
		if err := q.Renew("nobody.example"); !errors.Is(err, ErrUnknownDomain) {
			t.Errorf("unknown: %v", err)
		}
		q.Start()
		q.Set([]Domain{{Name: "a.example", Have: new(fresh90(day))}})
		pass(time.Minute)
		ca.answer("a.example", always(errors.New("no")))
		q.Renew("a.example")
		synctest.Wait()
		if status := want(t, q, "a.example", Failing); status.NotAfter.IsZero() {
			t.Errorf("status: %+v", status)
		}
		ca.answer("a.example", func(context.Context, Job) (Have, error) { time.Sleep(time.Minute); return fresh90(0), nil })
		pass(10*time.Minute + 30*time.Second)
		q.Renew("a.example") // while it runs because of the first
		q.Renew("a.example")
		pass(5 * time.Minute)
		want(t, q, "a.example", Active)
		jobs, _ := ca.of("a.example")
		if len(jobs) != 2 || !jobs[0].Forced || !jobs[1].Forced {
			t.Errorf("jobs: %+v", jobs)
		}
	})
}

// An order that began before the administrator's word does not fulfil it.
func TestRenewDuringAnOrder(t *testing.T) {
	simulate(t, nil, func(t *testing.T, q *Queue, ca *ca, _ *observer.ObservedLogs) {
		ca.usual = after(time.Minute)
		q.Start()
		q.Set(names("a.example"))
		pass(time.Second)
		q.Renew("a.example")
		pass(3 * time.Minute)
		if jobs, _ := ca.of("a.example"); len(jobs) != 2 || jobs[0].Forced || !jobs[1].Forced {
			t.Errorf("jobs: %+v", jobs)
		}
		want(t, q, "a.example", Active)
	})
}

func TestRetry(t *testing.T) {
	simulate(t, nil, func(t *testing.T, q *Queue, ca *ca, _ *observer.ObservedLogs) {
		ca.answer("fails.example", always(errors.New("no")))
		ca.answer("waits.example", always(&DNSFault{Sentence: "no"}))
		ca.answer("left.example", always(&DNSFault{Sentence: "no", Elsewhere: true}))
		q.Start()
		q.Set(append(names("fails.example", "waits.example", "fine.example"), Domain{Name: "left.example", Have: new(fresh90(70 * day))}))
		pass(10 * time.Second)
		before := len(ca.order())
		if n := q.Retry("fails.example", "fails.example", "fine.example", "nobody.example"); n != 1 {
			t.Errorf("woke %d", n)
		}
		synctest.Wait()
		if n := q.Retry(); n != 3 {
			t.Errorf("woke %d of all", n)
		}
		synctest.Wait()
		if n := len(ca.order()) - before; n != 4 {
			t.Errorf("%d jobs", n)
		}
		if jobs, _ := ca.of("fails.example"); jobs[2].Attempt != 2 {
			t.Errorf("jobs: %+v", jobs)
		}
	})
}
