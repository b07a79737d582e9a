package tenant

import (
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
)

// Reloader keeps a Registry in step with tenants.yaml and the files that it names. Every attempt reads all of them, builds a whole
// Directory beside the one in force, and puts it in force with one pointer store. Its methods may be called at once from any number
// of goroutines; attempts follow one another.
type Reloader struct {
	source   Source
	logger   *zap.Logger
	registry *Registry
	running  Gateway // what only a restart can change is as at the start
	verdict  atomic.Pointer[Verdict]
	inputs   atomic.Pointer[inputs] // of the last attempt; never changed afterwards
	settle   time.Duration          // how long files must stay as they are before they are read
	poll     time.Duration          // how often they are compared, whatever the file system has told

	attempt sync.Mutex // held for the length of an attempt; guards what follows
	made    *madeSecrets
	unkept  bool // the last good versions in the data folder are not those in force
}

// Open loads for a start. A tenant at fault is served as it was last good before the restart, from the data folder, and left out if
// it never was; the Verdict tells. The error is Faults, and is only set for a fault outside the tenants.
func Open(source Source, logger *zap.Logger) (*Reloader, error) {
	began := time.Now()
	logger = logger.Named("tenant")
	l := begin(source)
	if len(l.outside) > 0 {
		l.complete(nil, passingSecrets) // for all faults at once
		return nil, l.faults()
	}
	last, err := readKept(l.gateway.Data)
	if err != nil {
		logger.Warn("last good versions of tenants cannot be read, so tenants at fault are left out", zap.Error(err))
	}
	made := newMadeSecrets(l.gateway.Data)
	l.complete(last, made.of)
	if l.directory == nil {
		return nil, l.faults()
	}
	l.inputs.watch(made.path)
	r := &Reloader{
		source:   source,
		logger:   logger,
		registry: NewRegistry(l.directory),
		running:  l.gateway,
		settle:   settleTime,
		poll:     pollTime,
		made:     made,
	}
	r.inputs.Store(l.inputs)
	verdict := l.verdict(began)
	verdict.Published = true
	verdict.compare(last, l.directory)
	r.unkept = last == nil || verdict.changes()
	r.conclude(verdict)
	return r, nil
}

// Registry returns what the Reloader keeps in step.
func (r *Reloader) Registry() *Registry { return r.registry }

// Verdict returns the outcome of the last attempt.
func (r *Reloader) Verdict() Verdict { return *r.verdict.Load() }

// Reload reads everything now, also when nothing has changed on disk.
func (r *Reloader) Reload() Verdict {
	r.attempt.Lock()
	defer r.attempt.Unlock()
	return r.load()
}

// load makes one attempt. r.attempt is held.
func (r *Reloader) load() Verdict {
	began := time.Now()
	before := r.registry.Current()
	l := begin(r.source)
	l.complete(before, r.made.of)
	l.inputs.watch(r.made.path)
	r.inputs.Store(l.inputs)
	verdict := l.verdict(began)
	if l.directory != nil {
		l.directory.gateway = verdict.keepRunning(r.running, l.directory.gateway)
		verdict.compare(before, l.directory)
		verdict.Published = true
		r.registry.Publish(l.directory)
		r.unkept = r.unkept || verdict.changes()
	}
	r.conclude(verdict)
	return r.Verdict()
}

// conclude notes the outcome of an attempt, and keeps the versions that are now in force.
func (r *Reloader) conclude(v Verdict) {
	v.Duration = time.Since(v.Time)
	v.count(r.verdict.Load())
	r.verdict.Store(&v)
	tenants := r.registry.Current().Tenants()
	v.log(r.logger, r.source.Path, len(tenants))
	if !r.unkept {
		return
	}
	if err := keepTenants(r.running.Data, tenants); err != nil {
		r.logger.Error("last good versions of tenants cannot be kept, so a restart cannot fall back to them", zap.Error(err))
		return
	}
	r.unkept = false
}

// verdict is what a pass found.
func (l *loading) verdict(began time.Time) Verdict {
	faults := l.faults()
	return Verdict{Time: began, OK: len(faults) == 0, Faults: faults, Flagged: l.flagged()}
}
