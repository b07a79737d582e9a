package api

import (
	"context"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"

	"metahub/api/model"
	"metahub/store"
)

// showSlug answers the document with an address. One that has it in the client's language goes before those that have it in another.
func (a *API) showSlug(m *model.Model, view *model.View) handler {
	return func(r *request) (reply, error) {
		view, scope, err := a.admit(r, m, view)
		if err != nil {
			return reply{}, err
		}
		condition, most := m.Slug.Lookup(r.name)
		filter := m.Select(scope, view, condition)
		return a.showOne(r, m, view, func(ctx context.Context, db *mongo.Database, view *model.View) (best bson.Raw, err error) {
			projection := view.Projection
			if m.Slug.Lower != "" {
				projection = append(bson.D{{Key: m.Slug.Lower, Value: 1}}, projection...)
			}
			cursor, err := store.Query(ctx, db, bson.D{
				{Key: "find", Value: m.Collection},
				{Key: "filter", Value: filter},
				{Key: "projection", Value: projection},
				{Key: "limit", Value: most},
			})
			if err != nil {
				return nil, err
			}
			defer cursor.Close(ctx)
			for cursor.Next(ctx) {
				own := m.Slug.In(cursor.Current, r.name, r.language)
				if best == nil || own {
					best = append(bson.Raw(nil), cursor.Current...)
				}
				if own {
					break
				}
			}
			if best == nil && cursor.Err() == nil {
				return nil, mongo.ErrNoDocuments
			}
			return best, cursor.Err()
		})
	}
}
