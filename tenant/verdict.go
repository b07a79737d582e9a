package tenant

import (
	"time"

	"go.uber.org/zap"
)

// Verdict is the outcome of one attempt to load. It is never changed once given out.
type Verdict struct {
	// Time is when the attempt began; Duration is how long it took until the new Directory was in force.
	Time     time.Time
	Duration time.Duration
	// OK is true when there were no faults at all.
	OK bool
	// Published is true when the attempt's Directory is in force; false after a fault outside the tenants, which keeps the one before.
	Published bool
	// Faults are all faults of the attempt, in the order of files and lines.
	Faults Faults
	// Added, Changed and Removed are slugs, against the Directory before.
	Added, Changed, Removed []string
	// Flagged are the slugs at fault: each is served as it was last good, or left out if it never was.
	Flagged []string
	// Attempts counts the attempts since the start, this one included; Failures those of them that were not OK.
	Attempts, Failures uint64
	// Restart has a sentence for each setting that differs from the running one and cannot change without a restart.
	Restart []string
}

// count goes on from the attempt before, which is nil for the first.
func (v *Verdict) count(before *Verdict) {
	if before != nil {
		v.Attempts, v.Failures = before.Attempts, before.Failures
	}
	v.Attempts++
	if !v.OK {
		v.Failures++
	}
}

// compare fills in what differs between two Directories. before may be nil.
func (v *Verdict) compare(before, after *Directory) {
	var known map[string]*Tenant
	if before != nil {
		known = before.bySlug
	}
	for _, t := range after.tenants {
		last, ok := known[t.Slug]
		switch {
		case !ok:
			v.Added = append(v.Added, t.Slug)
		case !last.same(t):
			v.Changed = append(v.Changed, t.Slug)
		}
	}
	if before == nil {
		return
	}
	for _, t := range before.tenants {
		if after.bySlug[t.Slug] == nil {
			v.Removed = append(v.Removed, t.Slug)
		}
	}
}

// changes reports whether anything that is served differs.
func (v *Verdict) changes() bool { return len(v.Added)+len(v.Changed)+len(v.Removed) > 0 }

// log writes the one line that an administrator needs after an attempt, and one for every fault, up to a bound.
func (v *Verdict) log(logger *zap.Logger, path string, tenants int) {
	for _, sentence := range v.Restart {
		logger.Warn(sentence)
	}
	const most = 20
	for _, fault := range v.Faults[:min(most, len(v.Faults))] {
		logger.Error(fault.String(), zap.String("tenant", fault.Tenant))
	}
	fields := []zap.Field{
		zap.String("file", path),
		zap.Int("tenants", tenants),
		zap.Int("faults", len(v.Faults)),
		zap.Int("added", len(v.Added)), zap.Strings("added_tenants", bounded(v.Added)),
		zap.Int("changed", len(v.Changed)), zap.Strings("changed_tenants", bounded(v.Changed)),
		zap.Int("removed", len(v.Removed)), zap.Strings("removed_tenants", bounded(v.Removed)),
		zap.Strings("flagged", bounded(v.Flagged)),
		zap.Duration("duration", v.Duration),
	}
	switch {
	case v.OK:
		logger.Info("tenants loaded", fields...)
	case v.Published:
		logger.Warn("tenants loaded, those at fault as they were last good", fields...)
	default:
		logger.Error("tenants not loaded, those before stay in force", fields...)
	}
}
