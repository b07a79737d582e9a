package storage

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/caddyserver/certmagic"
	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
)

// mongoFile is a value in the collection of files.
type mongoFile struct {
	Key      string    `bson:"_id"`
	Value    []byte    `bson:"value"`
	Size     int64     `bson:"size"`
	Version  string    `bson:"version"`  // a random text of each write
	Modified time.Time `bson:"modified"` // by the server's clock
	Lock     string    `bson:"lock,omitempty"`
	Fence    int64     `bson:"fence,omitempty"` // the token of the last StoreLocked under Lock
}

// upserts is how often a write is tried that fails because another has made the document at the same time.
const upserts = 4

// Store implements certmagic.Storage.
func (m *mongoStorage) Store(ctx context.Context, key string, value []byte) error {
	return m.write(ctx, key, value, bson.D{{Key: "_id", Value: key}}, nil)
}

// StoreLocked implements Storage. The lock is looked at first, and the write itself is refused where a later holder has written: it may
// arrive when our lease has ended.
func (m *mongoStorage) StoreLocked(ctx context.Context, lock, key string, value []byte) error {
	c, err := m.leases.holding(lock)
	if err != nil {
		return fmt.Errorf("storing %q: %w", key, err)
	}
	name, err := lockName(lock)
	if err != nil {
		return err
	}
	looking, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	if err := m.locks.stillOurs(looking, name, c); err != nil {
		if errors.Is(err, errTaken) {
			err = ErrLockLost
		}
		return fmt.Errorf("storing %q: lock %q: %w", key, lock, err)
	}
	unfenced := bson.A{
		bson.D{{Key: "lock", Value: bson.D{{Key: "$ne", Value: name}}}},
		bson.D{{Key: "fence", Value: bson.D{{Key: "$lte", Value: c.token}}}},
	}
	filter := bson.D{{Key: "_id", Value: key}, {Key: "$or", Value: unfenced}}
	return m.write(ctx, key, value, filter, bson.D{{Key: "lock", Value: name}, {Key: "fence", Value: c.token}})
}

// write replaces what filter finds, or makes the document. A filter that finds a fence instead makes the same _id again, which fails.
func (m *mongoStorage) write(ctx context.Context, key string, value []byte, filter, fence bson.D) error {
	if err := errors.Join(checkKey(key), checkSize(key, value)); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	var err error
	for range upserts {
		if _, err = m.files.UpdateOne(ctx, filter, writing(value, fence), options.UpdateOne().SetUpsert(true)); !mongo.IsDuplicateKeyError(err) {
			break
		}
	}
	if mongo.IsDuplicateKeyError(err) && fence != nil {
		return fmt.Errorf("storing %q: %w", key, ErrLockLost)
	}
	if err != nil {
		return m.fault(fmt.Sprintf("cannot store %q", key), err)
	}
	return nil
}

// writing is the update that replaces a value.
func writing(value []byte, fence bson.D) bson.D {
	set := append(bson.D{{Key: "value", Value: value}, {Key: "size", Value: int64(len(value))}, {Key: "version", Value: randomID()}}, fence...)
	return bson.D{{Key: "$set", Value: set}, {Key: "$currentDate", Value: bson.D{{Key: "modified", Value: true}}}}
}

// Load implements certmagic.Storage.
func (m *mongoStorage) Load(ctx context.Context, key string) ([]byte, error) {
	file, err := m.find(ctx, key, bson.D{{Key: "value", Value: 1}})
	if err != nil {
		return nil, err
	}
	if len(file.Value) == 0 {
		return nil, fmt.Errorf("loading %q: %w", key, ErrTorn)
	}
	return file.Value, nil
}

