package api

import (
	"context"
	"time"

	"github.com/valyala/fasthttp"
	"go.mongodb.org/mongo-driver/v2/bson"

	"metahub/tenant"
)

// request is one request on its way through the API.
type request struct {
	http   *fasthttp.RequestCtx
	tenant *tenant.Tenant
	id     bson.ObjectID // of an item's path
	// ctx has a deadline. The http context is recycled with the request, and is never handed on.
	ctx       context.Context
	stopClock context.CancelFunc
	// private is set once the answer depends on who asks; such an answer is never stored by a cache.
	private bool
}

// requestTimeout bounds the work on a request, waiting for the database included.
const requestTimeout = 5 * time.Second

// startClock begins the time that the work may take.
func (r *request) startClock() {
	r.ctx, r.stopClock = context.WithTimeout(context.Background(), requestTimeout)
}

// restartClock forgets the time so far, which a slow client has taken.
func (r *request) restartClock() {
	r.stopClock()
	r.startClock()
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
