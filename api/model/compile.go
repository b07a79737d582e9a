package model

import (
	"path"
	"regexp"
	"slices"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.yaml.in/yaml/v3"
)

// keys are those of a model's file.
var keys = []string{
	"model", "collection", "routes", "tenantField", "timestamps", "unique", "indexes", "single", "key", "slug", "search", "create", "owner",
	"actions", "account", "aggregations", "lists", "by", "ignore", "schema", "public", "admin",
}

// compile reads a whole file. Where it has faults the Model is not usable, but holds enough to find more of them.
func (s *source) compile(root *yaml.Node) *Model {
	top := s.mapping(root, "a model", keys...)
	for _, name := range []string{"model", "collection", "routes", "schema", "admin"} {
		if top.get(name) == nil && root.Kind == yaml.MappingNode {
			s.fault(root, "the key %q is missing", name)
		}
	}
	m := &Model{
		Name:        s.text(top.get("model"), "model"),
		Collection:  s.text(top.get("collection"), "collection"),
		TenantField: s.text(top.get("tenantField"), "tenantField"),
		Single:      s.flag(top.get("single"), "single"),
		Creators:    s.audience(top.get("create"), "create", Admin),
		ignored:     s.texts(top.get("ignore"), "ignore"),
		timestamps:  s.flag(top.get("timestamps"), "timestamps"),
		file:        s.file,
		line:        root.Line,
	}
	s.checkName(top.get("model"), m.Name, modelName, "lower-case letters, digits and \"-\"")
	s.checkName(top.get("collection"), m.Collection, collectionName, "letters, digits, \"_\" and \"-\", and not begin with \"system.\"")
	s.compileRoutes(top.get("routes"), m)
	s.compileSchema(top.get("schema"), m)
	s.compileServerFields(top, m)
	s.compileKey(top.get("key"), m)
	s.compileUnique(top, m)
	s.compileSlug(top.get("slug"), m)
	s.compileViews(top, m)
	s.compileSearch(top.get("search"), m)
	s.compileIndexes(top.get("indexes"), m)
	s.compileActions(top.get("actions"), m)
	s.compileAccount(top.get("account"), m)
	s.compileAggregations(top.get("aggregations"), m)
	s.compileLists(top.get("lists"), m)
	s.compileBy(top.get("by"), m)
	s.compileValidators(top.get("schema"), m)
	return m
}

var (
	modelName      = regexp.MustCompile(`^[a-z][a-z0-9-]{0,62}$`)
	collectionName = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_-]{0,62}$`)
	fieldName      = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_]{0,62}$`)
	routePath      = regexp.MustCompile(`^/api(/[a-z0-9][a-z0-9_-]{0,62})+$`)
)

func (s *source) checkName(at *yaml.Node, name string, pattern *regexp.Regexp, shape string) {
	if name != "" && !pattern.MatchString(name) {
		s.fault(at, "the name %q must be of %s", name, shape)
	}
}

func (s *source) compileRoutes(n *yaml.Node, m *Model) {
	routes := s.mapping(n, "routes", "base", "aliases")
	base := s.text(routes.get("base"), "routes.base")
	if base == "" && n != nil {
		s.fault(n, "routes.base is missing: write a path like \"/api/products\"")
		return
	}
	m.Routes = append([]string{base}, s.texts(routes.get("aliases"), "routes.aliases")...)
	for _, route := range m.Routes {
		s.checkRoute(n, route)
	}
}

// checkRoute refuses paths that the router could not serve, or that are the API's own.
func (s *source) checkRoute(at *yaml.Node, route string) {
	switch {
	case route == "":
	case !routePath.MatchString(route):
		s.fault(at, "the route %q must be a path of lower-case words under /api, like \"/api/products\"", route)
	case slices.Contains(own, route) || slices.Contains(ownWords, path.Base(route)):
		s.fault(at, "the route %q is the API's own", route)
	}
}

