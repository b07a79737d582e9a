package bsonjson

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"math"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// Options choose which fields of a document are written, and how. Keep and Hide may be used together; Hide wins.
type Options struct {
	// Keep, when not nil, is all that is written.
	Keep *Fields
	// Hide is never written.
	Hide *Fields
	// Languages, when not nil, turn the objects that Keep marks as localized into one text: of the first of these languages that the
	// object has, else of whichever it has first, else null.
	Languages []string
	// Joins are what the ids of fields that Keep marks with Join stand for, by the number of the mark. Ids of a mark without a Join are
	// written as they are.
	Joins []Join
}

// ErrCorrupt is what Append says of bytes that are not exactly one BSON document, or that nest deeper than 100 levels.
var ErrCorrupt = errors.New("not a well-formed BSON document")

// maxDepth is MongoDB's own limit on nested documents.
const maxDepth = 100

// Append appends doc to dst as one JSON object, its fields in their order. On ErrCorrupt dst is returned as it was.
//
// ObjectIds become 24 hex digits, dates ISO 8601 with milliseconds and Z, integers beyond ±(2⁵³−1) and Decimal128 strings, binary
// data base64 and UUIDs their usual text, regular expressions "/pattern/options", timestamps {"t":…,"i":…}. NaN, infinities, undefined,
// MinKey and MaxKey become null, and so does a date that JavaScript could not hold. Bytes that are not UTF-8 become U+FFFD. A key
// that the document holds twice is written twice.
func Append(dst []byte, doc bson.Raw, opts Options) ([]byte, error) {
	out, rest, ok := opts.appendDocument(dst, doc, opts.scope(), false, maxDepth)
	if !ok || len(rest) > 0 {
		return dst, ErrCorrupt
	}
	return out, nil
}

// AppendList appends BSON documents, one after the other in docs, to dst as one JSON array. The options apply to each of them.
func AppendList(dst, docs []byte, opts Options) ([]byte, error) {
	out := append(dst, '[')
	start := len(out)
	for ok := true; len(docs) > 0; {
		if len(out) > start {
			out = append(out, ',')
		}
		if out, docs, ok = opts.appendDocument(out, docs, opts.scope(), false, maxDepth); !ok {
			return dst, ErrCorrupt
		}
	}
	return append(out, ']'), nil
}

// scope is what of the options applies to one value and to what is below it.
type scope struct{ keep, hide *Fields }

func (o *Options) scope() scope { return scope{o.Keep, o.Hide} }

// appendDocument writes the document or array that data begins with and returns what follows it.
func (o *Options) appendDocument(dst, data []byte, in scope, array bool, depth int) (out, rest []byte, ok bool) {
	body, rest, ok := splitDocument(data)
	if !ok || depth == 0 {
		return dst, nil, false
	}
	opening, closing := byte('{'), byte('}')
	if array {
		opening, closing = '[', ']'
	}
	dst = append(dst, opening)
	start := len(dst)
	chosen := !array && in != (scope{}) // else all that is below is written
	for len(body) > 0 {
		var e element
		if e, body, ok = nextElement(body); !ok {
			return dst, nil, false
		}
		inner, wanted := in, true
		if chosen {
			inner, wanted = in.under(e.key)
		}
		if !wanted || inner.keep.partial() && e.kind != bson.TypeEmbeddedDocument && e.kind != bson.TypeArray {
			continue
		}
		if len(dst) > start {
			dst = append(dst, ',')
		}
		if !array {
			dst = appendString(dst, e.key)
			dst = append(dst, ':')
		}
		if inner.keep.marked() {
			dst, ok = o.appendMarked(dst, e, inner, depth-1)
		} else {
			dst, ok = o.appendValue(dst, e.kind, e.value, inner, depth-1)
		}
		if !ok {
			return dst, nil, false
		}
	}
	return append(dst, closing), rest, true
}

// element is one field of a document.
type element struct {
	kind       bson.Type
	key, value []byte
}

// nextElement cuts the first element of body, which is not empty, from what follows it.
func nextElement(body []byte) (e element, rest []byte, ok bool) {
	end := indexZero(body[1:])
	if end < 0 {
		return e, nil, false
	}
	value := body[2+end:]
	e.kind, e.key = bson.Type(body[0]), body[1:1+end]
	size, ok := valueSize(e.kind, value)
	if !ok {
		return e, nil, false
	}
	e.value = value[:size]
	return e, value[size:], true
}

// splitDocument cuts the elements of the document that data begins with from what follows it.
func splitDocument(data []byte) (body, rest []byte, ok bool) {
	if len(data) < 5 {
		return nil, nil, false
	}
	n := binary.LittleEndian.Uint32(data)
	if n < 5 || uint64(n) > uint64(len(data)) || data[n-1] != 0 {
		return nil, nil, false
	}
	return data[4 : n-1], data[n:], true
}

// under returns the scope of what is below key, and whether key is written at all.
func (in scope) under(key []byte) (scope, bool) {
	if in.hide != nil {
		in.hide = in.hide.below(key)
		if in.hide != nil && in.hide.whole() {
			return in, false
		}
	}
	if in.keep != nil {
		in.keep = in.keep.below(key)
		if in.keep == nil {
			return in, false
		}
		if in.keep.whole() && !in.keep.marked() {
			in.keep = nil
		}
	}
	return in, true
}

