package frontend

import "bytes"

// class says what a byte may be part of in a header field.
type class uint8

const (
	tokenByte class = 1 << iota // RFC 9110 §5.6.2
	valueByte                   // RFC 9110 §5.5, with obs-text
)

var classes = func() (table [256]class) {
	for c := 0x20; c < 0x100; c++ {
		if c != 0x7f {
			table[c] |= valueByte
		}
	}
	table['\t'] |= valueByte
	for _, c := range []byte("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ") {
		table[c] |= tokenByte
	}
	return table
}()

func consistsOf(b []byte, allowed class) bool {
	for _, c := range b {
		if classes[c]&allowed == 0 {
			return false
		}
	}
	return true
}

func isToken(b []byte) bool { return len(b) > 0 && consistsOf(b, tokenByte) }

// is reports whether name is lower, which is in lower case, in any case.
func is(name []byte, lower string) bool {
	return len(name) == len(lower) && hasPrefix(name, lower)
}

func hasPrefix(name []byte, lower string) bool {
	if len(name) < len(lower) {
		return false
	}
	for i := range len(lower) {
		c := name[i]
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}

// hopByHop reports whether a field belongs to one connection only and is never passed on (RFC 9110 §7.6.1). Those that describe the
// framing are among them, because each hop has its own. TE goes too: trailers are not passed on, so none may be promised.
func hopByHop(name []byte) bool {
	switch len(name) {
	case 2:
		return is(name, "te")
	case 7:
		return is(name, "trailer") || is(name, "upgrade")
	case 10:
		return is(name, "connection") || is(name, "keep-alive")
	case 14:
		return is(name, "http2-settings")
	case 17:
		return is(name, "transfer-encoding")
	}
	return len(name) > 6 && hasPrefix(name, "proxy-")
}

// reserved reports whether a field is the gateway's own, which no Connection option can remove (CVE-2022-31813).
func reserved(name []byte) bool {
	switch len(name) {
	case 4:
		return is(name, "host")
	case 8:
		return is(name, "x-tenant")
	case 9:
		return is(name, "x-real-ip")
	case 12:
		return is(name, "x-request-id")
	}
	return hasPrefix(name, "x-forwarded-")
}

// hasOption reports whether list, the value of a Connection field, names option in any case. option may be of any case too.
func hasOption(list, option []byte) bool {
	for len(list) > 0 {
		var token []byte
		token, list, _ = bytes.Cut(list, comma)
		if bytes.EqualFold(trim(token), option) {
			return true
		}
	}
	return false
}

// namesFields reports whether a Connection field has options beyond those that name no other field.
func namesFields(list []byte) bool {
	for len(list) > 0 {
		var token []byte
		token, list, _ = bytes.Cut(list, comma)
		token = trim(token)
		if len(token) > 0 && !is(token, "close") && !is(token, "keep-alive") && !is(token, "upgrade") {
			return true
		}
	}
	return false
}

var comma = []byte(",")

// trim removes optional whitespace (RFC 9110 §5.6.3).
func trim(b []byte) []byte {
	for len(b) > 0 && (b[0] == ' ' || b[0] == '\t') {
		b = b[1:]
	}
	for len(b) > 0 && (b[len(b)-1] == ' ' || b[len(b)-1] == '\t') {
		b = b[:len(b)-1]
	}
	return b
}
