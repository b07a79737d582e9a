package api

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/valyala/fasthttp"
	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"

	"metahub/api/model"
	"metahub/store"
)

// show answers one document.
func (a *API) show(m *model.Model, view *model.View) handler {
	return func(r *request) (reply, error) {
		view, scope, err := a.admit(r, m, view)
		if err != nil {
			return reply{}, err
		}
		return a.showOne(r, m, view, func(ctx context.Context, db *mongo.Database, view *model.View) (bson.Raw, error) {
			return findOne(ctx, db, m, r.target(m, scope, view), view)
		})
	}
}

// showOne answers the document that find finds, of which it reads what the view that it gets shows.
func (a *API) showOne(r *request, m *model.Model, view *model.View, find func(context.Context, *mongo.Database, *model.View) (bson.Raw, error)) (reply, error) {
	reading := a.recall.begin(r, m, view, a.now())
	fields, err := r.parseItemQuery(view)
	if err != nil {
		return reply{}, err
	}
	if len(fields) > 0 {
		view = view.Only(fields, nil)
	}
	var raw bson.Raw
	output := view.Output(r.language, r.flat)
	tag := newTag(r, m, view)
	err = a.store.Do(store.ReadFrom(r.ctx, view.ReadFrom), r.tenant, func(ctx context.Context, db *mongo.Database) (err error) {
		if raw, err = find(ctx, db, view); err == nil {
			tag.bytes(raw)
			output.Joins, err = a.joins(ctx, db, r, view, raw, tag)
		}
		return err
	})
	if err != nil {
		return reply{}, itemError(m, "show", err)
	}
	etag := tag.item(r, m, raw)
	reading.keep(etag)
	return reply{status: 200, message: "OK", data: document{raw, output}, etag: etag}, nil
}

// target is the filter of the document that the path names: by id or by key, or the only one.
func (r *request) target(m *model.Model, scope model.Scope, view *model.View) bson.D {
	switch {
	case r.name != "":
		return m.Select(scope, view, bson.E{Key: m.Key.Name, Value: r.name})
	case m.Single && r.id.IsZero():
		return m.Select(scope, view)
	}
	return m.Item(scope, view, r.id)
}

// create adds the document in the body. Where the model has a key, or one document alone, and that is there, it is changed.
func (a *API) create(m *model.Model) handler {
	return func(r *request) (reply, error) {
		w, err := a.admitCreator(r, m)
		if err != nil {
			return reply{}, err
		}
		body, files, err := a.readDocument(r, m, w.Audience)
		defer files.discard()
		if err != nil {
			return reply{}, err
		}
		status, raw, err := a.createOne(r, m, w, body, files)
		if err != nil {
			return reply{}, err
		}
		message := "Created."
		if status == fasthttp.StatusOK {
			message = "Updated."
		}
		return reply{status: status, message: message, data: document{raw, w.output(r, m)}}, nil
	}
}

// createOne adds the document in a body, with the files that came along, or changes the one that the body means. The status says which of the two.
func (a *API) createOne(r *request, m *model.Model, w writer, body bson.D, files *attachments) (status int, raw bson.Raw, err error) {
	if there := existing(m, w, body); there != nil {
		raw, err := a.updateOne(r, m, w, there, nil, clone(body), files)
		if !errors.Is(err, errNoDocument) {
			return fasthttp.StatusOK, raw, err
		}
	}
	if issues := w.granting(m, body); len(issues) > 0 {
		return 0, nil, invalid(issues)
	}
	draft, err := a.draft(r.ctx, m, w.Writer, body)
	if err != nil {
		return 0, nil, err
	}
	if err := files.create(draft); err != nil {
		return 0, nil, err
	}
	if err := a.ensureIndexes(r.ctx, &r.resources.indexed, r.tenant, m); err != nil {
		return 0, nil, err
	}
	err = a.write(r.ctx, r.tenant, m, func(ctx context.Context, db *mongo.Database) (err error) {
		files.begin()
		raw, err = insert(ctx, db, m, w.Scope, draft)
		return err
	})
	if err == nil {
		a.tell(r, m, "create", nil, raw)
	}
	err = itemError(m, "create", err)
	files.settle(err)
	return fasthttp.StatusCreated, raw, err
}

