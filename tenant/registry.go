package tenant

import "sync/atomic"

// Registry holds the current Directory behind one atomic pointer. Readers pull; nobody is notified.
type Registry struct{ current atomic.Pointer[Directory] }

// NewRegistry starts with d.
func NewRegistry(d *Directory) *Registry {
	r := &Registry{}
	r.Publish(d)
	return r
}

// Current returns the Directory in force. Hold it for the whole of a request.
func (r *Registry) Current() *Directory { return r.current.Load() }

// Publish makes d the Directory in force for every request that begins from now on.
func (r *Registry) Publish(d *Directory) { r.current.Store(d) }
