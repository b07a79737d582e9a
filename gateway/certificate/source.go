package certificate

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/caddyserver/certmagic"
	"go.uber.org/zap"

	"metahub/gateway/certificate/issuer"
	"metahub/gateway/certificate/orders"
	"metahub/tenant"
)

// probePause is between two orders that find out whether a CA is back.
const probePause = time.Minute

// source is a CA that is asked over the network, and how it is doing. While it is down one order a minute goes there, to find out when
// it is back; the others go to the fallback, or wait without holding a worker.
type source struct {
	*issuer.ACME
	rules  orders.Rules
	public bool // its certificates are for everybody, so it takes only names of the Internet
	clock  orders.Clock
	logger *zap.Logger

	mu    sync.Mutex
	cause string    // why it is down; empty while it is up
	probe time.Time // when the next order may try
}

// admit reports whether an order may go to the CA now, and if not when one may.
func (s *source) admit() (ok bool, next time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cause == "" {
		return true, time.Time{}
	}
	now := s.clock.Now()
	if now.Before(s.probe) {
		return false, s.probe
	}
	s.probe = now.Add(probePause)
	return true, time.Time{}
}

// judge notes what an order says of the CA's health. What failed before the CA was asked, or was cancelled, says nothing.
func (s *source) judge(ctx context.Context, err error) {
	fault, isFault := errors.AsType[*issuer.Error](err)
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil && (!isFault || fault.Kind == issuer.Local) || errors.Is(ctx.Err(), context.Canceled) {
		if _, refused := errors.AsType[*unavailable](err); !refused && s.cause != "" {
			s.probe = s.clock.Now() // the next order tries in its place
		}
		return
	}
	if isFault && fault.Kind == issuer.Unavailable {
		if s.cause == "" {
			s.logger.Warn("a certificate authority does not answer as it should, certificates in use go on", zap.String("issuer", s.Name()), zap.String("reason", fault.Message))
		}
		s.cause, s.probe = fault.Message, s.clock.Now().Add(probePause)
		return
	}
	if s.cause != "" {
		s.logger.Info("a certificate authority answers again", zap.String("issuer", s.Name()))
		s.cause = ""
	}
}

// down says why the CA is not asked, or "".
func (s *source) down() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.cause
}

// unavailable is the error of an order that would have gone to a CA that is down.
type unavailable struct {
	cause string
	wait  time.Duration
}

func (e *unavailable) Error() string             { return e.cause }
func (e *unavailable) Transient() bool           { return true }
func (e *unavailable) RetryAfter() time.Duration { return e.wait }

// refusal is what a CA said, as the queue wants to hear it.
type refusal struct{ cause *issuer.Error }

func (e *refusal) Error() string { return e.cause.Message }
func (e *refusal) Unwrap() error { return e.cause }
func (e *refusal) Transient() bool {
	return e.cause.Kind == issuer.Unavailable || e.cause.Kind == issuer.Local
}
func (e *refusal) RetryAfter() time.Duration { return e.cause.RetryAfter }

func forQueue(err error) error {
	if cause, ok := errors.AsType[*issuer.Error](err); ok {
		return &refusal{cause}
	}
	return err
}

// sources makes the CAs that the settings and the tenants name, each once.
type sources struct {
	settings   tenant.Certificates
	roots      *x509.CertPool
	storage    certmagic.Storage
	challenges *issuer.Challenges
	clock      orders.Clock
	logger     *zap.Logger

	mu   sync.Mutex
	made map[string]*source // by what tenants.yaml says
}

func newSources(settings tenant.Certificates, storage certmagic.Storage, challenges *issuer.Challenges, clock orders.Clock, logger *zap.Logger) (*sources, error) {
	s := &sources{settings: settings, storage: storage, challenges: challenges, clock: clock, logger: logger, made: map[string]*source{}}
	if settings.CARoot == "" {
		return s, nil
	}
	content, err := os.ReadFile(settings.CARoot)
	if err != nil {
		return nil, fmt.Errorf("gateway.certificates.ca_root cannot be read: %w", err)
	}
	if s.roots, err = x509.SystemCertPool(); err != nil {
		s.roots = x509.NewCertPool()
	}
	if !s.roots.AppendCertsFromPEM(content) {
		return nil, fmt.Errorf("gateway.certificates.ca_root %q holds no PEM certificate: put the root there that signs the directory's HTTPS", settings.CARoot)
	}
	return s, nil
}

// named returns the CA of a name or directory URL as tenants.yaml has it.
func (s *sources) named(name string) (*source, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if made, ok := s.made[name]; ok {
		return made, nil
	}
	config := s.config(name)
	ca, err := issuer.New(config)
	if err != nil {
		return nil, err
	}
	made := &source{ACME: ca, rules: s.rules(name), public: isPublic(name), clock: s.clock, logger: s.logger}
	s.made[name] = made
	return made, nil
}

func (s *sources) config(name string) issuer.Config {
	c := issuer.Config{
		Name: name, Email: s.settings.Email,
		Storage: s.storage, Challenges: s.challenges, Resolver: s.settings.Resolver, Logger: s.logger,
	}
	for _, challenge := range s.settings.Challenges {
		c.HTTP01 = c.HTTP01 || challenge == tenant.ChallengeHTTP01
		c.TLSALPN01 = c.TLSALPN01 || challenge == tenant.ChallengeTLSALPN01
	}
	var eab tenant.EAB // that of another CA would be refused, and so would its profile
	switch name {
	case s.settings.Issuer:
		eab, c.Profile = s.settings.EAB, s.settings.Profile
	case s.settings.Fallback:
		eab = s.settings.FallbackEAB
	}
	if !eab.IsZero() {
		c.EAB = &issuer.EAB{KeyID: eab.KeyID, HMACKey: eab.HMACKey.Reveal()}
	}
	switch {
	case name == tenant.IssuerLetsEncrypt && s.settings.Staging:
		c.Name = letsEncryptStaging
	case !isPublic(name):
		c.Directory, c.Roots = name, s.roots
	}
	return c
}

// letsEncryptStaging is what Let's Encrypt's staging environment is called here; tenants.yaml says staging: true.
const letsEncryptStaging = "letsencrypt-staging"

// isPublic reports whether a CA is for everybody.
func isPublic(name string) bool {
	return name == tenant.IssuerLetsEncrypt || name == tenant.IssuerZeroSSL
}

// rules are the limits that are mirrored for a CA: those that the settings name for the first one, Let's Encrypt's own where a tenant or
// the fallback uses it besides.
func (s *sources) rules(name string) orders.Rules {
	if name == s.settings.Issuer && s.settings.Limits == tenant.LimitsLetsEncrypt ||
		name != s.settings.Issuer && name == tenant.IssuerLetsEncrypt && !s.settings.Staging {
		return orders.LetsEncrypt()
	}
	return orders.Rules{}
}

// signer is the CA that signed under a name, where it is one of those in use.
func (s *sources) signer(name string) *source {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, made := range s.made {
		if made.Name() == name {
			return made
		}
	}
	return nil
}

// isOnly reports whether a single CA is in use, so that what it wants of one order it wants of all.
func (s *sources) isOnly() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.made) == 1
}
