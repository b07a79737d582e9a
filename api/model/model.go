// Package model compiles the files that declare resources.
//
//	set, err := model.Load(os.DirFS("models")) // err is a Faults: every fault of every file, with its line
//	products, ok := set.Named("product")
//	document, issues := products.Create(body, now)
//
// A file says everything that a client may do: where the resource is, which documents and fields are public, which parameters a list
// takes, and what a body may hold. What a file does not allow is refused. A Set is immutable once loaded; nothing here touches a
// database.
//
// A folder may have a file _defs.yaml with schemas by name, which its models refer to as "#/$defs/name".
//
// The keys of a model's file:
//
//	model, collection     its name and its MongoDB collection
//	routes                base, and aliases that mean the same
//	tenantField           the field that holds the tenant's slug: part of every filter, and set in every document
//	timestamps            true: createdAt and updatedAt are kept
//	unique                lists of fields of which no two documents have the same values
//	indexes               lists of fields, "-createdAt" in descending order; tenantField goes before them by itself
//	single                true: the tenant has one document, which is served at the base path
//	key                   the field by which a document is found in place of its id; POST of a key that is there updates
//	slug                  {field, from, lower}: addresses made of another field's texts, found at base/slug/…; in each language, where
//	                      the fields are localized. lower, "slugLower" if not said, holds them in lower case
//	search                {from: fields}: the words of these fields are found by the parameter "q"
//	create                who may POST: public, owner or admin, who may if nothing is said
//	owner                 {field, roles}: users of these roles read, change and delete the documents whose field is their id; also
//	                      filters and lists as in public
//	actions               routes below an item, by name: {set: fields}, {toggle: field} or {values: {field: value}}, and roles; set and
//	                      toggle: turned over by a request without a body. beside: fields that the answer also has beside its document
//	account               of the users alone: what they do to their own account, by the name of a route below account/me: {set: fields,
//	                      confirm: those that need the present password}, {within: object} sets members of an object, {files: the
//	                      field with x-upload} takes those of a form, {end: remove or anonymise}; and beside, as above
//	aggregations          routes below the base path, by name: {pipeline, params, read}
//	lists                 routes below the base path, by name: what is there, narrowed to these values: {field: value}
//	by                    two fields: base/value/value is the list of the documents with these values
//	ignore                names in a body that are passed over
//	schema                JSON Schema 2020-12 of a document, with additionalProperties: false
//	public                filter, except (patterns of values that are not public), sort, limit: {default, max}, params, populate;
//	                      readPreference and maxStalenessSeconds; without it nothing is public
//	admin                 roles, and sort, limit, params and populate as above
//
// params are parameters of a list by name, besides those that x-filter gives: {eq: field}, likewise ne, gt, gte, lt, lte, in, nin, or
// {exists: path}, in which "$locale" stands for the client's language and "$value" for that in the parameter; with when: "true" only
// that value does anything. populate names fields with x-ref, and which fields of the document that they refer to are shown.
//
// and within a property of the schema, besides JSON Schema's own words:
//
//	x-bson                objectId or date: a string in JSON, its own type in the database
//	x-ref                 the model whose document this is the id of
//	x-localized           true: an object of languages to texts, of which a client may ask for one
//	x-read, x-filter, x-sort
//	                      public, owner, admin or nobody may see it, filter lists by it, sort them by it; public, nobody and nobody if
//	                      not said
//	x-write               public, owner or admin, who may if nothing is said; or nobody if the server alone sets it
//	x-set-when            a boolean field: this date is when that became true, unless it is said
//	x-lowercase           true: stored and searched in lower case, without blanks around
//	x-hash                argon2id or bcrypt: stored as a hash
//	x-upload              {files, remove, order}: forms bring files for this list of objects with a url, in parts of the field's name or
//	                      of those in files; the fields named in remove and order say which elements go, and how the others are ordered.
//	                      A field that is no list holds one such object, and a new file takes the place of the one before
package model

