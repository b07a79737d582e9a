package api

import (
	"context"
	"errors"
	"fmt"

	"github.com/valyala/fasthttp"
	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"

	"metahub/api/model"
)

// signIn opens a session and hands out its tokens.
func (a *API) signIn(r *request, user bson.Raw) (reply, error) {
	id, ok := user.Lookup("_id").ObjectIDOK()
	if !ok {
		return reply{}, fmt.Errorf("the _id of a user in %s is not an ObjectId", r.resources.users.Collection)
	}
	refresh, err := a.openSession(r, id)
	if err != nil {
		return reply{}, err
	}
	return a.handOut(r, user, id, refresh, "Signed in.")
}

// handOut answers with the tokens of a session. A page never sees the refresh token, which its browser keeps: a script that got into the page
// could carry it off.
func (a *API) handOut(r *request, user bson.Raw, id bson.ObjectID, refresh refreshToken, message string) (reply, error) {
	token, err := signToken(r.tenant, id, stringOf(user, roleField), refresh.session, a.now())
	if err != nil {
		return reply{}, err
	}
	r.setCookies(token, refresh.String())
	answer := reply{status: 200, message: message, data: document{user, r.resources.users.Admin.Output(r.language, false)}, token: token}
	if _, browser := a.fromOwnPage(r); !browser {
		answer.refreshToken = refresh.String()
	}
	return answer, nil
}

// refresh gives new tokens for a refresh token, which is used up, from the body or else from the cookie.
func (a *API) refresh(r *request) (reply, error) {
	r.private = true
	old, err := a.presented(r)
	if err != nil {
		return reply{}, err
	}
	next, id, err := a.turn(r, old)
	if err != nil {
		if errors.Is(err, errBadRefresh) {
			r.clearCookies()
		}
		return reply{}, err
	}
	user, err := a.findActive(r, id)
	if errors.Is(err, errBadRefresh) {
		r.clearCookies()
		err = errors.Join(err, a.endSessions(r, bson.E{Key: "_id", Value: next.session}))
	}
	if err != nil {
		return reply{}, err
	}
	return a.handOut(r, user, id, next, "Signed in.")
}

// findActive reads the user of a session.
func (a *API) findActive(r *request, id bson.ObjectID) (user bson.Raw, err error) {
	users := r.resources.users
	err = a.store.Do(r.ctx, r.tenant, func(ctx context.Context, db *mongo.Database) (err error) {
		user, err = findOne(ctx, db, users, users.Item(r.scope(), users.Admin, id), users.Admin)
		return err
	})
	switch {
	case errors.Is(err, mongo.ErrNoDocuments):
		return nil, errBadRefresh
	case err != nil:
		return nil, fmt.Errorf("read who refreshes: %w", err)
	case !active(user):
		return nil, errBadRefresh
	}
	return user, nil
}

// presented returns the refresh token that a request brings.
func (a *API) presented(r *request) (t refreshToken, err error) {
	text, err := readRefreshToken(r)
	if err != nil {
		return t, err
	}
	if text == "" {
		if own, _ := a.fromOwnPage(r); !own {
			return t, errForeignSite
		}
		text = r.cookie(refreshCookie)
	}
	t, ok := parseRefreshToken(text)
	if !ok {
		return t, errBadRefresh
	}
	return t, nil
}

// readRefreshToken reads {"refreshToken":"…"}, or {}, or no body at all.
func readRefreshToken(r *request) (string, error) {
	body, err := readMaybe(r)
	if err != nil {
		return "", err
	}
	for _, e := range body {
		text, ok := e.Value.(string)
		if e.Key == refreshCookie && !ok {
			return "", invalid([]model.Issue{{Path: e.Key, Message: "must be a text"}})
		}
		if e.Key == refreshCookie {
			return text, nil
		}
	}
	return "", nil
}

// logout ends the session and takes the cookies back.
func (a *API) logout(r *request) (reply, error) {
	r.private = true
	if own, known := a.fromOwnPage(r); known && !own {
		return reply{}, errForeignSite
	}
	r.clearCookies()
	c := r.credentials()
	if _, session, err := verifyToken(r.tenant, c.token, a.now); err == nil {
		if err := a.endSessions(r, bson.E{Key: "_id", Value: session}); err != nil {
			return reply{}, err
		}
	}
	if t, ok := parseRefreshToken(r.brought()); ok { // the other token may be over already
		if err := a.endRefreshed(r, t); err != nil {
			return reply{}, err
		}
	}
	return reply{status: fasthttp.StatusOK, message: "Signed out."}, nil
}

// brought returns the refresh token of the body or the cookie, as somebody who leaves brings it: whatever else there is does no harm.
func (r *request) brought() string {
	if text, err := readRefreshToken(r); err == nil && text != "" {
		return text
	}
	return r.cookie(refreshCookie)
}

// logoutAll ends all sessions of the caller.
func (a *API) logoutAll(r *request) (reply, error) {
	c, err := a.person(r)
	if err != nil {
		return reply{}, err
	}
	if err := a.endSessions(r, bson.E{Key: "user", Value: c.id}); err != nil {
		return reply{}, err
	}
	r.clearCookies()
	return reply{status: fasthttp.StatusOK, message: "Signed out."}, nil
}
