package orders

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"
)

func TestNewDomainIsOrderedAndRenewed(t *testing.T) {
	simulate(t, nil, func(t *testing.T, q *Queue, ca *ca, logs *observer.ObservedLogs) {
		q.Start()
		q.Set(names("new.example"))
		pass(2 * time.Second)
		status := want(t, q, "new.example", Active)
		if status.Tenant != "t" || status.Issuer != "testca" || time.Until(status.NotAfter) < 89*day {
			t.Errorf("status: %+v", status)
		}
		pass(61 * day)
		jobs, times := ca.of("new.example")
		if len(jobs) != 2 || jobs[0].Have != nil || jobs[1].Have == nil || jobs[1].Attempt != 0 {
			t.Fatalf("jobs: %+v", jobs)
		}
		if at := times[1]; at < 60*day || at > 60*day+time.Minute {
			t.Errorf("renewed after %v", at)
		}
		if logs.FilterMessage("certificate obtained").Len() != 1 || logs.FilterMessage("certificate renewed").Len() != 1 {
			t.Errorf("log: %v", logs.All())
		}
	})
}

func TestLanes(t *testing.T) {
	simulate(t, func(c *Config) { c.Workers = 1 }, func(t *testing.T, q *Queue, ca *ca, _ *observer.ObservedLogs) {
		ends := fresh90(89 * day)
		soon := fresh90(70 * day)
		due := fresh90(58 * day)
		due.RenewAt = time.Now().Add(-time.Hour)
		expired := fresh90(91 * day)
		q.Set([]Domain{
			{Name: "renew.example", Have: &due}, {Name: "new1.example"}, {Name: "new2.example"}, {Name: "new3.example"},
			{Name: "soon.example", Have: &soon}, {Name: "ends.example", Have: &ends}, {Name: "expired.example", Have: &expired},
			{Name: "forced.example", Have: new(fresh90(0))},
		})
		q.Front("new3.example")
		q.nudge("nobody.example")
		if err := q.Renew("forced.example"); err != nil {
			t.Fatal(err)
		}
		wanted := []string{"forced.example", "expired.example", "ends.example", "soon.example", "new3.example", "new1.example", "new2.example", "renew.example"}
		for i, domain := range wanted {
			if status := want(t, q, domain, Queued); status.Position != i+1 {
				t.Errorf("%s is number %d, want %d", domain, status.Position, i+1)
			}
		}
		for _, status := range q.Status(Queued) {
			if wanted[status.Position-1] != status.Domain {
				t.Errorf("in the list %s is number %d", status.Domain, status.Position)
			}
		}
		q.Start()
		pass(time.Minute)
		if got := ca.order(); !slices.Equal(got, wanted) {
			t.Errorf("order: %v", got)
		}
		if jobs, _ := ca.of("forced.example"); !jobs[0].Forced {
			t.Error("the job does not say that it is forced")
		}
	})
}

func TestLaneOf(t *testing.T) {
	now := momentOf(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC))
	f := func(age time.Duration, asked bool, attempts int32, c class, wanted lane) {
		t.Helper()
		e := &entry{asked: asked, class: c}
		if age > 0 {
			e.notBefore, e.notAfter, e.renewAt = now.add(-age), now.add(90*day-age), now
		}
		if attempts > 0 {
			e.trouble = &trouble{attempts: attempts}
		}
		if got := laneOf(e, now); got != wanted {
			t.Errorf("after %v, asked %v, %d attempts, class %d: lane %d, want %d", age, asked, attempts, c, got, wanted)
		}
	}
	f(0, false, 0, plain, fresh)
	f(0, false, 1, plain, again)
	f(50*day, false, 0, plain, fresh)
	f(50*day, false, 1, plain, again)
	f(70*day, false, 0, plain, expiring)
	f(70*day, false, 1, nudged, expiringAgain)
	f(91*day, false, 0, plain, expiring)
	f(91*day, false, 1, plain, again) // nothing is left to be saved
	f(50*day, true, 0, plain, windowed)
	f(70*day, true, 0, plain, windowed)
	f(70*day, true, 1, plain, windowedAgain)
	f(50*day, false, 1, forced, expiring)
}

func TestRenewalMovesToTheFirstLaneWhenItGetsLate(t *testing.T) {
	simulate(t, func(c *Config) { c.Workers = 1 }, func(t *testing.T, q *Queue, ca *ca, _ *observer.ObservedLogs) {
		ca.answer("first.example", always(&Later{Until: time.Now().Add(20 * time.Hour), Reason: "full", All: true}))
		late := fresh90(60*day - time.Hour)
		late.RenewAt = time.Now().Add(-time.Minute)
		q.Set(append(names("first.example", "new.example"), Domain{Name: "late.example", Have: &late}))
		q.Start()
		pass(30 * time.Minute)
		if status := want(t, q, "late.example", Queued); status.Position != 3 {
			t.Errorf("position %d at first", status.Position)
		}
		pass(time.Hour)
		if status := want(t, q, "late.example", Queued); status.Position != 1 {
			t.Errorf("position %d in its last third", status.Position)
		}
	})
}

