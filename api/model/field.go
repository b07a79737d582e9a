package model

import (
	"errors"
	"strconv"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.yaml.in/yaml/v3"
)

// Audience is who may do something with a field. A wider audience is greater.
type Audience int

// The audiences.
const (
	Nobody Audience = iota
	Admin
	Owner
	Public
)

// Field is a top-level field of a model with what each audience may do.
type Field struct {
	Name string
	// Read, Filter, Sort and Write are the widest audience that may. Filter and Sort are never wider than Read: who may search by a
	// value can guess it.
	Read, Filter, Sort, Write Audience

	// Hash is what a password is stored as; empty for all other fields.
	Hash Hash

	shape    *shape
	required bool
	setWhen  string // the boolean field that sets this date
	at       *yaml.Node
}

// Localized reports whether the field is a map of languages to texts.
func (f *Field) Localized() bool { return f.shape.localized }

// Hash is a function for passwords.
type Hash string

// The hashes of passwords.
const (
	Argon2id Hash = "argon2id" // RFC 9106
	Bcrypt   Hash = "bcrypt"   // which other programs on the same database may know alone
)

// Parse turns a query parameter's value into the field's BSON type. The error completes the sentence "the value must be …".
func (f *Field) Parse(text string) (any, error) {
	s := f.shape.element()
	switch s.kind {
	case kindBoolean:
		return parseBoolean(text)
	case kindInteger:
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return nil, errors.New("a whole number")
		}
		return n, nil
	case kindNumber:
		return parseNumber(text)
	case kindObjectID:
		return parseObjectID(text)
	case kindDate:
		return parseDate(text)
	}
	if s.lowercase {
		return toLower(text), nil
	}
	return text, nil
}

// element is what a condition on s compares with: equality with an array means equality with one of its elements.
func (s *shape) element() *shape {
	if s.kind == kindArray && s.items != nil {
		return s.items
	}
	return s
}

func parseBoolean(text string) (any, error) {
	switch text {
	case "true":
		return true, nil
	case "false":
		return false, nil
	}
	return nil, errors.New(`"true" or "false"`)
}

func parseNumber(text string) (any, error) {
	if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		return n, nil
	}
	n, err := strconv.ParseFloat(text, 64)
	if err != nil || n != n || n-n != 0 {
		return nil, errors.New("a number")
	}
	return n, nil
}

func parseObjectID(text string) (any, error) {
	id, err := bson.ObjectIDFromHex(text)
	if err != nil {
		return nil, errors.New("24 hexadecimal digits")
	}
	return id, nil
}

// parseDate reads RFC 3339, or a day, which is its first moment in UTC.
func parseDate(text string) (any, error) {
	for _, layout := range []string{time.RFC3339, time.DateOnly} {
		if at, err := time.Parse(layout, text); err == nil {
			return bson.NewDateTimeFromTime(at), nil
		}
	}
	return nil, errors.New(`a date like "2025-01-31T09:00:00Z"`)
}
