package model

import (
	"slices"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// Writer is who writes a document.
type Writer struct {
	// Audience is Admin, Owner or Public.
	Audience Audience
	Scope
	// Now is when.
	Now time.Time
}

// Draft is a document that is about to be written.
type Draft struct {
	// Claims are the addresses that the document wants. Who writes it makes sure that they are free, and changes those that were made.
	Claims []Claim

	model    *Model
	document bson.D
	changed  []string // fields, those that the server sets included
	removed  []string
}

// Change is a body that was found good: what is to be set in a document, and what is to be removed.
type Change struct {
	Set bson.D

	removed []string
	at      time.Time
}

// Create turns a body into a new document: validated, typed, with defaults and with the fields that the server sets. The body's own
// values are reused.
func (m *Model) Create(body bson.D, by Writer) (*Draft, []Issue) {
	body = slices.DeleteFunc(m.strip(body), func(e bson.E) bool { return e.Value == nil && m.removable(e.Key, by.Audience) })
	document, issues := m.check(body, m.validators[by.Audience].create)
	if len(issues) > 0 {
		return nil, issues
	}
	document = append(bson.D{{Key: "_id", Value: bson.NewObjectIDFromTimestamp(by.Now)}}, m.shape.fill(document)...)
	if m.TenantField != "" {
		document = append(document, bson.E{Key: m.TenantField, Value: by.Tenant})
	}
	if m.owner != "" && !by.User.IsZero() && !has(document, m.owner) {
		document = append(document, bson.E{Key: m.owner, Value: by.User})
	}
	if m.timestamps {
		at := bson.NewDateTimeFromTime(by.Now)
		document = append(document, bson.E{Key: createdAt, Value: at}, bson.E{Key: updatedAt, Value: at})
	}
	d := &Draft{model: m, document: document}
	d.derive(by.Now, func(string) bool { return true })
	return d, nil
}

// Change judges a body with some of the fields. Localized fields are changed by language, all others as a whole; null removes a field
// that is not required.
func (m *Model) Change(body bson.D, by Writer) (Change, []Issue) {
	c := Change{at: by.Now}
	body = slices.DeleteFunc(m.strip(body), func(e bson.E) bool {
		removes := e.Value == nil && m.removable(e.Key, by.Audience)
		if removes {
			c.removed = append(c.removed, e.Key)
		}
		return removes
	})
	var issues []Issue
	c.Set, issues = m.check(body, m.validators[by.Audience].patch)
	return c, issues
}

// With returns the change that also sets a field, unless it does already.
func (c Change) With(name string, value any) Change {
	if !has(c.Set, name) && !slices.Contains(c.removed, name) {
		c.Set = append(slices.Clip(c.Set), bson.E{Key: name, Value: value})
	}
	return c
}

// Empty reports whether there is nothing to change.
func (c *Change) Empty() bool { return len(c.Set)+len(c.removed) == 0 }

// strip leaves out of a body what only the server sets, which clients send back as they got it, and what the model ignores.
func (m *Model) strip(body bson.D) bson.D {
	return slices.DeleteFunc(body, func(e bson.E) bool {
		switch e.Key {
		case "_id", "__v", m.TenantField:
			return true
		case createdAt, updatedAt:
			return m.timestamps
		}
		return m.Slug != nil && m.Slug.localized && e.Key == m.Slug.Lower || slices.Contains(m.ignored, e.Key)
	})
}

func (m *Model) removable(name string, by Audience) bool {
	f, ok := m.Field(name)
	if !ok || f.Write < by || f.required {
		return false
	}
	return f.shape.kind != kindAny || m.Upload.is(f) // else null is a value like any other
}

// Replace returns the change that leaves of a document its id, its tenant and when it was made, and what is set.
func (m *Model) Replace(document bson.Raw, set bson.D, now time.Time) (Change, error) {
	elements, err := document.Elements()
	if err != nil {
		return Change{}, err
	}
	c := Change{Set: set, at: now}
	for _, e := range elements {
		name := e.Key()
		if name != "_id" && name != Revision && name != m.TenantField && name != createdAt && !has(set, name) {
			c.removed = append(c.removed, name)
		}
	}
	return c, nil
}

// Update makes the draft of a document that is there, changed. The document's own values may be reused.
func (m *Model) Update(document bson.D, c Change) *Draft {
	d := &Draft{model: m, document: document}
	for _, e := range c.Set {
		value := e.Value
		if f, ok := m.Field(e.Key); ok && f.shape.localized {
			value = merged(valueOf(document, e.Key), value)
		}
		d.set(e.Key, value)
	}
	for _, name := range c.removed {
		d.remove(name)
	}
	if m.timestamps {
		d.set(updatedAt, bson.NewDateTimeFromTime(c.at))
	}
	d.derive(c.at, func(name string) bool { return slices.Contains(d.changed, name) || slices.Contains(d.removed, name) })
	return d
}

// Incomplete returns the filter of the documents that lack what the server makes of other fields. ok is false where the model has
// nothing of the kind.
func (m *Model) Incomplete(in Scope) (filter bson.D, ok bool) {
	var lacks bson.A
	missing := func(name string) {
		lacks = append(lacks, bson.D{{Key: name, Value: bson.D{{Key: "$exists", Value: false}}}})
	}
	if m.Slug != nil {
		missing(m.Slug.stored())
	}
	if len(m.words) > 0 {
		missing(wordsField)
	}
	return m.Select(in, m.Admin, bson.E{Key: "$or", Value: lacks}), len(lacks) > 0
}

// Complete makes the draft of a document that is there, with what the server makes of its fields and without any other change.
func (m *Model) Complete(document bson.D) *Draft {
	d := &Draft{model: m, document: document}
	if m.Slug != nil {
		d.Claims = m.Slug.claims(document)
		for i := range d.Claims {
			d.Claims[i].Made = true // an address that two documents have already is no reason to leave both without
		}
	}
	if m.Slug != nil && m.Slug.localized && len(d.Claims) == 0 {
		d.set(m.Slug.Lower, bson.D{})
	}
	if len(m.words) > 0 {
		d.set(wordsField, m.wordsOf(document))
	}
	return d
}

// Empty reports whether the draft of a document that is there is that document.
func (d *Draft) Empty() bool { return len(d.changed)+len(d.removed)+len(d.Claims) == 0 }

// merged changes those languages of a map that another has.
func merged(old, change any) any {
	before, ok := old.(bson.D)
	after, also := change.(bson.D)
	if !ok || !also {
		return change
	}
	out := slices.Clone(before)
	for _, e := range after {
		out = with(out, e.Key, e.Value)
	}
	return out
}

func (d *Draft) set(name string, value any) {
	d.document = with(d.document, name, value)
	if !slices.Contains(d.changed, name) {
		d.changed = append(d.changed, name)
	}
}

func (d *Draft) remove(name string) {
	if !has(d.document, name) {
		return
	}
	d.document = slices.DeleteFunc(d.document, func(e bson.E) bool { return e.Key == name })
	d.removed = append(d.removed, name)
}

// derive sets what the server makes of other fields.
func (d *Draft) derive(now time.Time, changed func(string) bool) {
	m := d.model
	for _, f := range m.fields {
		if f.setWhen == "" || changed(f.Name) && has(d.document, f.Name) || !changed(f.setWhen) {
			continue
		}
		on, _ := valueOf(d.document, f.setWhen).(bool)
		switch {
		case !on:
			d.remove(f.Name)
		case valueOf(d.document, f.Name) == nil:
			d.set(f.Name, bson.NewDateTimeFromTime(now))
		}
	}
	if m.Slug != nil && (changed(m.Slug.Field) || changed(m.Slug.from)) {
		d.Claims = m.Slug.claims(d.document)
	}
	if slices.ContainsFunc(m.words, func(f *Field) bool { return changed(f.Name) }) {
		d.set(wordsField, m.wordsOf(d.document))
	}
}

func (m *Model) wordsOf(document bson.D) bson.A {
	var texts []string
	for _, f := range m.words {
		texts = appendTexts(texts, valueOf(document, f.Name))
	}
	words := index(texts)
	list := make(bson.A, len(words))
	for i, word := range words {
		list[i] = word
	}
	return list
}

func appendTexts(texts []string, v any) []string {
	switch v := v.(type) {
	case string:
		return append(texts, v)
	case bson.D:
		for _, e := range v {
			texts = appendTexts(texts, e.Value)
		}
	case bson.A:
		for _, element := range v {
			texts = appendTexts(texts, element)
		}
	}
	return texts
}

// ID returns the document's.
func (d *Draft) ID() any { return valueOf(d.document, "_id") }

// Document returns the whole document, its claims included.
func (d *Draft) Document() bson.D {
	d.claim()
	return d.document
}

func (d *Draft) claim() {
	if len(d.Claims) == 0 {
		return
	}
	d.document = d.model.Slug.set(d.document, d.Claims)
	d.changed = append(d.changed, d.model.Slug.Field)
	if d.model.Slug.localized {
		d.changed = append(d.changed, d.model.Slug.Lower)
	}
	slices.Sort(d.changed)
	d.changed = slices.Compact(d.changed)
}

// Operators returns the update that makes the stored document the draft's.
func (d *Draft) Operators() bson.D {
	d.claim()
	var set, unset bson.D
	for _, name := range d.changed {
		if has(d.document, name) {
			set = append(set, bson.E{Key: name, Value: valueOf(d.document, name)})
		}
	}
	for _, name := range d.removed {
		if !has(d.document, name) {
			unset = append(unset, bson.E{Key: name, Value: ""})
		}
	}
	update := bson.D{{Key: "$inc", Value: bson.D{{Key: Revision, Value: 1}}}}
	if len(set) > 0 {
		update = append(update, bson.E{Key: "$set", Value: set})
	}
	if len(unset) > 0 {
		update = append(update, bson.E{Key: "$unset", Value: unset})
	}
	return update
}

// VersionFields are the fields that tell one version of a document from another: whoever writes it changes one of them. The slice must not
// be changed.
func (m *Model) VersionFields() []string {
	if m.timestamps {
		return versionFields[:]
	}
	return versionFields[:2]
}

var versionFields = [...]string{"_id", Revision, updatedAt}

// Guard returns the conditions under which a document is still as it was read: neither we nor another program has written it since.
func (m *Model) Guard(document bson.Raw) []bson.E {
	var guard []bson.E
	for _, name := range m.VersionFields()[1:] {
		guard = append(guard, bson.E{Key: name, Value: valueAt(document, name)})
	}
	return guard
}

// valueAt returns a field's value, or nil, which as a condition means a missing field too.
func valueAt(document bson.Raw, name string) any {
	v, err := document.LookupErr(name)
	if err != nil {
		return nil
	}
	return v
}
