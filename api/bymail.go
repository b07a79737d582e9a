package api

import (
	"context"
	"errors"
	"strings"

	"github.com/valyala/fasthttp"
	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.uber.org/zap"

	"metahub/api/mail"
	"metahub/api/model"
	"metahub/tenant"
)

// addMailRoutes adds what people do by mail. Where a tenant sends none they say so: a 404 would send who looks for the cause to the address.
func (a *API) addMailRoutes(r *router) {
	post := func(path string, do handler) { r.add(path, methods{"POST": sendsMail(do)}) }
	post("/api/users/forgot-password", a.mailTicket(resetTicket))
	r.items["/api/users/reset-password/"] = newEndpoint(methods{"POST": sendsMail(a.resetPassword)}, parseKey)
	post("/api/users/advanced-auth/send-verification", verifies(a.mailTicket(verifyTicket)))
	post("/api/users/advanced-auth/verify-email", verifies(a.verifyEmail))
	post("/api/users/advanced-auth/send-otp", a.mailTicket(codeTicket))
	post("/api/users/advanced-auth/resend-otp", a.mailTicket(codeTicket))
	post("/api/users/advanced-auth/verify-otp", a.signInByCode)
	r.add("/api/users/advanced-auth/verify-mfa", methods{"POST": refuseSecondFactor})
}

// verifiedField says whether the address was shown to be the user's.
const verifiedField = "emailVerified"

var (
	errNoMail         = &Error{Status: 403, Code: "no_mail", Message: "This site sends no mail. Ask one of its administrators instead."}
	errNoSecondFactor = &Error{Status: 403, Code: "no_second_factor", Message: "Accounts have no second factor here."}
	errNoVerification = &Error{Status: 403, Code: "no_verification", Message: "Addresses are not verified here."}
	errMailFull       = &Error{Status: 503, Code: "unavailable", Message: "Too many mails are on their way. Try again in a moment.", RetryAfter: mailRetry}
)

// verifies refuses everybody where the users' model has no place to note that an address is verified.
func verifies(do handler) handler {
	return func(r *request) (reply, error) {
		if _, ok := r.resources.users.Field(verifiedField); !ok {
			return reply{}, errNoVerification
		}
		return do(r)
	}
}

// sendsMail refuses everybody alike where a tenant sends no mail.
func sendsMail(do handler) handler {
	return func(r *request) (reply, error) {
		r.private = true
		if r.tenant.Mail.IsZero() {
			return reply{}, errNoMail
		}
		return do(r)
	}
}

func refuseSecondFactor(r *request) (reply, error) {
	r.private = true
	return reply{}, errNoSecondFactor
}

// mailTicket mails a ticket to the user who has an address. Whether there is one is found out after the answer, so that neither the answer nor
// its time tells.
func (a *API) mailTicket(for_ purpose) handler {
	return func(r *request) (reply, error) {
		email, err := a.readMailRequest(r, emailField)
		if err != nil {
			return reply{}, err
		}
		address := strings.ToLower(strings.TrimSpace(email[0]))
		if wait := a.attempts.mail(r.tenant.Slug, address, r.address(), a.now()); wait > 0 {
			return reply{}, tooMany(wait)
		}
		t, resources, language, log := r.tenant, r.resources, r.language.String(), r.logFields() // the request is over by then
		err = a.outbox.Send(t, func(ctx context.Context) (*mail.Message, error) {
			ctx, cancel := context.WithTimeout(ctx, requestTimeout)
			defer cancel()
			m, err := a.writeMail(ctx, t, resources, for_, address, language)
			if err != nil {
				a.log.Warn("a mail cannot be written", append(log, zap.Error(err))...)
			}
			return m, err
		})
		if err != nil {
			return reply{}, errMailFull
		}
		return reply{status: fasthttp.StatusOK, message: "If this address has an account here, a mail is on its way."}, nil
	}
}

// readMailRequest reads texts of a body, as no foreign page sends it.
func (a *API) readMailRequest(r *request, names ...string) ([]string, error) {
	if own, known := a.fromOwnPage(r); known && !own {
		return nil, errForeignSite
	}
	body, err := readBody(r)
	if err != nil {
		return nil, err
	}
	return readTexts(body, names...)
}