// own are routes of the API itself, and ownWords last parts of routes that mean something below every base path.
var (
	own = []string{"/api/tenant", "/api/tenants", "/api/docs", "/api/uploads", "/api/users/login", "/api/users/logout", "/api/users/logout-all", "/api/users/register",
		"/api/users/refresh", "/api/users/account", "/api/users/account/me", "/api/users/account/me/password",
		"/api/users/forgot-password", "/api/users/reset-password", "/api/users/advanced-auth"}
	ownWords = []string{"admin", "mine", "slug"}
)

// compileServerFields adds the fields that only the server sets.
func (s *source) compileServerFields(top mapping, m *Model) {
	if m.TenantField != "" {
		s.checkName(top.get("tenantField"), m.TenantField, fieldName, "letters, digits and \"_\"")
		if _, declared := m.Field(m.TenantField); declared {
			s.fault(top.get("tenantField"), "the field %q is set by the server and cannot be in the schema too", m.TenantField)
		}
	}
	if !m.timestamps {
		return
	}
	for _, name := range []string{createdAt, updatedAt} {
		if _, declared := m.Field(name); declared {
			s.fault(top.get("timestamps"), "the field %q is set by the server and cannot be in the schema too", name)
			continue
		}
		m.fields = append(m.fields, &Field{Name: name, Read: Public, Sort: Public, shape: &shape{kind: kindDate}})
	}
}

const (
	createdAt = "createdAt"
	updatedAt = "updatedAt"
)

// compileKey reads the field that finds a document in place of its id, which no two documents share.
func (s *source) compileKey(n *yaml.Node, m *Model) {
	name := s.text(n, "key")
	if name == "" {
		return
	}
	f, ok := m.Field(name)
	if !ok || f.shape.kind != kindString || !f.required {
		s.fault(n, "key names %q, which is not a required string of the schema", name)
		return
	}
	m.Key = f
	m.Unique = append(m.Unique, m.prefixed(name))
}

func (s *source) compileUnique(top mapping, m *Model) {
	if m.Single {
		if m.TenantField == "" {
			s.fault(top.get("single"), "single needs a tenantField: it is what no two documents share")
		}
		m.Unique = append(m.Unique, m.prefixed())
	}
	for _, set := range s.list(top.get("unique"), "unique") {
		fields := m.prefixed()
		for _, name := range s.texts(set, "an element of unique") {
			if _, ok := m.Field(name); !ok {
				s.fault(set, "unique names the field %q, which the schema does not have", name)
			}
			fields = append(fields, name)
		}
		m.Unique = append(m.Unique, fields)
	}
}

func (s *source) compileViews(top mapping, m *Model) {
	admin := s.mapping(top.get("admin"), "admin", "roles", "sort", "limit", "params", "populate")
	m.Roles = s.texts(admin.get("roles"), "admin.roles")
	if len(m.Roles) == 0 && admin.node != nil {
		s.fault(admin.node, "admin.roles is missing: name the roles that may write, like [admin]")
	}
	if n := top.get("public"); n != nil {
		public := s.mapping(n, "public", "filter", "except", "sort", "limit", "params", "populate", "readPreference", "maxStalenessSeconds")
		m.Public = s.compileView(m, public, Public)
		filter := s.mapping(public.get("filter"), "public.filter")
		m.Public.filter = append(s.publicFilter(m, filter), s.exceptions(m, public.get("except"), filter)...)
		m.Public.ReadFrom = s.readFrom(public)
	}
	if n := top.get("owner"); n != nil {
		s.compileOwner(n, m)
	}
	m.Admin = s.compileView(m, admin, Admin)
	m.guest = s.compileView(m, mapping{}, Public)
}

