package model

import (
	"fmt"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// Lint returns what works, but not well: lists of the public that no index answers. A database with many documents would read all of them.
func (s *Set) Lint() Faults {
	var all Faults
	for _, m := range s.models {
		for _, text := range m.lint() {
			all = append(all, Fault{File: m.file, Line: m.line, Message: text})
		}
	}
	return all
}

func (m *Model) lint() (texts []string) {
	if m.Public == nil || m.Single {
		return nil
	}
	fixed := append(m.Public.fixed(), m.TenantField)
	var order []string
	for _, e := range m.Public.Sort {
		switch {
		case e.Key == "_id":
		case e.Value == -1:
			order = append(order, "-"+e.Key)
		default:
			order = append(order, e.Key)
		}
	}
	if len(order) > 0 && !m.covered(fixed, order) {
		texts = append(texts, fmt.Sprintf("no index covers the public list in its own order: add [%s] to indexes", m.suggestion(order...)))
	}
	for _, name := range m.Public.sorts {
		if !m.covered(fixed, []string{name}) {
			texts = append(texts, fmt.Sprintf("no index covers the public list sorted by %q: add [%s] to indexes", name, m.suggestion(name)))
		}
	}
	for _, name := range m.Public.names {
		p := m.Public.parameters[name]
		if p.op == "search" || p.op == "exists" || p.field == nil || m.covered(fixed, []string{p.path}) {
			continue
		}
		texts = append(texts, fmt.Sprintf("no index covers the public filter %q: add [%s] to indexes", name, m.suggestion(p.path)))
	}
	return texts
}

func (m *Model) covered(fixed, order []string) bool {
	for _, i := range m.Indexes {
		if i.covers(fixed, order) {
			return true
		}
	}
	return false
}

// suggestion is an index for the public view: what its filter fixes, then the fields.
func (m *Model) suggestion(fields ...string) string {
	return strings.Join(append(m.Public.fixed(), fields...), ", ")
}

// fixed are the fields of which the view's own filter fixes the value.
func (v *View) fixed() (names []string) {
	for _, e := range v.filter {
		if _, pattern := e.Value.(bson.D); !pattern {
			names = append(names, e.Key)
		}
	}
	return names
}
