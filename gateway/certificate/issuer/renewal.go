package issuer

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/mholt/acmez/v3/acme"

	"metahub/gateway/certificate/spread"
)

// Window is when a CA suggests to renew a certificate (RFC 9773 §4.2).
type Window struct {
	Start, End time.Time
	// Ask is when to ask again, and not before.
	Ask time.Time
	// URL is a page of the CA that explains the window; it may be empty.
	URL string
}

// How often a CA is asked for renewal information (RFC 9773 §4.3).
const (
	minAsk     = time.Hour
	minAskLate = 10 * time.Minute // when the window has begun
	maxAsk     = 24 * time.Hour
	defaultAsk = 6 * time.Hour
	maxWindow  = 100 * 365 * 24 * time.Hour // a longer one cannot be computed with
)

// At is the moment in the window at which to renew the certificate of a domain. It follows from the domain, so that a restart does not draw
// another one, and spreads domains evenly over the window.
func (w Window) At(domain string) time.Time {
	return w.Start.Add(time.Duration(spread.Of(domain) * float64(min(w.End.Sub(w.Start), maxWindow))))
}

// RenewalInfo asks when to renew a certificate. It wraps ErrNoRenewalInfo when the CA has no such information at all or none about this
// certificate, which another CA may have issued; every other error is an *Error.
func (a *ACME) RenewalInfo(ctx context.Context, leaf *x509.Certificate) (w Window, err error) {
	defer a.guard(&err)
	ctx, notes := withNotes(ctx)
	c, err := a.converse(ctx)
	if err != nil {
		return Window{}, a.classify(ctx, err, "")
	}
	if c.directory.RenewalInfo == "" || len(leaf.AuthorityKeyId) == 0 {
		return Window{}, fmt.Errorf("%q: %w", a.config.Name, ErrNoRenewalInfo)
	}
	id, err := acme.ARIUniqueIdentifier(leaf)
	if err != nil {
		return Window{}, fmt.Errorf("%q: %w: %v", a.config.Name, ErrNoRenewalInfo, err)
	}
	body, err := a.get(ctx, strings.TrimRight(c.directory.RenewalInfo, "/")+"/"+id)
	if err != nil {
		var problem acme.Problem
		if errors.As(err, &problem) && (problem.Status == http.StatusNotFound || problem.Status == http.StatusBadRequest) {
			return Window{}, fmt.Errorf("%q: %w: %s", a.config.Name, ErrNoRenewalInfo, detailOf(problem))
		}
		failure := a.classify(ctx, err, "")
		if failure.Kind == Unavailable {
			a.forgetDirectory(c)
		}
		return Window{}, failure
	}
	now := time.Now()
	if w, err = parseWindow(body); err != nil {
		return Window{}, a.unavailable("its renewal information "+err.Error(), err)
	}
	_, said := notes.read()
	w.Ask = now.Add(askAfter(said, w, now))
	return w, nil
}

// parseWindow reads a RenewalInfo object (RFC 9773 §4.2).
func parseWindow(body []byte) (Window, error) {
	var answer struct {
		SuggestedWindow struct{ Start, End time.Time }
		ExplanationURL  string
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return Window{}, errors.New("is not JSON")
	}
	w := Window{Start: answer.SuggestedWindow.Start, End: answer.SuggestedWindow.End}
	if w.Start.IsZero() || !w.Start.Before(w.End) {
		return Window{}, errors.New("has no window that ends after it starts")
	}
	if u, err := url.Parse(answer.ExplanationURL); err == nil && u.Scheme == "https" && u.Host != "" {
		if text := u.String(); len(text) <= maxMessage && clip(text, maxMessage) == text {
			w.URL = text
		}
	}
	return w, nil
}

// askAfter keeps what the CA said in Retry-After, zero for nothing, between bounds.
func askAfter(said time.Duration, w Window, now time.Time) time.Duration {
	wait, least := defaultAsk, minAsk
	if said > 0 {
		wait = said
	}
	if !now.Before(w.Start) {
		least = minAskLate
	}
	return max(least, min(wait, maxAsk))
}
