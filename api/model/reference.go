package model

import (
	"slices"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.yaml.in/yaml/v3"

	"metahub/api/bsonjson"
)

// Reference is a field in whose place a view shows the documents of another model, or those of them that the reader may see.
type Reference struct {
	// Field holds an id, or a list of them.
	Field string
	// Target is the model of the documents, View the one of its views that decides which of them, and what of them, are shown.
	Target *Model
	View   *View
	// Projection keeps all but the selected fields in the database.
	Projection bson.D

	whole bsonjson.Options
	flat  [len(languages)]bsonjson.Options
}

// Output says how the documents become JSON.
func (r *Reference) Output(language Language, flat bool) *bsonjson.Options {
	if flat {
		return &r.flat[language]
	}
	return &r.whole
}

// maxReferences bounds the populated fields of a view, each of which is a query more.
const maxReferences = 5

// link is a reference whose target is looked for once all files are read.
type link struct {
	view      *View
	reference *Reference
	target    string
	selected  []string
	at        *yaml.Node
}

// compileReferences reads what a view populates.
func (s *source) compileReferences(n *yaml.Node, m *Model, v *View) {
	populate := s.mapping(n, "populate")
	if len(populate.names) > maxReferences {
		s.fault(n, "populate names %d fields; at most %d may be", len(populate.names), maxReferences)
	}
	for _, name := range populate.names {
		at := populate.keys[name]
		f, ok := m.Field(name)
		switch {
		case !ok:
			s.fault(at, "populate names the field %q, which the schema does not have", name)
			continue
		case f.shape.element().ref == "":
			s.fault(at, "populate names the field %q, which has no x-ref", name)
			continue
		case f.Read < v.Audience:
			s.fault(at, "populate names the field %q, which this view does not show", name)
			continue
		}
		r := &Reference{Field: name}
		s.links = append(s.links, &link{v, r, f.shape.element().ref, s.texts(populate.get(name), "populate"), at})
		v.whole.Keep.Join(name, len(v.References))
		v.References = append(v.References, r)
	}
}

// connect finds the targets of a file's references among all models.
func (s *source) connect(m *Model, set *Set) {
	for _, f := range m.fields {
		ref := f.shape.element().ref
		if _, known := set.byName[ref]; ref != "" && !known {
			s.fault(f.at, "the field %q refers to the model %q, which no file declares", f.Name, ref)
		}
	}
	for _, l := range s.links {
		if target, known := set.byName[l.target]; known {
			s.connectOne(m, l, target)
		}
	}
}

// connectOne lets the readers of a view see of the target what its public view shows, or what its admin view shows where all of them
// may read that.
func (s *source) connectOne(m *Model, l *link, target *Model) {
	r := l.reference
	r.Target, r.View = target, target.Public
	if l.view.Audience == Admin && containsAll(target.Roles, m.Roles) {
		r.View = target.Admin
	}
	if r.View == nil {
		s.fault(l.at, "populate: nothing of the model %q is public, and its admins are others", target.Name)
		return
	}
	names := []string{"_id"}
	for _, name := range l.selected {
		f, ok := target.Field(name)
		if !ok || f.Read < r.View.Audience {
			s.fault(l.at, "populate selects the field %q, which the model %q does not show here", name, target.Name)
			continue
		}
		names = append(names, name)
	}
	if len(l.selected) == 0 {
		names = target.readable(r.View.Audience)
	}
	r.Projection = projectionOf(names)
	r.whole, r.flat = target.outputs(names)
}

func containsAll(all, some []string) bool {
	return !slices.ContainsFunc(some, func(name string) bool { return !slices.Contains(all, name) })
}

func projectionOf(names []string) bson.D {
	projection := make(bson.D, len(names))
	for i, name := range names {
		projection[i] = bson.E{Key: name, Value: 1}
	}
	return projection
}

// readable are the fields that an audience may read, and the id.
func (m *Model) readable(by Audience) []string {
	names := []string{"_id"}
	for _, f := range m.fields {
		if f.Read >= by {
			names = append(names, f.Name)
		}
	}
	return names
}

// outputs says how documents with some fields become JSON, whole and in each language. Within a field there is what the schema declares:
// other programs may have written more.
func (m *Model) outputs(names []string) (whole bsonjson.Options, flat [len(languages)]bsonjson.Options) {
	keep := bsonjson.NewFields(names...)
	for _, name := range names {
		f, ok := m.Field(name)
		if !ok {
			continue
		}
		if below := f.shape.kept(); below != nil {
			keep.Within(name, below)
		}
		if f.shape.localized {
			keep.Localize(name)
		}
	}
	whole = bsonjson.Options{Keep: keep}
	for i := range languages {
		flat[i] = bsonjson.Options{Keep: keep, Languages: Language(i).preference()}
	}
	return whole, flat
}
