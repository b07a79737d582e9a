package gateway

import (
	"github.com/valyala/fasthttp"

	"metahub/gateway/page"
)

// refusal is an answer that the gateway gives instead of a tenant's site: a code for machines, a sentence for people.
type refusal struct {
	status         int
	code, sentence string
	closes         bool // the connection, because part of the request is still to come
	prepared       *page.Prepared
}

var (
	refuseMalformed     = &refusal{status: fasthttp.StatusBadRequest, code: "bad_request", sentence: "The request is malformed.", closes: true}
	refuseHost          = &refusal{status: fasthttp.StatusBadRequest, code: "bad_host", sentence: "The host is not a host name with an optional port."}
	refuseTarget        = &refusal{status: fasthttp.StatusBadRequest, code: "bad_target", sentence: "The request names another host than its Host header."}
	refusePath          = &refusal{status: fasthttp.StatusBadRequest, code: "bad_path", sentence: `The path holds "." or ".." as a segment, or a zero byte.`}
	refuseOptions       = &refusal{status: fasthttp.StatusBadRequest, code: "connection_options", sentence: "The Connection header names too many fields."}
	refuseConnect       = &refusal{status: fasthttp.StatusMethodNotAllowed, code: "bad_request", sentence: "This is not a proxy: CONNECT is refused."}
	refuseTrace         = &refusal{status: fasthttp.StatusMethodNotAllowed, code: "method_not_allowed", sentence: "TRACE is refused: its answer would show headers that are not meant for the page."}
	refuseTargetSize    = &refusal{status: fasthttp.StatusRequestURITooLong, code: "bad_request", sentence: "The request target is too long."}
	refuseFields        = &refusal{status: fasthttp.StatusRequestHeaderFieldsTooLarge, code: "bad_request", sentence: "There are too many header fields."}
	refuseUnknownHost   = &refusal{status: fasthttp.StatusMisdirectedRequest, code: "unknown_host", sentence: "There is no site of this name here."}
	refuseOtherName     = &refusal{status: fasthttp.StatusMisdirectedRequest, code: "misdirected", sentence: "This connection was opened for another site; open a new one."}
	refuseDisabled      = &refusal{status: fasthttp.StatusServiceUnavailable, code: "tenant_disabled", sentence: "This site is switched off at the moment."}
	refuseNoTenant      = &refusal{status: fasthttp.StatusBadRequest, code: "tenant_missing", sentence: "Say whose data is meant: send the site's name in the header X-Tenant."}
	refuseUnknownTenant = &refusal{status: fasthttp.StatusBadRequest, code: "tenant_unknown", sentence: "X-Tenant must hold the name of one site that is served here."}
	refuseForeignOrigin = &refusal{status: fasthttp.StatusForbidden, code: "foreign_origin", sentence: "This page belongs to another site than the data that it asks for."}
	refuseNotAPI        = &refusal{status: fasthttp.StatusNotFound, code: "not_found", sentence: "Only paths below /api/ are served under this name."}
	refuseTooLarge      = &refusal{status: fasthttp.StatusRequestEntityTooLarge, code: "body_too_large", sentence: "The request is larger than this site accepts.", closes: true}
	refusePanic         = &refusal{status: fasthttp.StatusInternalServerError, code: "internal", sentence: "Something went wrong here; the request id helps to find out what."}
)

// refuse makes r the answer, whatever was answered before.
func (x *exchange) refuse(r *refusal) {
	if r.prepared != nil {
		r.prepared.Answer(x.ctx)
	} else {
		page.Error(x.ctx, r.status, r.code, r.sentence)
	}
	x.writeLimits()
	if r.closes {
		x.ctx.SetConnectionClose()
	}
}
