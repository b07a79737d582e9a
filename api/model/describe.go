package model

import (
	"maps"
	"slices"
	"strings"
)

// BodySchema returns the JSON Schema of a body in which an audience creates a document, or with partial true changes one. References
// lead to definitions under prefix. The schema is the caller's to change.
func (m *Model) BodySchema(by Audience, partial bool, prefix string) map[string]any {
	schema := m.described(func(f *Field) bool { return f.Write >= by }, prefix)
	schema["additionalProperties"] = false
	if partial {
		return schema
	}
	required := []string{}
	for _, f := range m.fields {
		if f.required {
			required = append(required, f.Name)
		}
	}
	schema["required"] = required
	return schema
}

// ActionSchema returns the JSON Schema of the body of an action that reads one, as BodySchema has its fields. confirm is the name of the
// present password in it, where the action confirms fields.
func (m *Model) ActionSchema(a *Action, confirm, prefix string) map[string]any {
	all := m.described(func(f *Field) bool { return f.Name == a.within || slices.Contains(a.fields, f.Name) }, prefix)
	properties := all["properties"].(map[string]any)
	if within, ok := properties[a.within].(map[string]any); ok {
		return within
	}
	if len(a.confirm) > 0 {
		properties[confirm] = map[string]any{"type": "string", "description": "the present password, for another value of " + strings.Join(a.confirm, ", ")}
	}
	all["additionalProperties"] = false
	return all
}

// DocumentSchema returns the JSON Schema of a document as a view shows it, without what it populates.
func (m *Model) DocumentSchema(view *View, prefix string) map[string]any {
	schema := m.described(func(f *Field) bool { return f.Read >= view.Audience }, prefix)
	properties := schema["properties"].(map[string]any)
	properties["_id"] = map[string]any{"type": "string", "pattern": "^[0-9a-f]{24}$"}
	for _, r := range view.References {
		properties[r.Field] = map[string]any{"description": "a document of " + r.Target.Name + ", or null; or a list of them"}
	}
	return schema
}

// Definitions returns the schemas that the others refer to.
func (m *Model) Definitions(prefix string) map[string]any {
	defs, _ := rebased(m.plain["$defs"], prefix).(map[string]any)
	return defs
}

func (m *Model) described(wanted func(*Field) bool, prefix string) map[string]any {
	declared, _ := m.plain["properties"].(map[string]any)
	properties := map[string]any{}
	for _, f := range m.fields {
		if !wanted(f) {
			continue
		}
		if schema, ok := declared[f.Name]; ok {
			properties[f.Name] = rebased(schema, prefix)
			continue
		}
		properties[f.Name] = map[string]any{"type": "string", "format": "date-time"} // the server's own: createdAt, updatedAt
	}
	return map[string]any{"type": "object", "properties": properties}
}

// rebased copies a schema without the words that are this package's alone, and with references to another place.
func rebased(v any, prefix string) any {
	switch v := v.(type) {
	case map[string]any:
		out := make(map[string]any, len(v))
		for key, member := range v {
			if ref, ok := member.(string); ok && key == "$ref" {
				out[key] = prefix + strings.TrimPrefix(ref, "#/$defs/")
				continue
			}
			if !strings.HasPrefix(key, "x-") {
				out[key] = rebased(member, prefix)
			}
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, element := range v {
			out[i] = rebased(element, prefix)
		}
		return out
	}
	return v
}

// Parameters returns all parameters of a list's own, sorted by name.
func (v *View) Parameters() []*Parameter {
	return slices.SortedFunc(maps.Values(v.parameters), func(a, b *Parameter) int { return strings.Compare(a.Name, b.Name) })
}

// Describe says in a few words what the parameter does.
func (p *Parameter) Describe() string {
	switch p.op {
	case "search":
		return "documents that have for each word one that begins with it"
	case "exists":
		if p.when != "" {
			return "\"" + p.when + "\": documents that have " + p.path
		}
		return "whether documents have " + p.path
	}
	return "documents whose " + p.path + " is " + comparisons[p.op]
}

// comparisons are what operators say in words.
var comparisons = map[string]string{
	"eq": "this", "ne": "another", "gt": "more than this", "gte": "this or more", "lt": "less than this", "lte": "this or less",
	"in": "one of up to 100 values separated by commas", "nin": "none of up to 100 values separated by commas",
}
