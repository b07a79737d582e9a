package model

import (
	"fmt"
	"slices"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.yaml.in/yaml/v3"
)

// Upload is how the files of a form get into a field: a list of objects, each with the address of a file as its url, or one such object.
type Upload struct {
	// Field is the list, or the object.
	Field *Field
	// Single says that the field is one object. It may be a text as well, where other programs put an address.
	Single bool

	files  []string // the parts of a form that may be files
	remove []string // fields of a form that name elements to be removed
	order  string   // the field of a form that names the elements in their new order, or empty
	max    int      // elements; 0: any number
	names  []string // of the members that an element may have
}

// uploadMembers are what the server sets in an element, besides its _id.
var uploadMembers = []string{"url", "thumbnail", "webp", "publicId"}

// compileUpload reads an x-upload: {files, remove, order}.
func (s *source) compileUpload(f *Field, flags mapping, m *Model) {
	n := flags.get("x-upload")
	if n == nil {
		return
	}
	words := s.mapping(n, "x-upload", "files", "remove", "order")
	u := &Upload{
		Field: f, files: append([]string{f.Name}, s.texts(words.get("files"), "x-upload.files")...),
		remove: s.texts(words.get("remove"), "x-upload.remove"), order: s.text(words.get("order"), "x-upload.order"),
	}
	if f.shape.kind == kindArray {
		u.max = s.count(flags.get("maxItems"), "maxItems", 0, maxFormList)
	}
	item := f.shape.element()
	switch {
	case f.shape.kind == kindAny:
		u.Single, u.names = true, uploadMembers
	case item.kind != kindObject || item.property("url") == nil:
		s.fault(n, "the field %q must be a list of objects with a url to take files, or one such object, or have no type", f.Name)
		return
	default:
		u.Single = f.shape.kind != kindArray
	}
	if u.Single && (len(u.remove) > 0 || u.order != "") {
		s.fault(n, "the field %q is one object: there is nothing to remove or to order", f.Name)
	}
	for _, name := range append([]string{"_id"}, uploadMembers...) {
		if p := item.property(name); p != nil {
			u.names = append(u.names, name)
			if want := memberKind(name); p.kind != want {
				s.fault(n, "%q in the elements of %q must be %s to take files", name, f.Name, kindWords[want])
			}
		}
	}
	if f.Write == Public || f.Write == Nobody {
		s.fault(n, "the field %q takes files: its x-write must be owner or admin", f.Name)
	}
	if m.Upload != nil {
		s.fault(n, "the field %q takes files already: a model has one that does", m.Upload.Field.Name)
	}
	m.Upload = u
}

func memberKind(name string) kind {
	if name == "_id" {
		return kindObjectID
	}
	return kindString
}

var kindWords = map[kind]string{kindObjectID: "an x-bson objectId", kindString: "a string"}

// checkUpload refuses names of a form that mean something else already, and documents that need the server's fields before they are there.
func (s *source) checkUpload(at *yaml.Node, m *Model) {
	u := m.Upload
	if u == nil {
		return
	}
	if u.Field.required {
		s.fault(at, "required names the field %q, which takes files: they come after the body was judged", u.Field.Name)
	}
	seen := map[string]bool{u.Field.Name: true}
	for _, name := range slices.Concat(u.files[1:], u.remove, []string{u.order}) {
		if name == "" {
			continue
		}
		if _, declared := m.Field(name); declared || seen[name] || slices.Contains(reserved, name) || slices.Contains(m.ignored, name) || !fieldName.MatchString(name) {
			s.fault(at, "x-upload names %q, which means something else already or cannot be a name", name)
		}
		seen[name] = true
	}
}

// Takes reports whether a part of a form, written by an audience, may be a file.
func (u *Upload) Takes(name string, by Audience) bool {
	if len(name) > 2 && name[len(name)-2:] == "[]" {
		name = name[:len(name)-2]
	}
	return u != nil && u.Field.Write >= by && slices.Contains(u.files, name)
}

// Arrangement is what a form does to the elements that are there: which go, and in which order the others are. Elements are named by
// url, publicId or _id.
type Arrangement struct{ Remove, Order []string }

// Empty reports whether nothing is arranged.
func (a Arrangement) Empty() bool { return len(a.Remove)+len(a.Order) == 0 }

// Arrangement takes what a form says of it out of its body.
func (m *Model) Arrangement(body bson.D, by Audience) (bson.D, Arrangement, []Issue) {
	var a Arrangement
	var issues []Issue
	u := m.Upload
	if u == nil {
		return body, a, nil
	}
	body = slices.DeleteFunc(body, func(e bson.E) bool {
		remove, order := slices.Contains(u.remove, e.Key), e.Key == u.order
		if !remove && !order {
			return false
		}
		names, ok := namesIn(e.Value)
		switch {
		case !ok:
			issues = append(issues, Issue{e.Key, "must be a list of addresses or ids"})
		case len(names) > 0 && u.Field.Write < by:
			issues = append(issues, Issue{e.Key, "is not a field that can be set"})
		case remove:
			a.Remove = append(a.Remove, names...)
		default:
			a.Order = names
		}
		return true
	})
	return body, a, issues
}

