package issuer

import (
	"context"
	"fmt"
	"time"

	"github.com/mholt/acmez/v3/acme"
)

// finalize sends the certificate request and waits; it returns the URL of the certificate.
func (t *attempt) finalize(ctx context.Context, order acme.Order) (string, error) {
	// Some CAs take a moment between the last authorization and "ready".
	order, err := t.await(ctx, order, acme.StatusPending)
	if err != nil {
		return "", err
	}
	request, err := newRequest(t.order.Domain, t.order.Key)
	if err != nil {
		return "", newError(Refused, err, "the certificate request for %q cannot be signed: %v", t.order.Domain, err)
	}
	if order.Status == acme.StatusReady {
		location := order.Location
		order, err = t.talk.client.FinalizeOrder(ctx, t.account.Account, order, request)
		if hasType(err, acme.ProblemTypeBadNonce) { // whether it was the request or a look at the order, the order tells
			order.Location = location
			if order, err = t.await(ctx, order, acme.StatusProcessing); err == nil && order.Status == acme.StatusReady {
				order, err = t.talk.client.FinalizeOrder(ctx, t.account.Account, order, request)
			}
		}
		if err != nil {
			return "", err
		}
	}
	switch {
	case order.Status == acme.StatusInvalid && order.Error != nil:
		return "", *order.Error
	case order.Status != acme.StatusValid || order.Certificate == "":
		return "", t.unavailable(fmt.Sprintf("the order ended %q without a certificate", clip(order.Status, 40)), nil)
	}
	return order.Certificate, nil
}

// await polls an order until it has left a status.
func (t *attempt) await(ctx context.Context, order acme.Order, left string) (acme.Order, error) {
	for deadline := time.Now().Add(t.patience.polling); ; {
		// A field that an answer lacks must not stay as it was.
		order = acme.Order{Location: order.Location}
		order, err := retryNonce(func() (acme.Order, error) { return t.talk.client.GetOrder(ctx, t.account.Account, order) })
		if err != nil || order.Status != left {
			return order, err
		}
		if time.Now().After(deadline) {
			return order, t.unavailable(fmt.Sprintf("the order stays %q", left), errPatience)
		}
		select {
		case <-ctx.Done():
			return order, context.Cause(ctx)
		case <-time.After(time.Second):
		}
	}
}

func (t *attempt) download(ctx context.Context, url string) ([][]byte, error) {
	chains, err := retryNonce(func() ([]acme.Certificate, error) {
		return t.talk.client.GetCertificateChain(ctx, t.account.Account, url)
	})
	if err != nil {
		return nil, err
	}
	if len(chains) == 0 {
		return nil, t.unavailable("it has no certificate for a valid order", nil)
	}
	chain, err := parseChain(chains[0].ChainPEM, t.order.Domain, t.order.Key.Public(), time.Now())
	if err != nil {
		return nil, t.unavailable("of what it issued, "+err.Error(), err)
	}
	return chain, nil
}

// retryNonce does once more what ten refused nonces in a row ended (RFC 8555 §6.5).
func retryNonce[T any](do func() (T, error)) (T, error) {
	v, err := do()
	if hasType(err, acme.ProblemTypeBadNonce) {
		return do()
	}
	return v, err
}
