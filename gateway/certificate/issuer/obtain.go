package issuer

import (
	"context"
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/mholt/acmez/v3/acme"
	"go.uber.org/zap"
)

// Order asks for the certificate of one domain.
type Order struct {
	// Domain is canonical; a wildcard, "*.example.com", needs DNS.
	Domain string
	// Key is the certificate's key, never the account's.
	Key crypto.Signer
	// DNS proves the domain by DNS-01; nil means HTTP-01 and TLS-ALPN-01.
	DNS DNSProvider
	// Replaces is the certificate that this one follows (RFC 9773 §5); nil means none.
	Replaces *x509.Certificate
}

// errPatience is the cause of a context that the package itself ended.
var errPatience = errors.New("it takes too long")

// Obtain orders a certificate and returns its chain as DER, the leaf first. It has been checked: it is for the domain, for the key, and has
// not expired. Every error is an *Error.
//
// Of HTTP-01 and TLS-ALPN-01, the first that is on and that the CA offers is tried. When the domain cannot be proven by HTTP-01 for a reason
// that port 443 may not have, a second order tries TLS-ALPN-01: an order whose authorization failed is over (RFC 8555 §7.1.6). So a failing
// domain costs at most two orders and two failed authorizations.
func (a *ACME) Obtain(ctx context.Context, o Order) (chain [][]byte, err error) {
	defer a.guard(&err)
	ctx, cancel := context.WithTimeoutCause(ctx, a.patience.obtain, errPatience)
	defer cancel()
	ctx, _ = withNotes(ctx)
	ways, err := a.ways(o)
	if err != nil {
		return nil, err
	}
	c, err := a.converse(ctx)
	if err != nil {
		return nil, a.classify(ctx, err, "")
	}
	if err := a.checkProfile(c); err != nil {
		return nil, err
	}
	chain, err = a.obtainWithAccount(ctx, c, o, ways)
	if err != nil {
		failure := a.classify(ctx, err, "")
		if failure.Kind == Unavailable {
			a.forgetDirectory(c)
		}
		return nil, failure
	}
	return chain, nil
}

// guard turns a panic over what a CA sent into an error.
func (a *ACME) guard(err *error) {
	if r := recover(); r != nil {
		a.logger.Error("panic over an answer of the CA", zap.Any("panic", r), zap.Stack("stack"))
		*err = a.unavailable("its answers cannot be handled", fmt.Errorf("panic: %v", r))
	}
}

// ways are the challenge types that may prove the domain, in the order in which they are tried.
func (a *ACME) ways(o Order) ([]string, error) {
	base, wildcard := strings.CutPrefix(o.Domain, "*.")
	if !isHostName(base) || o.Key == nil {
		return nil, a.refused("an order needs a canonical domain and a key, and this one is for %q", clip(o.Domain, 253))
	}
	var ways []string
	switch {
	case o.DNS != nil:
		return []string{acme.ChallengeTypeDNS01}, nil
	case wildcard:
		return nil, a.refused("%q can be proven by DNS alone; set up a DNS provider for it", o.Domain)
	case a.config.HTTP01:
		ways = append(ways, acme.ChallengeTypeHTTP01)
	}
	if a.config.TLSALPN01 {
		ways = append(ways, acme.ChallengeTypeTLSALPN01)
	}
	if len(ways) == 0 {
		return nil, a.refused("%q cannot be proven: HTTP-01 and TLS-ALPN-01 are off and it has no DNS provider", o.Domain)
	}
	return ways, nil
}

func (a *ACME) checkProfile(c *conversation) error {
	if a.config.Profile == "" {
		return nil
	}
	var offered []string
	if c.directory.Meta != nil {
		offered = slices.Sorted(maps.Keys(c.directory.Meta.Profiles))
	}
	if slices.Contains(offered, a.config.Profile) {
		return nil
	}
	if len(offered) == 0 {
		return a.refused("it has no certificate profiles; remove profile %q", clip(a.config.Profile, 60))
	}
	return a.refused("it has no profile %q; it has %s", clip(a.config.Profile, 60), clip(strings.Join(offered, ", "), 300))
}

// obtainWithAccount makes the account anew, once, when the CA does not know it.
func (a *ACME) obtainWithAccount(ctx context.Context, c *conversation, o Order, ways []string) ([][]byte, error) {
	account, err := a.accountFor(ctx, c)
	if err != nil {
		return nil, err
	}
	chain, err := (&attempt{a, c, account, o}).any(ctx, ways)
	if !hasType(err, acme.ProblemTypeAccountDoesNotExist) {
		return chain, err
	}
	if account, err = a.replaceAccount(ctx, c, account); err != nil {
		return nil, err
	}
	return (&attempt{a, c, account, o}).any(ctx, ways)
}

// attempt is one order being worked on.
type attempt struct {
	*ACME
	talk    *conversation
	account *account
	order   Order
}

