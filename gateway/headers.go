package gateway

import (
	"bytes"

	"github.com/valyala/fasthttp"

	"metahub/gateway/grammar"
)

// These names are the gateway's: whatever a client sends under them, in any spelling, is gone before anyone can read it. They are
// written as fasthttp keeps them.
var (
	headerTenant         = []byte("X-Tenant")
	headerForwardedFor   = []byte("X-Forwarded-For")
	headerForwardedHost  = []byte("X-Forwarded-Host")
	headerForwardedProto = []byte("X-Forwarded-Proto")
	headerForwardedPort  = []byte("X-Forwarded-Port")
	headerRealIP         = []byte("X-Real-Ip")
	headerRequestID      = []byte("X-Request-Id")
)

// claims are what a client said under names that are not its own. identity.go and client.go decide what of it to believe.
type claims struct {
	tenants      int    // the number of X-Tenant fields
	tenant       []byte // the last of them
	forwardedFor []byte // all X-Forwarded-For fields, joined
	proto        []byte // X-Forwarded-Proto
	requestID    []byte
	upgrades     int  // the number of Upgrade fields
	webSocket    bool // one of them is "websocket"
	options      int  // the number of names in Connection fields
	rewrites     bool // a field makes some servers answer another request; it is passed on
}

// maxOptions is how many fields a client may name in Connection: each costs a search through the header.
const maxOptions = 32

// cleanHeaders removes what no client may say and what is about its connection only, and keeps some of it as claims. It goes over the
// fields once and allocates nothing.
func (x *exchange) cleanHeaders() *refusal {
	if stream, ok := x.ctx.Conn().(*streamConn); ok {
		x.claims = stream.claims // the HTTP/2 bridge left out the rest
		return nil
	}
	h, dropped := &x.ctx.Request.Header, false
	for rest := h.RawHeaders(); len(rest) > 0; {
		var name, value []byte
		name, value, rest = nextField(rest)
		kind := classify(name)
		if kind == rewriting {
			x.claims.rewrites = true
			continue
		}
		if kind == ordinary || kind == connectionOptions && !dropOptions(h, value, &x.claims) {
			continue
		}
		h.DelBytes(name)
		x.claims.add(kind, value)
		dropped = true
	}
	if x.claims.options > maxOptions {
		return refuseOptions
	}
	if dropped {
		restoreOrder(h)
	}
	if x.mayUpgrade() {
		h.SetCanonical([]byte("Connection"), []byte("Upgrade"))
		h.SetCanonical([]byte("Upgrade"), []byte("websocket"))
	}
	return nil
}

// mayUpgrade reports whether the connection may become a WebSocket (RFC 6455 §4.1). With content in the request, peers would differ over
// where the frames begin.
func (x *exchange) mayUpgrade() bool {
	h := &x.ctx.Request.Header
	length := h.ContentLength()
	return x.claims.webSocket && x.claims.upgrades == 1 && h.IsGet() && h.IsHTTP11() && length <= 0 && length != chunked
}

// nextField takes one "name: value" line from the front of a header that wire.Conn has checked.
func nextField(raw []byte) (name, value, rest []byte) {
	line, rest, _ := bytes.Cut(raw, []byte("\n"))
	name, value, _ = bytes.Cut(line, []byte(":"))
	return name, bytes.TrimSpace(value), rest
}

func (c *claims) add(kind kind, value []byte) {
	switch kind {
	case tenantClaim:
		c.tenants++
		c.tenant = value
	case forwardedForClaim:
		if len(c.forwardedFor) > 0 {
			value = bytes.Join([][]byte{c.forwardedFor, value}, []byte(", "))
		}
		c.forwardedFor = value
	case protoClaim:
		c.proto = value
	case requestIDClaim:
		c.requestID = value
	case upgradeClaim:
		c.upgrades++
		c.webSocket = grammar.EqualFold(value, "websocket")
	}
}

// dropOptions removes the fields that a Connection header names (RFC 9110 §7.6.1), but those without which another request would be
// read. Ours are written later, so naming them takes nothing away. It reports whether fields were named: most clients only say
// keep-alive.
func dropOptions(h *fasthttp.RequestHeader, value []byte, c *claims) (named bool) {
	for option := range bytes.SplitSeq(value, []byte(",")) {
		if c.options++; c.options > maxOptions {
			return true
		}
		option = bytes.TrimSpace(option)
		if grammar.EqualFold(option, "keep-alive") || grammar.EqualFold(option, "close") {
			continue
		}
		named = true
		if !isRequired(option) {
			h.DelBytes(option)
		}
	}
	return named
}

func isRequired(name []byte) bool {
	return grammar.EqualFold(name, "host") || grammar.EqualFold(name, "content-length") || grammar.EqualFold(name, "transfer-encoding")
}

// restoreOrder puts fields of the same name back into the order that they came in, which has a meaning (RFC 9110 §5.3): to delete a
// field, fasthttp moves the last one into its place.
func restoreOrder(h *fasthttp.RequestHeader) {
	raw := h.RawHeaders()
	for before, rest := 0, raw; len(rest) > 0; before = len(raw) - len(rest) {
		var name []byte
		name, _, rest = nextField(rest)
		if kind := classify(name); kind != ordinary && kind != rewriting || !hasField(rest, name) || hasField(raw[:before], name) || len(h.PeekAll(string(name))) == 0 {
			continue
		}
		h.DelBytes(name)
		if grammar.EqualFold(name, "cookie") {
			h.DisableSpecialHeader() // else fasthttp would take the values apart, and the quotes off them
		}
		for all := raw; len(all) > 0; {
			var other, value []byte
			if other, value, all = nextField(all); bytes.EqualFold(other, name) {
				h.AddBytesKV(name, value)
			}
		}
		h.EnableSpecialHeader()
	}
}

