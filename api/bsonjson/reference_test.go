package bsonjson_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"math/big"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"go.mongodb.org/mongo-driver/v2/bson"

	"metahub/api/bsonjson"
)

// FuzzAppendAsReference demands of random documents the JSON that a slow reference makes of them: the same tokens in the same order, with fields hidden and kept too.
func FuzzAppendAsReference(f *testing.F) {
	for seed := range uint64(8) {
		f.Add(seed, uint16(40))
	}
	f.Fuzz(func(t *testing.T, seed uint64, size uint16) {
		random := &generator{rand.New(rand.NewPCG(seed, 0)), int(size) % 500}
		doc := random.document(4)
		data := raw(t, doc)
		hide, keep := random.paths(), append(random.paths(), random.paths()...)
		for _, c := range []struct {
			options    bsonjson.Options
			hide, keep []string
		}{
			{bsonjson.Options{}, nil, nil},
			{bsonjson.Options{Hide: bsonjson.NewFields(hide...)}, hide, nil},
			{bsonjson.Options{Keep: bsonjson.NewFields(keep...)}, nil, keep},
			{bsonjson.Options{Hide: bsonjson.NewFields(hide...), Keep: bsonjson.NewFields(keep...)}, hide, keep},
		} {
			got, err := bsonjson.Append(nil, data, c.options)
			if err != nil {
				t.Fatalf("%v: %v", doc, err)
			}
			var chosen any = doc
			if c.keep != nil {
				chosen = keepOnly(doc, c.keep, "")
			}
			want := reference(dropAll(chosen, c.hide, ""))
			ours, theirs := tokens(t, got), tokens(t, []byte(want))
			for i := range min(len(ours), len(theirs)) {
				if ours[i] != theirs[i] {
					t.Fatalf("hidden %q, kept %q: token %d is %q, want %q", c.hide, c.keep, i, ours[i], theirs[i])
				}
			}
			if len(ours) != len(theirs) {
				t.Fatalf("hidden %q, kept %q:\n got %s\nwant %s", c.hide, c.keep, got, want)
			}
		}
	})
}

// generator makes documents of all types, of keys and values that are hard to write.
type generator struct {
	*rand.Rand
	room int // values that there may still be
}

var keys = []string{"a", "b", "c", "_id", "title", "k\"ey", "ключ", "", "$x", "long key with spaces and / slashes \\ in it"}

func (g *generator) document(depth int) bson.D {
	doc := bson.D{}
	for _, at := range g.Perm(len(keys))[:g.IntN(len(keys)+1)] {
		if g.room--; g.room < 0 {
			break
		}
		doc = append(doc, bson.E{Key: keys[at], Value: g.value(depth)})
	}
	return doc
}

func (g *generator) value(depth int) any {
	switch g.IntN(22) {
	case 0, 1, 2:
		if depth == 0 {
			return nil
		}
		return g.document(depth - 1)
	case 3, 4:
		list := bson.A{}
		for range g.IntN(5) {
			if g.room--; depth > 0 && g.room >= 0 {
				list = append(list, g.value(depth-1))
			}
		}
		return list
	case 5, 6, 7:
		return g.text()
	case 8:
		return int32(g.Uint32())
	case 9:
		return int64(g.Uint64()) >> g.IntN(64)
	case 10:
		return math.Float64frombits(g.Uint64())
	case 11:
		return math.Round(g.NormFloat64()*1e6) / 100
	case 12:
		return g.IntN(2) == 0
	case 13:
		return bson.ObjectID(slices.Repeat([]byte{byte(g.Uint32())}, 12))
	case 14:
		return bson.DateTime(int64(g.Uint64()) >> g.IntN(64))
	case 15:
		return bson.NewDecimal128(g.Uint64(), g.Uint64())
	case 16:
		return bson.Binary{Subtype: []byte{0, 2, 4, 128}[g.IntN(4)], Data: []byte(g.text())}
	case 17:
		return bson.Regex{Pattern: strings.ReplaceAll(g.text(), "\x00", ""), Options: "im"}
	case 18:
		return bson.Timestamp{T: g.Uint32(), I: g.Uint32()}
	case 19:
		return []any{bson.MinKey{}, bson.MaxKey{}, bson.Undefined{}, bson.Null{}}[g.IntN(4)]
	case 20:
		return []any{bson.Symbol(g.text()), bson.JavaScript(g.text()), bson.CodeWithScope{Code: bson.JavaScript(g.text()), Scope: bson.D{}}}[g.IntN(3)]
	}
	return nil
}

var pieces = []string{"plain", "Größe", "日本", "😀", "\"", "\\", "\n", "\x00", "\x1f", "\x7f", "\u2028", "</script>", "&", "\xff", "\xed\xa0\x80", "\xc3", "\uFFFD", "/", " "}

func (g *generator) text() string {
	var out strings.Builder
	for range g.IntN(12) {
		out.WriteString(pieces[g.IntN(len(pieces))])
	}
	return out.String()
}

// paths are some that documents may have.
func (g *generator) paths() []string {
	all := []string{}
	for range g.IntN(4) {
		path := []string{}
		for range 1 + g.IntN(3) {
			path = append(path, keys[g.IntN(5)])
		}
		all = append(all, strings.Join(path, "."))
	}
	return all
}

