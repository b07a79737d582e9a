// Package rehearsal finds out, before an ACME order is spent, whether a CA could prove a domain: it costs nothing at the CA.
//
//	r := rehearsal.New(rehearsal.Config{Announce: challenges.Announce, Addresses: ours, Logger: logger})
//	err := r.Rehearse(ctx, rehearsal.Subject{Domain: "ensotek.de", CAA: []string{"letsencrypt.org"}, Public: true})
//	var fault *rehearsal.Fault
//	if errors.As(err, &fault) { … } // fault.Sentence goes to the domain's owner
//
// It looks at a name's addresses, at its CAA records and at port 80 of each of its addresses, as a CA does, but from where this machine
// stands: what it calls right may still fail at a CA whose way to us is blocked. It orders nothing and keeps no answer for the next time.
package rehearsal

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"
)

// Bounds of one rehearsal. Its lookups take at most lookupPatience, its visits probePatience more.
const (
	lookupPatience = 8 * time.Second
	tryPatience    = 2 * time.Second
	probePatience  = 5 * time.Second
	maxAddresses   = 8
)

// Config is what a Rehearsal is made of; all of it may be left out.
type Config struct {
	// Resolver is the "host:port" of a recursive resolver; empty: those of /etc/resolv.conf.
	Resolver string
	// Addresses are this server's own, as the Internet sees them. Empty: those at which rehearsals have met it are named in sentences.
	Addresses []netip.Addr
	// Port is where the challenge is asked for; 0 is 80, the only one that a public CA asks.
	Port int
	// Announce makes the server answer for a token under a host until withdraw is called. Nil: port 80 is not checked.
	Announce func(ctx context.Context, host, token, keyAuthorization string) (withdraw func(), err error)
	// Logger may be nil.
	Logger *zap.Logger
}

// Subject is what is to be proven to a CA.
type Subject struct {
	// Domain is a canonical name, perhaps a wildcard, "*.example.com".
	Domain string
	// CAA are the names by which CAA records know the CA, "letsencrypt.org"; empty: CAA is not checked.
	CAA []string
	// DNS01 says that the name is proven by DNS alone, as wildcards always are: neither addresses nor port 80 matter.
	DNS01 bool
	// Public is a CA on the Internet, which cannot reach private addresses.
	Public bool
}

// byDNS tells whether neither addresses nor port 80 matter.
func (s Subject) byDNS() bool { return s.DNS01 || strings.HasPrefix(s.Domain, "*.") }

// Rehearsal checks domains. All its methods may be called at once from any number of goroutines.
type Rehearsal struct {
	resolver  resolver
	addresses []netip.Addr
	port      int
	announce  func(ctx context.Context, host, token, keyAuthorization string) (withdraw func(), err error)
	learned   learned
	logger    *zap.Logger

	lookups time.Duration // for all questions of a rehearsal together
	visit   time.Duration // for one address, redirects included
	dial    func(ctx context.Context, to netip.AddrPort) (net.Conn, error)
	routed  func(netip.Addr) bool
}

// New makes a Rehearsal; it neither opens nor starts anything.
func New(config Config) *Rehearsal {
	logger := config.Logger
	if logger == nil {
		logger = zap.NewNop()
	}
	r := &Rehearsal{
		resolver: resolver{address: config.Resolver, file: "/etc/resolv.conf", patience: tryPatience},
		port:     config.Port,
		announce: config.Announce,
		logger:   logger.Named("rehearsal"),
		lookups:  lookupPatience,
		visit:    probePatience,
		dial:     dial,
		routed:   routed,
	}
	if r.port == 0 {
		r.port = 80
	}
	for _, address := range config.Addresses {
		r.addresses = append(r.addresses, address.Unmap())
	}
	return r
}

// Rehearse returns nil when a CA may be asked, a *Fault when it would refuse, and an error that wraps ErrInconclusive when that could
// not be found out: the caller then goes on as if there were no rehearsal. It takes at most 13 s, and what Config.Announce takes.
func (r *Rehearsal) Rehearse(ctx context.Context, s Subject) error {
	lookups, cancel := context.WithTimeout(ctx, r.lookups)
	defer cancel()
	waitCAA := apart(r.logger, func() error { return r.checkCAA(lookups, s) })
	var err error
	if !s.byDNS() {
		err = r.checkHost(ctx, lookups, s)
	}
	return combine(err, waitCAA())
}

// checkHost checks the addresses of a name and, at each of them, port 80.
func (r *Rehearsal) checkHost(ctx, lookups context.Context, s Subject) error {
	found, err := r.lookup(lookups, s.Domain)
	if err != nil {
		return err
	}
	found.ours = r.suggested(s.Public)
	if len(found.addresses) == 0 {
		return found.nowhere()
	}
	findings, err := r.probeAll(ctx, s, found.addresses)
	if err != nil {
		return err
	}
	for _, f := range findings {
		r.logger.Debug("an address was checked", zap.String("domain", s.Domain), zap.Stringer("address", f.address),
			zap.String("finding", string(f.verdict)), zap.String("detail", f.detail))
		if f.learn {
			r.learned.see(f.address, s.Domain)
		}
	}
	return r.judge(found, findings)
}

// suggested are the addresses to tell to a domain's owner.
func (r *Rehearsal) suggested(public bool) (ours []netip.Addr) {
	usable := func(address netip.Addr) bool { return !public || reachable(address) }
	if len(r.addresses) == 0 {
		return r.learned.best(usable)
	}
	for _, address := range r.addresses {
		if usable(address) {
			ours = append(ours, address)
		}
	}
	return ours
}

// configured tells whether an administrator has named the address as this server's.
func (r *Rehearsal) configured(address netip.Addr) bool {
	return slices.Contains(r.addresses, address.Unmap())
}

// ours tells whether the address is known as this server's.
func (r *Rehearsal) ours(address netip.Addr) bool {
	return r.configured(address) || len(r.addresses) == 0 && r.learned.holds(address)
}

// apart does work beside the caller, who must call wait. A panic in it is an inconclusive rehearsal and not the end of the process.
func apart(logger *zap.Logger, work func() error) (wait func() error) {
	done := make(chan error, 1)
	go func() {
		err := fmt.Errorf("%w: an internal error, which the log tells of", ErrInconclusive)
		defer func() {
			if p := recover(); p != nil {
				logger.Error("a rehearsal panicked", zap.Any("panic", p), zap.Stack("stack"))
			}
			done <- err
		}()
		err = work()
	}()
	return func() error { return <-done }
}
