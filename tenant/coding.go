package tenant

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Coding is a content coding that answers are compressed with (RFC 9110 §8.4.1). Its zero value is none.
type Coding uint8

// The codings.
const (
	Identity Coding = iota
	Zstd
	Brotli
	Gzip
)

var codingNames = [...]string{Identity: "identity", Zstd: "zstd", Brotli: "br", Gzip: "gzip"}

// String is the coding's name in HTTP.
func (c Coding) String() string { return codingNames[c] }

// Codings are those that a tenant's answers may be compressed with, the preferred one first; Identity fills the rest. The zero value
// compresses nothing. Codings can be compared with ==.
type Codings [3]Coding

// AllCodings is every coding in the usual order. br made on the fly costs several times the work of gzip for pages that are no shorter, so it
// is for clients that know nothing else or ask for it.
func AllCodings() Codings { return Codings{Zstd, Gzip, Brotli} }

// IsZero reports whether nothing is to be compressed.
func (c Codings) IsZero() bool { return c == Codings{} }

// String is how an administrator writes it: "true", "false", or names with commas between them.
func (c Codings) String() string {
	switch c {
	case Codings{}:
		return "false"
	case AllCodings():
		return "true"
	}
	var names []string
	for _, coding := range c {
		if coding != Identity {
			names = append(names, coding.String())
		}
	}
	return strings.Join(names, ",")
}

// parseCodings is the inverse of String; a comma may be followed by a space.
func parseCodings(text string) (Codings, error) {
	switch strings.ToLower(text) {
	case "true":
		return AllCodings(), nil
	case "false":
		return Codings{}, nil
	case "":
		return Codings{}, errors.New("names nothing: write true, false or a list like [zstd, br, gzip]")
	}
	var codings Codings
	for i, name := range strings.Split(text, ",") {
		name = strings.TrimSpace(name)
		at := slices.Index(codingNames[Zstd:], name)
		if at < 0 {
			return Codings{}, fmt.Errorf("%q is no compression: write true, false or a list of zstd, br and gzip", clip(name))
		}
		coding := Zstd + Coding(at)
		if slices.Contains(codings[:], coding) {
			return Codings{}, fmt.Errorf("names %q twice: keep one", name)
		}
		codings[i] = coding // what is neither unknown nor there twice fits
	}
	return codings, nil
}

// codings returns true, false or a list as parseCodings reads it.
func (d *decoder) codings(n *yaml.Node, key string) (value, bool) {
	if n == nil || n.Kind != yaml.SequenceNode {
		return d.text(n, key)
	}
	var names []string
	for _, item := range d.list(n, key, "zstd, br, gzip") {
		names = append(names, item.text)
	}
	return value{strings.Join(names, ","), d.place(n)}, len(names) == len(n.Content)
}

// compress reads how the tenant's answers are compressed.
func (e *entry) compress() {
	v, ok := e.decoder.codings(e.fields[keyCompress], tenantKeys[keyCompress])
	if !ok {
		return
	}
	codings, err := parseCodings(v.text)
	if e.check(keyCompress, v.at, err) {
		e.tenant.Compress = codings
	}
}

// codings reads a key outside the tenants.
func (s *settings) codings(key string) Codings {
	v := s.text(key)
	codings, err := parseCodings(v.text)
	s.check(key, v.at, err)
	return codings
}