// namesIn reads a list of texts, or of objects with one of the members that name an element.
func namesIn(v any) (names []string, ok bool) {
	list, ok := v.(bson.A)
	if !ok {
		return nil, v == nil
	}
	for _, element := range list {
		switch element := element.(type) {
		case string:
			names = append(names, element)
		case bson.D:
			found := slices.DeleteFunc(namesOf(element), func(name string) bool { return name == "" })
			if len(found) == 0 {
				return nil, false
			}
			names = append(names, found[0])
		default:
			return nil, false
		}
	}
	return names, true
}

// namesOf are the names of an element.
func namesOf(element any) []string {
	object, _ := element.(bson.D)
	var names []string
	for _, key := range []string{"_id", "url", "publicId"} {
		switch v := valueOf(object, key).(type) {
		case string:
			names = append(names, v)
		case bson.ObjectID:
			names = append(names, v.Hex())
		}
	}
	return names
}

// Element is what the list has of a new file.
func (u *Upload) Element(url, name string) bson.D {
	element := bson.D{}
	for _, member := range u.names {
		switch member {
		case "_id":
			element = append(element, bson.E{Key: member, Value: bson.NewObjectID()})
		case "publicId":
			element = append(element, bson.E{Key: member, Value: name})
		default:
			element = append(element, bson.E{Key: member, Value: url})
		}
	}
	return element
}

// URLs are the addresses in a document's list or object.
func (u *Upload) URLs(document bson.Raw) (urls []string) {
	if u == nil {
		return nil
	}
	field := document.Lookup(u.Field.Name)
	elements := []bson.RawValue{field}
	if list, ok := field.ArrayOK(); ok {
		var err error
		if elements, err = list.Values(); err != nil {
			return nil
		}
	}
	for _, element := range elements {
		if object, ok := element.DocumentOK(); ok {
			if url, ok := object.Lookup("url").StringValueOK(); ok {
				urls = append(urls, url)
			}
		}
	}
	return urls
}

// arrange returns a list with what is removed gone, the others in their order, and the new elements at its end.
func (u *Upload) arrange(list bson.A, a Arrangement, added bson.A) (bson.A, []Issue) {
	rank := func(element any) int {
		for _, name := range namesOf(element) {
			if i := slices.Index(a.Order, name); i >= 0 {
				return i
			}
		}
		return len(a.Order)
	}
	kept := slices.DeleteFunc(slices.Clone(list), func(element any) bool {
		return slices.ContainsFunc(namesOf(element), func(name string) bool { return slices.Contains(a.Remove, name) })
	})
	slices.SortStableFunc(kept, func(x, y any) int { return rank(x) - rank(y) })
	kept = append(kept, added...)
	if u.max > 0 && len(kept) > u.max && len(kept) > len(list) {
		return nil, []Issue{{u.Field.Name, fmt.Sprintf("must have at most %d elements", u.max)}}
	}
	return kept, nil
}

// Arrange adds files to a new document.
func (d *Draft) Arrange(a Arrangement, added bson.A) []Issue {
	u := d.model.Upload
	if u.Single {
		for _, one := range added {
			d.set(u.Field.Name, one)
		}
		return nil
	}
	list, _ := valueOf(d.document, u.Field.Name).(bson.A)
	list, issues := u.arrange(list, a, added)
	if len(issues) == 0 {
		d.set(u.Field.Name, list)
	}
	return issues
}

// Arrange returns a change that also adds files to a document and arranges those that are there, or those that it sets.
func (c Change) Arrange(m *Model, document bson.Raw, a Arrangement, added bson.A) (Change, []Issue) {
	name := m.Upload.Field.Name
	if m.Upload.Single {
		for _, one := range added {
			c.Set = with(slices.Clone(c.Set), name, one)
		}
		return c, nil
	}
	list, set := valueOf(c.Set, name).(bson.A)
	if !set && !slices.Contains(c.removed, name) {
		var there bson.D
		if err := bson.Unmarshal(document, &there); err != nil {
			return c, []Issue{{name, "cannot be read"}}
		}
		list, _ = valueOf(there, name).(bson.A)
	}
	list, issues := m.Upload.arrange(list, a, added)
	if len(issues) > 0 {
		return c, issues
	}
	c.Set = with(slices.Clone(c.Set), name, list)
	c.removed = slices.DeleteFunc(slices.Clone(c.removed), func(removed string) bool { return removed == name })
	return c, nil
}

// is reports whether a field is the one object that files are for.
func (u *Upload) is(f *Field) bool { return u != nil && u.Single && u.Field == f }

// arranges reports whether a field of a form says what becomes of elements that are there.
func (u *Upload) arranges(name string) bool {
	return u != nil && name != "" && (name == u.order || slices.Contains(u.remove, name))
}
