package rehearsal

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strconv"
	"sync"
	"testing"
	"time"
)

func TestFaultsTogether(t *testing.T) {
	w := newWorld(t)
	w.site("203.0.113.7", stranger)
	w.points("ensotek.de", "203.0.113.7")
	w.zone.add(t, `ensotek.de. 60 IN CAA 0 issue "digicert.com"`)
	wantFault(t, w.rehearsal("198.51.100.4").Rehearse(t.Context(), Subject{Domain: "ensotek.de", CAA: []string{"letsencrypt.org"}, Public: true}), true,
		"`ensotek.de` still points to 203.0.113.7, where another server answers; set its A record to 198.51.100.4; "+
			"the CAA record of `ensotek.de` allows only \"digicert.com\"; add one: 0 issue \"letsencrypt.org\"")
}

func TestAnnounceFails(t *testing.T) {
	w := newWorld(t)
	w.points("ensotek.de", "198.51.100.4")
	r := w.rehearsal()
	r.announce = func(context.Context, string, string, string) (func(), error) {
		return nil, errors.New("the disk is full")
	}
	wantInconclusive(t, r.Rehearse(t.Context(), public("ensotek.de")))
	r.announce = nil
	wantRight(t, r.Rehearse(t.Context(), public("ensotek.de")))
}

func TestPanicsAreContained(t *testing.T) {
	w := newWorld(t)
	w.points("ensotek.de", "198.51.100.4")
	r := w.rehearsal()
	r.dial = func(context.Context, netip.AddrPort) (net.Conn, error) { panic("boom") }
	wantInconclusive(t, r.Rehearse(t.Context(), public("ensotek.de")))
	if w.logs.FilterMessage("a rehearsal panicked").Len() != 1 {
		t.Error("the panic is not in the log")
	}
}

func TestCancelled(t *testing.T) {
	w := newWorld(t)
	w.points("ensotek.de", "198.51.100.4")
	w.zone.silence("ensotek.de AAAA")
	ctx, cancel := context.WithCancel(t.Context())
	r := w.rehearsal()
	r.resolver.patience, r.lookups = time.Hour, time.Hour
	done := make(chan error)
	go func() { done <- r.Rehearse(ctx, public("ensotek.de")) }()
	eventually(t, "the resolver was asked", func() bool { return w.zone.questions("AAAA udp") > 0 })
	cancel()
	if err := <-done; err == nil {
		t.Error("a cancelled rehearsal is right")
	} else {
		wantInconclusive(t, err)
	}
}

func TestManyAddresses(t *testing.T) {
	w := newWorld(t)
	var asked sync.Map
	for i := range 20 {
		w.points("ensotek.de", "203.0.113."+strconv.Itoa(i+1))
	}
	w.points("ensotek.de", "2001:db8::7")
	r := w.rehearsal()
	inner := r.dial
	r.dial = func(ctx context.Context, to netip.AddrPort) (net.Conn, error) {
		asked.Store(to.Addr(), true)
		return inner(ctx, to)
	}
	var fault *Fault
	if err := r.Rehearse(t.Context(), public("ensotek.de")); !errors.As(err, &fault) {
		t.Fatal(err)
	}
	n := 0
	asked.Range(func(any, any) bool { n++; return true })
	if _, six := asked.Load(netip.MustParseAddr("2001:db8::7")); n != maxAddresses || !six {
		t.Errorf("%d addresses were visited, IPv6 among them: %t", n, six)
	}
}

func TestAtOnce(t *testing.T) {
	w := newWorld(t)
	w.site("198.51.100.4", w)
	w.zone.add(t, `de. 60 IN CAA 0 issue "letsencrypt.org"`)
	r := w.rehearsal()
	var all sync.WaitGroup
	for i := range 40 {
		domain := "d" + strconv.Itoa(i) + ".de"
		w.points(domain, "198.51.100.4")
		all.Go(func() {
			if err := r.Rehearse(t.Context(), Subject{Domain: domain, CAA: []string{"letsencrypt.org"}, Public: true}); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if got := r.suggested(true); len(got) != 1 || got[0] != netip.MustParseAddr("198.51.100.4") {
		t.Errorf("learned %v", got)
	}
}
