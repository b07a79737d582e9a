package frontend

import (
	"bytes"
	"net/http"
	"strconv"
	"time"

	"github.com/valyala/fasthttp"

	"metahub/gateway/grammar"
)

// validators tell versions of a representation apart (RFC 9110 §8.8).
type validators struct {
	etag     []byte
	modified []byte
	time     time.Time // in whole seconds, as HTTP has it
}

// verdict is what the preconditions of a request come to.
type verdict uint8

const (
	proceed verdict = iota
	notModified
	preconditionFailed
)

// judge evaluates the preconditions of a GET or HEAD in the order of RFC 9110 §13.2.2, where tags outweigh dates.
func (v validators) judge(h *fasthttp.RequestHeader) verdict {
	if tags := h.PeekAll("If-Match"); len(tags) > 0 {
		if !v.matches(tags, true) {
			return preconditionFailed
		}
	} else if field := h.Peek("If-Unmodified-Since"); len(field) > 0 && !v.isAt(field) {
		if since, err := http.ParseTime(string(field)); err == nil && v.time.After(since) {
			return preconditionFailed
		}
	}
	if tags := h.PeekAll("If-None-Match"); len(tags) > 0 {
		if v.matches(tags, false) {
			return notModified
		}
		return proceed
	}
	field := h.Peek("If-Modified-Since")
	if len(field) == 0 {
		return proceed
	}
	if v.isAt(field) {
		return notModified
	}
	if since, err := http.ParseTime(string(field)); err == nil && !v.time.After(since) {
		return notModified
	}
	return proceed
}

// isAt reports whether a date is the one that we give, which is what nearly all clients send back.
func (v validators) isAt(date []byte) bool { return bytes.Equal(date, v.modified) }

// matches reports whether one of the lists of tags holds ours. A weak tag never matches in a strong comparison (RFC 9110 §8.8.3.2).
func (v validators) matches(lists [][]byte, strong bool) bool {
	for _, tags := range lists {
		for len(tags) > 0 {
			var tag []byte
			tag, tags, _ = bytes.Cut(tags, comma)
			tag = grammar.Trim(tag)
			if !strong {
				tag = bytes.TrimPrefix(tag, weakly)
			}
			if len(tag) == 1 && tag[0] == '*' || bytes.Equal(tag, v.etag) {
				return true
			}
		}
	}
	return false
}

var weakly = []byte("W/")

// part is what of a file is asked for, in bytes.
type part struct {
	kind         partKind
	from, length int64
}

type partKind uint8

const (
	entire partKind = iota
	partial
	beyond // no byte of it is there
)

// wanted reads the Range field (RFC 9110 §14.2). Several ranges, and those of another version of the file, get all of it.
func wanted(h *fasthttp.RequestHeader, v validators, size int64) part {
	all := part{entire, 0, size}
	ranges, ok := bytes.CutPrefix(h.Peek("Range"), []byte("bytes="))
	if !ok || !h.IsGet() {
		return all
	}
	if version := h.Peek("If-Range"); len(version) > 0 && !bytes.Equal(version, v.etag) && !v.isAt(version) {
		return all
	}
	first, last, ok := bytes.Cut(grammar.Trim(ranges), []byte("-"))
	if !ok || len(first)+len(last) == 0 {
		return all
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
	return all
}

func within(from, length, size int64) part {
	if from >= size || length <= 0 {
		return part{kind: beyond}
	}
	return part{partial, from, length}
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
