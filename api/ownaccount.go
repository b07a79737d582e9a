package api

import (
	"errors"
	"fmt"

	"github.com/valyala/fasthttp"
	"go.mongodb.org/mongo-driver/v2/bson"
	"go.uber.org/zap"

	"metahub/api/model"
)

// ownAccount is the address of the account of who is signed in.
const ownAccount = "/api/users/account/me"

// presentPassword is the field of a body that shows that its sender is no finder of an open browser.
const presentPassword = "currentPassword"

// addAccount adds what people do to their own account: the model's actions, and the password, which is hashed.
func (a *API) addAccount(r *router, users *model.Model) {
	r.add(ownAccount, methods{"GET": a.showAccount})
	r.add(ownAccount+"/password", methods{"PUT": a.changePassword, "PATCH": a.changePassword})
	for _, action := range users.Account {
		r.add(ownAccount+"/"+action.Name, a.accountMethods(action))
	}
}

func (a *API) accountMethods(action *model.Action) methods {
	switch {
	case action.End != "":
		end := a.endAccount(action)
		return methods{"POST": end, "DELETE": end} // frontends of different ages send one or the other
	case action.Files():
		set := a.setOwnFiles(action)
		return methods{"PUT": set, "PATCH": set, "DELETE": a.removeOwnFiles(action)}
	}
	change := a.changeAccount(action)
	return methods{"PUT": change, "PATCH": change}
}

// checkAccount refuses actions that would let people rise, come back, or take over an account in whose open browser they sit.
func checkAccount(models *model.Set, users *model.Model) error {
	for _, m := range models.All() {
		if m != users && len(m.Account) > 0 {
			return fmt.Errorf("the model %q has the key \"account\", which is for the users alone", m.Name)
		}
	}
	for _, action := range users.Account {
		if action.Name == passwordField {
			return errors.New(`the model "user" has an account action "password", which is there already`)
		}
		for _, name := range action.Sets() {
			switch {
			case name == roleField || name == activeField || name == verifiedField:
				return fmt.Errorf("the account action %q of the model \"user\" sets %q: that is for admins alone", action.Name, name)
			case name == emailField && !action.Confirms(name):
				return fmt.Errorf("the account action %q of the model \"user\" sets \"email\", which signs in: add \"confirm: [email]\"", action.Name)
			}
		}
	}
	return nil
}

// showAccount answers who the caller is, under "user", where existing frontends look for it.
func (a *API) showAccount(r *request) (reply, error) {
	c, err := a.person(r)
	if err != nil {
		return reply{}, err
	}
	return reply{status: 200, message: "OK", dataKey: "user", data: document{c.user, r.resources.users.Admin.Output(r.language, false)}}, nil
}

// changePassword takes a new password from who knows the present one, and ends the user's other sessions.
func (a *API) changePassword(r *request) (reply, error) {
	c, err := a.person(r)
	if err != nil {
		return reply{}, err
	}
	body, err := readBody(r)
	if err != nil {
		return reply{}, err
	}
	texts, err := readTexts(body, presentPassword, "newPassword")
	if err != nil {
		return reply{}, err
	}
	if err := a.confirm(r, c, texts[0]); err != nil {
		return reply{}, err
	}
	users, fresh := r.resources.users, texts[1]
	w := a.self(r, c)
	if _, err := a.updateOne(r, users, w, users.Item(w.Scope, w.view, c.id), nil, bson.D{{Key: passwordField, Value: fresh}}, nil); err != nil {
		return reply{}, err
	}
	return reply{status: 200, message: "Updated."}, nil
}

// confirm makes sure that a person knows the password of the account, as long as there have not been too many attempts to.
func (a *API) confirm(r *request, c caller, password string) error {
	email := stringOf(c.user, emailField)
	user, err := a.try(r, email, func() (bson.Raw, error) { return a.verifyUser(r, email, password) })
	if errors.Is(err, errCredentials) || err == nil && stringOf(user, emailField) != email {
		return errWrongPassword
	}
	return err
}

// self is a person who changes the own account. Which fields that may be the model has said, so that it sets them as an admin would.
func (a *API) self(r *request, c caller) writer {
	return writer{Writer: model.Writer{Audience: model.Admin, Scope: r.scope(), Now: a.now()}, view: r.resources.users.Admin, by: c}
}

// changeAccount sets fields of the caller's account.
func (a *API) changeAccount(action *model.Action) handler {
	return func(r *request) (reply, error) {
		c, err := a.person(r)
		if err != nil {
			return reply{}, err
		}
		users := r.resources.users
		body, err := a.readAction(r, users, action)
		if err != nil {
			return reply{}, err
		}
		body, password, err := takePassword(body)
		if err != nil {
			return reply{}, err
		}
		if action.Unconfirmed(users, c.user, body) {
			if password == "" {
				return reply{}, invalid([]model.Issue{{Path: presentPassword, Message: "is missing"}})
			}
			if err := a.confirm(r, c, password); err != nil {
				return reply{}, err
			}
		}
		w := a.self(r, c)
		raw, err := a.doAction(r, users, action, w, users.Item(w.Scope, w.view, c.id), body)
		if err != nil {
			return reply{}, err
		}
		return a.ownReply(r, action, raw), nil
	}
}

