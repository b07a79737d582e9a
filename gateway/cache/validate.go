package cache

import (
	"bytes"
	"time"
)

// conditions are a client's own, which it sent for what it has itself.
type conditions struct {
	tags  [][]byte
	since []byte
}

// replaceConditions has the origin asked whether e is still right, instead of what the client has (RFC 9111 §4.3.1). The client gets its
// answer from what comes of that.
func (v *visit) replaceConditions(e *entry) conditions {
	h := &v.ctx.Request.Header
	var own conditions
	for _, tags := range h.PeekAll("If-None-Match") {
		own.tags = append(own.tags, bytes.Clone(tags))
	}
	own.since = bytes.Clone(h.PeekCanonical(ifModifiedSinceKey))
	h.DelBytes(ifNoneMatchKey)
	h.DelBytes(ifModifiedSinceKey)
	if len(e.etag) > 0 {
		h.SetCanonical(ifNoneMatchKey, e.etag)
	}
	if len(e.modified) > 0 {
		h.SetCanonical(ifModifiedSinceKey, e.modified)
	}
	return own
}

func (v *visit) restoreConditions(own conditions) {
	h := &v.ctx.Request.Header
	h.DelBytes(ifNoneMatchKey)
	h.DelBytes(ifModifiedSinceKey)
	for _, tags := range own.tags {
		h.AddBytesKV(ifNoneMatchKey, tags)
	}
	if len(own.since) > 0 {
		h.SetCanonical(ifModifiedSinceKey, own.since)
	}
}

// revalidated answers with what the origin has called still right. A 304 about another version than ours says nothing about ours (RFC 9111
// §4.3.4); then the origin is asked without a condition.
func (v *visit) revalidated(found *entry, seq uint64, took time.Duration) Outcome {
	response := &v.ctx.Response
	renewed, a := found.refreshed(response, v.now, took)
	response.Reset()
	if len(found.etag) > 0 && !bytes.Equal(bytes.TrimPrefix(a.etag, weak), bytes.TrimPrefix(found.etag, weak)) {
		v.shelf.drop(found)
		v.reason = uriMiss
		return v.ask(nil)
	}
	switch p := (pending{shelf: v.shelf, url: v.hash, seq: seq, entry: renewed}); {
	case !a.open():
		v.shelf.drop(found)
	case !v.noStore:
		p.commit(found.body)
	}
	v.land(renewed)
	renewed.answer(v.ctx, v.now)
	v.tell(renewed, string(v.reason), "; fwd-status=304")
	return Outcome{Revalidated, v.shelf, renewed}
}
