package gateway

import (
	"bytes"

	"metahub/gateway/grammar"
	"metahub/tenant"
)

// readTarget brings the request target to its origin form and checks its path.
//
// Like nginx, the gateway routes by the path as it reads once decoded, with repeated slashes merged, which is also the one that the
// API sees; "/API" is another path than "/api". Unlike nginx it refuses dot segments, in any encoding, and zero bytes: browsers
// resolve the former before they send, so only those would be left who want two readers of one path to disagree.
func (x *exchange) readTarget() *refusal {
	target := x.ctx.Request.Header.RequestURI()
	if target[0] != '/' && !x.isAsterisk(target) {
		if r := x.useAbsoluteForm(target); r != nil {
			return r
		}
	}
	path := x.ctx.Path()
	if len(path) == 0 || hasDotSegment(x.ctx.URI().PathOriginal()) {
		return refusePath
	}
	x.api = bytes.HasPrefix(path, []byte("/api")) && (len(path) == len("/api") || path[len("/api")] == '/')
	return nil
}

// isAsterisk reports whether the request asks about the server as a whole (RFC 9112 §3.2.4).
func (x *exchange) isAsterisk(target []byte) bool {
	return len(target) == 1 && target[0] == '*' && x.ctx.IsOptions()
}

// useAbsoluteForm takes path and query from https://host/path?query, whose host must be the one of the Host header. RFC 9112 §3.2.2 lets
// the target win; an honest client sends the same in both.
func (x *exchange) useAbsoluteForm(target []byte) *refusal {
	_, rest, ok := bytes.Cut(target, schemeEnd)
	if !ok {
		return refuseTarget
	}
	end := bytes.IndexAny(rest, "/?")
	if end < 0 {
		end = len(rest)
	}
	name, port, err := tenant.CanonicalHost(x.hostBytes, rest[:end])
	if err != nil {
		return refuseHost
	}
	hostName, hostPort, err := tenant.CanonicalHost(nil, x.ctx.Request.Header.Host())
	if err != nil || !bytes.Equal(name, hostName) || !bytes.Equal(port, hostPort) {
		return refuseTarget
	}
	x.scratch = append(x.scratch[:0], rest[end:]...)
	if len(x.scratch) == 0 || x.scratch[0] == '?' {
		x.scratch = append([]byte{'/'}, x.scratch...)
	}
	x.ctx.Request.SetRequestURIBytes(x.scratch)
	return nil
}

// hasDotSegment reports whether a path has "." or ".." as a segment, or a zero byte, once its %-escapes are decoded. A backslash ends a
// segment too, because browsers read it as a slash.
func hasDotSegment(path []byte) bool {
	dots, others := 0, 0
	for i := 0; i < len(path); i++ {
		c := path[i]
		if c == '%' && i+2 < len(path) {
			high, ok1 := grammar.HexDigit(path[i+1])
			if low, ok2 := grammar.HexDigit(path[i+2]); ok1 && ok2 {
				c, i = high<<4|low, i+2
			}
		}
		switch c {
		case 0:
			return true
		case '/', '\\':
			if others == 0 && (dots == 1 || dots == 2) {
				return true
			}
			dots, others = 0, 0
		case '.':
			dots++
		default:
			others++
		}
	}
	return others == 0 && (dots == 1 || dots == 2)
}
