package api

import (
	"testing"

	"github.com/valyala/fasthttp"

	"metahub/tenant"
)

func TestCookieDomainIsUsedOnTheHostsThatItCovers(t *testing.T) {
	f := func(host, declared, want string) {
		t.Helper()
		var ctx fasthttp.RequestCtx
		ctx.Request.Header.SetHost(host)
		r := &request{http: &ctx, tenant: &tenant.Tenant{CookieDomain: declared}}
		if got := cookieDomain(r); got != want {
			t.Errorf("on %q with %q: %q, want %q", host, declared, got, want)
		}
	}
	f("ensotek.de", "ensotek.de", "ensotek.de")
	f("www.ensotek.de:8443", "ensotek.de", "ensotek.de")
	// Another domain of the tenant, and the shared API host.
	f("ensotek.com", "ensotek.de", "")
	f("api.guezelwebdesign.com", "ensotek.de", "")
	// A name that only ends alike.
	f("notensotek.de", "ensotek.de", "")
	f("ensotek.de", "", "")
}

func TestCookieNameTellsTenantsApartOnASharedHost(t *testing.T) {
	anna := &tenant.Tenant{Slug: "anna", Domains: []string{"anna.test"}}
	legacy := &tenant.Tenant{Slug: "ben", Domains: []string{"ben.test"}, Cookies: tenant.LegacyCookies}
	directory := tenant.NewDirectory(tenant.Gateway{APIHosts: []string{"api.test"}}, []*tenant.Tenant{anna, legacy})
	f := func(of *tenant.Tenant, host, want string) {
		t.Helper()
		var ctx fasthttp.RequestCtx
		ctx.Request.Header.SetHost(host)
		r := &request{http: &ctx, tenant: of, directory: directory}
		if got := r.cookieName(accessCookie); got != want {
			t.Errorf("%s on %s: %q, want %q", of.Slug, host, got, want)
		}
	}
	f(anna, "anna.test:8443", "__Host-accessToken")
	f(anna, "api.test:8443", "__Host-accessToken-anna")
	f(anna, "API.test", "__Host-accessToken-anna")
	f(legacy, "ben.test", "accessToken")
	f(legacy, "api.test:8443", "accessToken")
}
