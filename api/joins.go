package api

import (
	"context"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"

	"metahub/api/bsonjson"
	"metahub/api/model"
)

// maxJoined bounds the documents that one field of a page refers to. Further ones are shown as if they were not there.
const maxJoined = 1000

// joins reads the documents that those of a page refer to: one query for each field that the view populates, whatever the length of the
// page. They are of the request's tenant, and what their own model shows to the reader. They go into the answer's tag.
func (a *API) joins(ctx context.Context, db *mongo.Database, r *request, view *model.View, page []byte, tag *tag) ([]bsonjson.Join, error) {
	if len(view.References) == 0 {
		return nil, nil
	}
	joins := make([]bsonjson.Join, len(view.References))
	room := a.maxPage - len(page)
	for i, reference := range view.References {
		joins[i].Options = reference.Output(r.language, r.flat)
		ids := bsonjson.AppendIDs(nil, page, reference.Field)
		if len(ids) == 0 {
			continue
		}
		raw, err := a.referred(ctx, db, r, reference, ids[:min(len(ids), maxJoined)], room)
		if err != nil {
			return nil, err
		}
		room -= len(raw)
		tag.bytes(raw)
		joins[i].Documents = bsonjson.NewDocuments(raw)
	}
	return joins, nil
}

func (a *API) referred(ctx context.Context, db *mongo.Database, r *request, to *model.Reference, ids []bson.ObjectID, room int) ([]byte, error) {
	filter := to.Target.Select(r.scope(), to.View, bson.E{Key: "_id", Value: bson.D{{Key: "$in", Value: ids}}})
	batch := batchSize(r.tenant, len(ids))
	raw, _, err := readDocuments(ctx, r.tenant, db, bson.D{
		{Key: "find", Value: to.Target.Collection},
		{Key: "filter", Value: filter},
		{Key: "projection", Value: to.Projection},
		{Key: "limit", Value: len(ids)},
		{Key: "batchSize", Value: batch},
	}, batch, room)
	return raw, err
}
