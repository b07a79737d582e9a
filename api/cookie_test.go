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
