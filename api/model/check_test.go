package model_test

import (
	"encoding/json"
	"fmt"
	"reflect"
	"testing"
	"testing/fstest"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"metahub/api/bsonjson"
	"metahub/api/model"
)

var admin = model.Writer{Audience: model.Admin, Scope: model.Scope{Tenant: "anna"}, Now: now}

var now = time.Date(2025, 3, 4, 5, 6, 7, 8e6, time.UTC)

func note(t testing.TB) *model.Model {
	t.Helper()
	set, err := model.Load(fstest.MapFS{"note.yaml": {Data: []byte(valid)}})
	if err != nil {
		t.Fatal(err)
	}
	m, _ := set.Named("note")
	return m
}

func parse(t testing.TB, text string) bson.D {
	t.Helper()
	body, err := bsonjson.Parse([]byte(text), bsonjson.DefaultLimits)
	if err != nil {
		t.Fatal(err)
	}
	return body
}

func TestCreate(t *testing.T) {
	m := note(t)
	at := bson.NewDateTimeFromTime(now)
	f := func(body string, want bson.D) {
		t.Helper()
		draft, issues := m.Create(parse(t, body), admin)
		if len(issues) > 0 {
			t.Errorf("%s: %v", body, issues)
			return
		}
		got := draft.Document()
		id, ok := got[0].Value.(bson.ObjectID)
		if got[0].Key != "_id" || !ok || !id.Timestamp().Equal(now.Truncate(time.Second)) {
			t.Errorf("%s: begins with %v, want a fresh _id", body, got[0])
		}
		want = append(want, bson.E{Key: "tenant", Value: "anna"}, bson.E{Key: "createdAt", Value: at}, bson.E{Key: "updatedAt", Value: at})
		if !reflect.DeepEqual(got[1:], want) {
			t.Errorf("%s:\n got %#v\nwant %#v", body, got[1:], want)
		}
	}
	order, active := bson.E{Key: "order", Value: int32(0)}, bson.E{Key: "isActive", Value: true}
	// Defaults come after what was sent.
	f(`{"code":"a"}`, bson.D{{Key: "code", Value: "a"}, order, active})
	f(`{"isActive":false,"code":"a","order":7}`, bson.D{{Key: "isActive", Value: false}, {Key: "code", Value: "a"}, {Key: "order", Value: int32(7)}})
	// Dates become dates.
	f(`{"code":"a","at":"2025-01-02T03:04:05.678+02:00"}`, bson.D{{Key: "code", Value: "a"}, {Key: "at", Value: bson.DateTime(1735779845678)}, order, active})
	// Integers are integers, also as the strings that large ones are sent as.
	f(`{"code":"a","order":5.0}`, bson.D{{Key: "code", Value: "a"}, {Key: "order", Value: int32(5)}, active})
	f(`{"code":"a","order":"9007199254740993"}`, bson.D{{Key: "code", Value: "a"}, {Key: "order", Value: int64(9007199254740993)}, active})
	// Numbers keep their kind.
	f(`{"code":"a","cost":1.5}`, bson.D{{Key: "code", Value: "a"}, {Key: "cost", Value: 1.5}, order, active})
}

func TestIssues(t *testing.T) {
	m := note(t)
	f := func(check func(bson.D) []model.Issue, body string, want ...model.Issue) {
		t.Helper()
		if got := check(parse(t, body)); !reflect.DeepEqual(got, want) {
			t.Errorf("%s:\n got %v\nwant %v", body, got, want)
		}
	}
	create := func(body bson.D) []model.Issue { _, issues := m.Create(body, admin); return issues }
	update := func(body bson.D) []model.Issue { _, issues := m.Change(body, admin); return issues }
	f(create, `{}`, model.Issue{Path: "code", Message: "is missing"})
	f(update, `{}`)
	f(update, `{"code":null}`, model.Issue{Path: "code", Message: "must be of type string"})
	f(create, `{"code":"12345678901"}`, model.Issue{Path: "code", Message: "must have at most 10 characters"})
	f(create, `{"code":"a","seen":1}`, model.Issue{Path: "seen", Message: "is not a field that can be set"})
	// What only the server sets is passed over where clients send it back, and refused where they cannot have got it.
	f(update, `{"seen":1,"tenant":"b","createdAt":1,"_id":1,"__v":1}`, model.Issue{Path: "seen", Message: "is not a field that can be set"})
	f(update, `{"labels":["ok","too long",5]}`, model.Issue{Path: "labels.1", Message: "must have at most 5 characters"}, model.Issue{Path: "labels.2", Message: "must be of type string"})
	f(update, `{"place":{"room":"a","floor":1}}`, model.Issue{Path: "place.floor", Message: "is not a field that can be set"})
	f(update, `{"order":"12"}`, model.Issue{Path: "order", Message: "must be of type integer"})
	f(update, `{"order":1.5}`, model.Issue{Path: "order", Message: "must be of type integer"})
}

