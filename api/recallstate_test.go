package api

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/valyala/fasthttp"

	"metahub/tenant"
)

// What is known of an answer depends on how reads and writes follow each other.
func TestRecallOrder(t *testing.T) {
	models, err := LoadModels(nil)
	if err != nil {
		t.Fatal(err)
	}
	products, _ := models.Named("product")
	users, _ := models.Named("user")
	anna := &tenant.Tenant{Slug: "anna", Database: tenant.Database{Recheck: time.Hour}}
	http := &fasthttp.RequestCtx{}
	http.Request.SetRequestURI("/api/products?limit=3")
	r := &request{http: http, tenant: anna, resources: &resources{models: models, users: users}}
	var now time.Time
	c := newRecall(tenant.NewRegistry(tenant.NewDirectory(tenant.Gateway{}, []*tenant.Tenant{anna})))
	read := func() reading { return c.begin(r, products, products.Public, now) }
	write := func(collection string, err error) { c.wrote("anna", collection, err, now) }
	f := func(what, want string) {
		t.Helper()
		if got := c.tag(r, func() time.Time { return now }); got != want {
			t.Errorf("%s: %q, want %q", what, got, want)
		}
	}
	now = time.Now()
	f("nothing read", "")
	write("products", nil)
	first := read()
	f("not yet read to its end", "")
	first.keep("1")
	f("read", "1")
	write("faqs", nil)
	f("another collection", "1")
	write("comments", nil)
	f("one that is shown within", "")
	during := read()
	write("products", nil)
	during.keep("2")
	f("written while it was read", "")
	read().keep("3")
	f("read again", "3")
	write("products", &Error{Status: 412})
	read().keep("4")
	f("a write that was refused", "4")
	for _, unknown := range []error{errors.New("connection reset"), context.DeadlineExceeded, errUnknown} {
		write("products", unknown)
		f("a write that may still take effect", "")
		now = now.Add(settleTime - 1)
		read().keep("5")
		f("read before it is settled", "")
		now = now.Add(1)
		read().keep("6")
		f("read afterwards", "6")
	}
	c.begin(r, users, products.Public, now).keep("7") // as if users were public
	f("users", "6")
	c.begin(r, products, products.Admin, now).keep("7")
	f("what admins see", "6")
	http.Request.Header.SetMethod(fasthttp.MethodPost)
	f("no read", "")
}

// Tenants that are gone take no room.
func TestRecallForgetsTenants(t *testing.T) {
	c := newRecall(tenant.NewRegistry(tenant.NewDirectory(tenant.Gateway{}, []*tenant.Tenant{{Slug: "anna"}})))
	kept := c.of("anna")
	for n := range 1000 {
		c.of(fmt.Sprint("gone", n))
	}
	if c.of("anna") != kept {
		t.Error("the tenant that is there is forgotten")
	}
	if len(c.tenants) > 100 {
		t.Errorf("%d are known", len(c.tenants))
	}
}
