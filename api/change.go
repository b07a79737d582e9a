package api

import (
	"context"
	"errors"
	"fmt"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"metahub/api/bsonjson"
	"metahub/api/model"
	"metahub/store"
)

// draft judges a body and makes it a document, passwords hashed.
func (a *API) draft(ctx context.Context, m *model.Model, w model.Writer, body bson.D) (*model.Draft, error) {
	draft, issues := m.Create(body, w)
	if len(issues) > 0 {
		return nil, invalid(issues)
	}
	return draft, a.hashPasswords(ctx, w.Tenant, m, draft.Document())
}

// judge judges a body that changes a document, passwords hashed.
func (a *API) judge(ctx context.Context, m *model.Model, w model.Writer, body bson.D) (model.Change, error) {
	change, issues := m.Change(body, w)
	if len(issues) > 0 {
		return change, invalid(issues)
	}
	return change, a.hashPasswords(ctx, w.Tenant, m, change.Set)
}

// output is what the writer sees of the document.
func (w writer) output(r *request, m *model.Model) bsonjson.Options {
	return m.Shown(w.Audience).Output(r.language, r.flat)
}

// insert adds a document, under addresses that nobody has.
func insert(ctx context.Context, db *mongo.Database, m *model.Model, scope model.Scope, draft *model.Draft) (bson.Raw, error) {
	if err := settleClaims(ctx, db, m, scope, draft); err != nil {
		return nil, err
	}
	raw, err := bson.Marshal(draft.Document())
	if err != nil {
		return nil, err
	}
	_, err = db.Collection(m.Collection).InsertOne(ctx, bson.Raw(raw))
	return raw, err
}

// maxAttempts bounds how often a change is made anew because somebody else changed the document in between.
const maxAttempts = 5

// change changes the document that a filter finds: it reads it, asks what is to be done, and writes under the condition that the
// document is still as it was read. The precondition, which may be nil, is part of that condition. It returns the document as it is afterwards.
func (a *API) change(r *request, m *model.Model, filter bson.D, precondition func(bson.Raw) bool, what func(current bson.Raw) (model.Change, error)) (after bson.Raw, err error) {
	if err := a.ensureIndexes(r.ctx, &r.resources.indexed, r.tenant, m); err != nil {
		return nil, err
	}
	var before bson.Raw
	judged := func(current bson.Raw) (model.Change, error) {
		before = current
		if precondition != nil && !precondition(current) {
			return model.Change{}, errPrecondition
		}
		return what(current)
	}
	err = a.write(r.ctx, r.tenant, m, func(ctx context.Context, db *mongo.Database) (err error) {
		for range maxAttempts {
			after, err = changeOnce(ctx, db, m, r.scope(), filter, judged)
			if !errors.Is(err, errOvertaken) {
				return err
			}
		}
		return err
	})
	if errors.Is(err, errOvertaken) {
		return nil, err
	}
	if err == nil {
		a.tell(r, m, "update", before, after)
		a.dropFiles(r, m, before, after)
	}
	return after, itemError(m, "update", err)
}

func changeOnce(ctx context.Context, db *mongo.Database, m *model.Model, scope model.Scope, filter bson.D, what func(bson.Raw) (model.Change, error)) (bson.Raw, error) {
	collection := db.Collection(m.Collection)
	current, err := collection.FindOne(ctx, filter).Raw()
	if err != nil {
		return nil, err
	}
	change, err := what(current)
	if err != nil {
		return nil, err
	}
	var document bson.D
	if err := bson.Unmarshal(current, &document); err != nil {
		return nil, fmt.Errorf("read the document to be changed: %w", err)
	}
	draft := m.Update(document, change)
	if err := settleClaims(ctx, db, m, scope, draft); err != nil {
		return nil, err
	}
	guarded := append(bson.D{{Key: "_id", Value: draft.ID()}, {Key: "$and", Value: bson.A{filter}}}, m.Guard(current)...)
	// FerretDB takes no projection here; what may be seen of the document is decided when it becomes JSON.
	after := options.FindOneAndUpdate().SetReturnDocument(options.After)
	raw, err := collection.FindOneAndUpdate(ctx, guarded, draft.Operators(), after).Raw()
	if errors.Is(err, mongo.ErrNoDocuments) {
		return nil, errOvertaken
	}
	return raw, err
}

// maxRenames bounds how many numbers are tried behind an address that was made.
const maxRenames = 50

// settleClaims looks whether other documents have the addresses that a draft claims, and numbers those that were made of its texts. The
// unique index has the last word.
func settleClaims(ctx context.Context, db *mongo.Database, m *model.Model, scope model.Scope, draft *model.Draft) error {
	if len(draft.Claims) == 0 {
		return nil
	}
	for range maxRenames {
		taken, err := takenClaims(ctx, db, m, scope, draft)
		if err != nil || len(taken) == 0 {
			return err
		}
		for _, c := range taken {
			if !c.Made {
				return &Error{Status: 409, Code: "duplicate", Message: fmt.Sprintf("Another document has the same %q already.", m.Slug.Field)}
			}
			c.Next()
		}
	}
	return &Error{Status: 409, Code: "duplicate", Message: "Too many documents have this title: give this one a slug of its own."}
}

func takenClaims(ctx context.Context, db *mongo.Database, m *model.Model, scope model.Scope, draft *model.Draft) (taken []*model.Claim, err error) {
	either := make(bson.A, len(draft.Claims))
	for i, c := range draft.Claims {
		either[i] = bson.D{{Key: c.Path, Value: c.Text}}
	}
	others := m.Select(scope, m.Admin, bson.E{Key: "_id", Value: bson.D{{Key: "$ne", Value: draft.ID()}}}, bson.E{Key: "$or", Value: either})
	projection := bson.D{{Key: m.Slug.Field, Value: 1}}
	if m.Slug.Lower != m.Slug.Field {
		projection = append(projection, bson.E{Key: m.Slug.Lower, Value: 1})
	}
	cursor, err := store.Query(ctx, db, bson.D{
		{Key: "find", Value: m.Collection},
		{Key: "filter", Value: others},
		{Key: "projection", Value: projection},
		{Key: "limit", Value: len(either)},
	})
	if err != nil {
		return nil, err
	}
	defer cursor.Close(ctx)
	for cursor.Next(ctx) {
		for i := range draft.Claims {
			if c := &draft.Claims[i]; c.HeldBy(cursor.Current) {
				taken = append(taken, c)
			}
		}
	}
	return taken, cursor.Err()
}