func TestFailingDomainsHoldNoWorker(t *testing.T) {
	simulate(t, func(c *Config) { c.Workers = 2 }, func(t *testing.T, q *Queue, ca *ca, _ *observer.ObservedLogs) {
		var bad []string
		for i := range 1000 {
			domain := fmt.Sprintf("bad%d.example", i)
			bad = append(bad, domain)
			ca.answer(domain, func(context.Context, Job) (Have, error) {
				time.Sleep(time.Second)
				return Have{}, errors.New("rejected")
			})
		}
		q.Start()
		q.Set(names(bad...))
		pass(12 * time.Minute) // all have failed, hundreds are due again
		good := []string{"g0.example", "g1.example", "g2.example", "g3.example", "g4.example", "g5.example", "g6.example", "g7.example", "g8.example", "g9.example"}
		q.Set(names(append(bad, good...)...))
		pass(11 * time.Second)
		for _, domain := range good {
			want(t, q, domain, Active)
		}
		if counts := q.Counts(); counts[Active] != 10 || counts[Failing]+counts[Queued]+counts[Ordering] != 1000 {
			t.Errorf("counts: %v", counts)
		}
		if ca.most > 2 {
			t.Errorf("%d jobs at once", ca.most)
		}
	})
}

// A CA that does not answer at all must not hold up those domains that go to another one.
func TestHangingRetriesLeaveWorkersFree(t *testing.T) {
	simulate(t, func(c *Config) { c.Workers = 4 }, func(t *testing.T, q *Queue, ca *ca, _ *observer.ObservedLogs) {
		var hung []string
		for i := range 50 {
			hung = append(hung, fmt.Sprintf("hung%d.example", i))
			ca.answer(hung[i], after(time.Hour)) // longer than a job may take
		}
		q.Start()
		q.Set(names(hung...))
		pass(2 * time.Hour)
		q.Set(names(append(hung, "good.example")...))
		pass(2 * time.Second)
		want(t, q, "good.example", Active)
	})
}

func TestPanicCostsItsJobOnly(t *testing.T) {
	simulate(t, nil, func(t *testing.T, q *Queue, ca *ca, logs *observer.ObservedLogs) {
		ca.answer("a.example", func(context.Context, Job) (Have, error) { panic("at the disco") })
		q.Set(names("a.example", "b.example"))
		q.Start()
		pass(2 * time.Second)
		want(t, q, "b.example", Active)
		if status := want(t, q, "a.example", Failing); time.Until(status.NextTry) < 9*time.Minute {
			t.Errorf("status: %+v", status)
		}
		if faults := logs.FilterLevelExact(zapcore.ErrorLevel).All(); len(faults) != 1 || faults[0].ContextMap()["stack"] == nil {
			t.Errorf("log: %v", faults)
		}
	})
}

func TestStopDuringOrders(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		authority := newCA()
		authority.usual = after(time.Hour)
		q := New(Config{Do: authority.do, Ask: func(ctx context.Context, _ string) (a, b time.Time, err error) {
			<-ctx.Done()
			return a, b, ctx.Err()
		}})
		q.Set(append(names("a.example", "b.example"), Domain{Name: "c.example", Have: new(fresh90(0))}))
		q.Start()
		pass(time.Minute)
		began := time.Now()
		q.Stop()
		if took := time.Since(began); took > 0 || authority.running > 0 {
			t.Errorf("stopped after %v, %d still run", took, authority.running)
		}
		if status := want(t, q, "a.example", Queued); status.Attempts != 0 {
			t.Errorf("status: %+v", status)
		}
	})
}

func TestStopWithoutStart(t *testing.T) {
	q := New(Config{Do: always(nil)})
	q.Set(names("a.example"))
	q.Stop()
}

// TestMeanwhile has everything happen at once, for the race detector.
func TestMeanwhile(t *testing.T) {
	var turn sync.Mutex
	chance := random(1)
	q := New(Config{Workers: 4, Do: func(context.Context, Job) (Have, error) {
		turn.Lock()
		defer turn.Unlock()
		switch chance.IntN(6) {
		case 0:
			return Have{}, ErrElsewhere
		case 1:
			return Have{}, &DNSFault{Sentence: "no", Elsewhere: chance.IntN(2) == 0}
		case 2:
			return Have{}, &Later{Until: time.Now().Add(time.Millisecond), All: chance.IntN(4) == 0}
		case 3:
			panic("no")
		default:
			return fresh90(0), nil
		}
	}, Ask: func(context.Context, string) (a, b time.Time, err error) { return time.Now(), time.Now(), nil }, AskSpread: time.Millisecond})
	q.Start()
	var users sync.WaitGroup
	for user := range 4 {
		users.Go(func() {
			chance := random(uint64(user))
			for range 300 {
				domain := fmt.Sprintf("d%d.example", chance.IntN(50))
				switch chance.IntN(8) {
				case 0:
					q.Set(names(domain, "d1.example", "d2.example", "d3.example", "d4.example", "d5.example"))
				case 1:
					q.Observe(domain, fresh90(0))
				case 2:
					q.Renew(domain)
				case 3:
					q.Retry()
				case 4:
					q.Status("")
				case 5:
					q.StatusOf(domain)
				case 6:
					q.Counts()
				default:
					q.Front(domain)
				}
			}
		})
	}
	users.Wait()
	q.Stop()
	total := 0
	for _, n := range q.Counts() {
		if total += n; n < 0 {
			t.Errorf("counts: %v", q.Counts())
		}
	}
	if total != len(q.Status("")) {
		t.Errorf("%d are counted, %d listed", total, len(q.Status("")))
	}
}
