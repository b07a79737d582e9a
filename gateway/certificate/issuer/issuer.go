// Package issuer gets certificates from an ACME certificate authority (RFC 8555), one domain a certificate.
//
//	challenges := issuer.NewChallenges(storage, logger)
//	ca, err := issuer.New(issuer.Config{Name: "letsencrypt", HTTP01: true, Storage: storage, Challenges: challenges, …})
//	chain, err := ca.Obtain(ctx, issuer.Order{Domain: "ensotek.de", Key: key})
//
// It opens no port: what has to be answered on ports 80 and 443 is announced in Challenges, and the gateway's own listeners answer from
// there. It decides neither when to order nor whether to try again; an *Error says what a caller needs to decide that.
package issuer

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/caddyserver/certmagic"
	"go.uber.org/zap"
	"golang.org/x/sync/singleflight"
)

// Config says which CA to use and how. It is not changed by the package.
type Config struct {
	// Name is the issuer's key in the configuration and in messages: "letsencrypt", "letsencrypt-staging" and "zerossl" bring their
	// directory along, see DirectoryOf.
	Name string
	// Directory is the ACME directory's URL; it wins over the one of Name. HTTPS, but for loopback.
	Directory string
	// Roots are trusted for the directory's HTTPS; nil means the system's.
	Roots *x509.CertPool
	// Email is the account's contact; it may be empty.
	Email string
	// EAB binds the account to one at the CA (RFC 8555 §7.3.4); nil means none. ZeroSSL's is fetched by Email when it is nil.
	EAB *EAB
	// EABEndpoint is where EAB credentials are had for an e-mail address, in ZeroSSL's way; empty means ZeroSSL's for "zerossl", else none.
	EABEndpoint string
	// Profile is the certificate profile to ask for (draft-aaron-acme-profiles); empty leaves it to the CA.
	Profile string
	// HTTP01 and TLSALPN01 say which challenges the gateway can answer. HTTP-01 comes first, see Obtain.
	HTTP01, TLSALPN01 bool
	// Storage keeps the account.
	Storage certmagic.Storage
	// Challenges is where challenges are announced.
	Challenges *Challenges
	// Resolver, "host:port", is asked whether a DNS-01 record has arrived; empty means the system's.
	Resolver string
	// Logger may be nil.
	Logger *zap.Logger
}

// EAB are the credentials of an external account binding.
type EAB struct {
	KeyID string
	// HMACKey is base64url; padding is accepted.
	HMACKey string
}

// ACME is one certificate authority. All methods may be called at once.
type ACME struct {
	config     Config
	directory  string // URL
	accountKey string // in the storage
	http       *http.Client
	patience   patience
	logger     *zap.Logger

	current    atomic.Pointer[conversation]
	fetches    singleflight.Group
	account    atomic.Pointer[account]
	accounting chan struct{} // a lock that honours a context
}

// patience is how long things may take.
type patience struct {
	directory    time.Duration // the directory, which also shows that the CA is there at all
	request      time.Duration // one request
	polling      time.Duration // an authorization, or an order
	obtain       time.Duration // all of an order
	directoryAge time.Duration // until it is fetched anew
}

func defaultPatience() patience {
	return patience{
		directory:    10 * time.Second,
		request:      20 * time.Second,
		polling:      2 * time.Minute,
		obtain:       8 * time.Minute,
		directoryAge: time.Hour,
	}
}

// New checks a configuration, all of it, and speaks to nobody yet.
func New(config Config) (*ACME, error) { return newACME(config, defaultPatience()) }

func newACME(config Config, patience patience) (*ACME, error) {
	if config.Logger == nil {
		config.Logger = zap.NewNop()
	}
	directory, err := config.check()
	if err != nil {
		return nil, fmt.Errorf("issuer %q: %w", config.Name, err)
	}
	if config.Name == ZeroSSL && config.EABEndpoint == "" {
		config.EABEndpoint = zeroSSLCredentials
	}
	return &ACME{
		config:     config,
		directory:  directory,
		accountKey: accountKey(directory),
		http:       newHTTPClient(config.Roots, patience.request),
		patience:   patience,
		logger:     config.Logger.Named("issuer").With(zap.String("issuer", config.Name)),
		accounting: make(chan struct{}, 1),
	}, nil
}

func (c Config) check() (directory string, err error) {
	var faults []error
	fault := func(text string, args ...any) { faults = append(faults, fmt.Errorf(text, args...)) }
	if c.Name == "" {
		fault("it needs a name")
	}
	if directory, err = c.directory(); err != nil {
		faults = append(faults, err)
	}
	if c.Storage == nil || c.Challenges == nil {
		fault("it needs a storage and challenges")
	}
	if c.EAB != nil {
		if err := c.EAB.check(); err != nil {
			faults = append(faults, err)
		}
	}
	if c.EABEndpoint != "" {
		if err := checkURL(c.EABEndpoint); err != nil {
			fault("the address for EAB credentials: %w", err)
		}
	}
	return directory, errors.Join(faults...)
}

// Name is the issuer's key in the configuration.
func (a *ACME) Name() string { return a.config.Name }

// Directory is the URL that orders go to.
func (a *ACME) Directory() string { return a.directory }