// dropAll takes the paths out of a value, through arrays.
func dropAll(v any, paths []string, at string) any {
	switch v := v.(type) {
	case bson.D:
		out := bson.D{}
		for _, e := range v {
			if path := at + "." + e.Key; !slices.Contains(paths, path[1:]) {
				out = append(out, bson.E{Key: e.Key, Value: dropAll(e.Value, paths, path)})
			}
		}
		return out
	case bson.A:
		out := bson.A{}
		for _, element := range v {
			out = append(out, dropAll(element, paths, at))
		}
		return out
	}
	return v
}

// none stands for a value of which nothing is kept.
type none struct{}

// keepOnly leaves of a value what the paths name: a path with all that is below it, and on the way to one objects and arrays alone.
func keepOnly(v any, paths []string, at string) any {
	switch v := v.(type) {
	case bson.D:
		out := bson.D{}
		for _, e := range v {
			path := at + "." + e.Key
			if slices.Contains(paths, path[1:]) {
				out = append(out, e)
			} else if slices.ContainsFunc(paths, func(p string) bool { return strings.HasPrefix(p, path[1:]+".") }) {
				if kept := keepOnly(e.Value, paths, path); kept != (none{}) {
					out = append(out, bson.E{Key: e.Key, Value: kept})
				}
			}
		}
		return out
	case bson.A:
		out := bson.A{}
		for _, element := range v {
			if kept := keepOnly(element, paths, at); kept != (none{}) {
				out = append(out, kept)
			}
		}
		return out
	}
	return none{}
}

// reference writes JSON by the documentation of Append, with the means of the standard library and no thought of speed.
func reference(v any) string {
	quote := func(text string) string {
		out, _ := json.Marshal(oneByOne(text))
		return string(out)
	}
	switch v := v.(type) {
	case bson.D:
		members := make([]string, len(v))
		for i, e := range v {
			members[i] = quote(e.Key) + ":" + reference(e.Value)
		}
		return "{" + strings.Join(members, ",") + "}"
	case bson.A:
		elements := make([]string, len(v))
		for i, element := range v {
			elements[i] = reference(element)
		}
		return "[" + strings.Join(elements, ",") + "]"
	case string:
		return quote(v)
	case bson.Symbol:
		return quote(string(v))
	case bson.JavaScript:
		return quote(string(v))
	case bson.CodeWithScope:
		return quote(string(v.Code))
	case int32:
		return strconv.Itoa(int(v))
	case int64:
		if most := int64(1)<<53 - 1; v > most || v < -most {
			return fmt.Sprintf("%q", fmt.Sprint(v))
		}
		return fmt.Sprint(v)
	case float64:
		out, err := json.Marshal(v)
		if err != nil { // NaN, and what has no end
			return "null"
		}
		return string(out)
	case bool:
		return fmt.Sprint(v)
	case bson.ObjectID:
		return quote(hex.EncodeToString(v[:]))
	case bson.DateTime:
		return referenceDate(int64(v))
	case bson.Decimal128:
		return quote(v.String())
	case bson.Binary:
		if v.Subtype == 4 && len(v.Data) == 16 {
			return quote(fmt.Sprintf("%x-%x-%x-%x-%x", v.Data[:4], v.Data[4:6], v.Data[6:8], v.Data[8:10], v.Data[10:]))
		}
		return quote(base64.StdEncoding.EncodeToString(v.Data))
	case bson.Regex:
		return quote("/" + v.Pattern + "/" + v.Options)
	case bson.Timestamp:
		return fmt.Sprintf(`{"t":%d,"i":%d}`, v.T, v.I)
	case nil, bson.Null, bson.Undefined, bson.MinKey, bson.MaxKey:
		return "null"
	}
	panic(fmt.Sprintf("a %T", v))
}

// oneByOne puts a replacement for each byte that is not UTF-8: strings.ToValidUTF8 puts one for several in a row.
func oneByOne(text string) string {
	var out strings.Builder
	for len(text) > 0 {
		r, size := utf8.DecodeRuneInString(text)
		out.WriteRune(r)
		text = text[size:]
	}
	return out.String()
}

func referenceDate(millis int64) string {
	if big.NewInt(millis).CmpAbs(big.NewInt(8.64e15)) > 0 {
		return "null"
	}
	at := time.UnixMilli(millis).UTC()
	year := fmt.Sprintf("%04d", at.Year())
	if at.Year() < 0 || at.Year() > 9999 {
		year = fmt.Sprintf("%+07d", at.Year())
	}
	return `"` + year + at.Format("-01-02T15:04:05.000Z") + `"`
}

// tokens are those of a JSON text. Numbers are what they stand for: both may write one in their own way.
func tokens(t *testing.T, text []byte) (all []any) {
	t.Helper()
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	for {
		token, err := decoder.Token()
		if err == io.EOF {
			return all
		}
		if err != nil {
			t.Fatalf("not JSON: %v: %s", err, text)
		}
		if number, ok := token.(json.Number); ok {
			value, ok := new(big.Rat).SetString(number.String())
			if !ok {
				t.Fatalf("not a number: %s", number)
			}
			token = value.RatString()
		}
		all = append(all, token)
	}
}
