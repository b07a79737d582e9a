package rehearsal

import (
	"cmp"
	"net/netip"
	"slices"
	"sync"
)

const (
	// maxLearned bounds the addresses that are remembered.
	maxLearned = 16
	// maxWitnesses bounds the domains that are remembered for each.
	maxWitnesses = 8
)

// learned holds addresses at which this server was met. A tenant could point its domain at a proxy that passes all to this server, and
// have that proxy's address told to other tenants; so an address counts as much as different domains have vouched for it.
type learned struct {
	mu      sync.Mutex
	sighted []sighting // in order of arrival
}

type sighting struct {
	address   netip.Addr
	witnesses []string
}

func (s sighting) weight() int { return len(s.witnesses) }

// see notes that a rehearsal of a domain met this server at an address.
func (l *learned) see(address netip.Addr, domain string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	address = address.Unmap()
	at := l.index(address)
	if at < 0 {
		l.makeRoom()
		l.sighted = append(l.sighted, sighting{address: address})
		at = len(l.sighted) - 1
	}
	s := &l.sighted[at]
	if len(s.witnesses) < maxWitnesses && !slices.Contains(s.witnesses, domain) {
		s.witnesses = append(s.witnesses, domain)
	}
}

func (l *learned) index(address netip.Addr) int {
	return slices.IndexFunc(l.sighted, func(s sighting) bool { return s.address == address })
}

// makeRoom forgets the latest of those with the least weight.
func (l *learned) makeRoom() {
	if len(l.sighted) < maxLearned {
		return
	}
	least := 0
	for i, s := range l.sighted {
		if s.weight() <= l.sighted[least].weight() {
			least = i
		}
	}
	l.sighted = slices.Delete(l.sighted, least, least+1)
}

func (l *learned) holds(address netip.Addr) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.index(address.Unmap()) >= 0
}

// best is one usable address of each family, the one with the most weight, the first of equals.
func (l *learned) best(usable func(netip.Addr) bool) (addresses []netip.Addr) {
	l.mu.Lock()
	defer l.mu.Unlock()
	sorted := slices.Clone(l.sighted)
	slices.SortStableFunc(sorted, func(a, b sighting) int { return cmp.Compare(b.weight(), a.weight()) })
	for _, is4 := range []bool{true, false} {
		if at := slices.IndexFunc(sorted, func(s sighting) bool { return s.address.Is4() == is4 && usable(s.address) }); at >= 0 {
			addresses = append(addresses, sorted[at].address)
		}
	}
	return addresses
}
