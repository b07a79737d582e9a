package model

import (
	"slices"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.yaml.in/yaml/v3"
)

// Action changes a few fields of a document at a route of its own, below the document's, or below account/me of the caller's own account.
type Action struct {
	// Name is the last part of the route, "status".
	Name string
	// Roles may do it. An action of one's own account has none.
	Roles []string
	// Beside are the fields that the answer also has beside its document, where existing frontends look for them.
	Beside []string
	// End is what becomes of the account, or empty.
	End End

	fields  []string // that the body may set
	toggle  string   // the boolean field that is turned over, where there are fields too by a request without a body
	values  bson.D   // that are set, whatever the body says
	within  string   // the object whose members the body sets
	files   string   // the field that a form sets by its files
	confirm []string // the fields of which the body sets another value only together with the present password
}

// Body reports whether the action reads one.
func (a *Action) Body() bool { return len(a.fields) > 0 || a.within != "" }

// Optional reports whether the action also does something without a body.
func (a *Action) Optional() bool { return len(a.fields) > 0 && a.toggle != "" }

// Change returns what the action does to a document. The body is nil where there is none.
func (a *Action) Change(m *Model, document bson.Raw, body bson.D, by Writer) (Change, []Issue) {
	switch {
	case a.toggle != "" && body == nil:
		return Change{Set: bson.D{{Key: a.toggle, Value: !m.flagOf(document, a.toggle)}}, at: by.Now}, nil
	case a.within != "":
		return a.changeWithin(m, document, body, by)
	case len(a.fields) == 0:
		return Change{Set: slices.Clone(a.values), at: by.Now}, nil
	}
	var issues []Issue
	body = m.strip(body)
	for _, e := range body {
		if !slices.Contains(a.fields, e.Key) {
			issues = append(issues, Issue{Path: e.Key, Message: "is not a field that can be set"})
		}
	}
	if len(issues) > 0 {
		return Change{}, issues[:min(len(issues), maxIssues)]
	}
	return m.Change(body, by)
}

// flagOf returns a boolean field of a document, or its default.
func (m *Model) flagOf(document bson.Raw, name string) bool {
	if on, ok := document.Lookup(name).BooleanOK(); ok {
		return on
	}
	f, _ := m.Field(name)
	on, _ := f.shape.fallback.(bool)
	return on
}

func (s *source) compileActions(n *yaml.Node, m *Model) {
	actions := s.mapping(n, "actions")
	for _, name := range actions.names {
		s.checkName(actions.keys[name], name, modelName, actionShape)
		n := actions.get(name)
		given := s.mapping(n, "an action", "set", "toggle", "values", "roles", "beside")
		a := s.compileAction(name, n, given, m)
		if a.Roles = s.texts(given.get("roles"), "roles"); len(a.Roles) == 0 {
			a.Roles = m.Roles
		}
		a.values = s.values(given.get("values"), m)
		s.checkKinds(n, a, "one of set, toggle and values", given.get("values") != nil, len(a.fields) > 0 || a.toggle != "")
		m.Actions = append(m.Actions, a)
	}
}

const actionShape = "lower-case letters, digits and \"-\""

// compileAction reads what all actions may have.
func (s *source) compileAction(name string, n *yaml.Node, given mapping, m *Model) *Action {
	a := &Action{
		Name:   name,
		Beside: s.texts(given.get("beside"), "beside"),
		fields: s.texts(given.get("set"), "set"),
		toggle: s.text(given.get("toggle"), "toggle"),
	}
	for _, field := range a.fields {
		f, ok := m.Field(field)
		switch {
		case !ok || f.Write == Nobody:
			s.fault(n, "the action %q sets the field %q, which is not there or which nobody may write", name, field)
		case f.Hash != "":
			s.fault(n, "the action %q sets the field %q, which is hashed: that is done where the whole document is written", name, field)
		}
	}
	if f, ok := m.Field(a.toggle); a.toggle != "" && (!ok || f.shape.kind != kindBoolean) {
		s.fault(n, "the action %q turns over %q, which is not a boolean field", name, a.toggle)
	}
	for _, field := range a.Beside {
		if f, ok := m.Field(field); !ok || f.Read == Nobody {
			s.fault(n, "the action %q answers the field %q, which is not there or which nobody may read", name, field)
		}
	}
	return a
}

// checkKinds demands one of several things that an action may do.
func (s *source) checkKinds(n *yaml.Node, a *Action, kinds string, there ...bool) {
	done := 0
	for _, is := range there {
		if is {
			done++
		}
	}
	if done != 1 {
		s.fault(n, "the action %q needs %s", a.Name, kinds)
	}
}

func (s *source) values(n *yaml.Node, m *Model) (values bson.D) {
	given := s.mapping(n, "values")
	for _, field := range given.names {
		if v, ok := s.constant(m, field, given.get(field), "values"); ok {
			values = append(values, bson.E{Key: field, Value: v})
		}
	}
	return values
}

// constant reads a single value of a field's type out of the model file.
func (s *source) constant(m *Model, field string, value *yaml.Node, what string) (any, bool) {
	f, ok := m.Field(field)
	switch {
	case !ok:
		s.fault(value, "%s names the field %q, which the schema does not have", what, field)
	case value.Kind != yaml.ScalarNode:
		s.fault(value, "%s: the value of %q must be a single value", what, field)
	default:
		typed, err := f.Parse(value.Value)
		if err == nil {
			return typed, true
		}
		s.fault(value, "%s: the value of %q must be %v", what, field, err)
	}
	return nil, false
}
