package model

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.yaml.in/yaml/v3"
)

// Parameter narrows a list by one value of a query string.
type Parameter struct {
	// Name is the parameter's, "price[gte]".
	Name string

	op    string // "eq" and so on
	field *Field // whose type the value has
	path  string // in the document; "$locale" and "$value" stand for languages
	when  string // the only value that does anything, or empty
}

const (
	maxIn          = 100 // values of one parameter
	maxSearch      = 64  // bytes of a search
	maxSearchWords = 5
	wordsField     = "_words"
)

// Condition turns a value into a condition, for a client that reads in a language. With ok false the parameter does nothing. The error
// completes the sentence "the parameter must be …".
func (p *Parameter) Condition(value string, language Language) (c bson.E, ok bool, err error) {
	if p.when != "" && value != p.when {
		return c, false, nil
	}
	switch p.op {
	case "eq":
		typed, err := p.field.Parse(value)
		return bson.E{Key: p.path, Value: typed}, true, err
	case "in", "nin":
		typed, err := p.list(value)
		return bson.E{Key: p.path, Value: bson.D{{Key: "$" + p.op, Value: typed}}}, true, err
	case "exists":
		c, err = p.exists(value, language)
		return c, true, err
	case "search":
		return p.search(value)
	}
	typed, err := p.field.Parse(value)
	return bson.E{Key: p.path, Value: bson.D{{Key: "$" + p.op, Value: typed}}}, true, err
}

func (p *Parameter) list(value string) (bson.A, error) {
	texts := strings.Split(value, ",")
	if len(texts) > maxIn {
		return nil, fmt.Errorf("at most %d values separated by commas", maxIn)
	}
	typed := make(bson.A, len(texts))
	for i, text := range texts {
		v, err := p.field.Parse(text)
		if err != nil {
			return nil, fmt.Errorf("values separated by commas, each of them %w", err)
		}
		typed[i] = v
	}
	return typed, nil
}

func (p *Parameter) exists(value string, language Language) (c bson.E, err error) {
	there := true
	switch {
	case strings.HasSuffix(p.path, ".$value"):
		known := false
		if language, known = ParseLanguage([]byte(value)); !known || len(value) != 2 {
			return c, errors.New(`a language like "de"`)
		}
	case p.when == "":
		on, err := parseBoolean(value)
		if err != nil {
			return c, err
		}
		there = on.(bool)
	}
	path := p.path
	if base, placeholder, ok := strings.Cut(path, ".$"); ok && (placeholder == "locale" || placeholder == "value") {
		path = base + "." + language.String()
	}
	return bson.E{Key: path, Value: bson.D{{Key: "$exists", Value: there}}}, nil
}

// search finds documents that have for each word of the value one that begins with it. The words are quoted and anchored, so that an
// index answers and nobody's pattern runs in the database.
func (p *Parameter) search(value string) (c bson.E, ok bool, err error) {
	if len(value) > maxSearch {
		return c, false, fmt.Errorf("a text of at most %d bytes", maxSearch)
	}
	words := wordsOf(value)
	if len(words) == 0 {
		return c, false, nil
	}
	each := make(bson.A, 0, maxSearchWords)
	for _, word := range words[:min(len(words), maxSearchWords)] {
		pattern := bson.Regex{Pattern: "^" + regexp.QuoteMeta(cut(word, maxWord))}
		each = append(each, bson.D{{Key: wordsField, Value: pattern}})
	}
	return bson.E{Key: "$and", Value: each}, true, nil
}

// operators are those that x-filter gives a field besides equality, by its kind.
func operators(k kind) []string {
	switch k {
	case kindBoolean:
		return []string{"exists"}
	case kindInteger, kindNumber, kindDate:
		return []string{"gt", "gte", "lt", "lte", "ne", "in", "nin", "exists"}
	}
	return []string{"ne", "in", "nin", "exists"}
}

