package rehearsal

import (
	"net/netip"
	"slices"
	"strconv"
)

// judge makes one verdict of the findings at all addresses of a name. A CA picks one of them, so each must be right.
func (r *Rehearsal) judge(found place, findings []finding) error {
	var good, open []finding
	bad := map[verdict][]finding{}
	for _, f := range findings {
		switch f.verdict {
		case right, trusted:
			good = append(good, f)
		case unknown:
			open = append(open, f)
		default:
			bad[f.verdict] = append(bad[f.verdict], f)
		}
	}
	if len(bad) == 0 && len(good) == 0 && len(open) > 0 {
		return inconclusive("port %d of %s, to which %s points, cannot be checked from here: %s", r.port, open[0].address, named(found.domain), open[0].detail)
	}
	var faults []error
	for _, kind := range []verdict{foreign, proxied, misdirected, hidden, silent} {
		if len(bad[kind]) > 0 {
			faults = append(faults, r.fault(found, kind, bad[kind], len(good) > 0))
		}
	}
	return combine(faults...)
}

// fault says what is wrong with the addresses of one kind; mixed means that others of the same name are right.
func (r *Rehearsal) fault(found place, kind verdict, findings []finding, mixed bool) error {
	var addresses []netip.Addr
	for _, f := range findings {
		addresses = append(addresses, f.address)
	}
	name, where, port := named(found.domain), addressList(addresses), strconv.Itoa(r.port)
	own := slices.ContainsFunc(addresses, r.ours)
	several := name + " has several addresses and "
	remove := "remove " + those(addresses)
	var sentence string
	switch {
	case kind == proxied:
		sentence = name + " points to " + where + ", where a proxy of Cloudflare stands in front; switch the record to \"DNS only\" there, or use an issuer with DNS-01"
	case kind == silent && mixed:
		sentence = several + "nothing answers on port " + port + " of " + where + ": open the port or " + remove
	case kind == silent:
		sentence = "nothing answers on port " + port + " of " + where + ", to which " + name + " points; open the port or correct " + found.records()
	case kind == hidden && mixed:
		sentence = several + "the Internet cannot reach " + where + ": " + remove
	case kind == hidden:
		sentence = name + " points to " + where + ", which the Internet cannot reach; " + found.correction()
	case own:
		sentence = name + " points to this server's " + where + ", where another program answers on port " + port + "; give this server that port"
	case mixed:
		sentence = several + where + isNot(addresses) + " this server: " + remove
	case kind == misdirected:
		sentence = name + " points to " + where + ", which " + findings[0].detail + "; " + found.correction()
	default:
		sentence = name + " still points to " + where + ", where another server answers; " + found.correction()
	}
	elsewhere := !mixed && !own && (kind == foreign || kind == misdirected || kind == hidden)
	return &Fault{Sentence: sentence, Elsewhere: elsewhere}
}
