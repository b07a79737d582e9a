package certificate

import (
	"bytes"
	"strings"

	"metahub/tenant"
)

// maxServerName is the longest host name, with the final dot that some clients send.
const maxServerName = 254

// resolve says which host a client's server name stands for and whose it is: a tenant's domain, an API host (t is nil) or, where
// unknown_host is set, the first domain of that tenant. The host is a slice of scratch or a constant; ok is false for all other names
// and for an empty one.
func resolve(d *tenant.Directory, scratch []byte, serverName string) (host []byte, t *tenant.Tenant, ok bool) {
	host, ok = canonical(scratch, serverName)
	if ok {
		if t, ok = d.Lookup(host); ok {
			return host, t, true
		}
		if d.IsAPIHost(host) {
			return host, nil, true
		}
	}
	if t = d.Unknown(); t == nil || len(t.Domains) == 0 {
		return nil, nil, false
	}
	return append(scratch[:0], t.Domains[0]...), t, true
}

// canonical refuses what is not a host name, and a port, which has no place in a server name (RFC 6066 §3).
func canonical(scratch []byte, serverName string) ([]byte, bool) {
	if serverName == "" || len(serverName) > maxServerName {
		return nil, false
	}
	host, port, err := tenant.CanonicalHost(nil, append(scratch, serverName...))
	return host, err == nil && len(port) == 0
}

// coveringWildcard returns the key of the tenant's wildcard domain that covers a host, or nil. only says that the host is listed through
// it alone, so that it has no certificate of its own.
func coveringWildcard(d *tenant.Directory, t *tenant.Tenant, host []byte) (key []byte, only bool) {
	if t == nil {
		return nil, false
	}
	if host[0] == '*' { // unknown_host's first domain
		return host[1:], true
	}
	if owner, ok := d.LookupWildcard(host); !ok || owner != t {
		return nil, false
	}
	key, _ = parentKey(host)
	_, exact := d.LookupExact(host)
	return key, !exact
}

// key is under what a domain's certificate is kept: the name itself, and ".example.com" for "*.example.com", so that a handshake finds
// a wildcard by a part of the host's own bytes.
func key(domain string) string { return strings.TrimPrefix(domain, "*") }

// domainOf is the reverse of key.
func domainOf(key []byte) string {
	if len(key) > 0 && key[0] == '.' {
		return "*" + string(key)
	}
	return string(key)
}

// parentKey is the key of the wildcard that would cover a host.
func parentKey(host []byte) ([]byte, bool) {
	dot := bytes.IndexByte(host, '.')
	if dot <= 0 {
		return nil, false
	}
	return host[dot:], true
}