func (v *View) addParameter(p *Parameter) {
	v.parameters[p.Name] = p
	if !strings.Contains(p.Name, "[") {
		v.names = append(v.names, p.Name)
	}
}

// compileFilters gives a view the parameters of its fields' x-filter.
func (v *View) compileFilters(fields []*Field) {
	for _, f := range fields {
		if f.Filter < v.Audience {
			continue
		}
		v.addParameter(&Parameter{Name: f.Name, op: "eq", field: f, path: f.Name})
		for _, op := range operators(f.shape.element().kind) {
			v.addParameter(&Parameter{Name: f.Name + "[" + op + "]", op: op, field: f, path: f.Name})
		}
	}
}

var parameterName = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_]{0,62}$`)

// compileParameters reads the params of a view.
func (s *source) compileParameters(n *yaml.Node, m *Model, v *View) {
	params := s.mapping(n, "params")
	for _, name := range params.names {
		s.checkName(params.keys[name], name, parameterName, "letters, digits and \"_\"")
		if slices.Contains(reserved, name) || v.parameters[name] != nil {
			s.fault(params.keys[name], "the parameter %q is there already", name)
			continue
		}
		if p := s.compileParameter(name, params.get(name), m, v); p != nil {
			v.addParameter(p)
		}
	}
}

var parameterOps = []string{"eq", "ne", "gt", "gte", "lt", "lte", "in", "nin", "exists"}

func (s *source) compileParameter(name string, n *yaml.Node, m *Model, v *View) *Parameter {
	given := s.mapping(n, "a parameter", append([]string{"when"}, parameterOps...)...)
	p := &Parameter{Name: name, when: s.text(given.get("when"), "when")}
	for _, op := range given.names {
		if op == "when" {
			continue
		}
		if p.op != "" {
			s.fault(n, "the parameter %q does two things: give it one of %s", name, strings.Join(parameterOps, ", "))
			return nil
		}
		p.op, p.path = op, s.text(given.get(op), op)
	}
	if p.op == "" {
		s.fault(n, "the parameter %q does nothing: give it one of %s", name, strings.Join(parameterOps, ", "))
		return nil
	}
	base, rest, dotted := strings.Cut(p.path, ".")
	f, ok := m.Field(base)
	switch {
	case !ok:
		s.fault(n, "the parameter %q names the field %q, which the schema does not have", name, base)
		return nil
	case f.Read < v.Audience:
		s.fault(n, "the parameter %q names the field %q, which this view does not show: whoever sends it could guess its values", name, base)
		return nil
	case dotted && (p.op != "exists" || !f.shape.localized || rest != "$locale" && rest != "$value"):
		s.fault(n, "the parameter %q: a path goes into a localized field with \"$locale\" or \"$value\", for exists alone", name)
		return nil
	case p.op != "exists" && !filterable(f.shape):
		s.fault(n, "the field %q is not a single value, nor a list of them, and cannot be a filter", base)
		return nil
	}
	p.field = f
	return p
}

// compileSearch reads the fields whose words are searched, and gives the parameter to those who may read all of them.
func (s *source) compileSearch(n *yaml.Node, m *Model) {
	search := s.mapping(n, "search", "from")
	widest := Public
	for _, name := range s.texts(search.get("from"), "search.from") {
		f, ok := m.Field(name)
		if !ok {
			s.fault(search.get("from"), "search names the field %q, which the schema does not have", name)
			continue
		}
		widest = min(widest, f.Read)
		m.words = append(m.words, f)
	}
	if n == nil {
		return
	}
	if len(m.words) == 0 {
		s.fault(n, "search.from is missing: name the fields whose words are found, like [title, tags]")
	}
	for _, v := range m.views() {
		if v.Audience <= widest {
			v.addParameter(&Parameter{Name: "q", op: "search", path: wordsField})
		}
	}
}

// views are those of the model that are there.
func (m *Model) views() (all []*View) {
	for _, v := range []*View{m.Public, m.Own, m.Admin} {
		if v != nil {
			all = append(all, v)
		}
	}
	return all
}
