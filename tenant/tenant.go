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
	"strings"
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
	// BackendRoutes, in place of both, say what serves which paths at or below /api. The embedded API serves the others.
	BackendRoutes *Routes
	// Health and BackendHealth say how the servers of Frontend, and those of Backend and Backends, are checked. Routes have their own.
	Health, BackendHealth Health
	// Balance is how requests are spread over several upstreams.
	Balance Balance
	// Database says where the tenant's documents are.
	Database Database
	// JWTSecret signs the tenant's tokens (HS256). It is never empty: where none is declared, one is made.
	JWTSecret Secret
	// JWTPrevious signed tokens before JWTSecret did, the last one first; what they signed is still valid.
	JWTPrevious []Secret
	// Cookies says what the cookies are like that sign in.
	Cookies Cookies
	// CookieDomain is the Domain attribute of the tenant's cookies, where these are LegacyCookies; empty means host-only.
	CookieDomain string
	// Enabled is false for a tenant that answers 503 on all its hosts.
	Enabled bool
	// Limits bound what the requests of this tenant may take.
	Limits Limits
	// Certificate says how the tenant's certificates are obtained.
	Certificate Certificate
	// Files says how the folder is served, where the frontend is one.
	Files Files
	// Compress says what the tenant's answers are compressed with; the zero value compresses nothing.
	Compress Codings
	// Uploads is how many bytes of files the embedded API keeps for the tenant's documents; 0 keeps none.
	Uploads int64
	// Mail says how mails of the embedded API are sent.
	Mail Mail
	// Cache says what is kept of the answers of Frontend and Backend, where these are upstreams.
	Cache Cache
	// Origin is where this version of the tenant was read, "tenants.yaml:14". An unchanged tenant stays the same *Tenant over reloads,
	// so its line is that of the load in which it last changed.
	Origin string
}

// Cookies says what the cookies are like that sign a tenant's users in.
type Cookies string

// The kinds of cookies. The empty Cookies are HostCookies.
const (
	HostCookies   Cookies = "host"   // "__Host-…", SameSite=Lax: for one host, and its own site's pages
	LegacyCookies Cookies = "legacy" // "accessToken", SameSite=None, with a Domain: as the earlier service set them
)

// HasBackend reports whether a path at or below /api, decoded, is served by the tenant's own servers.
func (t *Tenant) HasBackend(path []byte) bool {
	return t.Backend != nil || len(t.Backends) > 0 || t.BackendRoutes != nil && t.BackendRoutes.Find(path) != nil
}

// BackendText is the backend for people, or "" where there is none.
func (t *Tenant) BackendText() string {
	f := Frontend{URL: t.Backend, Upstreams: t.Backends, Routes: t.BackendRoutes}
	if f.IsZero() {
		return ""
	}
	return f.String()
}

// Frontend is a tenant's site: an upstream URL, several, a folder, or routes to these. At most one of them is set.
type Frontend struct {
	// URL is an http or https upstream without path, or a socket: the scheme is "unix", and Opaque an absolute path.
	URL *url.URL
	// Upstreams are two or more.
	Upstreams []Upstream
	// Folder is an absolute path.
	Folder string
	// Routes have one for every path.
	Routes *Routes
}

// IsZero reports whether no frontend is set, so that the welcome page is served.
func (f Frontend) IsZero() bool {
	return f.URL == nil && len(f.Upstreams) == 0 && f.Folder == "" && f.Routes == nil
}

// HasUpstream reports whether what is at path is that of another server. path is as Routes.Find has it.
func (f *Frontend) HasUpstream(path []byte) bool {
	if f.Routes != nil {
		f = &f.Routes.Find(path).To
	}
	return f.URL != nil || len(f.Upstreams) > 0
}

// String is the frontend as an administrator wrote it, or "welcome page".
func (f Frontend) String() string {
	switch {
	case f.URL != nil:
		return f.URL.Redacted()
	case len(f.Upstreams) > 0:
		return UpstreamsText(f.Upstreams)
	case f.Folder != "":
		return "dir:" + f.Folder
	case f.Routes != nil:
		texts := make([]string, len(f.Routes.list))
		for i := range f.Routes.list {
			texts[i] = f.Routes.list[i].String()
		}
		return strings.Join(texts, ", ")
	}
	return "welcome page"
}

// Database names a tenant's MongoDB database.
type Database struct {
	// URI is a mongodb:// or mongodb+srv:// connection string; empty means the embedded database.
	URI Secret
	// Name is the database's name.
	Name string
	// Recheck is for how long an answer from the database may count as unchanged without asking it, as far as nothing has been written
	// through this process; 0 asks each time.
	Recheck time.Duration
}

// Embedded reports whether the tenant lives in the embedded database.
func (d Database) Embedded() bool { return d.URI.IsZero() }

// Gateway is the part of tenants.yaml that is not about a tenant. It is immutable.
type Gateway struct {
	// HTTPS, HTTP and Admin are listen addresses, "host:port" or ":port". An empty HTTP listens on no plain port.
	HTTPS, HTTP, Admin string
	// HTTP2 says who decodes HTTP/2: EngineHTTP2, which "" is too, or StandardHTTP2.
	HTTP2 string
	// HTTP3 says whether HTTP/3 is served beside HTTPS.
	HTTP3 HTTP3
	// APIHosts are the canonical names of the hosts that serve every tenant's API by the client's X-Tenant.
	APIHosts []string
	// UnknownHost is the slug of the tenant that answers for unlisted hosts; empty means 421.
	UnknownHost string
	// Certificates says where certificates come from.
	Certificates Certificates
	// TrustedProxies are the peers whose X-Forwarded-For, -Proto and X-Request-ID are believed.
	TrustedProxies []netip.Prefix
	// ProxyProtocol are the peers whose TCP connections begin with a PROXY header; of others none is taken.
	ProxyProtocol []netip.Prefix
	// Data is the absolute folder of the embedded database, uploaded files, made secrets and last good versions.
	Data string
	// Models is the absolute folder that replaces the built-in API resources; empty means the built-in ones.
	Models string
	// Concurrency is how many requests the process works on at once before tenants queue for their share; 0 leaves it to the gateway.
	Concurrency int
	// ClientConnectionRate is how many connections one client address may open a second, on average; 0 does not limit them.
	ClientConnectionRate int
	// Cache is how many bytes of answers are kept of all tenants together; 0 leaves it to the gateway.
	Cache int64
	// Demo seeds sample documents into embedded databases that are empty.
	Demo bool
}

// The values of Gateway.HTTP2.
const (
	EngineHTTP2   = "engine"   // gateway/http2
	StandardHTTP2 = "standard" // net/http's server
)

// HTTP3 says whether UDP on the port of Gateway.HTTPS is listened on, and how clients are told.
type HTTP3 struct {
	Enabled bool
	// Port is the UDP port as clients see it; 0 is the one that is listened on.
	Port int
}

// FromContext returns the tenant that the gateway bound to a request, or nil. ctx is a *fasthttp.RequestCtx.
func FromContext(ctx interface{ UserValue(key any) any }) *Tenant {
	t, _ := ctx.UserValue(ContextKey).(*Tenant)
	return t
}

// ContextKey is the user value under which the gateway keeps a request's *Tenant.
const ContextKey contextKey = "metahub.tenant"

type contextKey string
