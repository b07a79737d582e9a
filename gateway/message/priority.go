package message

import (
	"slices"
	"strings"
)

// Priority is when an answer is sent before others (RFC 9218).
type Priority struct {
	Urgency     uint8 // 0 is sent first, 7 last
	Incremental bool  // sent in turns with others of its urgency, and not one after the other
}

// Unsaid is the priority of who says none. By RFC 9218 §4.2 it would not be incremental. But a client that knows nothing of priorities
// expects its downloads to go on side by side.
var Unsaid = Priority{Urgency: 3, Incremental: true}

// ParsePriority reads the value of a Priority field, a dictionary of RFC 8941 of which two members matter: u=0 to u=7, and i. What it does
// not understand it passes over.
func ParsePriority(value string) Priority {
	if value == "" {
		return Unsaid
	}
	p := Priority{Urgency: 3}
	for value != "" {
		var member string
		member, value, _ = strings.Cut(value, ",")
		member, _, _ = strings.Cut(strings.Trim(member, " \t"), ";")
		switch {
		case len(member) == 3 && member[:2] == "u=" && '0' <= member[2] && member[2] <= '7':
			p.Urgency = member[2] - '0'
		case member == "i", member == "i=?1":
			p.Incremental = true
		case member == "i=?0":
			p.Incremental = false
		}
	}
	return p
}

// Foretold are the priorities that PRIORITY_UPDATE frames give to streams that are not open yet (RFC 9218 §7). Whoever keeps them bounds
// the ids that a client may name. The zero value is ready.
type Foretold []foretold

type foretold struct {
	id uint64
	Priority
}

// Say notes the last word on a stream, and returns how many streams there is a word on.
func (f *Foretold) Say(id uint64, p Priority) int {
	at := slices.IndexFunc(*f, func(one foretold) bool { return one.id == id })
	if at < 0 {
		*f = append(*f, foretold{id, p})
	} else {
		(*f)[at].Priority = p
	}
	return len(*f)
}

// Open returns what was said of a stream that is opened now, if anything was. With it all streams of lower ids are open, or never will be.
func (f *Foretold) Open(id uint64) (p Priority, said bool) {
	if len(*f) == 0 {
		return Unsaid, false
	}
	p = Unsaid
	*f = slices.DeleteFunc(*f, func(one foretold) bool {
		if one.id == id {
			p, said = one.Priority, true
		}
		return one.id <= id
	})
	return p, said
}
