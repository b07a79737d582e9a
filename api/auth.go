package api

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/valyala/fasthttp"
	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"

	"metahub/api/model"
	"metahub/tenant"
)

// superadmin may do what any role may.
const superadmin = "superadmin"

// caller is who sends a request, as the database has it now: a user, or a program with a key.
type caller struct {
	id      bson.ObjectID
	role    string
	user    bson.Raw // as the admin view shows it
	session bson.ObjectID
	key     *apiKey // nil for a user
}

// admit lets everybody read the public view, owners what is theirs, and a model's roles the admin view, which they also see in place of
// the owners'. It returns the view that the caller sees, and whose documents it shows.
func (a *API) admit(r *request, m *model.Model, view *model.View) (*model.View, model.Scope, error) {
	scope := r.scope()
	if view.Audience == model.Public {
		return view, scope, nil
	}
	c, err := a.authenticate(r)
	if err != nil {
		return nil, scope, err
	}
	asAdmin := c.may(m, reads, m.Roles)
	switch {
	case view.Audience == model.Admin && asAdmin:
		return view, scope, nil
	case view == m.Own && view == m.View() && asAdmin:
		return m.Admin, scope, nil
	case view.Audience == model.Owner && c.key == nil && (asAdmin || c.mayAs(m.OwnerRoles)):
		scope.User = c.id
		return view, scope, nil
	}
	return nil, scope, errForbidden
}

// writer is who writes, and what of the documents they may change and see.
type writer struct {
	model.Writer
	view *model.View
	by   caller
}

// admitWriter lets a model's roles write, and owners what is theirs.
func (a *API) admitWriter(r *request, m *model.Model) (writer, error) {
	c, err := a.authenticate(r)
	if err != nil {
		return writer{}, err
	}
	return a.writerOf(r, m, c)
}

func (a *API) writerOf(r *request, m *model.Model, c caller) (writer, error) {
	w := writer{Writer: model.Writer{Audience: model.Admin, Scope: r.scope(), Now: a.now()}, view: writable(m, c), by: c}
	w.User = c.id
	switch {
	case c.may(m, writes, m.Roles):
		return w, nil
	case m.Own != nil && c.mayAs(m.OwnerRoles):
		w.Audience, w.view = model.Owner, m.Own
		return w, nil
	}
	return writer{}, errForbidden
}

// admitCreator lets those add a document to whom the model gives that. Where that is everybody, a token that is there is heeded, for the
// rights and the ownership that come with it, and one that is of no use does no harm.
func (a *API) admitCreator(r *request, m *model.Model) (writer, error) {
	c, err := a.authenticate(r)
	if err == nil {
		w, refused := a.writerOf(r, m, c)
		if refused == nil && (w.Audience == model.Admin || w.Audience <= m.Creators) {
			return w, nil
		}
		err = errForbidden
	}
	if m.Creators != model.Public || asError(err).Status >= 500 {
		return writer{}, err
	}
	if m == r.resources.users {
		return writer{}, errRegister
	}
	w := writer{Writer: model.Writer{Audience: model.Public, Scope: r.scope(), Now: a.now()}, by: c}
	w.User = c.id
	return w, nil
}

// mayAs reports whether one of the roles is the caller's. A key has none.
func (c caller) mayAs(roles []string) bool {
	return c.key == nil && (c.role == superadmin || slices.Contains(roles, c.role))
}

// may reports whether the caller may read or write all of a resource, as one of the roles or by a key.
func (c caller) may(m *model.Model, how access, roles []string) bool {
	if c.key != nil {
		return c.key.allows(m, how)
	}
	return c.mayAs(roles)
}

// name is different for every caller of a tenant.
func (c caller) name() string {
	if c.key != nil {
		return "key " + c.key.ID.Hex()
	}
	return c.id.Hex()
}

// writable is what of a model's documents the caller may change: superadmins only superadmins may.
func writable(m *model.Model, c caller) *model.View {
	if m.Name == userModel && c.role != superadmin {
		return m.Admin.Without(roleField, superadmin)
	}
	return m.Admin
}

