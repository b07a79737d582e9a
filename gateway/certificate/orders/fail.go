package orders

import (
	"errors"
	"math"
	"time"

	"go.uber.org/zap"
)

const (
	// minPause keeps a Later that is over already from being asked for in a circle.
	minPause = time.Second
	// maxPause is the longest wait for a limit: no CA has one over more than a week.
	maxPause = 8 * 24 * time.Hour
	// maxHold is the longest for all domains together; then one of them asks again.
	maxHold = 24 * time.Hour
	// heldEvery is how often the log tells of one and the same limit.
	heldEvery = time.Hour
)

// fail decides how a domain goes on after an error of Config.Do.
func (q *Queue) fail(e *entry, r *run, err error, now moment) say {
	if errors.Is(err, ErrElsewhere) {
		e.elsewhere = true
		q.schedule.put(e, int64(now.add(jittered(elsewherePause, q.random()))))
		return nil
	}
	var later *Later
	if errors.As(err, &later) {
		return q.postpone(e, r, later, now)
	}
	q.note(now.sub(r.started))
	return q.despair(e, err, now)
}

// postpone has a domain, or all, wait for a limit.
func (q *Queue) postpone(e *entry, r *run, later *Later, now moment) say {
	longest := maxPause
	if later.All {
		longest = maxHold
	}
	until := min(max(momentOf(later.Until), now.add(minPause)), now.add(longest))
	reason := sentenceOf(later.Reason)
	if later.All && !r.job.ARI {
		q.enqueue(e, e.class, now) // where it was
		return q.hold(until, reason, now)
	}
	// A renewal in the CA's window passes any hold: it would be back at once.
	q.trouble(e).sentence = reason
	q.setState(e, queued, now)
	q.schedule.put(e, int64(until))
	return func(logger *zap.Logger) {
		logger.Debug("an order waits for the certificate authority's limit", zap.String("domain", e.name), zap.Time("until", until.time()), zap.String("reason", reason))
	}
}

// hold starts no counted job before until.
func (q *Queue) hold(until moment, reason string, now moment) say {
	q.heldUntil, q.heldWhy = max(q.heldUntil, until), reason
	print := fingerprint(reason)
	if print == q.heldReason && now.sub(q.heldSaid) < heldEvery {
		return nil
	}
	q.heldReason, q.heldSaid = print, now
	return func(logger *zap.Logger) {
		logger.Info("orders wait for the certificate authority's limit", zap.Time("until", until.time()), zap.String("reason", reason))
	}
}

// trouble returns an entry's, which begins now where there was none.
func (q *Queue) trouble(e *entry) *trouble {
	if e.trouble == nil {
		e.trouble = &trouble{state: stateCount}
	}
	return e.trouble
}

// despair puts a domain back into the heap after a failure.
func (q *Queue) despair(e *entry, err error, now moment) say {
	kind, state := faultOf(err), troubleOf(e, err)
	t := q.trouble(e)
	if t.state != state {
		t.state, t.since = state, now
	}
	t.tried, t.sentence = now, sentenceOf(err.Error())
	t.attempts += min(1, math.MaxInt32-t.attempts)
	t.counts[kind] += min(1, math.MaxUint16-t.counts[kind])
	e.seq = 0
	q.setState(e, state, now)
	e.since = t.since
	next := now.add(q.pause(e, kind, retryAfterOf(err), now))
	q.schedule.put(e, int64(next))
	return failure(e, next)
}

// troubleOf is the state after a failure.
func troubleOf(e *entry, err error) stateIndex {
	var dns *DNSFault
	switch {
	case !errors.As(err, &dns):
		return failing
	case !e.hasCertificate():
		return waiting
	case dns.Elsewhere:
		return left
	default:
		return failing
	}
}

// pause is how long a domain is left alone after a failure.
func (q *Queue) pause(e *entry, kind fault, retryAfter time.Duration, now moment) time.Duration {
	if e.state == left {
		return jittered(leftPause, q.random())
	}
	pause := jittered(backoff(kind, int(e.trouble.counts[kind]), now.sub(e.trouble.since)), q.random())
	if e.isClose(now) {
		pause = min(pause, urgentCap)
	}
	return max(pause, retryAfter)
}

// failure is the line about a failure: a warning once for each thing that is wrong with a domain, else for those who debug.
func failure(e *entry, next moment) say {
	t := e.trouble
	message := map[stateIndex]string{
		waiting: "a domain waits for its DNS, no order was spent",
		left:    "a domain points elsewhere, its certificate is not renewed",
		failing: "a certificate could not be obtained",
	}[e.state]
	fields := []zap.Field{zap.String("domain", e.name), zap.String("tenant", e.tenant), zap.Int32("attempts", t.attempts), zap.Time("next_try", next.time())}
	if e.hasCertificate() {
		fields = append(fields, zap.Time("not_after", e.notAfter.time()))
		if e.state == failing {
			message = "a certificate could not be renewed"
		}
	}
	fields = append(fields, zap.String("error", t.sentence))
	known := t.remembers(t.sentence)
	return func(logger *zap.Logger) {
		if known {
			logger.Debug(message, fields...)
			return
		}
		logger.Warn(message, fields...)
	}
}