import (
	"regexp"
	"slices"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo/readpref"

	"metahub/api/bsonjson"
)

// Set is all models of one load.
type Set struct {
	models []*Model
	byName map[string]*Model
}

// All returns the models in the order of their files' names. The slice must not be changed.
func (s *Set) All() []*Model { return s.models }

// Named returns the model with a name.
func (s *Set) Named(name string) (*Model, bool) {
	m, ok := s.byName[name]
	return m, ok
}

// Model is one resource: a collection, the addresses that serve it, and who may do what with its fields.
type Model struct {
	// Name is the singular, "product".
	Name string
	// Collection is the MongoDB collection, "products".
	Collection string
	// Routes are the base paths, the first of them canonical: "/api/products", "/api/product".
	Routes []string
	// TenantField holds the tenant's slug in every document, or is empty. It is set here and never by a client.
	TenantField string
	// Unique are the sets of fields of which no two documents have the same values, TenantField included.
	Unique [][]string
	// Indexes are all that the collection should have, those of Unique included.
	Indexes []Index
	// Single says that a tenant has one document.
	Single bool
	// Key is the field by which a document is found in place of its id, or nil.
	Key *Field
	// Slug is how addresses are made, or nil.
	Slug *Slug
	// Upload is how a form brings files, or nil.
	Upload *Upload
	// Creators is the widest audience that may add documents.
	Creators Audience
	// Public is what anybody may read, or nil.
	Public *View
	// Own is what users of OwnerRoles may read of what is theirs, or nil.
	Own *View
	// Admin is what Roles may read.
	Admin *View
	// Roles may write, and read the Admin view.
	Roles []string
	// OwnerRoles may read and write their own documents.
	OwnerRoles []string
	// Actions, Account and Aggregations are in the order of the file. Account is what users do to their own account.
	Actions      []*Action
	Account      []*Action
	Aggregations []*Aggregation
	// Lists are parts of what is served at the base path. By are the fields whose values in a path narrow it; two, or none.
	Lists []List
	By    []*Field

	file       string
	line       int
	owner      string // the field, or empty
	ignored    []string
	timestamps bool
	words      []*Field // that are searched
	fields     []*Field // as the file has them
	shape      *shape
	guest      *View // what is shown to who created a document without a view of it
	validators map[Audience]validators
	plain      map[string]any // the schema, as JSON would have it
}

// validators judge bodies of one audience.
type validators struct{ create, patch *jsonschema.Schema }

// View is what one audience reads of a model.
type View struct {
	// Audience is who reads.
	Audience Audience
	// Projection keeps all but the readable fields in the database, and the revision, which is part of an ETag.
	Projection bson.D
	// Sort is the order of a list that asks for none.
	Sort bson.D
	// DefaultLimit and MaxLimit bound a page.
	DefaultLimit, MaxLimit int
	// References are the fields in whose place documents of other collections are shown.
	References []*Reference
	// ReadFrom says which servers of the database to read from. nil is the primary, as of all views but a public one that says otherwise.
	ReadFrom *readpref.ReadPref

	model      *Model
	whole      bsonjson.Options
	flat       [len(languages)]bsonjson.Options
	filter     []bson.E
	exceptions map[string]*regexp.Regexp // the patterns of the filter, by their field
	parameters map[string]*Parameter
	names      []string // of the parameters, the short ones
	sorts      []string
}

// MaxLimit is the largest page that a model may allow.
const MaxLimit = 500

// Revision is the field that counts the changes of a document.
const Revision = "_rev"

// View returns what is served at the model's base path: the public view, else that of owners, else the admin view.
func (m *Model) View() *View {
	switch {
	case m.Public != nil:
		return m.Public
	case m.Own != nil:
		return m.Own
	}
	return m.Admin
}

// Shown returns what an audience sees of a document that it has written.
func (m *Model) Shown(to Audience) *View {
	switch {
	case to == Admin:
		return m.Admin
	case to == Owner && m.Own != nil:
		return m.Own
	}
	return m.guest
}

