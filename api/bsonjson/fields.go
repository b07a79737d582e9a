package bsonjson

import (
	"bytes"
	"strings"
)

// Fields is a compiled set of dotted paths, "password" or "smtp.password". A path names the field with all that is below it, and goes
// through arrays as a MongoDB projection does. A Fields is immutable and may be shared by any number of goroutines.
type Fields struct{ children map[string]*Fields } // nil children: the whole value

// NewFields compiles paths. NewFields() is the empty set, which is not nil: to keep the empty set is to keep nothing.
func NewFields(paths ...string) *Fields {
	root := &Fields{children: map[string]*Fields{}}
	for _, path := range paths {
		root.add(path)
	}
	return root
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
func (f *Fields) partial() bool { return f != nil && !f.whole() }
