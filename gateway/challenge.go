package gateway

import (
	"bytes"
	"context"
	"time"

	"github.com/valyala/fasthttp"
)

// acmeTLS is the protocol of a CA that looks at a certificate and says nothing (RFC 8737 §6.2).
const acmeTLS = "acme-tls/1"

// challengeTimeout bounds how long a CA waits where the answer is with another gateway.
const challengeTimeout = 3 * time.Second

var challengePath = []byte("/.well-known/acme-challenge/")

// answerChallenge answers a CA that asks, on either port, whether a host is served here (RFC 8555 §8.3), and reports whether the
// question was about an order of ours. Others go on: a tenant's frontend may have orders of its own.
func (x *exchange) answerChallenge() bool {
	token, ok := bytes.CutPrefix(x.ctx.Path(), challengePath)
	if !ok || !x.ctx.IsGet() && !x.ctx.IsHead() {
		return false
	}
	ctx, cancel := context.WithTimeout(context.Background(), challengeTimeout)
	defer cancel()
	answer, ok := x.gateway.certificates.KeyAuthorization(ctx, string(x.host), string(token))
	if !ok {
		return false
	}
	x.ctx.Response.Header.Set(fasthttp.HeaderCacheControl, "no-store")
	x.ctx.SetContentType("application/octet-stream")
	x.ctx.SetBodyString(answer)
	return true
}
