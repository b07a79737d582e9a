package tenant

import (
	"net/url"
	"slices"
)

// same reports whether two versions of a tenant are one: nothing differs but the line of the file that they were read from.
func (t *Tenant) same(other *Tenant) bool {
	return t.Slug == other.Slug &&
		t.Brand == other.Brand &&
		slices.Equal(t.Domains, other.Domains) &&
		t.RedirectToCanonical == other.RedirectToCanonical &&
		t.Frontend.same(&other.Frontend) &&
		sameURL(t.Backend, other.Backend) &&
		sameUpstreams(t.Backends, other.Backends) &&
		sameRoutes(t.BackendRoutes, other.BackendRoutes) &&
		t.Health == other.Health &&
		t.BackendHealth == other.BackendHealth &&
		t.Balance == other.Balance &&
		t.Database == other.Database &&
		t.JWTSecret == other.JWTSecret &&
		slices.Equal(t.JWTPrevious, other.JWTPrevious) &&
		t.Cookies == other.Cookies &&
		t.CookieDomain == other.CookieDomain &&
		t.Enabled == other.Enabled &&
		t.Limits == other.Limits &&
		t.Certificate == other.Certificate &&
		t.Files.same(&other.Files) &&
		t.Compress == other.Compress &&
		t.Cache == other.Cache &&
		t.Uploads == other.Uploads &&
		t.Mail == other.Mail &&
		originFile(t.Origin) == originFile(other.Origin)
}

func (f *Frontend) same(other *Frontend) bool {
	return f.Folder == other.Folder && sameURL(f.URL, other.URL) && sameUpstreams(f.Upstreams, other.Upstreams) && sameRoutes(f.Routes, other.Routes)
}

func sameURL(a, b *url.URL) bool {
	if a == nil || b == nil {
		return a == b
	}
	return *a == *b // no URL of ours holds userinfo, the one pointer
}
