package rehearsal

import (
	"net"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/miekg/dns"
)

func parse(addresses ...string) (out []netip.Addr) {
	for _, address := range addresses {
		out = append(out, netip.MustParseAddr(address))
	}
	return out
}

func TestReachable(t *testing.T) {
	f := func(want bool, addresses ...string) {
		t.Helper()
		for _, address := range parse(addresses...) {
			if reachable(address) != want {
				t.Errorf("%s is reachable: %t", address, !want)
			}
		}
	}
	f(true, "8.8.8.8", "203.0.113.7", "172.15.255.255", "172.32.0.0", "100.63.0.1", "2001:4860:4860::8888", "2a00::1", "64:ff9b::808:808", "2002:808:808::1")
	f(false, "0.0.0.0", "10.0.0.1", "100.64.0.1", "127.0.0.1", "169.254.169.254", "172.16.0.1", "172.31.255.255", "192.168.1.10", "224.0.0.1", "240.0.0.1", "255.255.255.255")
	f(false, "::", "::1", "::ffff:10.0.0.1", "::ffff:8.8.8.8", "::8.8.8.8", "fe80::1", "fec0::1", "fc00::1", "fd12::1", "ff02::1", "64:ff9b::a00:1", "64:ff9b:1::1", "2002:a00:1::1")
	if reachable(netip.Addr{}) {
		t.Error("no address is reachable")
	}
}

func TestInTurn(t *testing.T) {
	four, six := parse("192.0.2.1", "192.0.2.2", "192.0.2.3"), parse("2001:db8::1")
	if got := inTurn(four, six); !slices.Equal(got, parse("192.0.2.1", "2001:db8::1", "192.0.2.2", "192.0.2.3")) {
		t.Errorf("got %v", got)
	}
	if got := inTurn(nil, nil); len(got) != 0 {
		t.Errorf("got %v", got)
	}
}

func TestCorrection(t *testing.T) {
	f := func(has, ours []netip.Addr, alias bool, want string) {
		t.Helper()
		if got := (place{domain: "ensotek.de", addresses: has, ours: ours, alias: alias}).correction(); got != want {
			t.Errorf("got %q and not %q", got, want)
		}
	}
	four, six := parse("198.51.100.4"), parse("2001:db8::4")
	both := append(slices.Clone(four), six...)
	old4, old6 := parse("203.0.113.7"), parse("2001:db8::7")
	old := append(slices.Clone(old4), old6...)

	f(old4, nil, false, "set its A record to this server's address")
	f(old6, nil, false, "set its AAAA record to this server's address")
	f(old, nil, false, "set its A and AAAA records to this server's addresses")
	f(old4, four, false, "set its A record to 198.51.100.4")
	f(old6, four, false, "set its A record to 198.51.100.4 and remove its AAAA record")
	f(old, four, false, "set its A record to 198.51.100.4 and remove its AAAA record")
	f(nil, six, false, "set its AAAA record to 2001:db8::4")
	f(old, six, false, "set its AAAA record to 2001:db8::4 and remove its A record")
	f(nil, both, false, "set its A record to 198.51.100.4")
	f(old, both, false, "set its A record to 198.51.100.4 and its AAAA record to 2001:db8::4")
	f(old4, parse("198.51.100.4", "198.51.100.5", "198.51.100.6"), false, "set its A record to 198.51.100.4 or 198.51.100.5")
	f(old4, nil, true, "replace its CNAME record by an A record with this server's address")
	f(old, both, true, "replace its CNAME record by an A record with 198.51.100.4")
	f(old, six, true, "replace its CNAME record by an AAAA record with 2001:db8::4")
}

func TestNamedAndQuoted(t *testing.T) {
	f := func(got, want string) {
		t.Helper()
		if got != want {
			t.Errorf("got %q and not %q", got, want)
		}
	}
	f(named("ensotek.de"), "`ensotek.de`")
	f(named("*.ensotek.de."), "`*.ensotek.de`")
	f(named("a`b.de"), "\"a`b.de\"")
	f(named(`a\010b.de`), `"a\\010b.de"`)
	f(quoted("a\x1b\"ü"), `"a\x1b\"\u00fc"`)
	f(quoted(strings.Repeat("a", 200)), `"`+strings.Repeat("a", 100)+`..."`)
	f(list([]string{"a"}, "or")+list(nil, "or"), "a")
	f(list([]string{"a", "b", "c"}, "and"), "a, b and c")
}

