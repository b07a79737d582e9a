package tickets

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"go.uber.org/zap"
)

const (
	// storageKey is where the keys are.
	storageKey = "tickets/keys.json"
	lockName   = "tickets"
)

// visit returns the keys in the storage, after it has published a new one where that is due.
func (r *Rotation) visit(ctx context.Context) (keys keyRing, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	keys, err = r.load(ctx)
	if err != nil || !r.plan.due(keys, r.now()) {
		return keys, err
	}
	return r.publish(ctx)
}

// load reads the file. One that is absent or damaged holds no keys.
func (r *Rotation) load(ctx context.Context) (keyRing, error) {
	text, err := r.storage.Load(ctx, storageKey)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	keys, err := parse(text)
	if err != nil {
		r.sayTorn(err)
		return nil, nil
	}
	r.torn = false
	return r.plan.plausible(keys, r.now()), nil
}

// publish adds a key to the file, unless another gateway has done so meanwhile. A lost file is written anew with the keys in use, so
// that their sessions go on.
func (r *Rotation) publish(ctx context.Context) (keyRing, error) {
	if err := r.storage.Lock(ctx, lockName); err != nil {
		return nil, err
	}
	defer r.unlock(ctx)
	keys, err := r.load(ctx)
	if err != nil || !r.plan.due(keys, r.now()) {
		return keys, err
	}
	if now := r.now(); len(keys) == 0 && len(r.keys) == 0 {
		keys = r.plan.renew(nil, now)
	} else {
		if len(keys) == 0 {
			keys = r.plan.plausible(r.keys, now)
		}
		if r.plan.due(keys, now) {
			keys = r.plan.renew(keys, now.Add(r.plan.lead))
		}
	}
	return keys, r.storage.Store(ctx, storageKey, keys.format())
}

// unlock gives the lock back even when the rotation is being stopped: else the next gateway would wait for it to go stale.
func (r *Rotation) unlock(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience/2)
	defer cancel()
	if err := r.storage.Unlock(ctx, lockName); err != nil {
		r.logger.Warn("the lock of the session ticket keys could not be given back", zap.Error(err))
	}
}

func (r *Rotation) sayTorn(err error) {
	if r.torn {
		return
	}
	r.torn = true
	r.logger.Warn("the stored session ticket keys are damaged and are made anew", zap.String("storage_key", storageKey), zap.Error(err))
}

// sayHealth tells once of a storage that fails, and once that it is well again.
func (r *Rotation) sayHealth(ctx context.Context, err error) {
	switch {
	case err == nil && r.ill:
		r.ill = false
		r.logger.Info("session ticket keys are shared through the storage again")
	case err != nil && !r.ill && ctx.Err() == nil: // else it is only that Stop was called
		r.ill = true
		r.logger.Warn("session ticket keys cannot be shared: until the storage answers, sessions may not resume at other gateways", zap.Duration("next_try", r.poll), zap.Error(err))
	}
}
