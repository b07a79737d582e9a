package api

import (
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/valyala/fasthttp"
	"go.uber.org/zap"

	"metahub/api/bsonjson"
)

const (
	maxBatch     = 50 // addresses
	batchWorkers = 4  // that are answered at once
)

// batch answers several addresses in one: GET /api/_batch?u=/settings&u=/company. Each part is what GET of it would answer, with its
// status and its tag. They share the request's deadline and what is found out about the caller, and what they answer together is as
// bounded as one list.
func (a *API) batch(r *request) (reply, error) {
	all, err := readBatch(r)
	if err != nil {
		return reply{}, err
	}
	if tag := a.recallBatch(r, all); tag != "" && r.unchanged(tag) {
		return reply{status: 200, etag: tag}, nil
	}
	running := a.startBatch(r, all)
	defer running.workers.Wait()
	body, err := r.envelope(r.http.Response.SwapBody(nil)[:0], &reply{message: "OK", data: running})
	return reply{status: 200, body: body, etag: running.tag.list()}, err
}

// part is one address of a batch and its answer.
type part struct {
	url     string
	status  int
	etag    string
	private bool
	// response holds the answer until it is part of the whole. done is closed once it is there.
	response *fasthttp.Response
	done     chan struct{}
}

// parts are in the order in which they were asked for.
type parts []part

// running is a batch that is being answered. A part goes into the whole as soon as it and those before it are there, and gives its memory back.
type running struct {
	request *request
	all     parts
	next    atomic.Int64 // of all to be answered
	room    atomic.Int64 // for their answers, in bytes
	workers sync.WaitGroup
	tag     *tag
}

func (a *API) startBatch(r *request, all parts) *running {
	b := &running{request: r, all: all, tag: newBatchTag(r)}
	b.room.Store(int64(a.maxPage))
	for range min(batchWorkers, len(all)) {
		b.workers.Go(func() {
			for n := b.next.Add(1); n <= int64(len(all)); n = b.next.Add(1) {
				a.answerPart(r, &all[n-1], &b.room)
				close(all[n-1].done)
			}
		})
	}
	return b
}

// appendJSON waits for each part and appends it.
func (b *running) appendJSON(dst []byte) ([]byte, error) {
	dst = append(dst, '[')
	for i := range b.all {
		p := &b.all[i]
		<-p.done
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = p.append(dst)
		b.tag.part(p)
		b.request.private = b.request.private || p.private
		p.response.ResetBody()
	}
	return append(dst, ']'), nil
}

func (p *part) append(dst []byte) []byte {
	dst = bsonjson.AppendString(append(dst, `{"url":`...), p.url)
	dst = strconv.AppendInt(append(dst, `,"status":`...), int64(p.status), 10)
	if p.etag != "" {
		dst = bsonjson.AppendString(append(dst, `,"etag":`...), p.etag)
	}
	return append(append(append(dst, `,"body":`...), p.response.Body()...), '}')
}

func readBatch(r *request) (parts, error) {
	var all parts
	unknown := ""
	for name, value := range r.http.URI().QueryArgs().All() {
		if string(name) != "u" {
			unknown = string(name)
			continue
		}
		all = append(all, part{url: string(value), done: make(chan struct{})})
	}
	switch {
	case unknown != "":
		return nil, badRequest("The parameter %q is unknown. Known are: %s.", unknown, "u")
	case len(all) == 0 || len(all) > maxBatch:
		return nil, badRequest("The parameter %q must be there 1 to %d times.", "u", maxBatch)
	}
	return all, nil
}

// recallBatch returns the tag of a batch all of whose answers are known to be current, else "".
func (a *API) recallBatch(r *request, all parts) string {
	if r.tenant.Database.Recheck <= 0 || len(r.http.Request.Header.Peek(fasthttp.HeaderIfNoneMatch)) == 0 {
		return ""
	}
	whole := newBatchTag(r)
	for _, p := range all {
		tag := a.recall.tag(r.sub(p.url), a.now)
		if tag == "" {
			return ""
		}
		whole.part(&part{url: p.url, status: fasthttp.StatusOK, etag: tag})
	}
	return whole.list()
}

// answerPart answers one address as if it had been asked for alone, as long as there is room for the answer.
func (a *API) answerPart(r *request, p *part, room *atomic.Int64) {
	sub := r.sub(p.url)
	p.response = &sub.http.Response
	defer func() {
		if fault := recover(); fault != nil { // a goroutine of ours: nobody else would catch it
			a.log.Error("panic in a part of a batch", append(sub.logFields(), zap.Any("panic", fault), zap.ByteString("stack", debug.Stack()))...)
			p.status = 500
			p.response.SetBodyString("null")
		}
	}()
	answered, err := a.dispatchPart(sub)
	if err == nil {
		err = sub.answer(answered)
	}
	if err == nil && room.Add(-int64(len(sub.http.Response.Body()))) < 0 {
		err = errPageTooLarge
	}
	if err != nil {
		answered.etag = ""
		sub.http.Response.Reset()
		a.fail(sub, err)
	}
	p.status, p.etag, p.private = sub.http.Response.StatusCode(), answered.etag, sub.private
}

func (a *API) dispatchPart(sub *request) (reply, error) {
	path := string(sub.http.Path())
	if !strings.HasPrefix(path, "/api/") || strings.Contains(path, "/_") || strings.HasPrefix(path, "/api/uploads/") { // batches of batches, streams, files
		return reply{}, errNoRoute
	}
	return a.dispatch(sub)
}

// sub is a GET of another address by the same caller.
func (r *request) sub(url string) *request {
	http := &fasthttp.RequestCtx{}
	http.Init(&fasthttp.Request{}, r.http.RemoteAddr(), nil)
	r.http.Request.Header.CopyTo(&http.Request.Header)
	for _, name := range []string{fasthttp.HeaderIfNoneMatch, fasthttp.HeaderIfMatch} {
		http.Request.Header.Del(name) // they are about the whole
	}
	if !strings.HasPrefix(url, "/api/") {
		url = "/api/" + strings.TrimPrefix(url, "/")
	}
	http.Request.SetRequestURI(url)
	http.Request.Header.SetHostBytes(r.http.Host())
	http.Request.Header.SetMethod(fasthttp.MethodGet)
	return &request{http: http, tenant: r.tenant, resources: r.resources, directory: r.directory, language: r.language, ctx: r.ctx, patience: r.patience, stopClock: func() {}, who: r.who}
}

// newBatchTag begins the tag of a batch, which is that of all answers.
func newBatchTag(r *request) *tag {
	t := &tag{}
	t.hash.Reset()
	t.text(r.tenant.Slug)
	t.number(int64(r.language))
	return t
}

// part adds an answer. Without a tag of its own it counts with all its bytes.
func (t *tag) part(p *part) {
	t.text(p.url)
	t.number(int64(p.status))
	if t.text(p.etag); p.etag == "" {
		t.bytes(p.response.Body())
	}
}
