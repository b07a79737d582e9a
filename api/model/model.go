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
//	schema                JSON Schema 2020-12 of a document, with additionalProperties: false
//	public                filter, except (patterns of values that are not public), sort, limit: {default, max}; without it nothing is public
//	admin                 roles, and sort and limit as above
//
// and within a property of the schema, besides JSON Schema's own words:
//
//	x-bson                objectId or date: a string in JSON, its own type in the database
//	x-read, x-filter, x-sort
//	                      public, admin or nobody may see it, filter lists by it, sort them by it; public, nobody and nobody if not said
//	x-write               admin, or nobody if the server alone sets it
//	x-lowercase           true: stored and searched in lower case, without blanks around
//	x-hash                bcrypt: stored as a hash
package model

import (
	"slices"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.mongodb.org/mongo-driver/v2/bson"

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
	// Public is what anybody may read, or nil.
	Public *View
	// Admin is what Roles may read.
	Admin *View
	// Roles may write, and read the Admin view.
	Roles []string

	timestamps bool
	fields     []*Field // as the file has them
	shape      *shape
	create     *jsonschema.Schema
	patch      *jsonschema.Schema
}

// View is what one audience reads of a model.
type View struct {
	// Audience is who reads.
	Audience Audience
	// Projection keeps all but the readable fields in the database.
	Projection bson.D
	// Output is the same wall once more, in the JSON.
	Output bsonjson.Options
	// Sort is the order of a list that asks for none.
	Sort bson.D
	// DefaultLimit and MaxLimit bound a page.
	DefaultLimit, MaxLimit int

	filter  []bson.E
	filters []*Field
	sorts   []string
}

// MaxLimit is the largest page that a model may allow.
const MaxLimit = 500

// View returns what is served at the model's base path: the public view, or the admin view where nothing is public.
func (m *Model) View() *View {
	if m.Public != nil {
		return m.Public
	}
	return m.Admin
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

// Select returns the filter of what a view shows of one tenant's documents. Conditions are those of the client: they can only narrow
// it, also where they name a field that the view's own filter names.
func (m *Model) Select(slug string, view *View, conditions ...bson.E) bson.D {
	filter := m.narrow(make(bson.D, 0, len(view.filter)+2), slug, view)
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
func (m *Model) Item(slug string, view *View, id bson.ObjectID) bson.D {
	return m.narrow(bson.D{{Key: "_id", Value: id}}, slug, view)
}

func (m *Model) narrow(filter bson.D, slug string, view *View) bson.D {
	if m.TenantField != "" {
		filter = append(filter, bson.E{Key: m.TenantField, Value: slug})
	}
	return append(filter, view.filter...)
}

// Filter returns the field that a list may be filtered by under a name.
func (v *View) Filter(name string) (*Field, bool) {
	for _, f := range v.filters {
		if f.Name == name {
			return f, true
		}
	}
	return nil, false
}

// FilterNames returns the names that Filter knows.
func (v *View) FilterNames() []string {
	names := make([]string, len(v.filters))
	for i, f := range v.filters {
		names[i] = f.Name
	}
	return names
}

// Sortable reports whether a list may be sorted by a field.
func (v *View) Sortable(name string) bool { return slices.Contains(v.sorts, name) }

// SortNames returns the fields that Sortable knows. The slice must not be changed.
func (v *View) SortNames() []string { return v.sorts }
