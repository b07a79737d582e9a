package api

import (
	"encoding/json"
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
	// token is handed to clients that send it as a bearer.
	token string
	allow string
}

// meta describes a list.
type meta struct {
	total int64
	page  int
	limit int
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
	if a.status == fasthttp.StatusNoContent {
		response.SetStatusCode(a.status)
		return nil
	}
	// The response's own pooled buffer is filled in place, so the body is never copied.
	body := response.SwapBody(nil)
	body, err := a.appendEnvelope(body[:0])
	response.SwapBody(body)
	if err != nil {
		return err
	}
	r.setHeaders(a.status)
	return nil
}

func (r *request) setHeaders(status int) {
	header := &r.http.Response.Header
	r.http.Response.SetStatusCode(status)
	header.SetContentType("application/json; charset=utf-8")
	header.Set(fasthttp.HeaderXContentTypeOptions, "nosniff")
	header.Set(fasthttp.HeaderCacheControl, r.cacheControl(status))
}

// cacheControl lets caches keep public reads but not use them unasked: on a shared API host one URL belongs to many tenants.
func (r *request) cacheControl(status int) string {
	if r.private || !r.safe() || status >= fasthttp.StatusBadRequest {
		return "private, no-store"
	}
	return "no-cache"
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
	if a.token != "" {
		dst = append(dst, `,"token":`...)
		dst = bsonjson.AppendString(dst, a.token)
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
	dst = strconv.AppendInt(append(dst, `{"total":`...), m.total, 10)
	dst = strconv.AppendInt(append(dst, `,"page":`...), int64(m.page), 10)
	dst = strconv.AppendInt(append(dst, `,"limit":`...), int64(m.limit), 10)
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
