package rehearsal

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// redirect says where a redirect leads, as Let's Encrypt follows it: to port 80 or 443 of a host that has a name. Where it does not, or
// nobody knows, the finding is set. A redirect to the same host stays at the address that is being checked, because the others get a
// visit of their own.
func (p *probe) redirect(ctx context.Context, at target, location string, address netip.Addr) (target, finding) {
	bad := func(why string) (target, finding) {
		return at, finding{verdict: misdirected, detail: "redirects the challenge to " + quoted(location) + ", " + why}
	}
	to, err := at.url.Parse(location)
	if err != nil {
		return bad("which is no URL")
	}
	host := strings.ToLower(strings.TrimSuffix(to.Hostname(), "."))
	switch {
	case to.Scheme != "http" && to.Scheme != "https":
		return bad("which is neither http nor https")
	case host == "":
		return bad("which names no host")
	case !slices.Contains([]string{"80", "443", strconv.Itoa(p.port)}, portOf(to)):
		return bad("a port at which no CA asks")
	}
	next := target{url: to, host: to.Host, addresses: []netip.Addr{address}}
	if host == p.subject.Domain {
		return next, finding{}
	}
	if ip, err := netip.ParseAddr(host); err == nil {
		if p.subject.Public || ip.Zone() != "" {
			return bad("an address without a name, to which no CA goes")
		}
		next.addresses = []netip.Addr{ip}
		return next, finding{}
	}
	if strings.ContainsFunc(host, func(c rune) bool { return !plain(c) }) {
		return bad("which is no host name")
	}
	found, err := p.lookup(ctx, host)
	switch {
	case errors.Is(err, ErrInconclusive):
		return at, finding{verdict: unknown, detail: err.Error()}
	case err != nil || len(found.addresses) == 0:
		return bad("a host that has no address")
	}
	if p.subject.Public {
		found.addresses = slices.DeleteFunc(found.addresses, func(ip netip.Addr) bool { return !reachable(ip) })
	}
	if len(found.addresses) == 0 {
		return bad("a host that the Internet cannot reach")
	}
	next.addresses = found.addresses
	return next, finding{}
}
