package api

import (
	"bufio"
	"encoding/json"
	"io"
	"strconv"

	"github.com/valyala/fasthttp"
	"go.mongodb.org/mongo-driver/v2/bson"

	"metahub/api/bsonjson"
)

// reply is an answer before it is bytes.
type reply struct {
	status  int
	message string
	// data is the answer's content under the name "data", or "user" where existing frontends look for it there.
	data    content
	dataKey string
	meta    *meta
	// beside are members of the envelope itself, or nil.
	beside content
	// token is handed to clients that send it as a bearer.
	token string
	// refreshToken is handed to those that are no browsers.
	refreshToken string
	allow        string
	// etag is the entity tag, in its quotes.
	etag string
	// body is the whole envelope, where it has been written before, and the response's own from now on; replayed says that to another
	// request.
	body     []byte
	replayed bool
	// static is content of its own, in place of an envelope.
	static *static
	// file is content of its own, in place of an envelope.
	file *file
	// events writes a stream of events, in a goroutine of its own, until its client goes.
	events func(*bufio.Writer)
	// stream is a body of JSON objects, one a line, in place of an envelope.
	stream io.Reader
}

// meta describes a list.
type meta struct {
	total int64
	page  int
	limit int
	count countMode
	paged bool   // there are pages, and not cursors alone
	next  string // a cursor, or empty
}

// content is something that has a JSON form.
type content interface {
	appendJSON(dst []byte) ([]byte, error)
}

// answer writes every reply: the one place that knows the envelope.
func (r *request) answer(a reply) error {
	response := &r.http.Response
	if a.allow != "" {
		response.Header.Set(fasthttp.HeaderAllow, a.allow)
	}
	if a.replayed {
		response.Header.Set("Idempotent-Replayed", "true")
	}
	if a.body != nil {
		response.SwapBody(a.body)
	}
	if a.status == fasthttp.StatusNoContent {
		response.SetStatusCode(a.status)
		return nil
	}
	if a.file != nil {
		return r.answerFile(a.file, a.etag)
	}
	if a.etag != "" {
		response.Header.Set(fasthttp.HeaderETag, a.etag)
		if r.safe() && r.unchanged(a.etag) {
			response.ResetBody()
			r.setHeaders(fasthttp.StatusNotModified)
			return nil
		}
	}
	if a.static != nil {
		r.setHeaders(a.status)
		response.Header.SetContentType(a.static.kind)
		response.Header.Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; form-action 'none'; frame-ancestors 'none'; base-uri 'none'")
		response.SetBody(a.static.body)
		return nil
	}
	if a.events != nil {
		r.setHeaders(a.status)
		response.Header.SetContentType("text/event-stream; charset=utf-8")
		response.Header.Set(fasthttp.HeaderCacheControl, "private, no-store")
		response.SetBodyStreamWriter(a.events)
		return nil
	}
	if a.stream != nil {
		r.setHeaders(a.status)
		response.Header.SetContentType("application/x-ndjson; charset=utf-8")
		response.SetBodyStream(a.stream, -1)
		return nil
	}
	if a.body == nil {
		// The response's own pooled buffer is filled in place, so the body is never copied.
		body, err := r.envelope(response.SwapBody(nil)[:0], &a)
		response.SwapBody(body)
		if err != nil {
			return err
		}
	}
	r.setHeaders(a.status)
	return nil
}

// envelope appends the body of a reply.
func (r *request) envelope(dst []byte, a *reply) ([]byte, error) {
	a.message = translate(r.language, a.message)
	return a.appendEnvelope(dst)
}

func (r *request) setHeaders(status int) {
	header := &r.http.Response.Header
	r.http.Response.SetStatusCode(status)
	header.SetContentType("application/json; charset=utf-8")
	header.Add(fasthttp.HeaderVary, fasthttp.HeaderAcceptLanguage)
	header.SetCanonical(headerContentTypeOptions, noSniff)
	header.SetCanonical(headerCacheControl, r.cacheControl(status))
}

