package rehearsal

import (
	"net/netip"
)

// maxSuggested bounds how many addresses of a kind a sentence names as this server's.
const maxSuggested = 2

// nowhere is the fault of a name without an address.
func (p place) nowhere() error {
	return &Fault{Sentence: named(p.domain) + " has no address yet; " + p.correction(), Elsewhere: true}
}

// correction says what to do with the records of a name that does not point to this server.
func (p place) correction() string {
	four, six := families(p.ours)
	has4, has6 := families(p.addresses)
	if p.alias {
		return p.insteadOfAlias(four, six)
	}
	switch {
	case four == nil && six == nil && has4 != nil && has6 != nil:
		return "set its A and AAAA records to this server's addresses"
	case four == nil && six == nil && has6 != nil:
		return "set its AAAA record to this server's address"
	case four == nil && six == nil:
		return "set its A record to this server's address"
	case four == nil && has4 == nil:
		return "set its AAAA record to " + either(six)
	case four == nil:
		return "set its AAAA record to " + either(six) + " and remove its A record"
	case has6 == nil:
		return "set its A record to " + either(four)
	case six == nil:
		return "set its A record to " + either(four) + " and remove its AAAA record"
	}
	return "set its A record to " + either(four) + " and its AAAA record to " + either(six)
}

// insteadOfAlias: beside a CNAME record there can be no other (RFC 1034 §3.6.2).
func (p place) insteadOfAlias(four, six []netip.Addr) string {
	switch {
	case four == nil && six == nil:
		return "replace its CNAME record by an A record with this server's address"
	case four == nil:
		return "replace its CNAME record by an AAAA record with " + either(six)
	}
	return "replace its CNAME record by an A record with " + either(four)
}

// records names those that a name has its addresses from.
func (p place) records() string {
	if p.alias {
		return "its CNAME record"
	}
	return "the " + kinds(p.addresses)
}

// those names the records of some addresses of a name that has more.
func those(addresses []netip.Addr) string {
	if len(addresses) == 1 {
		return "that " + kinds(addresses)
	}
	return "those " + kinds(addresses)
}

// kinds is "A record", "AAAA records", "A and AAAA records".
func kinds(addresses []netip.Addr) string {
	four, six := families(addresses)
	switch {
	case four != nil && six != nil:
		return "A and AAAA records"
	case len(six) > 1:
		return "AAAA records"
	case six != nil:
		return "AAAA record"
	case len(four) > 1:
		return "A records"
	}
	return "A record"
}

func families(addresses []netip.Addr) (four, six []netip.Addr) {
	for _, address := range addresses {
		if address.Is4() {
			four = append(four, address)
		} else {
			six = append(six, address)
		}
	}
	return four, six
}

func isNot(addresses []netip.Addr) string {
	if len(addresses) == 1 {
		return " is not"
	}
	return " are not"
}

func addressList(addresses []netip.Addr) string { return list(texts(addresses), "and") }

func either(addresses []netip.Addr) string {
	return list(texts(addresses[:min(len(addresses), maxSuggested)]), "or")
}

func texts(addresses []netip.Addr) (out []string) {
	for _, address := range addresses {
		out = append(out, address.String())
	}
	return out
}
