package model

import (
	"errors"
	"fmt"
	"slices"
	"sort"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	failed "github.com/santhosh-tekuri/jsonschema/v6/kind"
	"go.mongodb.org/mongo-driver/v2/bson"
)

// Issue is what is wrong with one field of a body.
type Issue struct {
	// Path is the dotted path of the value, or empty for the body itself.
	Path string `json:"path"`
	// Message never repeats the value: it may be a password.
	Message string `json:"msg"`
}

// maxValues bounds the work of validation: a body of 1 MiB can hold half a million numbers, each of which may be at fault.
const maxValues = 10_000

func (m *Model) check(body bson.D, schema *jsonschema.Schema) (bson.D, []Issue) {
	if count(body) > maxValues {
		return nil, []Issue{{"", fmt.Sprintf("must have at most %d values", maxValues)}}
	}
	m.shape.normalize(body)
	if err := schema.Validate(plainValue(body)); err != nil {
		return nil, issuesOf(err)
	}
	var issues []Issue
	for i, e := range body {
		body[i].Value = m.shape.property(e.Key).typed(e.Value, e.Key, &issues)
	}
	return body, issues
}

// count returns how many values v holds, itself included.
func count(v any) int {
	n := 1
	switch v := v.(type) {
	case bson.D:
		for _, e := range v {
			n += count(e.Value)
		}
	case bson.A:
		for _, element := range v {
			n += count(element)
		}
	}
	return n
}

// plainValue is v as the schema library reads it. Numbers are of bounded size by now: the library computes with exact fractions, and
// "1e999999999" would fill the memory.
func plainValue(v any) any {
	switch v := v.(type) {
	case bson.D:
		object := make(map[string]any, len(v))
		for _, e := range v {
			object[e.Key] = plainValue(e.Value)
		}
		return object
	case bson.A:
		array := make([]any, len(v))
		for i, element := range v {
			array[i] = plainValue(element)
		}
		return array
	}
	return v
}

// maxIssues bounds an answer: a body may have as many faults as keys.
const maxIssues = 50

func issuesOf(err error) []Issue {
	var wrong *jsonschema.ValidationError
	if !errors.As(err, &wrong) {
		return []Issue{{"", "cannot be read"}}
	}
	var issues []Issue
	for _, leaf := range leaves(wrong) {
		at := strings.Join(leaf.InstanceLocation, ".")
		switch k := leaf.ErrorKind.(type) {
		case *failed.Required:
			for _, name := range k.Missing {
				issues = append(issues, Issue{join(at, name), "is missing"})
			}
		case *failed.AdditionalProperties:
			for _, name := range k.Properties {
				issues = append(issues, Issue{join(at, name), "is not a field that can be set"})
			}
		case *failed.PropertyNames:
			issues = append(issues, Issue{join(at, k.Property), "is not a name that can be set"})
		default:
			issues = append(issues, Issue{at, explain(leaf.ErrorKind)})
		}
	}
	sort.Slice(issues, func(i, j int) bool { return issues[i].Path < issues[j].Path })
	issues = slices.Compact(issues)
	return issues[:min(len(issues), maxIssues)]
}

func leaves(e *jsonschema.ValidationError) []*jsonschema.ValidationError {
	if _, ok := e.ErrorKind.(*failed.PropertyNames); ok || len(e.Causes) == 0 {
		return []*jsonschema.ValidationError{e}
	}
	var all []*jsonschema.ValidationError
	for _, cause := range e.Causes {
		all = append(all, leaves(cause)...)
	}
	return all
}

// explain says what a value must be, without the value.
func explain(k jsonschema.ErrorKind) string {
	switch k := k.(type) {
	case *failed.Type:
		return "must be of type " + strings.Join(k.Want, " or ")
	case *failed.Enum:
		return "must be one of " + listed(k.Want)
	case *failed.Const:
		return "must be " + listed([]any{k.Want})
	case *failed.Format:
		return "must be of the format " + k.Want
	case *failed.Pattern:
		return "must match " + k.Want
	case *failed.MinLength:
		return fmt.Sprintf("must have at least %d characters", k.Want)
	case *failed.MaxLength:
		return fmt.Sprintf("must have at most %d characters", k.Want)
	case *failed.MinItems:
		return fmt.Sprintf("must have at least %d elements", k.Want)
	case *failed.MaxItems:
		return fmt.Sprintf("must have at most %d elements", k.Want)
	case *failed.UniqueItems:
		return "must not have the same element twice"
	case *failed.MinProperties:
		return fmt.Sprintf("must have at least %d properties", k.Want)
	case *failed.MaxProperties:
		return fmt.Sprintf("must have at most %d properties", k.Want)
	case *failed.PropertyNames:
		return fmt.Sprintf("must not have the property %q", k.Property)
	case *failed.Minimum:
		return "must be at least " + k.Want.RatString()
	case *failed.Maximum:
		return "must be at most " + k.Want.RatString()
	case *failed.ExclusiveMinimum:
		return "must be more than " + k.Want.RatString()
	case *failed.ExclusiveMaximum:
		return "must be less than " + k.Want.RatString()
	case *failed.MultipleOf:
		return "must be a multiple of " + k.Want.RatString()
	}
	return "is not allowed here"
}

func listed(values []any) string {
	texts := make([]string, len(values))
	for i, v := range values {
		texts[i] = fmt.Sprint(v)
	}
	return strings.Join(texts, ", ")
}
