package cache

import (
	"strconv"
	"time"
)

// say adds our part of Cache-Status (RFC 9211) to those of caches behind us.
func (v *visit) say(what, more string) {
	v.scratch = append(append(append(v.scratch[:0], "MetaHub; "...), what...), more...)
	v.ctx.Response.Header.AddBytesKV(cacheStatusKey, v.scratch)
}

// tell is say for an answer that was kept, with how many seconds it may still be used, or how long that time is over.
func (v *visit) tell(e *entry, what, more string) {
	if v.waited != "" {
		v.say(string(v.waited), "; collapsed")
		return
	}
	v.scratch = append(append(append(v.scratch[:0], "MetaHub; "...), what...), "; ttl="...)
	v.scratch = append(strconv.AppendInt(v.scratch, int64((e.lifetime-e.age(v.now))/time.Second), 10), more...)
	v.ctx.Response.Header.AddBytesKV(cacheStatusKey, v.scratch)
}

// tellFailed is tell where the origin has failed.
func (v *visit) tellFailed(e *entry, status int, out bool) {
	if out {
		v.tell(e, "fwd=stale", "; detail=unreachable")
		return
	}
	v.tell(e, "fwd=stale", "; fwd-status="+strconv.Itoa(status))
}
