package gateway

import (
	"errors"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/valyala/fasthttp"
	"go.uber.org/zap"

	"metahub/gateway/grammar"
)

// bridge turns an HTTP/2 stream of net/http into a fasthttp request and its answer back. It is used for one stream at a time, and kept
// for others.
type bridge struct {
	ctx  fasthttp.RequestCtx
	conn streamConn

	// Of the answer's header: all values in one piece of memory, and where each of them ends.
	text []byte
	ends []int
}

// serveHTTP2 answers one stream.
func (g *Gateway) serveHTTP2(w http.ResponseWriter, r *http.Request) {
	b := g.bridges.Get().(*bridge)
	b.conn = streamConn{carrier: r.Context().Value(connKey{}).(*carrier), leaver: contextLeaver{r.Context()}}
	b.ctx.Init2(&b.conn, logger{g.log}, true)
	if refused := b.receive(w, r, g.limits.Body); refused != nil {
		g.refuseStream(&b.ctx, refused)
	} else {
		g.handle(&b.ctx)
	}
	whole := g.send(b, w, r)
	b.ctx.Request.Reset()
	b.ctx.Response.Reset()
	if !b.ctx.Hijacked() { // which no HTTP/2 request can be; the handler would stay in it
		g.bridges.Put(b)
	}
	if !whole {
		panic(http.ErrAbortHandler) // resets the stream, so that the client does not take half an answer for the whole
	}
}

// refuseStream is refuseBytes for a stream that is no proper request.
func (g *Gateway) refuseStream(ctx *fasthttp.RequestCtx, r *refusal) {
	x := g.begin(ctx)
	defer g.finish(x)
	defer g.rescue(x)
	g.observer.Connection(RequestRefused)
	x.refuse(r)
}

// receive fills the request. Pseudo-header fields are checked as strictly as the bytes of HTTP/1, because upstreams get them as such.
func (b *bridge) receive(w http.ResponseWriter, r *http.Request, patience time.Duration) *refusal {
	if refused := checkStream(r); refused != nil {
		return refused
	}
	h := &b.ctx.Request.Header
	h.SetMethod(r.Method)
	h.SetRequestURI(r.RequestURI)
	h.SetHost(r.Host)
	fields := 0
	for name, values := range r.Header {
		if fields += len(values); fields > headerFields {
			return refuseFields
		}
		if name == "Host" || name == "Content-Length" {
			continue
		}
		if name == "Cookie" {
			addCookies(h, values)
			continue
		}
		kind := classify([]byte(name))
		for _, value := range values {
			if kind == ordinary || kind == rewriting {
				h.Add(name, value)
				b.conn.claims.rewrites = b.conn.claims.rewrites || kind == rewriting
			} else {
				b.conn.claims.add(kind, []byte(value))
			}
		}
	}
	b.ctx.URI().SetScheme("https")
	if r.ContentLength != 0 && r.Body != nil {
		b.conn.body = newStreamBody(w, r, patience)
		b.ctx.Request.SetBodyStream(b.conn.body, int(r.ContentLength))
	}
	return nil
}

// addCookies joins what HTTP/2 may split (RFC 9113 §8.2.3). fasthttp would take the quotes off values if it knew what they are here.
func addCookies(h *fasthttp.RequestHeader, values []string) {
	h.DisableSpecialHeader()
	h.Add("Cookie", strings.Join(values, "; "))
	h.EnableSpecialHeader()
}

// checkStream holds a request to RFC 9113 §8.1.1, §8.2 and §8.3.1. net/http checks part of this; it would pass a path with a space.
func checkStream(r *http.Request) *refusal {
	switch {
	case r.Method == http.MethodConnect:
		return refuseConnect
	case r.URL.Scheme != "": // written by schemes
		return refuseMalformed
	case !hasLengthOf(r):
		return refuseMalformed
	}
	if refused := checkStart(r.Method, r.RequestURI); refused != nil {
		return refused
	}
	for _, name := range [...]string{"Connection", "Proxy-Connection", "Keep-Alive", "Transfer-Encoding", "Upgrade"} {
		if _, ok := r.Header[name]; ok {
			return refuseMalformed
		}
	}
	for _, te := range r.Header["Te"] {
		if te != "trailers" {
			return refuseMalformed
		}
	}
	if hosts := r.Header["Host"]; len(hosts) > 1 || len(hosts) == 1 && hosts[0] != r.Host {
		return refuseTarget
	}
	for _, values := range r.Header {
		if slices.ContainsFunc(values, isPadded) {
			return refuseMalformed
		}
	}
	return nil
}

