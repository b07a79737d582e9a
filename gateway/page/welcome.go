package page

import (
	"html/template"

	"github.com/valyala/fasthttp"

	"metahub/tenant"
)

// Welcome answers ctx for a tenant that has no frontend yet: at "/" a page that shows the brand and says how to set a frontend, at
// every other path a 404 page, for methods other than GET and HEAD 405.
func Welcome(ctx *fasthttp.RequestCtx, t *tenant.Tenant) {
	if !ctx.IsGet() && !ctx.IsHead() {
		Error(ctx, fasthttp.StatusMethodNotAllowed, "method_not_allowed", "This page can only be read.")
		ctx.Response.Header.Set("Allow", "GET, HEAD")
		return
	}
	if string(ctx.Path()) != "/" {
		Error(ctx, fasthttp.StatusNotFound, "not_found", "There is no page at this address.")
		return
	}
	write(ctx, fasthttp.StatusOK, welcomePage, welcomeData{
		Style:  template.CSS(style),
		Brand:  brandOf(t),
		Slug:   t.Slug,
		Domain: firstOf(t.Domains),
		Others: rest(t.Domains),
	})
}

type welcomeData struct {
	Style  template.CSS
	Brand  string
	Slug   string
	Domain string
	Others []string
}

func brandOf(t *tenant.Tenant) string {
	if t.Brand != "" {
		return t.Brand
	}
	return t.Slug
}

func firstOf(domains []string) string {
	if len(domains) == 0 {
		return ""
	}
	return domains[0]
}

func rest(domains []string) []string {
	if len(domains) < 2 {
		return nil
	}
	return domains[1:]
}
