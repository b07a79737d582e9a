package tenant

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode"

	"go.yaml.in/yaml/v3"
)

// declaration is one entry under tenants:. The entry's own faults are found while it is read; whether its hosts and its database are
// free is settled when all entries are known.
type declaration struct {
	slug     string // empty when it cannot be read
	doc      *document
	at       place
	tenant   *Tenant  // nil for an entry at fault
	domains  []string // as far as they can be read, also of an entry at fault
	names    []place  // of each of the domains
	database place
	cookie   place
}

// The keys of a tenant, in the order of tenantKeys.
const (
	keySlug = iota
	keyBrand
	keyDomains
	keyRedirect
	keyFrontend
	keyBackend
	keyMongoURI
	keyDatabase
	keyDatabaseRecheck
	keyJWTSecret
	keyJWTPrevious
	keyCookies
	keyCookieDomain
	keyEnvFile
	keyEnabled
	keyBodyLimit
	keyTimeout
	keyCertificate
	keyFiles
	keyCompress
	keyHold
	keyBalance
	keyUpstreamConnections
	keyLimits
	keyWeight
	keyHealth
	keyCache
	keyUploads
	keyMail
)

var tenantKeys = []string{
	keySlug:                "slug",
	keyBrand:               "brand",
	keyDomains:             "domains",
	keyRedirect:            "redirect_to_canonical",
	keyFrontend:            "frontend",
	keyBackend:             "backend",
	keyMongoURI:            "mongo_uri",
	keyDatabase:            "database",
	keyDatabaseRecheck:     "database_recheck",
	keyJWTSecret:           "jwt_secret",
	keyJWTPrevious:         "jwt_previous",
	keyCookies:             "cookies",
	keyCookieDomain:        "cookie_domain",
	keyEnvFile:             "env_file",
	keyEnabled:             "enabled",
	keyBodyLimit:           "body_limit",
	keyTimeout:             "timeout",
	keyCertificate:         "certificate",
	keyFiles:               "files",
	keyCompress:            "compress",
	keyHold:                "hold",
	keyBalance:             "balance",
	keyUpstreamConnections: "upstream_connections",
	keyLimits:              "limits",
	keyWeight:              "weight",
	keyHealth:              "health",
	keyCache:               "cache",
	keyUploads:             "uploads",
	keyMail:                "mail",
}

// entry reads one declaration: the nodes by key, the tenant's .env file, and the tenant as far as it is known.
type entry struct {
	decoder
	fields []*yaml.Node
	env    dotenv
	files  tenantFiles
	checks Health // of upstreams, where they have a path
	tenant Tenant
	decl   *declaration
}

// tenantFiles is what an entry may read besides its own nodes.
type tenantFiles struct {
	inputs   *inputs
	environ  map[string]string
	envFiles map[string]string // the files of gateway.env_dir by slug
	private  []privatePath
	dns      []DNSProvider // what a certificate.dns may name
	storage  string        // the key of the database that holds certificates; see Database.key
}

// declare reads one entry, which starts from base.
func declare(d decoder, n *yaml.Node, base Tenant, files tenantFiles) *declaration {
	e := &entry{
		decoder: d,
		files:   files,
		tenant:  base,
		decl:    &declaration{doc: d.doc, at: place{d.doc.path, n.Line}},
	}
	before := len(*d.faults)
	e.decoder.tenant = slugOf(n)
	e.fields = e.mapping(n, "a tenant", tenantKeys)
	if n.Kind == yaml.MappingNode {
		e.identity()
		e.environment()
		e.brand()
		e.domains()
		e.certificate()
		e.health()
		e.site()
		e.serving()
		e.compress()
		e.cache()
		e.uploads()
		e.mail()
		e.limits()
		e.mongo()
		e.secret()
		e.cookies()
	}
	e.decl.domains = e.tenant.Domains
	if len(*d.faults) == before {
		tenant := e.tenant
		tenant.Origin = d.doc.path + ":" + strconv.Itoa(n.Line)
		e.decl.tenant = &tenant
	}
	return e.decl
}

// slugOf finds the slug before anything else, so that every fault of the entry names its tenant.
func slugOf(n *yaml.Node) string {
	if n.Kind != yaml.MappingNode {
		return ""
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if slug := n.Content[i+1]; n.Content[i].Value == tenantKeys[keySlug] && slug.Kind == yaml.ScalarNode && parseSlug(slug.Value) == nil {
			return slug.Value
		}
	}
	return ""
}

// says returns what the entry says of a key, else what its .env file says of envKey ("" for none).
func (e *entry) says(key int, envKey string) (value, bool) {
	if e.fields[key] == nil {
		v, ok := e.env[envKey]
		if strings.ContainsFunc(v.text, unicode.IsControl) {
			e.fault(v.at, "%s holds a line break or another control character: write it on one line", envKey)
			return value{}, false
		}
		return v, ok
	}
	v, ok := e.decoder.text(e.fields[key], tenantKeys[key])
	if ok && v.text == "" {
		e.fault(v.at, "%s is empty: write a value or leave the key out", tenantKeys[key])
		return value{}, false
	}
	return v, ok
}

