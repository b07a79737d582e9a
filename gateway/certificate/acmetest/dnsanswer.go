package acmetest

import (
	"net"
	"strings"

	"github.com/miekg/dns"
)

// maxAliases bounds a chain of CNAME records.
const maxAliases = 8

// ServeDNS answers one message.
func (d *DNS) ServeDNS(w dns.ResponseWriter, question *dns.Msg) {
	answer, silent := d.answer(question)
	if silent {
		return
	}
	if _, udp := w.RemoteAddr().(*net.UDPAddr); udp {
		size := dns.MinMsgSize
		if extension := question.IsEdns0(); extension != nil {
			size = max(size, int(extension.UDPSize()))
		}
		answer.Truncate(size)
	}
	w.WriteMsg(answer)
}

func (d *DNS) answer(question *dns.Msg) (answer *dns.Msg, silent bool) {
	answer = new(dns.Msg)
	answer.SetReply(question)
	answer.Authoritative, answer.RecursionAvailable = true, true
	if extension := question.IsEdns0(); extension != nil {
		answer.SetEdns0(dns.DefaultMsgSize, false)
	}
	if len(question.Question) != 1 {
		answer.Rcode = dns.RcodeFormatError
		return answer, false
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	asked := question.Question[0]
	name := strings.ToLower(asked.Name)
	d.questions[name]++
	for range maxAliases {
		if d.silent[name] {
			return nil, true
		}
		if d.failing[name] {
			answer.Rcode = dns.RcodeServerFailure
			return answer, false
		}
		found, alias := d.lookup(name, asked.Qtype)
		answer.Answer = append(answer.Answer, found...)
		if alias == "" {
			break
		}
		name = strings.ToLower(alias)
	}
	if len(answer.Answer) == 0 {
		answer.Ns = []dns.RR{startOfAuthority(zoneOf(name))}
	}
	if !d.exists(name) {
		answer.Rcode = dns.RcodeNameError
	}
	return answer, false
}

// lookup finds the records of a name, or the alias that it is.
func (d *DNS) lookup(name string, kind uint16) (found []dns.RR, alias string) {
	records, listed := d.records[name]
	if !listed {
		if _, parent, ok := strings.Cut(name, "."); ok {
			records, listed = d.records["*."+parent]
		}
	}
	for _, r := range records {
		r = dns.Copy(r)
		r.Header().Name = name
		if cname, is := r.(*dns.CNAME); is && kind != dns.TypeCNAME {
			return []dns.RR{r}, cname.Target
		}
		if r.Header().Rrtype == kind {
			found = append(found, r)
		}
	}
	apex := zoneOf(name) == name
	switch {
	case len(found) > 0:
	case kind == dns.TypeSOA && apex:
		found = append(found, startOfAuthority(name))
	case kind == dns.TypeNS && apex:
		found = append(found, record(name, "NS", "ns."+name))
	case kind == dns.TypeA && !listed && d.fallback.To4() != nil:
		found = append(found, record(name, "A", d.fallback.String()))
	}
	return found, ""
}

// exists tells NODATA from NXDOMAIN: a name exists that has records, or that stands above one (RFC 8020).
func (d *DNS) exists(name string) bool {
	if d.fallback != nil || zoneOf(name) == name {
		return true
	}
	if _, parent, ok := strings.Cut(name, "."); ok {
		if _, wildcard := d.records["*."+parent]; wildcard {
			return true
		}
	}
	for known := range d.records {
		if known == name || strings.HasSuffix(known, "."+name) {
			return true
		}
	}
	return false
}

// zoneOf is the last two labels of a name.
func zoneOf(name string) string {
	labels := dns.SplitDomainName(name)
	return dns.Fqdn(strings.Join(labels[max(0, len(labels)-2):], "."))
}

func startOfAuthority(zone string) dns.RR {
	return record(zone, "SOA", "ns."+strings.TrimPrefix(zone, ".")+" test."+strings.TrimPrefix(zone, ".")+" 1 1 1 1 1")
}
