package gateway

import (
	"net/http"
	"strings"

	"github.com/valyala/fasthttp"

	"metahub/gateway/message"
)

// checkHead holds the head of a stream to what upstreams may get as a request line.
func checkHead(h *message.Head) *refusal {
	switch {
	case h.Method == http.MethodConnect:
		return refuseConnect
	case !strings.EqualFold(h.Scheme, "https"):
		return refuseMalformed
	}
	return checkStart(h.Method, h.Path)
}

// fill copies a head into a request, and returns whether the client waits to be told to send its body.
func (c *streamConn) fill(ctx *fasthttp.RequestCtx, from *message.Head) (expects bool) {
	h := &ctx.Request.Header
	h.SetMethod(from.Method)
	h.SetRequestURI(from.Path)
	h.SetHost(from.Authority)
	cookies := 0
	for _, f := range from.Fields {
		kind := classify([]byte(f.Name))
		switch {
		case f.Name == "cookie":
			cookies++
		case f.Name == "expect":
			expects = strings.EqualFold(f.Value, "100-continue")
		case kind == ordinary, kind == rewriting:
			h.Add(f.Name, f.Value)
			c.claims.rewrites = c.claims.rewrites || kind == rewriting
		default:
			c.claims.add(kind, []byte(f.Value))
		}
	}
	if cookies > 0 {
		fillCookies(h, from.Fields, cookies)
	}
	ctx.URI().SetScheme("https")
	return expects
}

func fillCookies(h *fasthttp.RequestHeader, fields []message.Field, n int) {
	values := make([]string, 0, n)
	for _, f := range fields {
		if f.Name == "cookie" {
			values = append(values, f.Value)
		}
	}
	addCookies(h, values)
}
