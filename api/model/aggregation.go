package model

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.yaml.in/yaml/v3"
)

// Aggregation is a question about many documents that the model file has written out. A client gives the values of its parameters and
// nothing else.
type Aggregation struct {
	// Name is the last part of the route, "tags".
	Name string
	// View decides which documents, and which of their fields, go into it.
	View *View

	pipeline []any // bson.D with parameter where a value belongs
	params   []*aggregationParameter
}

// aggregationParameter is a typed value that a client gives.
type aggregationParameter struct {
	name     string
	shape    *shape
	fallback any
	required bool
}

// parameter stands in a pipeline for the value of a parameter.
type parameter struct{ name string }

// MaxAggregated bounds the documents that an aggregation answers.
const MaxAggregated = 1000

// ErrMissing is the error of Values for a parameter that has neither value nor default.
var ErrMissing = errors.New("missing")

// ParameterNames returns the names of the parameters.
func (a *Aggregation) ParameterNames() []string {
	names := make([]string, len(a.params))
	for i, p := range a.params {
		names[i] = p.name
	}
	return names
}

// Parse reads the value of a parameter. The error completes the sentence "the parameter must be …"; known is false for a parameter that
// the aggregation does not have.
func (a *Aggregation) Parse(name, text string) (value any, known bool, err error) {
	for _, p := range a.params {
		if p.name == name {
			value, err = (&Field{shape: p.shape}).Parse(text)
			return value, true, err
		}
	}
	return nil, false, nil
}

// Pipeline returns the stages with the values of the parameters in place. It begins with what the view shows of the tenant's documents,
// so that nothing else can come out of it. The error names a required parameter without a value.
func (a *Aggregation) Pipeline(m *Model, in Scope, values map[string]any) (bson.A, error) {
	for _, p := range a.params {
		if _, given := values[p.name]; given {
			continue
		}
		if p.required {
			return nil, fmt.Errorf("%w: %q", ErrMissing, p.name)
		}
		if p.fallback != nil {
			values[p.name] = p.fallback
		}
	}
	stages := make(bson.A, 0, len(a.pipeline)+3)
	stages = append(stages, bson.D{{Key: "$match", Value: m.Select(in, a.View)}}, bson.D{{Key: "$project", Value: projectionOf(a.View.ReadableNames())}})
	for _, stage := range a.pipeline {
		if filled, ok := fillIn(stage, values); ok {
			stages = append(stages, filled)
		}
	}
	return append(stages, bson.D{{Key: "$limit", Value: MaxAggregated}}), nil
}

// fillIn puts values in the place of parameters. What holds a parameter without a value is left out: ok is false.
func fillIn(v any, values map[string]any) (filled any, ok bool) {
	switch v := v.(type) {
	case parameter:
		value, given := values[v.name]
		return value, given
	case bson.D:
		out := make(bson.D, 0, len(v))
		for _, e := range v {
			if value, ok := fillIn(e.Value, values); ok {
				out = append(out, bson.E{Key: e.Key, Value: value})
			}
		}
		return out, len(out) > 0 || len(v) == 0
	case bson.A:
		out := make(bson.A, 0, len(v))
		for _, element := range v {
			if value, ok := fillIn(element, values); ok {
				out = append(out, value)
			}
		}
		return out, len(out) > 0 || len(v) == 0
	}
	return v, true
}

// stages are those that read nothing but the documents at hand, and operators those that compute with values alone.
var (
	stages       = []string{"$match", "$group", "$sort", "$limit", "$skip", "$project", "$unwind", "$count", "$addFields", "$set", "$unset", "$sortByCount", "$bucket"}
	stageWords   = regexp.MustCompile(`^\$[a-zA-Z]+$`)
	forbidden    = []string{"$where", "$function", "$accumulator", "$expr", "$lookup", "$graphLookup", "$unionWith", "$out", "$merge", "$facet", "$text", "$near", "$jsonSchema"}
	allDocuments = []string{"$$ROOT", "$$CURRENT"}
)

func (s *source) compileAggregations(n *yaml.Node, m *Model) {
	aggregations := s.mapping(n, "aggregations")
	for _, name := range aggregations.names {
		s.checkName(aggregations.keys[name], name, modelName, "lower-case letters, digits and \"-\"")
		if a := s.compileAggregation(name, aggregations.get(name), m); a != nil {
			m.Aggregations = append(m.Aggregations, a)
		}
	}
}

