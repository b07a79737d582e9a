package api_test

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestRoutes(t *testing.T) {
	s := newSite(t)
	notFound := refusal("not_found")
	notAllowed := refusal("method_not_allowed")
	runAll(t, s, []scenario{
		{name: "tenant", path: "/api/tenant", status: 200, absent: []string{"the-key-of-anna"},
			want: `{"success":true,"message":"OK","data":{"slug":"anna","brand":"Brand of anna","domains":["anna.test","www.anna.test"]}}`},
		{name: "the other tenant", tenant: ben, path: "/api/tenant", headers: []string{"X-Tenant: anna"}, status: 200,
			want: `{"success":true,"message":"OK","data":{"slug":"ben","brand":"Brand of ben","domains":["ben.test","www.ben.test"]}}`},
		{name: "a host of no tenant", tenant: "nobody", path: "/api/tenant", status: 400, want: refusal("no_tenant")},
		{name: "no resource", path: "/api/public/company", status: 404, want: notFound},
		{name: "the root", path: "/api/", status: 404, want: notFound},
		{name: "a word for an id", path: "/api/products/abcdefghijkl", status: 404, want: notFound},
		{name: "23 digits", path: "/api/products/00000000000000000000001", status: 404, want: notFound},
		{name: "24 letters", path: "/api/products/zzzzzzzzzzzzzzzzzzzzzzzz", status: 404, want: notFound},
		{name: "an id of nothing", path: "/api/products/000000000000000000000001", status: 404, want: notFound},
		{name: "below an item", path: "/api/products/000000000000000000000001/x", status: 404, want: notFound},
		{name: "an encoded slash", path: "/api/products%2F000000000000000000000001", status: 404, want: notFound},
		{name: "a list cannot be deleted", method: "DELETE", path: "/api/products", status: 405, want: notAllowed, header: []string{"Allow: GET, HEAD, OPTIONS, POST"}},
		{name: "an item cannot be posted to", method: "POST", path: "/api/products/000000000000000000000001", body: "{}", status: 405, want: notAllowed, header: []string{"Allow: DELETE, GET, HEAD, OPTIONS, PATCH, PUT"}},
		{name: "sign-in cannot be read", path: "/api/users/login", status: 405, want: notAllowed, header: []string{"Allow: OPTIONS, POST"}},
		{name: "a method of nobody", method: "BREW", path: "/api/tenant", status: 405, want: notAllowed, header: []string{"Allow: GET, HEAD, OPTIONS"}},
		{name: "options", method: "OPTIONS", path: "/api/products", status: 204, header: []string{"Allow: GET, HEAD, OPTIONS, POST"}},
	})
}

