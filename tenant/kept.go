package tenant

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// keptVersion changes when a kept file can no longer be read as before.
const keptVersion = 1

// keptTenants is the file of last good versions. It holds secrets in the clear, so only its owner can read it.
type keptTenants struct {
	Version int          `json:"version"`
	Tenants []keptTenant `json:"tenants"`
}

type keptTenant struct {
	Slug                string         `json:"slug"`
	Brand               string         `json:"brand"`
	Domains             []string       `json:"domains"`
	RedirectToCanonical bool           `json:"redirect_to_canonical,omitempty"`
	Folder              string         `json:"folder,omitempty"`
	Frontend            string         `json:"frontend,omitempty"`
	Backend             string         `json:"backend,omitempty"`
	MongoURI            string         `json:"mongo_uri,omitempty"`
	Database            string         `json:"database"`
	Recheck             time.Duration  `json:"database_recheck,omitempty"`
	JWTSecret           string         `json:"jwt_secret"`
	JWTPrevious         []string       `json:"jwt_previous,omitempty"`
	Cookies             Cookies        `json:"cookies,omitempty"` // absent in files of versions that did not know it
	CookieDomain        string         `json:"cookie_domain,omitempty"`
	Enabled             bool           `json:"enabled"`
	BodyLimit           int64          `json:"body_limit"`
	Timeout             time.Duration  `json:"timeout"`
	Hold                time.Duration  `json:"hold,omitempty"`
	UpstreamConnections int            `json:"upstream_connections,omitempty"`
	Frontends           []keptUpstream `json:"frontends,omitempty"`
	Backends            []keptUpstream `json:"backends,omitempty"`
	Balance             Balance        `json:"balance,omitempty"`
	Issuer              string         `json:"certificate_issuer,omitempty"`
	DNS                 string         `json:"certificate_dns,omitempty"`
	Files               string         `json:"certificate_files,omitempty"`
	Serving             *Files         `json:"files,omitempty"`
	Compress            string         `json:"compress,omitempty"` // absent in files of versions that did not know it
	Rate                int            `json:"rate,omitempty"`
	Burst               int            `json:"burst,omitempty"`
	ClientRate          int            `json:"client_rate,omitempty"`
	ClientBurst         int            `json:"client_burst,omitempty"`
	Concurrency         int            `json:"concurrency,omitempty"`
	Connections         int            `json:"connections,omitempty"`
	Weight              int            `json:"weight,omitempty"`
	FrontendRoutes      []keptRoute    `json:"frontend_routes,omitempty"`
	BackendRoutes       []keptRoute    `json:"backend_routes,omitempty"`
	Health              Health         `json:"health,omitzero"`
	BackendHealth       Health         `json:"backend_health,omitzero"`
	Cache               *Cache         `json:"cache,omitempty"`   // absent in files of versions that did not know it
	Uploads             *int64         `json:"uploads,omitempty"` // absent in files of versions that did not know it
	MailServer          string         `json:"mail_server,omitempty"`
	MailFrom            string         `json:"mail_from,omitempty"`
	Origin              string         `json:"origin"`
}

func keptPath(data string) string { return filepath.Join(data, "last-good.json") }

// keepTenants writes the versions that are served, so that a restart can fall back to them.
func keepTenants(data string, tenants []*Tenant) error {
	kept := keptTenants{Version: keptVersion, Tenants: make([]keptTenant, len(tenants))}
	for i, t := range tenants {
		kept.Tenants[i] = keep(t)
	}
	encoded, err := json.Marshal(kept)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(data, 0o700); err != nil {
		return err
	}
	return replaceFile(keptPath(data), append(encoded, '\n'))
}

func keep(t *Tenant) keptTenant {
	return keptTenant{
		Slug:                t.Slug,
		Brand:               t.Brand,
		Domains:             t.Domains,
		RedirectToCanonical: t.RedirectToCanonical,
		Folder:              t.Frontend.Folder,
		Frontend:            urlText(t.Frontend.URL),
		Backend:             urlText(t.Backend),
		MongoURI:            t.Database.URI.Reveal(),
		Database:            t.Database.Name,
		Recheck:             t.Database.Recheck,
		JWTSecret:           t.JWTSecret.Reveal(),
		JWTPrevious:         revealAll(t.JWTPrevious),
		Cookies:             t.Cookies,
		CookieDomain:        t.CookieDomain,
		Enabled:             t.Enabled,
		BodyLimit:           t.Limits.Body,
		Timeout:             t.Limits.Timeout,
		Hold:                t.Limits.Hold,
		UpstreamConnections: t.Limits.UpstreamConnections,
		Frontends:           keepUpstreams(t.Frontend.Upstreams),
		Backends:            keepUpstreams(t.Backends),
		Balance:             t.Balance,
		Rate:                t.Limits.Rate,
		Burst:               t.Limits.Burst,
		ClientRate:          t.Limits.ClientRate,
		ClientBurst:         t.Limits.ClientBurst,
		Concurrency:         t.Limits.Concurrency,
		Connections:         t.Limits.Connections,
		Weight:              t.Limits.Weight,
		Issuer:              t.Certificate.Issuer,
		DNS:                 t.Certificate.DNS,
		Files:               t.Certificate.Files,
		Serving:             &t.Files,
		Compress:            t.Compress.String(),
		FrontendRoutes:      keepRoutes(t.Frontend.Routes),
		BackendRoutes:       keepRoutes(t.BackendRoutes),
		Health:              t.Health,
		BackendHealth:       t.BackendHealth,
		Cache:               &t.Cache,
		Uploads:             &t.Uploads,
		MailServer:          t.Mail.Server.Reveal(),
		MailFrom:            t.Mail.From,
		Origin:              t.Origin,
	}
}

