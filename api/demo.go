package api

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.yaml.in/yaml/v3"

	"metahub/api/model"
	"metahub/store"
)

//go:embed demo/*.yaml
var demo embed.FS

// DemoDocuments returns the sample documents of a demo tenant, by the rules of the models, for store.SeedOnce. A slug without samples
// has none. Whoever signs in is not among them: see CreateUser.
func (a *API) DemoDocuments(slug string) ([]store.Collection, error) {
	text, err := fs.ReadFile(demo, "demo/"+slug+".yaml")
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var root yaml.Node
	if err := yaml.Unmarshal(text, &root); err != nil {
		return nil, fmt.Errorf("demo documents of %q: %w", slug, err)
	}
	byModel, err := yamlObject(root.Content[0])
	if err != nil {
		return nil, fmt.Errorf("demo documents of %q: %w", slug, err)
	}
	var collections []store.Collection
	for _, e := range byModel {
		m, ok := a.resources.Load().models.Named(e.Key)
		if !ok {
			continue // the models in use are not the built-in ones
		}
		collection, err := a.demoCollection(slug, m, e.Value)
		if err != nil {
			return nil, fmt.Errorf("demo documents of %q: %w", slug, err)
		}
		collections = append(collections, collection)
	}
	return collections, nil
}

func (a *API) demoCollection(slug string, m *model.Model, list any) (store.Collection, error) {
	out := store.Collection{Name: m.Collection}
	bodies, _ := list.(bson.A)
	for i, v := range bodies {
		body, ok := v.(bson.D)
		if !ok {
			return out, fmt.Errorf("%s %d is not a mapping", m.Name, i)
		}
		draft, issues := m.Create(body, model.Writer{Audience: model.Admin, Scope: model.Scope{Tenant: slug}, Now: a.now()})
		if len(issues) > 0 {
			return out, fmt.Errorf("%s %d: %s %s", m.Name, i, issues[0].Path, issues[0].Message)
		}
		out.Documents = append(out.Documents, draft.Document())
	}
	return out, nil
}

// yamlObject turns a YAML mapping into what a JSON body of the same text would be, in the same order.
func yamlObject(n *yaml.Node) (bson.D, error) {
	if n.Kind != yaml.MappingNode {
		return nil, fmt.Errorf("line %d: not a mapping", n.Line)
	}
	object := make(bson.D, 0, len(n.Content)/2)
	for i := 0; i+1 < len(n.Content); i += 2 {
		value, err := yamlValue(n.Content[i+1])
		if err != nil {
			return nil, err
		}
		object = append(object, bson.E{Key: n.Content[i].Value, Value: value})
	}
	return object, nil
}

func yamlValue(n *yaml.Node) (any, error) {
	switch n.Kind {
	case yaml.MappingNode:
		return yamlObject(n)
	case yaml.SequenceNode:
		array := make(bson.A, len(n.Content))
		for i, element := range n.Content {
			value, err := yamlValue(element)
			if err != nil {
				return nil, err
			}
			array[i] = value
		}
		return array, nil
	}
	var scalar any
	if err := n.Decode(&scalar); err != nil {
		return nil, err
	}
	if whole, ok := scalar.(int); ok {
		return int32(whole), nil
	}
	return scalar, nil
}
