package bsonjson_test

import (
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"math"
	"strconv"
	"testing"
	"time"
	"unsafe"

	"go.mongodb.org/mongo-driver/v2/bson"

	"metahub/api/bsonjson"
)

// BenchmarkDocument turns a localized document of 5 KB into JSON: by Append, by a walk that trusts its input and knows of no fields,
// and by what the driver and the standard library have.
func BenchmarkDocument(b *testing.B) {
	doc := raw(b, product())
	b.Logf("%d bytes of BSON", len(doc))
	run := func(name string, convert func() error) {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(doc)))
			b.ReportAllocs()
			for b.Loop() {
				if err := convert(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	buffer := make([]byte, 0, 64<<10)
	appended := func(options bsonjson.Options) func() error {
		return func() error {
			_, err := bsonjson.Append(buffer, doc, options)
			return err
		}
	}

	run("walk", func() error {
		walk(buffer, doc, false)
		return nil
	})
	run("Append", appended(bsonjson.Options{}))
	run("Append-plan", appended(plan(false)))
	run("Append-plan-flat", appended(plan(true)))
	run("Append-hide", appended(bsonjson.Options{Hide: bsonjson.NewFields("cost", "supplier.iban", "password")}))
	run("MarshalExtJSON", func() error {
		_, err := bson.MarshalExtJSON(doc, false, false)
		return err
	})
	run("Unmarshal-M-encoding-json", func() error {
		var m bson.M
		if err := bson.Unmarshal(doc, &m); err != nil {
			return err
		}
		_, err := json.Marshal(m)
		return err
	})
}

// plan is what a model makes of the fields that the document has: all of them are shown, and some are localized.
func plan(flat bool) bsonjson.Options {
	var names []string
	for _, e := range product() {
		names = append(names, e.Key)
	}
	keep := bsonjson.NewFields(names...)
	for _, name := range []string{"title", "slug", "summary", "content", "metaDescription"} {
		keep.Localize(name)
	}
	options := bsonjson.Options{Keep: keep}
	if flat {
		options.Languages = []string{"de", "en", "tr"}
	}
	return options
}

// walk is what one would write by hand for documents that one has made oneself: the same JSON with no look at bounds, depth or fields,
// and panics at what it does not know.
func walk(dst, doc []byte, array bool) []byte {
	opening, closing := byte('{'), byte('}')
	if array {
		opening, closing = '[', ']'
	}
	dst = append(dst, opening)
	for at := 4; doc[at] != 0; {
		kind, key := bson.Type(doc[at]), at+1
		at = key
		for doc[at] != 0 {
			at++
		}
		if key > 5 {
			dst = append(dst, ',')
		}
		if !array {
			dst = append(bsonjson.AppendString(dst, textOf(doc[key:at])), ':')
		}
		at++
		data := doc[at:]
		switch kind {
		case bson.TypeString:
			n := int(binary.LittleEndian.Uint32(data))
			dst = bsonjson.AppendString(dst, textOf(data[4:4+n-1]))
			at += 4 + n
		case bson.TypeEmbeddedDocument, bson.TypeArray:
			n := int(binary.LittleEndian.Uint32(data))
			dst = walk(dst, data[:n], kind == bson.TypeArray)
			at += n
		case bson.TypeObjectID:
			dst = append(hex.AppendEncode(append(dst, '"'), data[:12]), '"')
			at += 12
		case bson.TypeDateTime:
			dst = time.UnixMilli(int64(binary.LittleEndian.Uint64(data))).UTC().AppendFormat(append(dst, '"'), "2006-01-02T15:04:05.000Z")
			dst = append(dst, '"')
			at += 8
		case bson.TypeInt32:
			dst = strconv.AppendInt(dst, int64(int32(binary.LittleEndian.Uint32(data))), 10)
			at += 4
		case bson.TypeInt64:
			dst = strconv.AppendInt(dst, int64(binary.LittleEndian.Uint64(data)), 10)
			at += 8
		case bson.TypeDouble:
			dst = strconv.AppendFloat(dst, math.Float64frombits(binary.LittleEndian.Uint64(data)), 'f', -1, 64)
			at += 8
		case bson.TypeBoolean:
			dst = strconv.AppendBool(dst, data[0] != 0)
			at++
		default:
			panic("walk: a type that the benchmark does not have")
		}
	}
	return append(dst, closing)
}

func textOf(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// What is compared is the same work.
func TestWalkIsAppend(t *testing.T) {
	doc := raw(t, product())
	for _, options := range []bsonjson.Options{{}, plan(false)} {
		appended, err := bsonjson.Append(nil, doc, options)
		if walked := walk(nil, doc, false); err != nil || string(walked) != string(appended) {
			t.Errorf("%v\nthe walk gives %s\nAppend gives %s", err, walked, appended)
		}
	}
}
