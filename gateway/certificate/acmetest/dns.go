package acmetest

import (
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/miekg/dns"
)

// DNS is a small resolver on loopback, UDP and TCP on one port, that knows what the test told it and says NXDOMAIN to all else. Names with
// two labels are the apex of a zone and answer SOA and NS. All methods may be called at once.
type DNS struct {
	address string

	mu        sync.Mutex
	records   map[string][]dns.RR // by lower-case name with its final dot; a name without records exists all the same
	failing   map[string]bool
	silent    map[string]bool
	fallback  net.IP
	questions map[string]int
}

func startDNS(t testing.TB) *DNS {
	t.Helper()
	d := &DNS{records: map[string][]dns.RR{}, failing: map[string]bool{}, silent: map[string]bool{}, questions: map[string]int{}}
	packets, listener, err := listenBoth()
	if err != nil {
		t.Fatal(err)
	}
	d.address = listener.Addr().String()
	var running, ended sync.WaitGroup
	for _, server := range []*dns.Server{{PacketConn: packets, Handler: d}, {Listener: listener, Handler: d}} {
		running.Add(1)
		server.NotifyStartedFunc = running.Done
		ended.Go(func() { server.ActivateAndServe() })
		t.Cleanup(func() { server.Shutdown() })
	}
	running.Wait()
	return d
}

// listenBoth finds a port that is free for UDP and for TCP.
func listenBoth() (net.PacketConn, net.Listener, error) {
	for try := 0; ; try++ {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, nil, err
		}
		packets, err := net.ListenPacket("udp", listener.Addr().String())
		if err == nil {
			return packets, listener, nil
		}
		listener.Close()
		if try == 20 {
			return nil, nil, err
		}
	}
}

// Address is where to ask, "127.0.0.1:40123".
func (d *DNS) Address() string { return d.address }

// DefaultTo answers A for every name that has no records; "" ends that.
func (d *DNS) DefaultTo(ip string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.fallback = net.ParseIP(ip)
}

// SetA replaces the addresses of a host, IPv4 and IPv6; without any, the name exists and has no address. "*.example.com" stands for all
// names that have no records of their own.
func (d *DNS) SetA(host string, ips ...string) {
	records := make([]dns.RR, 0, len(ips))
	for _, ip := range ips {
		kind := "A"
		if strings.Contains(ip, ":") {
			kind = "AAAA"
		}
		records = append(records, record(host, kind, ip))
	}
	d.replace(host, records, dns.TypeA, dns.TypeAAAA)
}

// SetCAA replaces the CAA record of a host (RFC 8659), as SetCAA("ensotek.de", "issue", "letsencrypt.org").
func (d *DNS) SetCAA(host, tag, value string) {
	d.replace(host, []dns.RR{record(host, "CAA", fmt.Sprintf("0 %s %q", tag, value))}, dns.TypeCAA)
}

// SetTXT replaces the TXT records of a host.
func (d *DNS) SetTXT(host string, values ...string) {
	var records []dns.RR
	for _, value := range values {
		records = append(records, record(host, "TXT", fmt.Sprintf("%q", value)))
	}
	d.replace(host, records, dns.TypeTXT)
}

// SetCNAME makes a host an alias; answers follow it.
func (d *DNS) SetCNAME(host, target string) {
	d.replace(host, []dns.RR{record(host, "CNAME", dns.Fqdn(target))}, dns.TypeCNAME)
}

// ServFail answers all questions for a host with SERVFAIL.
func (d *DNS) ServFail(host string, on bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.failing[canonical(host)] = on
}

// Silent answers no question for a host.
func (d *DNS) Silent(host string, on bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.silent[canonical(host)] = on
}

// Clear forgets all about a host.
func (d *DNS) Clear(host string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	name := canonical(host)
	delete(d.records, name)
	delete(d.failing, name)
	delete(d.silent, name)
}

// Questions is how often a host was asked for, for any type.
func (d *DNS) Questions(host string) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.questions[canonical(host)]
}

func (d *DNS) replace(host string, records []dns.RR, types ...uint16) {
	d.mu.Lock()
	defer d.mu.Unlock()
	name := canonical(host)
	kept := []dns.RR{}
	for _, r := range d.records[name] {
		if !has(types, r.Header().Rrtype) {
			kept = append(kept, r)
		}
	}
	d.records[name] = append(kept, records...)
}

func canonical(host string) string { return strings.ToLower(dns.Fqdn(host)) }

// record writes one down as a zone file has it; a test that passes nonsense is told so.
func record(host, kind, value string) dns.RR {
	r, err := dns.NewRR(fmt.Sprintf("%s 1 IN %s %s", canonical(host), kind, value))
	if err != nil {
		panic(fmt.Sprintf("acmetest: record of %q: %v", host, err))
	}
	return r
}

func has(types []uint16, t uint16) bool {
	for _, one := range types {
		if one == t {
			return true
		}
	}
	return false
}
