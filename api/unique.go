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

// indexed remembers which collections are known to have their unique indexes.
type indexed struct{ done sync.Map }

type indexedCollection struct {
	database   tenant.Database
	collection string
}

// ensureUnique creates the model's unique indexes before the first write to a collection. A database that refuses them, because it
// holds duplicates already, is written to all the same, as it was before us.
func (a *API) ensureUnique(ctx context.Context, t *tenant.Tenant, m *model.Model) error {
	if len(m.Unique) == 0 {
		return nil
	}
	key := indexedCollection{t.Database, m.Collection}
	if t.Database.Embedded() {
		key.database.Name = t.Slug // embedded databases are kept apart by slug
	}
	if _, ok := a.indexed.done.Load(key); ok {
		return nil
	}
	indexes := make([]store.Index, len(m.Unique))
	for i, fields := range m.Unique {
		indexes[i] = store.Index{Fields: fields, Unique: true}
	}
	err := a.store.EnsureIndexes(ctx, t, m.Collection, indexes)
	if errors.As(err, new(*store.Unavailable)) {
		return err
	}
	if err != nil {
		a.log.Warn("unique index not created; duplicates are possible until it is",
			zap.String("tenant", t.Slug), zap.String("collection", m.Collection), zap.Error(err))
	}
	a.indexed.done.Store(key, true)
	return nil
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
		if len(m.Unique) == 1 || strings.Contains(message, last+"_1") {
			return &Error{Status: 409, Code: "duplicate", Message: fmt.Sprintf("Another document has the same %q already.", last), cause: err}
		}
	}
	return &Error{Status: 409, Code: "duplicate", Message: "Another document has the same unique value already.", cause: err}
}
