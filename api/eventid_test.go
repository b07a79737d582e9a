package api

import (
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"

	"metahub/tenant"
)

// FuzzEventID reads what clients send as Last-Event-ID: a token comes out of it only if the tenant has sealed it.
func FuzzEventID(f *testing.F) {
	anna := &tenant.Tenant{Slug: "anna", JWTSecret: tenant.NewSecret("the key of anna")}
	ben := &tenant.Tenant{Slug: "ben", JWTSecret: tenant.NewSecret("the key of anna")} // even so
	token, err := bson.Marshal(bson.D{{Key: "_data", Value: "8266"}})
	if err != nil {
		f.Fatal(err)
	}
	whole := string(eventID{12345, newPosition(anna, token)}.append(nil))
	for _, seed := range []string{"", "1", "1.", ".", "zz.AAAA", whole, whole[:len(whole)-1], "-1", whole + "."} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		id, ok := parseEventID(anna, text)
		if !ok && id.at.text != "" || ok && (id.at.token == nil) != (id.at.text == "") {
			t.Errorf("%q: %v is half read", text, id)
		}
		if id.at.token != nil && string(id.at.token) != string(token) {
			t.Errorf("%q opens as %v, which nobody has sealed", text, id.at.token)
		}
		if _, ok := parseEventID(ben, text); ok && id.at.token != nil {
			t.Errorf("%q of one tenant is another's", text)
		}
		if ok {
			if again, ok := parseEventID(anna, string(id.append(nil))); !ok || again.mark != id.mark || string(again.at.token) != string(id.at.token) {
				t.Errorf("%q does not stay what it is", text)
			}
		}
	})
}

// Tokens are opened by an earlier key of the tenant's, too.
func TestPositionOfAnEarlierKey(t *testing.T) {
	before := &tenant.Tenant{Slug: "anna", JWTSecret: tenant.NewSecret("old")}
	after := &tenant.Tenant{Slug: "anna", JWTSecret: tenant.NewSecret("new"), JWTPrevious: []tenant.Secret{tenant.NewSecret("old")}}
	token, err := bson.Marshal(bson.D{{Key: "_data", Value: "8266"}})
	if err != nil {
		t.Fatal(err)
	}
	text := string(eventID{1, newPosition(before, token)}.append(nil))
	if id, ok := parseEventID(after, text); !ok || string(id.at.token) != string(token) {
		t.Errorf("got %v, %v", id, ok)
	}
}
