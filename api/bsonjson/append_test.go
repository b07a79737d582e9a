package bsonjson_test

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"math"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"go.mongodb.org/mongo-driver/v2/bson"

	"metahub/api/bsonjson"
)

func TestAppendValue(t *testing.T) {
	f := func(value any, want string) {
		t.Helper()
		got, err := bsonjson.Append([]byte("before "), raw(t, bson.D{{Key: "v", Value: value}}), bsonjson.Options{})
		if err != nil {
			t.Errorf("%v: %v", value, err)
			return
		}
		if want = `before {"v":` + want + `}`; string(got) != want {
			t.Errorf("%v: got %s, want %s", value, got, want)
		}
	}

	// strings
	f("", `""`)
	f("Größe, küçük, 日本, 😀", `"Größe, küçük, 日本, 😀"`)
	f("a\"b\\c\n\r\t\b\x00\x1f\x7f/<>&", `"a\"b\\c\n\r\t\u0008\u0000\u001f`+"\x7f"+`/<>&"`)
	f("plain text of more than eight bytes \" and a quote far behind", `"plain text of more than eight bytes \" and a quote far behind"`)
	f("eight678\x01", `"eight678\u0001"`)
	f("Größe\"und\\\"so\tweiter, küçük\" 日本\"", `"Größe\"und\\\"so\tweiter, küçük\" 日本\""`)
	f("日本\x1f日本!#[]\x7f日本", `"日本\u001f日本!#[]`+"\x7f"+`日本"`)
	f("bad \xff\xc3 bytes \xed\xa0\x80", `"bad `+"\uFFFD\uFFFD"+` bytes `+"\uFFFD\uFFFD\uFFFD"+`"`)
	f("already \uFFFD", `"already `+"\uFFFD"+`"`)
	f(bson.Symbol("s"), `"s"`)
	f(bson.JavaScript("f()"), `"f()"`)
	f(bson.CodeWithScope{Code: "f()", Scope: bson.D{{Key: "x", Value: 1}}}, `"f()"`)

	// integers: JavaScript is exact to 2⁵³−1
	f(int32(0), `0`)
	f(int32(math.MinInt32), `-2147483648`)
	f(int64(1)<<53-1, `9007199254740991`)
	f(-(int64(1)<<53 - 1), `-9007199254740991`)
	f(int64(1)<<53, `"9007199254740992"`)
	f(-(int64(1) << 53), `"-9007199254740992"`)
	f(int64(math.MaxInt64), `"9223372036854775807"`)
	f(int64(math.MinInt64), `"-9223372036854775808"`)

	// doubles, as ECMAScript writes them
	f(0.0, `0`)
	f(math.Copysign(0, -1), `0`)
	f(5.0, `5`)
	f(-0.5, `-0.5`)
	f(0.30000000000000004, `0.30000000000000004`)
	f(1e-6, `0.000001`)
	f(1e-7, `1e-7`)
	f(1.5e-10, `1.5e-10`)
	f(1e20, `100000000000000000000`)
	f(1e21, `1e+21`)
	f(math.MaxFloat64, `1.7976931348623157e+308`)
	f(math.SmallestNonzeroFloat64, `5e-324`)
	f(math.NaN(), `null`)
	f(math.Inf(1), `null`)
	f(math.Inf(-1), `null`)

	// other scalars
	f(true, `true`)
	f(false, `false`)
	f(nil, `null`)
	f(bson.Undefined{}, `null`)
	f(bson.MinKey{}, `null`)
	f(bson.MaxKey{}, `null`)
	f(bson.ObjectID{0x65, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 0xff}, `"650102030405060708090aff"`)
	f(bson.DBPointer{DB: "db", Pointer: bson.ObjectID{11: 1}}, `"000000000000000000000001"`)
	f(decimal(t, "12345678901234567890.123456789"), `"12345678901234567890.123456789"`)
	f(decimal(t, "NaN"), `"NaN"`)
	f(bson.Timestamp{T: 1700000000, I: 7}, `{"t":1700000000,"i":7}`)
	f(bson.Regex{Pattern: `^a"/b`, Options: "i"}, `"/^a\"/b/i"`)
	f(bson.Binary{Data: []byte{1, 2, 255}}, `"AQL/"`)
	f(bson.Binary{}, `""`)
	f(bson.Binary{Subtype: bson.TypeBinaryBinaryOld, Data: []byte{1, 2, 255}}, `"AQL/"`)
	f(bson.Binary{Subtype: bson.TypeBinaryUUID, Data: []byte("0123456789abcdef")}, `"30313233-3435-3637-3839-616263646566"`)
	f(bson.Binary{Subtype: bson.TypeBinaryUUID, Data: []byte{1}}, `"AQ=="`)

	// nested
	f(bson.A{}, `[]`)
	f(bson.D{}, `{}`)
	f(bson.A{1, bson.A{"x", nil}, bson.D{{Key: "b", Value: 1}, {Key: "a", Value: 2}}}, `[1,["x",null],{"b":1,"a":2}]`)
}

