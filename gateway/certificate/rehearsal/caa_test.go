package rehearsal

import (
	"strings"
	"testing"

	"github.com/miekg/dns"
)

const letsencrypt = "letsencrypt.org"

// caaSet reads records like `0 issue "letsencrypt.org"`.
func caaSet(t testing.TB, lines ...string) (out []*dns.CAA) {
	t.Helper()
	for _, line := range lines {
		record, err := dns.NewRR("ensotek.de. 60 IN CAA " + line)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, record.(*dns.CAA))
	}
	return out
}

func TestEvaluate(t *testing.T) {
	f := func(allowed, allowedWildcard bool, lines ...string) {
		t.Helper()
		if got := evaluate(caaSet(t, lines...), false, []string{letsencrypt}).allowed; got != allowed {
			t.Errorf("%q allows the name: %t", lines, got)
		}
		if got := evaluate(caaSet(t, lines...), true, []string{letsencrypt}).allowed; got != allowedWildcard {
			t.Errorf("%q allows the wildcard: %t", lines, got)
		}
	}
	// The CA itself, one of several, in any case and with space around it.
	f(true, true, `0 issue "letsencrypt.org"`)
	f(true, true, `0 issue "digicert.com"`, `0 issue "letsencrypt.org"`)
	f(true, true, `0 ISSUE "LetsEncrypt.ORG"`)
	f(true, true, `0 issue "  letsencrypt.org	"`)

	// Another, and one that only looks like it.
	f(false, false, `0 issue "digicert.com"`)
	f(false, false, `0 issue "letsencrypt.org.example"`)
	f(false, false, `0 issue "letsencrypt"`)
	f(false, false, `0 issue "letsencrypt.org digicert.com"`)

	// Parameters.
	f(true, true, `0 issue "letsencrypt.org; accounturi=https://acme.example/acct/1"`)
	f(true, true, `0 issue "letsencrypt.org ;validationmethods=dns-01"`)
	f(false, false, `0 issue "digicert.com; x=letsencrypt.org"`)

	// Nobody.
	f(false, false, `0 issue ";"`)
	f(false, false, `0 issue ""`)
	f(false, false, `0 issue " ; x=y"`)
	f(true, true, `0 issue ";"`, `0 issue "letsencrypt.org"`)
	f(false, false, `0 issue "%%%%%"`)

	// Wildcards: issuewild where there is one, else issue; a name never heeds issuewild.
	f(true, false, `0 issue "letsencrypt.org"`, `0 issuewild ";"`)
	f(false, true, `0 issue "digicert.com"`, `0 issuewild "letsencrypt.org"`)
	f(true, false, `0 issuewild "digicert.com"`)

	// Only what is not about issuance.
	f(true, true, `0 iodef "mailto:security@ensotek.de"`)
	f(true, true, `128 iodef "mailto:security@ensotek.de"`)
	f(true, true, `0 issuemail "digicert.com"`)
	f(true, true, `128 issuemail ";"`)

	// A tag that is not known matters when it is critical.
	f(true, true, `0 tbs "unknown"`)
	f(true, true, `64 tbs "unknown"`)
	f(false, false, `128 tbs "unknown"`)
	f(false, false, `128 tbs "unknown"`, `0 issue "letsencrypt.org"`)
	f(true, true, `128 issue "letsencrypt.org"`)
}

func TestEvaluateKnowsSeveralIdentities(t *testing.T) {
	set := caaSet(t, `0 issue "trust-provider.com"`)
	if !evaluate(set, false, []string{"sectigo.com", "Trust-Provider.com"}).allowed {
		t.Error("the second identity does not count")
	}
	if evaluate(set, false, []string{""}).allowed || evaluate(caaSet(t, `0 issue ";"`), false, []string{""}).allowed {
		t.Error("an empty identity is allowed")
	}
}

