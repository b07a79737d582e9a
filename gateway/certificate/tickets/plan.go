package tickets

import (
	"crypto/rand"
	"time"
)

// plan says when keys change. It is the same at all gateways.
type plan struct {
	every time.Duration // how long a key encrypts
	lead  time.Duration // how long before its time a key is published
}

// due reports whether a new key is to be published: there is none, or the newest is about to have served its time. One that is published
// and not in use yet is waited for.
func (p plan) due(keys keyRing, now time.Time) bool {
	if len(keys) == 0 {
		return true
	}
	newest := keys[0].from
	return !newest.After(now) && !newest.Add(p.every-p.lead).After(now)
}

// overdue reports whether a gateway that cannot reach the storage is to go on alone: a key that is used for ever gives away all the
// sessions there have been once it is lost.
func (p plan) overdue(keys keyRing, now time.Time) bool {
	return len(keys) == 0 || !keys[0].from.Add(2*p.every).After(now)
}

// renew adds a new key, which encrypts once the newest has served its time and not before earliest, and drops the oldest.
func (p plan) renew(keys keyRing, earliest time.Time) keyRing {
	from := earliest
	if len(keys) > 0 && keys[0].from.Add(p.every).After(from) {
		from = keys[0].from.Add(p.every)
	}
	fresh := key{from: from.UTC().Truncate(time.Millisecond)}
	rand.Read(fresh.secret[:])
	return append(keyRing{fresh}, keys[:min(len(keys), maxKeys-1)]...)
}

// plausible leaves out keys from further ahead than any gateway publishes one: somebody's clock was wrong, and the rotation would stand
// still until then.
func (p plan) plausible(keys keyRing, now time.Time) keyRing {
	latest := now.Add(p.every + 2*p.lead)
	for len(keys) > 0 && keys[0].from.After(latest) {
		keys = keys[1:]
	}
	return keys
}