// existing is the filter of the document that a body means which is to be created, or nil where it can only mean a new one.
func existing(m *model.Model, w writer, body bson.D) bson.D {
	if w.Audience != model.Admin {
		return nil
	}
	if m.Single {
		return m.Select(w.Scope, m.Admin)
	}
	if m.Key == nil {
		return nil
	}
	for _, e := range body {
		if key, ok := e.Value.(string); ok && e.Key == m.Key.Name {
			return m.Select(w.Scope, m.Admin, bson.E{Key: e.Key, Value: key})
		}
	}
	return nil
}

// clone copies a body, which is typed in place when it is judged.
func clone(v bson.D) bson.D { return cloneValue(v).(bson.D) }

func cloneValue(v any) any {
	switch v := v.(type) {
	case bson.D:
		out := make(bson.D, len(v))
		for i, e := range v {
			out[i] = bson.E{Key: e.Key, Value: cloneValue(e.Value)}
		}
		return out
	case bson.A:
		out := make(bson.A, len(v))
		for i, element := range v {
			out[i] = cloneValue(element)
		}
		return out
	}
	return v
}

// update sets the fields in the body; all others stay as they are.
func (a *API) update(m *model.Model) handler {
	return func(r *request) (reply, error) {
		w, err := a.admitWriter(r, m)
		if err != nil {
			return reply{}, err
		}
		body, files, err := a.readDocument(r, m, w.Audience)
		defer files.discard()
		if err != nil {
			return reply{}, err
		}
		raw, err := a.updateOne(r, m, w, r.target(m, w.Scope, w.view), r.precondition(m), body, files)
		if err != nil {
			return reply{}, err
		}
		return reply{status: 200, message: "Updated.", data: document{raw, w.output(r, m)}}, nil
	}
}

// updateOne changes the document that a filter finds by a body, and the files that came along.
func (a *API) updateOne(r *request, m *model.Model, w writer, filter bson.D, precondition func(bson.Raw) bool, body bson.D, files *attachments) (bson.Raw, error) {
	if issues := w.granting(m, body); len(issues) > 0 {
		return nil, invalid(issues)
	}
	change, err := a.judge(r.ctx, m, w.Writer, body)
	if err != nil {
		return nil, err
	}
	if change.Empty() && files.empty() {
		return nil, badRequest("The body has no field to set.")
	}
	raw, err := a.change(r, m, filter, precondition, func(current bson.Raw) (model.Change, error) {
		return files.change(current, a.unverified(r, m, current, change))
	})
	files.settle(err)
	if err == nil {
		err = a.settleAccount(r, m, w.by, change.Set, raw)
	}
	return raw, err
}

// act does an action of the model to one document.
func (a *API) act(m *model.Model, action *model.Action) handler {
	return func(r *request) (reply, error) {
		c, err := a.authenticate(r)
		if err != nil {
			return reply{}, err
		}
		if !c.may(m, writes, action.Roles) {
			return reply{}, errForbidden
		}
		w := a.actor(r, m, c)
		body, err := a.readAction(r, m, action)
		if err != nil {
			return reply{}, err
		}
		raw, err := a.doAction(r, m, action, w, r.target(m, w.Scope, w.view), body)
		if err != nil {
			return reply{}, err
		}
		return reply{status: 200, message: "Updated.", data: document{raw, w.view.Output(r.language, r.flat)}, beside: beside(r, action, w.view, raw)}, nil
	}
}

// readAction reads the body of an action, which takes no files. It is nil where the action reads none, or does without.
func (a *API) readAction(r *request, m *model.Model, action *model.Action) (body bson.D, err error) {
	if !action.Body() {
		return nil, nil
	}
	if _, isForm := formBoundary(r.http); isForm || !action.Optional() {
		var files *attachments
		body, files, err = a.readDocument(r, m, model.Public)
		files.discard()
	} else if body, err = readMaybe(r); body == nil {
		return nil, err
	}
	if err == nil && len(body) == 0 {
		err = badRequest("The body has no field to set.")
	}
	return body, err
}

