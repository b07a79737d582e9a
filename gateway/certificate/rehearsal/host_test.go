package rehearsal

import (
	"context"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"
)

func TestRight(t *testing.T) {
	w := newWorld(t)
	w.site("198.51.100.4", w)
	w.site("2001:db8::4", w)
	w.points("ensotek.de", "198.51.100.4", "2001:db8::4")
	wantRight(t, w.rehearsal().Rehearse(t.Context(), public("ensotek.de")))
	if w.open.Load() != 0 {
		t.Error("the token is still announced")
	}
}

func TestRightByRealAddresses(t *testing.T) {
	w := newWorld(t)
	w.site("198.51.100.4", w)
	w.points("ensotek.de", "127.100.0.4")
	r := New(Config{Resolver: w.zone.address, Port: w.port, Announce: w.announce})
	wantRight(t, r.Rehearse(t.Context(), Subject{Domain: "ensotek.de"}))

	w.points("radanor.de", "127.100.0.5")
	wantFault(t, r.Rehearse(t.Context(), Subject{Domain: "radanor.de"}), false,
		"nothing answers on port "+strconv.Itoa(w.port)+" of 127.100.0.5, to which `radanor.de` points; open the port or correct the A record")
}

func TestNoAddress(t *testing.T) {
	w := newWorld(t)
	w.zone.add(t, `empty.de. 60 IN TXT "x"`)
	for _, domain := range []string{"ensotek.de", "empty.de"} {
		err := w.rehearsal("198.51.100.4").Rehearse(t.Context(), public(domain))
		wantFault(t, err, true, "`"+domain+"` has no address yet; set its A record to 198.51.100.4")
	}
	err := w.rehearsal().Rehearse(t.Context(), public("ensotek.de"))
	wantFault(t, err, true, "`ensotek.de` has no address yet; set its A record to this server's address")

	w.zone.add(t, "www.ensotek.de. 60 IN CNAME gone.example.")
	err = w.rehearsal("198.51.100.4").Rehearse(t.Context(), public("www.ensotek.de"))
	wantFault(t, err, true, "`www.ensotek.de` has no address yet; replace its CNAME record by an A record with 198.51.100.4")
	if w.open.Load() != 0 {
		t.Error("a token is announced for nothing")
	}
}

func TestPrivateAddresses(t *testing.T) {
	w := newWorld(t)
	w.site("198.51.100.4", w)
	w.points("ensotek.de", "192.168.1.10")
	err := w.rehearsal("198.51.100.4").Rehearse(t.Context(), public("ensotek.de"))
	wantFault(t, err, true, "`ensotek.de` points to 192.168.1.10, which the Internet cannot reach; set its A record to 198.51.100.4")

	w.points("radanor.de", "198.51.100.4", "fd00::7")
	err = w.rehearsal("198.51.100.4").Rehearse(t.Context(), public("radanor.de"))
	wantFault(t, err, false, "`radanor.de` has several addresses and the Internet cannot reach fd00::7: remove that AAAA record")
}

func TestPrivateAddressOfOursIsNotSuggested(t *testing.T) {
	w := newWorld(t)
	err := w.rehearsal("10.0.0.4").Rehearse(t.Context(), public("ensotek.de"))
	wantFault(t, err, true, "`ensotek.de` has no address yet; set its A record to this server's address")
	err = w.rehearsal("10.0.0.4").Rehearse(t.Context(), Subject{Domain: "ensotek.de"})
	wantFault(t, err, true, "`ensotek.de` has no address yet; set its A record to 10.0.0.4")
}