// check notes an error about a value, as a sentence that begins with the key.
func (e *entry) check(key int, at place, err error) bool {
	if err != nil {
		e.fault(at, "%s %v", tenantKeys[key], err)
	}
	return err == nil
}

func (e *entry) identity() {
	v, ok := e.says(keySlug, "")
	switch {
	case e.fields[keySlug] == nil:
		e.fault(e.decl.at, "the tenant has no slug: write one, like slug: ensotek")
	case ok && e.check(keySlug, v.at, parseSlug(v.text)):
		e.tenant.Slug, e.decl.slug = v.text, v.text
	}
}

// environment reads the tenant's .env file: the one that env_file names, which must be there, else that of gateway.env_dir, which need not.
func (e *entry) environment() {
	path, fromFolder := e.files.envFiles[e.tenant.Slug]
	at := place{file: path}
	if e.fields[keyEnvFile] != nil {
		v, ok := e.says(keyEnvFile, "")
		if !ok {
			return
		}
		path, at = e.doc.name(v.text), v.at
	} else if !fromFolder {
		return
	}
	data, err := e.files.inputs.small(path, maxSecretSize)
	if err == nil {
		e.env, err = parseDotenv(path, data)
	}
	if err != nil {
		e.fault(at, "env_file %q %v", path, err)
	}
}

const maxBrandLen = 200

func (e *entry) brand() {
	v, ok := e.says(keyBrand, "BRAND_NAME")
	e.tenant.Brand = v.text
	if !ok {
		e.tenant.Brand = e.tenant.Slug
	}
	if len(v.text) > maxBrandLen {
		e.fault(v.at, "brand is %d bytes long: write at most %d", len(v.text), maxBrandLen)
	}
}

func (e *entry) domains() {
	n := e.fields[keyDomains]
	items := e.list(n, "domains", "shop.example.com")
	if n == nil || n.Kind == yaml.SequenceNode && len(n.Content) == 0 {
		e.fault(e.decl.at, "the tenant has no domains: write at least one, like domains: [shop.example.com]")
		return
	}
	e.tenant.Domains = make([]string, 0, len(items))
	e.decl.names = make([]place, 0, len(items))
	for _, item := range items {
		name, err := CanonicalName(item.text)
		if err != nil {
			e.fault(item.at, "%v", err)
			continue
		}
		if first := indexOf(e.tenant.Domains, name); first >= 0 {
			e.fault(item.at, "domain %q is here twice (line %d too): keep one", name, e.decl.names[first].line)
			continue
		}
		e.tenant.Domains = append(e.tenant.Domains, name)
		e.decl.names = append(e.decl.names, item.at)
	}
}

func (e *entry) site() {
	e.frontend()
	e.backend()
	if truth, ok := e.boolean(e.fields[keyRedirect], tenantKeys[keyRedirect]); ok {
		e.tenant.RedirectToCanonical = truth
	}
	if e.tenant.RedirectToCanonical && len(e.tenant.Domains) > 0 && strings.HasPrefix(e.tenant.Domains[0], "*.") {
		e.fault(e.decl.names[0], "redirect_to_canonical cannot lead to the wildcard %q: put an exact name first", e.tenant.Domains[0])
	}
	if truth, ok := e.boolean(e.fields[keyEnabled], tenantKeys[keyEnabled]); ok {
		e.tenant.Enabled = truth
	}
	e.tenant.Limits.Body = e.size(e.fields[keyBodyLimit], tenantKeys[keyBodyLimit], e.tenant.Limits.Body)
	e.tenant.Limits.Timeout = e.duration(e.fields[keyTimeout], tenantKeys[keyTimeout], e.tenant.Limits.Timeout)
	e.sharing()
}

func (e *entry) frontend() {
	n := e.fields[keyFrontend]
	switch {
	case n != nil && n.Kind == yaml.MappingNode:
		e.tenant.Frontend = Frontend{Routes: e.frontendRoutes()}
	case n != nil && n.Kind == yaml.SequenceNode:
		e.tenant.Frontend = Frontend{}
		e.tenant.Frontend.URL, e.tenant.Frontend.Upstreams = only(e.upstreams(n, "frontend"))
	default:
		at, written := e.decl.at, e.tenant.Frontend.String()
		if v, ok := e.says(keyFrontend, ""); ok {
			frontend, err := parseFrontend(v.text, e.doc)
			if !e.check(keyFrontend, v.at, err) {
				e.awaitFolder(v.text)
			}
			e.tenant.Frontend, at, written = frontend, v.at, v.text
		}
		e.keepPrivate(e.tenant.Frontend.Folder, at, fmt.Sprintf("frontend %q", clip(written)))
	}
}