func TestAppendDate(t *testing.T) {
	f := func(millis int64, want string) {
		t.Helper()
		got, err := bsonjson.Append(nil, raw(t, bson.D{{Key: "v", Value: bson.DateTime(millis)}}), bsonjson.Options{})
		if err != nil || string(got) != `{"v":`+want+`}` {
			t.Errorf("%d: got %s, %v, want %s", millis, got, err, want)
		}
	}

	f(0, `"1970-01-01T00:00:00.000Z"`)
	f(-1, `"1969-12-31T23:59:59.999Z"`)
	f(1709164800001, `"2024-02-29T00:00:00.001Z"`)
	f(-62167219200000, `"0000-01-01T00:00:00.000Z"`)
	f(253402300799999, `"9999-12-31T23:59:59.999Z"`)
	// outside of four digits, as Date.prototype.toISOString does
	f(253402300800000, `"+010000-01-01T00:00:00.000Z"`)
	f(-62167219200001, `"-000001-12-31T23:59:59.999Z"`)
	f(8640000000000000, `"+275760-09-13T00:00:00.000Z"`)
	f(-8640000000000000, `"-271821-04-20T00:00:00.000Z"`)
	// beyond what a JavaScript Date holds
	f(8640000000000001, `null`)
	f(math.MinInt64, `null`)
	f(math.MaxInt64, `null`)
}

// Every day of eight centuries is as package time has it.
func TestAppendDateEveryDay(t *testing.T) {
	day := time.Date(1600, 1, 1, 23, 59, 58, 987e6, time.UTC)
	for ; day.Year() < 2400; day = day.AddDate(0, 0, 1) {
		got, err := bsonjson.Append(nil, raw(t, bson.D{{Key: "v", Value: day}}), bsonjson.Options{})
		want := day.Format(`{"v":"2006-01-02T15:04:05.000Z"}`)
		if err != nil || string(got) != want {
			t.Fatalf("got %s, %v, want %s", got, err, want)
		}
	}
}

func TestAppendKeys(t *testing.T) {
	// In their order, escaped as strings are, and twice where the document has them twice.
	doc := bson.D{{Key: "z", Value: 1}, {Key: `q"`, Value: 2}, {Key: "", Value: 3}, {Key: "a\xff", Value: 4}, {Key: "z", Value: 5}}
	got, err := bsonjson.Append(nil, raw(t, doc), bsonjson.Options{})
	if want := `{"z":1,"q\"":2,"":3,"a` + "\uFFFD" + `":4,"z":5}`; err != nil || string(got) != want {
		t.Errorf("got %s, %v, want %s", got, err, want)
	}
}

func TestAppendList(t *testing.T) {
	first := raw(t, bson.D{{Key: "_id", Value: 1}, {Key: "secret", Value: "x"}})
	second := raw(t, bson.D{{Key: "secret", Value: "y"}, {Key: "_id", Value: 2}})
	f := func(want string, docs ...bson.Raw) {
		t.Helper()
		got, err := bsonjson.AppendList([]byte("x"), bytes.Join(toBytes(docs), nil), bsonjson.Options{Hide: bsonjson.NewFields("secret")})
		if err != nil || string(got) != want {
			t.Errorf("got %s, %v, want %s", got, err, want)
		}
	}

	f(`x[]`)
	f(`x[{"_id":1}]`, first)
	f(`x[{"_id":1},{"_id":2}]`, first, second)

	got, err := bsonjson.AppendList([]byte("x"), append(bytes.Clone(first), second[:len(second)-1]...), bsonjson.Options{})
	if !errors.Is(err, bsonjson.ErrCorrupt) || string(got) != "x" {
		t.Errorf("a list that is cut short: got %s, %v, want ErrCorrupt and nothing more", got, err)
	}
}

func toBytes(docs []bson.Raw) [][]byte {
	out := make([][]byte, len(docs))
	for i, doc := range docs {
		out[i] = doc
	}
	return out
}

func TestAppendDepth(t *testing.T) {
	nested := func(levels int) bson.Raw {
		doc := bson.D{}
		for range levels - 1 {
			doc = bson.D{{Key: "a", Value: doc}}
		}
		return raw(t, doc)
	}
	if _, err := bsonjson.Append(nil, nested(100), bsonjson.Options{}); err != nil {
		t.Errorf("100 levels: %v", err)
	}
	if _, err := bsonjson.Append(nil, nested(101), bsonjson.Options{}); !errors.Is(err, bsonjson.ErrCorrupt) {
		t.Errorf("101 levels: got %v, want ErrCorrupt", err)
	}
}

