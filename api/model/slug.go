package model

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.yaml.in/yaml/v3"
)

// Slug is how a model's documents get addresses that people can read.
type Slug struct {
	// Field holds the address: a text, or one for each language.
	Field string
	// Lower is Field in lower case, where it is localized.
	Lower string

	from      string
	localized bool
}

// Claim is an address that a document wants to have.
type Claim struct {
	// Path is where it is stored, "slugLower.de".
	Path string
	// Text is the address.
	Text string
	// Made says that it was made of another field, so that another will do as well.
	Made bool

	language string // or empty
	shown    string // Text with the letters' case that the document's author gave it
	stem     string
	number   int
}

// Next changes an address that was made to the next one: "towel", "towel-2", "towel-3".
func (c *Claim) Next() {
	c.number = max(c.number, 1) + 1
	c.Text = c.stem + "-" + strconv.Itoa(c.number)
	c.shown = c.Text
}

// HeldBy reports whether a document has the address.
func (c *Claim) HeldBy(document bson.Raw) bool {
	held, _ := document.Lookup(strings.Split(c.Path, ".")...).StringValueOK()
	return held == c.Text
}

// maxLookups bounds the languages of one look-up, and so the documents that may have an address.
const maxLookups = len(languages)

// Lookup returns the condition that finds the documents with an address, in whatever language, and how many they may be.
func (s *Slug) Lookup(text string) (bson.E, int) {
	text = strings.ToLower(text)
	if !s.localized {
		return bson.E{Key: s.Field, Value: text}, 1
	}
	either := make(bson.A, len(languages))
	for i, language := range languages {
		either[i] = bson.D{{Key: s.Lower + "." + language, Value: text}}
	}
	return bson.E{Key: "$or", Value: either}, maxLookups
}

// In reports whether a document has an address in a language. The document holds what Projection keeps.
func (s *Slug) In(document bson.Raw, text string, language Language) bool {
	if !s.localized {
		return true
	}
	found, _ := document.Lookup(s.Lower, language.String()).StringValueOK()
	return found == strings.ToLower(text)
}

// paths are where the addresses are stored.
func (s *Slug) paths() []string {
	if !s.localized {
		return []string{s.stored()}
	}
	all := make([]string, len(languages))
	for i, language := range languages {
		all[i] = s.Lower + "." + language
	}
	return all
}

// stored is the field that documents are found by.
func (s *Slug) stored() string {
	if s.localized {
		return s.Lower
	}
	return s.Field
}

// claims returns the addresses that a document wants: those that it has, and for what has none those that its texts make.
func (s *Slug) claims(document bson.D) []Claim {
	if !s.localized {
		given, _ := valueOf(document, s.Field).(string)
		return appendClaim(nil, Claim{Path: s.Field}, given, oneText(valueOf(document, s.from)))
	}
	slugs, _ := valueOf(document, s.Field).(bson.D)
	texts, _ := valueOf(document, s.from).(bson.D)
	var all []Claim
	for _, language := range languages {
		given, _ := valueOf(slugs, language).(string)
		from, _ := valueOf(texts, language).(string)
		all = appendClaim(all, Claim{Path: s.Lower + "." + language, language: language}, given, from)
	}
	return all
}

// oneText is a text, or that of a localized field in the fallback language, else in the first that there is.
func oneText(v any) string {
	if text, ok := v.(string); ok {
		return text
	}
	texts, _ := v.(bson.D)
	if text, _ := valueOf(texts, Fallback.String()).(string); text != "" {
		return text
	}
	for _, e := range texts {
		if text, _ := e.Value.(string); text != "" {
			return text
		}
	}
	return ""
}

func appendClaim(all []Claim, c Claim, given, from string) []Claim {
	c.shown = address(given)
	if c.shown == "" {
		c.shown, c.Made = slugify(from), true
	}
	if c.shown == "" {
		return all
	}
	c.Text = strings.ToLower(c.shown)
	c.stem = c.Text
	return append(all, c)
}

// address is what somebody has given as one, or what is made of it where a path could not hold it. Addresses that are in use stay as
// they are, however they were made.
func address(given string) string {
	if given = strings.TrimSpace(given); len(given) > maxSlug || strings.ContainsFunc(given, isNoAddress) {
		return slugify(given)
	}
	return given
}

func isNoAddress(r rune) bool {
	return r < '-' || r == '/' || r == '?' || r == '\\' || unicode.IsSpace(r) || r == utf8.RuneError
}

// set writes claimed addresses into a document.
func (s *Slug) set(document bson.D, claims []Claim) bson.D {
	if !s.localized {
		for _, c := range claims {
			document = with(document, s.Field, c.Text)
		}
		return document
	}
	if len(claims) == 0 {
		return document
	}
	slugs, lower := make(bson.D, len(claims)), make(bson.D, len(claims))
	for i, c := range claims {
		slugs[i] = bson.E{Key: c.language, Value: c.shown}
		lower[i] = bson.E{Key: c.language, Value: c.Text}
	}
	return with(with(document, s.Field, slugs), s.Lower, lower)
}

func valueOf(document bson.D, name string) any {
	for _, e := range document {
		if e.Key == name {
			return e.Value
		}
	}
	return nil
}

// with returns the document with a field set. Its array may be changed.
func with(document bson.D, name string, value any) bson.D {
	for i := range document {
		if document[i].Key == name {
			document[i].Value = value
			return document
		}
	}
	return append(document, bson.E{Key: name, Value: value})
}

func (s *source) compileSlug(n *yaml.Node, m *Model) {
	if n == nil {
		return
	}
	given := s.mapping(n, "slug", "field", "from", "lower")
	slug := &Slug{
		Field: s.text(given.get("field"), "slug.field"),
		Lower: s.text(given.get("lower"), "slug.lower"),
		from:  s.text(given.get("from"), "slug.from"),
	}
	field, ok := m.Field(slug.Field)
	from, known := m.Field(slug.from)
	switch {
	case !ok:
		s.fault(n, "slug.field names the field %q, which the schema does not have", slug.Field)
		return
	case !known:
		s.fault(n, "slug.from names the field %q, which the schema does not have", slug.from)
		return
	case field.shape.localized && !from.shape.localized:
		s.fault(n, "slug: %q is localized, and so must be %q, which it is made of", slug.Field, slug.from)
		return
	case !field.shape.localized && field.shape.kind != kindString:
		s.fault(n, "slug: the field %q must be a string, or localized", slug.Field)
		return
	}
	slug.localized = field.shape.localized
	if slug.Lower == "" {
		slug.Lower = "slugLower"
	}
	if _, declared := m.Field(slug.Lower); slug.localized && declared {
		s.fault(n, "the field %q is set by the server and cannot be in the schema too", slug.Lower)
	}
	m.Slug = slug
}