// valueSize returns how many of data's first bytes the value of a kind takes. It is not more than len(data).
func valueSize(kind bson.Type, data []byte) (size int, ok bool) {
	switch kind {
	case bson.TypeNull, bson.TypeUndefined, bson.TypeMinKey, bson.TypeMaxKey:
		return 0, true
	case bson.TypeBoolean:
		size = 1
	case bson.TypeInt32:
		size = 4
	case bson.TypeDouble, bson.TypeInt64, bson.TypeDateTime, bson.TypeTimestamp:
		size = 8
	case bson.TypeObjectID:
		size = 12
	case bson.TypeDecimal128:
		size = 16
	case bson.TypeString, bson.TypeJavaScript, bson.TypeSymbol:
		return prefixed(data, 4, 1)
	case bson.TypeBinary:
		return prefixed(data, 5, 0)
	case bson.TypeDBPointer:
		return prefixed(data, 16, 1)
	case bson.TypeEmbeddedDocument, bson.TypeArray, bson.TypeCodeWithScope:
		return prefixed(data, 0, 5)
	case bson.TypeRegex:
		return regexSize(data)
	default:
		return 0, false
	}
	return size, size <= len(data)
}

// prefixed is the size of a value that begins with an int32 length, which is at least least and does not count extra bytes.
func prefixed(data []byte, extra, least uint64) (int, bool) {
	if len(data) < 4 {
		return 0, false
	}
	length := uint64(binary.LittleEndian.Uint32(data))
	if length < least || length > math.MaxInt32 || length+extra > uint64(len(data)) {
		return 0, false
	}
	return int(length + extra), true
}

func regexSize(data []byte) (int, bool) {
	pattern := bytes.IndexByte(data, 0)
	if pattern < 0 {
		return 0, false
	}
	options := bytes.IndexByte(data[pattern+1:], 0)
	return pattern + options + 2, options >= 0
}

// appendValue writes data, which is exactly as long as valueSize says.
func (o *Options) appendValue(dst []byte, kind bson.Type, data []byte, in scope, depth int) (out []byte, ok bool) {
	switch kind {
	case bson.TypeString, bson.TypeJavaScript, bson.TypeSymbol:
		return appendBSONString(dst, data)
	case bson.TypeEmbeddedDocument, bson.TypeArray:
		out, rest, ok := o.appendDocument(dst, data, in, kind == bson.TypeArray, depth)
		return out, ok && len(rest) == 0
	case bson.TypeObjectID:
		return appendHex(dst, data), true
	case bson.TypeDateTime:
		return appendDate(dst, int64(binary.LittleEndian.Uint64(data))), true
	case bson.TypeInt32:
		return appendInt(dst, int64(int32(binary.LittleEndian.Uint32(data)))), true
	case bson.TypeInt64:
		return appendInt(dst, int64(binary.LittleEndian.Uint64(data))), true
	case bson.TypeDouble:
		return appendDouble(dst, math.Float64frombits(binary.LittleEndian.Uint64(data))), true
	case bson.TypeBoolean:
		return appendBool(dst, data[0])
	case bson.TypeDecimal128:
		low, high := binary.LittleEndian.Uint64(data), binary.LittleEndian.Uint64(data[8:])
		return append(append(append(dst, '"'), bson.NewDecimal128(high, low).String()...), '"'), true
	case bson.TypeBinary:
		return appendBinary(dst, data[4], data[5:]), true
	case bson.TypeRegex:
		return appendRegex(dst, data), true
	case bson.TypeTimestamp:
		dst = appendInt(append(dst, `{"t":`...), int64(binary.LittleEndian.Uint32(data[4:])))
		dst = appendInt(append(dst, `,"i":`...), int64(binary.LittleEndian.Uint32(data)))
		return append(dst, '}'), true
	case bson.TypeDBPointer:
		return appendHex(dst, data[len(data)-12:]), true
	case bson.TypeCodeWithScope:
		return appendCodeWithScope(dst, data)
	default: // null, undefined, MinKey, MaxKey
		return append(dst, "null"...), true
	}
}

func appendBSONString(dst, data []byte) ([]byte, bool) {
	end := len(data) - 1
	if data[end] != 0 {
		return dst, false
	}
	return appendString(dst, data[4:end]), true
}

func appendHex(dst, id []byte) []byte {
	return append(hex.AppendEncode(append(dst, '"'), id), '"')
}

func appendBool(dst []byte, b byte) ([]byte, bool) {
	switch b {
	case 0:
		return append(dst, "false"...), true
	case 1:
		return append(dst, "true"...), true
	}
	return dst, false
}

func appendBinary(dst []byte, subtype byte, data []byte) []byte {
	if subtype == bson.TypeBinaryBinaryOld && len(data) >= 4 && uint64(binary.LittleEndian.Uint32(data)) == uint64(len(data)-4) {
		data = data[4:] // the old subtype holds its length a second time
	}
	dst = append(dst, '"')
	if subtype == bson.TypeBinaryUUID && len(data) == 16 {
		dst = appendUUID(dst, data)
	} else {
		dst = base64.StdEncoding.AppendEncode(dst, data)
	}
	return append(dst, '"')
}

// appendUUID writes the text form of RFC 9562 §4.
func appendUUID(dst, id []byte) []byte {
	dst = hex.AppendEncode(dst, id[:4])
	for at := 4; at < 10; at += 2 {
		dst = hex.AppendEncode(append(dst, '-'), id[at:at+2])
	}
	return hex.AppendEncode(append(dst, '-'), id[10:])
}

func appendRegex(dst, data []byte) []byte {
	pattern, options, _ := bytes.Cut(data[:len(data)-1], []byte{0})
	dst = appendEscaped(append(dst, '"', '/'), pattern)
	dst = appendEscaped(append(dst, '/'), options)
	return append(dst, '"')
}

// appendCodeWithScope writes the code and drops the scope.
func appendCodeWithScope(dst, data []byte) ([]byte, bool) {
	size, ok := prefixed(data[4:], 4, 1)
	if !ok {
		return dst, false
	}
	return appendBSONString(dst, data[4:4+size])
}
