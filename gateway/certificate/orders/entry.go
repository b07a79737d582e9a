package orders

import (
	"context"
	"time"
)

// entry is what the queue knows of one domain. There may be 100,000, so it is packed; what only some need hangs off pointers. It is
// guarded by Queue.mu.
type entry struct {
	name, tenant string

	// The certificate that is served; notAfter is 0 where there is none.
	issuer                       string
	notBefore, notAfter, renewAt moment

	since   moment // when state was entered
	seq     int64  // first come, first served; 0 while not due
	trouble *trouble
	run     *run // nil while no worker has it

	places     [slotCount]int32 // in the heaps, see heap
	generation uint8            // the last Set that named it; it may go round, as what a Set does not name is dropped
	state      stateIndex

	lane  lane // which lane's heap it is in, or came from
	class class

	asked      bool // the CA has said when to renew (RFC 9773): renewAt is its word
	forced     bool // an administrator wants a new certificate; stays until there is one
	forcedAnew bool // the same, said while a job was running already
	elsewhere  bool // another gateway is ordering it
	observed   bool // a certificate came from the storage while a job was running
	gone       bool // no longer wanted, but its job has not ended yet
	back       bool // wanted again, but the job that was cancelled meanwhile has not ended yet
}

// trouble is what an entry knows of its failures since it last had success.
type trouble struct {
	since    moment // when state was entered
	tried    moment // when the last attempt ended
	sentence string
	said     [4]uint32 // fingerprints of sentences that the log has had
	attempts int32
	counts   [faultKinds]uint16
	state    stateIndex // waiting, failing or left
}

// run is a job in the hands of a worker.
type run struct {
	job     Job
	lane    lane
	started moment
	ctx     context.Context
	cancel  context.CancelFunc
}

func (e *entry) hasCertificate() bool { return e.notAfter != 0 }

func (e *entry) life() time.Duration { return max(e.notAfter.sub(e.notBefore), 0) }

// urgentAt is when the last third of the certificate's life begins.
func (e *entry) urgentAt() moment { return e.notAfter.add(-e.life() / 3) }

// isUrgent reports whether a certificate has less than a third of its life left, or has expired.
func (e *entry) isUrgent(now moment) bool { return e.hasCertificate() && now >= e.urgentAt() }

// isLost reports whether an expired certificate has failed to be renewed: haste would save nothing any more.
func (e *entry) isLost(now moment) bool { return e.isRetry() && now >= e.notAfter }

// isClose reports whether a certificate is so close to its end, or so little past it, that retries are not put off for long.
func (e *entry) isClose(now moment) bool {
	if !e.hasCertificate() {
		return false
	}
	lead := max(e.life()/6, 24*time.Hour)
	return now >= e.notAfter.add(-lead) && now < e.notAfter.add(7*24*time.Hour)
}

func (e *entry) isRetry() bool { return e.trouble != nil && e.trouble.attempts > 0 }

// have is the certificate as Config.Do is told of it.
func (e *entry) have() *Have {
	if !e.hasCertificate() {
		return nil
	}
	return &Have{NotBefore: e.notBefore.time(), NotAfter: e.notAfter.time(), RenewAt: e.renewAt.time(), Issuer: e.issuer}
}

// remembers notes a sentence and reports whether the log has had it before.
func (t *trouble) remembers(sentence string) bool {
	print := fingerprint(sentence)
	for _, said := range t.said {
		if said == print {
			return true
		}
	}
	copy(t.said[1:], t.said[:])
	t.said[0] = print
	return false
}