func TestTreeClimbing(t *testing.T) {
	f := func(domain string, wrong string, asked string, lines ...string) {
		t.Helper()
		z := newZone(t)
		z.add(t, lines...)
		r := New(Config{Resolver: z.address})
		err := r.Rehearse(t.Context(), Subject{Domain: domain, CAA: []string{letsencrypt}, DNS01: true})
		if wrong == "" {
			wantRight(t, err)
		} else {
			wantFault(t, err, false, wrong)
		}
		if got := strings.ReplaceAll(strings.Join(z.log(), " "), " CAA udp", ""); got != asked {
			t.Errorf("asked for %q and not for %q", got, asked)
		}
	}
	// No records at all: up to the top-level domain, not to the root.
	f("shop.ensotek.de", "", "shop.ensotek.de ensotek.de de")
	f("de", "", "de")

	// The first set that is not empty holds, even when one above it forbids, or it says nothing about issuance.
	f("shop.ensotek.de", "", "shop.ensotek.de", `shop.ensotek.de. 60 IN CAA 0 issue "letsencrypt.org"`, `ensotek.de. 60 IN CAA 0 issue ";"`)
	f("shop.ensotek.de", "", "shop.ensotek.de", `shop.ensotek.de. 60 IN CAA 0 iodef "mailto:x@y"`, `ensotek.de. 60 IN CAA 0 issue ";"`)
	f("ensotek.de", "the CAA record of `ensotek.de` allows only \"digicert.com\"; add one: 0 issue \"letsencrypt.org\"", "ensotek.de",
		`ensotek.de. 60 IN CAA 0 issue "digicert.com"`, `de. 60 IN CAA 0 issue "letsencrypt.org"`)

	// A set above the name.
	f("a.shop.ensotek.de", "the CAA record of `ensotek.de`, which holds for `a.shop.ensotek.de` too, forbids every CA; add one: 0 issue \"letsencrypt.org\"",
		"a.shop.ensotek.de shop.ensotek.de ensotek.de", `ensotek.de. 60 IN CAA 0 issue ";"`)

	// Wildcards begin without their star.
	f("*.ensotek.de", "the CAA record of `ensotek.de` allows only \"b.example\" and \"c.example\"; add one: 0 issuewild \"letsencrypt.org\"", "ensotek.de",
		`ensotek.de. 60 IN CAA 0 issuewild "c.example"`, `ensotek.de. 60 IN CAA 0 issuewild "B.example"`, `ensotek.de. 60 IN CAA 0 issue "letsencrypt.org"`)
	f("*.ensotek.de", "the CAA record of `ensotek.de` allows only \"digicert.com\"; add one: 0 issue \"letsencrypt.org\"", "ensotek.de",
		`ensotek.de. 60 IN CAA 0 issue "digicert.com"`)

	// An alias has the records of its target, and no others of it: its parents are not the target's.
	f("www.ensotek.de", "the CAA record of `shop.example`, which holds for `www.ensotek.de` too, allows only \"digicert.com\"; add one: 0 issue \"letsencrypt.org\"",
		"www.ensotek.de", "www.ensotek.de. 60 IN CNAME shop.example.", `shop.example. 60 IN CAA 0 issue "digicert.com"`)
	f("www.ensotek.de", "", "www.ensotek.de ensotek.de de", "www.ensotek.de. 60 IN CNAME shop.example.", `example. 60 IN CAA 0 issue ";"`)

	// A critical tag.
	f("ensotek.de", "the CAA record of `ensotek.de` has the critical tag \"tbs\", which CAs do not know and therefore refuse; remove it", "ensotek.de",
		`ensotek.de. 60 IN CAA 128 tbs "x"`)
}

func TestCAAIsNotCheckedWithoutAnIdentity(t *testing.T) {
	z := newZone(t)
	z.add(t, `ensotek.de. 60 IN CAA 0 issue ";"`)
	wantRight(t, New(Config{Resolver: z.address}).Rehearse(t.Context(), Subject{Domain: "*.ensotek.de"}))
	if asked := z.log(); len(asked) != 0 {
		t.Errorf("asked for %q", asked)
	}
}

func TestHostileCAAStaysOutOfTheSentence(t *testing.T) {
	evil := &dns.CAA{Tag: "issue", Value: "evil\x1b[2J\n`\"\xff" + strings.Repeat("x", 10000)}
	many := []*dns.CAA{evil}
	for _, c := range "abcdefghij" {
		many = append(many, &dns.CAA{Tag: "issue", Value: string(c) + ".example"})
	}
	for _, set := range [][]*dns.CAA{many, {{Flag: 128, Tag: evil.Value}}} {
		err := evaluate(set, false, []string{letsencrypt}).fault("ensotek.de", "evil\\010`.de.", letsencrypt)
		fit(t, err.Error())
	}
}

// fit fails when a sentence could harm a terminal, a log or a mail.
func fit(t testing.TB, sentence string) {
	t.Helper()
	if len(sentence) > 4000 || strings.ContainsFunc(sentence, func(c rune) bool { return c < ' ' || c > '~' }) {
		t.Errorf("the sentence is %q", sentence)
	}
}

// FuzzCAA takes the data of CAA records as they come over the wire: flag, length of the tag, tag, value; two records.
func FuzzCAA(f *testing.F) {
	f.Add([]byte("\x00\x05issueletsencrypt.org"), []byte("\x80\x03tbsx"))
	f.Add([]byte("\x00\x09issuewild;"), []byte("\x00\x05issue letsencrypt.org ; a=b"))
	f.Add([]byte("\x80\x05iodefmailto:x"), []byte("\x00\x05"))
	f.Add([]byte{}, []byte("\x00\x00"))
	f.Fuzz(func(t *testing.T, first, second []byte) {
		var set []*dns.CAA
		for _, data := range [][]byte{first, second} {
			record, _, err := dns.UnpackRRWithHeader(dns.RR_Header{Name: "ensotek.de.", Rrtype: dns.TypeCAA, Class: dns.ClassINET, Rdlength: uint16(len(data))}, data, 0)
			if caa, ok := record.(*dns.CAA); ok && err == nil {
				set = append(set, caa)
			}
		}
		for _, wildcard := range []bool{false, true} {
			p := evaluate(set, wildcard, []string{letsencrypt})
			if err := p.fault("ensotek.de", "ensotek.de.", letsencrypt); err != nil {
				fit(t, err.Error())
			} else if len(set) > 0 && p.unknown != "" {
				t.Error("a critical tag is passed over")
			}
			// What is allowed stays allowed when the CA's own record is added, unless a critical tag forbids; what a record
			// allows, an empty name never does.
			more := evaluate(append(set, &dns.CAA{Tag: p.tag, Value: letsencrypt}), wildcard, []string{letsencrypt})
			if p.unknown == "" && !more.allowed {
				t.Errorf("the advice does not help: %v", set)
			}
		}
	})
}
