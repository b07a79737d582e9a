// Package tenant knows who is served: it reads tenants.yaml, checks it, and keeps the result as an immutable Directory behind one
// atomic pointer.
//
//	reloader, err := tenant.Open(tenant.Source{Path: "tenants.yaml", Environ: os.Environ()}, logger)
//	go reloader.Run(ctx)
//	t, ok := reloader.Registry().Current().Lookup(host)
//
// A load goes: bytes → nodes with their lines → declarations, each with its own faults → a settlement of who gets which host and which
// database → a Directory. Nothing here opens a socket or a database. What it hands out is read-only and may be shared by any number
// of goroutines.
package tenant

import (
	"net/netip"
	"net/url"
	"time"
)

// Tenant is one customer's site: its names, its frontend and its database. A Tenant is immutable; a reload makes a new one, and a
// request keeps the one that it began with.
type Tenant struct {
	// Slug is the tenant's identifier, [a-z0-9][a-z0-9-]{0,62}; it is the value of X-Tenant.
	Slug string
	// Brand is the name that visitors read.
	Brand string
	// Domains are the tenant's hosts as CanonicalName returns them; the first is the canonical one. "*.example.com" stands for one label.
	Domains []string
	// RedirectToCanonical answers requests for any but the first domain with 308 to the first.
	RedirectToCanonical bool
	// Frontend serves all that is not /api/. Its zero value is the built-in welcome page.
	Frontend Frontend
	// Backend, when set, serves /api/ in place of the embedded API.
	Backend *url.URL
	// Backends, in place of Backend, are two or more servers for /api/.
	Backends []Upstream
	// Balance is how requests are spread over Frontend.Upstreams and Backends.
	Balance Balance
	// Database says where the tenant's documents are.
	Database Database
	// JWTSecret signs the tenant's tokens (HS256). It is never empty: where none is declared, one is made.
	JWTSecret Secret
	// CookieDomain is the Domain attribute of the tenant's cookies; empty means host-only.
	CookieDomain string
	// Enabled is false for a tenant that answers 503 on all its hosts.
	Enabled bool
	// Limits bound what one request of this tenant may take.
	Limits Limits
	// Certificate says how the tenant's certificates are obtained.
	Certificate Certificate
	// Files says how the folder is served, where the frontend is one.
	Files Files
	// Compress says what the tenant's answers are compressed with; the zero value compresses nothing.
	Compress Codings
	// Origin is where this version of the tenant was read, "tenants.yaml:14". An unchanged tenant stays the same *Tenant over reloads,
	// so its line is that of the load in which it last changed.
	Origin string
}

// HasBackend reports whether /api/ is served by the tenant's own servers.
func (t *Tenant) HasBackend() bool { return t.Backend != nil || len(t.Backends) > 0 }

// Frontend is a tenant's site: an upstream URL, several, or a folder. At most one of them is set.
type Frontend struct {
	// URL is an http or https upstream, without path.
	URL *url.URL
	// Upstreams are two or more.
	Upstreams []Upstream
	// Folder is an absolute path.
	Folder string
}

// IsZero reports whether no frontend is set, so that the welcome page is served.
func (f Frontend) IsZero() bool { return f.URL == nil && len(f.Upstreams) == 0 && f.Folder == "" }

// String is the frontend as an administrator wrote it, or "welcome page".
func (f Frontend) String() string {
	switch {
	case f.URL != nil:
		return f.URL.Redacted()
	case len(f.Upstreams) > 0:
		return UpstreamsText(f.Upstreams)
	case f.Folder != "":
		return "dir:" + f.Folder
	}
	return "welcome page"
}

// Database names a tenant's MongoDB database.
type Database struct {
	// URI is a mongodb:// or mongodb+srv:// connection string; empty means the embedded database.
	URI Secret
	// Name is the database's name.
	Name string
}

// Embedded reports whether the tenant lives in the embedded database.
func (d Database) Embedded() bool { return d.URI.IsZero() }

// Limits bound what one request of a tenant may take.
type Limits struct {
	// Body is the largest request body in bytes; a longer one is answered 413.
	Body int64
	// Timeout is how long a frontend or backend may take to the first byte of its answer; then 504.
	Timeout time.Duration
	// Hold is how long a request waits for a frontend or backend that refuses connections, as while it restarts; 0 is not at all.
	Hold time.Duration
	// Connections is how many connections to one upstream may be in use, by all tenants, for another request of this one to go there. 0 is
	// the default.
	Connections int
}

// Gateway is the part of tenants.yaml that is not about a tenant. It is immutable.
type Gateway struct {
	// HTTPS, HTTP and Admin are listen addresses, "host:port" or ":port". An empty HTTP listens on no plain port.
	HTTPS, HTTP, Admin string
	// APIHosts are the canonical names of the hosts that serve every tenant's API by the client's X-Tenant.
	APIHosts []string
	// UnknownHost is the slug of the tenant that answers for unlisted hosts; empty means 421.
	UnknownHost string
	// Certificates says where certificates come from.
	Certificates Certificates
	// TrustedProxies are the peers whose X-Forwarded-For, -Proto and X-Request-ID are believed.
	TrustedProxies []netip.Prefix
	// Data is the absolute folder of the embedded database, made secrets and last good versions.
	Data string
	// Models is the absolute folder that replaces the built-in API resources; empty means the built-in ones.
	Models string
	// Demo seeds sample documents into embedded databases that are empty.
	Demo bool
}

// FromContext returns the tenant that the gateway bound to a request, or nil. ctx is a *fasthttp.RequestCtx.
func FromContext(ctx interface{ UserValue(key any) any }) *Tenant {
	t, _ := ctx.UserValue(ContextKey).(*Tenant)
	return t
}

// ContextKey is the user value under which the gateway keeps a request's *Tenant.
const ContextKey contextKey = "metahub.tenant"

type contextKey string
