package storage

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
)

// sealed is a Storage whose values are encrypted in the one below it, except those that are public.
type sealed struct {
	Storage
	sealer *sealer
}

// swapper replaces a value that is still what it was.
type swapper interface {
	// swap reports false when it is not.
	swap(ctx context.Context, key string, old, new []byte) (bool, error)
}

// Seal encrypts what is stored from now on with a key of 32 bytes; keys that end with ".crt" hold no secret and stay readable. What is there
// already is read as it is, until SealAll seals it. Without a key, nil, nothing is sealed, and a sealed value fails with ErrSealed instead of
// being taken for another thing. Stat tells the size of what is kept, which is larger.
func Seal(s Storage, key []byte) (Storage, error) {
	sealer, err := newSealer(key)
	if err != nil {
		return nil, err
	}
	return &sealed{Storage: s, sealer: sealer}, nil
}

// Store implements certmagic.Storage.
func (s *sealed) Store(ctx context.Context, key string, value []byte) error {
	return s.Storage.Store(ctx, key, s.sealer.seal(key, value))
}

// StoreLocked implements Storage.
func (s *sealed) StoreLocked(ctx context.Context, lock, key string, value []byte) error {
	return s.Storage.StoreLocked(ctx, lock, key, s.sealer.seal(key, value))
}

// Load implements certmagic.Storage.
func (s *sealed) Load(ctx context.Context, key string) ([]byte, error) {
	value, err := s.Storage.Load(ctx, key)
	if err != nil {
		return nil, err
	}
	if value, err = s.sealer.open(key, value); err != nil {
		return nil, fmt.Errorf("loading %q: %w", key, err)
	}
	return value, nil
}

// SealAll seals what is still plain below the given prefixes and returns how many values that were; call it at a start. s comes from Seal with
// a key. A value that another process replaces meanwhile stays as that process wrote it. It goes on after a fault, up to twenty,
// and returns all of them; they include ErrSealed, once, when values are sealed with another key.
func SealAll(ctx context.Context, s Storage, prefixes ...string) (int, error) {
	own, ok := s.(*sealed)
	if !ok || own.sealer.aead == nil {
		return 0, errors.New("the certificate storage has no key to seal with")
	}
	swapper, ok := own.Storage.(swapper)
	if !ok {
		return 0, fmt.Errorf("what is kept in %s cannot be sealed afterwards", s)
	}
	run := sealing{ctx: ctx, sealed: own, swapper: swapper}
	for _, prefix := range prefixes {
		keys, err := own.List(ctx, prefix, true)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			run.faults = append(run.faults, err)
		}
		for _, key := range keys {
			run.seal(key)
		}
	}
	if run.foreign > 0 {
		run.faults = append(run.faults, fmt.Errorf("%d values, such as %q: %w", run.foreign, run.example, ErrSealed))
	}
	return run.count, errors.Join(append(run.faults, ctx.Err())...)
}

// sealing is one run of SealAll.
type sealing struct {
	ctx     context.Context
	sealed  *sealed
	swapper swapper
	count   int
	foreign int // values under another key
	example string
	faults  []error
}

// maxFaults bounds the errors that one run collects.
const maxFaults = 20

func (r *sealing) seal(key string) {
	if r.ctx.Err() != nil || public(key) || len(r.faults) >= maxFaults {
		return
	}
	value, err := r.sealed.Storage.Load(r.ctx, key)
	if errors.Is(err, fs.ErrNotExist) { // a folder, or gone
		return
	}
	if err != nil {
		r.faults = append(r.faults, err)
		return
	}
	if isSealed(value) {
		r.checkForeign(key, value)
		return
	}
	done, err := r.swapper.swap(r.ctx, key, value, r.sealed.sealer.seal(key, value))
	if err != nil {
		r.faults = append(r.faults, err)
		return
	}
	if done {
		r.count++
	}
}

func (r *sealing) checkForeign(key string, value []byte) {
	if bytes.HasPrefix(value[len(sealMagic):], []byte(r.sealed.sealer.fingerprint)) {
		return
	}
	r.foreign++
	r.example = key
}
