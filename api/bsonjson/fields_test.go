package bsonjson_test

import (
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"

	"metahub/api/bsonjson"
)

func TestFields(t *testing.T) {
	doc := raw(t, bson.D{
		{Key: "_id", Value: 1},
		{Key: "password", Value: "p"},
		{Key: "smtp", Value: bson.D{{Key: "host", Value: "h"}, {Key: "password", Value: "p"}}},
		{Key: "smtp.password", Value: "p"},
		{Key: "users", Value: bson.A{
			bson.D{{Key: "name", Value: "n"}, {Key: "password", Value: "p"}},
			"scalar",
			bson.A{bson.D{{Key: "password", Value: "p"}}},
		}},
	})
	f := func(options bsonjson.Options, want string) {
		t.Helper()
		got, err := bsonjson.Append(nil, doc, options)
		if err != nil || string(got) != want {
			t.Errorf("got  %s, %v\nwant %s", got, err, want)
		}
	}
	set := bsonjson.NewFields

	// everything
	f(bsonjson.Options{}, `{"_id":1,"password":"p","smtp":{"host":"h","password":"p"},"smtp.password":"p",`+
		`"users":[{"name":"n","password":"p"},"scalar",[{"password":"p"}]]}`)
	f(bsonjson.Options{Hide: set()}, `{"_id":1,"password":"p","smtp":{"host":"h","password":"p"},"smtp.password":"p",`+
		`"users":[{"name":"n","password":"p"},"scalar",[{"password":"p"}]]}`)

	// hidden at any depth, in arrays, and under a key that spells the path with its dot
	f(bsonjson.Options{Hide: set("password", "smtp.password", "users.password")}, `{"_id":1,"smtp":{"host":"h"},"users":[{"name":"n"},"scalar",[{}]]}`)

	// the whole hides its parts, in either order
	f(bsonjson.Options{Hide: set("smtp", "smtp.host", "password", "users")}, `{"_id":1}`)
	f(bsonjson.Options{Hide: set("smtp.host", "smtp", "password", "users")}, `{"_id":1}`)

	// kept, with the first and last element left out
	f(bsonjson.Options{Keep: set("smtp.host")}, `{"smtp":{"host":"h"}}`)
	f(bsonjson.Options{Keep: set("_id", "smtp")}, `{"_id":1,"smtp":{"host":"h","password":"p"},"smtp.password":"p"}`)
	f(bsonjson.Options{Keep: set()}, `{}`)

	// values that have no fields are not kept for fields below them
	f(bsonjson.Options{Keep: set("_id.x", "users.name")}, `{"users":[{"name":"n"},[{}]]}`)

	// narrowed, where values without fields stay
	within := set("_id", "users", "smtp")
	within.Within("_id", set("x"))
	within.Within("users", set("name"))
	within.Within("password", set("x"))
	f(bsonjson.Options{Keep: within}, `{"_id":1,"smtp":{"host":"h","password":"p"},"smtp.password":"p","users":[{"name":"n"},"scalar",[{}]]}`)

	// what is hidden wins
	f(bsonjson.Options{Keep: set("_id", "smtp"), Hide: set("smtp.password")}, `{"_id":1,"smtp":{"host":"h"}}`)
	f(bsonjson.Options{Keep: set("password"), Hide: set("password")}, `{}`)
}
