package rehearsal

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/miekg/dns"
)

// maxIssuers bounds how many CAs a sentence lists.
const maxIssuers = 4

// critical is the flag of a CAA record that a CA must understand (RFC 8659 §4.1).
const critical = 128

// checkCAA looks for the records that hold for a name, from the name itself up to its top-level domain (RFC 8659 §3).
func (r *Rehearsal) checkCAA(ctx context.Context, s Subject) error {
	if len(s.CAA) == 0 {
		return nil
	}
	bare, wildcard := strings.CutPrefix(s.Domain, "*.")
	for name, more := bare, true; more; _, name, more = strings.Cut(name, ".") {
		found, err := r.resolver.ask(ctx, name, dns.TypeCAA)
		if errors.Is(err, errServFail) {
			return &Fault{Sentence: "the name servers of " + named(name) +
				" answer the question for its CAA records with an error, SERVFAIL, after which no CA may sign; correct its zone or its DNSSEC signatures"}
		}
		if err != nil {
			return err
		}
		if records := caaRecords(found.records); len(records) > 0 {
			return evaluate(records, wildcard, s.CAA).fault(bare, found.owner, s.CAA[0])
		}
	}
	return nil
}

func caaRecords(records []dns.RR) (out []*dns.CAA) {
	for _, record := range records {
		if record, ok := record.(*dns.CAA); ok {
			out = append(out, record)
		}
	}
	return out
}

// policy is what a set of CAA records says about one CA.
type policy struct {
	allowed bool
	tag     string   // by which it was judged, "issue" or "issuewild"
	unknown string   // the critical tag that nobody knows; empty: none
	issuers []string // whom it allows instead; empty: nobody
}

// evaluate judges the set of records that holds for a name (RFC 8659 §4). Tags and names are compared without regard to case.
func evaluate(records []*dns.CAA, wildcard bool, identities []string) policy {
	issue, issuewild := []string(nil), []string(nil)
	p := policy{tag: "issue"}
	for _, record := range records {
		switch tag := strings.ToLower(record.Tag); tag {
		case "issue":
			issue = append(issue, issuerOf(record.Value))
		case "issuewild":
			issuewild = append(issuewild, issuerOf(record.Value))
		case "iodef", "issuemail", "issuevmc", "contactemail", "contactphone":
			// registered, and not about certificates of web servers
		default:
			if record.Flag&critical != 0 && p.unknown == "" {
				p.unknown = "tag " + quoted(record.Tag)
			}
		}
	}
	if wildcard && issuewild != nil {
		p.tag, issue = "issuewild", issuewild
	}
	p.allowed = p.unknown == "" && (issue == nil || slices.ContainsFunc(issue, func(issuer string) bool { return isOne(issuer, identities) }))
	p.issuers = quotedAll(issue)
	return p
}

// issuerOf is the CA's name in the value of an issue or issuewild property; it is empty in one that forbids. Parameters follow a
// semicolon (RFC 8659 §4.2). A value that breaks the grammar allows nobody, as it is no CA's name.
func issuerOf(value string) string {
	name, _, _ := strings.Cut(value, ";")
	return strings.ToLower(strings.Trim(name, " \t"))
}

func isOne(issuer string, identities []string) bool {
	return issuer != "" && slices.ContainsFunc(identities, func(identity string) bool { return strings.EqualFold(issuer, identity) })
}

// quotedAll quotes issuers, sorted and without repetition.
func quotedAll(issuers []string) (out []string) {
	issuers = slices.DeleteFunc(slices.Clone(issuers), func(issuer string) bool { return issuer == "" })
	slices.Sort(issuers)
	issuers = slices.Compact(issuers)
	for _, issuer := range issuers[:min(len(issuers), maxIssuers)] {
		out = append(out, quoted(issuer))
	}
	if len(issuers) > maxIssuers {
		out = append(out, "others")
	}
	return out
}

// fault says what to do where the policy forbids; owner is the name whose records hold for the domain.
func (p policy) fault(domain, owner, identity string) error {
	if p.allowed {
		return nil
	}
	subject := "the CAA record of " + named(owner)
	if !strings.EqualFold(strings.TrimSuffix(owner, "."), domain) {
		subject += ", which holds for " + named(domain) + " too,"
	}
	add := "; add one: 0 " + p.tag + " " + quoted(identity)
	switch {
	case p.unknown != "":
		return &Fault{Sentence: subject + " has the critical " + p.unknown + ", which CAs do not know and therefore refuse; remove it"}
	case len(p.issuers) == 0:
		return &Fault{Sentence: subject + " forbids every CA" + add}
	}
	return &Fault{Sentence: subject + " allows only " + list(p.issuers, "and") + add}
}
