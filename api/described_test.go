package api_test

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// described is the API as its own description has it, from which tests take every route that there is: one that is added is tested
// without a line here.
type described struct {
	t       testing.TB
	paths   map[string]map[string]operation
	schemas map[string]any
}

type operation struct {
	Security    []any // nil: everybody may
	RequestBody json.RawMessage
}

// route is one method of one path.
type route struct {
	method, path string
	open         bool // to everybody
}

func (s *site) described() described {
	s.t.Helper()
	got := s.send(anna, "GET", "/api/openapi.json", "")
	var spec struct {
		Paths      map[string]map[string]operation
		Components struct{ Schemas map[string]any }
	}
	if err := json.Unmarshal([]byte(got.body), &spec); err != nil || len(spec.Paths) == 0 {
		s.t.Fatalf("the description: %d, %v", got.status, err)
	}
	return described{s.t, spec.Paths, spec.Components.Schemas}
}

// routes returns all of them in a fixed order: what is read, or what is written, and of one path what deletes last.
func (d described) routes(written bool) (all []route) {
	for path, methods := range d.paths {
		for method, o := range methods {
			if method = strings.ToUpper(method); written == (method != "GET") {
				all = append(all, route{method, path, o.Security == nil})
			}
		}
	}
	slices.SortFunc(all, func(a, b route) int {
		deletes := func(r route) string { return fmt.Sprint(r.method == "DELETE") }
		return strings.Compare(deletes(a)+a.path+a.method, deletes(b)+b.path+b.method)
	})
	return all
}

// resource is a model as the description has it.
type resource struct {
	name, base string
	ids        []string // of documents that a test has made
	single     bool
}

// resources are those of all models.
func (d described) resources() (all []*resource) {
	for path := range d.paths {
		if base, ok := strings.CutSuffix(path, "/_export"); ok {
			_, single := d.paths[base+"/admin"]["put"]
			all = append(all, &resource{name: d.nameOf(base), base: base, single: single})
		}
	}
	slices.SortFunc(all, func(a, b *resource) int { return strings.Compare(a.base, b.base) })
	return all
}

// nameOf finds the model of a path by the schema of what is created there.
func (d described) nameOf(base string) string {
	body := d.paths[base]["post"].RequestBody
	name := regexp.MustCompile(`#/components/schemas/([a-z-]+)\.create`).FindSubmatch(body)
	if name == nil {
		d.t.Fatalf("POST %s is described without its document: %s", base, body)
	}
	return string(name[1])
}

// sample makes a value that a schema allows: the number-th one with a mark in all of its texts.
func (d described) sample(schema any, mark string, number int) any {
	s, _ := schema.(map[string]any)
	if name, ok := s["$ref"].(string); ok {
		return d.sample(d.schemas[strings.TrimPrefix(name, "#/components/schemas/")], mark, number)
	}
	if values, ok := s["enum"].([]any); ok {
		return values[len(values)-1]
	}
	switch s["type"] {
	case "object":
		return d.sampleObject(s, mark, number)
	case "array":
		return []any{d.sample(s["items"], mark, number)}
	case "boolean":
		return true
	case "integer", "number":
		return number
	case "string":
		return d.sampleText(s, mark, number)
	}
	return mark
}

func (d described) sampleObject(s map[string]any, mark string, number int) any {
	object := map[string]any{}
	properties, _ := s["properties"].(map[string]any)
	for name, schema := range properties {
		object[name] = d.sample(schema, mark, number)
	}
	if more, ok := s["additionalProperties"].(map[string]any); ok {
		object["en"] = d.sample(more, mark, number)
	}
	return object
}

// sampleID is that of a document that nobody has.
const sampleID = "abcdefabcdefabcdefabcdef"

func (d described) sampleText(s map[string]any, mark string, number int) any {
	pattern, _ := s["pattern"].(string)
	numbered := fmt.Sprintf("%s-%d", mark, number)
	for _, candidate := range []string{numbered, mark, "EUR", sampleID, "/" + numbered} {
		switch s["format"] {
		case "email":
			return numbered + "@example.test"
		case "date-time":
			return "2025-01-02T03:04:05Z"
		case "uri-reference", "uri":
			return "/" + numbered
		}
		if regexp.MustCompile(pattern).MatchString(candidate) {
			return candidate
		}
	}
	d.t.Fatalf("no sample of the pattern %q is known here: add one", pattern)
	return nil
}

// body is what a route is sent: what its kind of document may be given, or several changes of the resource's first document.
func (d described) body(r route, of *resource, mark string, number int) string {
	if of == nil {
		return d.ownBody(r, mark, number)
	}
	update := encode(d.t, d.sample(d.schemas[of.name+".update"], mark, number))
	switch {
	case strings.HasSuffix(r.path, "/_bulk"):
		id := of.ids[0]
		create := encode(d.t, d.sample(d.schemas[of.name+".create"], mark, number))
		return `{"items":[{"op":"create","body":` + create + `},{"op":"update","id":"` + id + `","body":` + update + `},{"op":"delete","id":"` + sampleID + `"}]}`
	case r.method == "POST":
		return encode(d.t, d.sample(d.schemas[of.name+".create"], mark, number))
	}
	return update
}

// ownBody signs in, or changes the own account, but not its address and password. The end of an account is asked for with a wrong password.
func (d described) ownBody(r route, mark string, number int) string {
	credentials := `{"email":"` + adminEmail + `","password":"` + password + `"}`
	var body struct {
		Content map[string]struct {
			Schema struct {
				Required   []string
				Properties map[string]any
			}
		}
	}
	o := d.paths[r.path][strings.ToLower(r.method)]
	if !strings.HasPrefix(r.path, "/api/users/account/me/") || len(o.RequestBody) == 0 || strings.HasSuffix(r.path, "/password") {
		return credentials
	}
	if err := json.Unmarshal(o.RequestBody, &body); err != nil {
		d.t.Fatal(err)
	}
	schema := body.Content["application/json"].Schema
	if slices.Equal(schema.Required, []string{"password"}) {
		return `{"password":"` + mark + `"}`
	}
	delete(schema.Properties, "email")
	delete(schema.Properties, "currentPassword")
	sample, _ := d.sampleObject(map[string]any{"properties": schema.Properties}, mark, number).(map[string]any)
	if strings.HasSuffix(r.path, "/social") { // its members are of any name
		sample["facebook"] = "/" + mark
	}
	return encode(d.t, sample)
}

func encode(t testing.TB, v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
