package model

import (
	"errors"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"
)

// keywords are those of JSON Schema 2020-12 that a model may use, and the API's own. A schema library passes over a word that it
// does not know; a misspelt limit would be no limit.
var keywords = []string{
	"type", "properties", "required", "additionalProperties", "items", "enum", "const", "default", "title", "description", "examples",
	"minLength", "maxLength", "pattern", "format", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf",
	"minItems", "maxItems", "uniqueItems", "minProperties", "maxProperties", "propertyNames", "$ref",
	"x-bson", "x-lowercase", "x-localized", "x-ref",
}

var (
	rootKeywords  = []string{"type", "properties", "required", "additionalProperties", "title", "description", "$defs"}
	fieldKeywords = append([]string{"x-read", "x-filter", "x-sort", "x-write", "x-hash", "x-set-when", "x-upload"}, keywords...)
	formats       = []string{"date", "date-time", "email", "hostname", "ipv4", "ipv6", "time", "uri", "uri-reference", "uuid"}
)

// compileSchema reads the schema's fields. The root takes no keyword that ties fields to each other, so a body with some of the
// fields can be judged alone and the merged document is still valid.
func (s *source) compileSchema(n *yaml.Node, m *Model) {
	if n == nil {
		return
	}
	s.share(n)
	root := s.mapping(n, "schema", rootKeywords...)
	if root.scalar("type") != "object" {
		s.fault(n, "schema.type must be \"object\"")
	}
	if root.scalar("additionalProperties") != "false" {
		s.fault(n, "schema.additionalProperties must be false: a body may hold declared fields alone")
	}
	defs := s.mapping(root.get("$defs"), "$defs")
	properties := s.mapping(root.get("properties"), "schema.properties")
	if n.Kind == yaml.MappingNode && len(properties.names) == 0 {
		s.fault(n, "schema.properties is missing: a model has fields")
	}
	m.shape = &shape{kind: kindObject}
	for _, name := range properties.names {
		f := s.compileField(name, properties, defs, m)
		m.fields = append(m.fields, f)
		m.shape.properties = append(m.shape.properties, property{name, f.shape})
	}
	s.checkRequired(root, m)
	s.checkUpload(n, m)
}

func (s *source) checkRequired(root mapping, m *Model) {
	for _, name := range s.texts(root.get("required"), "required") {
		f, ok := m.Field(name)
		if !ok {
			s.fault(root.get("required"), "required names the field %q, which the schema does not have", name)
			continue
		}
		f.required = true
	}
}

// reserved are names that mean something else in a query string or a document.
var reserved = []string{"_id", "page", "limit", "sort", "q", "fields", "cursor", "count", "locale", "flat"}

// secretName is a name that says that its value is a secret.
var secretName = regexp.MustCompile(`(?i:passw|passcode|passphrase|pwd|secret|token|api_?key|access_?key|private_?key|credential|mongo_?ur[il])|[a-z0-9]Pass$|(^|_)pass$`)

func (s *source) compileField(name string, properties, defs mapping, m *Model) *Field {
	n := properties.get(name)
	s.checkName(properties.keys[name], name, fieldName, "letters, digits and \"_\"")
	if slices.Contains(reserved, name) {
		s.fault(properties.keys[name], "the name %q is reserved", name)
	}
	flags := s.mapping(n, "the field "+strconv.Quote(name), fieldKeywords...)
	f := &Field{Name: name, shape: s.shapeOf(flags, defs, 0), at: properties.keys[name]}
	f.Read = s.audience(flags.get("x-read"), "x-read", Public)
	f.Filter = s.audience(flags.get("x-filter"), "x-filter", Nobody)
	f.Sort = s.audience(flags.get("x-sort"), "x-sort", Nobody)
	f.Write = s.audience(flags.get("x-write"), "x-write", Admin)
	f.Hash = s.hash(flags.get("x-hash"))
	f.setWhen = s.text(flags.get("x-set-when"), "x-set-when")
	s.checkField(f, flags)
	s.compileUpload(f, flags, m)
	return f
}

// audience reads "public", "owner", "admin" or "nobody".
func (s *source) audience(n *yaml.Node, what string, otherwise Audience) Audience {
	switch s.text(n, what) {
	case "":
		return otherwise
	case "public":
		return Public
	case "owner":
		return Owner
	case "admin":
		return Admin
	case "nobody":
		return Nobody
	}
	s.fault(n, "%s must be public, owner, admin or nobody, not %q", what, n.Value)
	return Nobody
}

func (s *source) hash(n *yaml.Node) Hash {
	h := Hash(s.text(n, "x-hash"))
	if n != nil && h != Bcrypt && h != Argon2id {
		s.fault(n, "x-hash must be argon2id or bcrypt, not %q", h)
	}
	return h
}