// What most answers say, as fasthttp keeps it.
var (
	headerContentTypeOptions, noSniff = []byte(fasthttp.HeaderXContentTypeOptions), []byte("nosniff")
	headerCacheControl                = []byte(fasthttp.HeaderCacheControl)
	noStore, noCache                  = []byte("private, no-store"), []byte("no-cache")
)

// cacheControl lets caches keep public reads but not use them unasked: on a shared API host one URL belongs to many tenants.
func (r *request) cacheControl(status int) []byte {
	if r.private || !r.safe() || status >= fasthttp.StatusBadRequest {
		return noStore
	}
	return noCache
}

func (a *reply) appendEnvelope(dst []byte) ([]byte, error) {
	dst = append(dst, `{"success":true,"message":`...)
	dst = bsonjson.AppendString(dst, a.message)
	if a.data != nil {
		dst = append(dst, `,"`...)
		dst = append(dst, a.dataName()...)
		dst = append(dst, `":`...)
		var err error
		if dst, err = a.data.appendJSON(dst); err != nil {
			return dst, err
		}
	}
	if a.beside != nil {
		var err error
		if dst, err = a.beside.appendJSON(dst); err != nil {
			return dst, err
		}
	}
	if a.token != "" {
		dst = append(dst, `,"token":`...)
		dst = bsonjson.AppendString(dst, a.token)
	}
	if a.refreshToken != "" {
		dst = append(dst, `,"refreshToken":`...)
		dst = bsonjson.AppendString(dst, a.refreshToken)
	}
	if a.meta != nil {
		dst = a.meta.append(append(dst, `,"meta":`...))
	}
	return append(dst, '}'), nil
}

func (a *reply) dataName() string {
	if a.dataKey == "" {
		return "data"
	}
	return a.dataKey
}

func (m *meta) append(dst []byte) []byte {
	dst = append(dst, '{')
	if m.count != countNone {
		dst = append(strconv.AppendInt(append(dst, `"total":`...), m.total, 10), ',')
	}
	if m.count == countEstimated {
		dst = append(dst, `"estimated":true,`...)
	}
	if m.paged {
		dst = append(strconv.AppendInt(append(dst, `"page":`...), int64(m.page), 10), ',')
	}
	dst = strconv.AppendInt(append(dst, `"limit":`...), int64(m.limit), 10)
	if m.next != "" {
		dst = bsonjson.AppendString(append(dst, `,"next":`...), m.next)
	}
	return append(dst, '}')
}

// document is one document as its readers may see it.
type document struct {
	raw    bson.Raw
	fields bsonjson.Options
}

func (d document) appendJSON(dst []byte) ([]byte, error) {
	return bsonjson.Append(dst, d.raw, d.fields)
}

// members are some fields of a document as members of an envelope, with the document's id. One that it has not is null.
type members struct {
	document
	names []string
}

func (m members) appendJSON(dst []byte) ([]byte, error) {
	open := len(dst)
	dst, err := m.document.appendJSON(dst)
	if err != nil {
		return dst, err
	}
	if dst = dst[:len(dst)-1]; len(dst) > open+1 {
		dst[open] = ',' // it goes on, and does not begin here
	} else {
		dst = dst[:open]
	}
	for _, name := range m.names {
		if _, err := m.raw.LookupErr(name); err != nil {
			dst = append(bsonjson.AppendString(append(dst, ','), name), ":null"...)
		}
	}
	return dst, nil
}

// documents is a list, one document after the other.
type documents struct {
	raw    []byte
	fields bsonjson.Options
}

func (d documents) appendJSON(dst []byte) ([]byte, error) {
	return bsonjson.AppendList(dst, d.raw, d.fields)
}

// value is anything small that encoding/json can write.
type value struct{ of any }

func (v value) appendJSON(dst []byte) ([]byte, error) {
	text, err := json.Marshal(v.of)
	return append(dst, text...), err
}