func TestAnotherServer(t *testing.T) {
	w := newWorld(t)
	w.site("203.0.113.7", stranger)
	w.points("ensotek.de", "203.0.113.7")
	err := w.rehearsal("198.51.100.4").Rehearse(t.Context(), public("ensotek.de"))
	wantFault(t, err, true, "`ensotek.de` still points to 203.0.113.7, where another server answers; set its A record to 198.51.100.4")

	w.site("2001:db8::7", stranger)
	w.points("ensotek.de", "2001:db8::7")
	err = w.rehearsal("198.51.100.4").Rehearse(t.Context(), public("ensotek.de"))
	wantFault(t, err, true, "`ensotek.de` still points to 203.0.113.7 and 2001:db8::7, where another server answers; set its A record to 198.51.100.4 and remove its AAAA record")
	err = w.rehearsal("198.51.100.4", "2001:db8::4").Rehearse(t.Context(), public("ensotek.de"))
	wantFault(t, err, true, "`ensotek.de` still points to 203.0.113.7 and 2001:db8::7, where another server answers; set its A record to 198.51.100.4 and its AAAA record to 2001:db8::4")
}

func TestAliasChain(t *testing.T) {
	w := newWorld(t)
	w.site("198.51.100.4", w)
	w.site("203.0.113.7", stranger)
	w.zone.add(t, "www.ensotek.de. 60 IN CNAME a.example.", "a.example. 60 IN CNAME B.example.", "B.example. 60 IN A 198.51.100.4")
	wantRight(t, w.rehearsal().Rehearse(t.Context(), public("www.ensotek.de")))

	w.zone.add(t, "old.ensotek.de. 60 IN CNAME shop.example.", "shop.example. 60 IN A 203.0.113.7")
	err := w.rehearsal("198.51.100.4").Rehearse(t.Context(), public("old.ensotek.de"))
	wantFault(t, err, true, "`old.ensotek.de` still points to 203.0.113.7, where another server answers; replace its CNAME record by an A record with 198.51.100.4")

	w.zone.add(t, "loop.de. 60 IN CNAME pool.de.", "pool.de. 60 IN CNAME loop.de.")
	if err := w.rehearsal().Rehearse(t.Context(), public("loop.de")); err == nil {
		t.Error("a loop of aliases is right")
	}
}

func TestOneOfSeveralIsWrong(t *testing.T) {
	w := newWorld(t)
	w.site("198.51.100.4", w)
	w.site("203.0.113.7", stranger)
	w.site("203.0.113.8", stranger)
	w.site("2001:db8::7", stranger)
	f := func(sentence string, addresses ...string) {
		t.Helper()
		domain := strconv.Itoa(len(addresses)) + strings.NewReplacer(":", "-", ".", "-").Replace(addresses[0]) + ".de"
		w.points(domain, append(addresses, "198.51.100.4")...)
		wantFault(t, w.rehearsal("198.51.100.4").Rehearse(t.Context(), public(domain)), false, "`"+domain+"` "+sentence)
	}
	f("has several addresses and 203.0.113.7 is not this server: remove that A record", "203.0.113.7")
	f("has several addresses and 2001:db8::7 is not this server: remove that AAAA record", "2001:db8::7")
	f("has several addresses and 203.0.113.7 and 203.0.113.8 are not this server: remove those A records", "203.0.113.8", "203.0.113.7")
	f("has several addresses and nothing answers on port "+strconv.Itoa(w.port)+" of 203.0.113.9: open the port or remove that A record", "203.0.113.9")
}

func TestNothingAnswers(t *testing.T) {
	w := newWorld(t)
	port := strconv.Itoa(w.port)
	sentence := func(address, record string) string {
		return "nothing answers on port " + port + " of " + address + ", to which `ensotek.de` points; open the port or correct the " + record
	}
	w.points("ensotek.de", "203.0.113.7")
	wantFault(t, w.rehearsal("198.51.100.4").Rehearse(t.Context(), public("ensotek.de")), false, sentence("203.0.113.7", "A record"))

	w.points("ensotek.de", "2001:db8::7")
	wantFault(t, w.rehearsal("198.51.100.4").Rehearse(t.Context(), public("ensotek.de")), false, sentence("203.0.113.7 and 2001:db8::7", "A and AAAA records"))

	// Packets that are lost, a connection that is taken and closed, and one on which nothing is ever said.
	w.points("lost.de", "203.0.113.11")
	w.points("closed.de", "203.0.113.12")
	w.points("mute.de", "203.0.113.13")
	w.dropped.Store(netip.MustParseAddr("203.0.113.11"), true)
	w.raw("203.0.113.12", func(net.Conn) {})
	w.raw("203.0.113.13", func(conn net.Conn) { conn.Read(make([]byte, 1<<16)); conn.Read(make([]byte, 1)) })
	for domain, address := range map[string]string{"lost.de": "203.0.113.11", "closed.de": "203.0.113.12", "mute.de": "203.0.113.13"} {
		r := w.rehearsal()
		r.visit = 200 * time.Millisecond
		wantFault(t, r.Rehearse(t.Context(), public(domain)), false, strings.ReplaceAll(sentence(address, "A record"), "ensotek.de", domain))
	}
}

