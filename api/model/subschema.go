package model

import (
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

var kinds = map[string]kind{
	"string":  kindString,
	"boolean": kindBoolean,
	"integer": kindInteger,
	"number":  kindNumber,
	"object":  kindObject,
	"array":   kindArray,
}

// maxSchemaDepth is how deep a schema may be nested.
const maxSchemaDepth = 16

// compileShape reads one schema below a field.
func (s *source) compileShape(n *yaml.Node, defs mapping, depth int) *shape {
	if depth > maxSchemaDepth {
		s.fault(n, "the schema is nested deeper than %d levels", maxSchemaDepth)
		return &shape{}
	}
	return s.shapeOf(s.mapping(n, "a schema", keywords...), defs, depth)
}

// shapeOf reads a schema whose keywords are known to be allowed.
func (s *source) shapeOf(schema, defs mapping, depth int) *shape {
	if schema.get("$ref") != nil {
		return s.compileReference(schema, defs)
	}
	out := &shape{kind: s.kind(schema)}
	out.lowercase = s.flag(schema.get("x-lowercase"), "x-lowercase")
	out.localized = s.flag(schema.get("x-localized"), "x-localized")
	out.ref = s.text(schema.get("x-ref"), "x-ref")
	if out.localized && out.kind != kindObject {
		s.fault(schema.get("x-localized"), "x-localized is for objects of languages to texts")
	}
	s.checkFormat(schema.get("format"))
	s.compileMembers(schema, out, defs, depth)
	if items := schema.get("items"); items != nil {
		out.items = s.compileShape(items, defs, depth+1)
	}
	if n := schema.get("default"); n != nil {
		out.fallback = s.fallback(n, out)
	}
	return out
}

// compileReference follows "$ref: #/$defs/name". A definition is compiled once, however often it is used.
func (s *source) compileReference(schema, defs mapping) *shape {
	ref := schema.get("$ref")
	name, ok := strings.CutPrefix(ref.Value, "#/$defs/")
	if !ok || defs.get(name) == nil {
		s.fault(ref, "$ref %q must name a schema under $defs, like \"#/$defs/i18n\"", ref.Value)
		return &shape{}
	}
	if schema.get("x-bson") != nil || schema.get("type") != nil {
		s.fault(ref, "a schema with $ref has its type from there")
	}
	return s.define(ref, name, defs)
}

// define compiles a definition, for the node that names it.
func (s *source) define(at *yaml.Node, name string, defs mapping) *shape {
	known, begun := s.defs[name]
	switch {
	case !begun:
		s.defs[name] = nil // being compiled
		s.defs[name] = s.compileShape(defs.get(name), defs, 0)
		return s.defs[name]
	case known == nil:
		s.fault(at, "the schema %q refers to itself", name)
		return &shape{}
	}
	return known
}

func (s *source) kind(schema mapping) kind {
	if schema.get("x-ref") != nil {
		if also := schema.get("x-bson"); also != nil && also.Value != "objectId" {
			s.fault(also, "a field with x-ref is an objectId")
		}
		return kindObjectID
	}
	if n := schema.get("x-bson"); n != nil {
		switch n.Value {
		case "objectId":
			return kindObjectID
		case "date":
			return kindDate
		}
		s.fault(n, "x-bson must be objectId or date, not %q", n.Value)
		return kindAny
	}
	n := schema.get("type")
	if n == nil {
		return kindAny
	}
	k, ok := kinds[n.Value]
	if n.Kind != yaml.ScalarNode || !ok {
		s.fault(n, "the type %q is unknown; known are array, boolean, integer, number, object, string, and x-bson: date or objectId", n.Value)
	}
	return k
}

func (s *source) checkFormat(n *yaml.Node) {
	if name := s.text(n, "format"); name != "" && !slices.Contains(formats, name) {
		s.fault(n, "the format %q is unknown; known are %s", name, strings.Join(formats, ", "))
	}
}

func (s *source) compileMembers(schema mapping, out *shape, defs mapping, depth int) {
	more := schema.get("additionalProperties")
	if more != nil && more.Kind == yaml.MappingNode {
		out.rest = s.compileShape(more, defs, depth+1)
	}
	out.closed = more != nil && more.Kind == yaml.ScalarNode && more.Value == "false"
	properties := s.mapping(schema.get("properties"), "properties")
	if len(properties.names) > 0 && more == nil {
		s.fault(schema.node, "an object with properties must say additionalProperties: false, true or a schema")
	}
	for _, name := range properties.names {
		if secretName.MatchString(name) {
			s.fault(properties.keys[name], "%q looks like a secret within a field: move it to a field of its own with \"x-read: nobody\"", name)
		}
		out.properties = append(out.properties, property{name, s.compileShape(properties.get(name), defs, depth+1)})
	}
}

// fallback reads a default, which is a single value of the shape's own type.
func (s *source) fallback(n *yaml.Node, of *shape) any {
	value := s.plain(n)
	ok := false
	switch of.kind {
	case kindString:
		_, ok = value.(string)
	case kindBoolean:
		_, ok = value.(bool)
	case kindInteger, kindNumber:
		switch v := value.(type) {
		case int:
			value, ok = int64(v), true
		case float64:
			ok = of.kind == kindNumber
		}
	}
	if !ok {
		s.fault(n, "default must be a single value of the field's own type")
		return nil
	}
	return shrink(value)
}
