package orders

import (
	"context"
	"errors"
	"hash/fnv"
	"strings"
	"time"
	"unicode"
)

// ErrUnknownDomain is returned for a domain that is not in the wanted set.
var ErrUnknownDomain = errors.New("no certificate is ordered for this domain: check its spelling, and that a tenant lists it")

// ErrElsewhere is returned by Config.Do when another gateway is ordering the certificate. The domain is looked at again soon.
var ErrElsewhere = errors.New("another gateway is ordering this certificate")

// Later is returned by Config.Do when a limit of the CA's is used up. It is no failure and counts as no attempt.
type Later struct {
	// Until is when the limit has room again.
	Until time.Time
	// Reason is a sentence for people.
	Reason string
	// All says that the account as a whole must wait: no job that counts against limits is started before Until, they keep their
	// places meanwhile. Otherwise only this domain waits.
	All bool
}

// Error implements error.
func (l *Later) Error() string { return l.Reason }

// DNSFault is returned by Config.Do when the rehearsal failed, so that no order was spent.
type DNSFault struct {
	// Sentence says what is wrong and what the domain's owner is to do.
	Sentence string
	// Elsewhere says that the domain has no address or points to other servers: it has left, if it has a certificate.
	Elsewhere bool
}

// Error implements error.
func (f *DNSFault) Error() string { return f.Sentence }

// fault is what kind of failure an order ended in; each has its own pace of retries.
type fault uint8

const (
	faultDNS      fault = iota // no order was spent
	faultOrder                 // an order was spent, or anything unknown
	faultIssuer                // the CA is unavailable: not the domain's fault
	faultKinds    = 3
	maxSentence   = 1000
	maxRetryAfter = 24 * time.Hour
)

// faultOf tells whose fault an error of Config.Do is. A job that ran out of time counts as the CA's.
func faultOf(err error) fault {
	var dns *DNSFault
	if errors.As(err, &dns) {
		return faultDNS
	}
	var transient interface{ Transient() bool }
	if errors.As(err, &transient) && transient.Transient() {
		return faultIssuer
	}
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		return faultIssuer
	}
	return faultOrder
}

// retryAfterOf returns how long the CA wants to be left alone, within reason: it is a word from outside.
func retryAfterOf(err error) time.Duration {
	var patient interface{ RetryAfter() time.Duration }
	if !errors.As(err, &patient) {
		return 0
	}
	return min(max(patient.RetryAfter(), 0), maxRetryAfter)
}

// sentenceOf makes an error's text fit for a table and a log: one line of bounded length.
func sentenceOf(text string) string {
	if len(text) > maxSentence {
		text = text[:maxSentence] + "…"
	}
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, ""))
}

// fingerprint is the same for sentences that differ in their figures only, as CAs put times and the numbers of orders into theirs.
func fingerprint(sentence string) uint32 {
	hash := fnv.New32a()
	for i := range len(sentence) {
		if c := sentence[i]; c < '0' || c > '9' {
			hash.Write([]byte{c})
		}
	}
	return hash.Sum32()
}
