package api

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/valyala/fasthttp"
	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"metahub/api/model"
	"metahub/tenant"
)

// The fields of a user that sign-in reads.
const (
	emailField    = "email"
	passwordField = "password"
)

// accountModel returns the model of those who sign in.
func accountModel(models *model.Set) (*model.Model, error) {
	m, ok := models.Named("user")
	if !ok {
		return nil, errors.New(`the models declare no "user", and nobody could sign in: add a file like the built-in users.yaml`)
	}
	for _, name := range []string{"name", emailField, "role", "isActive"} {
		if f, ok := m.Field(name); !ok || f.Read == model.Nobody {
			return nil, fmt.Errorf("the model \"user\" has no field %q that admins can read: sign-in needs it", name)
		}
	}
	if f, ok := m.Field(passwordField); !ok || !f.Hashed() {
		return nil, errors.New(`the model "user" has no field "password" with "x-hash: bcrypt": sign-in needs it`)
	}
	return m, nil
}

// login exchanges an e-mail address and a password for a token. Unknown users, wrong passwords and accounts that are switched off
// take the same time and get the same answer.
func (a *API) login(r *request) (reply, error) {
	if own, known := a.fromOwnPage(r); known && !own {
		return reply{}, errForeignSite
	}
	body, err := readBody(r)
	if err != nil {
		return reply{}, err
	}
	email, password, err := credentials(body)
	if err != nil {
		return reply{}, err
	}
	key := a.attempts.key(r.tenant.Slug, email, r.address())
	if wait := a.attempts.begin(key, a.now()); wait > 0 {
		return reply{}, &Error{Status: 429, Code: "too_many_attempts", Message: "Too many attempts. Wait a moment, then try again.", RetryAfter: wait}
	}
	user, err := a.verifyUser(r, email, password)
	if err == nil {
		a.attempts.succeed(key, a.now())
		return a.signIn(r, user)
	}
	if !errors.Is(err, errCredentials) {
		a.attempts.undo(key, a.now()) // nothing was learnt
	}
	return reply{}, err
}

// credentials takes two strings and nothing else: an object in their place could be an operator of the database.
func credentials(body bson.D) (email, password string, err error) {
	var issues []model.Issue
	for _, e := range body {
		text, ok := e.Value.(string)
		switch {
		case e.Key != emailField && e.Key != passwordField:
			continue // frontends send a reCAPTCHA token along
		case !ok || text == "":
			issues = append(issues, model.Issue{Path: e.Key, Message: "must be a text"})
		case e.Key == emailField:
			email = strings.ToLower(strings.TrimSpace(text))
		default:
			password = text
		}
	}
	if len(issues) == 0 && email == "" {
		issues = append(issues, model.Issue{Path: emailField, Message: "is missing"})
	}
	if len(issues) == 0 && password == "" {
		issues = append(issues, model.Issue{Path: passwordField, Message: "is missing"})
	}
	if len(issues) > 0 {
		return "", "", invalid(issues)
	}
	return email, password, nil
}

func (a *API) verifyUser(r *request, email, password string) (bson.Raw, error) {
	user, err := a.findCredentials(r, email)
	if err != nil && !errors.Is(err, mongo.ErrNoDocuments) {
		return nil, fmt.Errorf("read the user who signs in: %w", err)
	}
	same, err := a.passwords.matches(r.ctx, r.tenant.Slug, stringOf(user, passwordField), password)
	if err != nil {
		return nil, err
	}
	if !same || !active(user) {
		return nil, errCredentials
	}
	return user, nil
}

// findCredentials reads a user with the password's hash, which no view shows.
func (a *API) findCredentials(r *request, email string) (user bson.Raw, err error) {
	filter := a.users.Select(r.tenant.Slug, a.users.Admin, bson.E{Key: emailField, Value: email})
	projection := append(bson.D{{Key: passwordField, Value: 1}}, a.users.Admin.Projection...)
	err = a.store.Do(r.ctx, r.tenant, func(ctx context.Context, db *mongo.Database) (err error) {
		user, err = db.Collection(a.users.Collection).FindOne(ctx, filter, options.FindOne().SetProjection(projection)).Raw()
		return err
	})
	return user, err
}

func (a *API) signIn(r *request, user bson.Raw) (reply, error) {
	id, ok := user.Lookup("_id").ObjectIDOK()
	if !ok {
		return reply{}, fmt.Errorf("the _id of a user in %s is not an ObjectId", a.users.Collection)
	}
	token, err := signToken(r.tenant, id, stringOf(user, "role"), a.now())
	if err != nil {
		return reply{}, err
	}
	setCookie(r, token, tokenLifetime)
	return reply{status: 200, message: "Signed in.", data: document{user, a.users.Admin.Output}, token: token}, nil
}

// logout takes the cookie back. The token itself lives on until it expires.
func (a *API) logout(r *request) (reply, error) {
	if own, known := a.fromOwnPage(r); known && !own {
		return reply{}, errForeignSite
	}
	setCookie(r, "", -time.Second)
	return reply{status: 200, message: "Signed out."}, nil
}

// showAccount answers who the caller is, under "user", where existing frontends look for it.
func (a *API) showAccount(r *request) (reply, error) {
	c, err := a.authenticate(r)
	if err != nil {
		return reply{}, err
	}
	return reply{status: 200, message: "OK", dataKey: "user", data: document{c.user, a.users.Admin.Output}}, nil
}

// setCookie sets the token's cookie; scripts cannot read it.
func setCookie(r *request, token string, lifetime time.Duration) {
	c := fasthttp.AcquireCookie()
	defer fasthttp.ReleaseCookie(c)
	c.SetKey(cookieName)
	c.SetValue(token)
	c.SetPath("/")
	c.SetDomain(cookieDomain(r))
	c.SetHTTPOnly(true)
	c.SetSecure(true)
	c.SetSameSite(fasthttp.CookieSameSiteLaxMode)
	c.SetMaxAge(int(lifetime.Seconds()))
	if token == "" {
		c.SetExpire(fasthttp.CookieExpireDelete)
	}
	r.http.Response.Header.SetCookie(c)
}

// cookieDomain is the tenant's, on the hosts that it covers. On its others, and on a shared API host, a browser would refuse a cookie
// for it (RFC 6265 §5.3), so there the cookie is for the host alone.
func cookieDomain(r *request) string {
	domain := r.tenant.CookieDomain
	host, _, err := tenant.CanonicalHost(nil, r.http.Host())
	if err != nil || domain == "" {
		return ""
	}
	if name := "." + string(host); !strings.HasSuffix(name, "."+domain) {
		return ""
	}
	return domain
}

// CreateUser adds a user who can sign in, under the same rules as POST /api/users. An *Error says which of them is broken.
func (a *API) CreateUser(ctx context.Context, t *tenant.Tenant, name, email, password, role string) error {
	fresh, err := a.newDocument(ctx, t.Slug, a.users, bson.D{
		{Key: "name", Value: name},
		{Key: emailField, Value: email},
		{Key: passwordField, Value: password},
		{Key: "role", Value: role},
	})
	if err != nil {
		return err
	}
	raw, err := bson.Marshal(fresh)
	if err != nil {
		return err
	}
	return a.insert(ctx, t, a.users, raw)
}