func (m *mongoStorage) find(ctx context.Context, key string, fields bson.D) (mongoFile, error) {
	if err := checkKey(key); err != nil {
		return mongoFile{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	var file mongoFile
	err := m.files.FindOne(ctx, bson.D{{Key: "_id", Value: key}}, options.FindOne().SetProjection(fields)).Decode(&file)
	if errors.Is(err, mongo.ErrNoDocuments) {
		return mongoFile{}, fmt.Errorf("loading %q: %w", key, fs.ErrNotExist)
	}
	if err != nil {
		return mongoFile{}, m.fault(fmt.Sprintf("cannot load %q", key), err)
	}
	return file, nil
}

// Exists implements certmagic.Storage.
func (m *mongoStorage) Exists(ctx context.Context, key string) bool {
	_, err := m.Stat(ctx, key)
	return err == nil
}

// Stat implements certmagic.Storage.
func (m *mongoStorage) Stat(ctx context.Context, key string) (certmagic.KeyInfo, error) {
	file, err := m.find(ctx, key, bson.D{{Key: "size", Value: 1}, {Key: "modified", Value: 1}})
	if err == nil && file.Size == 0 {
		return certmagic.KeyInfo{}, fmt.Errorf("looking at %q: %w", key, ErrTorn)
	}
	if err == nil {
		return certmagic.KeyInfo{Key: key, Modified: file.Modified, Size: file.Size, IsTerminal: true}, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return certmagic.KeyInfo{}, err
	}
	below, scanErr := m.scan(ctx, m.files, bson.D{{Key: "_id", Value: idsBelow(key)}}, options.Find().SetProjection(onlyID).SetLimit(1))
	if scanErr != nil {
		return certmagic.KeyInfo{}, scanErr
	}
	if len(below) == 0 {
		return certmagic.KeyInfo{}, err
	}
	return certmagic.KeyInfo{Key: key}, nil
}

// List implements certmagic.Storage. Like the folder's it returns the keys of folders too.
func (m *mongoStorage) List(ctx context.Context, prefix string, recursive bool) ([]string, error) {
	if err := checkPrefix(prefix); err != nil {
		return nil, err
	}
	found, err := m.scan(ctx, m.files, bson.D{{Key: "_id", Value: idsBelow(prefix)}}, options.Find().SetProjection(onlyID))
	if err != nil {
		return nil, err
	}
	if len(found) == 0 && prefix != "" {
		return nil, fmt.Errorf("listing %q: %w", prefix, fs.ErrNotExist)
	}
	var keys []string
	for _, file := range found {
		keys = appendParts(keys, prefix, file.Key, recursive)
	}
	slices.Sort(keys)
	return slices.Compact(keys), nil
}

// appendParts adds a key and the folders that lead to it, as far as they are listed.
func appendParts(keys []string, prefix, key string, recursive bool) []string {
	begin := 0
	if prefix != "" {
		begin = len(prefix) + 1
	}
	for {
		slash := strings.IndexByte(key[begin:], '/')
		if slash < 0 {
			return append(keys, key)
		}
		keys = append(keys, key[:begin+slash])
		if !recursive {
			return keys
		}
		begin += slash + 1
	}
}

var onlyID = bson.D{{Key: "_id", Value: 1}}

// idsBelow is a condition for the keys in a folder: a range, for which the index serves.
func idsBelow(folder string) bson.D {
	if folder == "" {
		return bson.D{{Key: "$gt", Value: ""}}
	}
	return bson.D{{Key: "$gt", Value: folder + "/"}, {Key: "$lt", Value: folder + "0"}} // "0" is what follows "/"
}

func (m *mongoStorage) scan(ctx context.Context, collection *mongo.Collection, filter bson.D, opts ...options.Lister[options.FindOptions]) ([]mongoFile, error) {
	ctx, cancel := context.WithTimeout(ctx, scanTimeout)
	defer cancel()
	cursor, err := collection.Find(ctx, filter, opts...)
	if err != nil {
		return nil, m.fault("cannot be listed", err)
	}
	var found []mongoFile
	if err := cursor.All(ctx, &found); err != nil {
		return nil, m.fault("cannot be listed", err)
	}
	return found, nil
}
