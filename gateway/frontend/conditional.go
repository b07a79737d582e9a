package frontend

import (
	"bytes"
	"io/fs"
	"net/http"
	"strconv"
	"time"

	"github.com/valyala/fasthttp"

	"metahub/gateway/grammar"
)

// validators tell versions of a file apart (RFC 9110 §8.8). A file that is written twice within a tick of the clock with the same
// size is the only one that they mistake.
type validators struct {
	etag     string
	modified string
	time     time.Time // in whole seconds, as HTTP has it
}

func validatorsOf(info fs.FileInfo) validators {
	modified := info.ModTime()
	return validators{
		etag:     `"` + strconv.FormatInt(modified.UnixNano(), 36) + "-" + strconv.FormatInt(info.Size(), 36) + `"`,
		modified: modified.UTC().Format(http.TimeFormat),
		time:     modified.Truncate(time.Second),
	}
}

// unchanged reports whether the client has this version already. If-None-Match outweighs If-Modified-Since (RFC 9110 §13.2.2).
func (v validators) unchanged(h *fasthttp.RequestHeader) bool {
	if tags := h.Peek("If-None-Match"); len(tags) > 0 {
		return v.matches(tags)
	}
	since, err := http.ParseTime(string(h.Peek("If-Modified-Since")))
	return err == nil && !v.time.After(since)
}

// matches compares weakly, as If-None-Match asks for.
func (v validators) matches(tags []byte) bool {
	for len(tags) > 0 {
		var tag []byte
		tag, tags, _ = bytes.Cut(tags, comma)
		tag = grammar.Trim(tag)
		if string(tag) == "*" || string(bytes.TrimPrefix(tag, []byte("W/"))) == v.etag {
			return true
		}
	}
	return false
}

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
	if version := h.Peek("If-Range"); len(version) > 0 && string(version) != v.etag && string(version) != v.modified {
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