// writeMail makes a ticket and the mail that brings it, or nothing where nobody who may sign in has the address, or where it is verified already.
func (a *API) writeMail(ctx context.Context, t *tenant.Tenant, on *resources, for_ purpose, address, language string) (*mail.Message, error) {
	var user bson.Raw
	filter := on.users.Select(model.Scope{Tenant: t.Slug}, on.users.Admin, bson.E{Key: emailField, Value: address})
	err := a.store.Do(ctx, t, func(ctx context.Context, db *mongo.Database) (err error) {
		user, err = findOne(ctx, db, on.users, filter, on.users.Admin)
		return err
	})
	if errors.Is(err, mongo.ErrNoDocuments) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	id, ok := user.Lookup("_id").ObjectIDOK()
	verified, _ := user.Lookup(verifiedField).BooleanOK()
	if !ok || !active(user) || for_ == verifyTicket && verified {
		return nil, nil
	}
	text, err := a.issueTicket(ctx, t, &on.indexed, for_, id, address)
	if err != nil {
		return nil, err
	}
	return compose(t, for_, address, text, language), nil
}

// resetPassword sets a new password for who brings the ticket of a mail, and ends all sessions of the user.
func (a *API) resetPassword(r *request) (reply, error) {
	texts, err := a.readMailRequest(r, "newPassword")
	if err != nil {
		return reply{}, err
	}
	k, err := a.findTicket(r, resetTicket, r.name)
	if err != nil {
		return reply{}, err
	}
	users, w := r.resources.users, a.self(r, caller{})
	change, err := a.judge(r.ctx, users, w.Writer, bson.D{{Key: passwordField, Value: texts[0]}})
	if err != nil {
		return reply{}, err
	}
	if err := a.changeByTicket(r, w, k, change); err != nil {
		return reply{}, err
	}
	r.clearCookies()
	return reply{status: fasthttp.StatusOK, message: "Updated."}, nil
}

// verifyEmail notes that the address is the user's who brings the ticket of a mail.
func (a *API) verifyEmail(r *request) (reply, error) {
	texts, err := a.readMailRequest(r, "token")
	if err != nil {
		return reply{}, err
	}
	k, err := a.findTicket(r, verifyTicket, texts[0])
	if err != nil {
		return reply{}, err
	}
	w := a.self(r, caller{})
	change, err := a.judge(r.ctx, r.resources.users, w.Writer, bson.D{{Key: verifiedField, Value: true}})
	if err != nil {
		return reply{}, err
	}
	if err := a.changeByTicket(r, w, k, change); err != nil {
		return reply{}, err
	}
	return reply{status: fasthttp.StatusOK, message: "Updated."}, nil
}

// changeByTicket uses a ticket up and changes its user, who must still have the address that it went to and be able to sign in.
func (a *API) changeByTicket(r *request, w writer, k ticket, change model.Change) error {
	if err := a.useTicket(r, k); err != nil {
		return err
	}
	users := r.resources.users
	filter := users.Item(w.Scope, w.view, k.User)
	user, err := a.change(r, users, filter, nil, func(current bson.Raw) (model.Change, error) {
		if !active(current) || stringOf(current, emailField) != k.Email {
			return change, errBadTicket
		}
		return change, nil
	})
	if errors.Is(err, errNoDocument) {
		return errBadTicket
	}
	if err != nil {
		return err
	}
	return a.settleAccount(r, users, w.by, change.Set, user)
}

// signInByCode signs in who brings the code of a mail. Wrong ones count like wrong passwords.
func (a *API) signInByCode(r *request) (reply, error) {
	texts, err := a.readMailRequest(r, emailField, "code")
	if err != nil {
		return reply{}, err
	}
	address := strings.ToLower(strings.TrimSpace(texts[0]))
	user, err := a.try(r, address, func() (bson.Raw, error) {
		k, err := a.findCode(r, address, strings.TrimSpace(texts[1]))
		if err == nil {
			err = a.useTicket(r, k)
		}
		if errors.Is(err, errBadTicket) {
			err = errCredentials
		}
		if err != nil {
			return nil, err
		}
		user, err := a.findActive(r, k.User)
		if errors.Is(err, errBadRefresh) || err == nil && stringOf(user, emailField) != k.Email {
			err = errCredentials
		}
		return user, err
	})
	if errors.Is(err, errCredentials) {
		err = errBadTicket
	}
	if err != nil {
		return reply{}, err
	}
	return a.signIn(r, user)
}

// unverified adds to a change of a user's address that the new one is not verified.
func (a *API) unverified(r *request, m *model.Model, current bson.Raw, change model.Change) model.Change {
	if verified, _ := current.Lookup(verifiedField).BooleanOK(); m != r.resources.users || !verified {
		return change
	}
	moves := false
	for _, e := range change.Set {
		moves = moves || e.Key == emailField && e.Value != stringOf(current, emailField)
	}
	if !moves {
		return change
	}
	return change.With(verifiedField, false)
}
