package model

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// mapping is a YAML mapping whose keys are known to be unique and allowed. Missing keys give nil.
type mapping struct {
	node   *yaml.Node
	names  []string
	values map[string]*yaml.Node
	keys   map[string]*yaml.Node
}

// mapping reads n as a mapping with no key but those allowed; with none named, every key is allowed.
func (s *source) mapping(n *yaml.Node, what string, allowed ...string) mapping {
	m := mapping{node: n, values: map[string]*yaml.Node{}, keys: map[string]*yaml.Node{}}
	if n == nil {
		return m
	}
	if n.Kind != yaml.MappingNode {
		s.fault(n, "%s must be a mapping of keys to values", what)
		return m
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		name := key.Value
		switch {
		case key.Kind != yaml.ScalarNode || value.Kind == yaml.AliasNode:
			s.fault(key, "%s: write plain keys and values, without YAML anchors; a schema can share a part as \"$ref: #/$defs/…\"", what)
		case m.values[name] != nil:
			s.fault(key, "%s: the key %q is there already (line %d)", what, name, m.keys[name].Line)
		case len(allowed) > 0 && !slices.Contains(allowed, name):
			s.fault(key, "%s: unknown key %q; known are %s", what, name, strings.Join(allowed, ", "))
		default:
			m.names = append(m.names, name)
			m.values[name], m.keys[name] = value, key
		}
	}
	return m
}

// get returns the value of a key, or nil.
func (m mapping) get(name string) *yaml.Node { return m.values[name] }

// scalar returns the words of a value whose type is checked elsewhere, or "" where the key is missing.
func (m mapping) scalar(name string) string {
	if n := m.values[name]; n != nil {
		return n.Value
	}
	return ""
}

// text returns a string value, or "" where the key is missing.
func (s *source) text(n *yaml.Node, what string) string {
	if n == nil {
		return ""
	}
	if n.Kind != yaml.ScalarNode || n.Tag != "!!str" || n.Value == "" {
		s.fault(n, "%s must be a text", what)
		return ""
	}
	return n.Value
}

// flag returns true or false, or false where the key is missing.
func (s *source) flag(n *yaml.Node, what string) bool {
	if n == nil {
		return false
	}
	if n.Kind != yaml.ScalarNode || n.Tag != "!!bool" {
		s.fault(n, "%s must be true or false", what)
		return false
	}
	return n.Value == "true" || n.Value == "True" || n.Value == "TRUE"
}

// count returns a whole number between 1 and most, or otherwise where the key is missing.
func (s *source) count(n *yaml.Node, what string, otherwise, most int) int {
	return s.between(n, what, otherwise, 1, most)
}

// between returns a whole number between least and most, or otherwise where the key is missing.
func (s *source) between(n *yaml.Node, what string, otherwise, least, most int) int {
	if n == nil {
		return otherwise
	}
	v, err := strconv.Atoi(n.Value)
	if err != nil || n.Tag != "!!int" || v < least || v > most {
		s.fault(n, "%s must be a whole number from %d to %d", what, least, most)
		return otherwise
	}
	return v
}

// list returns the elements of a sequence.
func (s *source) list(n *yaml.Node, what string) []*yaml.Node {
	if n == nil {
		return nil
	}
	if n.Kind != yaml.SequenceNode {
		s.fault(n, "%s must be a list", what)
		return nil
	}
	return n.Content
}

// texts returns the elements of a list of strings.
func (s *source) texts(n *yaml.Node, what string) []string {
	var texts []string
	for _, element := range s.list(n, what) {
		if text := s.text(element, "an element of "+what); text != "" {
			texts = append(texts, text)
		}
	}
	return texts
}

// plain returns n as encoding/json would decode its JSON form, with ints beside floats.
func (s *source) plain(n *yaml.Node) any {
	var v any
	if err := n.Decode(&v); err != nil {
		s.fault(n, "%v", err)
		return nil
	}
	return jsonForm(v)
}

func jsonForm(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for key, member := range v {
			v[key] = jsonForm(member)
		}
	case map[any]any:
		members := make(map[string]any, len(v))
		for key, member := range v {
			members[fmt.Sprint(key)] = jsonForm(member)
		}
		return members
	case []any:
		for i, element := range v {
			v[i] = jsonForm(element)
		}
	}
	return v
}
