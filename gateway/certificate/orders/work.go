package orders

import (
	"context"
	"fmt"
	"runtime/debug"
	"time"

	"go.uber.org/zap"
)

// renewedPause is how long a certificate is left alone that is due again the moment it was obtained.
const renewedPause = 10 * time.Minute

// work does a job.
func (q *Queue) work(e *entry, r *run) {
	defer r.cancel()
	have, err := q.attempt(r)
	if say := q.conclude(e, r, have, err); say != nil {
		say(q.logger)
	}
	q.wake()
}

// panicked is the error of a job that had a fault of ours.
type panicked struct{ cause string }

func (p *panicked) Error() string { return "a fault in the gateway, please report it: " + p.cause }

func (q *Queue) attempt(r *run) (have Have, err error) {
	defer func() {
		if cause := recover(); cause != nil {
			err = &panicked{sentenceOf(fmt.Sprint(cause))}
			q.logger.Error("ordering a certificate failed by a fault of ours", zap.String("domain", r.job.Domain),
				zap.Any("panic", cause), zap.ByteString("stack", debug.Stack()))
		}
	}()
	ctx, cancel := context.WithTimeout(r.ctx, q.timeout)
	defer cancel()
	return q.do(ctx, r.job)
}

// say is a line for the log, to be written when no lock is held.
type say func(*zap.Logger)

// conclude takes a domain back from a worker and decides how it goes on.
func (q *Queue) conclude(e *entry, r *run, have Have, err error) say {
	q.mu.Lock()
	defer q.mu.Unlock()
	now := q.now()
	q.running--
	if r.lane.isRetry() {
		q.retrying--
	}
	e.run = nil
	if e.gone {
		delete(q.domains, e.name)
		return nil
	}
	back, again := e.back, e.forcedAnew
	e.back, e.forcedAnew = false, false
	line := q.resolve(e, r, have, err, back, now)
	if again {
		q.force(e, now)
	}
	return line
}

func (q *Queue) resolve(e *entry, r *run, have Have, err error, back bool, now moment) say {
	switch {
	case err == nil:
		return q.succeed(e, r, have, now)
	case q.ctx.Err() != nil: // it was Stop that ended it
		q.setState(e, queued, now)
		return nil
	case back: // it was Set that ended it
		q.enqueue(e, plain, now)
		return nil
	case e.observed && e.renewAt > now: // another gateway has it by now
		q.activate(e, e.renewAt, now)
		return nil
	default:
		return q.fail(e, r, err, now)
	}
}

func (q *Queue) succeed(e *entry, r *run, have Have, now moment) say {
	q.note(now.sub(r.started))
	isNew := q.take(e, have, now, q.askSpread)
	found := e.observed && !isNew // it was in the storage: whoever obtained it has said so
	q.activate(e, max(e.renewAt, now.add(renewedPause)), now)
	message, took := "certificate obtained", now.sub(r.started)
	if r.job.Have != nil {
		message = "certificate renewed"
	}
	fields := []zap.Field{zap.String("domain", e.name), zap.String("tenant", e.tenant), zap.String("issuer", e.issuer),
		zap.Time("not_after", e.notAfter.time()), zap.Duration("took", took)}
	return func(logger *zap.Logger) {
		if found {
			logger.Debug("certificate found in the storage", fields...)
			return
		}
		logger.Info(message, fields...)
	}
}

// note keeps the average of how long an order takes.
func (q *Queue) note(took time.Duration) {
	q.took += (took - q.took) / 8
}