func TestHairpin(t *testing.T) {
	w := newWorld(t)
	w.dropped.Store(netip.MustParseAddr("198.51.100.5"), true)
	w.points("ensotek.de", "198.51.100.4", "198.51.100.5")
	r := w.rehearsal("198.51.100.4", "198.51.100.5")
	r.visit = time.Second // within which the other address must answer
	wantRight(t, r.Rehearse(t.Context(), public("ensotek.de")))
	if w.logs.FilterMessage("an address was checked").Len() != 2 {
		t.Error("it is not said in the log")
	}

	// Somebody else on our own address is a fault, but not one of DNS.
	w.site("198.51.100.4", stranger)
	wantFault(t, w.rehearsal("198.51.100.4", "198.51.100.5").Rehearse(withTimeout(t, time.Second), public("ensotek.de")), false,
		"`ensotek.de` points to this server's 198.51.100.4, where another program answers on port "+strconv.Itoa(w.port)+"; give this server that port")
}

func withTimeout(t *testing.T, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

func TestNoRoute(t *testing.T) {
	w := newWorld(t)
	w.site("198.51.100.4", w)
	w.points("ensotek.de", "198.51.100.4", "2001:db8::7")
	w.points("six.de", "2001:db8::7")
	r := w.rehearsal()
	r.routed = netip.Addr.Is4
	wantRight(t, r.Rehearse(t.Context(), public("ensotek.de")))
	wantInconclusive(t, r.Rehearse(t.Context(), public("six.de")))
}

func TestCloudflare(t *testing.T) {
	w := newWorld(t)
	front := func(handler http.Handler) http.Handler {
		return http.HandlerFunc(func(rw http.ResponseWriter, request *http.Request) {
			rw.Header().Set("CF-RAY", "8a1b2c3d4e5f-FRA")
			handler.ServeHTTP(rw, request)
		})
	}
	w.site("203.0.113.7", front(stranger))
	w.site("203.0.113.8", front(w))
	w.site("203.0.113.9", front(http.RedirectHandler("gopher://x/", http.StatusMovedPermanently)))
	w.points("ensotek.de", "203.0.113.7")
	w.points("through.de", "203.0.113.8")
	w.points("gopher.de", "203.0.113.9")
	r := w.rehearsal()
	wantFault(t, r.Rehearse(t.Context(), public("ensotek.de")), false,
		"`ensotek.de` points to 203.0.113.7, where a proxy of Cloudflare stands in front; switch the record to \"DNS only\" there, or use an issuer with DNS-01")
	wantFault(t, r.Rehearse(t.Context(), public("gopher.de")), false,
		"`gopher.de` points to 203.0.113.9, where a proxy of Cloudflare stands in front; switch the record to \"DNS only\" there, or use an issuer with DNS-01")
	wantRight(t, r.Rehearse(t.Context(), public("through.de")))
	if got := r.suggested(true); got != nil {
		t.Errorf("the proxy counts as this server: %v", got)
	}
}

func TestAddressesWhereItWasMetAreTold(t *testing.T) {
	w := newWorld(t)
	w.site("198.51.100.4", w)
	w.points("ensotek.de", "198.51.100.4")
	r := w.rehearsal()
	wantRight(t, r.Rehearse(t.Context(), public("ensotek.de")))
	wantFault(t, r.Rehearse(t.Context(), public("radanor.de")), true, "`radanor.de` has no address yet; set its A record to 198.51.100.4")
}
