package orders

import "time"

// Set gives the queue all domains that want a certificate. New ones are ordered in this order, those that are missing are dropped, and
// their jobs cancelled; of those that stay all that is known is kept. A domain that is named twice counts once.
func (q *Queue) Set(domains []Domain) {
	defer q.wake()
	q.mu.Lock()
	defer q.mu.Unlock()
	now := q.now()
	q.generation++
	if len(q.domains) == 0 {
		q.domains = make(map[string]*entry, len(domains))
	}
	named := 0
	for i := range domains {
		if q.want(&domains[i], now) {
			named++
		}
	}
	if named == len(q.domains) {
		return
	}
	for _, e := range q.domains {
		if e.generation != q.generation {
			q.drop(e)
		}
	}
}

// want adds a domain or keeps it. It reports false for one that was named before.
func (q *Queue) want(d *Domain, now moment) bool {
	e := q.domains[d.Name]
	if e == nil {
		q.add(d, now)
		return true
	}
	if e.generation == q.generation && !e.gone {
		return false
	}
	e.generation, e.tenant = q.generation, d.Tenant
	if e.gone {
		e.gone, e.back = false, true
		q.counts[e.state]++
		if e.hasCertificate() && !e.asked {
			q.askFirst(e, now, 0)
		}
	}
	if d.Have != nil {
		q.learn(e, *d.Have, now)
	}
	return true
}

func (q *Queue) add(d *Domain, now moment) {
	e := &entry{name: d.Name, tenant: d.Tenant, generation: q.generation, state: queued, since: now}
	q.domains[d.Name] = e
	q.counts[queued]++
	if d.Have == nil {
		q.enqueue(e, plain, now)
		return
	}
	q.take(e, *d.Have, now, 0)
	q.settle(e, now)
}

// drop forgets a domain, at once or when its job has ended.
func (q *Queue) drop(e *entry) {
	if e.gone {
		return
	}
	q.schedule.remove(e)
	q.asks.remove(e)
	q.lanes[e.lane].remove(e)
	q.counts[e.state]--
	if e.run == nil {
		delete(q.domains, e.name)
		return
	}
	e.gone, e.back = true, false
	e.run.cancel()
}

// Observe tells of a certificate that the storage holds: another gateway's, an adopted one, one that was found at the start. A domain
// that nobody wants is passed over.
func (q *Queue) Observe(domain string, have Have) {
	defer q.wake()
	q.mu.Lock()
	defer q.mu.Unlock()
	if e := q.find(domain); e != nil {
		q.learn(e, have, q.now())
	}
}

// learn takes note of the certificate that a domain has. The one that is known already is no news.
func (q *Queue) learn(e *entry, have Have, now moment) {
	before := e.renewAt
	isNew := q.take(e, have, now, 0)
	switch {
	case e.run != nil:
		e.observed = e.observed || isNew
	case !isNew && e.renewAt == before: // or a job that came back with a certificate that is due would be started again and again
	case isNew && e.renewAt > now:
		q.activate(e, e.renewAt, now)
	case e.state == active:
		q.settle(e, now)
	case e.isWaiting():
		q.place(e, now)
	}
}

// take stores a certificate in an entry and reports whether it is another one. Of the same one the CA's own word on its renewal stands.
// The CA is first asked after pause, or somewhat later.
func (q *Queue) take(e *entry, have Have, now moment, pause time.Duration) bool {
	notBefore, notAfter, renewAt := momentOf(have.NotBefore), momentOf(have.NotAfter), momentOf(have.RenewAt)
	isNew := notBefore != e.notBefore || notAfter != e.notAfter
	if !isNew && e.asked {
		return false
	}
	e.notBefore, e.notAfter, e.renewAt = notBefore, notAfter, renewAt
	if renewAt == 0 {
		e.renewAt = notBefore.add(e.life() / 3 * 2)
	}
	if !isNew {
		return false
	}
	e.issuer, e.asked = q.intern(have.Issuer), false
	q.askFirst(e, now, pause)
	return true
}

// settle makes an entry active, or queues its renewal where that is due already.
func (q *Queue) settle(e *entry, now moment) {
	if e.renewAt <= now {
		q.schedule.remove(e)
		q.enqueue(e, plain, now)
		return
	}
	q.activate(e, e.renewAt, now)
}

// activate is the end of all trouble until renewAt.
func (q *Queue) activate(e *entry, renewAt, now moment) {
	q.lanes[e.lane].remove(e)
	e.trouble, e.seq, e.forced, e.elsewhere, e.observed = nil, 0, false, false, false
	q.setState(e, active, now)
	q.schedule.put(e, int64(renewAt))
}

// maxIssuers bounds the names that are shared; there are a handful of CAs.
const maxIssuers = 100

func (q *Queue) intern(issuer string) string {
	if known, ok := q.issuers[issuer]; ok {
		return known
	}
	if len(q.issuers) < maxIssuers {
		q.issuers[issuer] = issuer
	}
	return issuer
}
