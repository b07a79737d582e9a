package api

import (
	"context"
	"slices"

	"github.com/valyala/fasthttp"
)

// standing returns a question: may the caller of a request still do what it might when it asked? Whoever was nobody has nothing to lose. The
// question outlives the request. While the database does not answer nothing changes.
func (a *API) standing(r *request) (stands func() bool) {
	c, err := a.authenticate(r)
	if err != nil {
		return func() bool { return true }
	}
	slug, users := []byte(r.tenant.Slug), r.resources.users
	return func() bool {
		t, ok := a.registry.Current().Tenant(slug)
		if !ok {
			return false
		}
		ctx, cancel := context.WithTimeout(context.Background(), a.patience)
		defer cancel()
		var now caller
		var err error
		if c.key != nil {
			now, err = a.readKey(ctx, t, c.key.ID, c.key.Hash)
		} else {
			now, err = a.readSignedIn(ctx, t, users, c.id, c.session)
		}
		if err != nil {
			return asError(err).Status != fasthttp.StatusUnauthorized
		}
		return now.role == c.role && (c.key == nil || slices.Equal(now.key.Scopes, c.key.Scopes))
	}
}
