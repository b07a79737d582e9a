// Package conditional decides whether a file is answered, and what part of it: preconditions (RFC 9110 §13) and ranges (§14).
//
//	v := conditional.Validators{ETag: tag, Modified: date, Time: modified}
//	if v.Judge(&ctx.Request.Header) == conditional.Proceed {
//		part := v.Cut(ctx, size) // sets the status, Content-Range and Accept-Ranges; what is left is to send these bytes
//	}
//
// It reads and writes heads alone, and holds for files as the gateway and the API serve them: with a strong tag, and one range at a time.
package conditional

import (
	"bytes"
	"net/http"
	"strconv"
	"time"

	"github.com/valyala/fasthttp"
)

// Validators tell versions of a representation apart (RFC 9110 §8.8).
type Validators struct {
	// ETag is a strong entity tag with its quotes.
	ETag []byte
	// Modified is Last-Modified as HTTP writes it, and Time the same in whole seconds. Without them conditions on dates are passed over.
	Modified []byte
	Time     time.Time
}

// Verdict is what the preconditions of a request come to.
type Verdict uint8

// The verdicts: answer, 304 or 412.
const (
	Proceed Verdict = iota
	NotModified
	PreconditionFailed
)

// Judge evaluates the preconditions of a GET or HEAD in the order of RFC 9110 §13.2.2, where tags outweigh dates.
func (v Validators) Judge(h *fasthttp.RequestHeader) Verdict {
	if tags := h.PeekAll("If-Match"); len(tags) > 0 {
		if !v.matches(tags, true) {
			return PreconditionFailed
		}
	} else if field := h.Peek("If-Unmodified-Since"); v.comparesDates(field) && !v.isAt(field) {
		if since, err := http.ParseTime(string(field)); err == nil && v.Time.After(since) {
			return PreconditionFailed
		}
	}
	if tags := h.PeekAll("If-None-Match"); len(tags) > 0 {
		if v.matches(tags, false) {
			return NotModified
		}
		return Proceed
	}
	field := h.Peek("If-Modified-Since")
	if !v.comparesDates(field) {
		return Proceed
	}
	if v.isAt(field) {
		return NotModified
	}
	if since, err := http.ParseTime(string(field)); err == nil && !v.Time.After(since) {
		return NotModified
	}
	return Proceed
}

func (v Validators) comparesDates(field []byte) bool { return len(field) > 0 && len(v.Modified) > 0 }

// isAt reports whether a date is the one that we give, which is what nearly all clients send back.
func (v Validators) isAt(date []byte) bool { return bytes.Equal(date, v.Modified) }

// matches reports whether one of the lists of tags holds ours. A weak tag never matches in a strong comparison (RFC 9110 §8.8.3.2).
func (v Validators) matches(lists [][]byte, strong bool) bool {
	for _, tags := range lists {
		for len(tags) > 0 {
			var tag []byte
			tag, tags, _ = bytes.Cut(tags, []byte(","))
			tag = trim(tag)
			if !strong {
				tag = bytes.TrimPrefix(tag, []byte("W/"))
			}
			if len(tag) == 1 && tag[0] == '*' || bytes.Equal(tag, v.ETag) {
				return true
			}
		}
	}
	return false
}

func trim(b []byte) []byte { return bytes.Trim(b, " \t") }

// Part is what of a file is answered, in bytes. Its length may be 0.
type Part struct{ From, Length int64 }

// Cut decides which part is asked for, and says so in the head of the answer. The status stays what it is for all of the file; it is
// 206 for a part, and 416 where no byte of it is there, with nothing to send.
func (v Validators) Cut(ctx *fasthttp.RequestCtx, size int64) Part {
	h := &ctx.Response.Header
	h.SetCanonical(acceptRangesKey, byteRanges)
	part, kind := v.wanted(&ctx.Request.Header, size)
	switch kind {
	case partial:
		ctx.SetStatusCode(fasthttp.StatusPartialContent)
		h.Set("Content-Range", "bytes "+decimal(part.From)+"-"+decimal(part.From+part.Length-1)+"/"+decimal(size))
	case beyond:
		ctx.SetStatusCode(fasthttp.StatusRequestedRangeNotSatisfiable)
		h.Set("Content-Range", "bytes */"+decimal(size))
	}
	return part
}

// Names and values as fasthttp takes them without a copy.
var acceptRangesKey, byteRanges = []byte("Accept-Ranges"), []byte("bytes")

func decimal(n int64) string { return strconv.FormatInt(n, 10) }

type kind uint8

const (
	entire kind = iota
	partial
	beyond
)

// wanted reads the Range field (RFC 9110 §14.2). Several ranges, and those of another version of the file, get all of it.
func (v Validators) wanted(h *fasthttp.RequestHeader, size int64) (Part, kind) {
	all := Part{0, size}
	ranges, ok := bytes.CutPrefix(h.Peek("Range"), []byte("bytes="))
	if !ok || !h.IsGet() {
		return all, entire
	}
	if version := h.Peek("If-Range"); len(version) > 0 && !bytes.Equal(version, v.ETag) && !(v.comparesDates(version) && v.isAt(version)) {
		return all, entire
	}
	first, last, ok := bytes.Cut(trim(ranges), []byte("-"))
	if !ok || len(first)+len(last) == 0 {
		return all, entire
	}
	from, fromOK := offset(first)
	to, toOK := offset(last)
	switch {
	case len(first) == 0 && toOK: // the last bytes
		n := min(to, size)
		return within(size-n, n, size)
	case fromOK && len(last) == 0:
		return within(from, size-from, size)
	case fromOK && toOK && from <= to:
		return within(from, min(to, size-1)-from+1, size)
	}
	return all, entire
}

func within(from, length, size int64) (Part, kind) {
	if from >= size || length <= 0 {
		return Part{}, beyond
	}
	return Part{from, length}, partial
}

// offset parses a number of bytes. One beyond any file counts as the largest.
func offset(digits []byte) (int64, bool) {
	for _, c := range digits {
		if c < '0' || c > '9' {
			return 0, false
		}
	}
	if len(digits) == 0 {
		return 0, false
	}
	n, err := strconv.ParseInt(string(digits), 10, 64)
	if err != nil {
		return 1<<63 - 2, true
	}
	return n, true
}