func TestLearnedIsBoundedAndWeighed(t *testing.T) {
	all := func(netip.Addr) bool { return true }
	var l learned
	proxy, server := netip.MustParseAddr("203.0.113.99"), netip.MustParseAddr("198.51.100.4")
	for range 100 {
		l.see(proxy, "evil.de") // again and again by one domain
	}
	l.see(server, "a.de")
	l.see(server, "b.de")
	if got := l.best(all); !slices.Equal(got, []netip.Addr{server}) {
		t.Errorf("the best are %v", got)
	}
	for i := range 200 {
		l.see(netip.MustParseAddr("192.0.2."+strconv.Itoa(i+1)), "evil.de")
		l.see(server, strconv.Itoa(i)+".de")
	}
	for _, domain := range []string{"a.de", "b.de"} {
		l.see(netip.MustParseAddr("2001:db8::4"), domain)
	}
	if len(l.sighted) != maxLearned || len(l.sighted[l.index(server)].witnesses) != maxWitnesses {
		t.Errorf("%d are remembered", len(l.sighted))
	}
	if got := l.best(all); !slices.Equal(got, parse("198.51.100.4", "2001:db8::4")) {
		t.Errorf("the best are %v", got)
	}
	if !l.holds(server) {
		t.Error("an address with many witnesses is forgotten")
	}
	if got := l.best(func(address netip.Addr) bool { return address.Is6() }); !slices.Equal(got, parse("2001:db8::4")) {
		t.Errorf("the usable are %v", got)
	}
}

func TestHomemade(t *testing.T) {
	f := func(want bool, err error) {
		t.Helper()
		if homemade(&net.OpError{Op: "dial", Err: err}) != want {
			t.Errorf("%v is this machine's own: %t", err, !want)
		}
	}
	f(true, os.NewSyscallError("socket", syscall.EMFILE))
	f(true, os.NewSyscallError("connect", syscall.EADDRNOTAVAIL))
	f(true, os.NewSyscallError("connect", syscall.EPERM))
	f(false, os.NewSyscallError("connect", syscall.ECONNREFUSED))
	f(false, os.NewSyscallError("connect", syscall.EHOSTUNREACH))
	// A far firewall says so by ICMPv6.
	f(false, os.NewSyscallError("connect", syscall.EACCES))
}

func TestRouted(t *testing.T) {
	if !routed(netip.MustParseAddr("127.0.0.1")) {
		t.Error("there is no way to loopback")
	}
	if routed(netip.Addr{}) {
		t.Error("there is a way to nowhere")
	}
}

// FuzzReply takes a whole DNS message.
func FuzzReply(f *testing.F) {
	reply := new(dns.Msg).SetQuestion("ensotek.de.", dns.TypeA)
	for _, line := range []string{"ensotek.de. 60 IN CNAME a.de.", "a.de. 60 IN CNAME ensotek.de.", "a.de. 60 IN A 203.0.113.7", "a.de. 60 IN AAAA ::1", `a.de. 60 IN CAA 0 issue ";"`} {
		record, err := dns.NewRR(line)
		if err != nil {
			f.Fatal(err)
		}
		reply.Answer = append(reply.Answer, record)
		packed, err := reply.Pack()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(packed)
	}
	r := New(Config{})
	f.Fuzz(func(t *testing.T, packet []byte) {
		reply := new(dns.Msg)
		if reply.Unpack(packet) != nil {
			return
		}
		var addresses []netip.Addr
		for _, kind := range []uint16{dns.TypeA, dns.TypeAAAA, dns.TypeCAA} {
			found := answerOf(reply, "ensotek.de", kind)
			addresses = append(addresses, addressesOf(found.records)...)
			if err := evaluate(caaRecords(found.records), false, []string{letsencrypt}).fault("ensotek.de", found.owner, letsencrypt); err != nil {
				fit(t, err.Error())
			}
		}
		var findings []finding
		for _, address := range inTurn(addresses, nil) {
			findings = append(findings, finding{address: address, verdict: foreign})
		}
		if err := r.judge(place{domain: "ensotek.de", addresses: addresses}, findings); err != nil {
			fit(t, err.Error())
		}
	})
}
