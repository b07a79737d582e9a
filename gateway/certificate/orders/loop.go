package orders

import (
	"context"
	"time"

	"go.uber.org/zap"
)

// maxSleep is how long the loop sleeps at most. A timer does not see that the wall clock was set, or that the machine was suspended.
const maxSleep = time.Minute

// loop starts jobs until Stop. It does nothing slow itself.
func (q *Queue) loop() {
	for q.turn() {
	}
}

// turn starts what may start and waits for the next event; it reports false at the end.
func (q *Queue) turn() (goOn bool) {
	defer func() {
		if cause := recover(); cause != nil {
			q.logger.Error("the order queue had a fault and goes on", zap.Any("panic", cause), zap.Stack("stack"))
			goOn = q.pauseAfterFault()
		}
	}()
	if q.ctx.Err() != nil {
		return false
	}
	work, next, now := q.claim()
	for _, start := range work {
		q.parts.Go(start)
	}
	select {
	case <-q.ctx.Done():
		return false
	case <-q.wakeLoop:
	case domain := <-q.nudges:
		q.nudge(domain)
	case <-q.alarm.at(q.clock, next, now):
		q.alarm.ring = nil
	}
	return true
}

// pauseAfterFault keeps a fault that comes back from taking the whole machine.
func (q *Queue) pauseAfterFault() (goOn bool) {
	select {
	case <-q.ctx.Done():
		return false
	case <-time.After(time.Second):
		return true
	}
}

// claim moves what is due into the lanes, and takes from them what there are workers for. next is when there will be more.
func (q *Queue) claim() (work []func(), next, now moment) {
	q.mu.Lock()
	defer q.mu.Unlock()
	now = q.now()
	q.promote(now)
	for q.running+q.asking < q.workers {
		e := q.next(now)
		if e == nil {
			break
		}
		r := q.begin(e, now)
		work = append(work, func() { q.work(e, r) })
	}
	for q.running+q.asking < q.workers && q.asking < maxAsking {
		question := q.nextAsk(now)
		if question == nil {
			break
		}
		work = append(work, func() { q.question(*question) })
	}
	return work, q.nextEvent(now), now
}

// promote queues the domains whose time has come.
func (q *Queue) promote(now moment) {
	for {
		e, at := q.schedule.first()
		if e == nil || moment(at) > now {
			return
		}
		q.schedule.remove(e)
		switch {
		case e.isWaiting(): // its last third has begun
			q.place(e, now)
		case e.state == active && e.renewAt > now: // the clock was set back, or the CA has changed its mind
			q.schedule.put(e, int64(e.renewAt))
		case e.state == queued || e.elsewhere: // it was its turn before
			q.enqueue(e, e.class, now)
		default:
			q.enqueue(e, plain, now)
		}
	}
}

// begin gives an entry to a worker.
func (q *Queue) begin(e *entry, now moment) *run {
	q.schedule.remove(e)
	r := &run{lane: e.lane, started: now, job: Job{
		Domain: e.name, Tenant: e.tenant, Have: e.have(), Forced: e.forced,
		ARI: e.asked && e.hasCertificate() && e.renewAt <= now,
	}}
	if e.trouble != nil {
		r.job.Attempt = int(e.trouble.attempts)
	}
	r.ctx, r.cancel = context.WithCancel(q.ctx)
	e.run, e.elsewhere, e.observed = r, false, false
	q.running++
	if r.lane.isRetry() {
		q.retrying++
	}
	q.setState(e, ordering, now)
	return r
}

// nextEvent is when the loop must look again though nothing has called it. Whoever waits for a worker only is called by its end.
func (q *Queue) nextEvent(now moment) moment {
	next := now.add(maxSleep)
	if e, at := q.schedule.first(); e != nil {
		next = min(next, moment(at))
	}
	if e, at := q.asks.first(); e != nil && q.asking < maxAsking && q.running+q.asking < q.workers {
		next = min(next, moment(at))
	}
	if q.heldUntil > now {
		next = min(next, q.heldUntil)
	}
	return next
}

// alarm is a timer that is not set anew for each turn: one that rings early costs a turn, one for each nudge would cost memory.
type alarm struct {
	ring <-chan time.Time
	when moment
}

func (a *alarm) at(clock Clock, when, now moment) <-chan time.Time {
	if a.ring == nil || when < a.when {
		a.ring, a.when = clock.After(max(when.sub(now), 0)), when
	}
	return a.ring
}
