package bsonjson

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// Limits bound what Parse takes, besides the length of the text, which is the caller's to bound.
type Limits struct {
	// Depth is how many objects and arrays may lie inside each other, the outermost one included.
	Depth int
	// Keys is how many keys all objects may have together. The work to find duplicates grows with its square.
	Keys int
}

// DefaultLimits are those of the API: 32 levels, 1,000 keys.
var DefaultLimits = Limits{Depth: 32, Keys: 1000}

// Error says what is wrong with a JSON text, and where.
type Error struct {
	// Path is the dotted path of the value at fault, "items.3.price"; empty for the text as a whole.
	Path string
	// Offset is the byte at which the fault was seen.
	Offset int
	// Reason says what is wrong and what to do, without the path.
	Reason string
}

// Error implements error.
func (e *Error) Error() string {
	if e.Path == "" {
		return fmt.Sprintf("at byte %d: %s", e.Offset, e.Reason)
	}
	return fmt.Sprintf("field %q: %s", e.Path, e.Reason)
}

// Parse turns a JSON text (RFC 8259), which must be one object, into a document that keeps the order of its keys. Objects become
// bson.D and arrays bson.A; whole numbers int32 or else int64, without a detour over floating point, numbers with a fraction or
// exponent double. Nothing is read into strings: dates and ObjectIds are for the caller, who knows the schema.
//
// Refused with an *Error are keys that are empty, begin with "$", contain "." or NUL or come twice in an object, numbers that do not
// fit, text that is not UTF-8, surrogates without their other half, and whatever exceeds limits. The document shares no memory with data.
func Parse(data []byte, limits Limits) (bson.D, error) {
	p := parser{data: data, limits: limits}
	if !utf8.Valid(data) {
		p.at = validPrefix(data)
		return nil, p.fault("is not UTF-8")
	}
	p.skipSpace()
	if p.peek() != '{' {
		return nil, p.fault("must be a JSON object, beginning with {")
	}
	doc, err := p.object(1)
	if err != nil {
		return nil, err
	}
	p.skipSpace()
	if p.at < len(data) {
		return nil, p.fault("nothing may follow the JSON object")
	}
	return doc, nil
}

func validPrefix(data []byte) int {
	at := 0
	for at < len(data) {
		r, size := utf8.DecodeRune(data[at:])
		if r == utf8.RuneError && size == 1 {
			break
		}
		at += size
	}
	return at
}

// parser reads one JSON text from left to right.
type parser struct {
	data   []byte
	at     int
	limits Limits
	keys   int
	path   []step
}

// step is one segment of the path to the value being read: a key, or a position where key is empty.
type step struct {
	key   string
	index int
}

func (p *parser) value(depth int) (any, error) {
	switch c := p.peek(); {
	case c == '{':
		return p.object(depth)
	case c == '[':
		return p.array(depth)
	case c == '"':
		return p.string()
	case c == '-' || '0' <= c && c <= '9':
		return p.number()
	case p.literal("true"):
		return true, nil
	case p.literal("false"):
		return false, nil
	case p.literal("null"):
		return nil, nil
	case p.at == len(p.data):
		return nil, p.fault("the JSON text ends too early")
	}
	return nil, p.fault("must be a JSON value")
}

func (p *parser) object(depth int) (bson.D, error) {
	if depth > p.limits.Depth {
		return nil, p.fault(fmt.Sprintf("is nested more than %d levels deep", p.limits.Depth))
	}
	p.at++ // {
	doc := bson.D{}
	p.skipSpace()
	if p.accept('}') {
		return doc, nil
	}
	for {
		p.skipSpace()
		key, err := p.key(doc)
		if err != nil {
			return nil, err
		}
		p.path = append(p.path, step{key: key})
		p.skipSpace()
		if !p.accept(':') {
			return nil, p.fault(`a key must be followed by ":"`)
		}
		p.skipSpace()
		value, err := p.value(depth + 1)
		if err != nil {
			return nil, err
		}
		p.path = p.path[:len(p.path)-1]
		doc = append(doc, bson.E{Key: key, Value: value})
		p.skipSpace()
		if p.accept('}') {
			return doc, nil
		}
		if !p.accept(',') {
			return nil, p.fault(`the fields of an object must be separated by "," and end with "}"`)
		}
	}
}

// key reads a key of doc, of which the earlier fields are known.
func (p *parser) key(doc bson.D) (string, error) {
	if p.peek() != '"' {
		return "", p.fault("a key must be a string in double quotes")
	}
	if p.keys++; p.keys > p.limits.Keys {
		return "", p.fault(fmt.Sprintf("more than %d keys in all", p.limits.Keys))
	}
	key, err := p.string()
	if err != nil {
		return "", err
	}
	if reason := badKey(key, doc); reason != "" {
		if key != "" {
			p.path = append(p.path, step{key: key})
		}
		return "", p.fault(reason)
	}
	return key, nil
}

// badKey says what is wrong with a key, if anything. MongoDB would read meaning into "$" and ".", and ends keys at NUL.
func badKey(key string, doc bson.D) string {
	switch {
	case key == "":
		return "a key must not be empty"
	case key[0] == '$':
		return `a key must not begin with "$"`
	case strings.IndexByte(key, '.') >= 0:
		return `a key must not contain "."`
	case strings.IndexByte(key, 0) >= 0:
		return "a key must not contain NUL"
	}
	for i := range doc {
		if doc[i].Key == key {
			return "comes twice"
		}
	}
	return ""
}

func (p *parser) array(depth int) (bson.A, error) {
	if depth > p.limits.Depth {
		return nil, p.fault(fmt.Sprintf("is nested more than %d levels deep", p.limits.Depth))
	}
	p.at++ // [
	list := bson.A{}
	p.skipSpace()
	if p.accept(']') {
		return list, nil
	}
	for {
		p.path = append(p.path, step{index: len(list)})
		p.skipSpace()
		value, err := p.value(depth + 1)
		if err != nil {
			return nil, err
		}
		p.path = p.path[:len(p.path)-1]
		list = append(list, value)
		p.skipSpace()
		if p.accept(']') {
			return list, nil
		}
		if !p.accept(',') {
			return nil, p.fault(`the values of an array must be separated by "," and end with "]"`)
		}
	}
}

func (p *parser) fault(reason string) *Error {
	return &Error{Path: pathText(p.path), Offset: p.at, Reason: reason}
}

// pathText joins a path with dots, long keys cut short because they are the client's.
func pathText(path []step) string {
	const maxKey = 64
	var text strings.Builder
	for i, step := range path {
		if i > 0 {
			text.WriteByte('.')
		}
		switch {
		case step.key == "":
			text.WriteString(strconv.Itoa(step.index))
		case len(step.key) > maxKey:
			text.WriteString(strings.ToValidUTF8(step.key[:maxKey], "") + "…")
		default:
			text.WriteString(step.key)
		}
	}
	return text.String()
}