// awaitFolder has the file read again once a folder that was not there is.
func (e *entry) awaitFolder(text string) {
	if folder, ok := strings.CutPrefix(text, "dir:"); ok {
		e.files.inputs.watch(e.doc.name(folder))
	}
}

func (e *entry) backend() {
	n := e.fields[keyBackend]
	switch {
	case n != nil && n.Kind == yaml.MappingNode:
		e.tenant.Backend, e.tenant.BackendRoutes = nil, e.backendRoutes()
	case n != nil && n.Kind == yaml.SequenceNode:
		e.tenant.Backend, e.tenant.Backends = only(e.upstreams(n, "backend"))
	default:
		if v, ok := e.says(keyBackend, ""); ok {
			backend, err := parseUpstream(v.text)
			e.check(keyBackend, v.at, err)
			e.tenant.Backend = backend
		}
	}
}

func (e *entry) mongo() {
	if v, ok := e.says(keyDatabaseRecheck, ""); ok {
		recheck, err := parseRecheck(v.text)
		e.check(keyDatabaseRecheck, v.at, err)
		e.tenant.Database.Recheck = recheck
	}
	e.decl.database = e.decl.at
	name := e.tenant.Slug
	if text, at, ok := e.reveal(keyMongoURI, "MONGO_URI"); ok {
		e.decl.database = at
		uri, err := parseMongoURI(text)
		if !e.check(keyMongoURI, at, err) {
			return
		}
		e.tenant.Database.URI = NewSecret(text)
		if uri.database != "" {
			name = uri.database
		}
	}
	at := e.decl.database
	if v, ok := e.decoder.text(e.fields[keyDatabase], tenantKeys[keyDatabase]); ok {
		name, at = v.text, v.at
		e.decl.database = at
	}
	e.tenant.Database.Name = name
	if name == "" && e.tenant.Slug == "" {
		return // the missing slug is reported already
	}
	if !e.check(keyDatabase, at, checkDatabaseName(name, e.tenant.Database.Embedded())) {
		return
	}
	if e.files.storage != "" && e.tenant.Database.key() == e.files.storage {
		e.fault(at, "the database %q holds the certificates and their private keys (gateway.certificates.storage): give the tenant another", name)
	}
}

// maxPrevious bounds the keys beside the one that signs: each is tried on a token that names none.
const maxPrevious = 3

// secret reads jwt_secret and jwt_previous. A tenant without the one gets a made one later.
func (e *entry) secret() {
	if text, _, ok := e.reveal(keyJWTSecret, "JWT_SECRET"); ok {
		e.tenant.JWTSecret = NewSecret(text)
	}
	n := e.fields[keyJWTPrevious]
	previous := e.list(n, tenantKeys[keyJWTPrevious], "env:OLD_JWT_SECRET")
	if len(previous) > maxPrevious {
		e.fault(e.place(n), "jwt_previous has %d keys: keep the last %d at most", len(previous), maxPrevious)
		return
	}
	for _, v := range previous {
		text, err := e.secrets().reveal(v.text)
		if err == nil && text == "" {
			err = errors.New("has an empty key: write the key, or leave it out")
		}
		if e.check(keyJWTPrevious, v.at, err) {
			e.tenant.JWTPrevious = append(e.tenant.JWTPrevious, NewSecret(text))
		}
	}
}

// reveal is says for a secret: what the entry says may refer to a variable or a file, what an .env file says is the secret itself.
func (e *entry) reveal(key int, envKey string) (string, place, bool) {
	v, ok := e.says(key, envKey)
	if !ok || e.fields[key] == nil {
		return v.text, v.at, ok
	}
	text, err := e.secrets().reveal(v.text)
	return text, v.at, e.check(key, v.at, err)
}

func (e *entry) secrets() secretReader {
	return secretReader{environ: e.files.environ, resolve: e.doc.name, read: e.files.inputs.small}
}

func (e *entry) cookies() {
	if v, ok := e.says(keyCookies, ""); ok {
		cookies, err := parseCookies(v.text)
		e.check(keyCookies, v.at, err)
		e.tenant.Cookies = cookies
	}
	v, ok := e.says(keyCookieDomain, "COOKIE_DOMAIN")
	if !ok || len(e.tenant.Domains) == 0 {
		return
	}
	if e.tenant.Cookies != LegacyCookies {
		e.fault(v.at, "cookie_domain is for the earlier service's cookies alone, as others are for one host: write cookies: legacy beside it, or leave it out")
		return
	}
	e.decl.cookie = v.at
	domain, err := parseCookieDomain(v.text, e.tenant.Domains)
	e.check(keyCookieDomain, v.at, err)
	e.tenant.CookieDomain = domain
}

// whereIs names a place for the reader of a message about another one: "line 8", or with the file where that differs.
func whereIs(at, from place) string {
	switch {
	case at.line == 0:
		return at.file
	case at.file == from.file:
		return fmt.Sprintf("line %d", at.line)
	}
	return at.file + ":" + strconv.Itoa(at.line)
}
