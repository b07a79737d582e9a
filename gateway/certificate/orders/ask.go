package orders

import (
	"context"
	"fmt"
	"runtime/debug"
	"time"

	"go.uber.org/zap"

	"metahub/gateway/certificate/spread"
)

const (
	// maxAsking is how many questions run at once. They take the workers that have nothing to order.
	maxAsking  = 2
	askTimeout = time.Minute
	// nearRenewal is when the first question is asked within minutes.
	nearRenewal = 24 * time.Hour
	nearSpread  = 5 * time.Minute
	// A CA is asked again after a day at most and a minute at least (RFC 9773 §4.3.2).
	minAskAgain = time.Minute
	maxAskAgain = 24 * time.Hour
)

// ask is a question to the CA about the certificate that a domain had then.
type ask struct {
	entry     *entry
	domain    string
	notBefore moment
}

// askFirst plans the first question about a certificate, at a time that follows from the domain, so that 100,000 do not ask at once. It
// is asked pause and up to as long as the spread from now, or within minutes where it is soon to be renewed.
func (q *Queue) askFirst(e *entry, now moment, pause time.Duration) {
	if q.askCA == nil {
		return
	}
	within := q.askSpread
	if e.renewAt.sub(now) < nearRenewal {
		within = min(within, nearSpread)
		pause = min(pause, nearSpread)
	}
	q.asks.put(e, int64(now.add(pause+time.Duration(spread.Of(e.name)*float64(within)))))
}

// nextAsk returns the question that is due, nil when there is none. Only what is active is asked about: the renewal of all else is due.
func (q *Queue) nextAsk(now moment) *ask {
	for {
		e, at := q.asks.first()
		if e == nil || moment(at) > now {
			return nil
		}
		if e.state != active {
			q.asks.put(e, int64(now.add(askPause)))
			continue
		}
		q.asks.remove(e)
		q.asking++
		return &ask{entry: e, domain: e.name, notBefore: e.notBefore}
	}
}

// question asks the CA.
func (q *Queue) question(a ask) {
	renewAt, askAgain, err := q.answer(a)
	if say := q.heed(a, momentOf(renewAt), momentOf(askAgain), err); say != nil {
		say(q.logger)
	}
	q.wake()
}

func (q *Queue) answer(a ask) (renewAt, askAgain time.Time, err error) {
	defer func() {
		if cause := recover(); cause != nil {
			err = &panicked{sentenceOf(fmt.Sprint(cause))}
			q.logger.Error("asking for renewal information failed by a fault of ours", zap.String("domain", a.domain),
				zap.Any("panic", cause), zap.ByteString("stack", debug.Stack()))
		}
	}()
	ctx, cancel := context.WithTimeout(q.ctx, min(askTimeout, q.timeout))
	defer cancel()
	return q.askCA(ctx, a.domain)
}

// heed acts on an answer, unless the certificate is another one by now.
func (q *Queue) heed(a ask, renewAt, askAgain moment, err error) say {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.asking--
	now, e := q.now(), a.entry
	if q.find(a.domain) != e || e.notBefore != a.notBefore || q.ctx.Err() != nil {
		return nil
	}
	if err != nil {
		q.asks.put(e, int64(now.add(jittered(askPause, q.random()))))
		return func(logger *zap.Logger) {
			logger.Debug("the certificate authority did not say when to renew", zap.String("domain", a.domain), zap.Error(err))
		}
	}
	if askAgain != 0 {
		q.asks.put(e, int64(min(max(askAgain, now.add(minAskAgain)), now.add(maxAskAgain))))
	}
	// A window close to the end, or behind it, would leave no time for a second try.
	renewAt = min(renewAt, e.notAfter.add(-e.life()/6))
	if renewAt == 0 || renewAt == e.renewAt {
		return nil
	}
	e.renewAt, e.asked = renewAt, true
	if e.state != active {
		return nil
	}
	q.settle(e, now)
	if e.state != queued {
		return nil
	}
	return func(logger *zap.Logger) {
		logger.Info("the certificate authority asks for the renewal of a certificate now", zap.String("domain", a.domain))
	}
}
