package page

import (
	"bytes"
	"encoding/json"
	"html/template"

	"github.com/valyala/fasthttp"
)

// Error answers ctx with status and forgets whatever the response held. code is for machines, like "upstream_timeout"; sentence is
// one plain sentence for people. Paths below /api and clients that ask for JSON get the API's envelope, all others a page. Both show
// the request's X-Request-ID. Headers that the answer needs besides, like Retry-After, are set after the call.
func Error(ctx *fasthttp.RequestCtx, status int, code, sentence string) {
	id := string(ctx.Request.Header.Peek("X-Request-ID"))
	if wantsJSON(ctx) {
		writeEnvelope(ctx, status, envelope{Message: sentence, Code: code, RequestID: id})
		return
	}
	write(ctx, status, errorPage, errorData{
		Style:     template.CSS(style),
		Status:    status,
		Title:     fasthttp.StatusMessage(status),
		Sentence:  sentence,
		RequestID: id,
	})
}

type errorData struct {
	Style     template.CSS
	Status    int
	Title     string
	Sentence  string
	RequestID string
}

// envelope is the API's form of an error.
type envelope struct {
	Success   bool   `json:"success"`
	Message   string `json:"message"`
	Code      string `json:"code"`
	RequestID string `json:"request_id"`
}

func writeEnvelope(ctx *fasthttp.RequestCtx, status int, e envelope) {
	body := e.json()
	reset(ctx, status, jsonType)
	ctx.Response.SetBody(body)
}

func (e envelope) json() []byte {
	body, err := json.Marshal(e)
	if err != nil {
		return nil // strings and a bool always marshal; without a body the status still tells
	}
	return body
}

// wantsJSON tells programs from browsers: browsers always name text/html.
func wantsJSON(ctx *fasthttp.RequestCtx) bool {
	if path := ctx.Path(); bytes.HasPrefix(path, []byte("/api/")) || string(path) == "/api" {
		return true
	}
	accept := bytes.ToLower(ctx.Request.Header.Peek("Accept"))
	return bytes.Contains(accept, []byte("application/json")) && !bytes.Contains(accept, []byte("text/html"))
}
