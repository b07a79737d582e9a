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
		t.Frontend.Folder == other.Frontend.Folder &&
		sameURL(t.Frontend.URL, other.Frontend.URL) &&
		sameURL(t.Backend, other.Backend) &&
		sameUpstreams(t.Frontend.Upstreams, other.Frontend.Upstreams) &&
		sameUpstreams(t.Backends, other.Backends) &&
		t.Balance == other.Balance &&
		t.Database == other.Database &&
		t.JWTSecret == other.JWTSecret &&
		t.CookieDomain == other.CookieDomain &&
		t.Enabled == other.Enabled &&
		t.Limits == other.Limits &&
		t.Certificate == other.Certificate &&
		t.Files.same(&other.Files) &&
		t.Compress == other.Compress &&
		originFile(t.Origin) == originFile(other.Origin)
}

func sameURL(a, b *url.URL) bool {
	if a == nil || b == nil {
		return a == b
	}
	return *a == *b // no URL of ours holds userinfo, the one pointer
}
