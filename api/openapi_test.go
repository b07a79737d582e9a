package api

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"
)

func described(t *testing.T) (r router, spec map[string]any) {
	t.Helper()
	models, err := LoadModels(nil)
	if err != nil {
		t.Fatal(err)
	}
	a, err := New(Config{})
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(describe(models))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &spec); err != nil {
		t.Fatal(err)
	}
	return a.resources.Load().routes, spec
}

// What the description says is there, and what is there at a canonical path is in the description.
func TestDescriptionIsOfTheRoutes(t *testing.T) {
	r, spec := described(t)
	told := map[string]bool{}
	for path, item := range spec["paths"].(map[string]any) {
		var at *endpoint
		name, rest := path, ""
		if before, after, variable := strings.Cut(path, "{"); variable {
			_, rest, _ = strings.Cut(after, "}")
			name, at = before, r.items[before]
		} else {
			at = r.exact[path]
		}
		if at != nil && strings.HasPrefix(rest, "/{") {
			at = at.by
		} else if at != nil && rest != "" {
			at = at.actions[strings.TrimPrefix(rest, "/")]
		}
		if at == nil {
			t.Errorf("%s is described and not there", path)
			continue
		}
		told[name] = true
		var methods []string
		for method := range item.(map[string]any) {
			methods = append(methods, strings.ToUpper(method))
		}
		slices.Sort(methods)
		if there := slices.Sorted(maps.Keys(at.methods)); !slices.Equal(methods, there) {
			t.Errorf("%s has %v and is described with %v", path, there, methods)
		}
	}
	models, err := LoadModels(nil)
	if err != nil {
		t.Fatal(err)
	}
	alias := func(path string) bool {
		for _, m := range models.All() {
			for _, route := range m.Routes[1:] {
				if path == route || strings.HasPrefix(path, route+"/") {
					return true
				}
			}
		}
		return strings.HasPrefix(path, "/api/docs") || path == "/api/openapi.json"
	}
	for path := range r.exact {
		if !told[path] && !alias(path) {
			t.Errorf("%s is there and not described", path)
		}
	}
	for path := range r.items {
		if !told[path] && !alias(path) {
			t.Errorf("%s… is there and not described", path)
		}
	}
}

func TestDescriptionHasNoLooseEnds(t *testing.T) {
	_, spec := described(t)
	schemas := spec["components"].(map[string]any)["schemas"].(map[string]any)
	var walk func(v any, at string)
	walk = func(v any, at string) {
		switch v := v.(type) {
		case map[string]any:
			for key, member := range v {
				if target, ok := member.(string); ok && key == "$ref" && schemas[strings.TrimPrefix(target, "#/components/schemas/")] == nil {
					t.Errorf("%s refers to %s, which is not there", at, target)
				}
				if strings.HasPrefix(key, "x-") {
					t.Errorf("%s has %s", at, key)
				}
				walk(member, at+"/"+key)
			}
		case []any:
			for _, element := range v {
				walk(element, at)
			}
		}
	}
	walk(spec, "")
	properties := func(name string) map[string]any {
		return schemas[name].(map[string]any)["properties"].(map[string]any)
	}
	if properties("product")["costPrice"] != nil || properties("product.admin")["costPrice"] == nil {
		t.Error("the public document shows what admins see, or the admins' does not")
	}
	if properties("user.admin")["password"] != nil || properties("user.create")["password"] == nil {
		t.Error("a password is read, or not written")
	}
	if properties("contact.create")["isRead"] != nil || properties("contact.update")["isRead"] == nil {
		t.Error("everybody sets what admins set, or admins do not")
	}
}
