package store_test

import (
	"context"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"

	"metahub/store"
)

var sample = []store.Collection{
	{Name: "c", Documents: []bson.D{{{Key: "text", Value: "1"}}, {{Key: "text", Value: "2"}}}},
	{Name: "empty"},
}

func TestSeedOnce(t *testing.T) {
	data := t.TempDir()
	a := newTenant("a", "")
	s := store.New(store.Config{Data: data})
	if seeded, err := s.SeedOnce(t.Context(), a, sample); err != nil || !seeded {
		t.Errorf("an empty database: got %t, %v", seeded, err)
	}
	insert(t, s, a, "3")
	if err := s.Close(context.Background()); err != nil {
		t.Error(err)
	}

	s = open(t, store.Config{Data: data, Patience: patience})
	if seeded, err := s.SeedOnce(t.Context(), a, sample); err != nil || seeded {
		t.Errorf("the second start: got %t, %v", seeded, err)
	}
	if got := count(t, s, a); got != 3 {
		t.Errorf("got %d documents, want the seeded two and the third", got)
	}
	// What was deleted stays deleted.
	drop(t, s, "a", "c")
	if seeded, err := s.SeedOnce(t.Context(), a, sample); err != nil || seeded || count(t, s, a) != 0 {
		t.Errorf("after everything was deleted: got %t, %v", seeded, err)
	}
}

func TestSeedLeavesOthersDataAlone(t *testing.T) {
	s := open(t, store.Config{Patience: patience})
	a := newTenant("a", "")
	insert(t, s, a, "theirs")
	if seeded, err := s.SeedOnce(t.Context(), a, sample); err != nil || seeded {
		t.Errorf("got %t, %v, want nothing written", seeded, err)
	}
	if got := count(t, s, a); got != 1 {
		t.Errorf("got %d documents, want 1", got)
	}
}

func TestSeedContinues(t *testing.T) {
	s := open(t, store.Config{Patience: patience})
	a := newTenant("a", "")
	failing := []store.Collection{sample[0], {Name: "twice", Documents: []bson.D{{{Key: "_id", Value: 1}}, {{Key: "_id", Value: 1}}}}}
	if seeded, err := s.SeedOnce(t.Context(), a, failing); err == nil || seeded {
		t.Errorf("with a duplicate: got %t, %v, want an error", seeded, err)
	}
	if seeded, err := s.SeedOnce(t.Context(), a, sample); err != nil || !seeded {
		t.Errorf("again: got %t, %v", seeded, err)
	}
	if got := count(t, s, a); got != 2 {
		t.Errorf("got %d documents, want 2", got)
	}
}

func TestSeedAtOnce(t *testing.T) {
	s := open(t, store.Config{Patience: patience})
	a := newTenant("a", "")
	var seeds atomic.Int32
	var running sync.WaitGroup
	for range 4 {
		running.Go(func() {
			seeded, err := s.SeedOnce(t.Context(), a, sample)
			if err != nil {
				t.Error(err)
			}
			if seeded {
				seeds.Add(1)
			}
		})
	}
	running.Wait()
	if seeds.Load() != 1 || count(t, s, a) != 2 {
		t.Errorf("got %d seeds and %d documents, want 1 and 2", seeds.Load(), count(t, s, a))
	}
}

func TestEnsureIndexes(t *testing.T) {
	s := open(t, store.Config{Patience: patience})
	a := newTenant("a", "")
	indexes := []store.Index{
		{Fields: []string{"text"}, Unique: true},
		{Fields: []string{"isActive", "-createdAt"}},
	}
	for range 2 { // existing ones are kept
		if err := s.EnsureIndexes(t.Context(), a, "c", indexes); err != nil {
			t.Fatal(err)
		}
	}
	insert(t, s, a, "once")
	err := s.Do(t.Context(), a, func(ctx context.Context, db *mongo.Database) error {
		_, err := db.Collection("c").InsertOne(ctx, bson.D{{Key: "text", Value: "once"}})
		return err
	})
	if !mongo.IsDuplicateKeyError(err) {
		t.Errorf("got %v, want a duplicate key error", err)
	}
	err = s.EnsureIndexes(t.Context(), a, "c", []store.Index{{Fields: []string{"text", "text"}}})
	if err == nil || !strings.Contains(err.Error(), `index ["text" "text"]`) {
		t.Errorf("an impossible index: got %v, want an error that names it", err)
	}
	if err := s.EnsureIndexes(t.Context(), a, "c", nil); err != nil {
		t.Errorf("no indexes: %v", err)
	}
}

func drop(t *testing.T, s *store.Store, slug, collection string) {
	t.Helper()
	err := s.Do(t.Context(), newTenant(slug, ""), func(ctx context.Context, db *mongo.Database) error {
		return db.Collection(collection).Drop(ctx)
	})
	if err != nil {
		t.Fatal(err)
	}
}
