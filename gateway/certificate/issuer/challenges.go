package issuer

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/caddyserver/certmagic"
	"go.uber.org/zap"
)

// Challenges is what is answered on ports 80 and 443 while domains are proven. Issuers announce in it and the gateway's listeners answer from
// it; another gateway on the same storage can answer HTTP-01 too. All methods may be called at once.
type Challenges struct {
	storage certmagic.Storage
	logger  *zap.Logger
	reading chan struct{}

	mu        sync.RWMutex
	answers   map[string]announced // by token
	handshake map[string][]*tls.Certificate
}

type announced struct{ host, keyAuthorization string }

// What answering may cost.
const (
	challengeFolder   = "challenges"
	challengeLife     = time.Hour
	challengePatience = 3 * time.Second
	maxReading        = 16 // reads of the storage at once: anyone may ask for any token
)

// NewChallenges makes an empty one.
func NewChallenges(storage certmagic.Storage, logger *zap.Logger) *Challenges {
	if logger == nil {
		logger = zap.NewNop()
	}
	return &Challenges{
		storage:   storage,
		logger:    logger.Named("challenges"),
		reading:   make(chan struct{}, maxReading),
		answers:   map[string]announced{},
		handshake: map[string][]*tls.Certificate{},
	}
}

// Announce answers an HTTP-01 challenge for a host (RFC 8555 §8.3), here and at every gateway on the storage, until withdraw is called, which
// may be called again, or for an hour elsewhere.
func (c *Challenges) Announce(ctx context.Context, host, token, keyAuthorization string) (withdraw func(), err error) {
	host = strings.ToLower(host)
	text, err := formatChallenge(storedChallenge{Token: token, Host: host, KeyAuthorization: keyAuthorization, Expires: time.Now().Add(challengeLife)})
	if err != nil {
		return nil, err
	}
	if err := c.storage.Store(ctx, challengeKey(token), text); err != nil {
		return nil, fmt.Errorf("the challenge for %q cannot be written to the storage: %w", host, err)
	}
	c.mu.Lock()
	c.answers[token] = announced{host, keyAuthorization}
	c.mu.Unlock()
	return sync.OnceFunc(func() { c.withdraw(context.WithoutCancel(ctx), token) }), nil
}

func (c *Challenges) withdraw(ctx context.Context, token string) {
	c.mu.Lock()
	delete(c.answers, token)
	c.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, challengePatience)
	defer cancel()
	if err := c.storage.Delete(ctx, challengeKey(token)); err != nil {
		c.logger.Warn("a challenge that is over stays in the storage; it expires", zap.Error(err))
	}
}

// KeyAuthorization is the body to answer a request for /.well-known/acme-challenge/TOKEN with. The storage is asked when the memory has
// none, for tokens that can be one, and not by more than a few at once.
func (c *Challenges) KeyAuthorization(ctx context.Context, host, token string) (string, bool) {
	if !isToken(token) {
		return "", false
	}
	c.mu.RLock()
	answer, known := c.answers[token]
	c.mu.RUnlock()
	if known {
		return answer.keyAuthorization, strings.EqualFold(answer.host, host)
	}
	ctx, cancel := context.WithTimeout(ctx, challengePatience)
	defer cancel()
	select {
	case c.reading <- struct{}{}:
		defer func() { <-c.reading }()
	case <-ctx.Done():
		return "", false
	}
	return c.stored(ctx, host, token)
}

// stored answers for another gateway.
func (c *Challenges) stored(ctx context.Context, host, token string) (string, bool) {
	text, err := c.storage.Load(ctx, challengeKey(token))
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) && ctx.Err() == nil {
			c.logger.Debug("a challenge cannot be read from the storage", zap.String("host", host), zap.Error(err))
		}
		return "", false
	}
	stored, err := parseChallenge(text)
	if err != nil || stored.Token != token || !strings.EqualFold(stored.Host, host) || !time.Now().Before(stored.Expires) {
		return "", false
	}
	return stored.KeyAuthorization, true
}

// ALPNCertificate is the certificate for a handshake of protocol acme-tls/1 (RFC 8737); nil when none is announced. Only the gateway that
// orders has it.
func (c *Challenges) ALPNCertificate(host string) *tls.Certificate {
	c.mu.RLock()
	defer c.mu.RUnlock()
	announced := c.handshake[host]
	if len(announced) == 0 {
		return nil
	}
	return announced[len(announced)-1]
}

// announceALPN answers handshakes for a host, the latest announcement first.
func (c *Challenges) announceALPN(host string, certificate *tls.Certificate) (withdraw func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.handshake[host] = append(c.handshake[host], certificate)
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		left := slices.DeleteFunc(c.handshake[host], func(other *tls.Certificate) bool { return other == certificate })
		if len(left) == 0 {
			delete(c.handshake, host)
			return
		}
		c.handshake[host] = left
	}
}

// Sweep deletes challenges from the storage that a killed gateway left there. Once a day is often enough.
func (c *Challenges) Sweep(ctx context.Context) error {
	keys, err := c.storage.List(ctx, challengeFolder, false)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	}
	var faults []error
	for _, key := range keys {
		text, err := c.storage.Load(ctx, key)
		if err != nil {
			continue // withdrawn meanwhile
		}
		if stored, err := parseChallenge(text); err == nil && time.Now().Before(stored.Expires) {
			continue
		}
		faults = append(faults, c.storage.Delete(ctx, key))
	}
	return errors.Join(faults...)
}
