package model

import (
	"math"
	"strconv"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"

	"metahub/api/bsonjson"
)

// kind is what a value is in BSON.
type kind int

const (
	kindAny kind = iota
	kindString
	kindBoolean
	kindInteger
	kindNumber
	kindObject
	kindArray
	kindObjectID
	kindDate
)

// shape is the part of a schema that JSON Schema has no words for: which BSON type a value gets, and what fills it in.
type shape struct {
	kind       kind
	properties []property // of an object, as the file has them
	rest       *shape     // of an object's other properties
	closed     bool       // an object has no other properties
	items      *shape     // of an array
	lowercase  bool
	localized  bool
	ref        string // the model whose ids these are
	fallback   any    // the default, typed; nil: none
}

type property struct {
	name  string
	shape *shape
}

func (s *shape) property(name string) *shape {
	for _, p := range s.properties {
		if p.name == name {
			return p.shape
		}
	}
	return s.rest
}

// kept are the fields of an object, or of the objects in a list, that the schema declares, and ids, which other programs give them. It is
// nil where all may be there.
func (s *shape) kept() *bsonjson.Fields {
	if s = s.element(); !s.closed {
		return nil
	}
	names := []string{"_id"}
	for _, p := range s.properties {
		names = append(names, p.name)
	}
	keep := bsonjson.NewFields(names...)
	for _, p := range s.properties {
		if below := p.shape.kept(); below != nil {
			keep.Within(p.name, below)
		}
	}
	return keep
}

// normalize brings a value to the form that is validated: letters' case, and integers that came as the strings we send them as.
func (s *shape) normalize(v any) any {
	if s == nil {
		return v
	}
	switch v := v.(type) {
	case string:
		return s.normalizeString(v)
	case float64:
		return s.normalizeFloat(v)
	case bson.D:
		for i := range v {
			v[i].Value = s.property(v[i].Key).normalize(v[i].Value)
		}
		return v
	case bson.A:
		for i := range v {
			v[i] = s.items.normalize(v[i])
		}
		return v
	}
	return v
}

const maxExactInteger = 1 << 53

// normalizeString reads an integer beyond 2^53 from the string that the API writes it as.
func (s *shape) normalizeString(text string) any {
	if s.lowercase {
		return toLower(text)
	}
	if s.kind != kindInteger {
		return text
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || -maxExactInteger < n && n < maxExactInteger {
		return text
	}
	return n
}

// normalizeFloat makes 5.0 an integer where the schema wants one.
func (s *shape) normalizeFloat(f float64) any {
	if s.kind != kindInteger || f != math.Trunc(f) || math.Abs(f) >= maxExactInteger {
		return f
	}
	return shrink(int64(f))
}

// shrink makes an int64 an int32 where it fits, as the drivers of other languages do.
func shrink(v any) any {
	if n, ok := v.(int64); ok && math.MinInt32 <= n && n <= math.MaxInt32 {
		return int32(n)
	}
	return v
}

// toLower is the form in which e-mail addresses and the like are stored and searched.
func toLower(text string) string { return strings.ToLower(strings.TrimSpace(text)) }

// typed turns a value that is valid into what is stored. Issues name what JSON Schema lets pass and BSON cannot hold.
func (s *shape) typed(v any, at string, issues *[]Issue) any {
	if s == nil {
		return v
	}
	switch value := v.(type) {
	case string:
		typed, err := s.typedString(value)
		if err != nil {
			*issues = append(*issues, Issue{at, "must be " + err.Error()})
		}
		return typed
	case bson.D:
		for i, e := range value {
			value[i].Value = s.property(e.Key).typed(e.Value, join(at, e.Key), issues)
		}
		return s.fill(value)
	case bson.A:
		for i := range value {
			value[i] = s.items.typed(value[i], join(at, strconv.Itoa(i)), issues)
		}
	}
	return v
}

func (s *shape) typedString(text string) (any, error) {
	switch s.kind {
	case kindObjectID:
		return parseObjectID(text)
	case kindDate:
		return parseDate(text)
	}
	return text, nil
}

// fill adds the defaults of properties that are missing.
func (s *shape) fill(object bson.D) bson.D {
	for _, p := range s.properties {
		if p.shape.fallback != nil && !has(object, p.name) {
			object = append(object, bson.E{Key: p.name, Value: p.shape.fallback})
		}
	}
	return object
}

func has(object bson.D, name string) bool {
	for _, e := range object {
		if e.Key == name {
			return true
		}
	}
	return false
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}
