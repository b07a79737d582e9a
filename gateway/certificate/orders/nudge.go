package orders

import (
	"slices"
	"strings"
	"time"
)

// nudgePause is how long after an attempt visitors do not bring about another one.
const nudgePause = time.Minute

// Front says that visitors ask for a domain that has no certificate: it moves to the front of its lane, and one that waits for its DNS,
// or has left, is tried again, though not within a minute of the last time. Front is for TLS handshakes: it never blocks and takes no
// lock that a job holds. In a flood calls are dropped.
func (q *Queue) Front(domain string) {
	select {
	case q.nudges <- domain:
	default:
	}
}

// nudge does what Front has asked for, and what other calls have asked for meanwhile.
func (q *Queue) nudge(domain string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	now := q.now()
	q.front(domain, now)
	for range 255 { // then others get the lock
		select {
		case domain := <-q.nudges:
			q.front(domain, now)
		default:
			return
		}
	}
}

func (q *Queue) front(domain string, now moment) {
	e := q.find(domain)
	switch {
	case e == nil || e.run != nil:
	case e.isWaiting():
		if e.class > nudged {
			e.class = nudged
			q.place(e, now)
		}
	case e.state == waiting || e.state == left:
		q.hasten(e, now)
	}
}

// hasten tries a domain now, or a minute after the last time.
func (q *Queue) hasten(e *entry, now moment) {
	soonest := e.trouble.tried.add(nudgePause)
	if now >= soonest {
		q.schedule.remove(e)
		q.enqueue(e, nudged, now)
		return
	}
	if at, ok := q.schedule.key(e); ok && moment(at) > soonest {
		q.schedule.put(e, int64(soonest))
	}
}

// Renew orders a new certificate at once and before all others, whatever the age of the one there is. It returns ErrUnknownDomain for a
// domain that is not in the wanted set.
func (q *Queue) Renew(domain string) error {
	defer q.wake()
	q.mu.Lock()
	defer q.mu.Unlock()
	e := q.find(domain)
	if e == nil {
		return ErrUnknownDomain
	}
	if e.run != nil {
		e.forcedAnew = !e.run.job.Forced
		return nil
	}
	q.force(e, q.now())
	return nil
}

func (q *Queue) force(e *entry, now moment) {
	e.forced, e.elsewhere = true, false
	q.lanes[e.lane].remove(e)
	q.schedule.remove(e)
	q.enqueue(e, forced, now)
}

// Retry tries domains now that are failing, wait for their DNS or have left; all of them when none is named. It returns how many.
func (q *Queue) Retry(domains ...string) int {
	defer q.wake()
	q.mu.Lock()
	defer q.mu.Unlock()
	now, woken := q.now(), 0
	for _, e := range q.inTrouble(domains) {
		if e.run == nil && !e.isWaiting() {
			q.schedule.remove(e)
			q.enqueue(e, plain, now)
			woken++
		}
	}
	return woken
}

// inTrouble returns those of the domains, or of all, that failed at last, by name.
func (q *Queue) inTrouble(domains []string) []*entry {
	var found []*entry
	note := func(e *entry) {
		if e != nil && !e.gone && (e.state == waiting || e.state == failing || e.state == left) {
			found = append(found, e)
		}
	}
	if len(domains) > 0 {
		for _, domain := range domains {
			note(q.domains[domain])
		}
		return found
	}
	for _, e := range q.domains {
		note(e)
	}
	slices.SortFunc(found, func(a, b *entry) int { return strings.Compare(a.name, b.name) })
	return found
}
