package acmetest

import (
	"crypto/x509"
	"encoding/pem"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
)

func TestDNSAnswers(t *testing.T) {
	d := startDNS(t)
	d.SetA("a.example", "192.0.2.1", "2001:db8::1")
	d.SetA("empty.example")
	d.SetA("*.wild.example", "192.0.2.2")
	d.SetCNAME("www.a.example", "a.example")
	d.SetCAA("a.example", "issue", "ca.example")
	d.SetTXT("_acme-challenge.a.example", "one", "two")
	d.ServFail("broken.example", true)
	d.Silent("silent.example", true)

	f := func(network, name string, kind uint16, code int, want ...string) {
		t.Helper()
		answer, err := ask(network, d.Address(), name, kind)
		if err != nil {
			t.Errorf("%s %s: %v", name, dns.TypeToString[kind], err)
			return
		}
		var got []string
		for _, r := range answer.Answer {
			got = append(got, strings.Join(strings.Fields(r.String())[3:], " "))
		}
		if answer.Rcode != code || strings.Join(got, ", ") != strings.Join(want, ", ") {
			t.Errorf("%s %s: %s %q, want %s %q", name, dns.TypeToString[kind], dns.RcodeToString[answer.Rcode], got, dns.RcodeToString[code], want)
		}
	}
	f("udp", "a.example", dns.TypeA, dns.RcodeSuccess, "A 192.0.2.1")
	f("tcp", "A.Example", dns.TypeAAAA, dns.RcodeSuccess, "AAAA 2001:db8::1")
	f("udp", "www.a.example", dns.TypeA, dns.RcodeSuccess, "CNAME a.example.", "A 192.0.2.1")
	f("udp", "any.wild.example", dns.TypeA, dns.RcodeSuccess, "A 192.0.2.2")
	f("udp", "a.example", dns.TypeCAA, dns.RcodeSuccess, `CAA 0 issue "ca.example"`)
	f("udp", "_acme-challenge.a.example", dns.TypeTXT, dns.RcodeSuccess, `TXT "one"`, `TXT "two"`)
	f("udp", "a.example", dns.TypeSOA, dns.RcodeSuccess, "SOA ns.a.example. test.a.example. 1 1 1 1 1")
	f("udp", "www.a.example", dns.TypeTXT, dns.RcodeSuccess, "CNAME a.example.")
	// A name without addresses, and one that is not there at all.
	f("udp", "empty.example", dns.TypeA, dns.RcodeSuccess)
	f("udp", "no.a.example", dns.TypeA, dns.RcodeNameError)
	f("udp", "broken.example", dns.TypeA, dns.RcodeServerFailure)
	d.DefaultTo("127.0.0.1")
	f("udp", "no.a.example", dns.TypeA, dns.RcodeSuccess, "A 127.0.0.1")
	f("udp", "no.a.example", dns.TypeAAAA, dns.RcodeSuccess)
	f("udp", "empty.example", dns.TypeA, dns.RcodeSuccess)
	d.Clear("broken.example")
	d.Clear("empty.example")
	f("udp", "empty.example", dns.TypeA, dns.RcodeSuccess, "A 127.0.0.1")
	f("udp", "broken.example", dns.TypeA, dns.RcodeSuccess, "A 127.0.0.1")

	if answer, err := ask("udp", d.Address(), "silent.example", dns.TypeA); err == nil {
		t.Errorf("a silent name was answered: %v", answer)
	}
	if n := d.Questions("broken.example"); n != 2 {
		t.Errorf("%d questions counted, want 2", n)
	}
}

func ask(network, address, name string, kind uint16) (*dns.Msg, error) {
	question := new(dns.Msg)
	question.SetQuestion(dns.Fqdn(name), kind)
	answer, _, err := (&dns.Client{Net: network, Timeout: 500 * time.Millisecond}).Exchange(question, address)
	return answer, err
}

// tlsChain reads a chain of PEM blocks.
func tlsChain(text []byte) (chain []*x509.Certificate, err error) {
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		certificate, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, err
		}
		chain = append(chain, certificate)
	}
	return chain, nil
}
