package rehearsal

import (
	"cmp"
	"context"
	"errors"
	"net/netip"
	"slices"

	"github.com/miekg/dns"
)

// place is where a name points, and what its owner is to be told.
type place struct {
	domain    string
	addresses []netip.Addr // at most maxAddresses
	alias     bool         // by way of a CNAME record
	ours      []netip.Addr // to be suggested; empty: unknown
}

// lookup finds the addresses of a name, of both families. As at a CA, one family is enough when the question for the other one fails.
func (r *Rehearsal) lookup(ctx context.Context, domain string) (place, error) {
	var six, four answer
	wait := apart(r.logger, func() (err error) { six, err = r.resolver.ask(ctx, domain, dns.TypeAAAA); return })
	four, err4 := r.resolver.ask(ctx, domain, dns.TypeA)
	err6 := wait()
	found := place{domain: domain, alias: four.alias || six.alias}
	found.addresses = inTurn(addressesOf(four.records), addressesOf(six.records))
	err := cmp.Or(err4, err6)
	switch {
	case err == nil || len(found.addresses) > 0:
		return found, nil
	case errors.Is(err4, errServFail) || errors.Is(err6, errServFail):
		return found, &Fault{Sentence: "the name servers of " + named(domain) +
			" answer the question for its address with an error, SERVFAIL; correct its zone or its DNSSEC signatures"}
	}
	return found, err
}

// addressesOf sorts, so that one state of DNS gives one sentence although resolvers turn their answers round.
func addressesOf(records []dns.RR) []netip.Addr {
	var addresses []netip.Addr
	for _, record := range records {
		var raw []byte
		switch record := record.(type) {
		case *dns.A:
			raw = record.A.To4()
		case *dns.AAAA:
			raw = record.AAAA.To16()
		}
		if address, ok := netip.AddrFromSlice(raw); ok {
			addresses = append(addresses, address)
		}
	}
	slices.SortFunc(addresses, netip.Addr.Compare)
	return slices.Compact(addresses)
}

// inTurn takes from both families, so that many addresses of one do not hide the other.
func inTurn(four, six []netip.Addr) []netip.Addr {
	var both []netip.Addr
	for i := range max(len(four), len(six)) {
		both = append(both, four[min(i, len(four)):min(i+1, len(four))]...)
		both = append(both, six[min(i, len(six)):min(i+1, len(six))]...)
	}
	return both[:min(len(both), maxAddresses)]
}

// unreachable are the IANA special-purpose blocks that are not for the Internet (RFC 6890). Those for documentation are left out: no
// network uses them, and nothing answers there anyway.
var unreachable = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"),      // this network
	netip.MustParsePrefix("10.0.0.0/8"),     // private
	netip.MustParsePrefix("100.64.0.0/10"),  // behind a provider's NAT
	netip.MustParsePrefix("127.0.0.0/8"),    // loopback
	netip.MustParsePrefix("169.254.0.0/16"), // link-local
	netip.MustParsePrefix("172.16.0.0/12"),  // private
	netip.MustParsePrefix("192.0.0.0/24"),   // protocol assignments
	netip.MustParsePrefix("192.168.0.0/16"), // private
	netip.MustParsePrefix("198.18.0.0/15"),  // benchmarks
	netip.MustParsePrefix("224.0.0.0/3"),    // multicast, reserved, broadcast
	netip.MustParsePrefix("::/16"),          // unspecified, loopback, IPv4 in its several wrappings
	netip.MustParsePrefix("64:ff9b:1::/48"), // local NAT64
	netip.MustParsePrefix("100::/64"),       // discard
	netip.MustParsePrefix("fc00::/7"),       // unique local
	netip.MustParsePrefix("fe80::/9"),       // link-local and the former site-local
	netip.MustParsePrefix("ff00::/8"),       // multicast
}

// Prefixes that carry an IPv4 address: NAT64 (RFC 6052) in the last four bytes, 6to4 (RFC 3056) in the third to sixth.
var (
	nat64  = netip.MustParsePrefix("64:ff9b::/96")
	sixTo4 = netip.MustParsePrefix("2002::/16")
)

// reachable tells whether the Internet can reach an address at all.
func reachable(address netip.Addr) bool {
	if !address.IsValid() {
		return false
	}
	raw := address.As16()
	switch {
	case nat64.Contains(address):
		address = netip.AddrFrom4([4]byte(raw[12:16]))
	case sixTo4.Contains(address):
		address = netip.AddrFrom4([4]byte(raw[2:6]))
	}
	return !slices.ContainsFunc(unreachable, func(block netip.Prefix) bool { return block.Contains(address) })
}
