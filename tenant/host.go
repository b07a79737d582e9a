package tenant

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"golang.org/x/net/idna"
)

// ErrBadHost is what CanonicalHost says of anything that is not exactly host[:port].
var ErrBadHost = errors.New("the Host is not a host name with an optional port")

const (
	maxHostLen = 253 // RFC 1035 §2.3.4, less the root label
	// maxDomainLen is that of a domain: its certificate is in a file of this name, with ".pem" behind it, and file systems take 255 bytes.
	maxDomainLen = 251
)

// CanonicalHost turns a Host, :authority or SNI value as it came over the wire into the one form that is looked up, logged and
// forwarded: lower case, no port, no final dot (RFC 9110 §7.2, RFC 3986 §3.2.2). A value that is canonical already is returned as it
// is, without allocation; otherwise the result is appended to dst[:0]. The port is returned apart, without its colon.
//
// Letters outside ASCII, userinfo, paths and every byte that a DNS name or IP literal cannot hold give ErrBadHost.
func CanonicalHost(dst, host []byte) (name, port []byte, err error) {
	name, port, err = splitPort(host)
	if err != nil {
		return nil, nil, err
	}
	if len(name) > 0 && name[0] == '[' {
		return canonicalIPv6(dst, name, port)
	}
	if n := len(name); n > 1 && name[n-1] == '.' {
		name = name[:n-1]
	}
	if len(name) == 0 || len(name) > maxHostLen {
		return nil, nil, ErrBadHost
	}
	upper := false
	label := 0
	for i, c := range name {
		switch {
		case 'a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '-' || c == '_':
			label++
		case 'A' <= c && c <= 'Z':
			upper = true
			label++
		case c == '.' && label > 0 && i < len(name)-1:
			label = 0
		default:
			return nil, nil, ErrBadHost
		}
		if label > 63 {
			return nil, nil, ErrBadHost
		}
	}
	if !upper {
		return name, port, nil
	}
	dst = dst[:0]
	for _, c := range name {
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		dst = append(dst, c)
	}
	return dst, port, nil
}

func splitPort(host []byte) (name, port []byte, err error) {
	end := len(host)
	for i := end - 1; i >= 0; i-- {
		c := host[i]
		if c == ':' {
			port, end = host[i+1:], i
			break
		}
		if c < '0' || c > '9' {
			break
		}
	}
	if end < len(host) && !validPort(port) {
		return nil, nil, ErrBadHost
	}
	return host[:end], port, nil
}

// validPort takes the spellings that clients send: RFC 3986 §3.2.3 would allow an empty port and zeros in front, but then two
// spellings of one authority would be forwarded.
func validPort(port []byte) bool {
	if len(port) == 0 || len(port) > 5 || port[0] == '0' {
		return false
	}
	n := 0
	for _, c := range port {
		n = n*10 + int(c-'0')
	}
	return n <= 65535
}

func canonicalIPv6(dst, name, port []byte) ([]byte, []byte, error) {
	if name[len(name)-1] != ']' {
		return nil, nil, ErrBadHost
	}
	addr, err := netip.ParseAddr(string(name[1 : len(name)-1]))
	if err != nil || !addr.Is6() || addr.Zone() != "" {
		return nil, nil, ErrBadHost
	}
	dst = append(dst[:0], '[')
	dst = addr.AppendTo(dst)
	return append(dst, ']'), port, nil
}

// CanonicalName turns a domain as an administrator writes it into the form that Directory is keyed by: lower case, no final dot, IDN
// as punycode (RFC 5891), and "*." in front kept. It is stricter than CanonicalHost: only names that a certificate can be issued for.
// The error says what is wrong with the name and what to write.
func CanonicalName(domain string) (string, error) {
	name, wildcard := strings.CutPrefix(domain, "*.")
	switch {
	case strings.Contains(name, "*"):
		return "", fmt.Errorf("domain %q: a wildcard is \"*.\" in front of a name and stands for one label, like \"*.example.com\"", clip(domain))
	case isIPLiteral(name):
		return "", fmt.Errorf("domain %q is an IP address, for which TLS has no server name: write a host name, like \"example.com\"", clip(domain))
	case strings.ContainsAny(name, "/:@ ?#"):
		return "", fmt.Errorf("domain %q: write the bare host name, without scheme, port or path", clip(domain))
	}
	ascii, err := toASCII(strings.TrimSuffix(name, "."))
	if longest := maxDomainLen - (len(domain) - len(name)); err == nil && len(ascii) > longest {
		return "", fmt.Errorf("domain %q has %d characters, and %d is the most for which a certificate can be kept: use a shorter name", clip(domain), len(ascii), longest)
	}
	if err != nil || !isHostName(ascii) {
		return "", fmt.Errorf("domain %q is not a host name: write letters, digits, \"-\" and \".\", like \"example.com\"", clip(domain))
	}
	if wildcard {
		ascii = "*." + ascii
	}
	return ascii, nil
}

func isIPLiteral(name string) bool {
	_, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(name, "["), "]"))
	return err == nil
}

// toASCII maps as browsers do (UTS #46). Plain ASCII is only lower-cased: the IDNA rules would refuse registered names that have
// hyphens in the third and fourth place.
func toASCII(name string) (string, error) {
	plain := true
	for i := range len(name) {
		plain = plain && name[i] < 0x80
	}
	name = strings.ToLower(name)
	if plain && !strings.Contains(name, "xn--") {
		return name, nil
	}
	return idna.Lookup.ToASCII(name)
}

// isHostName applies RFC 1123 §2.1. A last label of digits is refused, since URL parsers take such a name for an IPv4 address.
func isHostName(name string) bool {
	canonical, port, err := CanonicalHost(nil, []byte(name))
	if err != nil || len(port) > 0 || string(canonical) != name || strings.Contains(name, "_") {
		return false
	}
	last := ""
	for label := range strings.SplitSeq(name, ".") {
		if label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		last = label
	}
	return strings.Trim(last, "0123456789") != ""
}