func (s *source) compileAggregation(name string, n *yaml.Node, m *Model) *Aggregation {
	given := s.mapping(n, "an aggregation", "pipeline", "params", "read")
	a := &Aggregation{Name: name, View: m.Admin}
	if s.audience(given.get("read"), "read", Admin) == Public {
		a.View = m.Public
	}
	if a.View == nil {
		s.fault(n, "the aggregation %q is public, but nothing of the model is", name)
		return nil
	}
	params := s.mapping(given.get("params"), "params")
	for _, param := range params.names {
		s.checkName(params.keys[param], param, parameterName, "letters, digits and \"_\"")
		a.params = append(a.params, s.compileAggregationParameter(param, params.get(param)))
	}
	list := s.list(given.get("pipeline"), "pipeline")
	if len(list) == 0 {
		s.fault(n, "the aggregation %q has no pipeline", name)
	}
	for _, stage := range list {
		at := s.mapping(stage, "a stage")
		if len(at.names) != 1 || !slices.Contains(stages, at.names[0]) {
			s.fault(stage, "a stage is one of %s", strings.Join(stages, ", "))
			continue
		}
		a.pipeline = append(a.pipeline, s.pipelineValue(stage, a, m))
	}
	return a
}

func (s *source) compileAggregationParameter(name string, n *yaml.Node) *aggregationParameter {
	given := s.mapping(n, "a parameter", "type", "x-bson", "default", "required")
	p := &aggregationParameter{name: name, shape: &shape{kind: s.kind(given)}, required: s.flag(given.get("required"), "required")}
	if !filterable(p.shape) {
		s.fault(n, "the parameter %q needs the type of a single value", name)
	}
	if d := given.get("default"); d != nil {
		p.fallback = s.fallback(d, p.shape)
	}
	return p
}

// pipelineValue reads a part of a pipeline. {$param: name} stands for a parameter's value.
func (s *source) pipelineValue(n *yaml.Node, a *Aggregation, m *Model) any {
	switch n.Kind {
	case yaml.MappingNode:
		return s.pipelineObject(n, a, m)
	case yaml.SequenceNode:
		list := make(bson.A, len(n.Content))
		for i, element := range n.Content {
			list[i] = s.pipelineValue(element, a, m)
		}
		return list
	}
	if n.Tag == "!!str" {
		s.checkPath(n, a, m)
		return n.Value
	}
	return shrink(s.number(n))
}

// number makes the int of a YAML scalar an int64.
func (s *source) number(n *yaml.Node) any {
	v := s.plain(n)
	if i, ok := v.(int); ok {
		return int64(i)
	}
	return v
}

func (s *source) pipelineObject(n *yaml.Node, a *Aggregation, m *Model) any {
	object := s.mapping(n, "a part of a pipeline")
	if name := object.scalar("$param"); len(object.names) == 1 && name != "" {
		if !slices.Contains(a.ParameterNames(), name) {
			s.fault(n, "the pipeline names the parameter %q, which params does not have", name)
		}
		return parameter{name}
	}
	out := bson.D{}
	for _, name := range object.names {
		if strings.HasPrefix(name, "$") && (!stageWords.MatchString(name) || slices.Contains(forbidden, name)) {
			s.fault(object.keys[name], "%q is not allowed in a pipeline", name)
		}
		out = append(out, bson.E{Key: name, Value: s.pipelineValue(object.get(name), a, m)})
	}
	return out
}

// checkPath refuses "$field" for a field that the readers of the answer may not see. The projection in front of the pipeline would make
// it empty; whoever wrote it should know.
func (s *source) checkPath(n *yaml.Node, a *Aggregation, m *Model) {
	path, ok := strings.CutPrefix(n.Value, "$")
	if !ok {
		return
	}
	if variable, _, _ := strings.Cut(n.Value, "."); slices.Contains(allDocuments, variable) {
		s.fault(n, "%q is not allowed in a pipeline: name fields", n.Value)
		return
	}
	base, _, _ := strings.Cut(path, ".")
	if f, declared := m.Field(base); declared && f.Read < a.View.Audience {
		s.fault(n, "the pipeline reads the field %q, which its readers may not see", base)
	}
}
