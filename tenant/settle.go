package tenant

import (
	"fmt"
	"slices"
	"strings"
)

// claimant is one tenant of a load on its way to be served: as it is declared now, as it was last good, or not at all.
type claimant struct {
	decl *declaration // nil for a tenant that is kept though no declaration of it can be read
	last *Tenant      // the last good version; nil for a tenant that was never good
	now  *Tenant      // the version to serve: the declared one, the last good one, or nil to leave the tenant out

	wants []string // the claims of the declared version
	has   []string // the claims of the last good version
}

// newClaimant sets out to serve what is declared, else what was last good. One of the two may be nil.
func newClaimant(decl *declaration, last *Tenant) *claimant {
	c := &claimant{decl: decl, last: last, now: last}
	if last != nil {
		c.has = claimsOf(last)
	}
	if decl != nil && decl.tenant != nil {
		c.now, c.wants = decl.tenant, claimsOf(decl.tenant)
	}
	return c
}

// slug names the claimant; every claimant has one.
func (c *claimant) slug() string {
	if c.decl != nil {
		return c.decl.slug
	}
	return c.last.Slug
}

// fresh reports whether the version to serve is the one declared now.
func (c *claimant) fresh() bool { return c.decl != nil && c.now != nil && c.now == c.decl.tenant }

// claims lists what the version to serve asks for.
func (c *claimant) claims() []string {
	switch {
	case c.now == nil:
		return nil
	case c.fresh():
		return c.wants
	}
	return c.has
}

// settlement decides who gets what only one tenant may have: a host, a database, the hosts below a cookie domain. It belongs to the
// tenant that is served with it now, else to the first in the file. A tenant that asks for what is another's is at fault, and goes on
// as it was last good, with all that it had then.
type settlement struct {
	claimants []*claimant
	apiHosts  map[string]place
	owners    map[string]*claimant
	inside    *Faults // faults of tenants
	outside   *Faults // faults of the gateway's settings
}

// settle sets every claimant's version to serve.
func (s *settlement) settle() {
	s.owners = make(map[string]*claimant, 2*len(s.claimants))
	for _, c := range s.claimants {
		s.confirm(c)
	}
	for _, c := range s.claimants {
		if c.fresh() {
			s.claim(c)
		}
	}
	for s.separateCookies() {
	}
	s.report()
	for host, at := range s.apiHosts {
		if owner := s.owners[host]; owner != nil {
			*s.outside = append(*s.outside, Fault{File: at.file, Line: at.line, Message: fmt.Sprintf(
				"gateway.api_hosts: %q is served as a domain of tenant %q: remove it from the tenant first, or from this list", host, owner.slug())})
		}
	}
}

// confirm gives a claimant what it is served with already. A Directory has one owner for each claim, so nobody loses here.
func (s *settlement) confirm(c *claimant) {
	for _, claim := range c.claims() {
		if slices.Contains(c.has, claim) {
			s.owners[claim] = c
		}
	}
}

// claim gives a claimant what nobody has, and demotes it when it asks for more.
func (s *settlement) claim(c *claimant) {
	lost := false
	for i, claim := range c.claims() {
		_, isAPIHost := s.apiHosts[claim]
		owner := s.owners[claim]
		switch {
		case owner == c:
		case isAPIHost:
			lost = true
			s.fault(c, c.decl.names[i], fmt.Sprintf("domain %q is one of gateway.api_hosts (%s), which serve every tenant: remove it here or there",
				claim, whereIs(s.apiHosts[claim], c.decl.names[i])))
		case owner != nil:
			lost = true
			s.lose(c, claim, owner)
		default:
			s.owners[claim] = c
		}
	}
	if lost {
		s.demote(c)
	}
}

// demote makes claimants go on as they were last good: c, then those that have asked for what thereby stays c's.
func (s *settlement) demote(c *claimant) {
	for queue := []*claimant{c}; len(queue) > 0; queue = queue[1:] {
		c := queue[0]
		if !c.fresh() {
			continue
		}
		for _, claim := range c.claims() {
			if s.owners[claim] == c {
				delete(s.owners, claim)
			}
		}
		c.now = c.last
		if c.now == nil {
			continue
		}
		for _, claim := range c.claims() {
			if owner := s.owners[claim]; owner != nil && owner != c {
				s.lose(owner, claim, c)
				queue = append(queue, owner)
			}
			s.owners[claim] = c
		}
	}
}

