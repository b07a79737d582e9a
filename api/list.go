package api

import (
	"context"
	"errors"
	"fmt"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"

	"metahub/api/model"
	"metahub/tenant"
)

const (
	// maxSkip is how far pages reach: beyond it the database would walk ever more documents to throw them away.
	maxSkip = 10_000
	// maxPage is the most that one list holds in memory, in bytes. It is also the most that MongoDB sends at once.
	maxPage = 16 << 20
)

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
		s := search{
			query:      q,
			collection: m.Collection,
			filter:     m.Select(r.tenant.Slug, view, q.conditions...),
			projection: view.Projection,
			batch:      batchSize(r.tenant, q.limit),
			maxPage:    a.maxPage,
		}
		var found page
		err = a.store.Do(r.ctx, r.tenant, func(ctx context.Context, db *mongo.Database) (err error) {
			found, err = s.run(ctx, db)
			return err
		})
		if err != nil {
			return reply{}, fmt.Errorf("list %s: %w", m.Collection, err)
		}
		return reply{
			status:  200,
			message: "OK",
			data:    documents{found.raw, view.Output},
			meta:    &meta{total: found.total, page: q.page, limit: q.limit},
		}, nil
	}
}

// batchSize is the whole page where possible. FerretDB does not bound the size of a batch: one that is longer than a message of the
// wire protocol (48 MB) breaks the connection.
func batchSize(t *tenant.Tenant, limit int) int {
	if t.Database.Embedded() {
		return min(limit, 16)
	}
	return limit
}

// search is what a list asks of the database.
type search struct {
	query
	collection string
	filter     bson.D
	projection bson.D
	batch      int // documents at a time
	maxPage    int // bytes
}

// page is the answer to a search.
type page struct {
	raw   []byte // the documents as the database sent them, one after the other
	n     int    // how many they are
	total int64  // how many the filter selects, on all pages
}

func (s *search) run(ctx context.Context, db *mongo.Database) (found page, err error) {
	if err := s.find(ctx, db, &found); err != nil {
		return page{}, err
	}
	found.total, err = s.count(ctx, db, found.n)
	return found, err
}

// find runs as a command, because the driver's own Find sends no maxTimeMS (DRIVERS-2722): a list that nobody waits for any more
// would go on running in the database.
func (s *search) find(ctx context.Context, db *mongo.Database, found *page) error {
	cursor, err := db.RunCommandCursor(ctx, bson.D{
		{Key: "find", Value: s.collection},
		{Key: "filter", Value: s.filter},
		{Key: "projection", Value: s.projection},
		{Key: "sort", Value: s.sort},
		{Key: "skip", Value: s.skip()},
		{Key: "limit", Value: s.limit},
		{Key: "batchSize", Value: s.batch}, // or the database stops at 101
	})
	if err != nil {
		return err
	}
	defer cursor.Close(ctx)
	cursor.SetBatchSize(int32(s.batch))
	for cursor.Next(ctx) {
		if len(found.raw)+len(cursor.Current) > s.maxPage {
			return errPageTooLarge
		}
		found.raw = append(found.raw, cursor.Current...)
		found.n++
	}
	return cursor.Err()
}

// count returns how many documents the filter selects. A page of n that is not full has told already; otherwise the database counts,
// but no further than pages reach.
func (s *search) count(ctx context.Context, db *mongo.Database, n int) (int64, error) {
	if n < s.limit && (n > 0 || s.page == 1) {
		return int64(s.skip() + n), nil
	}
	raw, err := db.RunCommand(ctx, bson.D{
		{Key: "count", Value: s.collection},
		{Key: "query", Value: s.filter},
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
