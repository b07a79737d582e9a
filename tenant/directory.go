package tenant

import (
	"bytes"
	"strings"
)

// Directory is everything tenants.yaml says, checked and compiled. It is immutable; its methods may be called at once from any
// number of goroutines and allocate nothing.
type Directory struct {
	gateway  Gateway
	tenants  []*Tenant
	bySlug   map[string]*Tenant
	exact    *hostTable
	wildcard *hostTable // by what follows "*."
	apiHosts map[string]struct{}
	unknown  *Tenant
}

// NewDirectory compiles tenants. Its callers have checked that slugs and hosts are unique; of two that are not, the first is kept.
func NewDirectory(gateway Gateway, tenants []*Tenant) *Directory {
	d := &Directory{
		gateway:  gateway,
		tenants:  tenants,
		bySlug:   make(map[string]*Tenant, len(tenants)),
		exact:    newHostTable(len(tenants)),
		wildcard: newHostTable(0),
		apiHosts: make(map[string]struct{}, len(gateway.APIHosts)),
	}
	for _, host := range gateway.APIHosts {
		d.apiHosts[host] = struct{}{}
	}
	for _, t := range tenants {
		if _, taken := d.bySlug[t.Slug]; taken {
			continue
		}
		d.bySlug[t.Slug] = t
		for _, domain := range t.Domains {
			d.addDomain(domain, t)
		}
	}
	d.unknown = d.bySlug[gateway.UnknownHost]
	return d
}

func (d *Directory) addDomain(domain string, t *Tenant) {
	if name, ok := strings.CutPrefix(domain, "*."); ok {
		d.wildcard.add(name, t)
		return
	}
	d.exact.add(domain, t)
}

// Gateway returns the settings outside the tenants.
func (d *Directory) Gateway() *Gateway { return &d.gateway }

// Lookup returns the tenant of a host in the form that CanonicalHost gives: an exact name first, else a wildcard for its first label.
// Its cost does not grow with the number of tenants.
func (d *Directory) Lookup(host []byte) (*Tenant, bool) {
	if t, ok := d.exact.get(host); ok {
		return t, true
	}
	return d.LookupWildcard(host)
}

// LookupExact is Lookup for hosts that a tenant lists as they are.
func (d *Directory) LookupExact(host []byte) (*Tenant, bool) { return d.exact.get(host) }

// LookupWildcard returns the tenant that lists the wildcard which covers a host, also where another lists the host itself.
func (d *Directory) LookupWildcard(host []byte) (*Tenant, bool) {
	dot := bytes.IndexByte(host, '.')
	if dot <= 0 {
		return nil, false
	}
	return d.wildcard.get(host[dot+1:])
}

// Unknown returns the tenant that answers for unlisted hosts, or nil.
func (d *Directory) Unknown() *Tenant { return d.unknown }

// IsAPIHost reports whether a canonical host serves every tenant's API.
func (d *Directory) IsAPIHost(host []byte) bool {
	_, ok := d.apiHosts[string(host)]
	return ok
}

// Tenant returns the tenant with a slug.
func (d *Directory) Tenant(slug []byte) (*Tenant, bool) {
	t, ok := d.bySlug[string(slug)]
	return t, ok
}

// Tenants returns all tenants in the order of the file. The slice must not be changed.
func (d *Directory) Tenants() []*Tenant { return d.tenants }
