package store

import (
	"context"
	"errors"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.mongodb.org/mongo-driver/v2/mongo/readpref"
)

type readFromKey struct{}

// ReadFrom makes Query and Ask under ctx read from servers that pref prefers, whose documents may be older than those of the primary. With nil they
// read from the primary, as everything else does, whatever the tenant's URI says. A Do under such a ctx goes on while there is no primary, if pref
// allows others.
func ReadFrom(ctx context.Context, pref *readpref.ReadPref) context.Context {
	if pref == nil {
		return ctx
	}
	return context.WithValue(ctx, readFromKey{}, pref)
}

// preference is what ReadFrom has said, or nil.
func preference(ctx context.Context) *readpref.ReadPref {
	pref, _ := ctx.Value(readFromKey{}).(*readpref.ReadPref)
	return pref
}

// readFrom returns ctx's preference as an option, because the driver's RunCommand heeds none of a database or client: without one it reads
// from the primary.
func readFrom(ctx context.Context) []options.Lister[options.RunCmdOptions] {
	if pref := preference(ctx); pref != nil {
		return []options.Lister[options.RunCmdOptions]{options.RunCmd().SetReadPreference(pref)}
	}
	return nil
}

// Query runs a command that reads and answers with a cursor: find, aggregate. Unlike the driver's own Find and Aggregate it tells the
// database by maxTimeMS how long there is somebody to wait for it (DRIVERS-2722): what nobody waits for any more would go on
// running there. Like those it is tried once more where the connection broke or the server was not to be read from just then.
func Query(ctx context.Context, db *mongo.Database, command bson.D) (*mongo.Cursor, error) {
	return twice(ctx, func() (*mongo.Cursor, error) { return db.RunCommandCursor(ctx, command, readFrom(ctx)...) })
}

// Ask runs a command that reads and answers with one document, such as count, in the same way as Query.
func Ask(ctx context.Context, db *mongo.Database, command bson.D) (bson.Raw, error) {
	return twice(ctx, func() (bson.Raw, error) { return db.RunCommand(ctx, command, readFrom(ctx)...).Raw() })
}

// twice tries once more what may succeed then (Retryable Reads specification).
func twice[T any](ctx context.Context, read func() (T, error)) (T, error) {
	result, err := read()
	if err != nil && ctx.Err() == nil && isRetryable(err) {
		return read()
	}
	return result, err
}

func isRetryable(err error) bool {
	var command mongo.CommandError
	return mongo.IsNetworkError(err) && !mongo.IsTimeout(err) ||
		errors.As(err, &command) && (isFailover(command.Code) || command.HasErrorLabel("RetryableReadError"))
}
