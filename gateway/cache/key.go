package cache

import (
	"bytes"
	"encoding/binary"
	"hash/maphash"
	"slices"
	"strings"

	"github.com/valyala/fasthttp"

	"metahub/gateway/grammar"
)

// appendKey appends what tells one URL of a tenant from all others: the scheme, the validated host with its port, and the target byte by
// byte as the origin gets it, so that no two readings of a path can meet in one entry. Each tenant has a store of its own besides.
//
// The answers of Next.js to its own scripts (React Server Components) are apart from its pages, whether or not it says so in Vary
// (CVE-2025-49005).
func appendKey(dst []byte, h *fasthttp.RequestHeader, plain bool, target []byte) []byte {
	kind := 0
	if plain {
		kind = 2
	}
	if len(h.PeekCanonical(rscKey)) > 0 {
		kind++
	}
	return append(append(append(dst, kinds[kind]), h.Host()...), target...)
}

// place is the hash of a URL, whatever the scheme.
func (c *Cache) place(key []byte) uint64 { return maphash.Bytes(c.seed, key[1:]) }

// kinds are the first bytes of keys.
var kinds = [...]byte{'s', 'S', 'p', 'P'}

// splitKey is host and target of a key.
func splitKey(key []byte) (host, target []byte) {
	key = key[1:]
	slash := max(0, bytes.IndexByte(key, '/'))
	return key[:slash], key[slash:]
}

const (
	// maxNames is how many request fields a URL's answers may vary by, and maxSelector how long, in bytes, the values of a request may be
	// together. Beyond that an answer is not kept.
	maxNames    = 16
	maxSelector = 2 << 10
)

const acceptEncoding = "accept-encoding"

// variedNames returns the request fields that an answer depends on: those of Vary, in lower case and each once, and whether it says so or
// not, Accept-Encoding with a content coding, and Origin where it allows that. ok is false where it depends on more than can be told.
func (a *head) variedNames() (names []string, ok bool) {
	for _, list := range a.vary {
		for name := range bytes.SplitSeq(list, []byte(",")) {
			if name = grammar.Trim(name); len(name) == 0 {
				continue
			}
			if !grammar.IsToken(name) || string(name) == "*" {
				return nil, false
			}
			names = append(names, strings.ToLower(string(name)))
		}
	}
	if len(a.coding) > 0 {
		names = append(names, acceptEncoding)
	}
	if a.allows {
		names = append(names, "origin")
	}
	slices.Sort(names)
	names = slices.Compact(names)
	return names, len(names) <= maxNames
}

// appendSelector appends what tells the variants of a URL apart: the number of the list of names, and the request's values. ok is false
// if these are too long.
func appendSelector(dst []byte, rule *entry, h *fasthttp.RequestHeader) (selector []byte, ok bool) {
	start := len(dst)
	dst = binary.BigEndian.AppendUint64(dst, rule.id)
	for _, name := range rule.names {
		if name == acceptEncoding {
			dst = append(dst, byte(acceptedCodings(h.PeekAll(name))))
			continue
		}
		values := h.PeekAll(name)
		dst = append(dst, byte(len(values)))
		for _, value := range values {
			dst = append(binary.BigEndian.AppendUint16(dst, uint16(len(value))), value...)
		}
	}
	return dst, len(dst)-start <= maxSelector
}

// codings are those that an Accept-Encoding accepts, one bit each. What else it says makes no difference to the cache: an answer that one
// client accepts is good enough for another that accepts the same codings.
type codings uint8

const (
	acceptsGzip codings = 1 << iota
	acceptsBrotli
	acceptsZstd
	acceptsDeflate
	acceptsAny      // "*"
	refusesIdentity // which few do
)

// known are the codings by name.
var known = []struct {
	name string
	bit  codings
}{
	{"gzip", acceptsGzip}, {"x-gzip", acceptsGzip}, {"br", acceptsBrotli}, {"zstd", acceptsZstd}, {"deflate", acceptsDeflate}, {"*", acceptsAny},
}

func acceptedCodings(lists [][]byte) (accepted codings) {
	for _, list := range lists {
		for len(list) > 0 {
			var element []byte
			element, list, _ = bytes.Cut(list, []byte(","))
			name, weight, _ := bytes.Cut(element, []byte(";"))
			accepted |= bitOf(grammar.Trim(name), isZero(weight))
		}
	}
	return accepted
}

func bitOf(name []byte, refused bool) codings {
	if refused {
		if grammar.EqualFold(name, "identity") || string(name) == "*" {
			return refusesIdentity
		}
		return 0
	}
	for _, k := range known {
		if grammar.EqualFold(name, k.name) {
			return k.bit
		}
	}
	return 0
}

// isZero reports whether a weight is "q=0", with or without decimals.
func isZero(weight []byte) bool {
	weight = bytes.TrimLeft(grammar.Trim(weight), "qQ= \t")
	return len(weight) > 0 && len(bytes.Trim(weight, "0.")) == 0
}

// accepts reports whether an answer in a coding may be kept for all that accept the same as this request.
func (c codings) accepts(coding []byte) bool {
	for _, k := range known {
		if k.bit != acceptsAny && grammar.EqualFold(coding, k.name) {
			return c&(k.bit|acceptsAny) != 0
		}
	}
	return false
}
