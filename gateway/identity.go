package gateway

import (
	"bytes"

	"metahub/tenant"
)

// identify finds out whose request this is: by the Host, which must be a name of the tenant that the connection's TLS name belongs to,
// and on an API host by what the client says and its Origin confirms.
func (x *exchange) identify() *refusal {
	if r := x.readHost(); r != nil {
		return r
	}
	t, shared := x.owner(x.host)
	if t == nil && !shared {
		return refuseUnknownHost
	}
	if !x.agreesWithTLS(t, shared) {
		return refuseOtherName
	}
	x.shared = shared
	if shared && x.api {
		var r *refusal
		if t, r = x.claimedTenant(); r != nil {
			return r
		}
	}
	x.bind(t)
	if t != nil && !t.Enabled {
		return refuseDisabled
	}
	return nil
}

// readHost takes the host and port that the client asks for, in the form that they are looked up.
func (x *exchange) readHost() *refusal {
	name, port, err := tenant.CanonicalHost(x.hostBytes, x.ctx.Request.Header.Host())
	if err != nil {
		return refuseHost
	}
	x.hostBytes = append(x.hostBytes[:0], name...)
	x.portBytes = append(x.portBytes[:0], port...)
	x.host, x.port = x.hostBytes, x.portBytes
	return nil
}

// bind makes t the request's tenant, and the validated authority the one that everyone reads from here on.
func (x *exchange) bind(t *tenant.Tenant) {
	x.tenant = t
	if t != nil {
		x.ctx.SetUserValue(tenant.ContextKey, t)
	}
	authority := x.authority()
	if h := &x.ctx.Request.Header; !bytes.Equal(h.Host(), authority) {
		h.SetHostBytes(authority)
		x.ctx.URI().SetHostBytes(authority)
	}
}

// authority is the canonical host, with the port where the client wrote one.
func (x *exchange) authority() []byte {
	if len(x.port) == 0 {
		return x.host
	}
	x.scratch = append(x.scratch[:0], x.host...)
	x.scratch = append(x.scratch, ':')
	x.scratch = append(x.scratch, x.port...)
	return x.scratch
}

// owner returns the tenant that a canonical host belongs to; shared is set for an API host, which belongs to all of them.
func (x *exchange) owner(host []byte) (t *tenant.Tenant, shared bool) {
	if t, ok := x.directory.Lookup(host); ok {
		return t, false
	}
	if x.directory.IsAPIHost(host) {
		return nil, true
	}
	return x.directory.Unknown(), false
}

// agreesWithTLS reports whether the name in the handshake has the owner that the Host has. A certificate for several names lets a
// browser reuse a connection for another tenant's host; 421 makes it open one of its own (RFC 9110 §15.5.20).
func (x *exchange) agreesWithTLS(t *tenant.Tenant, shared bool) bool {
	if bytes.Equal(x.peer.serverName, x.host) {
		return true
	}
	named, namedShared := x.owner(x.peer.serverName)
	return named == t && namedShared == shared
}

// claimedTenant is the tenant that a request to an API host speaks for: the one in X-Tenant, else the one that its Origin belongs to.
// A page may only speak for its own tenant, so Origin and Referer must not belong to another.
func (x *exchange) claimedTenant() (*tenant.Tenant, *refusal) {
	var t *tenant.Tenant
	if x.claims.tenants > 0 {
		named, ok := x.directory.Tenant(x.claims.tenant)
		if !ok || x.claims.tenants > 1 {
			return nil, refuseUnknownTenant
		}
		t = named
	}
	for _, name := range [...]string{"Origin", "Referer"} {
		for _, page := range x.ctx.Request.Header.PeekAll(name) {
			owner := x.pageOwner(page)
			if owner == nil || t != nil && owner != t {
				return nil, refuseForeignOrigin
			}
			t = owner
		}
	}
	if t == nil {
		return nil, refuseNoTenant
	}
	return t, nil
}

// pageOwner returns the tenant whose page has a URL, or nil. The tenant for unknown hosts owns only the hosts that it names.
func (x *exchange) pageOwner(url []byte) *tenant.Tenant {
	if start := bytes.Index(url, schemeEnd); start >= 0 {
		start += len(schemeEnd)
		if end := bytes.IndexAny(url[start:], "/?#"); end >= 0 {
			url = url[:start+end]
		}
	}
	var buffer [256]byte
	_, host, _, ok := splitOrigin(buffer[:0], url)
	if !ok {
		return nil
	}
	t, _ := x.directory.Lookup(host)
	return t
}

var schemeEnd = []byte("://")

// splitOrigin takes apart scheme://host:port, the form of an Origin (RFC 6454 §6.2). The host is canonical.
func splitOrigin(dst, origin []byte) (scheme, host, port []byte, ok bool) {
	scheme, rest, ok := bytes.Cut(origin, schemeEnd)
	if !ok {
		return nil, nil, nil, false
	}
	host, port, err := tenant.CanonicalHost(dst, rest)
	return scheme, host, port, err == nil
}
