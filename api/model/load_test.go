package model_test

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"testing/fstest"

	"metahub/api/model"
)

func TestBuiltinModels(t *testing.T) {
	set, err := model.Load(os.DirFS("../models"))
	if err != nil {
		t.Fatal(err)
	}
	routes := map[string]string{}
	for _, m := range set.All() {
		routes[m.Name] = m.Collection + " " + strings.Join(m.Routes, " ")
	}
	for name, want := range map[string]string{
		"setting":          "settings /api/settings",
		"company":          "companies /api/company /api/public/company",
		"about":            "abouts /api/about /api/public/about",
		"aboutcategory":    "aboutcategories /api/aboutcategory",
		"service":          "services /api/services /api/service",
		"product":          "products /api/products /api/product",
		"blog":             "blogs /api/blog /api/blogs",
		"news":             "news /api/news",
		"newscategory":     "newscategories /api/newscategory",
		"article":          "articles /api/articles /api/article",
		"gallery":          "galleries /api/gallery /api/gallery/published /api/gallery/upload",
		"reference":        "references /api/references /api/reference",
		"faq":              "faqs /api/faq /api/faqs",
		"contact":          "contactmessages /api/contact",
		"newsletter":       "newsletters /api/newsletter",
		"comment":          "comments /api/comments /api/comment",
		"user":             "users /api/users /api/users/users",
		"articlescategory": "articlescategories /api/articlescategory",
	} {
		if routes[name] != want {
			t.Errorf("model %q is %q, want %q", name, routes[name], want)
		}
	}
	if lints := set.Lint(); len(lints) > 0 {
		t.Error(lints)
	}
	users, _ := set.Named("user")
	if users.Public != nil {
		t.Error("users are public")
	}
	for _, field := range users.Admin.Projection {
		if field.Key == "password" {
			t.Error("the password is readable")
		}
	}
}

// valid is a whole model. The tests of faults change one line of it.
const valid = `model: note
collection: notes
routes: { base: /api/notes }
tenantField: tenant
timestamps: true
unique: [[code]]
schema:
  type: object
  additionalProperties: false
  required: [code]
  properties:
    code: { type: string, maxLength: 10, x-filter: public }
    order: { type: integer, default: 0, x-sort: public }
    cost: { type: number, x-read: admin }
    at: { x-bson: date }
    seen: { type: integer, x-write: nobody }
    isActive: { type: boolean, default: true }
    labels: { type: array, items: { $ref: "#/$defs/label" }, x-filter: public }
    place: { type: object, additionalProperties: false, properties: { room: { type: string } } }
    hash: { type: string, x-hash: bcrypt, x-read: nobody }
  $defs:
    label: { type: string, maxLength: 5 }
public:
  filter: { isActive: true }
  except: { code: "^hidden" }
  sort: [order, -createdAt]
  limit: { default: 10, max: 20 }
admin:
  roles: [admin]
`

func load(files ...string) error {
	folder := fstest.MapFS{}
	for i, text := range files {
		folder[string(rune('a'+i))+".yaml"] = &fstest.MapFile{Data: []byte(text)}
	}
	_, err := model.Load(folder)
	return err
}

var knownKeys = []string{"model", "collection", "routes", "tenantField", "timestamps", "unique", "indexes", "single", "key", "slug", "search", "create", "owner",
	"actions", "account", "aggregations", "lists", "by", "ignore", "schema", "public", "admin"}