// Field returns a declared field.
func (m *Model) Field(name string) (*Field, bool) {
	for _, f := range m.fields {
		if f.Name == name {
			return f, true
		}
	}
	return nil, false
}

// Scope is whose documents are meant.
type Scope struct {
	// Tenant is the tenant's slug.
	Tenant string
	// User is who asks, for the views of owners.
	User bson.ObjectID
}

// Select returns the filter of what a view shows of one tenant's documents. Conditions are those of the client: they can only narrow
// it, also where they name a field that the view's own filter names.
func (m *Model) Select(in Scope, view *View, conditions ...bson.E) bson.D {
	filter := m.narrow(make(bson.D, 0, len(view.filter)+3), in, view)
	if len(conditions) == 0 {
		return filter
	}
	narrowing := make(bson.A, len(conditions))
	for i, c := range conditions {
		narrowing[i] = bson.D{c}
	}
	return append(filter, bson.E{Key: "$and", Value: narrowing})
}

// Item returns the filter of one document, if the view shows it.
func (m *Model) Item(in Scope, view *View, id bson.ObjectID) bson.D {
	return m.narrow(bson.D{{Key: "_id", Value: id}}, in, view)
}

func (m *Model) narrow(filter bson.D, in Scope, view *View) bson.D {
	if m.TenantField != "" {
		filter = append(filter, bson.E{Key: m.TenantField, Value: in.Tenant})
	}
	if view.Audience == Owner {
		filter = append(filter, bson.E{Key: m.owner, Value: in.User})
	}
	return append(filter, view.filter...)
}

// Output says how documents become JSON: localized fields whole, or flat, as one text in a language where there is one.
func (v *View) Output(language Language, flat bool) bsonjson.Options {
	if flat {
		return v.flat[language]
	}
	return v.whole
}

// Only returns the view narrowed to some of its fields, and the id. The names are of Readable fields. Those that a list is sorted by
// are read all the same: a cursor needs them.
func (v *View) Only(names []string, sorted bson.D) *View {
	narrow := *v
	names = append([]string{"_id"}, names...)
	narrow.whole, narrow.flat = v.model.outputs(names)
	narrow.Projection = projectionOf(names)
	for _, name := range v.model.VersionFields() {
		narrow.Projection = with(narrow.Projection, name, 1)
	}
	for _, e := range sorted {
		narrow.Projection = with(narrow.Projection, e.Key, 1)
	}
	narrow.References = nil
	for _, r := range v.References {
		if slices.Contains(names, r.Field) {
			narrow.whole.Keep.Join(r.Field, len(narrow.References))
			narrow.References = append(narrow.References, r)
		}
	}
	return &narrow
}

// Readable reports whether the view shows a field.
func (v *View) Readable(name string) bool { return name != Revision && has(v.Projection, name) }

// ReadableNames returns the fields that Readable knows.
func (v *View) ReadableNames() []string { return v.model.readable(v.Audience) }

// Parameter returns what a parameter of a list does.
func (v *View) Parameter(name string) (*Parameter, bool) {
	p, ok := v.parameters[name]
	return p, ok
}

// ParameterNames returns the names that Parameter knows, without those that only add an operator to another: "price", not "price[gte]".
// The slice must not be changed.
func (v *View) ParameterNames() []string { return v.names }

// Without returns a view that does not show documents in which a field has a value.
func (v *View) Without(field string, value any) *View {
	narrow := *v
	narrow.filter = append(slices.Clone(v.filter), bson.E{Key: field, Value: bson.D{{Key: "$ne", Value: value}}})
	return &narrow
}

// Sortable reports whether a list may be sorted by a field.
func (v *View) Sortable(name string) bool { return slices.Contains(v.sorts, name) }

// SortNames returns the fields that Sortable knows. The slice must not be changed.
func (v *View) SortNames() []string { return v.sorts }
