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
)

// cookieName is the one that existing frontends know.
const cookieName = "accessToken"

// superadmin may do what any role may.
const superadmin = "superadmin"

// caller is who sends a request, as the database has it now.
type caller struct {
	id   bson.ObjectID
	role string
	user bson.Raw // as the admin view shows it
}

// admit lets everybody read the public view, and a model's roles the admin view.
func (a *API) admit(r *request, m *model.Model, view *model.View) error {
	if view.Audience == model.Public {
		return nil
	}
	return a.admitRoles(r, m.Roles)
}

// admitWriter lets a model's roles write.
func (a *API) admitWriter(r *request, m *model.Model) error {
	return a.admitRoles(r, m.Roles)
}

func (a *API) admitRoles(r *request, roles []string) error {
	c, err := a.authenticate(r)
	if err != nil {
		return err
	}
	if c.role != superadmin && !slices.Contains(roles, c.role) {
		return errForbidden
	}
	return nil
}

// authenticate finds out who sends the request. The role is the database's, not the token's, so that it can be taken away at once.
func (a *API) authenticate(r *request) (caller, error) {
	r.private = true
	token, fromCookie := bearer(r.http)
	if token == "" {
		return caller{}, errUnauthorized
	}
	if fromCookie && !r.safe() {
		if own, _ := a.fromOwnPage(r); !own {
			return caller{}, errForeignSite
		}
	}
	id, err := verifyToken(r.tenant, token, a.now)
	if err != nil {
		return caller{}, err
	}
	user, err := a.findUser(r, id)
	if errors.Is(err, mongo.ErrNoDocuments) {
		return caller{}, errBadToken
	}
	if err != nil {
		return caller{}, fmt.Errorf("read the caller: %w", err)
	}
	if !active(user) {
		return caller{}, errBadToken
	}
	return caller{id, stringOf(user, "role"), user}, nil
}

// bearer returns the token of a request (RFC 6750 §2.1), else that of its cookie. Both are copied: they outlive the header's bytes.
func bearer(http *fasthttp.RequestCtx) (token string, fromCookie bool) {
	authorization := string(http.Request.Header.Peek(fasthttp.HeaderAuthorization))
	if scheme, token, ok := strings.Cut(authorization, " "); ok && strings.EqualFold(scheme, "Bearer") {
		return strings.TrimSpace(token), false
	}
	return string(http.Request.Header.Cookie(cookieName)), true
}

// findUser reads a user of the tenant as the admin view shows users.
func (a *API) findUser(r *request, id bson.ObjectID) (user bson.Raw, err error) {
	filter := a.users.Item(r.tenant.Slug, a.users.Admin, id)
	err = a.store.Do(r.ctx, r.tenant, func(ctx context.Context, db *mongo.Database) (err error) {
		user, err = findOne(ctx, db, a.users, filter, a.users.Admin)
		return err
	})
	return user, err
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