func urlText(u *url.URL) string {
	if u == nil {
		return ""
	}
	return u.String()
}

// readKept returns the kept versions, or nil where none were ever kept.
func readKept(data string) (*Directory, error) {
	path := keptPath(data)
	encoded, err := readRegular(path, maxFileSize)
	if errors.Is(err, errNotThere) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("the file %q %w", path, err)
	}
	var kept keptTenants
	if err := json.Unmarshal(encoded, &kept); err != nil || kept.Version != keptVersion {
		return nil, fmt.Errorf("the file %q is not one that this version has written", path)
	}
	tenants := make([]*Tenant, 0, len(kept.Tenants))
	for _, k := range kept.Tenants {
		if t, err := k.tenant(); err == nil {
			tenants = append(tenants, t)
		}
	}
	return NewDirectory(Gateway{}, tenants), nil
}

// tenant is the inverse of keep. It checks what the other parts rely on, as somebody may have edited the file.
func (k keptTenant) tenant() (*Tenant, error) {
	t := &Tenant{
		Slug:                k.Slug,
		Brand:               k.Brand,
		Domains:             k.Domains,
		RedirectToCanonical: k.RedirectToCanonical,
		Frontend:            Frontend{Folder: k.Folder},
		Database:            Database{URI: NewSecret(k.MongoURI), Name: k.Database, Recheck: min(max(0, k.Recheck), maxRecheck)},
		JWTSecret:           NewSecret(k.JWTSecret),
		JWTPrevious:         newSecrets(k.JWTPrevious),
		Cookies:             k.cookies(),
		CookieDomain:        k.CookieDomain,
		Enabled:             k.Enabled,
		Limits:              k.limits(),
		Certificate:         Certificate{Issuer: k.Issuer, DNS: k.DNS, Files: k.Files},
		Files:               defaultFiles(),
		Compress:            AllCodings(),
		Cache:               defaultCache(),
		Uploads:             defaultUploads,
		Mail:                Mail{NewSecret(k.MailServer), k.MailFrom},
		Origin:              k.Origin,
		Balance:             k.Balance,
		Health:              k.Health,
		BackendHealth:       k.BackendHealth,
	}
	if k.Serving != nil {
		t.Files = *k.Serving
	}
	if k.Cache != nil {
		t.Cache = *k.Cache
	}
	if k.Uploads != nil {
		t.Uploads = max(0, *k.Uploads)
	}
	err := errors.Join(t.Files.check(), t.Cache.check(), parseSlug(k.Slug), checkDatabaseName(k.Database, t.Database.Embedded()))
	if k.Frontend != "" {
		var bad error
		t.Frontend.URL, bad = parseUpstream(k.Frontend)
		err = errors.Join(err, bad)
	}
	if k.Backend != "" {
		var bad error
		t.Backend, bad = parseUpstream(k.Backend)
		err = errors.Join(err, bad)
	}
	if k.MailServer != "" {
		err = errors.Join(err, checkMailServer(k.MailServer))
	}
	if k.MailFrom != "" {
		_, bad := readSender(k.MailFrom)
		err = errors.Join(err, bad)
	}
	if k.Cookies != "" {
		_, bad := parseCookies(string(k.Cookies))
		err = errors.Join(err, bad)
	}
	if k.Compress != "" {
		var bad error
		t.Compress, bad = parseCodings(k.Compress)
		err = errors.Join(err, bad)
	}
	frontends, bad := readUpstreams(k.Frontends)
	backends, bad2 := readUpstreams(k.Backends)
	t.Frontend.Upstreams, t.Backends = frontends, backends
	err = errors.Join(err, bad, bad2, k.Health.check(), k.BackendHealth.check())
	t.Frontend.Routes, bad = readRoutes(k.FrontendRoutes)
	t.BackendRoutes, bad2 = readRoutes(k.BackendRoutes)
	err = errors.Join(err, bad, bad2)
	if t.Frontend.Routes != nil && t.Frontend.Routes.root.route == nil {
		err = errors.Join(err, errors.New("some paths lead nowhere"))
	}
	if k.Issuer != "" {
		_, bad := parseIssuer(k.Issuer)
		err = errors.Join(err, bad)
	}
	for _, domain := range k.Domains {
		name, bad := CanonicalName(domain)
		if bad != nil || name != domain {
			err = errors.Join(err, fmt.Errorf("domain %q is not canonical", domain))
		}
	}
	err = errors.Join(err, t.Limits.check())
	if len(k.Domains) == 0 || k.JWTSecret == "" || k.BodyLimit <= 0 || k.Timeout <= 0 || strings.ContainsAny(k.Brand, "\r\n") {
		err = errors.Join(err, errors.New("a value is missing"))
	}
	return t, err
}

// cookies are those of the earlier service wherever they have a Domain.
func (k keptTenant) cookies() Cookies {
	if k.Cookies == "" && k.CookieDomain != "" {
		return LegacyCookies
	}
	return k.Cookies
}

func (k keptTenant) limits() Limits {
	return Limits{
		Body:                k.BodyLimit,
		Timeout:             k.Timeout,
		Hold:                k.Hold,
		UpstreamConnections: max(0, k.UpstreamConnections),
		Rate:                k.Rate,
		Burst:               k.Burst,
		ClientRate:          k.ClientRate,
		ClientBurst:         k.ClientBurst,
		Concurrency:         k.Concurrency,
		Connections:         k.Connections,
		Weight:              k.Weight,
	}
}
