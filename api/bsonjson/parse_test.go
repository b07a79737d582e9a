package bsonjson_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"go.mongodb.org/mongo-driver/v2/bson"

	"metahub/api/bsonjson"
)

func TestParse(t *testing.T) {
	f := func(text string, want any) {
		t.Helper()
		got, err := bsonjson.Parse([]byte(`{"v":`+text+`}`), bsonjson.DefaultLimits)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			return
		}
		if want := (bson.D{{Key: "v", Value: want}}); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %#v, want %#v", text, got, want)
		}
	}

	// whole numbers keep every digit
	f(`0`, int32(0))
	f(`-0`, int32(0))
	f(`2147483647`, int32(2147483647))
	f(`2147483648`, int64(2147483648))
	f(`-2147483648`, int32(-2147483648))
	f(`-2147483649`, int64(-2147483649))
	f(`9007199254740993`, int64(9007199254740993))
	f(`9223372036854775807`, int64(9223372036854775807))
	f(`-9223372036854775808`, int64(-9223372036854775808))

	// a fraction or an exponent makes a double
	f(`1.0`, 1.0)
	f(`-0.0`, math.Copysign(0, -1))
	f(`1e3`, 1000.0)
	f(`1E+2`, 100.0)
	f(`12.5e-1`, 1.25)
	f(`1e-400`, 0.0)

	// strings
	f(`""`, "")
	f(`"Größe 日本 😀"`, "Größe 日本 😀")
	f(`"\"\\\/\b\f\n\r\t"`, "\"\\/\b\f\n\r\t")
	f(`"before\u00fcafter"`, "beforeüafter")
	f(`"\u00FC\ud83d\ude00"`, "ü😀")
	f(`"a\u0000b"`, "a\x00b")
	f("\"\u2028\x7f\"", "\u2028\x7f")

	// the rest
	f(`true`, true)
	f(`false`, false)
	f(`null`, nil)
	f(`{}`, bson.D{})
	f(`[]`, bson.A{})
	f(" [ 1 ,\t\"x\" , [ ] ,\r\n{ \"z\" : 1 , \"a\" : null } ] ", bson.A{
		int32(1), "x", bson.A{}, bson.D{{Key: "z", Value: int32(1)}, {Key: "a", Value: nil}},
	})

	// the same key is fine in two objects
	f(`[{"a":1},{"a":{"a":2}}]`, bson.A{bson.D{{Key: "a", Value: int32(1)}}, bson.D{{Key: "a", Value: bson.D{{Key: "a", Value: int32(2)}}}}})
	// and so is any key that means nothing to MongoDB
	f(`{"a$":1,"__proto__":2}`, bson.D{{Key: "a$", Value: int32(1)}, {Key: "__proto__", Value: int32(2)}})
}

