package bsonjson

import (
	"bytes"
	"strings"
)

// Fields is a compiled set of dotted paths, "password" or "smtp.password". A path names the field with all that is below it, and goes
// through arrays as a MongoDB projection does. A Fields is immutable and may be shared by any number of goroutines.
type Fields struct {
	children  map[string]*Fields // nil: the whole value
	loose     bool               // values that have no fields are meant too
	localized bool
	join      int // the number of a mark, and 1
}

// NewFields compiles paths. NewFields() is the empty set, which is not nil: to keep the empty set is to keep nothing.
func NewFields(paths ...string) *Fields {
	root := &Fields{children: map[string]*Fields{}}
	for _, path := range paths {
		root.add(path)
	}
	return root
}

// Localize marks a top-level field of the set as a map of languages to texts. Marks are made before the set is shared.
func (f *Fields) Localize(name string) {
	if child := f.children[name]; child != nil {
		child.localized = true
	}
}

// Join marks a top-level field of the set as holding ids of the documents in Options.Joins[number].
func (f *Fields) Join(name string, number int) {
	if child := f.children[name]; child != nil {
		child.join = number + 1
	}
}

// Within narrows a top-level field of the set to some of what is below it: to a set of its own, which is not used for anything else. Values
// that have no fields stay as they are. It is done before the set is shared.
func (f *Fields) Within(name string, below *Fields) {
	if f.children[name] != nil {
		below.loose = true
		f.children[name] = below
	}
}

func (f *Fields) add(path string) {
	key, rest, deeper := strings.Cut(path, ".")
	if !deeper {
		f.children[key] = &Fields{}
		return
	}
	child := f.children[key]
	if child == nil {
		child = &Fields{children: map[string]*Fields{}}
		f.children[key] = child
	}
	if !child.whole() {
		child.add(rest)
	}
}

// below returns the paths that continue under key, or nil. A key with dots in it is taken as the path that it spells, so that the field
// "smtp.password" is hidden with "smtp.password" wherever it is.
func (f *Fields) below(key []byte) *Fields {
	if child := f.children[string(key)]; child != nil {
		return child // so the key has no dots
	}
	for {
		first, rest, dotted := bytes.Cut(key, []byte{'.'})
		f = f.children[string(first)]
		if f == nil || !dotted || f.whole() {
			return f
		}
		key = rest
	}
}

// whole reports whether f stands for a value with all that is below it.
func (f *Fields) whole() bool { return f.children == nil }

// partial reports whether f, which may be nil, names only fields below a value, so that a value without fields is not named.
func (f *Fields) partial() bool { return f != nil && !f.whole() && !f.loose }

// marked reports whether f, which may be nil, stands for a value that is not written as it is.
func (f *Fields) marked() bool { return f != nil && (f.localized || f.join > 0) }
