package shelf

import "time"

// Info tells of a certificate without parsing it.
type Info struct {
	NotBefore, NotAfter time.Time
	// Issuer is the key of the issuer that it was ordered from, "letsencrypt"; of an adopted one it may be empty.
	Issuer string
	// SignedBy is what a browser shows as the issuer, its common name, "R11".
	SignedBy string
	// Adopted says where it was taken over from; empty for one that was ordered.
	Adopted string
	// Names is how many host names and addresses are in it.
	Names int
}

func (c *content) info() Info {
	return Info{
		NotBefore: time.Unix(c.notBefore, 0).UTC(),
		NotAfter:  time.Unix(c.notAfter, 0).UTC(),
		Issuer:    c.issuer,
		SignedBy:  c.signedBy,
		Adopted:   c.adopted,
		Names:     int(c.names),
	}
}

// Stats are counts of one moment; Hits to Expired have grown since New.
type Stats struct {
	Expected int // announced, not read
	Packed   int // in memory
	Parsed   int // of those, ready to serve
	Bytes    int // memory of the packed level, holes included

	Hits    uint64 // lookups answered by a parsed certificate
	Cold    uint64 // lookups that parsed a packed one
	Loaded  uint64 // certificates read through Load
	Expired uint64 // lookups that found a certificate past its end
}

// Stats adds up all shards.
func (s *Shelf) Stats() Stats {
	var sum Stats
	for i := range s.shards {
		s.shards[i].addTo(&sum)
	}
	sum.Bytes += s.tails.size()
	return sum
}
