package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"metahub/tenant"
)

// Collection is a collection's first documents.
type Collection struct {
	Name      string
	Documents []bson.D
}

// stateCollection holds what the gateway itself keeps in a tenant's database.
const stateCollection = "metahub_state"

// seedState is the document that says how far seeding has come.
type seedState struct {
	ID   string     `bson:"_id"`
	Done *time.Time `bson:"done,omitempty"`
}

// SeedOnce fills t's database with collections, unless it has been seeded before or holds anything already, and reports whether it has.
// Seeding that was interrupted is continued.
func (s *Store) SeedOnce(ctx context.Context, t *tenant.Tenant, collections []Collection) (bool, error) {
	s.seeding.Lock() // so that two calls for one tenant do not both find it empty
	defer s.seeding.Unlock()
	seeded := false
	err := s.Do(ctx, t, func(ctx context.Context, db *mongo.Database) error {
		claimed, err := claimSeed(ctx, db)
		if err != nil || !claimed {
			return err
		}
		for _, collection := range collections {
			if err := fill(ctx, db.Collection(collection.Name), collection.Documents); err != nil {
				return fmt.Errorf("collection %q: %w", collection.Name, err)
			}
		}
		seeded = true
		_, err = db.Collection(stateCollection).UpdateByID(ctx, "seed", bson.D{{Key: "$set", Value: bson.D{{Key: "done", Value: time.Now()}}}})
		return err
	})
	if err != nil {
		return false, fmt.Errorf("seeding tenant %q: %w", t.Slug, err)
	}
	return seeded, nil
}

// claimSeed reports whether the database is ours to fill: it is empty, or we have begun before and not finished.
func claimSeed(ctx context.Context, db *mongo.Database) (bool, error) {
	var state seedState
	err := db.Collection(stateCollection).FindOne(ctx, bson.D{{Key: "_id", Value: "seed"}}).Decode(&state)
	if err == nil {
		return state.Done == nil, nil
	}
	if !errors.Is(err, mongo.ErrNoDocuments) {
		return false, err
	}
	names, err := db.ListCollectionNames(ctx, bson.D{})
	if err != nil || len(names) > 0 {
		return false, err
	}
	_, err = db.Collection(stateCollection).InsertOne(ctx, seedState{ID: "seed"})
	if mongo.IsDuplicateKeyError(err) {
		return false, nil // another process was faster
	}
	return err == nil, err
}

// fill inserts documents into a collection that has none.
func fill(ctx context.Context, collection *mongo.Collection, documents []bson.D) error {
	count, err := collection.CountDocuments(ctx, bson.D{}, options.Count().SetLimit(1))
	if err != nil || count > 0 || len(documents) == 0 {
		return err
	}
	_, err = collection.InsertMany(ctx, documents)
	return err
}
