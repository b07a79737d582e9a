package model

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// sharedFile holds definitions by name, as if they were in the "$defs" of every model of its folder.
const sharedFile = "_defs.yaml"

// Load compiles every *.yaml file of a folder. The error is a Faults, unless the folder itself cannot be read. With an error there is no
// Set: a model that is half understood is not served.
func Load(files fs.FS) (*Set, error) {
	names, err := fs.Glob(files, "*.yaml")
	if err != nil {
		return nil, err
	}
	l := loader{set: &Set{byName: map[string]*Model{}}, owners: map[string]string{}}
	if at := slices.Index(names, sharedFile); at >= 0 {
		names = append([]string{sharedFile}, slices.Delete(names, at, at+1)...)
	}
	for _, name := range names {
		text, err := fs.ReadFile(files, name)
		if err != nil {
			return nil, fmt.Errorf("models: %w", err)
		}
		l.add(name, text)
		if name == sharedFile && len(l.faults) > 0 {
			return nil, l.faults // or each model that uses them would repeat them
		}
	}
	l.connect()
	if len(l.set.models) == 0 && len(l.faults) == 0 {
		return nil, errors.New("the models folder declares no model in a *.yaml file")
	}
	if len(l.faults) > 0 {
		return nil, l.faults
	}
	return l.set, nil
}

// loader compiles files one by one and knows what is taken by those before.
type loader struct {
	set    *Set
	faults Faults
	owners map[string]string // "route /api/x" → file
	shared *yaml.Node        // the definitions of sharedFile, or nil
	linked []linked
}

// linked is a compiled file whose references are still to be followed.
type linked struct {
	source *source
	model  *Model
}

func (l *loader) add(file string, text []byte) {
	s := &source{file: file, defs: map[string]*shape{}, shared: l.shared}
	root := s.parse(text)
	switch {
	case root == nil:
	case file == sharedFile:
		s.compileShared(root)
		l.shared = root
	default:
		m := s.compile(root)
		l.claim(s, root, m)
		l.linked = append(l.linked, linked{s, m})
	}
	slices.SortStableFunc(s.faults, func(a, b Fault) int { return a.Line - b.Line })
	l.faults = append(l.faults, s.faults...)
}

// connect follows the references between models, once all of them are known to be good by themselves.
func (l *loader) connect() {
	if len(l.faults) > 0 {
		return
	}
	for _, c := range l.linked {
		c.source.connect(c.model, l.set)
		l.faults = append(l.faults, c.source.faults...)
	}
}

// parse returns the one mapping of a file.
func (s *source) parse(text []byte) *yaml.Node {
	var document, second yaml.Node
	decoder := yaml.NewDecoder(strings.NewReader(string(text)))
	if err := decoder.Decode(&document); err != nil {
		s.fault(nil, "not YAML, or empty: %v", err)
		return nil
	}
	if decoder.Decode(&second) == nil {
		s.fault(&second, "one file declares one model: move what follows \"---\" to its own file")
		return nil
	}
	return document.Content[0]
}

// claim gives the model its name and routes, which no other model may have.
func (l *loader) claim(s *source, root *yaml.Node, m *Model) {
	l.claimOne(s, root, "model", m.Name)
	l.claimOne(s, root, "collection", m.Collection)
	for _, route := range m.Routes {
		l.claimOne(s, root, "route", route)
	}
	l.set.models = append(l.set.models, m)
	l.set.byName[m.Name] = m
}

func (l *loader) claimOne(s *source, root *yaml.Node, what, name string) {
	if name == "" {
		return // it is missing, and that has been said
	}
	key := what + " " + name
	if owner, taken := l.owners[key]; taken {
		s.fault(root, "the %s %q belongs to %s already", what, name, owner)
		return
	}
	l.owners[key] = s.file
}