// checkField refuses flags that would give away what they hide.
func (s *source) checkField(f *Field, flags mapping) {
	at := flags.node
	if f.Filter > f.Read || f.Sort > f.Read {
		s.fault(at, "the field %q can be filtered or sorted by someone who may not read it, and so could guess it", f.Name)
	}
	if f.Read != Nobody && (secretName.MatchString(f.Name) || f.Hash != "") {
		s.fault(at, "the field %q holds a secret: give it \"x-read: nobody\"", f.Name)
	}
	if f.Filter != Nobody && !filterable(f.shape) {
		s.fault(flags.get("x-filter"), "the field %q is not a single value, nor a list of them, and cannot be a filter", f.Name)
	}
	if f.Sort != Nobody && (f.shape.kind == kindArray || !filterable(f.shape)) {
		s.fault(flags.get("x-sort"), "the field %q is not a single value, and lists cannot be sorted by it", f.Name)
	}
	if f.Hash != "" && f.shape.kind != kindString {
		s.fault(flags.get("x-hash"), "the field %q must be a string to be hashed", f.Name)
	}
	if f.setWhen != "" && f.shape.kind != kindDate {
		s.fault(flags.get("x-set-when"), "the field %q must be a date to be set by another", f.Name)
	}
}

func filterable(s *shape) bool {
	s = s.element()
	return s.kind != kindAny && s.kind != kindObject && s.kind != kindArray
}

// compileValidators compiles the schema for each audience that may write, twice: for a new document, and for one that is there already
// and of which only some fields are sent.
func (s *source) compileValidators(n *yaml.Node, m *Model) {
	m.validators = map[Audience]validators{}
	if len(s.faults) == 0 && n != nil {
		m.plain, _ = s.plain(n).(map[string]any)
		withBSON(m.plain)
	}
	writers := []Audience{Admin}
	if m.owner != "" || m.Creators >= Owner {
		writers = append(writers, Owner)
	}
	if m.Creators == Public {
		writers = append(writers, Public)
	}
	for _, writer := range writers {
		if len(s.faults) > 0 || n == nil {
			return // the library would repeat them, in its own words
		}
		m.validators[writer] = s.compileValidator(n, m, writer)
	}
}

func (s *source) compileValidator(n *yaml.Node, m *Model, writer Audience) (v validators) {
	schema, ok := s.plain(n).(map[string]any)
	if !ok {
		return v
	}
	withBSON(schema)
	properties, _ := schema["properties"].(map[string]any)
	for _, f := range m.fields {
		if f.Write >= writer {
			continue
		}
		delete(properties, f.Name)
		required, _ := schema["required"].([]any)
		if !slices.Contains(required, any(f.Name)) {
			continue
		}
		if f.Write == Nobody {
			s.fault(n, "required names the field %q, which nobody may write", f.Name)
			return v
		}
		if m.Creators >= writer {
			s.fault(n, "required names the field %q, which not everybody may write who may create documents", f.Name)
			return v
		}
	}
	if v.create = s.validator(n, schema); v.create == nil {
		return v
	}
	partial := maps.Clone(schema)
	delete(partial, "required")
	v.patch = s.validator(n, partial)
	return v
}

// withBSON gives every value with an x-bson the schema of its JSON form.
func withBSON(schema any) {
	switch schema := schema.(type) {
	case map[string]any:
		switch {
		case schema["x-bson"] == "objectId" || schema["x-ref"] != nil:
			schema["type"], schema["pattern"] = "string", "^[0-9a-fA-F]{24}$"
		case schema["x-bson"] == "date":
			schema["type"], schema["format"] = "string", "date-time"
		}
		for _, member := range schema {
			withBSON(member)
		}
	case []any:
		for _, element := range schema {
			withBSON(element)
		}
	}
}

func (s *source) validator(n *yaml.Node, schema map[string]any) *jsonschema.Schema {
	const url = "model:schema"
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020)
	c.AssertFormat()
	c.UseLoader(jsonschema.SchemeURLLoader{}) // a schema reads no file and asks no server
	if err := c.AddResource(url, schema); err != nil {
		s.fault(n, "schema: %v", err)
		return nil
	}
	compiled, err := c.Compile(url)
	if err != nil {
		s.schemaFault(n, err)
		return nil
	}
	return compiled
}

// schemaFault reports what the schema library says, at the line of the value that it means.
func (s *source) schemaFault(n *yaml.Node, err error) {
	var wrong *jsonschema.ValidationError
	var against *jsonschema.SchemaValidationError
	if errors.As(err, &against) {
		err = against.Err
	}
	if !errors.As(err, &wrong) {
		s.fault(n, "schema: %v", err)
		return
	}
	for _, leaf := range leaves(wrong) {
		s.fault(locate(n, leaf.InstanceLocation), "schema: %s: %s", strings.Join(leaf.InstanceLocation, "."), explain(leaf.ErrorKind))
	}
}

// locate follows a path into n as far as it goes.
func locate(n *yaml.Node, path []string) *yaml.Node {
	for _, name := range path {
		next := child(n, name)
		if next == nil {
			break
		}
		n = next
	}
	return n
}

func child(n *yaml.Node, name string) *yaml.Node {
	if n.Kind == yaml.SequenceNode {
		if i, err := strconv.Atoi(name); err == nil && i < len(n.Content) {
			return n.Content[i]
		}
		return nil
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == name {
			return n.Content[i+1]
		}
	}
	return nil
}