// report notes what entries at fault ask for in vain besides, so that all is told at once.
func (s *settlement) report() {
	wanted := map[string]*claimant{}
	for _, c := range s.claimants {
		if c.decl == nil || c.decl.tenant != nil {
			continue
		}
		for i, domain := range c.decl.domains {
			owner, where := s.owners[domain], ""
			if owner != nil && owner != c {
				where = s.whereOwned(owner, domain, c.decl.names[i])
			} else if owner = wanted[domain]; owner != nil {
				where = whereIs(owner.decl.names[slices.Index(owner.decl.domains, domain)], c.decl.names[i])
			} else {
				wanted[domain] = c
				continue
			}
			s.fault(c, c.decl.names[i], takenDomain(domain, owner, where))
		}
	}
}

// lose notes that a claim of c, which is fresh, is another's.
func (s *settlement) lose(c *claimant, claim string, owner *claimant) {
	if i := slices.Index(c.now.Domains, claim); i >= 0 {
		at := c.decl.names[i]
		s.fault(c, at, takenDomain(claim, owner, s.whereOwned(owner, claim, at)))
		return
	}
	at := c.decl.database
	s.fault(c, at, fmt.Sprintf("the database %q already belongs to %q (%s): give each tenant its own",
		c.now.Database.Name, owner.slug(), s.whereOwned(owner, claim, at)))
}

func takenDomain(domain string, owner *claimant, where string) string {
	return fmt.Sprintf("domain %q already belongs to %q (%s): remove it from one of them", domain, owner.slug(), where)
}

// whereOwned says where an owner's claim is written, or why there is one that is not.
func (s *settlement) whereOwned(owner *claimant, claim string, from place) string {
	if !owner.fresh() {
		return "in its last good version, which goes on while it is at fault"
	}
	if i := slices.Index(owner.now.Domains, claim); i >= 0 {
		return whereIs(owner.decl.names[i], from)
	}
	return whereIs(owner.decl.database, from)
}

// separateCookies demotes tenants whose cookie domain covers a host of another tenant, which would be sent the cookies. It reports
// whether it demoted any, as that may bring back versions that conflict with others.
func (s *settlement) separateCookies() bool {
	covering := map[string][]*claimant{}
	for _, c := range s.claimants {
		if c.now != nil && c.now.CookieDomain != "" {
			covering[c.now.CookieDomain] = append(covering[c.now.CookieDomain], c)
		}
	}
	if len(covering) == 0 {
		return false
	}
	demoted := false
	for _, c := range s.claimants {
		if c.now == nil {
			continue
		}
		for _, domain := range slices.Clone(c.now.Domains) {
			for parent := strings.TrimPrefix(domain, "*."); parent != ""; _, parent, _ = strings.Cut(parent, ".") {
				for _, other := range covering[parent] {
					demoted = s.separate(other, c, domain) || demoted
				}
			}
		}
	}
	return demoted
}

// separate demotes the one of two tenants that brought the conflict: owner, whose cookie domain covers a domain of c, or c.
func (s *settlement) separate(owner, c *claimant, domain string) bool {
	if owner == c || owner.now == nil || c.now == nil || !slices.Contains(c.now.Domains, domain) {
		return false
	}
	cookie := owner.now.CookieDomain
	if !isBelow(strings.TrimPrefix(domain, "*."), cookie) || cookie == "" {
		return false // one of them was demoted a moment ago
	}
	settled := owner.last != nil && owner.last.CookieDomain == cookie
	switch {
	case c.fresh() && !slices.Contains(c.has, domain) && settled, c.fresh() && !owner.fresh():
		s.fault(c, c.decl.names[slices.Index(c.now.Domains, domain)], fmt.Sprintf(
			"domain %q is below the cookie_domain %q of tenant %q, whose cookies it would be sent: narrow that cookie_domain first", domain, cookie, owner.slug()))
		s.demote(c)
	case owner.fresh():
		s.fault(owner, owner.decl.cookie, fmt.Sprintf(
			"cookie_domain %q covers the domain %q of tenant %q, which would be sent this tenant's cookies: write a narrower one or leave it out", cookie, domain, c.slug()))
		s.demote(owner)
	default:
		return false
	}
	return true
}

func (s *settlement) fault(c *claimant, at place, message string) {
	*s.inside = append(*s.inside, Fault{File: at.file, Line: at.line, Tenant: c.slug(), Message: message})
}

// claimsOf lists what only t may have: its domains in their order, then its database.
func claimsOf(t *Tenant) []string {
	return append(slices.Clip(slices.Clone(t.Domains)), t.Database.key())
}
