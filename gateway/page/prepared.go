package page

import (
	"bytes"
	"html/template"

	"github.com/valyala/fasthttp"
)

// Prepared is an error page, and its JSON, of which all but the request's id is written already, for answers that an attack may ask for by
// the thousand. It is immutable.
type Prepared struct {
	status         int
	code, sentence string
	page, json     around
}

// around is what stands before and behind the id.
type around struct{ before, after []byte }

// idMark stands for the id while a page is prepared; it has nothing to escape.
const idMark = "0-request-id-0"

// Prepare makes what Error would answer with.
func Prepare(status int, code, sentence string) *Prepared {
	document := render(errorPage, errorData{
		Style: template.CSS(style), Status: status, Title: fasthttp.StatusMessage(status), Sentence: sentence, RequestID: idMark,
	})
	return &Prepared{status, code, sentence, cutAround(document), cutAround(envelope{Message: sentence, Code: code, RequestID: idMark}.json())}
}

func cutAround(document []byte) around {
	before, after, _ := bytes.Cut(document, []byte(idMark))
	return around{before, after}
}

// Answer is Error for this page.
func (p *Prepared) Answer(ctx *fasthttp.RequestCtx) {
	id := ctx.Request.Header.Peek("X-Request-ID")
	if len(id) == 0 || bytes.ContainsFunc(id, needsEscape) {
		Error(ctx, p.status, p.code, p.sentence)
		return
	}
	form := &p.page
	if wantsJSON(ctx) {
		form = &p.json
		reset(ctx, p.status, jsonType)
	} else {
		resetPage(ctx, p.status)
	}
	ctx.Response.AppendBody(form.before)
	ctx.Response.AppendBody(id)
	ctx.Response.AppendBody(form.after)
}

// needsEscape is true of each sign that HTML or JSON cannot hold as it is, and of some that they can.
func needsEscape(r rune) bool {
	return r <= ' ' || r >= 0x7f || r == '"' || r == '&' || r == '\'' || r == '+' || r == '<' || r == '>' || r == '\\'
}
