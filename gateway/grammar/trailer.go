package grammar

// FoldName folds what peers take for the same name: X-Tenant, x_tenant, X.Tenant.
func FoldName(c byte) byte {
	switch {
	case c == '_' || c == '.':
		return '-'
	case 'A' <= c && c <= 'Z':
		return c | 0x20
	}
	return c
}

// MayTrail reports whether a field may come behind the content. It may not when it frames, routes, authenticates or describes a message,
// since nobody looks for it there (RFC 9110 §6.5.1), nor when it tells our own peers who asks. All that fasthttp refuses, which would fail
// in the middle of a handler, is refused.
func MayTrail(name []byte) bool {
	var scratch [len("x-middleware-subrequest")]byte
	if len(name) > len(scratch) {
		return !isForwarded(name)
	}
	folded := scratch[:len(name)]
	for i, c := range name {
		folded[i] = FoldName(c)
	}
	switch string(folded) {
	case "host", "content-length", "transfer-encoding", "te", "trailer", "connection", "keep-alive", "upgrade", "expect",
		"proxy-connection", "max-forwards", "range", "location",
		"authorization", "proxy-authenticate", "proxy-authorization", "www-authenticate", "cookie", "set-cookie",
		"content-encoding", "content-type", "content-range",
		"x-tenant", "x-real-ip", "x-request-id", "forwarded", "x-middleware-subrequest":
		return false
	}
	return !isForwarded(folded)
}

func isForwarded(name []byte) bool {
	const prefix = "x-forwarded"
	if len(name) < len(prefix) {
		return false
	}
	for i := range len(prefix) {
		if FoldName(name[i]) != prefix[i] {
			return false
		}
	}
	return true
}