func TestSelect(t *testing.T) {
	m := note(t)
	f := func(want string, view *model.View, conditions ...bson.E) {
		t.Helper()
		got, err := bson.MarshalExtJSON(m.Select(model.Scope{Tenant: "anna"}, view, conditions...), false, false)
		if err != nil || string(got) != want {
			t.Errorf("got %s, %v\nwant %s", got, err, want)
		}
	}
	f(`{"tenant":"anna","isActive":true,"code":{"$not":{"$regularExpression":{"pattern":"^hidden","options":"i"}}}}`, m.Public)
	// A client's condition on a field of the view's own narrows it and does not replace it.
	f(`{"tenant":"anna","isActive":true,"code":{"$not":{"$regularExpression":{"pattern":"^hidden","options":"i"}}},"$and":[{"code":"hidden1"},{"isActive":false}]}`,
		m.Public, bson.E{Key: "code", Value: "hidden1"}, bson.E{Key: "isActive", Value: false})
	f(`{"tenant":"anna"}`, m.Admin)
}

// FuzzCreate sends request bodies through parser, validator and typing, and demands that what comes out can be stored and read, and
// that it holds no field which the model does not have.
func FuzzCreate(f *testing.F) {
	f.Add(`{"code":"a"}`)
	f.Add(`{"code":"a","order":5.0,"at":"2025-01-02T03:04:05Z","labels":["x"],"place":{"room":"r"}}`)
	f.Add(`{"code":"a","order":"9007199254740993","cost":1e308}`)
	f.Add(`{"code":"a","cost":1e-400,"at":"0000-01-01T00:00:00Z"}`)
	f.Add(`{"$where":1}`)
	f.Add(`{"code":{"code":{}},"place":[[]]}`)
	m := note(f)
	f.Fuzz(func(t *testing.T, text string) {
		body, err := bsonjson.Parse([]byte(text), bsonjson.DefaultLimits)
		if err != nil {
			return
		}
		draft, issues := m.Create(body, admin)
		if len(issues) > 0 {
			if draft != nil {
				t.Fatal("a document in spite of issues")
			}
			return
		}
		document := draft.Document()
		raw, err := bson.Marshal(document)
		if err != nil {
			t.Fatal(err)
		}
		out, err := bsonjson.Append(nil, raw, m.Admin.Output(model.Fallback, false))
		if err != nil || !json.Valid(out) {
			t.Fatalf("%s: %v", out, err)
		}
		for _, e := range document {
			if _, ok := m.Field(e.Key); !ok && e.Key != "_id" && e.Key != "tenant" {
				t.Fatalf("the document has %q", e.Key)
			}
		}
	})
}

func BenchmarkCreate(b *testing.B) {
	m := note(b)
	text := []byte(fmt.Sprintf(`{"code":"a","cost":2.5,"at":"2025-01-02T03:04:05Z","labels":["a","b"],"place":{"room":"%040d"}}`, 1))
	b.ReportAllocs()
	for b.Loop() {
		body, err := bsonjson.Parse(text, bsonjson.DefaultLimits)
		if err != nil {
			b.Fatal(err)
		}
		if _, issues := m.Create(body, admin); len(issues) > 0 {
			b.Fatal(issues)
		}
	}
}
