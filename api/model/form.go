package model

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"metahub/api/bsonjson"
)

// Part is a field of an HTML form.
type Part struct{ Name, Value string }

// Form turns the fields of a form into what a JSON body with the same meaning would be: names like "address[city]" and "tags[0]" into
// objects and lists, and texts into what the schema has in their place. Booleans are "true" and "false", objects, lists and localized
// texts JSON or, for lists, words between commas; an empty text is null, unless the field is required. A field that the schema does not
// have and that says nothing is passed over: forms carry what is left empty along.
func (m *Model) Form(parts []Part) (bson.D, []Issue) {
	root := &formNode{}
	var issues []Issue
	for _, p := range parts {
		if err := root.add(p); err != nil {
			issues = append(issues, Issue{cut(p.Name, maxPartName), err.Error()})
		}
	}
	body := bson.D{}
	for _, e := range root.members {
		f, declared := m.Field(e.name)
		if e.node.empty() && (!declared || m.Upload.is(f)) {
			continue
		}
		s := &shape{}
		switch {
		case declared:
			s = f.shape
		case m.Upload.arranges(e.name):
			s = &shape{kind: kindArray, items: &shape{}}
		}
		value, err := e.node.value(s)
		if value == "" && declared && !f.required && s.kind == kindString {
			value = nil
		}
		if err != nil {
			issues = append(issues, Issue{e.name, err.Error()})
			continue
		}
		body = append(body, bson.E{Key: e.name, Value: value})
	}
	return body, issues[:min(len(issues), maxIssues)]
}

const (
	maxPartName  = 200 // bytes
	maxFormDepth = 8
	maxFormList  = 1000 // elements
)

// formNode is a value of a form on its way together: texts, or members by name, or both, which is an error.
type formNode struct {
	texts   []string
	members []formMember
}

type formMember struct {
	name string // a number, or empty, in lists
	node *formNode
}

// add puts a part into its place.
func (n *formNode) add(p Part) error {
	path, err := formPath(p.Name)
	if err != nil {
		return err
	}
	for _, name := range path {
		n = n.member(name)
	}
	if len(n.texts) == maxFormList {
		return fmt.Errorf("must not be there more than %d times", maxFormList)
	}
	n.texts = append(n.texts, p.Value)
	return nil
}

// formPath splits "a[b][0]" into its names.
func formPath(name string) ([]string, error) {
	first, rest, bracketed := strings.Cut(name, "[")
	path := []string{first}
	for bracketed {
		inner, after, closed := strings.Cut(rest, "]")
		if !closed {
			return nil, errors.New("is not a name like a[b][0]")
		}
		path = append(path, inner)
		if after == "" {
			break
		}
		if rest, bracketed = strings.CutPrefix(after, "["); !bracketed {
			return nil, errors.New("is not a name like a[b][0]")
		}
	}
	for i, part := range path {
		if strings.HasPrefix(part, "$") || strings.ContainsAny(part, ".\x00") || part == "" && i == 0 {
			return nil, errors.New("is not a name that can be set")
		}
	}
	if len(name) > maxPartName || len(path) > maxFormDepth {
		return nil, errors.New("is too long a name")
	}
	return path, nil
}

func (n *formNode) member(name string) *formNode {
	for _, m := range n.members {
		if m.name == name {
			return m.node
		}
	}
	n.members = append(n.members, formMember{name, &formNode{}})
	return n.members[len(n.members)-1].node
}

// empty reports whether the field says nothing.
func (n *formNode) empty() bool {
	return len(n.members) == 0 && !slices.ContainsFunc(n.texts, func(text string) bool {
		return !slices.Contains([]string{"", "[]", "{}", "null", "undefined"}, strings.TrimSpace(text))
	})
}

// value is what the schema has in the node's place.
func (n *formNode) value(s *shape) (any, error) {
	switch {
	case len(n.texts) > 0 && len(n.members) > 0:
		return nil, errors.New("is a value and has fields at once")
	case s.kind == kindArray || s.kind == kindAny && n.numbered():
		return n.list(s)
	case len(n.members) > 0:
		return n.object(s)
	case len(n.texts) > 1:
		return nil, errors.New("is there twice")
	}
	return s.formText(n.texts[0])
}

