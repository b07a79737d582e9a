package certificate

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"
	"time"

	"go.uber.org/zap"

	"metahub/gateway/certificate/issuer"
	"metahub/gateway/certificate/orders"
	"metahub/gateway/certificate/record"
	"metahub/gateway/certificate/rehearsal"
	"metahub/gateway/certificate/shelf"
	"metahub/gateway/certificate/storage"
	"metahub/tenant"
)

const (
	// storePause is between two attempts to store a certificate that was obtained.
	storePause = 2 * time.Second
	// afterwards bounds what is written down after an order, also one that was cancelled.
	afterwards = 5 * time.Second
)

// supply obtains certificates: what one order goes through, from the lock to the shelf. The queue decides when; see package orders.
type supply struct {
	settings  tenant.Certificates
	registry  *tenant.Registry
	storage   storage.Storage
	shelf     *shelf.Shelf
	sources   *sources
	providers map[string]issuer.DNSProvider
	limits    *orders.Limits
	rehearsal *rehearsal.Rehearsal // nil: none
	changing  changing
	clock     orders.Clock
	logger    *zap.Logger
}

// plan is how one domain's certificate is to be had.
type plan struct {
	domain  string
	sources []*source // the fallback behind the first
	dns     issuer.DNSProvider
}

// obtain is orders.Config.Do: it returns when the certificate is in the storage and on the shelf, or says what is in the way.
func (s *supply) obtain(ctx context.Context, job orders.Job) (orders.Have, error) {
	lock := "order-" + strings.Replace(job.Domain, "*.", "_.", 1)
	locked, err := s.storage.TryLock(ctx, lock)
	if err != nil {
		return orders.Have{}, &unavailable{cause: fmt.Sprintf("the certificate storage %s does not answer: %v", s.storage, err)}
	}
	if !locked {
		return orders.Have{}, orders.ErrElsewhere
	}
	defer s.unlock(ctx, lock)
	if have, ok := s.stored(ctx, job); ok {
		return have, nil
	}
	p, err := s.plan(job.Domain, job.Tenant)
	if err != nil {
		return orders.Have{}, err
	}
	return s.ask(ctx, job, p, lock)
}

func (s *supply) unlock(ctx context.Context, lock string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), afterwards)
	defer cancel()
	if err := s.storage.Unlock(ctx, lock); err != nil {
		s.logger.Debug("a lock could not be released and runs out by itself", zap.String("lock", lock), zap.Error(err))
	}
}

// have is what the queue is to know of a certificate on the shelf. One of a staging CA, which no browser accepts, is due as soon as
// staging is over.
func (s *supply) have(domain string, info shelf.Info) orders.Have {
	have := orders.Have{
		NotBefore: info.NotBefore, NotAfter: info.NotAfter, Issuer: info.Issuer,
		RenewAt: record.RenewAt(domain, info.NotBefore, info.NotAfter),
	}
	if info.Issuer == letsEncryptStaging && !s.settings.Staging {
		have.RenewAt = info.NotBefore
	}
	return have
}

// plan says who is asked for the certificate of a tenant's domain, and how the domain is proven. An API host has no tenant.
func (s *supply) plan(domain, slug string) (*plan, error) {
	p := &plan{domain: domain}
	name, dns := s.settings.Issuer, ""
	if owner, ok := s.registry.Current().Tenant([]byte(slug)); ok {
		dns = owner.Certificate.DNS
		if owner.Certificate.Issuer != "" {
			name = owner.Certificate.Issuer
		}
	}
	if dns != "" {
		if p.dns = s.providers[dns]; p.dns == nil {
			return nil, fmt.Errorf("certificate.dns %q is not one of gateway.certificates.dns that this process was started with: restart it, or correct the name", dns)
		}
	}
	if p.dns == nil && strings.HasPrefix(domain, "*.") {
		return nil, fmt.Errorf("a certificate for the wildcard `%s` takes proof by DNS: set certificate.dns of its tenant, or put PEM files into certs/_.%s/", domain, domain[2:])
	}
	names := []string{name}
	if name != s.settings.Fallback && s.settings.Fallback != "" {
		names = append(names, s.settings.Fallback)
	}
	for _, name := range names {
		source, err := s.sources.named(name)
		if err != nil {
			return nil, err
		}
		if !source.public || isPublicName(domain) {
			p.sources = append(p.sources, source)
		}
	}
	if len(p.sources) == 0 {
		return nil, fmt.Errorf("no certificate authority gives certificates for `%s`", domain)
	}
	return p, nil
}

// ask goes to each CA of the plan until one gives a certificate.
func (s *supply) ask(ctx context.Context, job orders.Job, p *plan, lock string) (orders.Have, error) {
	var first error
	for _, source := range p.sources {
		have, err := s.askOne(ctx, job, p, source, lock)
		source.judge(ctx, err)
		if err == nil {
			return have, nil
		}
		first = worseOf(first, forQueue(err))
		if ctx.Err() != nil || !s.mayFallBack(job, err) {
			break
		}
	}
	return orders.Have{}, first
}

// worseOf is the error of two that the domain's owner, or its next try, should go by: that a CA is down, or full, passes by itself.
func worseOf(first, second error) error {
	if first == nil || passes(first) && !passes(second) {
		return second
	}
	return first
}

