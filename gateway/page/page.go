// Package page writes what the gateway itself says to people: error pages and a tenant's welcome page. Every page is one
// self-contained HTML document; API clients get the same words as a JSON envelope.
//
//	page.Error(ctx, fasthttp.StatusBadGateway, "upstream_refused", "This site is not answering at the moment.")
//
// It loads nothing from disk or network, and prints nothing that it did not escape.
package page

import (
	"bytes"
	_ "embed"
	"html/template"

	"github.com/valyala/fasthttp"
)

const (
	htmlType = "text/html; charset=utf-8"
	jsonType = "application/json; charset=utf-8"

	// The pages need their own inline style and nothing else.
	policy = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

var (
	//go:embed page.css
	style string
	//go:embed error.html
	errorSource string
	//go:embed welcome.html
	welcomeSource string

	errorPage   = template.Must(template.New("error").Parse(errorSource))
	welcomePage = template.Must(template.New("welcome").Parse(welcomeSource))
)

// write answers with the document that t makes of data, and forgets whatever the response held.
func write(ctx *fasthttp.RequestCtx, status int, t *template.Template, data any) {
	document := render(t, data)
	resetPage(ctx, status)
	ctx.Response.SetBody(document)
}

func render(t *template.Template, data any) []byte {
	var document bytes.Buffer
	if err := t.Execute(&document, data); err != nil {
		// Only a fault in the template itself comes here; the status is still right.
		document.Reset()
	}
	return document.Bytes()
}

func resetPage(ctx *fasthttp.RequestCtx, status int) {
	reset(ctx, status, htmlType)
	ctx.Response.Header.Set("Content-Security-Policy", policy)
	ctx.Response.Header.Set("Referrer-Policy", "no-referrer")
}

func reset(ctx *fasthttp.RequestCtx, status int, contentType string) {
	ctx.Response.Reset()
	ctx.SetStatusCode(status)
	ctx.Response.Header.SetContentType(contentType)
	ctx.Response.Header.Set("Cache-Control", "no-store")
	ctx.Response.Header.Set("X-Content-Type-Options", "nosniff")
}
