package api

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"

	"metahub/api/bsonjson"
	"metahub/api/model"
	"metahub/store"
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
		view, scope, err := a.admit(r, m, view)
		if err != nil {
			return reply{}, err
		}
		reading := a.recall.begin(r, m, view, a.now())
		q, err := r.parseQuery(view, a.maxSkip)
		if err != nil {
			return reply{}, err
		}
		if len(q.fields) > 0 {
			view = view.Only(q.fields, q.sort)
		}
		s := search{
			query:      q,
			tenant:     r.tenant,
			collection: m.Collection,
			filter:     m.Select(scope, view, slices.Concat(r.narrowed, q.conditions)...),
			projection: view.Projection,
			batch:      batchSize(r.tenant, q.limit),
			maxPage:    a.maxPage,
		}
		found, output, err := a.search(r, m, view, &s)
		if err != nil {
			return reply{}, fmt.Errorf("list %s: %w", m.Collection, err)
		}
		reading.keep(found.tag)
		return reply{
			status:  200,
			message: "OK",
			data:    documents{found.raw, output},
			meta:    &meta{total: found.total, page: q.page, limit: q.limit, count: q.count, paged: !q.keyset, next: found.next},
			etag:    found.tag,
		}, nil
	}
}

// listOf is a list of those documents that meet some conditions as well.
func (a *API) listOf(m *model.Model, view *model.View, conditions []bson.E) handler {
	list := a.list(m, view)
	return func(r *request) (reply, error) {
		r.narrowed = conditions
		return list(r)
	}
}

// search runs a search and reads what its documents refer to.
func (a *API) search(r *request, m *model.Model, view *model.View, s *search) (found page, output bsonjson.Options, err error) {
	find := s.filter
	if s.query.cursor != "" {
		behind, err := s.after(s.tenant, s.query.cursor)
		if err != nil {
			return found, output, err
		}
		find = append(bson.D{{Key: "$and", Value: bson.A{s.filter}}}, behind)
	}
	output = view.Output(r.language, r.flat)
	tag := newTag(r, m, view)
	err = a.store.Do(store.ReadFrom(r.ctx, view.ReadFrom), r.tenant, func(ctx context.Context, db *mongo.Database) (err error) {
		if found, err = s.run(ctx, db, find); err != nil {
			return err
		}
		tag.bytes(found.raw)
		output.Joins, err = a.joins(ctx, db, r, view, found.raw, tag)
		return err
	})
	if err != nil {
		return found, output, err
	}
	if found.n == s.limit && (s.keyset || s.skip()+s.limit > a.maxSkip) {
		next, ok, err := s.cursor(s.tenant, lastOf(found.raw))
		if err != nil {
			return found, output, err
		}
		if ok {
			found.next = next
		}
	}
	tag.number(found.total)
	tag.number(int64(s.page))
	tag.number(int64(s.limit))
	tag.text(found.next)
	found.tag = tag.list()
	return found, output, nil
}

// search is what a list asks of the database.
type search struct {
	query
	tenant     *tenant.Tenant
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
	next  string // the cursor of the next page, or empty
	tag   string
}

func (s *search) run(ctx context.Context, db *mongo.Database, filter bson.D) (found page, err error) {
	if err := s.find(ctx, db, filter, &found); err != nil {
		return page{}, err
	}
	switch s.query.count {
	case countExact:
		found.total, err = s.countExact(ctx, db, found.n)
	case countEstimated:
		found.total, err = s.countAll(ctx, db)
	}
	return found, err
}

func (s *search) find(ctx context.Context, db *mongo.Database, filter bson.D, found *page) (err error) {
	found.raw, found.n, err = readDocuments(ctx, s.tenant, db, bson.D{
		{Key: "find", Value: s.collection},
		{Key: "filter", Value: filter},
		{Key: "projection", Value: s.projection},
		{Key: "sort", Value: s.sort},
		{Key: "skip", Value: s.skip()},
		{Key: "limit", Value: s.limit},
		{Key: "batchSize", Value: s.batch}, // or the database stops at 101
	}, s.batch, s.maxPage)
	return err
}

// countExact returns how many documents the filter selects. A page of n that is not full has told already; otherwise the database
// counts, but no further than pages reach.
func (s *search) countExact(ctx context.Context, db *mongo.Database, n int) (int64, error) {
	if !s.keyset && n < s.limit && (n > 0 || s.page == 1) {
		return int64(s.skip() + n), nil
	}
	return numberOf(store.Ask(ctx, db, bson.D{
		{Key: "count", Value: s.collection},
		{Key: "query", Value: s.filter},
		{Key: "limit", Value: maxSkip + model.MaxLimit},
	}))
}

// countAll returns how many documents the collection holds by its metadata, without looking at one.
func (s *search) countAll(ctx context.Context, db *mongo.Database) (int64, error) {
	return numberOf(store.Ask(ctx, db, bson.D{{Key: "count", Value: s.collection}}))
}

func numberOf(raw bson.Raw, err error) (int64, error) {
	if err != nil {
		return 0, err
	}
	total, ok := raw.Lookup("n").AsInt64OK()
	if !ok {
		return 0, errors.New("the database's reply to count has no n")
	}
	return total, nil
}
