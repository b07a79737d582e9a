package model

import "go.yaml.in/yaml/v3"

// compileShared checks the folder's shared definitions by themselves, so that a fault in them is reported once and where it is.
func (s *source) compileShared(root *yaml.Node) {
	defs := s.mapping(root, sharedFile)
	for _, name := range defs.names {
		s.define(defs.keys[name], name, defs)
	}
	if len(s.faults) > 0 {
		return
	}
	schema := map[string]any{"$defs": s.plain(root)}
	withBSON(schema)
	s.validator(withDefs(&yaml.Node{Kind: yaml.MappingNode}, root), schema)
}

// share adds the folder's shared definitions to those of a model's schema.
func (s *source) share(schema *yaml.Node) {
	if s.shared == nil || schema.Kind != yaml.MappingNode {
		return
	}
	own := child(schema, "$defs")
	if own == nil {
		withDefs(schema, s.shared)
		return
	}
	for i := 0; i+1 < len(s.shared.Content); i += 2 {
		name := s.shared.Content[i]
		if taken := child(own, name.Value); taken != nil {
			s.fault(taken, "the definition %q is in %s already", name.Value, sharedFile)
			continue
		}
		own.Content = append(own.Content, name, s.shared.Content[i+1])
	}
}

func withDefs(schema, defs *yaml.Node) *yaml.Node {
	schema.Content = append(schema.Content, &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: "$defs"}, defs)
	return schema
}
