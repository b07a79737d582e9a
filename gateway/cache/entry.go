package cache

import (
	"bytes"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/valyala/fasthttp"

	"metahub/gateway/grammar"
	"metahub/tenant"
)

// entry is what is kept under one hash: an answer, or for a URL whose answers vary the names of the fields that they vary by. It is
// immutable but for made, and may be used by any number of requests at once.
type entry struct {
	hash uint64
	key  []byte // of the URL; see visit.setKey

	// Of a URL whose answers vary (RFC 9111 §4.1).
	names []string // of request fields, in lower case; nil for an answer
	id    uint64   // of this list, so that variants of an earlier one are not found

	// Of an answer.
	selector []byte // id of the list and values of the fields that it was chosen by; nil for one that does not vary
	status   int
	fields   []field
	body     []byte
	coded    [tenant.Gzip + 1][]byte // body, compressed for those who asked
	made     atomic.Uint32           // bits of the codings that somebody has begun to keep
	etag     []byte
	modified []byte    // Last-Modified
	born     time.Time // when the origin made it, as far as it says
	seen     time.Time // when the origin last said it
	terms
}

type field struct{ name, value []byte }

// terms are how long an answer may be used, and for whom.
type terms struct {
	lifetime     time.Duration // from born; 0 for one that is kept for an outage only
	revalidate   time.Duration // after that, while a newer one is fetched
	onError      time.Duration // after that, while the origin fails
	shared       bool          // the origin means it for shared caches, whoever asks
	onlyWhileOut bool          // it is nobody's answer while the origin works
	never        bool          // it may not be used when stale, whatever happens
}

// overhead is what an entry takes besides its bytes, roughly: the entry, its fields, and its place in the store.
const overhead = 640

// cost is what the entry takes in memory, in bytes and roughly.
func (e *entry) cost() int64 {
	n := overhead + len(e.key) + len(e.selector) + len(e.body) + len(e.etag) + len(e.modified)
	for _, name := range e.names {
		n += 16 + len(name)
	}
	for _, f := range e.fields {
		n += 48 + len(f.name) + len(f.value)
	}
	for _, body := range e.coded {
		n += len(body)
	}
	return int64(n)
}

// isAnswer reports whether the entry is no list of names.
func (e *entry) isAnswer() bool { return e.names == nil }

// age is that of RFC 9111 §4.2.3.
func (e *entry) age(now time.Time) time.Duration { return max(0, now.Sub(e.born)) }

// validates reports whether the origin can be asked if the answer is still right.
func (e *entry) validates() bool { return len(e.etag) > 0 || len(e.modified) > 0 }

// Names as fasthttp takes them without a copy.
var (
	ageKey          = []byte("Age")
	cacheStatusKey  = []byte("Cache-Status")
	cacheControlKey = []byte("Cache-Control")
)

// answer makes the entry ctx's response, as if the origin had given it: whole, or only in that nothing has changed.
func (e *entry) answer(ctx *fasthttp.RequestCtx, now time.Time) {
	response := &ctx.Response
	h := &response.Header
	h.DisableNormalizing()
	h.SetNoDefaultContentType(true)
	unchanged := e.status == fasthttp.StatusOK && e.matches(&ctx.Request.Header)
	for i := range e.fields {
		if f := &e.fields[i]; !unchanged || !isContentField(f.name) {
			h.AddBytesKV(f.name, f.value)
		}
	}
	var scratch [20]byte
	h.SetCanonical(ageKey, strconv.AppendInt(scratch[:0], int64(e.age(now)/time.Second), 10))
	switch {
	case unchanged:
		h.SetStatusCode(fasthttp.StatusNotModified)
		response.SkipBody = true
	case ctx.IsHead():
		h.SetStatusCode(e.status)
		response.SkipBody = true
		h.SetContentLength(len(e.body))
	default:
		h.SetStatusCode(e.status)
		response.SetBodyRaw(e.body)
	}
}

// isContentField reports whether a field describes a body that a 304 does not have (RFC 9110 §15.4.5).
func isContentField(name []byte) bool {
	return grammar.HasPrefixFold(name, "content-") && !grammar.EqualFold(name, "content-location") && !grammar.HasPrefixFold(name, "content-security-policy")
}

// matches evaluates the preconditions that a cache answers itself (RFC 9110 §13.2.2, RFC 9111 §4.3.2).
func (e *entry) matches(h *fasthttp.RequestHeader) bool {
	if tags := h.PeekAll("If-None-Match"); len(tags) > 0 {
		return matchesTag(tags, e.etag)
	}
	since := h.PeekCanonical(ifModifiedSinceKey)
	if len(since) == 0 || len(e.modified) == 0 {
		return false
	}
	if bytes.Equal(since, e.modified) {
		return true
	}
	at, err := http.ParseTime(string(since))
	modified, bad := http.ParseTime(string(e.modified))
	return err == nil && bad == nil && !modified.After(at)
}

// matchesTag compares weakly (RFC 9110 §8.8.3.2). An entity tag may hold commas, so the lists are searched from quote to quote.
func matchesTag(lists [][]byte, etag []byte) bool {
	etag = bytes.TrimPrefix(etag, weak)
	for _, list := range lists {
		if string(list) == "*" {
			return true
		}
		for len(list) > 0 && len(etag) > 1 {
			start := bytes.IndexByte(list, '"')
			if start < 0 {
				break
			}
			end := bytes.IndexByte(list[start+1:], '"')
			if end < 0 {
				break
			}
			end += start + 2
			if bytes.Equal(list[start:end], etag) {
				return true
			}
			list = list[end:]
		}
	}
	return false
}

var (
	weak               = []byte("W/")
	ifNoneMatchKey     = []byte("If-None-Match")
	ifModifiedSinceKey = []byte("If-Modified-Since")
)

// with returns a copy of the entry that holds its body in one more coding.
func (e *entry) with(coding tenant.Coding, body []byte) *entry {
	c := &entry{
		hash: e.hash, key: e.key, selector: e.selector, status: e.status, fields: e.fields, body: e.body, coded: e.coded,
		etag: e.etag, modified: e.modified, born: e.born, seen: e.seen, terms: e.terms,
	}
	c.coded[coding] = body
	for i, body := range c.coded {
		if body != nil {
			c.made.Or(1 << i)
		}
	}
	return c
}
