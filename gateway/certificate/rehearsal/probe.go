package rehearsal

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"time"

	"go.uber.org/zap"
)

// maxRedirects is how many Let's Encrypt follows.
const maxRedirects = 10

// verdict is what one address turned out to be.
type verdict string

const (
	unknown     verdict = "unknown"     // this machine could not look
	right       verdict = "right"       // this server answers there
	trusted     verdict = "trusted"     // it is this server's, though it cannot be reached from here
	foreign     verdict = "foreign"     // somebody else answers
	proxied     verdict = "proxied"     // Cloudflare answers
	misdirected verdict = "misdirected" // a redirect leads to where no CA follows
	hidden      verdict = "hidden"      // the Internet has no way there
	silent      verdict = "silent"      // nothing answers
)

// finding is the verdict on one address.
type finding struct {
	address netip.Addr
	verdict verdict
	detail  string // of misdirected, the end of a sentence; else for the log
	learn   bool   // nothing stands between this address and this server
}

// probe asks for one token of ours at the addresses of one domain.
type probe struct {
	*Rehearsal
	subject          Subject
	token            string
	keyAuthorization string
}

// probeAll visits all addresses at once. The answers are expected only as long as it runs.
func (r *Rehearsal) probeAll(ctx context.Context, s Subject, addresses []netip.Addr) ([]finding, error) {
	findings := make([]finding, len(addresses))
	if r.announce == nil {
		for i, address := range addresses {
			findings[i] = finding{address: address, verdict: trusted, detail: "port 80 is not checked"}
			if s.Public && !reachable(address) {
				findings[i].verdict = hidden
			}
		}
		return findings, nil
	}
	token := random()
	p := &probe{Rehearsal: r, subject: s, token: token, keyAuthorization: token + "." + random()}
	withdraw, err := r.announce(ctx, s.Domain, p.token, p.keyAuthorization)
	if err != nil {
		return nil, inconclusive("the answer to a challenge cannot be announced: %w", err)
	}
	defer withdraw()
	var waits []func() error
	for i, address := range addresses {
		findings[i] = finding{address: address, verdict: unknown, detail: "the check ended early"}
		waits = append(waits, apart(r.logger, func() error { findings[i] = p.visitOne(ctx, address); return nil }))
	}
	for _, wait := range waits {
		err = errors.Join(err, wait()) // only a panic gives one; its finding stays unknown
	}
	if err != nil {
		r.logger.Debug("an address could not be checked", zap.String("domain", s.Domain), zap.Error(err))
	}
	return findings, nil
}

// random is a token of 256 bits; a key authorization is two of them (RFC 8555 §8.1).
func random() string {
	raw := make([]byte, 32)
	rand.Read(raw)
	return base64.RawURLEncoding.EncodeToString(raw)
}

// visitOne asks one address for the token.
func (p *probe) visitOne(parent context.Context, address netip.Addr) finding {
	if p.subject.Public && !reachable(address) {
		return finding{address: address, verdict: hidden}
	}
	ctx, cancel := context.WithTimeout(parent, p.visit)
	defer cancel()
	f := p.follow(ctx, address)
	f.address = address
	if parent.Err() != nil && f.verdict != right { // the caller's haste is not the address's fault
		return finding{address: address, verdict: unknown, detail: "the check was cut short"}
	}
	return f
}

// follow asks, and goes where redirects lead.
func (p *probe) follow(ctx context.Context, address netip.Addr) finding {
	at := target{url: p.challenge(), host: p.subject.Domain, addresses: []netip.Addr{address}}
	var first answered
	for hop := range maxRedirects + 1 {
		got, err := p.get(ctx, at)
		if err != nil && hop == 0 {
			return p.unanswered(err, address)
		}
		if hop == 0 {
			first = got
		}
		var f finding
		switch {
		case err != nil:
			f = finding{verdict: misdirected, detail: "redirects the challenge to " + quoted(at.url.String()) + ", where no answer comes"}
		case got.location == "":
			f = p.compare(got, hop)
		default:
			at, f = p.redirect(ctx, at, got.location, address)
		}
		if f.verdict == "" {
			continue
		}
		if first.cloudflare && (f.verdict == foreign || f.verdict == misdirected) {
			f.verdict = proxied
		}
		return f
	}
	return finding{verdict: misdirected, detail: "redirects the challenge more than " + strconv.Itoa(maxRedirects) + " times"}
}

// challenge is the URL of RFC 8555 §8.3.
func (p *probe) challenge() *url.URL {
	host := p.subject.Domain
	if p.port != 80 {
		host = net.JoinHostPort(host, strconv.Itoa(p.port))
	}
	return &url.URL{Scheme: "http", Host: host, Path: "/.well-known/acme-challenge/" + p.token}
}

// compare judges an answer that is not a redirect.
func (p *probe) compare(got answered, hop int) finding {
	if got.status != 200 || got.body != p.keyAuthorization {
		return finding{verdict: foreign, detail: "status " + strconv.Itoa(got.status)}
	}
	return finding{verdict: right, learn: hop == 0 && !got.cloudflare && !got.proxy}
}

// unanswered judges an address that gave no answer. Many a router does not let a machine reach itself by its public address (hairpin
// NAT, RFC 4787 §6), so a failure there says nothing.
func (p *probe) unanswered(err error, address netip.Addr) finding {
	var failed *dialError
	switch {
	case errors.As(err, &failed) && p.configured(address):
		return finding{verdict: trusted, detail: err.Error()}
	case errors.As(err, &failed) && (homemade(err) || !p.routed(address)):
		return finding{verdict: unknown, detail: err.Error()}
	case errors.As(err, &failed) || errors.Is(err, errSilent):
		return finding{verdict: silent, detail: err.Error()}
	}
	return finding{verdict: foreign, detail: err.Error()}
}

// routed tells whether this machine has a way to an address. Connecting a UDP socket sends nothing. A way to the Internet that begins
// at a private IPv6 address leads nowhere, as in most containers.
func routed(address netip.Addr) bool {
	dialer := net.Dialer{Timeout: time.Second}
	conn, err := dialer.Dial("udp", netip.AddrPortFrom(address, 80).String())
	if err != nil {
		return false
	}
	defer conn.Close()
	from, err := netip.ParseAddrPort(conn.LocalAddr().String())
	return err == nil && (!address.Is6() || !reachable(address) || reachable(from.Addr()))
}
