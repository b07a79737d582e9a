package api

import (
	"context"
	"errors"
	"fmt"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"

	"metahub/api/model"
)

// maxSkip is how far pages reach: beyond it the database would walk ever more documents to throw them away.
const maxSkip = 10_000

// list answers the documents that a view shows, page by page.
func (a *API) list(m *model.Model, view *model.View) handler {
	return func(r *request) (reply, error) {
		if err := a.admit(r, m, view); err != nil {
			return reply{}, err
		}
		q, err := parseQuery(r.http.URI().QueryString(), view)
		if err != nil {
			return reply{}, err
		}
		filter := m.Select(r.tenant.Slug, view, q.conditions...)
		var page bson.RawArray
		total := int64(-1)
		err = a.store.Do(r.ctx, r.tenant, func(ctx context.Context, db *mongo.Database) (err error) {
			if page, err = find(ctx, db, m.Collection, filter, view, q); err != nil {
				return err
			}
			total, err = count(ctx, db, m.Collection, filter, q, page)
			return err
		})
		if err != nil {
			return reply{}, fmt.Errorf("list %s: %w", m.Collection, err)
		}
		return reply{
			status:  200,
			message: "OK",
			data:    documents{page, view.Output},
			meta:    &meta{total: total, page: q.page, limit: q.limit},
		}, nil
	}
}

// find runs as a command, because the driver's own Find sends no maxTimeMS (DRIVERS-2722): a list that nobody waits for any more
// would go on running in the database. Its reply is walked as it came.
func find(ctx context.Context, db *mongo.Database, collection string, filter bson.D, view *model.View, q query) (bson.RawArray, error) {
	command := bson.D{
		{Key: "find", Value: collection},
		{Key: "filter", Value: filter},
		{Key: "projection", Value: view.Projection},
		{Key: "sort", Value: q.sort},
		{Key: "skip", Value: q.skip()},
		{Key: "limit", Value: q.limit},
		{Key: "singleBatch", Value: true},
		{Key: "batchSize", Value: q.limit}, // or the database stops at 101
	}
	raw, err := db.RunCommand(ctx, command).Raw()
	if err != nil {
		return nil, err
	}
	batch, ok := raw.Lookup("cursor", "firstBatch").ArrayOK()
	if !ok {
		return nil, errors.New("the database's reply to find has no cursor.firstBatch")
	}
	return batch, nil
}

// count returns how many documents the filter selects. A page that is not full has told already; otherwise the database counts, but
// no further than pages reach.
func count(ctx context.Context, db *mongo.Database, collection string, filter bson.D, q query, page bson.RawArray) (int64, error) {
	values, err := page.Values()
	if err != nil {
		return 0, err
	}
	n := len(values)
	if n < q.limit && (n > 0 || q.page == 1) {
		return int64(q.skip() + n), nil
	}
	raw, err := db.RunCommand(ctx, bson.D{
		{Key: "count", Value: collection},
		{Key: "query", Value: filter},
		{Key: "limit", Value: maxSkip + model.MaxLimit},
	}).Raw()
	if err != nil {
		return 0, err
	}
	total, ok := raw.Lookup("n").AsInt64OK()
	if !ok {
		return 0, errors.New("the database's reply to count has no n")
	}
	return total, nil
}