// numbered reports whether the members are those of a list.
func (n *formNode) numbered() bool {
	return len(n.members) > 0 && !slices.ContainsFunc(n.members, func(m formMember) bool {
		_, err := strconv.ParseUint(m.name, 10, 16)
		return err != nil && m.name != ""
	})
}

func (n *formNode) object(s *shape) (any, error) {
	object := make(bson.D, 0, len(n.members))
	for _, m := range n.members {
		inner := s.property(m.name)
		if inner == nil {
			inner = &shape{}
		}
		value, err := m.node.value(inner)
		if err != nil {
			return nil, fmt.Errorf("%s %w", m.name, err)
		}
		if (value == "" || value == nil) && !s.localized {
			continue // an empty input of a group; that of a language empties the language
		}
		object = append(object, bson.E{Key: m.name, Value: value})
	}
	return object, nil
}

// list reads the elements in the order in which they come: names like tags[0] are sent in theirs.
func (n *formNode) list(s *shape) (any, error) {
	items := s.items
	if items == nil {
		items = &shape{}
	}
	if len(n.members) == 0 {
		return listOfTexts(n.texts, s, items)
	}
	if !n.numbered() {
		return nil, errors.New("must be a list: name its elements [0], [1] and so on")
	}
	list := bson.A{}
	for _, m := range n.members {
		if m.name == "" && len(m.node.texts) > 1 { // tags[] is one name for all of them
			for _, text := range m.node.texts {
				value, err := items.formText(text)
				if err != nil {
					return nil, err
				}
				list = append(list, value)
			}
			continue
		}
		value, err := m.node.value(items)
		if err != nil {
			return nil, err
		}
		list = append(list, value)
	}
	return list, nil
}

// listOfTexts reads one text that holds the whole list, or one text for each element.
func listOfTexts(texts []string, s, items *shape) (any, error) {
	if len(texts) == 1 {
		text := strings.TrimSpace(texts[0])
		if text == "" || text == "null" || text == "undefined" {
			return bson.A{}, nil
		}
		if text[0] == '[' {
			return s.formJSON(text)
		}
		texts = strings.Split(text, ",")
	}
	list := make(bson.A, 0, len(texts))
	for _, text := range texts {
		if text = strings.TrimSpace(text); text == "" {
			continue
		}
		value, err := items.formText(text)
		if err != nil {
			return nil, err
		}
		list = append(list, value)
	}
	return list, nil
}

// formText reads a text as a value of a kind. One that cannot be read stays a text, which the schema then refuses.
func (s *shape) formText(text string) (any, error) {
	if s.kind == kindString {
		return text, nil
	}
	trimmed := strings.TrimSpace(text)
	switch trimmed {
	case "", "null", "undefined":
		if s.kind == kindAny {
			return text, nil
		}
		return nil, nil
	}
	switch s.kind {
	case kindBoolean:
		switch trimmed {
		case "true", "1", "on":
			return true, nil
		case "false", "0", "off":
			return false, nil
		}
	case kindInteger, kindNumber:
		if n, err := parseNumber(trimmed); err == nil {
			return shrink(n), nil
		}
	case kindDate:
		if _, err := time.Parse(time.DateOnly, trimmed); err == nil {
			return trimmed + "T00:00:00Z", nil // as date inputs have it
		}
	case kindObject, kindAny:
		if strings.HasPrefix(trimmed, "{") || strings.HasPrefix(trimmed, "[") {
			return s.formJSON(trimmed)
		}
	}
	return text, nil
}

// formJSON reads a JSON text. Where anything may stand, what is no JSON is a text like any other.
func (s *shape) formJSON(text string) (any, error) {
	body, err := bsonjson.Parse([]byte(`{"v":`+text+`}`), bsonjson.DefaultLimits)
	if err != nil || len(body) != 1 {
		if s.kind == kindAny {
			return text, nil
		}
		return nil, errors.New("is not JSON that can be stored")
	}
	return body[0].Value, nil
}