// granting finds fault with who makes somebody a superadmin and is none.
func (w *writer) granting(m *model.Model, set bson.D) []model.Issue {
	if m.Name != userModel || w.by.role == superadmin {
		return nil
	}
	for _, e := range set {
		if e.Key == roleField && e.Value == superadmin {
			return []model.Issue{{Path: roleField, Message: "is not allowed here"}}
		}
	}
	return nil
}

// signedIn is who sends a request, found out once, however many parts of a batch ask.
type signedIn struct {
	once   sync.Once
	caller caller
	err    error
}

// authenticate returns who sends the request.
func (a *API) authenticate(r *request) (caller, error) {
	r.private = true
	r.who.once.Do(func() { r.who.caller, r.who.err = a.findCaller(r) })
	return r.who.caller, r.who.err
}

// person returns the user who sends the request. A key is none.
func (a *API) person(r *request) (caller, error) {
	c, err := a.authenticate(r)
	if err == nil && c.key != nil {
		err = errForbidden
	}
	return c, err
}

// findCaller finds out who sends the request. The role is the database's, not the token's, and so is the session: both can be taken away at
// once.
func (a *API) findCaller(r *request) (caller, error) {
	c := r.credentials()
	if c.key != "" {
		return a.findKey(r, c.key)
	}
	if c.token == "" {
		return caller{}, errUnauthorized
	}
	if c.fromCookie && !r.safe() {
		if own, _ := a.fromOwnPage(r); !own {
			return caller{}, errForeignSite
		}
	}
	return a.findSignedIn(r, c.token)
}

// findSignedIn returns whom a token names.
func (a *API) findSignedIn(r *request, token string) (caller, error) {
	id, session, err := verifyToken(r.tenant, token, a.now)
	if err != nil {
		return caller{}, err
	}
	return a.readSignedIn(r.ctx, r.tenant, r.resources.users, id, session)
}

func (a *API) readSignedIn(ctx context.Context, t *tenant.Tenant, users *model.Model, id, session bson.ObjectID) (caller, error) {
	var user bson.Raw
	filter := users.Item(model.Scope{Tenant: t.Slug}, users.Admin, id)
	err := a.store.Do(ctx, t, func(ctx context.Context, db *mongo.Database) error {
		lives, err := sessionLives(ctx, db, session, id, a.now())
		if err == nil && lives {
			user, err = findOne(ctx, db, users, filter, users.Admin)
		}
		return err
	})
	if err != nil && !errors.Is(err, mongo.ErrNoDocuments) {
		return caller{}, fmt.Errorf("read the caller: %w", err)
	}
	if user == nil || !active(user) {
		return caller{}, errBadToken
	}
	return caller{id: id, role: stringOf(user, roleField), user: user, session: session}, nil
}

// credentials are what a request brings to say who sends it. At most one is used.
type credentials struct {
	key        string
	token      string
	fromCookie bool
}

// credentials returns a bearer (RFC 6750 §2.1), which may be a key, else a key in a header of its own, else the cookie. Frontends of the
// earlier service may send something in X-Api-Key that it never looked at, and that is no key. All are copied: they outlive the header's bytes.
func (r *request) credentials() credentials {
	authorization := string(r.http.Request.Header.Peek(fasthttp.HeaderAuthorization))
	if scheme, token, ok := strings.Cut(authorization, " "); ok && strings.EqualFold(scheme, "Bearer") {
		token = strings.TrimSpace(token)
		if strings.HasPrefix(token, keyPrefix) {
			return credentials{key: token}
		}
		return credentials{token: token}
	}
	if key := string(r.http.Request.Header.Peek(keyHeader)); strings.HasPrefix(key, keyPrefix) {
		return credentials{key: key}
	}
	return credentials{token: r.cookie(accessCookie), fromCookie: true}
}

// active is true for users of old, who have no such field.
func active(user bson.Raw) bool {
	on, ok := user.Lookup("isActive").BooleanOK()
	return on || !ok
}

func stringOf(document bson.Raw, field string) string {
	text, _ := document.Lookup(field).StringValueOK()
	return text
}
