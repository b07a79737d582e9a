package model

import (
	"slices"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.yaml.in/yaml/v3"
)

// End is how an account ends.
type End string

// The ends of accounts.
const (
	Remove    End = "remove"    // there is no document any more
	Anonymise End = "anonymise" // a document stays for those that refer to it, with nothing in it that says whose it was
)

// Files reports whether the action takes the files of a form.
func (a *Action) Files() bool { return a.files != "" }

// Sets returns the fields that the action may change.
func (a *Action) Sets() []string {
	names := slices.Clone(a.fields)
	for _, name := range []string{a.toggle, a.within, a.files} {
		if name != "" {
			names = append(names, name)
		}
	}
	for _, e := range a.values {
		names = append(names, e.Key)
	}
	return names
}

// Confirms reports whether the field is set only by who also sends the present password.
func (a *Action) Confirms(field string) bool { return slices.Contains(a.confirm, field) }

// Unconfirmed reports whether a body sets a field that the action confirms to another value than the document has.
func (a *Action) Unconfirmed(m *Model, document bson.Raw, body bson.D) bool {
	return slices.ContainsFunc(body, func(e bson.E) bool {
		f, ok := m.Field(e.Key)
		if !ok || !a.Confirms(e.Key) {
			return false
		}
		text, isText := f.shape.normalize(e.Value).(string)
		there, _ := document.Lookup(e.Key).StringValueOK()
		return !isText || text != there
	})
}

// changeWithin sets those members of an object that are in the body, and removes those that are null there.
func (a *Action) changeWithin(m *Model, document bson.Raw, body bson.D, by Writer) (Change, []Issue) {
	var gone, named []string
	body = slices.DeleteFunc(body, func(e bson.E) bool {
		if e.Value == nil {
			gone = append(gone, e.Key)
		} else {
			named = append(named, e.Key)
		}
		return e.Value == nil
	})
	change, issues := m.Change(bson.D{{Key: a.within, Value: body}}, by)
	if len(issues) > 0 {
		for i := range issues {
			issues[i].Path = strings.TrimPrefix(issues[i].Path, a.within+".")
		}
		return change, issues
	}
	var there bson.D
	if object, ok := document.Lookup(a.within).DocumentOK(); ok {
		if err := bson.Unmarshal(object, &there); err != nil {
			return change, []Issue{{a.within, "cannot be read"}}
		}
	}
	there = slices.DeleteFunc(there, func(e bson.E) bool { return slices.Contains(gone, e.Key) })
	set, _ := valueOf(change.Set, a.within).(bson.D)
	for _, e := range set {
		if slices.Contains(named, e.Key) || !has(there, e.Key) && !slices.Contains(gone, e.Key) { // a default fills, and changes nothing
			there = with(there, e.Key, e.Value)
		}
	}
	change.Set = with(change.Set, a.within, there)
	return change, nil
}

// compileAccount reads what users do to their own account.
func (s *source) compileAccount(n *yaml.Node, m *Model) {
	account := s.mapping(n, "account")
	for _, name := range account.names {
		s.checkName(account.keys[name], name, modelName, actionShape)
		n := account.get(name)
		given := s.mapping(n, "an action of the account", "set", "confirm", "within", "files", "end", "beside")
		a := s.compileAction(name, n, given, m)
		s.compileAccountAction(n, given, a, m)
		m.Account = append(m.Account, a)
	}
}

func (s *source) compileAccountAction(n *yaml.Node, given mapping, a *Action, m *Model) {
	a.confirm = s.texts(given.get("confirm"), "confirm")
	for _, field := range a.confirm {
		if !slices.Contains(a.fields, field) {
			s.fault(n, "the action %q confirms the field %q, which it does not set", a.Name, field)
		}
	}
	a.within = s.text(given.get("within"), "within")
	if f, ok := m.Field(a.within); a.within != "" && (!ok || f.shape.kind != kindObject || f.Write == Nobody) {
		s.fault(n, "the action %q sets members of %q, which is not an object, or which nobody may write", a.Name, a.within)
	}
	a.files = s.text(given.get("files"), "files")
	if a.files != "" && (m.Upload == nil || m.Upload.Field.Name != a.files) {
		s.fault(n, "the action %q sets files of %q, which is not the field with x-upload", a.Name, a.files)
	}
	a.End = End(s.text(given.get("end"), "end"))
	if a.End != "" && a.End != Remove && a.End != Anonymise {
		s.fault(n, "the action %q must end in remove or anonymise, not %q", a.Name, a.End)
	}
	s.checkKinds(n, a, "one of set, within, files and end", len(a.fields) > 0, a.within != "", a.files != "", a.End != "")
}