// any tries one way after the other.
func (t *attempt) any(ctx context.Context, ways []string) ([][]byte, error) {
	var before *Error
	for {
		chain, used, err := t.once(ctx, ways)
		if err == nil {
			return chain, nil
		}
		another := worthAnotherWay(err)
		failure := t.classify(ctx, err, "")
		failure.Orders = failedOrders(err)
		if before != nil {
			failure = both(before, failure)
		}
		i := slices.Index(ways, used)
		if i < 0 || i == len(ways)-1 || !another {
			return nil, failure
		}
		before = failure
		ways = ways[i+1:]
		t.logger.Info("the domain could not be proven; another way is tried",
			zap.String("domain", t.order.Domain), zap.String("failed", used), zap.String("next", ways[0]), zap.Error(before))
	}
}

// both tells of the first way too when the second fails in the same manner, and counts the orders of both.
func both(first, second *Error) *Error {
	orders := first.Orders + second.Orders
	if second.Kind == Rejected {
		second = newError(Rejected, errors.Join(first.Err, second.Err), "%s; and %s", clip(first.Message, 240), second.Message)
	}
	second.Orders = orders
	return second
}

// failedOrders is 1 for an authorization that the CA found to fail.
func failedOrders(err error) int {
	problem, ok := problemOf(err)
	if _, ofAuthorization := problem.Resource.(acme.Authorization); ok && ofAuthorization {
		return 1
	}
	return 0
}

// worthAnotherWay reports failures of a connection or of what answered it. What DNS or CAA forbid stays forbidden.
func worthAnotherWay(err error) bool {
	problem, ok := problemOf(err)
	if _, ofAuthorization := problem.Resource.(acme.Authorization); !ok || !ofAuthorization {
		return false
	}
	switch problem.Type {
	case acme.ProblemTypeConnection, acme.ProblemTypeTLS, acme.ProblemTypeUnauthorized, acme.ProblemTypeIncorrectResponse:
		return true
	}
	return false
}

// maxAuthorizations bounds what an order for one name may want.
const maxAuthorizations = 5

// once goes through one order (RFC 8555 §7.4) and says which way proved, or failed to prove, the domain.
func (t *attempt) once(ctx context.Context, ways []string) (chain [][]byte, used string, err error) {
	order, err := t.newOrder(ctx)
	if err != nil {
		return nil, "", err
	}
	if n := len(order.Authorizations); n == 0 || n > maxAuthorizations {
		return nil, "", t.unavailable(fmt.Sprintf("it wants %d authorizations for one name", n), nil)
	}
	for _, url := range order.Authorizations {
		if used, err = t.authorize(ctx, url, ways); err != nil {
			return nil, used, err
		}
	}
	certificate, err := t.finalize(ctx, order)
	if err != nil {
		return nil, "", err
	}
	chain, err = t.download(ctx, certificate)
	return chain, "", err
}

// newOrder orders as a replacement first and, when the CA does not want that, once without.
func (t *attempt) newOrder(ctx context.Context) (acme.Order, error) {
	wanted := acme.Order{Profile: t.config.Profile, Identifiers: []acme.Identifier{{Type: "dns", Value: t.order.Domain}}}
	// RFC 9773 §5: only of a CA that has renewal information.
	if t.order.Replaces != nil && t.talk.directory.RenewalInfo != "" && len(t.order.Replaces.AuthorityKeyId) > 0 {
		wanted.Replaces, _ = acme.ARIUniqueIdentifier(t.order.Replaces)
	}
	place := func() (acme.Order, error) { return t.talk.client.NewOrder(ctx, t.account.Account, wanted) }
	order, err := retryNonce(place)
	if err == nil || wanted.Replaces == "" || !isAboutReplaces(err) {
		return order, err
	}
	t.logger.Info("the CA does not take the order as a replacement; ordering without",
		zap.String("domain", t.order.Domain), zap.Error(err))
	wanted.Replaces = ""
	return retryNonce(place)
}

// isAboutReplaces reports a refusal of a new order that may be for what it replaces: by its type, or by its status (RFC 9773 §5 has 409; 403 and
// 404 are seen too), or because it says so.
func isAboutReplaces(err error) bool {
	problem, ok := problemOf(err)
	if !ok {
		return false
	}
	switch problem.Type {
	case acme.ProblemTypeAlreadyReplaced, acme.ProblemTypeMalformed, acme.ProblemTypeUnauthorized:
		return true
	case acme.ProblemTypeAccountDoesNotExist, acme.ProblemTypeRateLimited:
		return false
	}
	switch problem.Status {
	case http.StatusConflict, http.StatusForbidden, http.StatusNotFound:
		return true
	}
	detail := strings.ToLower(problem.Detail)
	return strings.Contains(detail, "replace") || strings.Contains(detail, "certid") || strings.Contains(detail, "given certificate")
}