// checkStart holds what an HTTP/1 request line is made of later to what that may hold.
func checkStart(method, target string) *refusal {
	switch {
	case !grammar.IsToken(method), len(target) == 0:
		return refuseMalformed
	case len(target) > targetBytes:
		return refuseTargetSize
	case target[0] != '/' && (target != "*" || method != http.MethodOptions), !grammar.IsTarget(target):
		return refuseMalformed
	case strings.HasPrefix(target, "//") && strings.Contains(target, "://"):
		return refuseMalformed // fasthttp would take the path from behind the second slash, as wire.Conn says too
	}
	return nil
}

// hasLengthOf reports whether a Content-Length is one number, and the one that the stream was taken to have. While a body comes
// net/http counts it; of a stream without one it does not look at the field.
func hasLengthOf(r *http.Request) bool {
	switch lengths := r.Header["Content-Length"]; len(lengths) {
	case 0:
		return true
	case 1:
		n, err := strconv.ParseUint(lengths[0], 10, 63)
		return err == nil && int64(n) == r.ContentLength
	}
	return false
}

// isPadded reports whether a value has whitespace around it (RFC 9113 §8.2.1).
func isPadded(value string) bool {
	return value != "" && (grammar.IsBlank(value[0]) || grammar.IsBlank(value[len(value)-1]))
}

// send writes the answer and reports whether the client got all of it.
func (g *Gateway) send(b *bridge, w http.ResponseWriter, r *http.Request) (whole bool) {
	defer func() {
		if v := recover(); v != nil {
			g.log.Error("panic in the body of an answer", zap.Any("panic", v), zap.Stack("stack"))
			whole = false
		}
	}()
	response := &b.ctx.Response
	status := response.StatusCode()
	bodiless := r.Method == http.MethodHead || status == http.StatusNoContent || status == http.StatusNotModified
	defer response.CloseBodyStream()

	b.copyHeader(w.Header(), response)
	if !response.IsBodyStream() && (!bodiless || len(response.Body()) > 0) {
		w.Header().Set("Content-Length", strconv.Itoa(len(response.Body())))
	}
	w.WriteHeader(status)
	var err error
	switch {
	case bodiless:
	case response.IsBodyStream():
		err = pump(w, response.BodyStream(), streamTime(g.limits.Write))
		b.copyTrailers(w.Header(), response)
	default:
		err = write(w, response.Body(), streamTime(g.limits.Write))
	}
	return err == nil
}

// copyHeader copies the fields of an answer but those of an HTTP/1 connection (RFC 9113 §8.2.2).
func (b *bridge) copyHeader(to http.Header, response *fasthttp.Response) {
	b.text, b.ends = b.text[:0], b.ends[:0]
	for name, value := range response.Header.All() {
		if !grammar.IsHopByHop(name) {
			b.text = append(b.text, value...)
			b.ends = append(b.ends, len(b.text))
		}
	}
	text, values, i, start := string(b.text), make([]string, len(b.ends)), 0, 0
	for name := range response.Header.All() {
		if grammar.IsHopByHop(name) {
			continue
		}
		key := http.CanonicalHeaderKey(string(name))
		values[i] = text[start:b.ends[i]]
		if before, ok := to[key]; ok {
			to[key] = append(before, values[i])
		} else {
			to[key] = values[i : i+1 : i+1]
		}
		start = b.ends[i]
		i++
	}
	if _, ok := to["Content-Type"]; !ok {
		to["Content-Type"] = nil // net/http guesses none then
	}
}

// copyTrailers copies the fields that the end of the body brought.
func (b *bridge) copyTrailers(to http.Header, response *fasthttp.Response) {
	for name := range response.Header.Trailers() {
		for _, value := range response.Header.PeekAll(string(name)) {
			to.Add(http.TrailerPrefix+string(name), string(value))
		}
	}
}

// pieces hold one piece of a streamed body.
var pieces = sync.Pool{New: func() any { return new([32 << 10]byte) }}

// pump sends a body as it comes: each piece is on its way before the next one is waited for.
func pump(w http.ResponseWriter, body io.Reader, patience time.Duration) error {
	piece := pieces.Get().(*[32 << 10]byte)
	defer pieces.Put(piece)
	out := http.NewResponseController(w)
	limit := progress{set: out.SetWriteDeadline, limit: patience}
	limit.extend()
	if err := out.Flush(); err != nil { // the header, however long the first piece takes
		return err
	}
	for {
		limit.extend()
		n, err := body.Read(piece[:])
		if n > 0 {
			if _, err := w.Write(piece[:n]); err != nil {
				return err
			}
			if err := out.Flush(); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// write sends a body that is there, in pieces that a slow client can take in time.
func write(w http.ResponseWriter, body []byte, patience time.Duration) error {
	const size = 64 << 10
	limit := progress{set: http.NewResponseController(w).SetWriteDeadline, limit: patience}
	for len(body) > 0 {
		limit.extend()
		n := min(len(body), size)
		if _, err := w.Write(body[:n]); err != nil {
			return err
		}
		body = body[n:]
	}
	return nil
}