func passes(err error) bool {
	if _, ok := errors.AsType[*orders.Later](err); ok {
		return true
	}
	transient, ok := err.(interface{ Transient() bool })
	return ok && transient.Transient()
}

// mayFallBack reports whether another CA may fare better. A domain that points elsewhere does so for all. What only has to wait for its
// turn waits, unless visitors have no certificate at all.
func (s *supply) mayFallBack(job orders.Job, err error) bool {
	if fault, ok := errors.AsType[*orders.DNSFault](err); ok {
		return !fault.Elsewhere // the CAA record may allow the other one
	}
	if _, ok := errors.AsType[*orders.Later](err); ok {
		return job.Have == nil
	}
	return true
}

func (s *supply) askOne(ctx context.Context, job orders.Job, p *plan, source *source, lock string) (orders.Have, error) {
	if ok, next := source.admit(); !ok {
		return orders.Have{}, &unavailable{cause: source.down(), wait: next.Sub(s.clock.Now())}
	}
	replaces := s.replaced(job, source)
	request := orders.Request{
		Issuer: source.Name(), Rules: source.rules, Domain: job.Domain,
		Renewal: job.Have != nil, ARI: s.inWindow(ctx, source, replaces),
	}
	if later := s.full(request); later != nil {
		return orders.Have{}, later
	}
	if err := s.rehearse(ctx, p, source); err != nil {
		return orders.Have{}, err
	}
	s.settleLast(ctx, request)
	later, err := s.limits.Reserve(ctx, request)
	if err != nil {
		return orders.Have{}, &unavailable{cause: fmt.Sprintf("the certificate storage %s does not answer: %v", s.storage, err)}
	}
	if later != nil {
		later.All = later.All && s.sources.isOnly()
		return orders.Have{}, later
	}
	s.begin(ctx, request)
	defer s.end(ctx, request)
	text, err := s.order(ctx, p, source, replaces)
	if err != nil {
		return orders.Have{}, s.account(ctx, request, err)
	}
	info, err := s.keep(ctx, lock, job.Domain, text)
	if err != nil {
		return orders.Have{}, err
	}
	return s.have(job.Domain, info), nil
}

// rehearse finds out whether the CA would find the domain here, before an order is spent.
func (s *supply) rehearse(ctx context.Context, p *plan, source *source) error {
	if s.rehearsal == nil {
		return nil
	}
	identities, err := source.CAAIdentities(ctx)
	if err != nil {
		return err
	}
	err = s.rehearsal.Rehearse(ctx, rehearsal.Subject{Domain: p.domain, CAA: identities, DNS01: p.dns != nil, Public: source.public})
	if fault, ok := errors.AsType[*rehearsal.Fault](err); ok {
		return &orders.DNSFault{Sentence: fault.Sentence, Elsewhere: fault.Elsewhere}
	}
	if err != nil { // the resolver knows nothing: the CA's may
		s.logger.Debug("the rehearsal came to no conclusion", zap.String("domain", p.domain), zap.Error(err))
	}
	return nil
}

// replaced is the certificate that an order replaces (RFC 9773 §5), where the same CA signed it.
func (s *supply) replaced(job orders.Job, source *source) *x509.Certificate {
	info, ok := s.shelf.Info(job.Domain)
	if job.Have == nil || !ok || info.Issuer != source.Name() || info.Adopted != "" { // an adopted one is another account's
		return nil
	}
	leaf, ok := s.shelf.Leaf(job.Domain)
	if !ok {
		return nil
	}
	return leaf
}

// order has the CA sign a new key, and returns the record's text.
func (s *supply) order(ctx context.Context, p *plan, source *source, replaces *x509.Certificate) ([]byte, error) {
	key, err := issuer.NewKey(s.settings.Key)
	if err != nil {
		return nil, err
	}
	chain, err := source.Obtain(ctx, issuer.Order{Domain: p.domain, Key: key, DNS: p.dns, Replaces: replaces})
	if err != nil {
		return nil, err
	}
	return record.Format(record.Record{Domain: p.domain, Issuer: source.Name(), Chain: chain, Key: key})
}

// renewal is orders.Config.Ask: when the CA wants a certificate renewed (RFC 9773), and when to ask again.
func (s *supply) renewal(ctx context.Context, domain string) (renewAt, askAgain time.Time, err error) {
	info, ok := s.shelf.Info(domain)
	leaf, known := s.shelf.Leaf(domain)
	if !ok || !known {
		return time.Time{}, time.Time{}, fmt.Errorf("no certificate of `%s` is at hand", domain)
	}
	usual := s.have(domain, info).RenewAt
	source := s.sources.signer(info.Issuer)
	if source == nil {
		return usual, time.Time{}, nil
	}
	window, err := source.RenewalInfo(ctx, leaf)
	if errors.Is(err, issuer.ErrNoRenewalInfo) {
		return usual, time.Time{}, nil
	}
	if err != nil {
		return time.Time{}, time.Time{}, err
	}
	at := window.At(domain)
	if !at.After(s.clock.Now()) && window.URL != "" {
		s.logger.Info("the certificate authority asks for a renewal and says why", zap.String("domain", domain), zap.String("explanation", window.URL))
	}
	return at, window.Ask, nil
}
