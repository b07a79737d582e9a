package api_test

import (
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"
)

func TestDemoDocuments(t *testing.T) {
	s := newSite(t)
	for _, slug := range []string{"anastasia", "metahub", "ensotek", "radanor"} {
		collections, err := s.api.DemoDocuments(slug)
		if err != nil {
			t.Errorf("%s: %v", slug, err)
		}
		if len(collections) != 4 {
			t.Errorf("%s: %d collections, want settings, abouts, products and services", slug, len(collections))
		}
		for _, c := range collections {
			if len(c.Documents) == 0 {
				t.Errorf("%s: no %s", slug, c.Name)
			}
		}
	}
	for _, slug := range []string{"unknown", "../models/users"} {
		if collections, err := s.api.DemoDocuments(slug); collections != nil || err != nil {
			t.Errorf("%q: %v, %v, want nothing", slug, collections, err)
		}
	}
}

func TestSeededDemoIsServed(t *testing.T) {
	s := newSite(t)
	collections, err := s.api.DemoDocuments("ensotek")
	if err != nil {
		t.Fatal(err)
	}
	for i := range collections {
		for j := range collections[i].Documents {
			retenant(collections[i].Documents[j], anna)
		}
	}
	if seeded, err := s.store.SeedOnce(t.Context(), s.tenant(anna), collections); !seeded || err != nil {
		t.Fatalf("seeded %v, %v", seeded, err)
	}
	runAll(t, s, []scenario{
		{name: "products", path: "/api/products?sku=ENS-CTP-6", status: 200, want: `{"success":true,"message":"OK","data":[{"_id":"<id>",
			"title":{"tr":"CTP 6 açık devre kule","en":"CTP 6 open circuit tower","de":"Kühlturm CTP 6, offener Kreislauf"},
			"slug":{"tr":"ctp-6","en":"ctp-6","de":"ctp-6"},
			"description":{"tr":"<any>","en":"<any>","de":"<any>"},"sku":"ENS-CTP-6","brand":"Ensotek",
			"attributes":{"capacity":"1 250 kW","flow":"215 m³/h","fan":"7.5 kW","weight":"1 480 kg"},
			"tags":["open-circuit","counterflow"],"order":1,"isPublished":true,"isActive":true,"createdAt":"<date>","updatedAt":"<date>","publishedAt":"<date>"}],"meta":{"total":1,"page":1,"limit":100}}`},
		{name: "settings", path: "/api/settings", status: 200},
	})
}

// retenant gives a demo document to a tenant of the tests.
func retenant(document bson.D, slug string) {
	for i := range document {
		if document[i].Key == "tenant" {
			document[i].Value = slug
		}
	}
}