// Cut short anywhere, or with any byte of it changed, a document must give an error or valid JSON.
func TestAppendCorrupt(t *testing.T) {
	whole := raw(t, everyType(t))
	for n := range len(whole) {
		if out, err := bsonjson.Append([]byte("x"), whole[:n], bsonjson.Options{}); !errors.Is(err, bsonjson.ErrCorrupt) || string(out) != "x" {
			t.Errorf("first %d bytes: got %q, %v, want ErrCorrupt", n, out, err)
		}
	}
	if _, err := bsonjson.Append(nil, append(bytes.Clone(whole), 0), bsonjson.Options{}); !errors.Is(err, bsonjson.ErrCorrupt) {
		t.Errorf("one byte more: got %v, want ErrCorrupt", err)
	}
	for i := range whole {
		for _, change := range []byte{0x01, 0x80, 0xff} {
			damaged := bytes.Clone(whole)
			damaged[i] ^= change
			if out, err := bsonjson.Append(nil, damaged, bsonjson.Options{}); err == nil && !json.Valid(out) {
				t.Errorf("byte %d changed: invalid JSON %s", i, out)
			}
		}
	}
}

func TestAppendLengths(t *testing.T) {
	f := func(name string, element ...byte) {
		t.Helper()
		doc := binary.LittleEndian.AppendUint32(nil, uint32(len(element)+5))
		doc = append(append(doc, element...), 0)
		if out, err := bsonjson.Append(nil, doc, bsonjson.Options{}); !errors.Is(err, bsonjson.ErrCorrupt) {
			t.Errorf("%s: got %s, %v, want ErrCorrupt", name, out, err)
		}
	}

	f("string of length 0", 0x02, 'v', 0, 0, 0, 0, 0)
	f("string of negative length", 0x02, 'v', 0, 0xff, 0xff, 0xff, 0xff, 'x', 0)
	f("string longer than the document", 0x02, 'v', 0, 0xff, 0, 0, 0, 'x', 0)
	f("string without NUL", 0x02, 'v', 0, 2, 0, 0, 0, 'x', 'y')
	f("document of length 4", 0x03, 'v', 0, 4, 0, 0, 0)
	f("array without NUL", 0x04, 'v', 0, 5, 0, 0, 0, 1)
	f("binary of negative length", 0x05, 'v', 0, 0xff, 0xff, 0xff, 0xff, 0)
	f("boolean 2", 0x08, 'v', 0, 2)
	f("regex without options", 0x0b, 'v', 0, 'a', 0)
	f("code longer than its scope's frame", 0x0f, 'v', 0, 13, 0, 0, 0, 0xff, 0, 0, 0, 0, 5, 0, 0, 0)
	f("unknown type", 0x20, 'v', 0)
	f("key without NUL", 0x0a, 'v')
}

func TestAppendAllocatesNothing(t *testing.T) {
	doc := raw(t, product())
	options := bsonjson.Options{Hide: bsonjson.NewFields("cost", "supplier.iban"), Keep: bsonjson.NewFields("_id", "title", "supplier")}
	buffer := make([]byte, 0, 64<<10)
	allocations := testing.AllocsPerRun(100, func() {
		if _, err := bsonjson.Append(buffer, doc, options); err != nil {
			t.Fatal(err)
		}
	})
	if allocations != 0 {
		t.Errorf("got %v allocations, want 0", allocations)
	}
}

func FuzzAppend(f *testing.F) {
	f.Add([]byte(raw(f, everyType(f))))
	f.Add([]byte(raw(f, product())))
	f.Add([]byte{5, 0, 0, 0, 0})
	options := bsonjson.Options{Hide: bsonjson.NewFields("a.b", "c"), Keep: bsonjson.NewFields("a", "s", "d.x")}
	f.Fuzz(func(t *testing.T, data []byte) {
		var doc bson.D
		if bson.Unmarshal(data, &doc) == nil && bytes.Count(data, []byte{0x03})+bytes.Count(data, []byte{0x04}) < 99 {
			if _, err := bsonjson.Append(nil, raw(t, doc), bsonjson.Options{}); err != nil {
				t.Errorf("refused a document that the driver wrote: %v", doc)
			}
		}
		out, err := bsonjson.Append(nil, data, bsonjson.Options{})
		if err != nil {
			return
		}
		if !json.Valid(out) || !utf8.Valid(out) {
			t.Errorf("invalid JSON %q from %x", out, data)
		}
		chosen, err := bsonjson.Append(nil, data, options)
		if err != nil || !json.Valid(chosen) {
			t.Errorf("with fields chosen: %q, %v from %x", chosen, err, data)
		}
	})
}

