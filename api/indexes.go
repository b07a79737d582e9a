package api

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.uber.org/zap"

	"metahub/api/model"
	"metahub/store"
	"metahub/tenant"
)

// indexed remembers which collections are known to have their indexes.
type indexed struct{ done sync.Map }

type indexedCollection struct {
	database   tenant.Database
	collection string
}

// ensureIndexes creates the model's unique indexes before the first write to a collection, and in the embedded database the others too:
// who tries MetaHub runs no command for them. A database that refuses them, because it holds duplicates already, is written to all the
// same, as it was before us.
func (a *API) ensureIndexes(ctx context.Context, known *indexed, t *tenant.Tenant, m *model.Model) error {
	var wanted []store.Index
	for _, index := range m.Indexes {
		if t.Database.Embedded() || index.Unique && index.Exists == "" {
			wanted = append(wanted, storeIndex(index))
		}
	}
	return a.ensure(ctx, known, t, m.Collection, wanted)
}

func (a *API) ensure(ctx context.Context, known *indexed, t *tenant.Tenant, collection string, wanted []store.Index) error {
	if len(wanted) == 0 {
		return nil
	}
	key := indexedCollection{t.Database, collection}
	if t.Database.Embedded() {
		key.database.Name = t.Slug // embedded databases are kept apart by slug
	}
	if _, ok := known.done.Load(key); ok {
		return nil
	}
	err := a.store.EnsureIndexes(ctx, t, collection, wanted)
	if errors.As(err, new(*store.Unavailable)) {
		return err
	}
	if err != nil {
		a.log.Warn("indexes not created; duplicates are possible until they are",
			zap.String("tenant", t.Slug), zap.String("collection", collection), zap.Error(err))
	}
	known.done.Store(key, true)
	return nil
}

func storeIndex(index model.Index) store.Index {
	return store.Index{Fields: index.Fields, Unique: index.Unique, Exists: index.Exists}
}

// isDuplicate also knows FerretDB with SQLite, which reports a duplicate on update as an internal error.
func isDuplicate(err error) bool {
	return mongo.IsDuplicateKeyError(err) || strings.Contains(err.Error(), "UNIQUE constraint failed: index ")
}

// duplicate names the field of which another document has the value, and neither the value nor the rest of the database's message.
func duplicate(m *model.Model, err error) error {
	message := err.Error()
	for _, fields := range m.Unique {
		last := fields[len(fields)-1]
		// Not every database names the index; where there is one alone, it must be that. Ids are made here and never meet.
		if len(m.Unique) == 1 && m.Slug == nil || strings.Contains(message, last+"_1") {
			return &Error{Status: 409, Code: "duplicate", Message: fmt.Sprintf("Another document has the same %q already.", last), cause: err}
		}
	}
	if m.Slug != nil && strings.Contains(message, "_"+m.Slug.Lower+".") {
		return &Error{Status: 409, Code: "duplicate", Message: fmt.Sprintf("Another document has the same %q already.", m.Slug.Field), cause: err}
	}
	return &Error{Status: 409, Code: "duplicate", Message: "Another document has the same unique value already.", cause: err}
}
