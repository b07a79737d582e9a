package adopt

import (
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"fmt"
	"maps"
	"slices"
	"time"

	"metahub/gateway/certificate/record"
)

const (
	// maxLeaves bounds the certificates that are kept in memory at once; each takes some 6 KB.
	maxLeaves = 200_000
	// maxFound bounds the names.
	maxFound = 1_000_000
	// maxUnread bounds the sentences; more than that nobody reads.
	maxUnread = 10_000
	// maxSpareKeys bounds the keys that wait for a certificate from another folder.
	maxSpareKeys = 20_000
)

// finder is one run of Find.
type finder struct {
	now    time.Time
	chains *chains

	visited map[string]bool            // folders, by their real path
	judged  map[[sha256.Size]byte]bool // leaves
	leaves  int

	best      map[string]*Found
	older     []superseded
	keyless   []candidate
	spareKeys map[[sha256.Size]byte]crypto.Signer

	unread []Unread
	untold int // what was one too many for unread
	met    int // certificates and faults, to notice a path that brings nothing
	full   bool
}

// candidate is a leaf and what there is for it.
type candidate struct {
	leaf   *x509.Certificate
	key    crypto.Signer       // nil: not found yet
	own    []*x509.Certificate // all certificates of the leaf's file
	beside issuers
	chain  []*x509.Certificate // own and beside in order

	source, path string
	file         string // what a sentence is about; path where it is ""
	prefix       string // begins the sentences, for one of many in a file
	noKey        string // why key is nil; "" where that has been said
}

type superseded struct{ name, path string }

func newFinder(now time.Time) *finder {
	return &finder{
		now: now, chains: newChains(), visited: map[string]bool{}, judged: map[[sha256.Size]byte]bool{},
		best: map[string]*Found{}, spareKeys: map[[sha256.Size]byte]crypto.Signer{},
	}
}

func (f *finder) tell(path, reason string) {
	f.met++
	if len(f.unread) >= maxUnread {
		f.untold++
		return
	}
	f.unread = append(f.unread, Unread{Path: path, Reason: reason})
}

func (f *finder) tellOf(c candidate, reason string) {
	if c.file == "" {
		c.file = c.path
	}
	f.tell(c.file, c.prefix+reason)
}

// room counts the leaves that are held, and says when there are too many.
func (f *finder) room(path string) bool {
	if f.leaves < maxLeaves && len(f.best) < maxFound {
		f.leaves++
		return true
	}
	f.tellFull(path)
	return false
}

func (f *finder) tellFull(path string) {
	if !f.full {
		f.full = true
		f.tell(path, fmt.Sprintf("is where reading ended, at %d certificates or %d names: adopt the rest by naming fewer paths at once", maxLeaves, maxFound))
	}
}

// consider takes a candidate, or says why not, once for each leaf however often it lies around.
func (f *finder) consider(c candidate) {
	if c.key == nil && selfIssued(c.leaf) {
		return // one of the roots that lie in /etc/ssl/certs
	}
	f.met++
	id := sha256.Sum256(c.leaf.Raw)
	if f.judged[id] {
		return
	}
	reason := judge(c.leaf, f.now)
	if reason == "" {
		c.chain, reason = f.chainOf(c)
	}
	if reason == "" && c.key == nil {
		c.own, c.beside = nil, nil
		f.keyless = append(f.keyless, c)
		return
	}
	f.judged[id] = true
	if reason != "" {
		f.tellOf(c, reason)
		return
	}
	f.take(c)
}

func (f *finder) chainOf(c candidate) (chain []*x509.Certificate, reason string) {
	chain = f.chains.order(c.leaf, c.own, c.beside)
	isCA := func(certificate *x509.Certificate) bool { return certificate.IsCA }
	if len(chain) == 1 && slices.ContainsFunc(c.own, isCA) {
		return nil, "is followed by certificates that did not issue it: write the host's own first, then each one's issuer"
	}
	return chain, ""
}

// take keeps a certificate under each of its names for which there is no better one.
func (f *finder) take(c candidate) {
	names, reason := namesOf(c.leaf)
	if reason != "" {
		f.tellOf(c, reason)
	}
	if len(c.chain) == 1 && len(c.leaf.IssuingCertificateURL) > 0 && len(names) > 0 {
		f.tellOf(c, fmt.Sprintf("is taken without the certificate of its issuer, %q, which some clients need: put that behind it and adopt it again", clip(c.leaf.Issuer.CommonName)))
	}
	r := record.Record{Issuer: issuerKey(c.leaf), Adopted: c.source + " " + c.path, Key: c.key, Leaf: c.leaf}
	for _, link := range c.chain {
		r.Chain = append(r.Chain, link.Raw)
	}
	for _, name := range names {
		r.Domain = name
		f.keepBetter(Found{Record: r, Source: c.source, Path: c.path, Names: names})
	}
}

func (f *finder) keepBetter(found Found) {
	name := found.Record.Domain
	former, ok := f.best[name]
	switch {
	case !ok && len(f.best) < maxFound:
		f.best[name] = &found
	case !ok:
		f.tellFull(found.Path)
	case newer(found.Record.Leaf, former.Record.Leaf):
		f.best[name] = &found
		f.supersede(name, former.Path)
	default:
		f.supersede(name, found.Path)
	}
}

func newer(a, b *x509.Certificate) bool {
	if a.NotAfter.Equal(b.NotAfter) {
		return a.NotBefore.After(b.NotBefore)
	}
	return a.NotAfter.After(b.NotAfter)
}

func (f *finder) supersede(name, path string) {
	if len(f.older) < 10*maxUnread {
		f.older = append(f.older, superseded{name, path})
		return
	}
	f.untold++
}

func (f *finder) findings() Findings {
	f.matchKeyless()
	f.tellOlder()
	var out Findings
	for _, name := range slices.Sorted(maps.Keys(f.best)) {
		out.Found = append(out.Found, *f.best[name])
	}
	out.Unread = f.unread
	if f.untold > 0 {
		last := f.unread[len(f.unread)-1].Path
		out.Unread = append(out.Unread, Unread{Path: last, Reason: fmt.Sprintf("is the last that is listed, %d more were not taken: repair these, then adopt again", f.untold)})
	}
	return out
}

// matchKeyless gives the certificates without a key the keys that lay in other folders, as in /etc/ssl/certs and /etc/ssl/private.
func (f *finder) matchKeyless() {
	for _, c := range f.keyless {
		id := sha256.Sum256(c.leaf.Raw)
		if f.judged[id] {
			continue
		}
		f.judged[id] = true
		if public, ok := publicID(c.leaf.PublicKey); ok {
			c.key = f.spareKeys[public]
		}
		switch {
		case c.key != nil:
			f.take(c)
		case c.noKey != "":
			f.tellOf(c, c.noKey)
		}
	}
}

// tellOlder says for each file and the one that is better how many names are concerned.
func (f *finder) tellOlder() {
	type between struct{ older, newer string }
	names := map[between][]string{}
	seen := map[superseded]bool{}
	var order []between
	for _, s := range f.older {
		if seen[s] {
			continue
		}
		seen[s] = true
		b := between{s.path, f.best[s.name].Path}
		if names[b] == nil {
			order = append(order, b)
		}
		names[b] = append(names[b], s.name)
	}
	for _, b := range order {
		f.tell(b.older, fmt.Sprintf("holds an older certificate for %s: the one in %q is newer and is taken", list(names[b]), b.newer))
	}
}
