package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"metahub/tenant"
)

const (
	// maxWatches bounds the change streams of a deployment. Each holds a connection of the client's pool, beside those of operations.
	maxWatches = 256
	// watchAwait is how long the server holds a question for changes when there are none, and watchPatience how long until it is taken
	// for dead. watchStart bounds the beginning of a stream.
	watchAwait    = 5 * time.Second
	watchPatience = 15 * time.Second
	watchStart    = 8 * time.Second
	// watchEnd bounds telling the server that a stream is over.
	watchEnd = time.Second
)

var (
	// ErrNoChanges is the error of a Watch on a database that has no change streams, or none for this user.
	ErrNoChanges = errors.New("the database has no change streams")
	// ErrPositionLost is the error of a Watch that is to go on from where the server cannot go on from any more.
	ErrPositionLost = errors.New("the database does not know any more what has changed since")
)

// Watch is what is asked of a tenant's change stream.
type Watch struct {
	// Stages go behind $changeStream.
	Stages mongo.Pipeline
	// After is a resume token: the stream goes on behind it. nil means from now on.
	After bson.Raw
	// Opened is called once the stream is there: what is written from now on is heard.
	Opened func()
	// Heard is called with each change, and without one now and then, with the token to go on from. It may keep both.
	Heard func(change, token bson.Raw)
}

// Watch hears the changes of t's database until ctx ends or the stream does; the error, which is never nil, says why. It calls w's
// functions one at a time. It is no operation: it takes no slot of the tenant's, and the embedded database has no changes to tell.
//
// The error is *Unavailable where the deployment cannot be reached or has too many streams, ErrNoChanges, ErrPositionLost, ctx's, or
// the server's. After all but ErrNoChanges it is worth trying again.
func (s *Store) Watch(ctx context.Context, t *tenant.Tenant, w Watch) error {
	d, err := s.acquire(t)
	if err != nil {
		return err
	}
	defer s.release(d)
	ctx, cancel := context.WithCancelCause(withTenant(ctx, t.Slug))
	defer cancel(nil)
	defer context.AfterFunc(s.life, func() { cancel(errClosed) })()
	return d.watch(ctx, cancel, t, w)
}

func (d *deployment) watch(ctx context.Context, cancel context.CancelCauseFunc, t *tenant.Tenant, w Watch) error {
	if d.embedded {
		return ErrNoChanges
	}
	up, err := d.breaker(ctx).available()
	if err != nil {
		return err
	}
	defer context.AfterFunc(up, func() { cancel(context.Cause(up)) })()
	if d.watches.Add(1) > maxWatches {
		d.watches.Add(-1)
		return d.unavailable(retryDown, fmt.Errorf("it has %d change streams already", maxWatches))
	}
	defer d.watches.Add(-1)
	stream, err := d.openStream(ctx, t, w)
	if err != nil {
		return err
	}
	w.Opened()
	if token := stream.ResumeToken(); token != nil {
		w.Heard(nil, slices.Clone(token))
	}
	for {
		cursor := stream.ID()
		change, err := next(ctx, stream)
		if err != nil {
			d.endStream(t, stream, cursor)
			return d.judge(ctx, err)
		}
		w.Heard(change, slices.Clone(stream.ResumeToken()))
	}
}

// endStream tells the server that a stream is over. The driver does so with the context of the last question, which has ended.
func (d *deployment) endStream(t *tenant.Tenant, stream *mongo.ChangeStream, cursor int64) {
	ctx, cancel := context.WithTimeout(withTenant(context.Background(), t.Slug), watchEnd)
	defer cancel()
	_ = stream.Close(ctx)
	if client := d.client.Load(); client != nil && cursor != 0 {
		client.Database(t.Database.Name).RunCommand(ctx, bson.D{{Key: "killCursors", Value: "$cmd.aggregate"}, {Key: "cursors", Value: bson.A{cursor}}})
	}
}

// openStream begins a stream. Who gives up meanwhile leaves the server a moment to answer: a stream that it has begun and nobody knows of
// stays open there for minutes.
func (d *deployment) openStream(ctx context.Context, t *tenant.Tenant, w Watch) (*mongo.ChangeStream, error) {
	connecting, stop := context.WithTimeout(ctx, watchStart)
	defer stop()
	client, err := d.connected(connecting)
	if err != nil {
		return nil, d.connectFailed(connecting, t, err)
	}
	starting, cancel := context.WithTimeout(context.WithoutCancel(ctx), watchStart)
	defer cancel()
	defer context.AfterFunc(ctx, func() { time.AfterFunc(watchEnd, cancel) })()
	opts := options.ChangeStream().SetFullDocument(options.UpdateLookup).SetMaxAwaitTime(watchAwait)
	if w.After != nil {
		opts.SetStartAfter(w.After) // behind an invalidation, too, where resumeAfter would be refused
	}
	stream, err := client.Database(t.Database.Name).Watch(starting, w.Stages, opts)
	switch {
	case ctx.Err() != nil && err == nil:
		d.endStream(t, stream, stream.ID())
		return nil, d.judge(ctx, context.Cause(ctx))
	case ctx.Err() != nil:
		return nil, d.judge(ctx, err)
	case err != nil:
		return nil, d.judgeStart(starting, err, w.After != nil)
	}
	return stream, nil
}

// judgeStart tells a server that refuses to begin a stream from one that cannot just now.
func (d *deployment) judgeStart(ctx context.Context, err error, resumes bool) error {
	judged := d.judge(ctx, err)
	var unavailable *Unavailable
	var refused mongo.CommandError
	switch {
	case errors.As(judged, &unavailable), !errors.As(err, &refused), refused.HasErrorLabel("NetworkError"):
		return judged
	case resumes:
		return fmt.Errorf("%w: %s", ErrPositionLost, d.redact.Replace(err.Error()))
	case mongo.IsTimeout(err):
		return judged
	}
	return fmt.Errorf("%w: %s", ErrNoChanges, d.redact.Replace(err.Error()))
}

var errStreamEnded = errors.New("the database has ended the change stream")

// next waits for a change. Without one it is nil: the server has said so.
func next(ctx context.Context, stream *mongo.ChangeStream) (bson.Raw, error) {
	ctx, cancel := context.WithTimeout(ctx, watchPatience)
	defer cancel()
	switch {
	case stream.TryNext(ctx):
		return slices.Clone(stream.Current), nil
	case stream.Err() != nil:
		return nil, stream.Err()
	case stream.ID() == 0:
		return nil, errStreamEnded
	}
	return nil, nil
}
