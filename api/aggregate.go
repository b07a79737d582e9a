package api

import (
	"context"
	"errors"
	"fmt"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"

	"metahub/api/bsonjson"
	"metahub/api/model"
	"metahub/store"
)

// aggregate answers a question that the model file has written out.
func (a *API) aggregate(m *model.Model, question *model.Aggregation) handler {
	return func(r *request) (reply, error) {
		_, scope, err := a.admit(r, m, question.View)
		if err != nil {
			return reply{}, err
		}
		values, err := parseValues(r, question)
		if err != nil {
			return reply{}, err
		}
		pipeline, err := question.Pipeline(m, scope, values)
		if errors.Is(err, model.ErrMissing) {
			return reply{}, badRequest("A parameter is %v.", err)
		}
		var raw []byte
		err = a.store.Do(store.ReadFrom(r.ctx, question.View.ReadFrom), r.tenant, func(ctx context.Context, db *mongo.Database) (err error) {
			batch := batchSize(r.tenant, model.MaxAggregated)
			raw, _, err = readDocuments(ctx, r.tenant, db, bson.D{
				{Key: "aggregate", Value: m.Collection},
				{Key: "pipeline", Value: pipeline},
				{Key: "cursor", Value: bson.D{{Key: "batchSize", Value: batch}}},
			}, batch, a.maxPage)
			return err
		})
		if err != nil {
			return reply{}, fmt.Errorf("aggregate %s of %s: %w", question.Name, m.Collection, err)
		}
		return reply{status: 200, message: "OK", data: documents{raw, bsonjson.Options{}}}, nil
	}
}

// parseValues reads the values of an aggregation's parameters.
func parseValues(r *request, question *model.Aggregation) (map[string]any, error) {
	parameters, err := splitQuery(r.http.URI().QueryString())
	if err != nil {
		return nil, err
	}
	values := map[string]any{}
	for _, p := range parameters {
		value, known, err := question.Parse(p.name, p.value)
		if !known {
			return nil, badRequest("The parameter %q is unknown. Known are: %s.", p.name, oneOf(question.ParameterNames()))
		}
		if err != nil {
			return nil, badRequest("The parameter %q must be %v.", p.name, err)
		}
		values[p.name] = value
	}
	return values, nil
}
