package storage

import (
	"context"
	"fmt"
	"sync"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
)

const (
	// deletedLife is how long a deletion is known.
	deletedLife = time.Hour
	// sweepEvery is how often deletions older than that are forgotten.
	sweepEvery = 10 * time.Minute
	// deleteBatch is how many keys are deleted, and noted in one document, at once.
	deleteBatch = 500
)

// Delete implements certmagic.Storage.
func (m *mongoStorage) Delete(ctx context.Context, key string) error {
	if err := checkKey(key); err != nil {
		return err
	}
	found, err := m.writtenSince(ctx, key, nil)
	if err != nil {
		return err
	}
	for len(found) > 0 {
		batch := found[:min(len(found), deleteBatch)]
		if err := m.deleteAll(ctx, batch); err != nil {
			return fmt.Errorf("deleting %q: %w", key, err)
		}
		found = found[len(batch):]
	}
	return nil
}

// deleteAll notes a deletion before, so that it is noted even if we are killed, and once more afterwards, so that who saw the note and still
// found the values looks again.
func (m *mongoStorage) deleteAll(ctx context.Context, files []change) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	keys := make([]string, 0, len(files))
	for _, file := range files {
		keys = append(keys, file.ID)
	}
	id := randomID()
	if err := m.noteDeletion(ctx, id, keys); err != nil {
		return err
	}
	which := bson.D{{Key: "_id", Value: bson.D{{Key: "$in", Value: keys}}}}
	if len(keys) == 1 {
		which = bson.D{{Key: "_id", Value: keys[0]}} // FerretDB reads the whole collection for any other filter
	}
	if _, err := m.files.DeleteMany(ctx, which); err != nil {
		return m.fault("cannot delete", err)
	}
	if err := m.noteDeletion(ctx, id, keys); err != nil {
		return err
	}
	m.forgetDeletions(ctx, id)
	return nil
}

func (m *mongoStorage) noteDeletion(ctx context.Context, id string, keys []string) error {
	note := bson.D{
		{Key: "$set", Value: bson.D{{Key: "keys", Value: keys}, {Key: "version", Value: randomID()}}},
		{Key: "$currentDate", Value: bson.D{{Key: "modified", Value: true}}},
	}
	if _, err := m.deleted.UpdateOne(ctx, bson.D{{Key: "_id", Value: id}}, note, options.UpdateOne().SetUpsert(true)); err != nil {
		return m.fault("cannot note a deletion", err)
	}
	return nil
}

// sweeps is when old deletions were last forgotten.
type sweeps struct {
	mu   sync.Mutex
	last time.Time
}

// forgetDeletions removes the notes that are old by the server's clock, which the note just written tells. A fault only delays it.
func (m *mongoStorage) forgetDeletions(ctx context.Context, id string) {
	if !m.sweeps.due() {
		return
	}
	var note change
	if err := m.deleted.FindOne(ctx, bson.D{{Key: "_id", Value: id}}).Decode(&note); err != nil {
		return
	}
	m.deleted.DeleteMany(ctx, bson.D{{Key: "modified", Value: bson.D{{Key: "$lt", Value: note.Modified.Add(-deletedLife)}}}})
}

func (s *sweeps) due() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.last.IsZero() && time.Since(s.last) < sweepEvery {
		return false
	}
	s.last = time.Now()
	return true
}