func hasField(raw, name []byte) bool {
	for len(raw) > 0 {
		var other []byte
		if other, _, raw = nextField(raw); bytes.EqualFold(other, name) {
			return true
		}
	}
	return false
}

// kind is what a header field of a client is to the gateway.
type kind uint8

const (
	ordinary kind = iota
	dropped
	tenantClaim
	forwardedForClaim
	protoClaim
	requestIDClaim
	upgradeClaim
	connectionOptions
	rewriting // passed on, but not past the cache
)

// classify tells what a field is. Names are compared the way careless servers read them: without case, and with every sign taken for
// a hyphen, as in X_Tenant and x.tenant. Under another sign than the hyphen nothing is a claim.
func classify(name []byte) kind {
	if len(name) < 2 {
		return ordinary
	}
	switch name[0] | 0x20 {
	case 'x':
		return classifyX(name)
	case 'f':
		return drop(sameName(name, "forwarded"))
	case 'p': // a CGI program takes Proxy for its own setting (httpoxy); the others are about the connection
		return drop(sameName(name, "proxy") || hasNamePrefix(name, "proxy-"))
	case 'k':
		return drop(sameName(name, "keep-alive"))
	case 'e': // wire.Conn and net/http have met the expectation
		return drop(sameName(name, "expect"))
	case 'h': // half of an upgrade to h2c
		return drop(sameName(name, "http2-settings"))
	case 'u':
		if grammar.EqualFold(name, "upgrade") {
			return upgradeClaim
		}
	case 'c':
		if grammar.EqualFold(name, "connection") {
			return connectionOptions
		}
		return drop(isMisspelt(name, "content-length"))
	case 't': // without Trailer, fasthttp keeps no field of ours for the end of the body
		return drop(sameName(name, "te") || sameName(name, "trailer") || isMisspelt(name, "transfer-encoding"))
	}
	return ordinary
}

func classifyX(name []byte) kind {
	switch {
	case grammar.EqualFold(name, "x-tenant"):
		return tenantClaim
	case grammar.EqualFold(name, "x-forwarded-for"):
		return forwardedForClaim
	case grammar.EqualFold(name, "x-forwarded-proto"):
		return protoClaim
	case grammar.EqualFold(name, "x-request-id"):
		return requestIDClaim
	}
	if rewrites(name) {
		return rewriting
	}
	return drop(sameName(name, "x-tenant") || sameName(name, "x-request-id") || sameName(name, "x-real-ip") ||
		hasNamePrefix(name, "x-forwarded") ||
		// CVE-2025-29927: with it a client talks Next.js out of its middleware, and so out of its authorization.
		sameName(name, "x-middleware-subrequest"))
}

// rewrites reports whether some servers answer another request for a field than the one that its first line names, so that the answer is no
// one else's: frameworks that take the method or the URL from it, and the fields by which the parts of Next.js speak to each other.
func rewrites(name []byte) bool {
	for _, of := range rewritingNames {
		if sameName(name, of) {
			return true
		}
	}
	return hasNamePrefix(name, "x-middleware-") && !sameName(name, "x-middleware-subrequest") ||
		hasNamePrefix(name, "x-invoke-") || hasNamePrefix(name, "x-nextjs-")
}

var rewritingNames = [...]string{
	"x-http-method-override", "x-http-method", "x-method-override", "x-original-method", "x-original-url", "x-rewrite-url", "x-original-host",
	"x-host", "x-now-route-matches", "x-matched-path", "x-prerender-revalidate",
}

func drop(yes bool) kind {
	if yes {
		return dropped
	}
	return ordinary
}

// isMisspelt reports whether a careless server would read name as want, which it is not.
func isMisspelt(name []byte, want string) bool {
	return sameName(name, want) && !grammar.EqualFold(name, want)
}

// sameName compares names without case and with every sign taken for a hyphen; want is in lower case.
func sameName(name []byte, want string) bool {
	return len(name) == len(want) && hasNamePrefix(name, want)
}

func hasNamePrefix(name []byte, want string) bool {
	if len(name) < len(want) {
		return false
	}
	for i := range len(want) {
		c := name[i]
		switch {
		case 'A' <= c && c <= 'Z':
			c |= 0x20
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9':
		default:
			c = '-'
		}
		if c != want[i] {
			return false
		}
	}
	return true
}

// stampHeaders writes what the API and the frontends rely on.
func (x *exchange) stampHeaders() {
	h := &x.ctx.Request.Header
	port := x.port
	if len(port) == 0 {
		port = []byte("443")
	}
	x.scratch = append(x.scratch[:0], x.tenant.Slug...)
	h.SetCanonical(headerTenant, x.scratch)
	h.SetCanonical(headerForwardedHost, h.Host())
	h.SetCanonical(headerForwardedPort, port)
	x.stampClient()
}
