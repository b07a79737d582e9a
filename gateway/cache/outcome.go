package cache

import (
	"metahub/gateway/compress"
	"metahub/tenant"
)

var _ compress.Stored = (*Outcome)(nil)

// Result is how the cache has dealt with a request.
type Result uint8

// The results. Of the first, requests that the cache has nothing to do with, nothing is said anywhere.
const (
	None        Result = iota
	Hit                // from what is kept
	Stale              // from what is kept, although its time is over: a newer one is being fetched, or cannot be
	Revalidated        // from what is kept, after the origin has said that it is still right
	Miss               // from the origin, and kept
	Pass               // from the origin, and not kept
	Shield             // the last good answer, as the origin is out
	results
)

// String is the form that logs and metrics use; empty for None.
func (r Result) String() string {
	return [results]string{"", "hit", "stale", "revalidated", "miss", "pass", "shield"}[r]
}

// Outcome is what Serve has made of a request. It must not be kept for longer than that.
type Outcome struct {
	Result Result
	shelf  *shelf
	entry  *entry // that was answered with; nil for none
}

// FromStore reports whether the answer was taken from what is kept.
func (o *Outcome) FromStore() bool { return o.entry != nil }

// Coded implements compress.Stored.
func (o *Outcome) Coded(coding tenant.Coding) []byte { return o.entry.coded[coding] }

// Keep implements compress.Stored. It does nothing where somebody else has begun to.
func (o *Outcome) Keep(coding tenant.Coding, body []byte) {
	if bit := uint32(1) << coding; o.entry.made.Or(bit)&bit == 0 {
		o.shelf.replace(o.entry, o.entry.with(coding, append([]byte{}, body...)))
	}
}
