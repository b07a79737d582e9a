package model_test

import (
	"slices"
	"testing"
	"testing/fstest"

	"go.mongodb.org/mongo-driver/v2/bson"

	"metahub/api/model"
)

func TestShows(t *testing.T) {
	set, err := model.Load(fstest.MapFS{"a.yaml": {Data: []byte(valid)}})
	if err != nil {
		t.Fatal(err)
	}
	m, _ := set.Named("note")
	f := func(want bool, view *model.View, document bson.D) {
		t.Helper()
		raw, err := bson.Marshal(document)
		if err != nil {
			t.Fatal(err)
		}
		if got := m.Shows(model.Scope{Tenant: "anna"}, view, raw); got != want {
			t.Errorf("%v: shown %v, want %v", document, got, want)
		}
	}
	with := func(more ...bson.E) bson.D {
		return append(bson.D{{Key: "tenant", Value: "anna"}, {Key: "isActive", Value: true}}, more...)
	}
	f(true, m.Public, with())
	f(true, m.Public, with(bson.E{Key: "code", Value: "shown"}))
	f(true, m.Public, with(bson.E{Key: "code", Value: 5})) // no text that the pattern could match
	f(false, m.Public, with(bson.E{Key: "code", Value: "hidden.a"}))
	f(false, m.Public, with(bson.E{Key: "code", Value: "HIDDEN"}))
	f(false, m.Public, with(bson.E{Key: "code", Value: bson.A{"a", "Hidden"}}))
	f(false, m.Public, bson.D{{Key: "tenant", Value: "anna"}})
	f(false, m.Public, bson.D{{Key: "tenant", Value: "anna"}, {Key: "isActive", Value: false}})
	f(false, m.Public, bson.D{{Key: "tenant", Value: "anna"}, {Key: "isActive", Value: "true"}})
	f(true, m.Public, bson.D{{Key: "tenant", Value: bson.A{"ben", "anna"}}, {Key: "isActive", Value: bson.A{true}}})
	f(false, m.Public, bson.D{{Key: "tenant", Value: "ben"}, {Key: "isActive", Value: true}})
	f(false, m.Public, bson.D{})
	f(true, m.Admin, bson.D{{Key: "tenant", Value: "anna"}})
	f(false, m.Admin, bson.D{{Key: "tenant", Value: "ben"}})
	f(false, m.Admin, bson.D{{Key: "tenant", Value: nil}})

	collections, fields := set.Watched()
	if !slices.Equal(collections, []string{"notes"}) || !slices.Equal(fields, []string{"code", "isActive", "tenant"}) {
		t.Errorf("watched are %v and %v", collections, fields)
	}
}

func TestTouches(t *testing.T) {
	f := func(want bool, description bson.D) {
		t.Helper()
		raw, err := bson.Marshal(description)
		if err != nil {
			t.Fatal(err)
		}
		if got := model.Touches([]string{"isActive", "owner"}, raw); got != want {
			t.Errorf("%v: touched %v, want %v", description, got, want)
		}
	}
	f(false, bson.D{})
	f(false, bson.D{{Key: "updatedFields", Value: bson.D{{Key: "title.en", Value: "x"}}}, {Key: "removedFields", Value: bson.A{"isActiveNot"}}})
	f(true, bson.D{{Key: "updatedFields", Value: bson.D{{Key: "isActive", Value: false}}}})
	f(true, bson.D{{Key: "updatedFields", Value: bson.D{{Key: "owner.0", Value: 1}}}})
	f(true, bson.D{{Key: "removedFields", Value: bson.A{"title", "isActive"}}})
	f(true, bson.D{{Key: "removedFields", Value: bson.A{5}}}) // nobody knows what that means
}