func TestQueryRefusals(t *testing.T) {
	s := newSite(t)
	f := func(query, message string) {
		t.Helper()
		scenario{name: query, path: "/api/products?" + query, status: 400,
			want: `{"success":false,"message":"` + message + `","code":"bad_request","request_id":"request-1"}`}.run(t, s)
	}
	known := "Known are: page, limit, sort, fields, cursor, count, locale, flat, sku, brand, price, currency, category, tags, onlyLocalized, minPrice, maxPrice, q."
	// Operators, however they are written, are names that no model declares.
	f("price[$ne]=1", `The parameter \"price[$ne]\" is unknown. `+known)
	f("price%5B%24ne%5D=1", `The parameter \"price[$ne]\" is unknown. `+known)
	f("price[]=1", `The parameter \"price[]\" is unknown. `+known)
	f("$where=1", `The parameter \"$where\" is unknown. `+known)
	f("filter={}", `The parameter \"filter\" is unknown. `+known)
	f("title.en=x", `The parameter \"title.en\" is unknown. `+known)
	f("tenant=ben", `The parameter \"tenant\" is unknown. `+known)
	f("Price=1", `The parameter \"Price\" is unknown. `+known)
	// What the caller may not read is no filter and no order.
	f("costPrice=777.5", `The parameter \"costPrice\" is unknown. `+known)
	f("isPublished=false", `The parameter \"isPublished\" is unknown. `+known)
	f("sort=costPrice", `The list cannot be sorted by \"costPrice\", only by: sku, brand, price, stock, order, publishedAt, createdAt, updatedAt.`)
	f("sort=$natural", `The list cannot be sorted by \"$natural\", only by: sku, brand, price, stock, order, publishedAt, createdAt, updatedAt.`)
	f("sort=price,-price", `The list cannot be sorted by \"price\" twice.`)
	f("sort=price,sku,brand,stock,order", `A list is sorted by at most 4 fields.`)
	// Values are of the field's type.
	f("price=cheap", `The parameter \"price\" must be a number.`)
	f("price=NaN", `The parameter \"price\" must be a number.`)
	f("price=1e999", `The parameter \"price\" must be a number.`)
	f("price={%22$gt%22:0}", `The parameter \"price\" must be a number.`)
	f("category=abcdefghijkl", `The parameter \"category\" must be 24 hexadecimal digits.`)
	// Pages are bounded.
	f("limit=501", `The parameter \"limit\" is a whole number from 1 to 500.`)
	f("limit=0", `The parameter \"limit\" is a whole number from 1 to 500.`)
	f("limit=-1", `The parameter \"limit\" is a whole number from 1 to 500.`)
	f("limit=99999999999999999999", `The parameter \"limit\" is a whole number from 1 to 500.`)
	f("page=1e3", `The parameter \"page\" is a whole number from 1 to 2147483647.`)
	f("page=10002&limit=1", `Pages reach no further than 10000 documents: go on by \"cursor\", which the last of them names, or narrow the list by a filter.`)
	f("page=2147483647&limit=500", `Pages reach no further than 10000 documents: go on by \"cursor\", which the last of them names, or narrow the list by a filter.`)
	f("page=102&limit=100", `Pages reach no further than 10000 documents: go on by \"cursor\", which the last of them names, or narrow the list by a filter.`)
	f("page=20&limit=500&"+strings.Repeat("a", 65)+"=1", `The name of a parameter is too long.`)
	// One name, one value, well-formed.
	f("price=1&price=2", `The parameter \"price\" is there twice.`)
	f("brand=%zz", `The value of the parameter \"brand\" is not well-formed.`)
	f("%zz=1", `The query string is not well-formed.`)
	f("brand=%ff", `The value of the parameter \"brand\" must be UTF-8 text of at most 256 bytes.`)
	f("brand=%00", `The value of the parameter \"brand\" must be UTF-8 text of at most 256 bytes.`)
}

func TestDocs(t *testing.T) {
	s := newSite(t)
	for path, kind := range map[string]string{
		"/api/openapi.json": "application/json; charset=utf-8", "/api/docs": "text/html; charset=utf-8", "/api/docs/page.js": "text/javascript; charset=utf-8", "/api/docs/page.css": "text/css; charset=utf-8",
	} {
		got := s.send(anna, "GET", path, "")
		if got.status != 200 || got.header.Get("Content-Type") != kind || !strings.HasPrefix(got.header.Get("Content-Security-Policy"), "default-src 'none'") {
			t.Errorf("%s: %d, %s", path, got.status, got.header.Get("Content-Type"))
		}
		if got := s.send(anna, "GET", path, "", "If-None-Match: "+got.header.Get("ETag")); got.status != 304 {
			t.Errorf("%s again: %d", path, got.status)
		}
	}
	var spec struct {
		OpenAPI string         `json:"openapi"`
		Paths   map[string]any `json:"paths"`
	}
	if err := json.Unmarshal([]byte(s.send(anna, "GET", "/api/openapi.json", "").body), &spec); err != nil || spec.OpenAPI != "3.1.0" || spec.Paths["/api/products/{id}"] == nil {
		t.Errorf("%v, OpenAPI %s, %d paths", err, spec.OpenAPI, len(spec.Paths))
	}
}
