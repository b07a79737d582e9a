package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/valyala/fasthttp"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.uber.org/zap"

	"metahub/api/model"
	"metahub/store"
)

// Error is a refusal: a code for machines, a sentence for people, and the cause for the log alone.
type Error struct {
	Status  int
	Code    string
	Message string
	// Issues says what is wrong with each field of a body (422).
	Issues []model.Issue
	// RetryAfter is when it is worth trying again.
	RetryAfter time.Duration
	// Allow lists the methods of an address (405).
	Allow string

	cause error
}

// Error implements error. It is for the log and for the command line, and says more than a client is told.
func (e *Error) Error() string {
	text := e.Message
	for _, issue := range e.Issues {
		text += " " + issue.Path + " " + issue.Message + "."
	}
	if e.cause != nil {
		text += ": " + e.cause.Error()
	}
	return text
}

// Unwrap returns the hidden cause.
func (e *Error) Unwrap() error { return e.cause }

// Refusals that are the same for every request.
var (
	errNoTenant       = &Error{Status: 400, Code: "no_tenant", Message: "The request names no tenant."}
	errNoRoute        = &Error{Status: 404, Code: "not_found", Message: "There is nothing at this address."}
	errNotID          = &Error{Status: 404, Code: "not_found", Message: "There is nothing at this address: an id is 24 hexadecimal digits."}
	errNoDocument     = &Error{Status: 404, Code: "not_found", Message: "There is no document with this id."}
	errPrecondition   = &Error{Status: 412, Code: "precondition_failed", Message: "The document has changed since you read it: read it again."}
	errOvertaken      = &Error{Status: 409, Code: "conflict", Message: "Others change this document all the time. Try again in a moment."}
	errPageTooLarge   = &Error{Status: 400, Code: "page_too_large", Message: "The page is larger than 16 MiB: ask for fewer documents by the parameter \"limit\"."}
	errUnauthorized   = &Error{Status: 401, Code: "unauthorized", Message: "Sign in first: send the token as \"Authorization: Bearer …\" or as its cookie."}
	errBadToken       = &Error{Status: 401, Code: "unauthorized", Message: "The token is not valid here any more: sign in again."}
	errBadRefresh     = &Error{Status: 401, Code: "unauthorized", Message: "The session is over: sign in again."}
	errBadKey         = &Error{Status: 401, Code: "unauthorized", Message: "The API key is not valid here, or not any more."}
	errRegister       = &Error{Status: 403, Code: "forbidden", Message: "New users register at /api/users/register."}
	errCredentials    = &Error{Status: 401, Code: "invalid_credentials", Message: "The e-mail address or the password is wrong."}
	errWrongPassword  = &Error{Status: 400, Code: "wrong_password", Message: "The present password is wrong."}
	errNoRegistration = &Error{Status: 403, Code: "forbidden", Message: "Nobody can register here: accounts are made by an administrator."}
	errForbidden      = &Error{Status: 403, Code: "forbidden", Message: "Your role does not allow this."}
	errForeignSite    = &Error{Status: 403, Code: "foreign_origin", Message: "A cookie signs in only pages of the tenant's own hosts: send their Origin, or the token as a bearer."}
)

func badRequest(format string, args ...any) error {
	return &Error{Status: 400, Code: "bad_request", Message: fmt.Sprintf(format, args...)}
}

func methodNotAllowed(allow string) error {
	return &Error{Status: 405, Code: "method_not_allowed", Message: "This address allows " + allow + ".", Allow: allow}
}

func invalid(issues []model.Issue) error {
	return &Error{Status: 422, Code: "validation_failed", Message: "Validation error.", Issues: issues}
}

// fail writes every error: the one place that decides what a client may learn.
func (a *API) fail(r *request, err error) {
	refusal := asError(err)
	a.logFailure(r, err)
	header := &r.http.Response.Header
	if refusal.RetryAfter > 0 {
		header.Set(fasthttp.HeaderRetryAfter, strconv.Itoa(int(math.Ceil(refusal.RetryAfter.Seconds()))))
	}
	if refusal.Allow != "" {
		header.Set(fasthttp.HeaderAllow, refusal.Allow)
	}
	if refusal.Status == fasthttp.StatusUnauthorized {
		header.Set(fasthttp.HeaderWWWAuthenticate, "Bearer") // RFC 9110 §11.6.1
	}
	body, err := json.Marshal(problemOf(r, refusal))
	if err != nil {
		a.log.Error("error has no JSON form", append(r.logFields(), zap.Error(err))...)
	}
	r.http.Response.SetBody(body)
	r.setHeaders(refusal.Status)
	if r.wantsProblem() {
		header.SetContentType(problemType)
	}
}

// logFailure logs what is our fault.
func (a *API) logFailure(r *request, err error) {
	if asError(err).Status == fasthttp.StatusInternalServerError {
		a.log.Error("request failed", append(r.logFields(), zap.Error(err))...)
	}
}

// problem is the body of every error: the envelope of existing frontends, and the members of RFC 9457 beside it.
type problem struct {
	Success   bool    `json:"success"`
	Message   string  `json:"message"`
	Code      string  `json:"code"`
	RequestID string  `json:"request_id"`
	Errors    []issue `json:"errors,omitempty"`
	Type      string  `json:"type"`
	Title     string  `json:"title"`
	Status    int     `json:"status"`
	Detail    string  `json:"detail"`
}

// issue is what is wrong with one field, with the members that express-validator gives it.
type issue struct {
	Path     string `json:"path"`
	Message  string `json:"msg"`
	Type     string `json:"type"`
	Location string `json:"location"`
}

func problemOf(r *request, refusal *Error) problem {
	message := translate(r.language, refusal.Message)
	p := problem{
		Message: message, Code: refusal.Code, RequestID: r.requestID(),
		Type: "about:blank", Title: fasthttp.StatusMessage(refusal.Status), Status: refusal.Status, Detail: message, // RFC 9457 §4.2.1
	}
	for _, i := range refusal.Issues {
		p.Errors = append(p.Errors, issue{i.Path, translate(r.language, i.Message), "field", "body"})
	}
	return p
}

const problemType = "application/problem+json"

// wantsProblem reports whether the client asks for errors by their own media type.
func (r *request) wantsProblem() bool {
	return bytes.Contains(r.http.Request.Header.Peek(fasthttp.HeaderAccept), []byte(problemType))
}

// asError turns what a handler returned into what a client may see. Whatever is not a refusal is internal.
func asError(err error) *Error {
	var refusal *Error
	if errors.As(err, &refusal) {
		return refusal
	}
	var unavailable *store.Unavailable
	if errors.As(err, &unavailable) {
		return &Error{
			Status:     503,
			Code:       "unavailable",
			Message:    "The database cannot be reached just now. Try again in a moment.",
			RetryAfter: max(unavailable.RetryAfter, time.Second),
			cause:      err,
		}
	}
	if mongo.IsTimeout(err) {
		return &Error{Status: 503, Code: "timeout", Message: "The database takes too long over this. Try again in a moment.", RetryAfter: time.Second, cause: err}
	}
	return &Error{Status: 500, Code: "internal", Message: "Something went wrong here. The request id helps to find out what.", cause: err}
}

func (r *request) logFields() []zap.Field {
	fields := []zap.Field{
		zap.String("request_id", r.requestID()),
		zap.String("method", string(r.http.Method())),
		zap.String("path", string(r.http.Path())),
	}
	if r.tenant != nil {
		fields = append(fields, zap.String("tenant", r.tenant.Slug))
	}
	return fields
}
