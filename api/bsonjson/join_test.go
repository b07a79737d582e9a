package bsonjson_test

import (
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"

	"metahub/api/bsonjson"
)

func TestLanguages(t *testing.T) {
	keep := bsonjson.NewFields("title", "slug")
	keep.Localize("title")
	keep.Localize("absent")
	f := func(title any, want string, languages ...string) {
		t.Helper()
		doc := raw(t, bson.D{{Key: "title", Value: title}, {Key: "slug", Value: bson.D{{Key: "de", Value: "s"}}}})
		got, err := bsonjson.Append(nil, doc, bsonjson.Options{Keep: keep, Languages: languages})
		if want = `{"title":` + want + `,"slug":{"de":"s"}}`; err != nil || string(got) != want {
			t.Errorf("got  %s, %v\nwant %s", got, err, want)
		}
	}
	both := bson.D{{Key: "tr", Value: "bir"}, {Key: "de", Value: "eins"}, {Key: "en", Value: ""}}
	f(both, `{"tr":"bir","de":"eins","en":""}`)
	f(both, `"eins"`, "de", "en")
	f(both, `"eins"`, "pl", "de", "tr")
	// What is empty counts as missing, and any language is better than none.
	f(both, `"bir"`, "en")
	f(bson.D{}, `null`, "en")
	f(bson.D{{Key: "en", Value: 5}}, `null`, "en")
	// A text that was never localized is what it is.
	f("one for all", `"one for all"`, "en")
	f(nil, `null`, "en")
}

func TestJoins(t *testing.T) {
	one, two, gone := bson.ObjectID{1}, bson.ObjectID{2}, bson.ObjectID{9}
	var targets []byte
	for _, d := range []bson.D{
		{{Key: "_id", Value: two}, {Key: "name", Value: bson.D{{Key: "de", Value: "zwei"}}}, {Key: "key", Value: "hidden"}},
		{{Key: "_id", Value: one}, {Key: "name", Value: bson.D{{Key: "de", Value: "eins"}}}},
		{{Key: "_id", Value: "not an id"}, {Key: "name", Value: "x"}},
	} {
		targets = append(targets, raw(t, d)...)
	}
	shown := bsonjson.NewFields("_id", "name")
	shown.Localize("name")
	keep := bsonjson.NewFields("ref")
	keep.Join("ref", 1)
	joins := []bsonjson.Join{{}, {Documents: bsonjson.NewDocuments(targets), Options: &bsonjson.Options{Keep: shown, Languages: []string{"de"}}}}
	f := func(ref any, joins []bsonjson.Join, want string) {
		t.Helper()
		got, err := bsonjson.Append(nil, raw(t, bson.D{{Key: "ref", Value: ref}}), bsonjson.Options{Keep: keep, Joins: joins})
		if want = `{"ref":` + want + `}`; err != nil || string(got) != want {
			t.Errorf("got  %s, %v\nwant %s", got, err, want)
		}
	}
	first, second := `{"_id":"010000000000000000000000","name":"eins"}`, `{"_id":"020000000000000000000000","name":"zwei"}`
	f(one, joins, first)
	f(two, joins, second)
	f(gone, joins, `null`)
	f(bson.A{two, gone, "x", one, two}, joins, `[`+second+`,`+first+`,`+second+`]`)
	f(bson.A{}, joins, `[]`)
	// What is no reference has been judged by nobody.
	f(bson.D{{Key: "password", Value: "p"}}, joins, `null`)
	f("text", joins, `null`)
	// Without the documents ids are ids.
	f(one, nil, `"010000000000000000000000"`)
	f(bson.A{one}, joins[:1], `["010000000000000000000000"]`)
}

func TestAppendIDs(t *testing.T) {
	one, two := bson.ObjectID{1}, bson.ObjectID{2}
	var docs []byte
	for _, ref := range []any{two, bson.A{one, "x", two}, nil, "text", bson.D{{Key: "ref", Value: bson.ObjectID{3}}}} {
		docs = append(docs, raw(t, bson.D{{Key: "_id", Value: bson.ObjectID{7}}, {Key: "ref", Value: ref}})...)
	}
	got := bsonjson.AppendIDs([]bson.ObjectID{two}, docs, "ref")
	if len(got) != 3 || got[0] != two || got[1] != one || got[2] != two {
		t.Errorf("got %v, want what was there, and one and two once each", got)
	}
	if got := bsonjson.AppendIDs(nil, docs[:len(docs)-1], "other"); len(got) != 0 {
		t.Errorf("got %v of a field that is not there", got)
	}
}

// Reading a joined list is a walk like any other.
func TestJoinsDoNotAllocate(t *testing.T) {
	keep, shown := bsonjson.NewFields("ref", "title"), bsonjson.NewFields("_id")
	keep.Join("ref", 0)
	keep.Localize("title")
	id := bson.ObjectID{1}
	doc := raw(t, bson.D{{Key: "ref", Value: bson.A{id, id}}, {Key: "title", Value: bson.D{{Key: "de", Value: "Titel"}}}})
	options := bsonjson.Options{Keep: keep, Languages: []string{"en", "de"},
		Joins: []bsonjson.Join{{Documents: bsonjson.NewDocuments(raw(t, bson.D{{Key: "_id", Value: id}})), Options: &bsonjson.Options{Keep: shown}}}}
	dst := make([]byte, 0, 1024)
	if n := testing.AllocsPerRun(100, func() { dst, _ = bsonjson.AppendList(dst[:0], doc, options) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
