package frontend

import (
	"bytes"
	"net"
	"net/netip"
	"strings"

	"metahub/gateway/grammar"
)

// withoutOrigin takes the origin from a Location that leads to the upstream itself, which visitors cannot reach: where the upstream is asked
// with their name but builds addresses with its own, or with localhost and its port, as route handlers of Next.js do. All others stay as
// they are; so does one whose path could be read as another host.
func (up *upstream) withoutOrigin(location []byte) []byte {
	rest, port := location, ""
	switch {
	case grammar.HasPrefixFold(location, "http://"):
		rest, port = location[len("http://"):], "80"
	case grammar.HasPrefixFold(location, "https://"):
		rest, port = location[len("https://"):], "443"
	default:
		return location
	}
	end := bytes.IndexAny(rest, "/?#\\")
	if end < 0 {
		end = len(rest)
	}
	if !up.isItself(string(rest[:end]), port) {
		return location
	}
	switch rest = rest[end:]; {
	case len(rest) == 0:
		return []byte("/")
	case rest[0] == '?', rest[0] == '#':
		return append([]byte("/"), rest...)
	case rest[0] == '\\', len(rest) > 1 && (rest[1] == '/' || rest[1] == '\\' || rest[1] <= ' '): // //host, as browsers read it
		return location
	}
	return rest
}

// isItself reports whether authority, in which port may be missing, names the upstream: by its address in tenants.yaml, or by one that means
// the machine on which it runs.
func (up *upstream) isItself(authority, port string) bool {
	host := strings.TrimSuffix(strings.TrimPrefix(authority, "["), "]")
	if h, p, err := net.SplitHostPort(authority); err == nil {
		host, port = h, p
	}
	_, own, _ := net.SplitHostPort(up.address)
	if port != own {
		return false
	}
	if strings.EqualFold(host, "localhost") || strings.EqualFold(net.JoinHostPort(host, port), up.address) {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && (ip.IsLoopback() || ip.IsUnspecified())
}
