package storage

import (
	"context"
	"slices"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
)

// overlap is how far before the newest change that was seen Changes looks again. A write may get its time before another and be seen after
// it, and after an election the clock is another machine's.
const overlap = time.Minute

// mongoMark is the newest change that was seen, and the writes within the overlap before it.
type mongoMark struct {
	storage string
	newest  time.Time
	seen    map[string]string // version of each key; immutable
}

// change is what Changes reads of a document: of a file that was written, or of a deletion.
type change struct {
	ID       string    `bson:"_id"`
	Keys     []string  `bson:"keys"` // of a deletion
	Version  string    `bson:"version"`
	Modified time.Time `bson:"modified"`
}

// Changes implements Storage.
func (m *mongoStorage) Changes(ctx context.Context, prefix string, since Mark) ([]string, Mark, error) {
	if err := checkPrefix(prefix); err != nil {
		return nil, since, err
	}
	if err := m.prepare(ctx); err != nil {
		return nil, since, err
	}
	old := since.mongo
	if old == nil || since.prefix != prefix || old.storage != m.target.name {
		old = nil
	}
	found, err := m.writtenSince(ctx, prefix, old)
	if err != nil {
		return nil, since, err
	}
	next := &mongoMark{storage: m.target.name, seen: map[string]string{}}
	var before map[string]string
	if old != nil {
		next.newest, before = old.newest, old.seen
	}
	var keys []string
	for _, f := range found {
		if f.Modified.After(next.newest) {
			next.newest = f.Modified
		}
		if before[f.id()] != f.Version {
			keys = append(keys, f.keysBelow(prefix)...)
		}
	}
	slices.Sort(keys)
	keys = slices.Compact(keys)
	for _, f := range found {
		if f.Modified.After(next.newest.Add(-overlap)) {
			next.seen[f.id()] = f.Version
		}
	}
	return keys, Mark{prefix: prefix, mongo: next}, nil
}

// id is one that no other change has: the keys of files hold no NUL.
func (c change) id() string {
	if c.Keys != nil {
		return "\x00" + c.ID
	}
	return c.ID
}

func (c change) keysBelow(prefix string) []string {
	if c.Keys == nil {
		return []string{c.ID}
	}
	return slices.DeleteFunc(slices.Clone(c.Keys), func(key string) bool { return prefix != "" && !within(key, prefix) })
}

// writtenSince finds all files when there is no mark, else files and deletions.
func (m *mongoStorage) writtenSince(ctx context.Context, prefix string, old *mongoMark) ([]change, error) {
	ctx, cancel := context.WithTimeout(ctx, scanTimeout)
	defer cancel()
	if old == nil {
		return m.changed(ctx, m.files, bson.D{atOrBelow(prefix)})
	}
	recent := bson.E{Key: "modified", Value: bson.D{{Key: "$gt", Value: old.newest.Add(-overlap)}}}
	written, err := m.changed(ctx, m.files, bson.D{recent, atOrBelow(prefix)})
	if err != nil {
		return nil, err
	}
	deleted, err := m.changed(ctx, m.deleted, bson.D{recent})
	return append(written, deleted...), err
}

// atOrBelow is a condition for a prefix, which may be the key of a value itself.
func atOrBelow(prefix string) bson.E {
	return bson.E{Key: "$or", Value: bson.A{bson.D{{Key: "_id", Value: prefix}}, bson.D{{Key: "_id", Value: idsBelow(prefix)}}}}
}

func (m *mongoStorage) changed(ctx context.Context, collection *mongo.Collection, filter bson.D) ([]change, error) {
	fields := bson.D{{Key: "keys", Value: 1}, {Key: "version", Value: 1}, {Key: "modified", Value: 1}}
	cursor, err := collection.Find(ctx, filter, options.Find().SetProjection(fields))
	if err != nil {
		return nil, m.fault("cannot be looked at for changes", err)
	}
	var found []change
	if err := cursor.All(ctx, &found); err != nil {
		return nil, m.fault("cannot be looked at for changes", err)
	}
	return found, nil
}