// product is a document like those of the original system: twelve languages of five fields, dates, numbers and references.
func product() bson.D {
	localized := func(text string) (texts bson.D) {
		for _, language := range strings.Fields("tr en de fr ar ru zh es it pt hi pl") {
			texts = append(texts, bson.E{Key: language, Value: text + " " + language})
		}
		return texts
	}
	return bson.D{
		{Key: "_id", Value: bson.ObjectID{0x65, 1}},
		{Key: "title", Value: localized("Endüstriyel fan, Größe L")},
		{Key: "slug", Value: localized("enduestriyel-fan-groesse-l")},
		{Key: "summary", Value: localized("All sizes, from stock, with \"EC\" motors.")},
		{Key: "content", Value: localized(strings.Repeat("Quiet and durable, for halls up to 400 m². ", 5) + "\n")},
		{Key: "metaDescription", Value: localized("Fans and ventilation")},
		{Key: "price", Value: 1249.5},
		{Key: "stock", Value: int32(17)},
		{Key: "sold", Value: int64(9_000_000_000)},
		{Key: "isActive", Value: true},
		{Key: "cost", Value: 800.0},
		{Key: "supplier", Value: bson.D{{Key: "name", Value: "Radanor"}, {Key: "iban", Value: "DE00"}}},
		{Key: "images", Value: bson.A{"/uploads/1.webp", "/uploads/2.webp"}},
		{Key: "comments", Value: bson.A{bson.ObjectID{1}, bson.ObjectID{2}}},
		{Key: "createdAt", Value: bson.DateTime(1700000000123)},
		{Key: "updatedAt", Value: bson.DateTime(1710000000123)},
	}
}

func everyType(t testing.TB) bson.D {
	return bson.D{
		{Key: "double", Value: 1.5},
		{Key: "s", Value: "text"},
		{Key: "d", Value: bson.D{{Key: "x", Value: 1}}},
		{Key: "a", Value: bson.A{1, bson.D{{Key: "b", Value: 2}}}},
		{Key: "binary", Value: bson.Binary{Data: []byte{1, 2}}},
		{Key: "old", Value: bson.Binary{Subtype: 2, Data: []byte{1, 2}}},
		{Key: "uuid", Value: bson.Binary{Subtype: 4, Data: []byte("0123456789abcdef")}},
		{Key: "undefined", Value: bson.Undefined{}},
		{Key: "id", Value: bson.ObjectID{1}},
		{Key: "bool", Value: true},
		{Key: "date", Value: bson.DateTime(1)},
		{Key: "null", Value: nil},
		{Key: "regex", Value: bson.Regex{Pattern: "a", Options: "i"}},
		{Key: "pointer", Value: bson.DBPointer{DB: "db", Pointer: bson.ObjectID{1}}},
		{Key: "code", Value: bson.JavaScript("f")},
		{Key: "symbol", Value: bson.Symbol("f")},
		{Key: "scope", Value: bson.CodeWithScope{Code: "f", Scope: bson.D{}}},
		{Key: "int32", Value: int32(1)},
		{Key: "timestamp", Value: bson.Timestamp{T: 1, I: 2}},
		{Key: "int64", Value: int64(1)},
		{Key: "decimal", Value: decimal(t, "1.5")},
		{Key: "min", Value: bson.MinKey{}},
		{Key: "max", Value: bson.MaxKey{}},
	}
}

func raw(t testing.TB, doc bson.D) bson.Raw {
	t.Helper()
	data, err := bson.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func decimal(t testing.TB, text string) bson.Decimal128 {
	t.Helper()
	d, err := bson.ParseDecimal128(text)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// Each byte comes back as it was from each place in a word, alone, among others and beside text beyond ASCII.
func TestAppendStringEscapes(t *testing.T) {
	for c := range 0x80 {
		for at := range 17 {
			for _, around := range []string{"aaaaaaaaaaaaaaaaa", "éééééééééééé", "!#[]!#[]!#[]!#[]!", "\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\""} {
				end := min(at, len(around))
				for !utf8.RuneStart(around[min(end, len(around)-1)]) {
					end++
				}
				text := around[:end] + string(rune(c)) + around[end:]
				var back string
				if err := json.Unmarshal(bsonjson.AppendString(nil, text), &back); err != nil || back != text {
					t.Fatalf("%q becomes %s: %v", text, bsonjson.AppendString(nil, text), err)
				}
			}
		}
	}
}
