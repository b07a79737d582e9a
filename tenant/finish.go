package tenant

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// finish settles who is served how, and compiles the Directory.
func (l *loading) finish(secrets func([]string) (map[string]ring, error)) {
	l.vanished = l.findVanished()
	for _, doc := range l.documents {
		l.checkCut(doc)
	}
	apiHosts := make(map[string]place, len(l.gateway.APIHosts))
	for i, host := range l.gateway.APIHosts {
		apiHosts[host] = l.settings.at("gateway.api_hosts", i)
	}
	settlement := &settlement{claimants: l.claimants(), apiHosts: apiHosts, inside: &l.inside, outside: &l.outside}
	settlement.settle()
	if len(l.outside) > 0 {
		return
	}
	giveSecrets(settlement, secrets)
	tenants := make([]*Tenant, 0, len(settlement.claimants))
	for _, c := range settlement.claimants {
		switch {
		case c.now == nil:
		case c.last != nil && c.last.same(c.now):
			tenants = append(tenants, c.last) // who compares pointers sees that nothing has changed
		default:
			tenants = append(tenants, c.now)
		}
	}
	l.directory = NewDirectory(l.gateway, tenants)
}

// checkCut finds a file that was cut short but is YAML all the same, since it was read in the midst of a write or the disk was full.
// It ends within a tenant, and tenants that it held are gone; or it ends within a line, and the last tenant is not as it was, or
// tenants are gone. Then these are kept, and the last tenant is not believed.
func (l *loading) checkCut(doc *document) {
	end := doc.end
	if end == nil || doc.whole && end.tenant != nil {
		return
	}
	var gone []string
	for _, t := range l.vanished[doc.path] {
		gone = append(gone, t.Slug)
	}
	last := l.lastGood(end.slug)
	changed := !doc.whole && last != nil && end.tenant != nil && !unchanged(last, end.tenant)
	if len(gone) == 0 && !changed {
		return
	}
	reason, remedy := "its last tenant is at fault", "mend that one"
	if !doc.whole {
		reason, remedy = "its last line has no line break", "end it with one"
	}
	kept := "the change of this tenant waits"
	if len(gone) > 0 {
		kept = "tenants that it held are gone (" + strings.Join(bounded(gone), ", ") + ") and are kept"
	}
	l.unreadable[doc.path] = true
	end.tenant = nil
	l.inside = append(l.inside, Fault{File: doc.path, Line: doc.lines, Tenant: end.slug, Message: fmt.Sprintf(
		"the file looks cut short here: %s, so %s: %s to apply the file as it is", reason, kept, remedy)})
}

// unchanged reports whether a declaration is the last good version, where a made secret stands for none.
func unchanged(last, declared *Tenant) bool {
	now := *declared
	if now.JWTSecret.IsZero() {
		now.JWTSecret, now.JWTPrevious = last.JWTSecret, last.JWTPrevious
	}
	return last.same(&now)
}

// findVanished returns the tenants of the last Directory that nobody declares any more, by the file that held them.
func (l *loading) findVanished() map[string][]*Tenant {
	if l.last == nil {
		return nil
	}
	declared := make(map[string]bool, len(l.declarations))
	for _, decl := range l.declarations {
		declared[decl.slug] = true
	}
	vanished := map[string][]*Tenant{}
	for _, t := range l.last.Tenants() {
		if file := originFile(t.Origin); !declared[t.Slug] {
			vanished[file] = append(vanished[file], t)
		}
	}
	return vanished
}

// kept returns the tenants that are gone from files that cannot be read whole.
func (l *loading) kept() []*Tenant {
	var kept []*Tenant
	for _, file := range slices.Sorted(maps.Keys(l.unreadable)) {
		kept = append(kept, l.vanished[file]...)
	}
	return kept
}

// claimants pairs each declaration with the last good version of its tenant. A tenant that is gone from a file that cannot be read
// whole is kept.
func (l *loading) claimants() []*claimant {
	claimants := make([]*claimant, 0, len(l.declarations))
	bySlug := make(map[string]*claimant, len(l.declarations))
	for _, decl := range l.declarations {
		if first := bySlug[decl.slug]; first != nil {
			l.duplicate(decl, first)
			continue
		}
		if decl.slug == "" {
			continue
		}
		c := newClaimant(decl, l.lastGood(decl.slug))
		bySlug[decl.slug] = c
		claimants = append(claimants, c)
	}
	for _, t := range l.kept() {
		claimants = append(claimants, newClaimant(nil, t))
	}
	return claimants
}

// duplicate notes that two entries have one slug. Neither is believed where a last good version can be served instead; else the first is.
func (l *loading) duplicate(decl *declaration, first *claimant) {
	l.inside = append(l.inside, Fault{File: decl.at.file, Line: decl.at.line, Tenant: decl.slug, Message: fmt.Sprintf(
		"the slug is taken already (%s): give each tenant its own", whereIs(first.decl.at, decl.at))})
	if first.last != nil {
		first.now = first.last
	}
}

func (l *loading) lastGood(slug string) *Tenant {
	if l.last == nil {
		return nil
	}
	return l.last.bySlug[slug]
}

// giveSecrets gives tenants without jwt_secret a made one.
func giveSecrets(s *settlement, secrets func([]string) (map[string]ring, error)) {
	var slugs []string
	for _, c := range s.claimants {
		if c.fresh() && c.now.JWTSecret.IsZero() {
			slugs = append(slugs, c.now.Slug)
		}
	}
	if len(slugs) == 0 {
		return
	}
	made, err := secrets(slugs)
	for _, c := range s.claimants {
		if !c.fresh() || !c.now.JWTSecret.IsZero() {
			continue
		}
		keys, ok := made[c.now.Slug]
		if !ok {
			s.fault(c, c.decl.at, fmt.Sprintf("no jwt_secret is set, and none can be made: %v", err))
			s.demote(c)
			continue
		}
		c.now.JWTSecret = keys[0]
		c.now.JWTPrevious = append(c.now.JWTPrevious, keys[1:]...)
	}
}

// flagged returns the slugs at fault and those kept against their file, each once.
func (l *loading) flagged() []string {
	var flagged []string
	seen := map[string]bool{"": true}
	flag := func(slug string) {
		if !seen[slug] {
			seen[slug] = true
			flagged = append(flagged, slug)
		}
	}
	for _, fault := range l.faults() {
		flag(fault.Tenant)
	}
	for _, t := range l.kept() {
		flag(t.Slug)
	}
	return flagged
}

// originFile is the file of an Origin.
func originFile(origin string) string {
	if colon := strings.LastIndexByte(origin, ':'); colon >= 0 {
		return origin[:colon]
	}
	return origin
}

// bounded shortens a list for a message or a log line.
func bounded(names []string) []string {
	const most = 20
	if len(names) <= most {
		return names
	}
	return append(names[:most:most], fmt.Sprintf("and %d more", len(names)-most))
}
