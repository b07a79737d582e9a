package api

// showTenant answers what everybody may know of the tenant.
func (a *API) showTenant(r *request) (reply, error) {
	return reply{status: 200, message: "OK", data: value{struct {
		Slug    string   `json:"slug"`
		Brand   string   `json:"brand"`
		Domains []string `json:"domains"`
	}{r.tenant.Slug, r.tenant.Brand, r.tenant.Domains}}}, nil
}
