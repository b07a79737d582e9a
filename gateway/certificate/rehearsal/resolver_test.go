package rehearsal

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
)

func TestResolverThatNeverAnswers(t *testing.T) {
	mute, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer mute.Close()
	r := New(Config{Resolver: mute.LocalAddr().String()})
	r.resolver.patience = 20 * time.Millisecond
	err = r.Rehearse(t.Context(), Subject{Domain: "ensotek.de", CAA: []string{"letsencrypt.org"}})
	wantInconclusive(t, err)
	if !strings.Contains(err.Error(), "check the resolver") || strings.Contains(err.Error(), "\n") {
		t.Errorf("the error is %q", err)
	}

	// The time for all questions together ends it as well.
	r.resolver.patience, r.lookups = time.Hour, 20*time.Millisecond
	wantInconclusive(t, r.Rehearse(t.Context(), Subject{Domain: "ensotek.de", CAA: []string{"letsencrypt.org"}}))
}

func TestResolverTriesTwice(t *testing.T) {
	z := newZone(t)
	z.silence("ensotek.de A")
	r := resolver{address: z.address, patience: 20 * time.Millisecond}
	_, err := r.ask(t.Context(), "ensotek.de", dns.TypeA)
	wantInconclusive(t, err)
	if n := z.questions("ensotek.de A udp"); n != 2 {
		t.Errorf("asked %d times", n)
	}
}

func TestResolverOfTheSystem(t *testing.T) {
	f := func(text string, want string) {
		t.Helper()
		file := filepath.Join(t.TempDir(), "resolv.conf")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		servers, err := resolver{file: file}.servers()
		if err != nil {
			wantInconclusive(t, err)
		}
		if got := strings.Join(servers, " "); got != want {
			t.Errorf("%q gives %q and not %q", text, got, want)
		}
	}
	// None: 127.0.0.1 would be a guess.
	f("", "")
	f("search ensotek.de\n", "")
	f("nameserver 192.0.2.1\nnameserver 2001:db8::1\n", "192.0.2.1:53 [2001:db8::1]:53")
	// More than three.
	f(strings.Repeat("nameserver 192.0.2.1\n", 9), "192.0.2.1:53 192.0.2.1:53 192.0.2.1:53")

	_, err := resolver{file: filepath.Join(t.TempDir(), "none")}.ask(t.Context(), "ensotek.de", dns.TypeA)
	wantInconclusive(t, err)
}

func TestResolverAddress(t *testing.T) {
	f := func(address, want string) {
		t.Helper()
		if got := withPort(address, "53"); got != want {
			t.Errorf("%q gives %q and not %q", address, got, want)
		}
	}
	f("192.0.2.1:5353", "192.0.2.1:5353")
	f("192.0.2.1", "192.0.2.1:53")
	f("2001:db8::1", "[2001:db8::1]:53")
	f("[2001:db8::1]", "[2001:db8::1]:53")
	f("[2001:db8::1]:5353", "[2001:db8::1]:5353")
	f("dns.example", "dns.example:53")
}

func TestTruncatedAnswersComeOverTCP(t *testing.T) {
	w := newWorld(t)
	w.zone.change(func() { w.zone.large = true })
	for i := range 200 {
		w.zone.add(t, fmt.Sprintf(`ensotek.de. 60 IN CAA 0 issue "ca%d.example"`, i))
	}
	w.zone.add(t, `ensotek.de. 60 IN CAA 0 issue "letsencrypt.org"`)
	w.site("198.51.100.4", w)
	w.points("ensotek.de", "198.51.100.4")
	wantRight(t, w.rehearsal().Rehearse(t.Context(), Subject{Domain: "ensotek.de", CAA: []string{"letsencrypt.org"}, Public: true}))
	if w.zone.questions("ensotek.de CAA tcp") != 1 {
		t.Error("the answer did not come over TCP")
	}
}