// compileOwner reads who owns documents. The field is set when a document is made and never by its owner.
func (s *source) compileOwner(n *yaml.Node, m *Model) {
	owner := s.mapping(n, "owner", "field", "roles", "sort", "limit", "params", "populate")
	name := s.text(owner.get("field"), "owner.field")
	f, ok := m.Field(name)
	if !ok || f.shape.kind != kindObjectID || f.Write > Admin {
		s.fault(n, "owner.field must name a field with x-bson: objectId, or x-ref, that only admins or nobody may write")
		return
	}
	m.owner = name
	m.OwnerRoles = s.texts(owner.get("roles"), "owner.roles")
	if len(m.OwnerRoles) == 0 {
		s.fault(n, "owner.roles is missing: name the roles that own documents, like [user]")
	}
	m.Own = s.compileView(m, owner, Owner)
}

// defaultLimit is the page of a list that neither the client nor the model limits.
const defaultLimit = 50

func (s *source) compileView(m *Model, view mapping, audience Audience) *View {
	limit := s.mapping(view.get("limit"), "limit", "default", "max")
	v := &View{model: m, Audience: audience, MaxLimit: s.count(limit.get("max"), "limit.max", MaxLimit, MaxLimit), parameters: map[string]*Parameter{}, exceptions: map[string]*regexp.Regexp{}}
	v.DefaultLimit = s.count(limit.get("default"), "limit.default", min(defaultLimit, v.MaxLimit), v.MaxLimit)
	for _, f := range m.fields {
		if f.Sort >= audience {
			v.sorts = append(v.sorts, f.Name)
		}
	}
	names := m.readable(audience)
	v.whole, v.flat = m.outputs(names)
	v.Projection = projectionOf(append(names, Revision))
	v.compileFilters(m.fields)
	v.Sort = s.viewSort(m, view.get("sort"), v)
	s.compileParameters(view.get("params"), m, v)
	s.compileReferences(view.get("populate"), m, v)
	return v
}

// viewSort reads [order, -createdAt]. The id comes last, so that equal documents keep their places from page to page.
func (s *source) viewSort(m *Model, n *yaml.Node, v *View) bson.D {
	var order bson.D
	for _, key := range s.texts(n, "sort") {
		name, direction := key, 1
		if strings.HasPrefix(key, "-") {
			name, direction = key[1:], -1
		}
		f, ok := m.Field(name)
		switch {
		case !ok:
			s.fault(n, "sort names the field %q, which the schema does not have", name)
		case f.Read < v.Audience:
			s.fault(n, "sort names the field %q, which this view does not show: its order would tell its values", name)
		}
		order = append(order, bson.E{Key: name, Value: direction})
	}
	return append(order, bson.E{Key: "_id", Value: 1})
}

// publicFilter reads the conditions that every public document meets.
func (s *source) publicFilter(m *Model, filter mapping) []bson.E {
	var conditions []bson.E
	for _, name := range filter.names {
		if typed, ok := s.constant(m, name, filter.get(name), "public.filter"); ok {
			conditions = append(conditions, bson.E{Key: name, Value: typed})
		}
	}
	return conditions
}

// exceptions reads the patterns of which no public document's field matches one, whatever the letters' case.
func (s *source) exceptions(m *Model, n *yaml.Node, filter mapping) []bson.E {
	var conditions []bson.E
	except := s.mapping(n, "public.except")
	for _, name := range except.names {
		pattern := s.text(except.get(name), "public.except")
		f, ok := m.Field(name)
		if !ok || f.shape.kind != kindString {
			s.fault(except.keys[name], "public.except names %q, which is not a string of the schema", name)
			continue
		}
		if filter.get(name) != nil {
			s.fault(except.keys[name], "public.except names %q, which public.filter has fixed already", name)
			continue
		}
		compiled, err := regexp.Compile("(?i)" + pattern)
		if err != nil || !strings.HasPrefix(pattern, "^") {
			s.fault(except.get(name), "public.except: %q must be a regular expression that begins with \"^\"", pattern)
			continue
		}
		m.Public.exceptions[name] = compiled
		conditions = append(conditions, bson.E{Key: name, Value: bson.D{{Key: "$not", Value: bson.Regex{Pattern: pattern, Options: "i"}}}})
	}
	return conditions
}
