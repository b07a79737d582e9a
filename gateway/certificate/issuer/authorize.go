package issuer

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/caddyserver/certmagic"
	"github.com/mholt/acmez/v3"
	"github.com/mholt/acmez/v3/acme"
	"go.uber.org/zap"
)

// authorize proves the domain to the CA (RFC 8555 §7.5), unless it still counts as proven, and says which way it took.
func (t *attempt) authorize(ctx context.Context, url string, ways []string) (used string, err error) {
	authorization, err := retryNonce(func() (acme.Authorization, error) {
		return t.talk.client.GetAuthorization(ctx, t.account.Account, url)
	})
	if err != nil {
		return "", err
	}
	base := strings.TrimPrefix(t.order.Domain, "*.")
	if !strings.EqualFold(authorization.Identifier.Value, base) {
		return "", t.unavailable(fmt.Sprintf("it wants %q to be proven for %q", clip(authorization.Identifier.Value, 253), t.order.Domain), nil)
	}
	switch authorization.Status {
	case acme.StatusValid:
		return "", nil
	case acme.StatusPending:
	default:
		return "", t.unavailable(fmt.Sprintf("the authorization of a new order is %q", clip(authorization.Status, 40)), nil)
	}
	challenge, err := t.choose(authorization, ways)
	if err != nil {
		return "", err
	}
	authorization, err = t.solve(ctx, authorization, challenge)
	if err == nil {
		return challenge.Type, nil
	}
	failure := err
	if problem, ok := problemOf(err); ok && problem.Resource != nil {
		failure = t.classify(ctx, err, t.order.Domain+" by "+challenge.Type)
	} else {
		failure = t.classify(ctx, err, "")
	}
	if authorization.Status == acme.StatusPending {
		t.abandon(ctx, url)
	}
	return challenge.Type, failure
}

// choose takes the first way that the CA offers.
func (t *attempt) choose(authorization acme.Authorization, ways []string) (acme.Challenge, error) {
	var offered []string
	for _, way := range ways {
		for _, challenge := range authorization.Challenges {
			if challenge.Type == way {
				return challenge, nil
			}
		}
	}
	for _, challenge := range authorization.Challenges {
		offered = append(offered, challenge.Type)
	}
	return acme.Challenge{}, t.refused("it offers %s for %q, and this gateway is set up for %s",
		clip(strings.Join(offered, ", "), 150), t.order.Domain, strings.Join(ways, " and "))
}

// solve has the challenge answered while the CA looks.
func (t *attempt) solve(ctx context.Context, authorization acme.Authorization, challenge acme.Challenge) (acme.Authorization, error) {
	withdraw, err := t.present(ctx, challenge)
	if err != nil {
		return authorization, err
	}
	defer withdraw()
	if challenge.Status != acme.StatusProcessing { // the order of a gateway that was killed may have got further
		_, err := retryNonce(func() (acme.Challenge, error) {
			return t.talk.client.InitiateChallenge(ctx, t.account.Account, challenge)
		})
		if err != nil {
			return authorization, err
		}
	}
	return retryNonce(func() (acme.Authorization, error) {
		return t.talk.client.PollAuthorization(ctx, t.account.Account, authorization)
	})
}

func (t *attempt) present(ctx context.Context, challenge acme.Challenge) (withdraw func(), err error) {
	switch challenge.Type {
	case acme.ChallengeTypeHTTP01:
		withdraw, err := t.config.Challenges.Announce(ctx, t.order.Domain, challenge.Token, challenge.KeyAuthorization)
		if err != nil {
			return nil, newError(Local, err, "%v", err)
		}
		return withdraw, nil
	case acme.ChallengeTypeTLSALPN01:
		certificate, err := acmez.TLSALPN01ChallengeCert(challenge)
		if err != nil {
			return nil, newError(Local, err, "the certificate for the TLS-ALPN-01 challenge of %q: %v", t.order.Domain, err)
		}
		return t.config.Challenges.announceALPN(t.order.Domain, certificate), nil
	}
	return t.presentDNS(ctx, challenge)
}

// presentDNS sets the record and waits until the resolver sees it.
func (t *attempt) presentDNS(ctx context.Context, challenge acme.Challenge) (withdraw func(), err error) {
	solver := &certmagic.DNS01Solver{DNSManager: certmagic.DNSManager{DNSProvider: t.order.DNS, Logger: t.logger}}
	if t.config.Resolver != "" {
		solver.Resolvers = []string{t.config.Resolver}
	}
	failed := func(err error) error {
		return newError(Rejected, err, "the record %q that proves %q could not be set up: %s", challenge.DNS01TXTRecordName(), t.order.Domain, plain(err))
	}
	if err := solver.Present(ctx, challenge); err != nil {
		return nil, failed(err)
	}
	withdraw = func() {
		if err := solver.CleanUp(ctx, challenge); err != nil { // it bounds its own time
			t.logger.Warn("the DNS record of a challenge could not be deleted",
				zap.String("domain", t.order.Domain), zap.String("record", challenge.DNS01TXTRecordName()), zap.Error(err))
		}
	}
	if err := solver.Wait(ctx, challenge); err != nil {
		withdraw()
		return nil, failed(err)
	}
	return withdraw, nil
}

// abandon tells the CA that a pending authorization will not be used: some count those (RFC 8555 §7.5.2). After a stop the order is left to be
// found again.
func (t *attempt) abandon(ctx context.Context, url string) {
	if ctx.Err() != nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithValue(ctx, notesKey{}, nil), 10*time.Second)
	defer cancel()
	if _, err := t.talk.client.DeactivateAuthorization(ctx, t.account.Account, url); err != nil {
		t.logger.Debug("a pending authorization could not be given up", zap.String("domain", t.order.Domain), zap.Error(err))
	}
}