func TestFaults(t *testing.T) {
	if err := load(valid); err != nil {
		t.Fatal(err)
	}
	f := func(old, changed, want string) {
		t.Helper()
		if strings.Count(valid, old) != 1 {
			t.Fatalf("%q is not once in the valid model", old)
		}
		err := load(strings.Replace(valid, old, changed, 1))
		if got := fmt.Sprint(err); got != want {
			t.Errorf("%q:\n got %s\nwant %s", changed, got, want)
		}
	}
	// Keys that nobody knows.
	f("timestamps: true", "timestamp: true", `a.yaml:5: a model: unknown key "timestamp"; known are model, collection, routes, tenantField, timestamps, unique, indexes, single, key, slug, search, create, owner, actions, account, aggregations, lists, by, ignore, schema, public, admin
a.yaml:26: sort names the field "createdAt", which the schema does not have`)
	f("maxLength: 10", "maxLenght: 10", `a.yaml:12: the field "code": unknown key "maxLenght"; known are x-read, x-filter, x-sort, x-write, x-hash, x-set-when, x-upload, type, properties, required, additionalProperties, items, enum, const, default, title, description, examples, minLength, maxLength, pattern, format, minimum, maximum, exclusiveMinimum, exclusiveMaximum, multipleOf, minItems, maxItems, uniqueItems, minProperties, maxProperties, propertyNames, $ref, x-bson, x-lowercase, x-localized, x-ref`)
	f("limit: { default: 10, max: 20 }", "limit: { default: 10, most: 20 }", `a.yaml:27: limit: unknown key "most"; known are default, max`)
	f("  roles: [admin]", "  roles: [admin]\n  roles: [user]", `a.yaml:30: admin: the key "roles" is there already (line 29)`)
	// Types that nobody knows.
	f("cost: { type: number", "cost: { type: money", `a.yaml:14: the type "money" is unknown; known are array, boolean, integer, number, object, string, and x-bson: date or objectId`)
	f("x-bson: date", "x-bson: decimal128", `a.yaml:15: x-bson must be objectId or date, not "decimal128"`)
	f("room: { type: string }", "room: { type: string, format: phone }", `a.yaml:19: the format "phone" is unknown; known are date, date-time, email, hostname, ipv4, ipv6, time, uri, uri-reference, uuid`)
	f(`"#/$defs/label"`, `"https://example.test/schema"`, `a.yaml:18: $ref "https://example.test/schema" must name a schema under $defs, like "#/$defs/i18n"
a.yaml:18: the field "labels" is not a single value, nor a list of them, and cannot be a filter`)
	f("label: { type: string, maxLength: 5 }", `label: { type: array, items: { $ref: "#/$defs/label" } }`, `a.yaml:18: the field "labels" is not a single value, nor a list of them, and cannot be a filter
a.yaml:22: the schema "label" refers to itself`)
	f("maxLength: 5", "maxLength: five", `a.yaml:22: schema: $defs.label.maxLength: must be of type integer`)
	// Fields that are not there.
	f("sort: [order, -createdAt]", "sort: [rank]", `a.yaml:26: sort names the field "rank", which the schema does not have`)
	f("filter: { isActive: true }", "filter: { isOn: true }", `a.yaml:24: public.filter names the field "isOn", which the schema does not have`)
	f("filter: { isActive: true }", "filter: { isActive: yes please }", `a.yaml:24: public.filter: the value of "isActive" must be "true" or "false"`)
	f("unique: [[code]]", "unique: [[kode]]", `a.yaml:6: unique names the field "kode", which the schema does not have`)
	f("required: [code]", "required: [name]", `a.yaml:10: required names the field "name", which the schema does not have`)
	f("required: [code]", "required: [seen]", `a.yaml:8: required names the field "seen", which nobody may write`)
	readFrom := func(keys, want string) {
		t.Helper()
		f("  sort: [order, -createdAt]", "  "+keys+"\n  sort: [order, -createdAt]", want)
	}
	readFrom("readPreference: nearest", "<nil>")
	readFrom("readPreference: primary", "<nil>")
	readFrom("readPreference: primaryPreferred\n  maxStalenessSeconds: 90", "<nil>")
	readFrom("readPreference: secondary", `a.yaml:26: public.readPreference is "secondary": write primary, primaryPreferred, secondaryPreferred or nearest`)
	readFrom("readPreference: nearest\n  maxStalenessSeconds: 89", `a.yaml:27: public.maxStalenessSeconds must be a whole number from 90 to 86400`)
	readFrom("maxStalenessSeconds: 90", `a.yaml:26: public.maxStalenessSeconds says how old documents of a secondary may be: name a public.readPreference that reads from one, or leave it out`)
	f("  roles: [admin]", "  roles: [admin]\n  readPreference: nearest", `a.yaml:30: admin: unknown key "readPreference"; known are roles, sort, limit, params, populate`)
	f(`except: { code: "^hidden" }`, `except: { order: "^hidden" }`, `a.yaml:25: public.except names "order", which is not a string of the schema`)
	f(`except: { code: "^hidden" }`, `except: { code: "hidden" }`, `a.yaml:25: public.except: "hidden" must be a regular expression that begins with "^"`)
	// What would leak.
	f("cost: { type: number, x-read: admin }", "cost: { type: number, x-read: admin, x-filter: public }", `a.yaml:14: the field "cost" can be filtered or sorted by someone who may not read it, and so could guess it`)
	f("cost: { type: number, x-read: admin }", "apiKey: { type: string, x-read: admin }", `a.yaml:14: the field "apiKey" holds a secret: give it "x-read: nobody"`)
	for _, name := range []string{"smtpPass", "imap_pass", "mongoUri", "userToken", "clientSecret", "accessKey", "pwd"} {
		f("cost: { type: number, x-read: admin }", name+": { type: string }", `a.yaml:14: the field "`+name+`" holds a secret: give it "x-read: nobody"`)
	}
	f("cost: { type: number, x-read: admin }", "compass: { type: string }", "<nil>")
	f("x-hash: bcrypt, x-read: nobody", "x-hash: bcrypt", `a.yaml:20: the field "hash" holds a secret: give it "x-read: nobody"`)
	f("room: { type: string }", "smtpPassword: { type: string }", `a.yaml:19: "smtpPassword" looks like a secret within a field: move it to a field of its own with "x-read: nobody"`)
	f("sort: [order, -createdAt]", "sort: [cost]", `a.yaml:26: sort names the field "cost", which this view does not show: its order would tell its values`)
	f("  additionalProperties: false\n  required", "  required", `a.yaml:8: schema.additionalProperties must be false: a body may hold declared fields alone`)
	f("type: object, additionalProperties: false, properties", "type: object, properties", `a.yaml:19: an object with properties must say additionalProperties: false, true or a schema`)
	f("x-write: nobody", "x-write: root", `a.yaml:16: x-write must be public, owner, admin or nobody, not "root"`)
	f("cost: { type: number, x-read: admin }", "cost: { type: number, x-read: admin }\n    due: { x-bson: date, x-set-when: isActive }\n    when: { type: string, x-set-when: isActive }", `a.yaml:16: the field "when" must be a date to be set by another`)
	f("items: { $ref: \"#/$defs/label\" }, x-filter: public }", "items: { $ref: \"#/$defs/label\" }, x-sort: public }", `a.yaml:18: the field "labels" is not a single value, and lists cannot be sorted by it`)
	add := func(more, want string) {
		t.Helper()
		f("timestamps: true", "timestamps: true\n"+more, want)
	}
	// Parameters of a list.
	params := func(param, want string) {
		t.Helper()
		f("  sort: [order, -createdAt]", "  params: { "+param+" }\n  sort: [order, -createdAt]", want)
	}
	params("from: { gte: order }", "<nil>")
	params("from: { gte: rank }", `a.yaml:26: the parameter "from" names the field "rank", which the schema does not have`)
	params("from: { gte: cost }", `a.yaml:26: the parameter "from" names the field "cost", which this view does not show: whoever sends it could guess its values`)
	params("from: { gte: order, lte: order }", `a.yaml:26: the parameter "from" does two things: give it one of eq, ne, gt, gte, lt, lte, in, nin, exists`)
	params("from: { when: x }", `a.yaml:26: the parameter "from" does nothing: give it one of eq, ne, gt, gte, lt, lte, in, nin, exists`)
	params("from: { eq: place.room }", `a.yaml:26: the parameter "from": a path goes into a localized field with "$locale" or "$value", for exists alone`)
	params("from: { eq: place }", `a.yaml:26: the field "place" is not a single value, nor a list of them, and cannot be a filter`)
	params("code: { eq: code }", `a.yaml:26: the parameter "code" is there already`)
	params("page: { eq: code }", `a.yaml:26: the parameter "page" is there already`)
	// References.
	add("populate: {}", `a.yaml:6: a model: unknown key "populate"; known are `+strings.Join(knownKeys, ", "))
	f("at: { x-bson: date }", "at: { x-ref: nobody }", `a.yaml:15: the field "at" refers to the model "nobody", which no file declares`)
	f("at: { x-bson: date }", "at: { x-ref: note, x-bson: date }", `a.yaml:15: a field with x-ref is an objectId`)
	f("  sort: [order, -createdAt]", "  populate: { at: [] }\n  sort: [order, -createdAt]", `a.yaml:26: populate names the field "at", which has no x-ref`)
	f("  sort: [order, -createdAt]", "  populate: { gone: [] }\n  sort: [order, -createdAt]", `a.yaml:26: populate names the field "gone", which the schema does not have`)
	// What makes addresses, and what is found.
	add("slug: { field: code, from: hash }", "<nil>")
	add("slug: { field: name, from: code }", `a.yaml:6: slug.field names the field "name", which the schema does not have`)
	add("slug: { field: code, from: name }", `a.yaml:6: slug.from names the field "name", which the schema does not have`)
	add("slug: { field: order, from: code }", `a.yaml:6: slug: the field "order" must be a string, or localized`)
	add("search: { from: [code, name] }", `a.yaml:6: search names the field "name", which the schema does not have`)
	add("search: { from: [] }", `a.yaml:6: search.from is missing: name the fields whose words are found, like [title, tags]`)
	add("key: order", `a.yaml:6: key names "order", which is not a required string of the schema`)
	add("indexes: [[code], [rank]]", `a.yaml:6: indexes names the field "rank", which the schema does not have`)
	f("tenantField: tenant", "single: true", `a.yaml:4: single needs a tenantField: it is what no two documents share`)
	// Who may write.
	add("create: public", `a.yaml:9: required names the field "code", which not everybody may write who may create documents`)
	add("create: everybody", `a.yaml:6: create must be public, owner, admin or nobody, not "everybody"`)
	add("owner: { field: code, roles: [user] }", `a.yaml:6: owner.field must name a field with x-bson: objectId, or x-ref, that only admins or nobody may write`)
	f("public:\n", "owner: { field: by }\npublic:\n", `a.yaml:23: owner.field must name a field with x-bson: objectId, or x-ref, that only admins or nobody may write`)
	// Actions.
	add("actions: { hide: { toggle: isActive }, set: { set: [order] }, zero: { values: { order: 0 } } }", "<nil>")
	add("actions: { hide: { toggle: order } }", `a.yaml:6: the action "hide" turns over "order", which is not a boolean field`)
	add("actions: { hide: { set: [seen] } }", `a.yaml:6: the action "hide" sets the field "seen", which is not there or which nobody may write`)
	add("actions: { hide: { values: { order: many } } }", `a.yaml:6: values: the value of "order" must be a whole number`)
	add("actions: { hide: { roles: [admin] } }", `a.yaml:6: the action "hide" needs one of set, toggle and values`)
	// Aggregations.
	aggregation := func(stages, want string) {
		t.Helper()
		add("aggregations: { sums: { read: public, params: { from: { type: integer } }, pipeline: ["+stages+"] } }", want)
	}
	aggregation("{ $match: { order: { $gte: { $param: from } } } }, { $group: { _id: $code, n: { $sum: 1 } } }", "<nil>")
	aggregation("{ $lookup: { from: users, as: users } }", `a.yaml:6: a stage is one of $match, $group, $sort, $limit, $skip, $project, $unwind, $count, $addFields, $set, $unset, $sortByCount, $bucket`)
	aggregation("{ $match: { $where: x } }", `a.yaml:6: "$where" is not allowed in a pipeline`)
	aggregation("{ $match: { $expr: { $function: x } } }", "a.yaml:6: \"$expr\" is not allowed in a pipeline\na.yaml:6: \"$function\" is not allowed in a pipeline")
	aggregation("{ $group: { _id: $cost } }", `a.yaml:6: the pipeline reads the field "cost", which its readers may not see`)
	aggregation("{ $project: { all: $$ROOT } }", `a.yaml:6: "$$ROOT" is not allowed in a pipeline: name fields`)
	aggregation("{ $match: { order: { $param: to } } }", `a.yaml:6: the pipeline names the parameter "to", which params does not have`)
	aggregation("", `a.yaml:6: the aggregation "sums" has no pipeline`)
	// Parts of the list.
	add("lists: { first: { order: 1, code: a } }\nby: [code, code]", "<nil>")
	add("lists: { slug: { order: 1 } }", `a.yaml:6: the list "slug" has the name of another route below the base path`)
	add("lists: { cheap: { cost: 1 } }", `a.yaml:6: the list "cheap" is narrowed by the field "cost", which its readers may not see`)
	add("lists: { first: { order: many } }", `a.yaml:6: a list: the value of "order" must be a whole number`)
	add("by: [code]", `a.yaml:6: by must name two fields, like [contentType, contentId]`)
	add("by: [code, order]", `a.yaml:6: by names "order", which is not a single value that everybody may filter the list by`)
	add("by: [code, labels]", `a.yaml:6: by names "labels", which is not a single value that everybody may filter the list by`)
	// Names and places.
	f("base: /api/notes", "base: /notes", `a.yaml:3: the route "/notes" must be a path of lower-case words under /api, like "/api/products"`)
	f("base: /api/notes", "base: /api/tenant", `a.yaml:3: the route "/api/tenant" is the API's own`)
	f("base: /api/notes", "base: /api/users/login", `a.yaml:3: the route "/api/users/login" is the API's own`)
	f("collection: notes", "collection: system.users", `a.yaml:2: the name "system.users" must be of letters, digits, "_" and "-", and not begin with "system."`)
	f("code: { type: string, maxLength: 10, x-filter: public }", "code: { type: string }\n    limit: { type: string }", `a.yaml:13: the name "limit" is reserved`)
	f("cost: { type", "tenant: { type", `a.yaml:4: the field "tenant" is set by the server and cannot be in the schema too`)
	f("max: 20", "max: 501", `a.yaml:27: limit.max must be a whole number from 1 to 500`)
	f("default: 0", `default: "0"`, `a.yaml:13: default must be a single value of the field's own type`)
	f("admin:\n  roles: [admin]", "admin: { sort: [order] }", `a.yaml:28: admin.roles is missing: name the roles that may write, like [admin]`)
	// All at once.
	f("collection: notes\nroutes: { base: /api/notes }", "collection: 5\nroute: { base: /api/notes }", `a.yaml:1: the key "routes" is missing
a.yaml:2: collection must be a text
a.yaml:3: a model: unknown key "route"; known are model, collection, routes, tenantField, timestamps, unique, indexes, single, key, slug, search, create, owner, actions, account, aggregations, lists, by, ignore, schema, public, admin`)
}

