package api

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"metahub/api/model"
	"metahub/tenant"
)

// show answers one document.
func (a *API) show(m *model.Model, view *model.View) handler {
	return func(r *request) (reply, error) {
		if err := a.admit(r, m, view); err != nil {
			return reply{}, err
		}
		var raw bson.Raw
		err := a.store.Do(r.ctx, r.tenant, func(ctx context.Context, db *mongo.Database) (err error) {
			raw, err = findOne(ctx, db, m, m.Item(r.tenant.Slug, view, r.id), view)
			return err
		})
		if err != nil {
			return reply{}, itemError(m, "show", err)
		}
		return reply{status: 200, message: "OK", data: document{raw, view.Output}}, nil
	}
}

// create adds the document in the body.
func (a *API) create(m *model.Model) handler {
	return func(r *request) (reply, error) {
		if err := a.admitWriter(r, m); err != nil {
			return reply{}, err
		}
		body, err := readBody(r)
		if err != nil {
			return reply{}, err
		}
		fresh, err := a.newDocument(r.ctx, r.tenant.Slug, m, body)
		if err != nil {
			return reply{}, err
		}
		raw, err := bson.Marshal(fresh)
		if err != nil {
			return reply{}, err
		}
		if err := a.insert(r.ctx, r.tenant, m, raw); err != nil {
			return reply{}, err
		}
		return reply{status: 201, message: "Created.", data: document{raw, m.Admin.Output}}, nil
	}
}

// update sets the fields in the body; all others stay as they are.
func (a *API) update(m *model.Model) handler {
	return func(r *request) (reply, error) {
		if err := a.admitWriter(r, m); err != nil {
			return reply{}, err
		}
		body, err := readBody(r)
		if err != nil {
			return reply{}, err
		}
		if len(body) == 0 {
			return reply{}, badRequest("The body has no field to set.")
		}
		fields, issues := m.Update(body, a.now())
		if len(issues) > 0 {
			return reply{}, invalid(issues)
		}
		if err := a.hashPasswords(r.ctx, r.tenant.Slug, m, fields); err != nil {
			return reply{}, err
		}
		raw, err := a.set(r, m, fields)
		if err != nil {
			return reply{}, err
		}
		return reply{status: 200, message: "Updated.", data: document{raw, m.Admin.Output}}, nil
	}
}

// remove deletes one document.
func (a *API) remove(m *model.Model) handler {
	return func(r *request) (reply, error) {
		if err := a.admitWriter(r, m); err != nil {
			return reply{}, err
		}
		filter := m.Item(r.tenant.Slug, m.Admin, r.id)
		err := a.store.Do(r.ctx, r.tenant, func(ctx context.Context, db *mongo.Database) error {
			result, err := db.Collection(m.Collection).DeleteOne(ctx, filter)
			if err == nil && result.DeletedCount == 0 {
				return mongo.ErrNoDocuments
			}
			return err
		})
		if err != nil {
			return reply{}, itemError(m, "delete", err)
		}
		return reply{status: 200, message: "Deleted."}, nil
	}
}

// newDocument validates a body and makes it a document, passwords hashed.
func (a *API) newDocument(ctx context.Context, slug string, m *model.Model, body bson.D) (bson.D, error) {
	fresh, issues := m.Create(body, slug, a.now())
	if len(issues) > 0 {
		return nil, invalid(issues)
	}
	return fresh, a.hashPasswords(ctx, slug, m, fresh)
}

// insert adds a document, and finds out whether another one has its unique values.
func (a *API) insert(ctx context.Context, t *tenant.Tenant, m *model.Model, raw bson.Raw) error {
	if err := a.ensureUnique(ctx, t, m); err != nil {
		return err
	}
	err := a.store.Do(ctx, t, func(ctx context.Context, db *mongo.Database) error {
		_, err := db.Collection(m.Collection).InsertOne(ctx, raw)
		return err
	})
	if err != nil {
		return itemError(m, "create", err)
	}
	return nil
}

func (a *API) set(r *request, m *model.Model, fields bson.D) (raw bson.Raw, err error) {
	if err := a.ensureUnique(r.ctx, r.tenant, m); err != nil {
		return nil, err
	}
	filter := m.Item(r.tenant.Slug, m.Admin, r.id)
	err = a.store.Do(r.ctx, r.tenant, func(ctx context.Context, db *mongo.Database) (err error) {
		// FerretDB takes no projection here; what may be seen of the document is decided when it becomes JSON.
		after := options.FindOneAndUpdate().SetReturnDocument(options.After)
		raw, err = db.Collection(m.Collection).FindOneAndUpdate(ctx, filter, bson.D{{Key: "$set", Value: fields}}, after).Raw()
		return err
	})
	if err != nil {
		return nil, itemError(m, "update", err)
	}
	return raw, nil
}

func findOne(ctx context.Context, db *mongo.Database, m *model.Model, filter bson.D, view *model.View) (bson.Raw, error) {
	return db.Collection(m.Collection).FindOne(ctx, filter, options.FindOne().SetProjection(view.Projection)).Raw()
}

// itemError says what a database's error means for the client.
func itemError(m *model.Model, doing string, err error) error {
	switch {
	case errors.Is(err, mongo.ErrNoDocuments):
		return errNoDocument
	case isDuplicate(err):
		return duplicate(m, err)
	case strings.Contains(err.Error(), "(nested arrays are not supported)"): // by FerretDB; MongoDB takes them
		return invalid([]model.Issue{{Message: "must not hold an array directly within an array: the embedded database cannot keep it"}})
	}
	return fmt.Errorf("%s %s: %w", doing, m.Collection, err)
}
