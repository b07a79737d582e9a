package grammar

// EqualFold reports whether s is lower, which is in lower case, but for the case of its ASCII letters.
func EqualFold(s []byte, lower string) bool {
	return len(s) == len(lower) && HasPrefixFold(s, lower)
}

// HasPrefixFold reports whether s begins with lower, which is in lower case, but for the case of its ASCII letters.
func HasPrefixFold(s []byte, lower string) bool {
	if len(s) < len(lower) {
		return false
	}
	for i := range len(lower) {
		c := s[i]
		if 'A' <= c && c <= 'Z' {
			c |= 0x20
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}

// IsHopByHop reports whether a field belongs to one connection only and is never passed on (RFC 9110 §7.6.1). Those that describe the
// framing are among them, because each hop has its own. Whether there will be trailers, and whether they are wanted, is said anew too.
func IsHopByHop(name []byte) bool {
	switch len(name) {
	case 2:
		return EqualFold(name, "te")
	case 7:
		return EqualFold(name, "trailer") || EqualFold(name, "upgrade")
	case 10:
		return EqualFold(name, "connection") || EqualFold(name, "keep-alive")
	case 14:
		return EqualFold(name, "http2-settings")
	case 17:
		return EqualFold(name, "transfer-encoding")
	}
	return HasPrefixFold(name, "proxy-")
}
