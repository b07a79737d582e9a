package tenant

import (
	"fmt"
	"regexp"
	"strings"
	"time"
	"unicode"

	"go.yaml.in/yaml/v3"
)

// place is where a value was written: a file and its line, or the name of a flag or environment variable.
type place struct {
	file string
	line int
}

// value is a text and where it was written.
type value struct {
	text string
	at   place
}

// decoder turns nodes of one document into values. It reads strictly, and collects faults instead of stopping at the first.
type decoder struct {
	doc    *document
	tenant string // whose nodes are read; empty outside the tenants
	faults *Faults
}

func (d *decoder) place(n *yaml.Node) place { return place{d.doc.path, n.Line} }

// fault notes what is wrong at a place. Callers keep secrets out of the arguments.
func (d *decoder) fault(at place, format string, args ...any) {
	*d.faults = append(*d.faults, Fault{File: at.file, Line: at.line, Tenant: d.tenant, Message: fmt.Sprintf(format, args...)})
}

// mapping returns the values of a mapping in the order of keys, nil where one is absent. Keys that are unknown or there twice are faults.
func (d *decoder) mapping(n *yaml.Node, what string, keys []string) []*yaml.Node {
	fields, lines := make([]*yaml.Node, len(keys)), make([]int, len(keys))
	if n.Kind != yaml.MappingNode {
		d.fault(d.place(n), "%s is %s: write keys with values (%s)", what, kindOf(n), strings.Join(keys, ", "))
		return fields
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i]
		switch at := indexOf(keys, key.Value); {
		case key.Kind != yaml.ScalarNode || at < 0:
			d.unknownKey(key, what, keys)
		case fields[at] != nil:
			d.fault(d.place(key), "key %q is here twice (line %d too): keep one", key.Value, lines[at])
		default:
			fields[at], lines[at] = n.Content[i+1], key.Line
		}
	}
	return fields
}

func indexOf(keys []string, key string) int {
	for i, k := range keys {
		if k == key {
			return i
		}
	}
	return -1
}

// plainWord is what a key may look like to be quoted: anything else may be a secret that slipped into its place.
var plainWord = regexp.MustCompile(`^[A-Za-z0-9_. <-]{1,40}$`)

func (d *decoder) unknownKey(key *yaml.Node, what string, keys []string) {
	name := "this key"
	if key.Kind == yaml.ScalarNode && plainWord.MatchString(key.Value) {
		name = fmt.Sprintf("key %q", key.Value)
	}
	if near := nearest(key.Value, keys); near != "" {
		d.fault(d.place(key), "%s is not known in %s: did you mean %q?", name, what, near)
		return
	}
	d.fault(d.place(key), "%s is not known in %s: the keys are %s", name, what, strings.Join(keys, ", "))
}

// text returns a scalar as it was written. An absent node gives false without a fault.
func (d *decoder) text(n *yaml.Node, key string) (value, bool) {
	if n == nil {
		return value{}, false
	}
	at := d.place(n)
	switch {
	case n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null":
		d.fault(at, "%s has no value: write one or leave the key out", key)
	case n.Kind != yaml.ScalarNode:
		d.fault(at, "%s is %s: write a single value", key, kindOf(n))
	case n.Style&yaml.TaggedStyle != 0:
		d.fault(at, "%s has a YAML tag (!): leave the tag out", key)
	case strings.ContainsFunc(n.Value, unicode.IsControl):
		d.fault(at, "%s holds a line break or another control character: write it on one line", key)
	default:
		return value{n.Value, at}, true
	}
	return value{}, false
}

// boolean returns true or false; other spellings are faults.
func (d *decoder) boolean(n *yaml.Node, key string) (truth, ok bool) {
	if n == nil {
		return false, false
	}
	if n.Kind == yaml.ScalarNode && n.ShortTag() == "!!bool" && n.Style&yaml.TaggedStyle == 0 {
		return strings.EqualFold(n.Value, "true"), true
	}
	written := ""
	if n.Kind == yaml.ScalarNode && plainWord.MatchString(n.Value) {
		written = fmt.Sprintf(" %q", n.Value)
	}
	d.fault(d.place(n), "%s%s is neither true nor false: write one of them, without quotes", key, written)
	return false, false
}

// list returns the items of a list of texts.
func (d *decoder) list(n *yaml.Node, key, example string) []value {
	if n == nil {
		return nil
	}
	if n.Kind != yaml.SequenceNode {
		if n.Kind == yaml.ScalarNode && n.Value != "" {
			example = clip(n.Value)
		}
		d.fault(d.place(n), "%s is %s: write a list, like [%s]", key, kindOf(n), example)
		return nil
	}
	values := make([]value, 0, len(n.Content))
	for _, item := range n.Content {
		if v, ok := d.text(item, "an item of "+key); ok {
			values = append(values, v)
		}
	}
	return values
}

// size returns a number of bytes.
func (d *decoder) size(n *yaml.Node, key string, fallback int64) int64 {
	v, ok := d.text(n, key)
	if !ok {
		return fallback
	}
	size, err := parseSize(v.text)
	if err != nil {
		d.fault(v.at, "%s %v", key, err)
		return fallback
	}
	return size
}

// duration returns a span of time.
func (d *decoder) duration(n *yaml.Node, key string, fallback time.Duration) time.Duration {
	v, ok := d.text(n, key)
	if !ok {
		return fallback
	}
	span, err := parseTimeout(v.text)
	if err != nil {
		d.fault(v.at, "%s %v", key, err)
		return fallback
	}
	return span
}
