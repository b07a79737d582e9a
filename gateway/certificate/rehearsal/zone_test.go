package rehearsal

import (
	"net"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/miekg/dns"
)

// zone is a recursive resolver of a test, on loopback over UDP and TCP.
type zone struct {
	address string
	mu      sync.Mutex
	records map[string][]dns.RR // by canonical name
	rcodes  map[string]int      // by "name TYPE"
	mute    map[string]bool     // by "name TYPE": no answer ever
	large   bool                // over UDP everything is truncated
	asked   []string            // "name TYPE network"
}

func newZone(t testing.TB) *zone {
	t.Helper()
	z := &zone{records: map[string][]dns.RR{}, rcodes: map[string]int{}, mute: map[string]bool{}}
	packets, listener := bothPorts(t)
	z.address = packets.LocalAddr().String()
	for _, server := range []*dns.Server{{PacketConn: packets, Handler: z}, {Listener: listener, Handler: z}} {
		started, done := make(chan struct{}), make(chan struct{})
		server.NotifyStartedFunc = func() { close(started) }
		go func() { defer close(done); server.ActivateAndServe() }()
		<-started
		t.Cleanup(func() { server.Shutdown(); <-done })
	}
	return z
}

// bothPorts finds a port that is free for UDP and for TCP.
func bothPorts(t testing.TB) (net.PacketConn, net.Listener) {
	t.Helper()
	for range 20 {
		packets, err := net.ListenPacket("udp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		if listener, err := net.Listen("tcp", packets.LocalAddr().String()); err == nil {
			return packets, listener
		}
		packets.Close()
	}
	t.Fatal("no port is free for UDP and TCP")
	return nil, nil
}

// add takes lines of a zone file.
func (z *zone) add(t testing.TB, lines ...string) {
	t.Helper()
	z.mu.Lock()
	defer z.mu.Unlock()
	for _, line := range lines {
		record, err := dns.NewRR(line)
		if err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		name := strings.ToLower(record.Header().Name)
		z.records[name] = append(z.records[name], record)
	}
}

// change alters the zone while it serves.
func (z *zone) change(alter func()) {
	z.mu.Lock()
	defer z.mu.Unlock()
	alter()
}

func (z *zone) fail(key string, rcode int) { z.change(func() { z.rcodes[key] = rcode }) }
func (z *zone) silence(key string)         { z.change(func() { z.mute[key] = true }) }

func (z *zone) ServeDNS(w dns.ResponseWriter, question *dns.Msg) {
	z.mu.Lock()
	defer z.mu.Unlock()
	q := question.Question[0]
	kind := dns.TypeToString[q.Qtype]
	key := strings.TrimSuffix(q.Name, ".") + " " + kind
	network := w.LocalAddr().Network()
	z.asked = append(z.asked, key+" "+network)
	if z.mute[key] {
		return
	}
	reply := new(dns.Msg).SetReply(question)
	if rcode, ok := z.rcodes[key]; ok {
		w.WriteMsg(reply.SetRcode(question, rcode))
		return
	}
	if z.large && network == "udp" {
		reply.Truncated = true
		w.WriteMsg(reply)
		return
	}
	z.answer(reply, strings.ToLower(q.Name), q.Qtype)
	w.WriteMsg(reply)
}

// answer follows CNAMEs, as a recursive resolver does.
func (z *zone) answer(reply *dns.Msg, name string, kind uint16) {
	if z.records[name] == nil {
		reply.Rcode = dns.RcodeNameError
	}
	for _, record := range z.records[name] {
		if record.Header().Rrtype == kind {
			reply.Answer = append(reply.Answer, record)
		} else if alias, ok := record.(*dns.CNAME); ok && len(reply.Answer) < 30 {
			reply.Answer = append(reply.Answer, record)
			z.answer(reply, strings.ToLower(alias.Target), kind)
		}
	}
}

// log is what was asked.
func (z *zone) log() []string {
	z.mu.Lock()
	defer z.mu.Unlock()
	return slices.Clone(z.asked)
}

func (z *zone) questions(suffix string) (n int) {
	for _, asked := range z.log() {
		if strings.HasSuffix(asked, suffix) {
			n++
		}
	}
	return n
}