// takePassword takes the present password out of a body.
func takePassword(body bson.D) (rest bson.D, password string, err error) {
	for _, e := range body {
		text, ok := e.Value.(string)
		switch {
		case e.Key != presentPassword:
			rest = append(rest, e)
		case !ok && e.Value != nil:
			return nil, "", invalid([]model.Issue{{Path: e.Key, Message: "must be a text"}})
		default:
			password = text
		}
	}
	if len(rest) == 0 {
		return nil, "", badRequest("The body has no field to set.")
	}
	return rest, password, nil
}

// ownReply answers with the account as account/me does, and with what existing frontends look for beside it.
func (a *API) ownReply(r *request, action *model.Action, user bson.Raw) reply {
	view := r.resources.users.Admin
	return reply{status: fasthttp.StatusOK, message: "Updated.", dataKey: "user", data: document{user, view.Output(r.language, false)}, beside: beside(r, action, view, user)}
}

// setOwnFiles takes the files of a form into the caller's account.
func (a *API) setOwnFiles(action *model.Action) handler {
	return func(r *request) (reply, error) {
		c, err := a.person(r)
		if err != nil {
			return reply{}, err
		}
		users, w := r.resources.users, a.self(r, c)
		body, files, err := a.readDocument(r, users, w.Audience)
		defer files.discard()
		if err != nil {
			return reply{}, err
		}
		var issues []model.Issue
		for _, e := range body {
			issues = append(issues, model.Issue{Path: cutName(e.Key), Message: "is not a field that can be set"})
		}
		if len(issues) > 0 {
			return reply{}, invalid(issues[:min(len(issues), maxFiles)])
		}
		raw, err := a.updateOne(r, users, w, users.Item(w.Scope, w.view, c.id), r.precondition(users), nil, files)
		if err != nil {
			return reply{}, err
		}
		return a.ownReply(r, action, raw), nil
	}
}

// removeOwnFiles removes the files of the caller's account.
func (a *API) removeOwnFiles(action *model.Action) handler {
	return func(r *request) (reply, error) {
		c, err := a.person(r)
		if err != nil {
			return reply{}, err
		}
		users, w := r.resources.users, a.self(r, c)
		none := bson.D{{Key: users.Upload.Field.Name, Value: nil}}
		raw, err := a.updateOne(r, users, w, users.Item(w.Scope, w.view, c.id), r.precondition(users), none, nil)
		if err != nil {
			return reply{}, err
		}
		return a.ownReply(r, action, raw), nil
	}
}

// endAccount ends the caller's account, with all of its sessions, for who knows its password.
func (a *API) endAccount(action *model.Action) handler {
	return func(r *request) (reply, error) {
		c, err := a.person(r)
		if err != nil {
			return reply{}, err
		}
		body, err := readMaybe(r)
		if err != nil {
			return reply{}, err
		}
		texts, err := readTexts(body, passwordField)
		if err != nil {
			return reply{}, err
		}
		if err := a.confirm(r, c, texts[0]); err != nil {
			return reply{}, err
		}
		users := r.resources.users
		own := users.Item(r.scope(), users.Admin, c.id)
		if action.End == model.Anonymise {
			err = a.anonymise(r, users, own)
		} else {
			err = a.removeOne(r, users, own, nil)
		}
		if err != nil {
			return reply{}, err
		}
		r.clearCookies()
		return reply{status: fasthttp.StatusOK, message: "Deleted."}, nil
	}
}

// anonymise leaves an account that nobody can sign in to, for the documents that refer to it. The domain of its address is one that there
// cannot be (RFC 2606 §2).
func (a *API) anonymise(r *request, users *model.Model, filter bson.D) error {
	after, err := a.change(r, users, filter, nil, func(current bson.Raw) (model.Change, error) {
		id, ok := current.Lookup("_id").ObjectIDOK()
		if !ok {
			return model.Change{}, fmt.Errorf("the _id of a user in %s is not an ObjectId", users.Collection)
		}
		return users.Replace(current, bson.D{
			{Key: nameField, Value: "—"},
			{Key: emailField, Value: id.Hex() + "@deleted.invalid"},
			{Key: passwordField, Value: ""},
			{Key: activeField, Value: false},
		}, a.now())
	})
	if err == nil {
		a.forgetAccount(r, users, after)
	}
	return err
}

// settleAccount ends the sessions of a user whose password has changed, or whose account is switched off, but the one that did it.
func (a *API) settleAccount(r *request, m *model.Model, by caller, set bson.D, user bson.Raw) error {
	if m != r.resources.users {
		return nil
	}
	for _, e := range set {
		if e.Key == passwordField || e.Key == activeField && e.Value == false {
			return a.endSessions(r, bson.E{Key: "user", Value: user.Lookup("_id")}, bson.E{Key: "_id", Value: bson.D{{Key: "$ne", Value: by.session}}})
		}
	}
	return nil
}

// forgetAccount ends the sessions of an account that there is no more. Nobody gets in by them any more, whatever becomes of that.
func (a *API) forgetAccount(r *request, m *model.Model, user bson.Raw) {
	if m != r.resources.users {
		return
	}
	if err := a.endSessions(r, bson.E{Key: "user", Value: user.Lookup("_id")}); err != nil {
		a.log.Warn("sessions of a user who is gone stay until they are over", append(r.logFields(), zap.Error(err))...)
	}
}
