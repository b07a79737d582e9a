package model

import (
	"time"

	"go.mongodb.org/mongo-driver/v2/mongo/readpref"
)

// A replica set's secondaries are behind its primary. Drivers refuse to bound that below minStaleness, in seconds (Max Staleness
// specification), which is also the bound of a view that names none; a day is the most that may be said.
const (
	minStaleness = 90
	maxStaleness = 24 * 60 * 60
)

// readFrom reads which servers answer public reads: nil is the primary. "secondary" is not offered: with no secondary there would be no answer.
func (s *source) readFrom(public mapping) *readpref.ReadPref {
	mode := public.get("readPreference")
	seconds := s.between(public.get("maxStalenessSeconds"), "public.maxStalenessSeconds", minStaleness, minStaleness, maxStaleness)
	bound := readpref.WithMaxStaleness(time.Duration(seconds) * time.Second)
	named := s.text(mode, "public.readPreference")
	switch named {
	case "primaryPreferred":
		return readpref.PrimaryPreferred(bound)
	case "secondaryPreferred":
		return readpref.SecondaryPreferred(bound)
	case "nearest":
		return readpref.Nearest(bound)
	case "", "primary":
		if n := public.get("maxStalenessSeconds"); n != nil {
			s.fault(n, "public.maxStalenessSeconds says how old documents of a secondary may be: name a public.readPreference that reads from one, or leave it out")
		}
		return nil
	}
	s.fault(mode, "public.readPreference is %q: write primary, primaryPreferred, secondaryPreferred or nearest", named)
	return nil
}
