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
		"setting": "settings /api/settings",
		"about":   "abouts /api/about",
		"product": "products /api/products /api/product",
		"service": "services /api/services",
		"user":    "users /api/users",
	} {
		if routes[name] != want {
			t.Errorf("model %q is %q, want %q", name, routes[name], want)
		}
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
		if err == nil {
			t.Errorf("%q: no fault, want %s", changed, want)
			return
		}
		if err.Error() != want {
			t.Errorf("%q:\n got %s\nwant %s", changed, err, want)
		}
	}
	// Keys that nobody knows.
	f("timestamps: true", "timestamp: true", `a.yaml:5: a model: unknown key "timestamp"; known are model, collection, routes, tenantField, timestamps, unique, schema, public, admin
a.yaml:26: sort names the field "createdAt", which the schema does not have`)
	f("maxLength: 10", "maxLenght: 10", `a.yaml:12: the field "code": unknown key "maxLenght"; known are x-read, x-filter, x-sort, x-write, x-hash, type, properties, required, additionalProperties, items, enum, const, default, title, description, examples, minLength, maxLength, pattern, format, minimum, maximum, exclusiveMinimum, exclusiveMaximum, multipleOf, minItems, maxItems, uniqueItems, minProperties, maxProperties, propertyNames, $ref, x-bson, x-lowercase`)
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
	f(`except: { code: "^hidden" }`, `except: { order: "^hidden" }`, `a.yaml:25: public.except names "order", which is not a string of the schema`)
	f(`except: { code: "^hidden" }`, `except: { code: "hidden" }`, `a.yaml:25: public.except: "hidden" must be a regular expression that begins with "^"`)
	// What would leak.
	f("cost: { type: number, x-read: admin }", "cost: { type: number, x-read: admin, x-filter: public }", `a.yaml:14: the field "cost" can be filtered or sorted by someone who may not read it, and so could guess it`)
	f("cost: { type: number, x-read: admin }", "apiKey: { type: string, x-read: admin }", `a.yaml:14: the field "apiKey" holds a secret: give it "x-read: nobody"`)
	f("x-hash: bcrypt, x-read: nobody", "x-hash: bcrypt", `a.yaml:20: the field "hash" holds a secret: give it "x-read: nobody"`)
	f("room: { type: string }", "smtpPassword: { type: string }", `a.yaml:19: "smtpPassword" looks like a secret within a field: move it to a field of its own with "x-read: nobody"`)
	f("sort: [order, -createdAt]", "sort: [cost]", `a.yaml:26: sort names the field "cost", which this view does not show: its order would tell its values`)
	f("  additionalProperties: false\n  required", "  required", `a.yaml:8: schema.additionalProperties must be false: a body may hold declared fields alone`)
	f("type: object, additionalProperties: false, properties", "type: object, properties", `a.yaml:19: an object with properties must say additionalProperties: false, true or a schema`)
	f("x-write: nobody", "x-write: public", `a.yaml:16: x-write must be admin or nobody`)
	f("x-write: nobody", "x-write: root", `a.yaml:16: x-write must be public, admin or nobody, not "root"`)
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
a.yaml:3: a model: unknown key "route"; known are model, collection, routes, tenantField, timestamps, unique, schema, public, admin`)
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