// doAction does an action to the document that a filter finds.
func (a *API) doAction(r *request, m *model.Model, action *model.Action, w writer, filter, body bson.D) (bson.Raw, error) {
	var set bson.D
	raw, err := a.change(r, m, filter, r.precondition(m), func(current bson.Raw) (model.Change, error) {
		var once bson.D
		if body != nil {
			once = clone(body)
		}
		change, issues := action.Change(m, current, once, w.Writer)
		change = a.unverified(r, m, current, change)
		set = change.Set
		if issues = append(issues, w.granting(m, set)...); len(issues) > 0 {
			return change, invalid(issues)
		}
		return change, nil
	})
	if err == nil {
		err = a.settleAccount(r, m, w.by, set, raw)
	}
	return raw, err
}

// beside are the fields that an action also answers beside its document, as far as a view shows them.
func beside(r *request, action *model.Action, view *model.View, raw bson.Raw) content {
	names := slices.DeleteFunc(slices.Clone(action.Beside), func(name string) bool { return !view.Readable(name) })
	if len(names) == 0 {
		return nil
	}
	return members{document{raw, view.Only(names, nil).Output(r.language, r.flat)}, names}
}

// actor is who does an action. Which fields it sets the model has said, so that it sets them as an admin would; but who only owns
// documents does it to those, and sees of them what owners see.
func (a *API) actor(r *request, m *model.Model, c caller) writer {
	w := writer{Writer: model.Writer{Audience: model.Admin, Scope: r.scope(), Now: a.now()}, view: writable(m, c), by: c}
	if m.Own != nil && !c.may(m, writes, m.Roles) && c.mayAs(m.OwnerRoles) {
		w.User, w.view = c.id, m.Own
	}
	return w
}

// remove deletes one document.
func (a *API) remove(m *model.Model) handler {
	return func(r *request) (reply, error) {
		w, err := a.admitWriter(r, m)
		if err != nil {
			return reply{}, err
		}
		if err := a.removeOne(r, m, r.target(m, w.Scope, w.view), r.precondition(m)); err != nil {
			return reply{}, err
		}
		return reply{status: 200, message: "Deleted."}, nil
	}
}

func (a *API) removeOne(r *request, m *model.Model, filter bson.D, precondition func(bson.Raw) bool) error {
	var gone bson.Raw
	err := a.write(r.ctx, r.tenant, m, func(ctx context.Context, db *mongo.Database) (err error) {
		gone, err = removeOne(ctx, db.Collection(m.Collection), m, filter, precondition)
		return err
	})
	if err == nil {
		a.tell(r, m, "delete", gone, nil)
		a.dropFiles(r, m, gone, nil)
		a.forgetAccount(r, m, gone)
	}
	return itemError(m, "delete", err)
}

// removeOne deletes the document that a filter finds, as long as the precondition holds of it, and returns it.
func removeOne(ctx context.Context, collection *mongo.Collection, m *model.Model, filter bson.D, precondition func(bson.Raw) bool) (bson.Raw, error) {
	if precondition == nil {
		return collection.FindOneAndDelete(ctx, filter).Raw()
	}
	current, err := collection.FindOne(ctx, filter).Raw()
	if err != nil {
		return nil, err
	}
	if !precondition(current) {
		return nil, errPrecondition
	}
	guarded := append(bson.D{{Key: "$and", Value: bson.A{filter}}}, m.Guard(current)...)
	gone, err := collection.FindOneAndDelete(ctx, guarded).Raw()
	if errors.Is(err, mongo.ErrNoDocuments) {
		return nil, errPrecondition // it was there, and has changed or gone since
	}
	return gone, err
}

func findOne(ctx context.Context, db *mongo.Database, m *model.Model, filter bson.D, view *model.View) (bson.Raw, error) {
	return readOne(ctx, db, m.Collection, filter, view.Projection)
}

// itemError says what a database's error means for the client. The error may be nil.
func itemError(m *model.Model, doing string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, mongo.ErrNoDocuments):
		return errNoDocument
	case isDuplicate(err):
		return duplicate(m, err)
	case strings.Contains(err.Error(), "(nested arrays are not supported)"): // by FerretDB; MongoDB takes them
		return invalid([]model.Issue{{Message: "must not hold an array directly within an array: the embedded database cannot keep it"}})
	}
	return fmt.Errorf("%s %s: %w", doing, m.Collection, err)
}
