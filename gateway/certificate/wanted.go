package certificate

import (
	"strings"
	"time"

	"metahub/gateway/certificate/orders"
	"metahub/tenant"
)

// fileLead is how long before its end a certificate from files is given a successor, so that there is no gap.
const fileLead = 3 * 24 * time.Hour

// wanted lists the domains whose certificates are ordered: all that tenants.yaml names, but for those of the local authority, those
// with files of their own, and those that are on the disk and have not been read yet.
func (k *Keeper) wanted(d *tenant.Directory) []orders.Domain {
	if !k.networked(d) {
		return nil
	}
	w := wantedList{keeper: k, now: k.clock.Now(), unread: k.unread.copy()}
	for _, host := range d.Gateway().APIHosts {
		w.add(host, nil)
	}
	for _, t := range d.Tenants() {
		for _, domain := range t.Domains {
			w.add(domain, t)
		}
	}
	return w.domains
}

// networked reports whether anybody's certificates come over the network.
func (k *Keeper) networked(d *tenant.Directory) bool {
	if k.settings.Issuer != tenant.IssuerInternal {
		return true
	}
	for _, t := range d.Tenants() {
		if t.Certificate.Issuer != "" && t.Certificate.Issuer != tenant.IssuerInternal {
			return true
		}
	}
	return false
}

type wantedList struct {
	keeper  *Keeper
	now     time.Time
	unread  map[string]bool
	domains []orders.Domain
}

func (w *wantedList) add(domain string, t *tenant.Tenant) {
	if !w.keeper.isOrdered(domain, t) || w.unread[domain] {
		return
	}
	name := key(domain)
	if own := w.keeper.files.lookup([]byte(name), t, w.now); own != nil && w.now.Before(own.notAfter.Add(-fileLead)) {
		return
	}
	wanted := orders.Domain{Name: domain}
	if t != nil {
		wanted.Tenant = t.Slug
	}
	if info, ok := w.keeper.shelf.Info(domain); ok {
		have := w.keeper.supply.have(domain, info)
		wanted.Have = &have
	}
	w.domains = append(w.domains, wanted)
}

// isOrdered reports whether a domain's certificate comes over the network. The public CAs have none for names that are not of the
// Internet: the local authority signs for those.
func (k *Keeper) isOrdered(domain string, t *tenant.Tenant) bool {
	issuer := k.issuerOf(t)
	return issuer != tenant.IssuerInternal && (!isPublic(issuer) || isPublicName(domain))
}

// issuerOf is whom a tenant's certificates come from; t is nil for an API host.
func (k *Keeper) issuerOf(t *tenant.Tenant) string {
	if t != nil && t.Certificate.Issuer != "" {
		return t.Certificate.Issuer
	}
	return k.settings.Issuer
}

// isPublicName reports whether a name could be one of the Internet.
func isPublicName(domain string) bool {
	domain = strings.TrimPrefix(domain, "*.")
	if !strings.Contains(domain, ".") {
		return false
	}
	for _, suffix := range []string{".localhost", ".local", ".internal", ".home.arpa", ".test", ".example", ".invalid", ".lan", ".corp", ".home"} {
		if strings.HasSuffix(domain, suffix) {
			return false
		}
	}
	return domain[len(domain)-1] > '9' // no IP address
}