func TestServFail(t *testing.T) {
	w := newWorld(t)
	w.site("198.51.100.4", w)
	w.points("ensotek.de", "198.51.100.4")
	subject := Subject{Domain: "ensotek.de", CAA: []string{"letsencrypt.org"}, Public: true}

	w.zone.fail("ensotek.de CAA", dns.RcodeServerFailure)
	wantFault(t, w.rehearsal().Rehearse(t.Context(), subject), false,
		"the name servers of `ensotek.de` answer the question for its CAA records with an error, SERVFAIL, after which no CA may sign; correct its zone or its DNSSEC signatures")
	w.zone.change(func() { delete(w.zone.rcodes, "ensotek.de CAA") })

	// Of one family it does not matter.
	w.zone.fail("ensotek.de AAAA", dns.RcodeServerFailure)
	wantRight(t, w.rehearsal().Rehearse(t.Context(), subject))
	w.zone.fail("ensotek.de A", dns.RcodeServerFailure)
	wantFault(t, w.rehearsal().Rehearse(t.Context(), subject), false,
		"the name servers of `ensotek.de` answer the question for its address with an error, SERVFAIL; correct its zone or its DNSSEC signatures")

	// A resolver that fails for every name has no Internet.
	w.zone.fail(" NS", dns.RcodeServerFailure)
	wantInconclusive(t, w.rehearsal().Rehearse(t.Context(), subject))
}

func TestRefused(t *testing.T) {
	w := newWorld(t)
	for _, kind := range []string{"A", "AAAA", "CAA"} {
		w.zone.fail("ensotek.de "+kind, dns.RcodeRefused)
	}
	wantInconclusive(t, w.rehearsal().Rehearse(t.Context(), Subject{Domain: "ensotek.de", CAA: []string{"letsencrypt.org"}}))
}

// handle serves DNS at a port of its own, over UDP only.
func handle(t *testing.T, answer func(*dns.Msg) *dns.Msg) resolver {
	t.Helper()
	packets, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	started, done := make(chan struct{}), make(chan struct{})
	server := &dns.Server{PacketConn: packets, NotifyStartedFunc: func() { close(started) },
		Handler: dns.HandlerFunc(func(w dns.ResponseWriter, question *dns.Msg) { w.WriteMsg(answer(question)) })}
	go func() { defer close(done); server.ActivateAndServe() }()
	<-started
	t.Cleanup(func() { server.Shutdown(); <-done })
	return resolver{address: packets.LocalAddr().String(), patience: 200 * time.Millisecond}
}

func TestResolverWithoutEDNS(t *testing.T) {
	r := handle(t, func(question *dns.Msg) *dns.Msg {
		if question.IsEdns0() != nil {
			return new(dns.Msg).SetRcodeFormatError(question)
		}
		reply := new(dns.Msg).SetReply(question)
		reply.Answer = append(reply.Answer, &dns.A{Hdr: dns.RR_Header{Name: "ensotek.de.", Rrtype: dns.TypeA, Class: dns.ClassINET}, A: net.IPv4(198, 51, 100, 4)})
		return reply
	})
	got, err := r.ask(t.Context(), "ensotek.de", dns.TypeA)
	if err != nil || len(got.records) != 1 {
		t.Errorf("got %v, %v", got, err)
	}
}

func TestAnswersToAnotherQuestionDoNotCount(t *testing.T) {
	f := func(change func(*dns.Msg)) {
		t.Helper()
		r := handle(t, func(question *dns.Msg) *dns.Msg {
			reply := new(dns.Msg).SetReply(question)
			change(reply)
			return reply
		})
		_, err := r.ask(t.Context(), "ensotek.de", dns.TypeA)
		wantInconclusive(t, err)
	}
	f(func(reply *dns.Msg) { reply.Question[0].Name = "radanor.de." })
	f(func(reply *dns.Msg) { reply.Question[0].Qtype = dns.TypeMX })
	f(func(reply *dns.Msg) { reply.Question = nil })
	f(func(reply *dns.Msg) { reply.Response = false })
}

func TestRecordsOfOtherNamesDoNotCount(t *testing.T) {
	reply := new(dns.Msg).SetQuestion("ensotek.de.", dns.TypeA)
	for _, line := range []string{"radanor.de. 60 IN A 203.0.113.7", "ENSOTEK.de. 60 IN A 198.51.100.4", "ensotek.de. 60 IN AAAA ::1"} {
		record, err := dns.NewRR(line)
		if err != nil {
			t.Fatal(err)
		}
		reply.Answer = append(reply.Answer, record)
	}
	if got := addressesOf(answerOf(reply, "ensotek.de", dns.TypeA).records); len(got) != 1 || got[0].String() != "198.51.100.4" {
		t.Errorf("got %v", got)
	}
}
