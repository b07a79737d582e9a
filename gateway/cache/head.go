package cache

import (
	"bytes"
	"net/http"
	"strconv"
	"time"

	"github.com/valyala/fasthttp"

	"metahub/gateway/grammar"
)

// head is what the header of an origin's answer says to a cache.
type head struct {
	control
	status              int
	etag, modified      []byte
	vary                [][]byte // the fields' values
	coding, kind        []byte   // Content-Encoding, Content-Type
	expires             []byte
	age                 int64
	fresh               bool // there is an Expires
	setsCookie, partial bool
	allows              bool // it allows one origin's pages to read it
}

// read goes over the fields once. The slices are valid until the header changes.
func (a *head) read(response *fasthttp.Response) {
	*a = head{control: newControl(), status: response.StatusCode(), vary: a.vary[:0]}
	for name, value := range response.Header.All() {
		a.add(name, value)
	}
}

func (a *head) add(name, value []byte) {
	switch len(name) {
	case 3:
		if grammar.EqualFold(name, "age") {
			a.age = max(a.age, seconds(value))
		}
	case 4:
		switch {
		case grammar.EqualFold(name, "etag"):
			a.etag = value
		case grammar.EqualFold(name, "vary"):
			a.vary = append(a.vary, value)
		}
	case 7:
		if grammar.EqualFold(name, "expires") {
			a.expires, a.fresh = value, true
		}
	case 10:
		a.setsCookie = a.setsCookie || grammar.EqualFold(name, "set-cookie")
	case 12:
		if grammar.EqualFold(name, "content-type") {
			a.kind = value
		}
	case 13:
		switch {
		case grammar.EqualFold(name, "cache-control"):
			a.control.read(value)
		case grammar.EqualFold(name, "last-modified"):
			a.modified = value
		case grammar.EqualFold(name, "content-range"):
			a.partial = true
		}
	case 16:
		if grammar.EqualFold(name, "content-encoding") {
			a.coding = value
		}
	case 27:
		if grammar.EqualFold(name, "access-control-allow-origin") {
			a.allows = string(value) != "*"
		}
	}
}

// open reports whether the answer is no one visitor's, as far as its header tells.
func (a *head) open() bool {
	return !a.noStore && !a.private && !a.broken && !a.setsCookie && !a.partial && !grammar.HasPrefixFold(a.kind, "text/event-stream")
}

// shared reports whether the origin means the answer for shared caches even where the request was some visitor's (RFC 9111 §3.5).
func (a *head) shared() bool { return a.public || a.sharedMaxAge != unsaid }

// terms says how long the answer may be used from when it came; see RFC 9111 §4.2.1. No lifetime is ever guessed.
func (a *head) terms(now time.Time) terms {
	t := terms{shared: a.shared(), never: a.mustRevalidate || a.noCache}
	switch {
	case a.noCache:
	case a.sharedMaxAge != unsaid:
		t.lifetime = span(a.sharedMaxAge)
	case a.maxAge != unsaid:
		t.lifetime = span(a.maxAge)
	case a.fresh:
		t.lifetime = a.untilExpires(now)
	}
	if !t.never {
		t.revalidate = span(max(0, a.staleWhileRevalidate))
		t.onError = span(max(0, a.staleIfError))
	}
	return t
}

func span(seconds int64) time.Duration { return time.Duration(seconds) * time.Second }

// untilExpires is 0 for a date that is none, such as "0" (RFC 9111 §5.3). It counts from now: fasthttp keeps no Date of an origin.
func (a *head) untilExpires(now time.Time) time.Duration {
	expires, err := http.ParseTime(string(a.expires))
	if err != nil {
		return 0
	}
	return min(max(0, expires.Sub(now)), maxSeconds*time.Second)
}

// born is when an answer that has come now was made, as far as Age tells (RFC 9111 §4.2.3). took is the time since the origin was asked,
// which counts for what another cache had: a server makes its answers at the end of it.
func (a *head) born(now time.Time, took time.Duration) time.Time {
	if a.age == 0 {
		return now
	}
	return now.Add(-span(a.age) - took)
}

// keptStatus reports whether an answer of this status may be kept. Errors that a request's own form brings about are not among them: who
// sends what an origin refuses would have the refusal kept for all (CPDoS).
func keptStatus(status int) bool {
	switch status {
	case 200, 203, 204, 300, 301, 302, 307, 308, 404, 410:
		return true
	}
	return false
}

// isFailure reports whether an answer says that the origin does not work (RFC 5861 §4).
func isFailure(status int) bool {
	switch status {
	case 500, 502, 503, 504:
		return true
	}
	return false
}

// keep returns an entry of the answer's header. Those of the connection stay behind, and so do Age, Date and Content-Length, which are
// made anew.
func (a *head) keep(response *fasthttp.Response, terms terms, now time.Time, took time.Duration) *entry {
	e := &entry{status: a.status, etag: bytes.Clone(a.etag), modified: bytes.Clone(a.modified), terms: terms, born: a.born(now, took), seen: now}
	size, count := 0, 0
	for name, value := range response.Header.All() {
		size, count = size+len(name)+len(value), count+1
	}
	text := make([]byte, 0, size)
	e.fields = make([]field, 0, count+1)
	for name, value := range response.Header.All() {
		if isOwnField(name) {
			continue
		}
		text = append(append(text, name...), value...)
		start, middle := len(text)-len(name)-len(value), len(text)-len(value)
		e.fields = append(e.fields, field{text[start:middle:middle], text[middle:len(text):len(text)]})
	}
	if a.sharedMaxAge == unsaid && a.maxAge == unsaid && terms.lifetime > 0 {
		// Expires counts from a Date that the next answers do not have.
		lifetime := strconv.AppendInt([]byte("max-age="), int64(terms.lifetime/time.Second), 10)
		e.fields = append(e.fields, field{cacheControlKey, lifetime})
	}
	return e
}

func isOwnField(name []byte) bool {
	switch len(name) {
	case 3:
		return grammar.EqualFold(name, "age")
	case 4:
		return grammar.EqualFold(name, "date")
	case 14:
		return grammar.EqualFold(name, "content-length")
	}
	return grammar.IsHopByHop(name)
}

// refreshed returns the entry as a 304 has renewed it: fields that it brings take the place of those of that name (RFC 9111 §3.2).
func (e *entry) refreshed(response *fasthttp.Response, now time.Time, took time.Duration) (*entry, *head) {
	var brought head
	brought.read(response)
	var merged fasthttp.Response
	merged.Header.DisableNormalizing()
	merged.Header.SetNoDefaultContentType(true)
	merged.SetStatusCode(e.status)
	for _, f := range e.fields {
		if !brings(&response.Header, f.name) {
			merged.Header.AddBytesKV(f.name, f.value)
		}
	}
	for name, value := range response.Header.All() {
		if !isContentField(name) && !isOwnField(name) {
			merged.Header.AddBytesKV(name, value)
		}
	}
	a := new(head)
	a.read(&merged)
	a.age = brought.age
	renewed := a.keep(&merged, a.terms(now), now, took)
	renewed.hash, renewed.key, renewed.selector, renewed.body, renewed.coded = e.hash, e.key, e.selector, e.body, e.coded
	renewed.made.Store(e.made.Load())
	return renewed, a
}

// brings reports whether a 304 has a field of this name that counts.
func brings(h *fasthttp.ResponseHeader, name []byte) bool {
	if isContentField(name) {
		return false
	}
	for other := range h.All() {
		if bytes.EqualFold(other, name) {
			return true
		}
	}
	return false
}
