package orders

// lane is one of the lines in which due domains wait. A worker takes from the first lane that has one, so the order here is theirs.
type lane uint8

const (
	// expiring has certificates with less than a third of their life left, by the end of it, and what an administrator forces.
	expiring lane = iota
	// windowed are renewals in the CA's window (RFC 9773). They count against no limit, so nothing holds them.
	windowed
	// expiringAgain and windowedAgain are those of the two above that have failed before.
	expiringAgain
	windowedAgain
	// fresh are domains without a certificate, in rounds of one of each tenant, and behind them renewals that are in no hurry yet.
	fresh
	// again has failed before.
	again
	laneCount
)

// isCounted reports whether a lane's orders count against the CA's limits.
func (l lane) isCounted() bool { return l != windowed && l != windowedAgain }

// isRetry reports whether a lane is of those that have failed. They never get all workers, so that a CA of theirs which does not answer
// cannot hold up the rest.
func (l lane) isRetry() bool { return l == expiringAgain || l == windowedAgain || l == again }

// isByExpiry reports whether a lane goes by the end of certificates rather than by arrival.
func (l lane) isByExpiry() bool { return l != fresh && l != again }

// class goes before all else in a lane.
type class uint8

const (
	forced  class = iota // by an administrator
	nudged               // visitors are waiting
	plain                //
	patient              // renewals among new domains
)

// classBits leaves room below for microseconds until the year 10000 and far beyond.
const classBits = 60

// laneOf says where a due domain waits.
func laneOf(e *entry, now moment) lane {
	retry := e.isRetry()
	asked := e.asked && e.hasCertificate() && e.renewAt <= now
	switch {
	case e.class == forced:
		return expiring
	case asked && retry:
		return windowedAgain
	case asked:
		return windowed
	case e.isUrgent(now) && !retry:
		return expiring
	case e.isUrgent(now) && !e.isLost(now):
		return expiringAgain
	case retry:
		return again
	default:
		return fresh
	}
}

// rankIn is the key of an entry in a lane.
func rankIn(l lane, e *entry) int64 {
	c, order := e.class, e.seq
	if l.isByExpiry() && c != forced {
		order = int64(min(max(e.notAfter, 0), 1<<classBits-1))
	}
	if l == fresh && c == plain && e.hasCertificate() {
		c = patient
	}
	return int64(c)<<classBits | order
}

// enqueue puts a due entry into its lane. Unless it has been there, it is the last of its class.
func (q *Queue) enqueue(e *entry, c class, now moment) {
	if e.seq == 0 {
		e.seq = q.turnFor(e.tenant)
	}
	e.class = c
	if !e.elsewhere {
		q.setState(e, queued, now)
	}
	q.place(e, now)
}

// place puts an entry into the lane where it belongs now. A renewal in no hurry is placed again when its last third begins.
func (q *Queue) place(e *entry, now moment) {
	l := laneOf(e, now)
	if l != e.lane {
		q.lanes[e.lane].remove(e)
	}
	e.lane = l
	q.lanes[l].put(e, rankIn(l, e))
	if urgentAt := e.urgentAt(); !l.isByExpiry() && e.hasCertificate() && urgentAt > now {
		q.schedule.put(e, int64(urgentAt))
	} else {
		q.schedule.remove(e)
	}
}

// turnFor gives a tenant's next domain its turn: each tenant has one in a round, so that a thousand new domains of one wait behind each
// other and not in front of everybody else's.
func (q *Queue) turnFor(tenant string) int64 {
	turn := max(q.round, q.turns[tenant]) + 1
	q.turns[tenant] = turn
	return turn
}

// served moves the rounds on.
func (q *Queue) served(e *entry) {
	q.round = max(q.round, e.seq)
	if q.turns[e.tenant] <= q.round {
		delete(q.turns, e.tenant)
	}
}

// isWaiting reports whether an entry is in a lane.
func (e *entry) isWaiting() bool { return e.places[slotLane] > 0 }

// next takes the entry out of its lane whose turn it is, nil when none may be started.
func (q *Queue) next(now moment) *entry {
	for l := range laneCount {
		if l.isCounted() && now < q.heldUntil || l.isRetry() && q.retrying >= q.maxRetrying {
			continue
		}
		if e, _ := q.lanes[l].first(); e != nil {
			q.lanes[l].remove(e)
			if l == fresh {
				q.served(e)
			}
			return e
		}
	}
	return nil
}
