package tenant

import "bytes"

// Directory is everything tenants.yaml says, checked and compiled. It is immutable; its methods may be called at once from any
// number of goroutines and allocate nothing.
type Directory struct {
	gateway  Gateway
	tenants  []*Tenant
	bySlug   map[string]*Tenant
	exact    map[string]*Tenant
	wildcard map[string]*Tenant // keyed by what follows "*."
	apiHosts map[string]struct{}
	unknown  *Tenant
}

// NewDirectory compiles tenants. Its callers have checked that slugs and hosts are unique; of two that are not, the first is kept.
func NewDirectory(gateway Gateway, tenants []*Tenant) *Directory {
	d := &Directory{
		gateway:  gateway,
		tenants:  tenants,
		bySlug:   make(map[string]*Tenant, len(tenants)),
		exact:    make(map[string]*Tenant, len(tenants)),
		wildcard: map[string]*Tenant{},
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
	hosts := d.exact
	if len(domain) > 2 && domain[:2] == "*." {
		hosts, domain = d.wildcard, domain[2:]
	}
	if _, taken := hosts[domain]; !taken {
		hosts[domain] = t
	}
}

// Gateway returns the settings outside the tenants.
func (d *Directory) Gateway() *Gateway { return &d.gateway }

// Lookup returns the tenant of a host in the form that CanonicalHost gives: an exact name first, else a wildcard for its first label.
// Its cost does not grow with the number of tenants.
func (d *Directory) Lookup(host []byte) (*Tenant, bool) {
	if t, ok := d.exact[string(host)]; ok {
		return t, true
	}
	if len(d.wildcard) == 0 {
		return nil, false
	}
	dot := bytes.IndexByte(host, '.')
	if dot <= 0 {
		return nil, false
	}
	t, ok := d.wildcard[string(host[dot+1:])]
	return t, ok
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
