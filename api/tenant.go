package api

// showTenant answers what everybody may know of the tenant.
func (a *API) showTenant(r *request) (reply, error) {
	return reply{status: 200, message: "OK", data: value{struct {
		Slug    string   `json:"slug"`
		Brand   string   `json:"brand"`
		Domains []string `json:"domains"`
	}{r.tenant.Slug, r.tenant.Brand, r.tenant.Domains}}}, nil
}

// listTenants answers a list of one, the request's own tenant: existing frontends look for themselves in a list of all. What else there
// is to know of a tenant, and of any other, is nobody's.
func (a *API) listTenants(r *request) (reply, error) {
	type domain struct {
		Main   string   `json:"main"`
		Custom []string `json:"customDomains"`
	}
	type listed struct {
		ID       string `json:"_id"`
		Slug     string `json:"slug"`
		Name     string `json:"name"`
		Domain   domain `json:"domain"`
		IsActive bool   `json:"isActive"`
	}
	t := listed{ID: r.tenant.Slug, Slug: r.tenant.Slug, Name: r.tenant.Brand, IsActive: true, Domain: domain{Custom: []string{}}}
	if len(r.tenant.Domains) > 0 {
		t.Domain = domain{r.tenant.Domains[0], r.tenant.Domains[1:]}
	}
	return reply{status: 200, message: "OK", data: value{[]listed{t}}}, nil
}
