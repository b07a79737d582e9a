package model

import (
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Index is one that a model's collection should have.
type Index struct {
	// Fields are its keys in order, "-createdAt" in descending order.
	Fields []string
	// Unique refuses a second document with the same values.
	Unique bool
	// Exists, when not empty, is the path without which a document is not in the index.
	Exists string
}

// compileIndexes collects the indexes that the file lists, and those that its other keys need.
func (s *source) compileIndexes(n *yaml.Node, m *Model) {
	for _, fields := range m.Unique {
		m.Indexes = append(m.Indexes, Index{Fields: fields, Unique: true})
	}
	if m.Slug != nil {
		for _, path := range m.Slug.paths() {
			m.Indexes = append(m.Indexes, Index{Fields: m.prefixed(path), Unique: true, Exists: path})
		}
	}
	if len(m.words) > 0 {
		m.Indexes = append(m.Indexes, Index{Fields: m.prefixed(wordsField)})
	}
	if m.owner != "" {
		m.Indexes = append(m.Indexes, Index{Fields: m.prefixed(m.owner)})
	}
	for _, list := range s.list(n, "indexes") {
		fields := s.texts(list, "an element of indexes")
		for _, field := range fields {
			base, _, _ := strings.Cut(strings.TrimPrefix(field, "-"), ".")
			if _, ok := m.Field(base); !ok {
				s.fault(list, "indexes names the field %q, which the schema does not have", base)
			}
		}
		m.Indexes = append(m.Indexes, Index{Fields: m.prefixed(fields...)})
	}
	if len(m.Indexes) > maxIndexes {
		s.fault(n, "the collection would have %d indexes; MongoDB takes %d", len(m.Indexes), maxIndexes)
	}
}

// maxIndexes is MongoDB's limit, without the index of _id.
const maxIndexes = 63

// prefixed puts the tenant's field in front, which is part of every filter.
func (m *Model) prefixed(fields ...string) []string {
	if m.TenantField == "" {
		return fields
	}
	return append([]string{m.TenantField}, fields...)
}

// covers reports whether an index finds documents by fixed values of some fields in the order of others, read in either direction.
func (i Index) covers(fixed []string, order []string) bool {
	rest := i.Fields
	for len(rest) > 0 && slices.Contains(fixed, strings.TrimPrefix(rest[0], "-")) {
		rest = rest[1:]
	}
	if i.Exists != "" || len(order) > len(rest) {
		return false
	}
	same, opposite := true, true
	for at, key := range order {
		same = same && rest[at] == key
		opposite = opposite && rest[at] == reversed(key)
	}
	return same || opposite
}

func reversed(key string) string {
	if name, ok := strings.CutPrefix(key, "-"); ok {
		return name
	}
	return "-" + key
}
