package frontend

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"os"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/valyala/fasthttp"
	"go.uber.org/zap"

	"metahub/gateway/page"
	"metahub/gateway/wire"
)

// failure is one way in which an exchange ends without an answer: what visitors read, and what an administrator should know.
type failure struct {
	kind     kind
	status   int
	code     string
	sentence string // for visitors
	advice   string // for the log
}

// kind counts failures that are told to the administrator once in a while, not once a request.
type kind int

const (
	refused kind = iota
	untrusted
	late
	closed
	garbled
	missing
	crowded
	noSocket
	forbidden
	kinds
)

var (
	failRefused = failure{refused, fasthttp.StatusBadGateway, "upstream_refused",
		"This site is not running at the moment. Please try again in a minute.",
		"the upstream takes no connections: start it, or correct its address in tenants.yaml"}
	failNoSocket = failure{noSocket, failRefused.status, failRefused.code, failRefused.sentence,
		"the upstream's socket is not there: start the upstream, or correct the path in tenants.yaml"}
	failForbidden = failure{forbidden, failRefused.status, failRefused.code, failRefused.sentence,
		"the upstream's socket may not be opened: give this process's user write permission on it, and access to its folder"}
	failUntrusted = failure{untrusted, fasthttp.StatusBadGateway, "upstream_tls",
		"This site could not be reached safely. Please try again later.",
		"the upstream's certificate is not trusted or TLS failed: correct its certificate, or its address in tenants.yaml"}
	failCrowded = failure{crowded, fasthttp.StatusServiceUnavailable, "upstream_busy",
		"This site has more visitors than it can answer at the moment. Please try again in a minute.",
		"too many requests wait for the upstream: see whether it is overloaded or does not start"}
	failLate = failure{late, fasthttp.StatusGatewayTimeout, "upstream_timeout",
		"This site took too long to answer. Please try again in a minute.",
		"the upstream did not answer in time: see whether it is overloaded, or raise the tenant's timeout in tenants.yaml"}
	failClosed = failure{closed, fasthttp.StatusBadGateway, "upstream_closed",
		"This site did not answer. Please try again in a minute.",
		"the upstream closed the connection instead of answering: look into its own log"}
	failGarbled = failure{garbled, fasthttp.StatusBadGateway, "upstream_bad_response",
		"This site gave an answer that cannot be passed on.",
		"the upstream's answer is not sound HTTP/1.1: see whether tenants.yaml names the right port and scheme"}
)

// outKey is the user value that says that the answer is a failure of ours.
const outKey contextKey = "metahub.upstream_out"

// Out reports whether Serve or ServeBackend has answered ctx with an error page because no upstream has given a sound answer in time.
func Out(ctx *fasthttp.RequestCtx) bool { return ctx.UserValue(outKey) != nil }

// retryAfter is the Retry-After of an upstream that is too busy, in seconds (RFC 9110 §10.2.3).
const retryAfter = "5"

// statusLeft is what the access log has of a client that did not wait, after the custom of nginx.
const statusLeft = 499

// fail answers with an error page that names the request, and tells the log what an administrator should do.
func (x *exchange) fail(err error) {
	if status, sentence, ok := clientFault(x.ctx.Conn(), err); ok {
		page.Error(x.ctx, status, "bad_request", sentence)
		x.ctx.SetConnectionClose()
		return
	}
	if err == errLeft {
		x.ctx.SetStatusCode(statusLeft)
		x.ctx.SetConnectionClose() // what the client sent ahead is for nobody either
		return
	}
	if errors.Is(err, errTooLongForHTTP10) {
		page.Error(x.ctx, fasthttp.StatusHTTPVersionNotSupported, "http_version", "This answer needs HTTP/1.1.")
		return
	}
	f := classify(err)
	page.Error(x.ctx, f.status, f.code, f.sentence)
	if f.status != fasthttp.StatusServiceUnavailable {
		x.ctx.SetUserValue(outKey, true)
	}
	if f.status == fasthttp.StatusServiceUnavailable {
		x.ctx.Response.Header.Set("Retry-After", retryAfter)
	}
	if x.request.upload != nil {
		x.ctx.SetConnectionClose() // part of the request's body was not read
	}
	if n := x.upstream.notices.next(f.kind, time.Now()); n > 0 {
		x.server.log.Warn(f.advice,
			zap.String("tenant", x.tenant.Slug),
			zap.String("upstream", x.upstream.String()),
			zap.String("code", f.code),
			zap.Int64("failures", n),
			zap.Error(err))
	}
}

// clientFault finds out whether the client is to blame, and what to tell it. fasthttp loses why a body was refused, so its guard is
// asked.
func clientFault(client net.Conn, err error) (status int, sentence string, ok bool) {
	if err == errBadTarget || err == errBadField {
		return fasthttp.StatusBadRequest, "The request is malformed.", true
	}
	var body bodyError
	if !errors.As(err, &body) {
		return 0, "", false
	}
	if guarded, ok := client.(interface{ Err() *wire.Error }); ok && guarded.Err() != nil {
		refused := guarded.Err()
		return refused.Status, "The request was refused: " + refused.Reason + ".", true
	}
	return fasthttp.StatusBadRequest, "The body of the request did not arrive.", true
}

func classify(err error) *failure {
	var dial dialError
	var bad malformed
	switch {
	case err == errCrowded:
		return &failCrowded
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded):
		return &failLate
	case isTLS(err):
		return &failUntrusted
	case isForbidden(err):
		return &failForbidden
	case errors.Is(err, syscall.ENOENT):
		return &failNoSocket
	case errors.As(err, &dial):
		return &failRefused
	case errors.As(err, &bad):
		return &failGarbled
	}
	return &failClosed
}

// isTLS reports whether TLS failed, rather than the connection below it.
func isTLS(err error) bool {
	var certificate *tls.CertificateVerificationError
	var record tls.RecordHeaderError
	var alert tls.AlertError
	return errors.As(err, &certificate) || errors.As(err, &record) || errors.As(err, &alert)
}

// noticeEvery is how often the log hears of one kind of failure of one upstream.
const noticeEvery = 10 * time.Second

// notices counts the failures of one upstream, or of all folders, between two lines in the log.
type notices [kinds]struct {
	last   atomic.Int64 // Unix time in nanoseconds
	missed atomic.Int64
}

// next counts a failure. It returns how many there were since the last line if it is time for another, else 0.
func (n *notices) next(k kind, now time.Time) int64 {
	missed := n[k].missed.Add(1)
	last := n[k].last.Load()
	if now.UnixNano()-last < int64(noticeEvery) || !n[k].last.CompareAndSwap(last, now.UnixNano()) {
		return 0
	}
	n[k].missed.Add(-missed)
	return missed
}
