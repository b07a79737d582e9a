package frontend

import (
	"path"
	"strings"

	"metahub/tenant"
)

// What Cache-Control says (RFC 9111 §5.2.2) where no rule of the administrator's does.
const (
	immutable   = "public, max-age=31536000, immutable" // for names that change with the content
	revalidated = "no-cache"                            // may be kept, but a deployment shows at once; an unchanged file costs a 304
)

// controlOf returns the Cache-Control of a file, by its name within the folder: what the first rule that matches says.
func controlOf(rules []tenant.CacheRule, name string) string {
	for _, rule := range rules {
		subject := "/" + name
		if !strings.HasPrefix(rule.Match, "/") {
			subject = path.Base(name)
		}
		if matches(rule.Match, subject) {
			return rule.Control
		}
	}
	if strings.HasPrefix(name, "_next/static/") || isHashed(name) {
		return immutable
	}
	return revalidated
}

// isHashed reports whether a name within a folder "assets" holds a hash of the content, as build tools write it: main.3f2a1b9c.css,
// index-C4mnP2w1.js. A name that is taken for one by mistake would stay in browsers for a year, so only sure ones count.
func isHashed(name string) bool {
	folder, base := path.Split(name)
	if !strings.HasPrefix(folder, "assets/") && !strings.Contains(folder, "/assets/") {
		return false
	}
	base = strings.TrimSuffix(base, ".map")
	extension := path.Ext(base)
	stem := strings.TrimSuffix(base, extension)
	if at := strings.LastIndexAny(stem, ".-"); at > 0 && isHexHash(stem[at+1:]) {
		return true
	}
	switch extension {
	case ".js", ".mjs", ".css":
		n := len(stem) - bundlerHash
		return n > 1 && (stem[n-1] == '-' || stem[n-1] == '.') && isMixedHash(stem[n:])
	}
	return false
}

// isHexHash reports whether text has the length of a hash, and digits and letters.
func isHexHash(text string) bool {
	switch len(text) {
	case 8, 10, 12, 16, 20, 32, 40, 64:
		return strings.Trim(text, "0123456789abcdef") == "" && strings.ContainsAny(text, "0123456789") && strings.ContainsAny(text, "abcdef")
	}
	return false
}

// bundlerHash is how long the hashes of Vite, Rollup and esbuild are.
const bundlerHash = 8

// isMixedHash reports whether text is a hash in base 64 or base 32, and no word: it has a digit before its last two characters, which is
// not where names have theirs, and capitals after the first.
func isMixedHash(text string) bool {
	const capitals = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	return strings.ContainsAny(text[:len(text)-2], "0123456789") && strings.ContainsAny(text[1:], capitals) &&
		strings.Trim(text, capitals+"abcdefghijklmnopqrstuvwxyz0123456789-_") == ""
}
