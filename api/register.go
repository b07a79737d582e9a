package api

import (
	"context"

	"github.com/valyala/fasthttp"
	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"

	"metahub/api/model"
)

// register adds a user by its own wish, where the model says that everybody may create users. What such a user may say of itself the model
// says as well; the role is the schema's default.
func (a *API) register(r *request) (reply, error) {
	r.private = true
	users := r.resources.users
	if users.Creators != model.Public {
		return reply{}, errNoRegistration
	}
	if own, known := a.fromOwnPage(r); known && !own {
		return reply{}, errForeignSite
	}
	body, err := readBody(r)
	if err != nil {
		return reply{}, err
	}
	if wait := a.attempts.register(r.tenant.Slug, r.address(), a.now()); wait > 0 {
		return reply{}, tooMany(wait)
	}
	w := model.Writer{Audience: model.Public, Scope: r.scope(), Now: a.now()}
	draft, err := a.draft(r.ctx, users, w, body)
	if err != nil {
		return reply{}, err
	}
	if err := a.ensureIndexes(r.ctx, &r.resources.indexed, r.tenant, users); err != nil {
		return reply{}, err
	}
	var user bson.Raw
	err = a.store.Do(r.ctx, r.tenant, func(ctx context.Context, db *mongo.Database) (err error) {
		user, err = insert(ctx, db, users, w.Scope, draft)
		return err
	})
	if err != nil {
		return reply{}, itemError(users, "register", err)
	}
	a.tell(r, users, "create", nil, user)
	return reply{status: fasthttp.StatusCreated, message: "Created.", data: document{user, users.Admin.Output(r.language, false)}}, nil
}