func TestFaultsOfFiles(t *testing.T) {
	f := func(want string, files ...string) {
		t.Helper()
		if err := load(files...); err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
	f("the models folder declares no model in a *.yaml file")
	f("a.yaml: not YAML, or empty: EOF", "")
	f("a.yaml:1: a model must be a mapping of keys to values", "- 1")
	f("a.yaml:30: one file declares one model: move what follows \"---\" to its own file", valid+"---\nmodel: b\n")
	f(`b.yaml:1: the model "note" belongs to a.yaml already
b.yaml:1: the collection "notes" belongs to a.yaml already
b.yaml:1: the route "/api/notes" belongs to a.yaml already`, valid, valid)
}

func FuzzLoad(f *testing.F) {
	f.Add(valid)
	f.Add("a: &a [*a]")
	f.Add("model: {}\nschema: []\npublic: x\nadmin: 1\nroutes: []\nunique: {}")
	f.Add("schema: { type: object, properties: { a: { items: { properties: { b: { $ref: 1 } } } } } }")
	f.Fuzz(func(t *testing.T, text string) {
		if err := load(text); err != nil && err.Error() == "" {
			t.Error("a fault without a text")
		}
		_, err := model.Load(fstest.MapFS{"_defs.yaml": {Data: []byte(text)}, "a.yaml": {Data: []byte(valid)}})
		if err != nil && err.Error() == "" {
			t.Error("a fault without a text in shared definitions")
		}
	})
}

func TestSharedDefinitions(t *testing.T) {
	f := func(shared, old, changed, want string) {
		t.Helper()
		_, err := model.Load(fstest.MapFS{
			"_defs.yaml": {Data: []byte(shared)},
			"a.yaml":     {Data: []byte(strings.Replace(valid, old, changed, 1))},
		})
		if got := fmt.Sprint(err); got != want {
			t.Errorf("got %s\nwant %s", got, want)
		}
	}
	place := "place: { type: object, additionalProperties: false, properties: { room: { type: string } } }"
	own := "  $defs:\n    label: { type: string, maxLength: 5 }\n"
	label := "label: { type: string, maxLength: 5 }\n"

	f("room: { type: string }", place, `place: { $ref: "#/$defs/room" }`, "<nil>")
	f(label, own, "", "<nil>")
	f(label, own, "  $defs:\n    other: { type: string }\n", "<nil>")
	f("rooms: { type: array, items: { $ref: \"#/$defs/room\" } }\nroom: { type: string }", place, `place: { $ref: "#/$defs/rooms" }`, "<nil>")
	// No definition is there twice.
	f(label, "", "", `a.yaml:22: the definition "label" is in _defs.yaml already`)
	// A fault is reported once, where it is.
	f("\nroom: { type: text }", place, `place: { $ref: "#/$defs/room" }`, `_defs.yaml:2: the type "text" is unknown; known are array, boolean, integer, number, object, string, and x-bson: date or objectId`)
	f("\nroom: { type: string, pattern: \"(\" }", place, `place: { $ref: "#/$defs/room" }`, `_defs.yaml:2: schema: $defs.room.pattern: must be of the format regex`)
	f("room: { $ref: \"#/$defs/room\" }", "", "", `_defs.yaml:1: the schema "room" refers to itself`)
	f("[]", "", "", `_defs.yaml:1: _defs.yaml must be a mapping of keys to values`)
	// What the model's own definitions lack is still missing.
	f("room: { type: string }", place, `place: { $ref: "#/$defs/place" }`, `a.yaml:19: $ref "#/$defs/place" must name a schema under $defs, like "#/$defs/i18n"`)
}
