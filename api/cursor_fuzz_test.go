package api

import (
	"bytes"
	"encoding/base64"
	"slices"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"

	"metahub/tenant"
)

// FuzzCursor demands that a cursor is one that was made here for this list, or a refusal: whatever its bytes are.
func FuzzCursor(f *testing.F) {
	anna := &tenant.Tenant{Slug: "anna", JWTSecret: tenant.NewSecret("the-key-of-anna")}
	s := &search{collection: "products", filter: bson.D{{Key: "tenant", Value: "anna"}}}
	s.sort = bson.D{{Key: "price", Value: 1}, {Key: "stock", Value: -1}, {Key: "_id", Value: 1}}
	document, err := bson.Marshal(bson.D{{Key: "_id", Value: bson.ObjectID{1}}, {Key: "price", Value: 9.5}, {Key: "stock", Value: nil}})
	if err != nil {
		f.Fatal(err)
	}
	good, ok, err := s.cursor(anna, document)
	if err != nil || !ok {
		f.Fatal(err, ok)
	}
	f.Add(good, []byte(document))
	f.Add(good[1:], []byte{5, 0, 0, 0, 0})
	f.Add("", []byte{})
	f.Add(base64.RawURLEncoding.EncodeToString(append(make([]byte, signatureSize), document...)), []byte(document)[:20])
	f.Fuzz(func(t *testing.T, text string, last []byte) {
		if behind, err := s.after(anna, text); err == nil {
			forged, decoded := base64.RawURLEncoding.DecodeString(text)
			own, _ := base64.RawURLEncoding.DecodeString(good)
			if decoded != nil || !bytes.Equal(forged, own) {
				t.Fatalf("taken is %q, of which comes %v", text, behind)
			}
		} else if refusal := asError(err); refusal.Status != 400 {
			t.Fatalf("%q: %v", text, err)
		}
		// Of whatever document the database sends: what is made of it is taken again by this list, and by no other.
		if bson.Raw(last).Validate() != nil {
			return
		}
		made, ok, err := s.cursor(anna, last)
		if err != nil {
			t.Fatal(err)
		}
		if !ok {
			return
		}
		behind, err := s.after(anna, made)
		if err != nil {
			t.Fatalf("not taken is its own %q: %v", made, err)
		}
		if _, err := bson.Marshal(bson.D{behind}); err != nil {
			t.Fatal(err)
		}
		for _, e := range pathsOf(behind.Value) {
			if !slices.Contains([]string{"price", "stock", "_id"}, e) {
				t.Fatalf("the condition %v is on %q", behind, e)
			}
		}
		ben, other := &tenant.Tenant{Slug: "ben", JWTSecret: anna.JWTSecret}, *s
		other.sort = bson.D{{Key: "price", Value: -1}, {Key: "stock", Value: -1}, {Key: "_id", Value: 1}}
		if _, err := s.after(ben, made); err == nil {
			t.Fatal("another tenant takes it")
		}
		if _, err := other.after(anna, made); err == nil {
			t.Fatal("another order takes it")
		}
	})
}

// pathsOf are the fields that the branches of a condition are on.
func pathsOf(branches any) (all []string) {
	for _, branch := range branches.(bson.A) {
		for _, e := range branch.(bson.D) {
			all = append(all, e.Key)
		}
	}
	return all
}
