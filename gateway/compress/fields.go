package compress

import (
	"bytes"
	"strconv"

	"github.com/valyala/fasthttp"

	"metahub/gateway/grammar"
	"metahub/tenant"
)

// fields is what an answer's header says about its body, in one pass. Names are kept as they were written, since fasthttp finds the
// fields of an upstream by no other spelling. The slices are valid until a field is added.
type fields struct {
	etag, etagName     []byte
	varies, variesName []byte // the first Vary
	rangesName         []byte // of Accept-Ranges
	varied             bool   // Vary names Accept-Encoding, or everything
	length             int    // Content-Length, or -1
	fixed              bool   // the body may not be changed
	secret             bool   // it is one visitor's, or goes with a cookie
}

func (f *fields) read(h *fasthttp.ResponseHeader) {
	f.length = -1
	for name, value := range h.All() {
		f.add(name, value)
	}
	for name := range h.Trailers() {
		f.fixed = f.fixed || fixes(name)
	}
}

func (f *fields) add(name, value []byte) {
	switch len(name) {
	case 4:
		if grammar.EqualFold(name, "etag") {
			f.etagName, f.etag = name, value
		}
		if grammar.EqualFold(name, "vary") {
			f.addVary(name, value)
		}
	case 6, 11, 16:
		f.fixed = f.fixed || fixes(name)
	case 10:
		f.secret = f.secret || grammar.EqualFold(name, "set-cookie")
	case 13:
		f.addOf13(name, value)
	case 14:
		if grammar.EqualFold(name, "content-length") {
			f.setLength(value)
		}
		f.fixed = f.fixed || fixes(name)
	}
}

func (f *fields) addOf13(name, value []byte) {
	switch {
	case grammar.EqualFold(name, "accept-ranges"):
		f.rangesName = name
	case grammar.EqualFold(name, "cache-control"):
		f.fixed = f.fixed || hasElement(value, "no-transform")
		f.secret = f.secret || hasElement(value, "private") || hasElement(value, "no-store")
	}
	f.fixed = f.fixed || fixes(name)
}

// fixes reports whether a field speaks of the very bytes of a body: a part of a whole, a digest (RFC 9530), or a coding that is there
// already, where even "identity" is somebody's decision.
func fixes(name []byte) bool {
	for _, of := range [...]string{"content-encoding", "content-range", "content-digest", "repr-digest", "digest", "content-md5"} {
		if grammar.EqualFold(name, of) {
			return true
		}
	}
	return false
}

func (f *fields) addVary(name, value []byte) {
	if f.variesName == nil {
		f.variesName, f.varies = name, value
	}
	f.varied = f.varied || hasElement(value, "accept-encoding") || hasElement(value, "*")
}

func (f *fields) setLength(value []byte) {
	if n, err := strconv.Atoi(string(value)); err == nil {
		f.length = n
	}
}

// vary says that the answer depends on Accept-Encoding, whether or not this one is compressed (RFC 9110 §12.5.5).
func (f *fields) vary(h *fasthttp.ResponseHeader) {
	if f.varied {
		return
	}
	if f.variesName == nil {
		h.AddBytesKV(varyName, acceptEncoding)
		return
	}
	if len(f.varies) == 0 {
		h.SetCanonical(f.variesName, acceptEncoding)
		return
	}
	var scratch [128]byte
	h.SetCanonical(f.variesName, append(append(append(scratch[:0], f.varies...), ", "...), acceptEncoding...))
}

// encode says that the body is encoded. What named its bytes before names the same content still, but not the same bytes: a strong
// ETag gets weak (RFC 9110 §8.8.1), and parts cannot be asked for, since their numbers would count other bytes. Name and value of what
// the header held before are still where they were, as vary has added at the end.
func (f *fields) encode(h *fasthttp.ResponseHeader, coding tenant.Coding) {
	h.SetContentEncoding(coding.String())
	if f.etagName != nil {
		weaken(h, f.etagName, f.etag)
	}
	if f.rangesName != nil {
		h.SetCanonical(f.rangesName, none)
	}
}

func weaken(h *fasthttp.ResponseHeader, name, etag []byte) {
	if bytes.HasPrefix(etag, weak) || len(etag) == 0 {
		return
	}
	var scratch [128]byte
	h.SetCanonical(name, append(append(scratch[:0], weak...), etag...))
}

// matchStored makes a 304 name what the client has. The origin compares If-None-Match weakly, as it must (RFC 9110 §13.1.2), and
// answers with its own strong ETag; but a cache may update what it stored as W/"x" only by an answer that says W/"x" (RFC 9111 §4.3.4).
func matchStored(ctx *fasthttp.RequestCtx) {
	var f fields
	f.read(&ctx.Response.Header)
	if f.etagName == nil || bytes.HasPrefix(f.etag, weak) {
		return
	}
	for _, tags := range ctx.Request.Header.PeekAll("If-None-Match") {
		if namesWeakly(tags, f.etag) {
			f.vary(&ctx.Response.Header)
			weaken(&ctx.Response.Header, f.etagName, f.etag)
			return
		}
	}
}

// namesWeakly reports whether a list of entity tags has etag in its weak form. Quotes end a tag, so no other can end alike.
func namesWeakly(tags, etag []byte) bool {
	for {
		at := bytes.Index(tags, weak)
		if at < 0 {
			return false
		}
		tags = tags[at+len(weak):]
		if bytes.HasPrefix(tags, etag) {
			return true
		}
	}
}

var (
	varyName       = []byte("Vary")
	acceptEncoding = []byte("Accept-Encoding")
	weak           = []byte("W/")
	none           = []byte("none")
)
