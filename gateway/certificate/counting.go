package certificate

import (
	"context"
	"crypto/x509"
	"errors"
	"strings"
	"time"

	"go.uber.org/zap"
	"golang.org/x/net/publicsuffix"

	"metahub/gateway/certificate/issuer"
	"metahub/gateway/certificate/orders"
	"metahub/tenant"
)

// begunKey is where it is noted that an order was begun. Whoever holds the domain's lock and finds such a note follows a process that was
// killed: its order counts, but no certificate came of it.
func begunKey(domain string) string { return "begun/" + strings.Replace(domain, "*.", "_.", 1) }

func (s *supply) begin(ctx context.Context, r orders.Request) {
	if r.Rules == (orders.Rules{}) {
		return // nothing is counted
	}
	if err := s.storage.Store(ctx, begunKey(r.Domain), []byte(r.Issuer)); err != nil {
		s.logger.Debug("the begin of an order could not be noted", zap.String("domain", r.Domain), zap.Error(err))
	}
}

func (s *supply) end(ctx context.Context, r orders.Request) {
	if r.Rules == (orders.Rules{}) {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), afterwards)
	defer cancel()
	if err := s.storage.Delete(ctx, begunKey(r.Domain)); err != nil {
		s.logger.Debug("the end of an order could not be noted", zap.String("domain", r.Domain), zap.Error(err))
	}
}

// settleLast corrects the count after a process that was killed in the middle of an order, or else five kills in a week would use up what
// a CA gives for one name.
func (s *supply) settleLast(ctx context.Context, r orders.Request) {
	if r.Rules == (orders.Rules{}) {
		return
	}
	issuer, err := s.storage.Load(ctx, begunKey(r.Domain))
	if err != nil || string(issuer) != r.Issuer {
		return
	}
	if err := s.limits.NotIssued(ctx, r); err != nil {
		s.logger.Debug("an order that was cut short stays counted", zap.String("domain", r.Domain), zap.Error(err))
	}
}

// full says, without asking the storage, that the CA's limits are used up: then a rehearsal would be for nothing.
func (s *supply) full(r orders.Request) *orders.Later {
	wait := s.limits.Wait(r.Issuer, r.Rules, 1)
	if r.ARI || wait <= 0 {
		return nil
	}
	return &orders.Later{Until: s.clock.Now().Add(wait), All: s.sources.isOnly(), Reason: "the orders that " + r.Issuer + " takes from one account are used up for now"}
}

// inWindow reports whether the CA wants the certificate renewed now. Only then does the order count against no limit.
func (s *supply) inWindow(ctx context.Context, source *source, leaf *x509.Certificate) bool {
	if leaf == nil || source.rules == (orders.Rules{}) {
		return false // nothing is counted
	}
	window, err := source.RenewalInfo(ctx, leaf)
	now := s.clock.Now()
	return err == nil && !now.Before(window.Start) && now.Before(window.End)
}

// account brings the mirror of the CA's limits up to date with an order that failed, and returns what the queue is to know.
func (s *supply) account(ctx context.Context, request orders.Request, cause error) error {
	fault, ok := errors.AsType[*issuer.Error](cause)
	if !ok {
		return cause
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), afterwards)
	defer cancel()
	var err error
	switch fault.Kind {
	case issuer.Rejected:
		err = s.rejected(ctx, request, fault.Orders)
	case issuer.RateLimited:
		cause, err = s.limited(ctx, request, fault)
	case issuer.Unavailable, issuer.Local: // it may have come about
		err = s.limits.NotIssued(ctx, request)
	default:
		err = s.limits.Refund(ctx, request)
	}
	if err != nil {
		s.logger.Warn("the count of orders could not be written", zap.Error(err))
	}
	return cause
}

// rejected counts the orders that a rejection took: none where it did not come to that, two where one way was tried after the other.
func (s *supply) rejected(ctx context.Context, request orders.Request, spent int) error {
	if spent == 0 {
		return s.limits.NotIssued(ctx, request)
	}
	err := s.limits.Failed(ctx, request.Issuer, request.Domain)
	for range spent - 1 {
		later, again := s.limits.Reserve(ctx, request)
		if again == nil && later == nil {
			again = s.limits.Failed(ctx, request.Issuer, request.Domain)
		}
		err = errors.Join(err, again)
	}
	return err
}

// pace is orders.Config.Pace: how long until n more orders may have begun at the first CA.
func (s *supply) pace(n int) time.Duration {
	source, err := s.sources.named(s.settings.Issuer)
	if s.settings.Issuer == tenant.IssuerInternal || err != nil {
		return 0
	}
	return s.limits.Wait(source.Name(), source.rules, n)
}

// usualWait is how long a CA that says "too many" is left alone when it does not say for how long.
const usualWait = time.Hour

// limited is about an answer 429 that the mirror did not foresee, as orders by others count too. One about the domain itself holds up
// nobody else.
func (s *supply) limited(ctx context.Context, request orders.Request, fault *issuer.Error) (cause, err error) {
	wait := fault.RetryAfter
	if wait <= 0 {
		wait = usualWait
	}
	later := &orders.Later{Until: s.clock.Now().Add(wait), Reason: fault.Message, All: s.sources.isOnly()}
	err = s.limits.Refund(ctx, request)
	if isAbout(request.Domain, fault.Message) {
		later.All = false
		return later, err
	}
	return later, errors.Join(err, s.limits.Hold(ctx, request.Issuer, later.Until))
}

// isAbout reports whether a CA's "too many" is about one domain and not about the account, going by its words: Let's Encrypt names the
// registered domain, or "this exact set of identifiers".
func isAbout(domain, message string) bool {
	registered, err := publicsuffix.EffectiveTLDPlusOne(strings.TrimPrefix(domain, "*."))
	return strings.Contains(message, "exact set") || err == nil && strings.Contains(message, registered)
}
