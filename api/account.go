package api

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.uber.org/zap"

	"metahub/api/model"
	"metahub/tenant"
)

// The model of those who sign in, and the fields that sign-in reads.
const (
	userModel     = "user"
	nameField     = "name"
	emailField    = "email"
	passwordField = "password"
	roleField     = "role"
	activeField   = "isActive"
)

// accountModel returns the model of those who sign in.
func accountModel(models *model.Set) (*model.Model, error) {
	m, ok := models.Named(userModel)
	if !ok {
		return nil, errors.New(`the models declare no "user", and nobody could sign in: add a file like the built-in users.yaml`)
	}
	for _, name := range []string{nameField, emailField, roleField, activeField} {
		if f, ok := m.Field(name); !ok || f.Read == model.Nobody {
			return nil, fmt.Errorf("the model \"user\" has no field %q that admins can read: sign-in needs it", name)
		}
	}
	if f, ok := m.Field(passwordField); !ok || f.Hash == "" {
		return nil, errors.New(`the model "user" has no field "password" with "x-hash: argon2id": sign-in needs it`)
	}
	return m, checkAccount(models, m)
}

// login exchanges an e-mail address and a password for a session. Unknown users, wrong passwords and accounts that are switched off
// take the same time and get the same answer.
func (a *API) login(r *request) (reply, error) {
	r.private = true
	if own, known := a.fromOwnPage(r); known && !own {
		return reply{}, errForeignSite
	}
	body, err := readBody(r)
	if err != nil {
		return reply{}, err
	}
	email, password, err := readCredentials(body)
	if err != nil {
		return reply{}, err
	}
	user, err := a.try(r, email, func() (bson.Raw, error) { return a.verifyUser(r, email, password) })
	if err != nil {
		return reply{}, err
	}
	a.rehash(r, user, password)
	return a.signIn(r, user)
}

// try makes an attempt to know an account's password, as long as there have not been too many.
func (a *API) try(r *request, email string, verify func() (bson.Raw, error)) (bson.Raw, error) {
	attempt, wait := a.attempts.begin(a.attempts.login(r.tenant.Slug, email, r.address()), a.now())
	if wait > 0 {
		return nil, tooMany(wait)
	}
	user, err := verify()
	switch {
	case err == nil:
		a.attempts.succeed(attempt, a.now())
	case errors.Is(err, errCredentials):
		a.attempts.fail(attempt, a.now())
	default:
		a.attempts.undo(attempt, a.now()) // nothing was learnt
	}
	return user, err
}

func tooMany(wait time.Duration) error {
	return &Error{Status: 429, Code: "too_many_attempts", Message: "Too many attempts. Wait a moment, then try again.", RetryAfter: wait}
}

func readCredentials(body bson.D) (email, password string, err error) {
	texts, err := readTexts(body, emailField, passwordField)
	if err != nil {
		return "", "", err
	}
	return strings.ToLower(strings.TrimSpace(texts[0])), texts[1], nil
}

// readTexts takes strings and nothing else: an object in their place could be an operator of the database. It returns them in the order of
// their names, and passes over what else there is: frontends send a reCAPTCHA token along.
func readTexts(body bson.D, names ...string) ([]string, error) {
	texts := make([]string, len(names))
	var issues []model.Issue
	for i, name := range names {
		found := false
		for _, e := range body {
			if e.Key == name {
				texts[i], _ = e.Value.(string)
				found = true
			}
		}
		switch {
		case !found:
			issues = append(issues, model.Issue{Path: name, Message: "is missing"})
		case texts[i] == "":
			issues = append(issues, model.Issue{Path: name, Message: "must be a text"})
		}
	}
	if len(issues) > 0 {
		return nil, invalid(issues)
	}
	return texts, nil
}

func (a *API) verifyUser(r *request, email, password string) (bson.Raw, error) {
	user, err := a.findCredentials(r, email)
	if err != nil && !errors.Is(err, mongo.ErrNoDocuments) {
		return nil, fmt.Errorf("read the user who signs in: %w", err)
	}
	hash := stringOf(user, passwordField)
	if !active(user) {
		hash = "" // which nothing matches, and takes as long
	}
	same, err := a.passwords.matches(r.ctx, r.tenant.Slug, hash, password)
	if err != nil {
		return nil, err
	}
	if !same {
		return nil, errCredentials
	}
	return user, nil
}

// findCredentials reads a user with the password's hash, which no view shows.
func (a *API) findCredentials(r *request, email string) (user bson.Raw, err error) {
	users := r.resources.users
	filter := users.Select(r.scope(), users.Admin, bson.E{Key: emailField, Value: email})
	projection := append(bson.D{{Key: passwordField, Value: 1}}, users.Admin.Projection...)
	err = a.store.Do(r.ctx, r.tenant, func(ctx context.Context, db *mongo.Database) (err error) {
		user, err = db.Collection(users.Collection).FindOne(ctx, filter, options.FindOne().SetProjection(projection)).Raw()
		return err
	})
	return user, err
}

// rehash replaces a hash that new ones are better than, while the password is at hand. It is no failure of the sign-in if that fails.
func (a *API) rehash(r *request, user bson.Raw, password string) {
	users := r.resources.users
	field, _ := users.Field(passwordField)
	before := stringOf(user, passwordField)
	if !a.passwords.cost.outdated(before, field.Hash) || passwordTooLong(password, field.Hash) != "" {
		return
	}
	hash, err := a.passwords.hash(r.ctx, r.tenant.Slug, password, field.Hash)
	if err == nil {
		err = a.store.Do(r.ctx, r.tenant, func(ctx context.Context, db *mongo.Database) error {
			same := bson.D{{Key: "_id", Value: user.Lookup("_id")}, {Key: passwordField, Value: before}}
			_, err := db.Collection(users.Collection).UpdateOne(ctx, same, bson.D{{Key: "$set", Value: bson.D{{Key: passwordField, Value: hash}}}})
			return err
		})
	}
	if err != nil {
		a.log.Warn("a password keeps its old hash", append(r.logFields(), zap.Error(err))...)
	}
}

// CreateUser adds a user who can sign in, under the same rules as POST /api/users. An *Error says which of them is broken.
func (a *API) CreateUser(ctx context.Context, t *tenant.Tenant, name, email, password, role string) error {
	loaded := a.resources.Load()
	users := loaded.users
	w := model.Writer{Audience: model.Admin, Scope: model.Scope{Tenant: t.Slug}, Now: a.now()}
	draft, err := a.draft(ctx, users, w, bson.D{
		{Key: nameField, Value: name},
		{Key: emailField, Value: email},
		{Key: passwordField, Value: password},
		{Key: roleField, Value: role},
	})
	if err != nil {
		return err
	}
	if err := a.ensureIndexes(ctx, &loaded.indexed, t, users); err != nil {
		return err
	}
	err = a.write(ctx, t, users, func(ctx context.Context, db *mongo.Database) error {
		_, err := insert(ctx, db, users, w.Scope, draft)
		return err
	})
	return itemError(users, "create", err)
}
