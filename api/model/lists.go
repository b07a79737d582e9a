package model

import (
	"slices"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.yaml.in/yaml/v3"
)

// List is a part of what is served at the base path, at a route of its own below it.
type List struct {
	// Name is the last part of the route, "testimonials".
	Name string
	// Conditions narrow the list.
	Conditions []bson.E
}

// compileLists reads {testimonials: {type: testimonial}}.
func (s *source) compileLists(n *yaml.Node, m *Model) {
	lists := s.mapping(n, "lists")
	for _, name := range lists.names {
		at := lists.keys[name]
		s.checkName(at, name, modelName, "lower-case letters, digits and \"-\"")
		if slices.Contains(ownWords, name) || slices.ContainsFunc(m.Aggregations, func(a *Aggregation) bool { return a.Name == name }) {
			s.fault(at, "the list %q has the name of another route below the base path", name)
		}
		list := List{Name: name}
		values := s.mapping(lists.get(name), "a list")
		for _, field := range values.names {
			if f, ok := m.Field(field); ok && f.Read < m.View().Audience {
				s.fault(values.keys[field], "the list %q is narrowed by the field %q, which its readers may not see", name, field)
			}
			if v, ok := s.constant(m, field, values.get(field), "a list"); ok {
				list.Conditions = append(list.Conditions, bson.E{Key: field, Value: v})
			}
		}
		m.Lists = append(m.Lists, list)
	}
}

// compileBy reads the two fields by whose values, as parts of the path, a list is narrowed.
func (s *source) compileBy(n *yaml.Node, m *Model) {
	if n == nil {
		return
	}
	names := s.texts(n, "by")
	if len(names) != 2 {
		s.fault(n, "by must name two fields, like [contentType, contentId]")
		return
	}
	for _, name := range names {
		f, ok := m.Field(name)
		if !ok || f.Filter < m.View().Audience || f.shape.kind == kindArray {
			s.fault(n, "by names %q, which is not a single value that everybody may filter the list by", name)
			return
		}
		m.By = append(m.By, f)
	}
}
