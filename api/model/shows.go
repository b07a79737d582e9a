package model

import (
	"bytes"
	"math"
	"regexp"
	"slices"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// Shows reports whether a view shows a document, which need only have the fields that Watched names. It answers as the database would,
// for the filters that a model can have.
func (m *Model) Shows(in Scope, view *View, document bson.Raw) bool {
	for _, condition := range m.narrow(nil, in, view) {
		value := document.Lookup(condition.Key)
		if _, pattern := condition.Value.(bson.D); pattern {
			if anyOf(value, func(v bson.RawValue) bool { return matches(v, view.exceptions[condition.Key]) }) {
				return false
			}
			continue
		}
		if !anyOf(value, func(v bson.RawValue) bool { return equal(v, condition.Value) }) {
			return false
		}
	}
	return true
}

// anyOf asks of a value, or of each element of a list.
func anyOf(value bson.RawValue, meets func(bson.RawValue) bool) bool {
	list, ok := value.ArrayOK()
	if !ok {
		return meets(value)
	}
	values, err := list.Values()
	return err == nil && slices.ContainsFunc(values, meets)
}

func matches(value bson.RawValue, pattern *regexp.Regexp) bool {
	text, ok := value.StringValueOK()
	return ok && pattern.MatchString(text)
}

// equal compares as the database does: numbers by their value, whatever their type.
func equal(value bson.RawValue, constant any) bool {
	kind, raw, err := bson.MarshalValue(constant)
	if err != nil {
		return false
	}
	if value.IsNumber() {
		other := bson.RawValue{Type: kind, Value: raw}
		return other.IsNumber() && numberOf(value) == numberOf(other)
	}
	return value.Type == kind && bytes.Equal(value.Value, raw)
}

func numberOf(value bson.RawValue) float64 {
	if d, ok := value.DoubleOK(); ok {
		return d
	}
	if n, ok := value.AsInt64OK(); ok {
		return float64(n)
	}
	return math.NaN()
}

// Watched returns the collections of the models, and the fields that say who is shown their documents.
func (s *Set) Watched() (collections, fields []string) {
	for _, m := range s.models {
		collections = append(collections, m.Collection)
		for _, view := range m.views() {
			for _, condition := range m.narrow(nil, Scope{}, view) {
				fields = append(fields, condition.Key)
			}
		}
	}
	return distinct(collections), distinct(fields)
}

func distinct(names []string) []string {
	slices.Sort(names)
	return slices.Compact(names)
}

// Touches reports whether a change of a document, as a change stream describes it, changes one of the fields.
func Touches(fields []string, description bson.Raw) bool {
	if updated, ok := description.Lookup("updatedFields").DocumentOK(); ok {
		elements, err := updated.Elements()
		if err != nil || slices.ContainsFunc(elements, func(e bson.RawElement) bool { return among(fields, e.Key()) }) {
			return true
		}
	}
	removed, ok := description.Lookup("removedFields").ArrayOK()
	if !ok {
		return false
	}
	values, err := removed.Values()
	return err != nil || slices.ContainsFunc(values, func(v bson.RawValue) bool {
		name, ok := v.StringValueOK()
		return !ok || among(fields, name)
	})
}

// among reports whether a path is one of the fields, or in one.
func among(fields []string, path string) bool {
	name, _, _ := strings.Cut(path, ".")
	return slices.Contains(fields, name)
}
