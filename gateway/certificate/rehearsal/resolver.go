package rehearsal

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"time"

	"github.com/miekg/dns"
)

const (
	// udpSize is what passes any network unfragmented (DNS flag day 2020).
	udpSize = 1232
	// maxAliases bounds a CNAME chain.
	maxAliases = 16
	// maxServers and maxResolvConf bound what is taken of /etc/resolv.conf; C libraries take three as well.
	maxServers    = 3
	maxResolvConf = 64 << 10
)

// errServFail is a SERVFAIL by a resolver that works otherwise: the domain's own name servers, or its DNSSEC, are at fault.
var errServFail = errors.New("SERVFAIL")

// resolver asks recursive resolvers, and has no memory.
type resolver struct {
	address  string // host:port, or empty
	file     string // in the form of resolv.conf(5), where address is empty
	patience time.Duration
}

// answer is what a name has of one type.
type answer struct {
	records []dns.RR
	owner   string // whose records they are: the name itself, or what it is an alias of
	alias   bool
}

// ask puts a question until it is answered, at least twice and to each server once. A name that does not exist has no records. The error
// is errServFail or wraps ErrInconclusive.
func (r resolver) ask(ctx context.Context, name string, kind uint16) (answer, error) {
	servers, err := r.servers()
	if err != nil {
		return answer{}, err
	}
	question := new(dns.Msg).SetQuestion(dns.Fqdn(name), kind).SetEdns0(udpSize, false)
	refused := false
	for try := range max(2, len(servers)) {
		server := servers[try%len(servers)]
		var reply *dns.Msg
		reply, err = r.exchange(ctx, server, question)
		switch {
		case err != nil:
		case reply.Rcode == dns.RcodeSuccess || reply.Rcode == dns.RcodeNameError:
			return answerOf(reply, name, kind), nil
		case reply.Rcode == dns.RcodeFormatError:
			question.Extra = nil // an old server, which knows no EDNS(0) (RFC 6891 §7)
			fallthrough
		default:
			refused = refused || reply.Rcode == dns.RcodeServerFailure
			err = fmt.Errorf("the resolver %s answers %s", quoted(server), quoted(dns.RcodeToString[reply.Rcode]))
		}
	}
	if refused && r.works(ctx, servers) {
		return answer{}, errServFail
	}
	return answer{}, inconclusive("DNS does not say what %s is, check the resolver: %w", named(name), err)
}

// works tells a resolver that answers SERVFAIL for one name from one that cannot reach the Internet.
func (r resolver) works(ctx context.Context, servers []string) bool {
	question := new(dns.Msg).SetQuestion(".", dns.TypeNS).SetEdns0(udpSize, false)
	for _, server := range servers {
		reply, err := r.exchange(ctx, server, question)
		if err == nil && reply.Rcode != dns.RcodeServerFailure && reply.Rcode != dns.RcodeRefused {
			return true
		}
	}
	return false
}

// servers are read anew each time: a laptop changes its network.
func (r resolver) servers() ([]string, error) {
	if r.address != "" {
		return []string{withPort(r.address, "53")}, nil
	}
	file, err := os.Open(r.file)
	if err != nil {
		return nil, inconclusive("this system does not say who resolves names, set a resolver: %w", err)
	}
	defer file.Close()
	config, err := dns.ClientConfigFromReader(io.LimitReader(file, maxResolvConf))
	if err != nil || len(config.Servers) == 0 {
		return nil, inconclusive("%q names no resolver, set one", r.file)
	}
	servers := config.Servers[:min(len(config.Servers), maxServers)]
	for i, server := range servers {
		servers[i] = net.JoinHostPort(server, config.Port)
	}
	return servers, nil
}

func withPort(address, port string) string {
	if _, _, err := net.SplitHostPort(address); err == nil {
		return address
	}
	return net.JoinHostPort(strings.Trim(address, "[]"), port)
}

// exchange asks one server once, over TCP when the answer is too large for UDP (RFC 7766 §5).
func (r resolver) exchange(ctx context.Context, server string, question *dns.Msg) (*dns.Msg, error) {
	question.Id = dns.Id()
	reply, err := r.send(ctx, "udp", server, question)
	if reply != nil && (reply.Truncated || err != nil) {
		reply, err = r.send(ctx, "tcp", server, question)
	}
	if err != nil {
		return nil, err
	}
	if !reply.Response || reply.Rcode != dns.RcodeFormatError && !repeats(reply, question) {
		return nil, fmt.Errorf("the resolver %s answers another question", quoted(server))
	}
	return reply, nil
}

func (r resolver) send(ctx context.Context, network, server string, question *dns.Msg) (*dns.Msg, error) {
	client := &dns.Client{Net: network, Timeout: r.patience}
	conn, err := client.DialContext(ctx, server)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.Close() }) // the client heeds deadlines only, no cancellation
	defer stop()
	reply, _, err := client.ExchangeWithConnContext(ctx, question, conn)
	return reply, err
}

func repeats(reply, question *dns.Msg) bool {
	if len(reply.Question) != 1 {
		return false
	}
	got, want := reply.Question[0], question.Question[0]
	return got.Qtype == want.Qtype && got.Qclass == want.Qclass && strings.EqualFold(got.Name, want.Name)
}

// answerOf picks a name's records out of a reply, and those of what it is an alias of; the resolver has gone that way already.
func answerOf(reply *dns.Msg, name string, kind uint16) answer {
	a := answer{owner: dns.Fqdn(name)}
	aliases := map[string]string{}
	for _, record := range reply.Answer {
		if alias, ok := record.(*dns.CNAME); ok {
			aliases[strings.ToLower(alias.Hdr.Name)] = alias.Target
		}
	}
	for range maxAliases {
		target, ok := aliases[strings.ToLower(a.owner)]
		if !ok {
			break
		}
		a.owner, a.alias = target, true
	}
	for _, record := range reply.Answer {
		if record.Header().Rrtype == kind && strings.EqualFold(record.Header().Name, a.owner) {
			a.records = append(a.records, record)
		}
	}
	return a
}
