package store

import (
	"context"
	"fmt"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"metahub/tenant"
)

// Index is an index of a collection.
type Index struct {
	// Fields are its keys in order; "-createdAt" is in descending order.
	Fields []string
	// Unique refuses a second document with the same values.
	Unique bool
	// Exists, when not empty, is a field without which a document is not in the index. The embedded database makes no such index, and a
	// unique one would refuse documents without the field, so there it is left out.
	Exists string
}

// EnsureIndexes creates those of indexes that t's collection lacks, under the names that MongoDB gives by default. It is an error if the
// documents are not as unique as one demands. One that exists with other settings MongoDB refuses and FerretDB leaves as it is.
func (s *Store) EnsureIndexes(ctx context.Context, t *tenant.Tenant, collection string, indexes []Index) error {
	err := s.Do(ctx, t, func(ctx context.Context, db *mongo.Database) error {
		// One by one: FerretDB 1.24 breaks the connection when asked for several that exist.
		for _, index := range indexes {
			if index.Exists != "" && t.Database.Embedded() {
				continue
			}
			if _, err := db.Collection(collection).Indexes().CreateOne(ctx, index.model()); err != nil {
				return fmt.Errorf("index %q: %w", index.Fields, err)
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("collection %q of tenant %q: %w", collection, t.Slug, err)
	}
	return nil
}

func (i Index) model() mongo.IndexModel {
	keys := make(bson.D, len(i.Fields))
	for at, field := range i.Fields {
		name, descending := strings.CutPrefix(field, "-")
		order := 1
		if descending {
			order = -1
		}
		keys[at] = bson.E{Key: name, Value: order}
	}
	settings := options.Index().SetUnique(i.Unique)
	if i.Exists != "" {
		settings.SetPartialFilterExpression(bson.D{{Key: i.Exists, Value: bson.D{{Key: "$exists", Value: true}}}})
	}
	return mongo.IndexModel{Keys: keys, Options: settings}
}
