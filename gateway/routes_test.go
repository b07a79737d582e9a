package gateway

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"metahub/tenant"
)

// TestRoutesOfATenant asks for paths of a tenant with several servers, some of which are spelled so that they might get round its routes.
func TestRoutesOfATenant(t *testing.T) {
	pair(t, func(t *testing.T, http2 bool) {
		w := startWithUpstream(t, func(rw http.ResponseWriter, r *http.Request) {
			fmt.Fprintf(rw, "%s %q", r.RequestURI, r.Header.Values("X-Forwarded-Prefix"))
		})
		up, _ := w.registry.Current().Tenant([]byte("up"))
		folder, _ := w.registry.Current().Tenant([]byte("files"))
		to := up.Frontend
		routed := &tenant.Tenant{
			Slug: "routed", Domains: []string{"routed.test"}, Enabled: true, Limits: tenant.Limits{Body: 1000, Timeout: 10 * time.Second},
			Frontend: tenant.Frontend{Routes: tenant.NewRoutes([]tenant.Route{
				{To: folder.Frontend},
				{Prefix: "/app", To: to, Replaced: true},
				{Prefix: "/app/raw", To: to},
			})},
			BackendRoutes: tenant.NewRoutes([]tenant.Route{{Prefix: "/api/orders", To: to, Replaced: true, Replacement: "/v2"}}),
		}
		w.registry.Publish(tenant.NewDirectory(settings(), []*tenant.Tenant{routed}))
		c := w.client(http2, "")
		f := func(target string, status int, want string) {
			t.Helper()
			got := w.do(c, "GET", "https://routed.test"+target, "", "X-Forwarded-Prefix: /evil", "Accept: application/json")
			if got.StatusCode != status || !strings.Contains(got.body, want) {
				t.Errorf("%s: %d %q, want %d %q", target, got.StatusCode, got.body, status, want)
			}
		}

		f("/", 200, "<h1>files</h1>")
		f("/app/x?y", 200, `/x?y ["/app"]`)
		f("/app/raw/x", 200, `/app/raw/x []`)
		f("/application", 404, "not_found")
		f("/%61pp/r%61w/x", 200, `/%61pp/r%61w/x []`)
		f("/app//evil.test/%2e", 400, "")
		f("/app/..%2fx", 400, "")
		f("/app%2f%2e%2e/x", 400, "")
		f("/app/%5c..%5cx", 400, "")
		f("/app//evil.test/", 200, `/evil.test/ ["/app"]`)
		// below /api, what no route covers is the embedded API's
		f("/api/orders/7?x", 200, `/v2/7?x ["/api/orders"]`)
		f("/api/users", 200, `"By":"api"`)
		f("/api/ordersx", 200, `"By":"api"`)
	})
}
