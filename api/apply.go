package api

import (
	"context"
	"errors"
	"fmt"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"

	"metahub/api/model"
	"metahub/store"
	"metahub/tenant"
)

// Applied is what ApplyModels has done.
type Applied struct {
	// Indexes are those that are there now, Refused those that the database would not make.
	Indexes, Refused int
	// Filled are the documents that lacked addresses or words for the search.
	Filled int
}

// ApplyModels brings a tenant's database in line with the models: documents get the addresses and words that the server keeps beside
// their texts, and then collections their indexes. It tells of each collection in a line. To do it again does no harm.
func (a *API) ApplyModels(ctx context.Context, t *tenant.Tenant, tell func(line string)) (done Applied, err error) {
	for _, m := range a.resources.Load().models.All() {
		filled, err := a.fill(ctx, t, m)
		if err != nil {
			return done, fmt.Errorf("tenant %q: documents of %s: %w", t.Slug, m.Collection, err)
		}
		done.Filled += filled
		made := 0
		for _, index := range m.Indexes {
			if index.Exists != "" && t.Database.Embedded() {
				continue // which it cannot make, and does without: it writes one document of a tenant at a time
			}
			err := a.store.EnsureIndexes(ctx, t, m.Collection, []store.Index{storeIndex(index)})
			if errors.As(err, new(*store.Unavailable)) || ctx.Err() != nil {
				return done, err
			}
			if err != nil {
				done.Refused++
				tell(fmt.Sprintf("%s: %v", t.Slug, err))
				continue
			}
			made++
		}
		done.Indexes += made
		tell(fmt.Sprintf("%s: %s: %d indexes, %d documents completed", t.Slug, m.Collection, made, filled))
	}
	return done, nil
}

// fillBatch is how many documents are read at once to be filled.
const fillBatch = 100

// fill gives documents what the server makes of their texts, where another program has written them.
func (a *API) fill(ctx context.Context, t *tenant.Tenant, m *model.Model) (filled int, err error) {
	missing, ok := m.Incomplete(model.Scope{Tenant: t.Slug})
	if !ok {
		return 0, nil
	}
	last := any(bson.MinKey{})
	for {
		n := 0
		err := a.store.Do(ctx, t, func(ctx context.Context, db *mongo.Database) error {
			page, err := incomplete(ctx, db, m, missing, last)
			if err != nil {
				return err
			}
			for _, document := range page {
				n++
				last = document.Lookup("_id")
				changed, err := complete(ctx, db, m, model.Scope{Tenant: t.Slug}, document)
				if err != nil {
					return err
				}
				if changed {
					filled++
				}
			}
			return nil
		})
		if err != nil || n < fillBatch {
			return filled, err
		}
	}
}

func incomplete(ctx context.Context, db *mongo.Database, m *model.Model, missing bson.D, after any) (page []bson.Raw, err error) {
	filter := missing
	if _, first := after.(bson.MinKey); !first {
		filter = append(bson.D{{Key: "_id", Value: bson.D{{Key: "$gt", Value: after}}}}, missing...)
	}
	cursor, err := store.Query(ctx, db, bson.D{
		{Key: "find", Value: m.Collection},
		{Key: "filter", Value: filter},
		{Key: "sort", Value: bson.D{{Key: "_id", Value: 1}}},
		{Key: "limit", Value: fillBatch},
	})
	if err != nil {
		return nil, err
	}
	return page, cursor.All(ctx, &page)
}

// complete fills one document, and reports whether it could. One that has changed in the meantime has been filled by who changed it.
func complete(ctx context.Context, db *mongo.Database, m *model.Model, scope model.Scope, document bson.Raw) (bool, error) {
	var current bson.D
	if err := bson.Unmarshal(document, &current); err != nil {
		return false, err
	}
	draft := m.Complete(current)
	if draft.Empty() {
		return false, nil
	}
	if err := settleClaims(ctx, db, m, scope, draft); err != nil {
		return false, err
	}
	guarded := append(bson.D{{Key: "_id", Value: draft.ID()}}, m.Guard(document)...)
	result, err := db.Collection(m.Collection).UpdateOne(ctx, guarded, draft.Operators())
	return err == nil && result.ModifiedCount > 0, err
}
