package api_test

import (
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"
)

func TestConditionalReads(t *testing.T) {
	s := newSite(t)
	s.addUsers(anna)
	admin := s.signIn(anna, adminEmail)
	for _, slug := range []string{anna, ben} { // the same documents at both
		s.insert(slug, "products", product(slug, 1, published(true, true, bson.E{Key: "category", Value: bson.ObjectID{7}})...), product(slug, 2, published(true, true)...))
	}
	s.insert(anna, "productscategories", bson.D{{Key: "_id", Value: bson.ObjectID{7}}, {Key: "tenant", Value: anna}, {Key: "isActive", Value: true}, {Key: "slug", Value: "one"}})
	tag := func(slug, path string, headers ...string) string {
		t.Helper()
		got := s.send(slug, "GET", path, "", headers...)
		if got.status != 200 || !strings.HasPrefix(got.header.Get("ETag"), `"`) {
			t.Fatalf("%s: %d, ETag %s", path, got.status, got.header.Get("ETag"))
		}
		return got.header.Get("ETag")
	}
	const one, list = "/api/products/000000000000000000000001", "/api/products"
	for _, path := range []string{one, list, "/api/settings"} {
		known := tag(anna, path)
		f := func(header string, status int) {
			t.Helper()
			got := s.send(anna, "GET", path, "", "If-None-Match: "+header)
			if got.status != status || status == 304 && (got.body != "" || got.header.Get("ETag") != known) {
				t.Errorf("%s, If-None-Match: %s: %d %s, want %d", path, header, got.status, got.body, status)
			}
		}
		f(known, 304)
		f("W/"+known, 304)
		f(`"other", `+known, 304)
		f("*", 304)
		f(`"other"`, 200)
		f(strings.Trim(known, `"`), 200)
	}
	// Every representation has its own tag, and every tenant too.
	seen := map[string]string{}
	for _, path := range []string{one, one + "?flat=1", one + "?flat=1&locale=de", one + "?fields=title", list, list + "?limit=1", list + "?limit=1&page=2", list + "?fields=title", list + "?flat=1", list + "?count=none"} {
		for _, slug := range []string{anna, ben} {
			known := tag(slug, path)
			if other := seen[known]; other != "" {
				t.Errorf("%s of %s has the tag of %s", path, slug, other)
			}
			seen[known] = path + " of " + slug
		}
	}
	// What is shown within a document is part of it.
	before, page := tag(anna, one), tag(anna, list)
	scenario{name: "the category changes", method: "PUT", path: "/api/productscategory/070000000000000000000000", body: `{"slug":"two"}`, headers: []string{admin}, status: 200}.run(t, s)
	if tag(anna, one) == before || tag(anna, list) == page {
		t.Error("the tag outlives a change of what is shown in the document")
	}
	if got := s.send(anna, "HEAD", one, ""); got.header.Get("ETag") != tag(anna, one) {
		t.Errorf("HEAD has the ETag %s", got.header.Get("ETag"))
	}
}

func TestConditionalWrites(t *testing.T) {
	s := newSite(t)
	s.addUsers(anna)
	admin := s.signIn(anna, adminEmail)
	s.insert(anna, "products", product(anna, 1, published(true, true)...))
	const path = "/api/products/000000000000000000000001"
	tag := func(path string) string {
		t.Helper()
		return s.send(anna, "GET", path, "", admin).header.Get("ETag")
	}
	first := tag(path)
	changed := refusal("precondition_failed")
	put := func(name, match string, status int, want string) scenario {
		return scenario{name: name, method: "PUT", path: path, body: `{"brand":"` + name + `"}`, headers: []string{admin, "If-Match: " + match}, status: status, want: want}
	}
	runAll(t, s, []scenario{
		put("as it was read", first, 200, ""),
		put("as it was read before", first, 412, changed),
		put("made up", `"abc"`, 412, changed),
		put("another form of the tag", strings.Trim(tag(path), `"`), 412, changed),
		put("any", "*", 200, ""),
		{name: "an action", method: "PATCH", path: path + "/publish", headers: []string{admin, "If-Match: " + first}, status: 412, want: changed},
		{name: "delete", method: "DELETE", path: path, headers: []string{admin, "If-Match: " + first}, status: 412, want: changed},
		{name: "what is not there", method: "PUT", path: "/api/products/ffffffffffffffffffffffff", body: `{"brand":"x"}`, headers: []string{admin, "If-Match: *"}, status: 404, want: refusal("not_found")},
	})
	// The tag of any representation stands for the version of the document.
	for _, read := range []string{"/api/products/admin/000000000000000000000001", path + "?fields=title&flat=1"} {
		put(read, tag(read), 200, "").run(t, s)
	}
	// Of many who write on what they all have read, one wins.
	known := tag(path)
	var won atomic.Int32
	var wait sync.WaitGroup
	for range 8 {
		wait.Go(func() {
			switch got := s.send(anna, "PUT", path, `{"stock":1}`, admin, "If-Match: "+known); got.status {
			case 200:
				won.Add(1)
			case 412:
			default:
				t.Errorf("status %d: %s", got.status, got.body)
			}
		})
	}
	wait.Wait()
	if won.Load() != 1 {
		t.Errorf("%d have won", won.Load())
	}
	scenario{name: "deleted as it was read", method: "DELETE", path: path, headers: []string{admin, "If-Match: " + tag(path)}, status: 200}.run(t, s)
}
