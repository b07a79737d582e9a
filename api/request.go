package api

import (
	"context"
	"time"

	"github.com/valyala/fasthttp"
	"go.mongodb.org/mongo-driver/v2/bson"

	"metahub/api/model"
	"metahub/tenant"
)

// request is one request on its way through the API.
type request struct {
	http   *fasthttp.RequestCtx
	tenant *tenant.Tenant
	// resources and directory are those in force when the request began.
	resources *resources
	directory *tenant.Directory
	id        bson.ObjectID // of an item's path
	name      string        // in place of an id: a key, or a slug
	narrowed  []bson.E      // what the path demands of a list's documents
	language  model.Language
	who       *signedIn
	flat      bool // localized fields are answered in language alone
	// ctx has a deadline. The http context is recycled with the request, and is never handed on.
	ctx       context.Context
	began     time.Time
	patience  time.Duration
	stopClock context.CancelFunc
	// private is set once the answer depends on who asks; such an answer is never stored by a cache.
	private bool

	// What who and ctx point to at first, so that it is there in one piece.
	sender signedIn
	clock  clock
}

// requestTimeout bounds the work on a request, waiting for the database included. Tests have more, on machines that have much else to do.
const requestTimeout = 5 * time.Second

// scope is whose documents are meant when nobody in particular asks.
func (r *request) scope() model.Scope { return model.Scope{Tenant: r.tenant.Slug} }

// startClock begins the time that the work may take, by a clock that has not been used.
func (r *request) startClock(c *clock) {
	r.began = time.Now()
	c.deadline = r.began.Add(r.patience)
	r.ctx, r.stopClock = c, c.stop
}

// restartClock forgets the time so far, which a slow client has taken.
func (r *request) restartClock() {
	r.stopClock()
	r.startClock(new(clock))
}

const maxRequestID = 128

// requestID returns the id that the gateway gave the request.
func (r *request) requestID() string {
	id := r.http.Request.Header.Peek("X-Request-ID")
	if len(id) > maxRequestID {
		id = id[:maxRequestID]
	}
	return string(id)
}

// safe reports whether the method changes nothing (RFC 9110 §9.2.1).
func (r *request) safe() bool {
	return r.http.IsGet() || r.http.IsHead() || r.http.IsOptions()
}

// address is the client's, as the gateway found it.
func (r *request) address() string {
	if ip := r.http.Request.Header.Peek("X-Real-IP"); len(ip) > 0 {
		return string(ip)
	}
	return r.http.RemoteIP().String()
}
