package cache

import (
	"bytes"

	"metahub/gateway/grammar"
)

// control is what the Cache-Control fields of one message say (RFC 9111 §5.2, RFC 5861). Times are in seconds; unsaid where there is none.
type control struct {
	maxAge, sharedMaxAge                 int64
	staleWhileRevalidate, staleIfError   int64
	noStore, noCache, private, public    bool
	mustRevalidate, onlyIfCached, broken bool
}

const (
	unsaid = -1
	// maxSeconds is the longest time that is told apart from a longer one (RFC 9111 §1.2.2).
	maxSeconds = 1<<31 - 1
	// forever is stale-while-revalidate without a number, as Next.js writes it.
	forever = 365 * 24 * 60 * 60
)

func newControl() control {
	return control{maxAge: unsaid, sharedMaxAge: unsaid, staleWhileRevalidate: unsaid, staleIfError: unsaid}
}

// read takes in one field. What is said twice counts in the way that keeps an answer for less long, and a field that cannot be taken apart
// makes the message broken: nobody can tell what it forbids.
func (c *control) read(list []byte) {
	for len(list) > 0 {
		var name, value []byte
		var valued, ok bool
		name, value, valued, list, ok = nextDirective(list)
		if !ok {
			c.broken = true
			return
		}
		c.set(name, value, valued)
	}
}

func (c *control) set(name, value []byte, valued bool) {
	switch len(name) {
	case 6:
		c.public = c.public || grammar.EqualFold(name, "public")
	case 7:
		if grammar.EqualFold(name, "max-age") {
			shorten(&c.maxAge, seconds(value))
		}
		c.private = c.private || grammar.EqualFold(name, "private") // with field names, too
	case 8:
		if grammar.EqualFold(name, "s-maxage") {
			shorten(&c.sharedMaxAge, seconds(value))
		}
		c.noStore = c.noStore || grammar.EqualFold(name, "no-store")
		c.noCache = c.noCache || grammar.EqualFold(name, "no-cache") // with field names, too
	case 14:
		if grammar.EqualFold(name, "stale-if-error") {
			shorten(&c.staleIfError, seconds(value))
		}
		c.onlyIfCached = c.onlyIfCached || grammar.EqualFold(name, "only-if-cached")
	case 15:
		c.mustRevalidate = c.mustRevalidate || grammar.EqualFold(name, "must-revalidate")
	case 16:
		c.mustRevalidate = c.mustRevalidate || grammar.EqualFold(name, "proxy-revalidate")
	case 22:
		if !grammar.EqualFold(name, "stale-while-revalidate") {
			return
		}
		n := int64(forever)
		if valued {
			n = seconds(value)
		}
		shorten(&c.staleWhileRevalidate, n)
	}
}

func shorten(n *int64, to int64) {
	if *n == unsaid || to < *n {
		*n = to
	}
}

// seconds reads delta-seconds, with quotes or without. What is none is 0: an answer with it is stale (RFC 9111 §4.2.1).
func seconds(digits []byte) int64 {
	n := int64(0)
	for _, c := range digits {
		if c < '0' || c > '9' {
			return 0
		}
		n = min(n*10+int64(c-'0'), maxSeconds)
	}
	return n
}

// nextDirective takes one directive from the front of a list. The value of a quoted-string is what stands between the quotes, as it is.
func nextDirective(list []byte) (name, value []byte, valued bool, rest []byte, ok bool) {
	list = bytes.TrimLeft(list, ", \t")
	n := grammar.TokenLength(list)
	name, list = list[:n], trimLeft(list[n:])
	if n == 0 {
		return nil, nil, false, nil, len(list) == 0
	}
	if len(list) > 0 && list[0] == '=' {
		valued, list = true, trimLeft(list[1:])
		if value, list, ok = directiveValue(list); !ok {
			return nil, nil, false, nil, false
		}
	}
	if list = trimLeft(list); len(list) > 0 && list[0] != ',' {
		return nil, nil, false, nil, false
	}
	return name, value, valued, list, true
}

func directiveValue(list []byte) (value, rest []byte, ok bool) {
	if len(list) == 0 || list[0] != '"' {
		n := grammar.TokenLength(list)
		return list[:n], list[n:], true
	}
	for i := 1; i < len(list); i++ {
		switch list[i] {
		case '\\':
			i++
		case '"':
			return list[1:i], list[i+1:], true
		}
	}
	return nil, nil, false
}

func trimLeft(b []byte) []byte {
	for len(b) > 0 && grammar.IsBlank(b[0]) {
		b = b[1:]
	}
	return b
}