func TestParseFaults(t *testing.T) {
	f := func(text, want string) {
		t.Helper()
		doc, err := bsonjson.Parse([]byte(text), bsonjson.Limits{Depth: 3, Keys: 5})
		var fault *bsonjson.Error
		if !errors.As(err, &fault) {
			t.Errorf("%s: got %v, %v, want %q", text, doc, err, want)
			return
		}
		if err.Error() != want {
			t.Errorf("%s: got %q, want %q", text, err, want)
		}
	}

	// not one object
	f(``, `at byte 0: must be a JSON object, beginning with {`)
	f(`[]`, `at byte 0: must be a JSON object, beginning with {`)
	f(`null`, `at byte 0: must be a JSON object, beginning with {`)
	f("\ufeff{}", `at byte 0: must be a JSON object, beginning with {`)
	f(`{}{}`, `at byte 2: nothing may follow the JSON object`)
	f(`{} x`, `at byte 3: nothing may follow the JSON object`)
	f("{}\x00", `at byte 2: nothing may follow the JSON object`)

	// keys that mean something to MongoDB
	f(`{"$where":"1"}`, `field "$where": a key must not begin with "$"`)
	f(`{"a":{"$gt":""}}`, `field "a.$gt": a key must not begin with "$"`)
	f(`{"a":{"\u0024gt":""}}`, `field "a.$gt": a key must not begin with "$"`)
	f(`{"a":[1,{"b.c":1}]}`, `field "a.1.b.c": a key must not contain "."`)
	f(`{"a\u0000b":1}`, `field "a\x00b": a key must not contain NUL`)
	f(`{"":1}`, `at byte 3: a key must not be empty`)
	f(`{"a":{"":1}}`, `field "a": a key must not be empty`)

	// duplicates, however they are written
	f(`{"a":1,"b":2,"a":3}`, `field "a": comes twice`)
	f(`{"role":"user","\u0072ole":"admin"}`, `field "role": comes twice`)

	// limits
	f(`{"a":{"b":{"c":{}}}}`, `field "a.b.c": is nested more than 3 levels deep`)
	f(`{"a":[[[]]]}`, `field "a.0.0": is nested more than 3 levels deep`)
	f(`{"a":[{"b":1},{"b":1},{"b":1},{"b":1},{"b":1}]}`, `field "a.4": more than 5 keys in all`)
	f(`{"`+strings.Repeat("k", 100)+`":x}`, `field "`+strings.Repeat("k", 64)+`…": must be a JSON value`)

	// numbers
	f(`{"a":9223372036854775808}`, `field "a": the number is beyond 64 bits: send it as a string`)
	f(`{"a":1e400}`, `field "a": the number is too large`)
	f(`{"a":01}`, `field "a": is not a JSON number`)
	f(`{"a":-}`, `field "a": is not a JSON number`)
	f(`{"a":-01}`, `field "a": is not a JSON number`)
	f(`{"a":1.}`, `field "a": is not a JSON number: digits must follow the point`)
	f(`{"a":1e+}`, `field "a": is not a JSON number: digits must follow the e`)
	f(`{"a":.5}`, `field "a": must be a JSON value`)
	f(`{"a":+5}`, `field "a": must be a JSON value`)
	f(`{"a":NaN}`, `field "a": must be a JSON value`)
	f(`{"a":0x10}`, `at byte 6: the fields of an object must be separated by "," and end with "}"`)

	// strings
	f(`{"a":"b`, `field "a": the JSON text ends in a string`)
	f(`{"a":"\`, `field "a": the JSON text ends in a string`)
	f(`{"a":"\n`, `field "a": the JSON text ends in a string`)
	f("{\"a\":\"\n\"}", `field "a": control characters in strings must be escaped`)
	f("{\"a\":\"\\n\n\"}", `field "a": control characters in strings must be escaped`)
	f(`{"a":"\x"}`, `field "a": \ in a string must be followed by one of "\/bfnrt or by u and four hex digits`)
	f(`{"a":"\u12"}`, `field "a": \ in a string must be followed by one of "\/bfnrt or by u and four hex digits`)
	f(`{"a":"\u12g4"}`, `field "a": \ in a string must be followed by one of "\/bfnrt or by u and four hex digits`)
	f(`{"a":"\ud800"}`, `field "a": a surrogate escape must be one of a pair`)
	f(`{"a":"\ude00\ud83d"}`, `field "a": a surrogate escape must be one of a pair`)
	f(`{"a":"\ud800\u0061"}`, `field "a": a surrogate escape must be one of a pair`)
	f("{\"a\":\"\xff\"}", `at byte 6: is not UTF-8`)
	f("{\"a\":\"\xed\xa0\x80\"}", `at byte 6: is not UTF-8`)

	// structure
	f(`{`, `at byte 1: a key must be a string in double quotes`)
	f(`{"a"`, `field "a": a key must be followed by ":"`)
	f(`{"a" 1}`, `field "a": a key must be followed by ":"`)
	f(`{"a":`, `field "a": the JSON text ends too early`)
	f(`{"a":1`, `at byte 6: the fields of an object must be separated by "," and end with "}"`)
	f(`{"a":1,}`, `at byte 7: a key must be a string in double quotes`)
	f(`{a:1}`, `at byte 1: a key must be a string in double quotes`)
	f(`{"a":[1,]}`, `field "a.1": must be a JSON value`)
	f(`{"a":[1 2]}`, `field "a": the values of an array must be separated by "," and end with "]"`)
	f(`{"a":tru}`, `field "a": must be a JSON value`)
	f(`{"a":1/**/}`, `at byte 6: the fields of an object must be separated by "," and end with "}"`)
}

// A document must not change when the buffer that it was parsed from is used again.
func TestParseCopies(t *testing.T) {
	text := []byte(`{"key":"value","escaped":"\u00fc"}`)
	doc, err := bsonjson.Parse(text, bsonjson.DefaultLimits)
	if err != nil {
		t.Fatal(err)
	}
	clear(text)
	if want := (bson.D{{Key: "key", Value: "value"}, {Key: "escaped", Value: "ü"}}); !reflect.DeepEqual(doc, want) {
		t.Errorf("got %v, want %v", doc, want)
	}
}

// restrictions are the reasons for which Parse refuses what encoding/json accepts.
var restrictions = []string{
	"is not UTF-8", "is nested more than", "more than", "a key must not", "comes twice", "the number is", "a surrogate escape",
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		`{"a":[1,-2.5e3,"x\u00fc\ud83d\ude00",{"b":null,"c":true}],"n":9007199254740993}`,
		`{"a":{"$gt":""}}`, `{"a":1,"a":2}`, `{"a.b":1}`, `{"a":1e400}`, `{"a":"\ud800"}`, `{"a":-0}`, `{} `, `[1]`, `{"":0}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		var reference map[string]any
		decoder := json.NewDecoder(bytes.NewReader(text))
		decoder.UseNumber()
		accepted := decoder.Decode(&reference) == nil && reference != nil && json.Valid(text)

		doc, err := bsonjson.Parse(text, bsonjson.DefaultLimits)
		if err != nil {
			if accepted && !isRestriction(err) {
				t.Fatalf("refused %q, which encoding/json accepts: %v", text, err)
			}
			return
		}
		if !accepted {
			t.Fatalf("accepted %q, which encoding/json refuses", text)
		}
		if !sameValue(doc, reference) {
			t.Fatalf("%q: got %v, encoding/json has %v", text, doc, reference)
		}
		out, err := bsonjson.Append(nil, raw(t, doc), bsonjson.Options{})
		if err != nil || !json.Valid(out) || !utf8.Valid(out) {
			t.Fatalf("%q came back as %q, %v", text, out, err)
		}
	})
}

func isRestriction(err error) bool {
	var fault *bsonjson.Error
	if !errors.As(err, &fault) {
		return false
	}
	for _, reason := range restrictions {
		if strings.HasPrefix(fault.Reason, reason) {
			return true
		}
	}
	return false
}

// sameValue compares what Parse made with what encoding/json made with UseNumber.
func sameValue(got, want any) bool {
	switch want := want.(type) {
	case map[string]any:
		doc, ok := got.(bson.D)
		if !ok || len(doc) != len(want) {
			return false
		}
		for _, field := range doc {
			if value, ok := want[field.Key]; !ok || !sameValue(field.Value, value) {
				return false
			}
		}
		return true
	case []any:
		list, ok := got.(bson.A)
		if !ok || len(list) != len(want) {
			return false
		}
		for i := range list {
			if !sameValue(list[i], want[i]) {
				return false
			}
		}
		return true
	case json.Number:
		return sameNumber(got, want)
	}
	return got == want
}

func sameNumber(got any, want json.Number) bool {
	switch got := got.(type) {
	case int32:
		n, err := strconv.ParseInt(want.String(), 10, 64)
		return err == nil && int64(got) == n
	case int64:
		n, err := strconv.ParseInt(want.String(), 10, 64)
		return err == nil && got == n
	case float64:
		x, err := want.Float64()
		return err == nil && got == x
	}
	return false
}

func BenchmarkParse(b *testing.B) {
	text, err := bsonjson.Append(nil, raw(b, product()), bsonjson.Options{})
	if err != nil {
		b.Fatal(err)
	}
	run := func(name string, parse func() error) {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			b.ReportAllocs()
			for b.Loop() {
				if err := parse(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	run("Parse", func() error {
		_, err := bsonjson.Parse(text, bsonjson.DefaultLimits)
		return err
	})
	run("UnmarshalExtJSON", func() error {
		var doc bson.D
		return bson.UnmarshalExtJSON(text, false, &doc)
	})
	run("encoding-json", func() error {
		var m map[string]any
		return json.Unmarshal(text, &m)
	})
}
