package api

import (
	"context"
	"io"
	"slices"

	"github.com/valyala/fasthttp"
	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"

	"metahub/api/bsonjson"
	"metahub/api/model"
	"metahub/store"
	"metahub/tenant"
)

// exportBatch is how many documents of an export are read at once, and exportRoom the bytes of their JSON after which no further one is.
const (
	exportBatch = 100
	exportRoom  = 1 << 20
)

// export streams all documents that admins see, one JSON object a line, in the order of their ids. It reads a batch at a time as the
// client takes them: memory stays flat, and between two batches the tenant's other requests have their turn. An export that breaks off
// ends the connection without the last chunk, so that no client takes it for whole.
func (a *API) export(m *model.Model) handler {
	return func(r *request) (reply, error) {
		view, scope, err := a.admit(r, m, m.Admin)
		if err != nil {
			return reply{}, err
		}
		fields, err := r.parseItemQuery(view)
		if err != nil {
			return reply{}, err
		}
		if len(fields) > 0 {
			view = view.Only(fields, nil)
		}
		lines := &exported{api: a, tenant: r.tenant, model: m, view: view, output: view.Output(r.language, r.flat), filter: m.Select(scope, view)}
		if err := lines.fill(); err != nil { // what goes wrong at once still has a status
			return reply{}, itemError(m, "export", err)
		}
		return reply{status: fasthttp.StatusOK, stream: lines}, nil
	}
}

// exported is the body of an export. It belongs to the one goroutine that writes the response.
type exported struct {
	api    *API
	tenant *tenant.Tenant
	model  *model.Model
	view   *model.View
	output bsonjson.Options
	filter bson.D

	last  any // the id of the last document; nil before the first
	lines []byte
	read  int // of lines
	ended bool
}

// Read implements io.Reader.
func (e *exported) Read(p []byte) (int, error) {
	for e.read == len(e.lines) {
		if e.ended {
			return 0, io.EOF
		}
		if err := e.fill(); err != nil {
			return 0, err
		}
	}
	n := copy(p, e.lines[e.read:])
	e.read += n
	return n, nil
}

// fill reads the next batch.
func (e *exported) fill() error {
	ctx, cancel := context.WithTimeout(context.Background(), e.api.patience)
	defer cancel()
	e.lines, e.read = e.lines[:0], 0
	filter := e.filter
	if e.last != nil {
		filter = append(bson.D{{Key: "_id", Value: bson.D{{Key: "$gt", Value: e.last}}}}, filter...)
	}
	return e.api.store.Do(ctx, e.tenant, func(ctx context.Context, db *mongo.Database) error {
		batch := batchSize(e.tenant, exportBatch)
		cursor, err := store.Query(ctx, db, bson.D{
			{Key: "find", Value: e.model.Collection},
			{Key: "filter", Value: filter},
			{Key: "projection", Value: e.view.Projection},
			{Key: "sort", Value: bson.D{{Key: "_id", Value: 1}}},
			{Key: "limit", Value: exportBatch},
			{Key: "batchSize", Value: batch},
		})
		if err != nil {
			return err
		}
		defer cursor.Close(ctx)
		cursor.SetBatchSize(int32(batch))
		n := 0
		for ; len(e.lines) < exportRoom && cursor.Next(ctx); n++ {
			if e.lines, err = bsonjson.Append(e.lines, cursor.Current, e.output); err != nil {
				return err
			}
			e.lines = append(e.lines, '\n')
			id := cursor.Current.Lookup("_id")
			e.last = bson.RawValue{Type: id.Type, Value: slices.Clone(id.Value)}
		}
		e.ended = n < exportBatch && len(e.lines) < exportRoom
		return cursor.Err()
	})
}
