package adopt

import (
	"fmt"
	"time"
)

// Plan leaves out what would not better the storage. have tells until when a domain's stored certificate is valid; ok is false where there is none.
func Plan(found []Found, have func(domain string) (notAfter time.Time, ok bool)) (take []Found, skip []Unread) {
	for _, f := range found {
		stored, ok := have(f.Record.Domain)
		if !ok || stored.Before(f.Record.Leaf.NotAfter) {
			take = append(take, f)
			continue
		}
		skip = append(skip, Unread{Path: f.Path, Reason: fmt.Sprintf("holds a certificate for %q until %s, and the one in the storage is valid until %s: that one stays",
			f.Record.Domain, day(f.Record.Leaf.NotAfter), day(stored))})
	}
	return take, skip
}
