package api_test

import (
	"strings"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"
)

func TestWriteAndRead(t *testing.T) {
	s := newSite(t)
	s.addUsers(anna)
	s.addUsers(ben)
	admin := s.signIn(anna, adminEmail)
	created := scenario{
		name: "create", method: "POST", path: "/api/products", headers: []string{admin}, status: 201,
		body: `{"title":{"tr":"Kule","de":"Turm"},"slug":{"tr":"kule","de":"turm"},"price":9.5,"stock":3.0,"category":"AAAAAAAAAAAAAAAAAAAAAAAA","publishedAt":"2025-02-03T04:05:06+01:00","isPublished":true}`,
		want: `{"success":true,"message":"Created.","data":{"_id":"<id>","title":{"tr":"Kule","de":"Turm"},"slug":{"tr":"kule","de":"turm"},"price":9.5,"stock":3,"category":"aaaaaaaaaaaaaaaaaaaaaaaa",
			"publishedAt":"2025-02-03T03:05:06.000Z","isPublished":true,"order":0,"isActive":true,"createdAt":"<date>","updatedAt":"<date>"}}`,
		header: []string{"Cache-Control: private, no-store"},
	}.run(t, s)
	id := text(t, created.body, "data._id")
	path := "/api/products/" + id

	stored := s.stored(anna, "products", bson.D{})
	for field, want := range map[string]any{"stock": int32(3), "category": oid("aaaaaaaaaaaaaaaaaaaaaaaa"), "tenant": anna, "publishedAt": bson.DateTime(1738551906000)} {
		if stored[field] != want {
			t.Errorf("stored %s is %#v, want %#v", field, stored[field], want)
		}
	}
	runAll(t, s, []scenario{
		{name: "the tenant has it", path: path, status: 200},
		{name: "the other tenant has not", tenant: ben, path: path, status: 404, want: refusal("not_found")},
		{name: "the other tenant's list is empty", tenant: ben, path: "/api/products", status: 200,
			want: `{"success":true,"message":"OK","data":[],"meta":{"total":0,"page":1,"limit":100}}`},
		{name: "the other tenant's admin cannot change it", tenant: ben, method: "PUT", path: path, body: `{"price":1}`, headers: []string{s.signIn(ben, adminEmail)}, status: 404, want: refusal("not_found")},
		{name: "nor delete it", tenant: ben, method: "DELETE", path: path, headers: []string{s.signIn(ben, adminEmail)}, status: 404, want: refusal("not_found")},
		{name: "update sets what is sent", method: "PATCH", path: path, body: `{"isPublished":false,"costPrice":4}`, headers: []string{admin}, status: 200,
			want: `{"success":true,"message":"Updated.","data":{"_id":"` + id + `","title":{"tr":"Kule","de":"Turm"},"slug":{"tr":"kule","de":"turm"},"price":9.5,"stock":3,"category":"aaaaaaaaaaaaaaaaaaaaaaaa",
			"isPublished":false,"order":0,"isActive":true,"createdAt":"<date>","updatedAt":"<date>","costPrice":4}}`},
		{name: "and is no longer public", path: path, status: 404, want: refusal("not_found")},
		{name: "but admins see it", path: "/api/products/admin/" + id, headers: []string{admin}, status: 200},
		{name: "update of nothing", method: "PUT", path: path, body: `{}`, headers: []string{admin}, status: 400, want: refusal("bad_request")},
		{name: "update of a document that is not there", method: "PUT", path: "/api/products/ffffffffffffffffffffffff", body: `{"price":1}`, headers: []string{admin}, status: 404, want: refusal("not_found")},
		{name: "delete", method: "DELETE", path: path, headers: []string{admin}, status: 200, want: `{"success":true,"message":"Deleted."}`},
		{name: "delete again", method: "DELETE", path: path, headers: []string{admin}, status: 404, want: refusal("not_found")},
	})
}

func TestWriteRefusals(t *testing.T) {
	s := newSite(t)
	s.addUsers(anna)
	admin := s.signIn(anna, adminEmail)
	issues := func(pairs ...string) string {
		list := ""
		for i := 0; i < len(pairs); i += 2 {
			list += `,{"path":"` + pairs[i] + `","msg":"` + pairs[i+1] + `"}`
		}
		return `{"success":false,"message":"Validation error.","code":"validation_failed","request_id":"request-1","errors":[` + strings.TrimPrefix(list, ",") + `]}`
	}
	notASet := "is not a field that can be set"
	post := func(name, body string, status int, want string, headers ...string) scenario {
		return scenario{name: name, method: "POST", path: "/api/products", body: body, status: status, want: want, headers: append([]string{admin}, headers...)}
	}
	deep := strings.Repeat(`{"a":`, 40) + "1" + strings.Repeat("}", 40)
	runAll(t, s, []scenario{
		post("all faults at once", `{"price":-1,"stock":1.5,"nonsense":1,"isActive":"yes"}`, 422,
			issues("isActive", "must be of type boolean", "nonsense", notASet, "price", "must be at least 0", "stock", "must be of type integer", "title", "is missing")),
		post("fields of the server are set by the server", `{"title":{"en":"a"},"_id":"aaaaaaaaaaaaaaaaaaaaaaaa","tenant":"ben","createdAt":"2020-01-01T00:00:00Z","__v":7,"slugLower":{"en":"2020"}}`, 201,
			`{"success":true,"message":"Created.","data":{"_id":"<id>","title":{"en":"a"},"slug":{"en":"a"},"order":0,"isActive":true,"isPublished":false,"createdAt":"<date>","updatedAt":"<date>"}}`).
			without("aaaaaaaaaaaaaaaaaaaaaaaa", "2020"),
		post("an unknown language", `{"title":{"xx":"a"}}`, 422, issues("title.xx", "is not a name that can be set")),
		post("not an id", `{"title":{"en":"a"},"category":"aaaaaaaaaaaa"}`, 422, issues("category", "must match ^[0-9a-fA-F]{24}$")),
		post("an operator in place of an id", `{"title":{"en":"a"},"category":{"$ne":""}}`, 400, refusal("bad_request")),
		post("not a date", `{"title":{"en":"a"},"publishedAt":"yesterday"}`, 422, issues("publishedAt", "must be of the format date-time")),
		post("a leap second", `{"title":{"en":"a"},"publishedAt":"2016-12-31T23:59:60Z"}`, 422, issues("publishedAt", `must be a date like \"2025-01-31T09:00:00Z\"`)),
		post("an operator as a key", `{"$where":"1"}`, 400, refusal("bad_request")),
		post("a path as a key", `{"title.en":"a"}`, 400, refusal("bad_request")),
		post("a key twice", `{"title":{"en":"a"},"title":{"en":"b"}}`, 400, refusal("bad_request")),
		post("nested too deep", `{"title":`+deep+`}`, 400, refusal("bad_request")),
		post("a number that would fill the memory", `{"title":{"en":"a"},"price":1e999999999}`, 400, refusal("bad_request")),
		post("a number that would fill the memory with its fraction", `{"title":{"en":"a"},"price":1e-999999999}`, 201, ""),
		post("too many values", `{"title":{"en":"a"},"tags":[`+strings.Repeat("1,", 20000)+`1]}`, 422, issues("", "must have at most 10000 values")),
		post("an array", `[]`, 400, refusal("bad_request")),
		post("not JSON", `{"title"`, 400, refusal("bad_request")),
		post("no body", ``, 415, refusal("unsupported_media_type")),
		post("a form", `title=a`, 415, refusal("unsupported_media_type"), "Content-Type: application/x-www-form-urlencoded"),
		post("text", `{}`, 415, refusal("unsupported_media_type"), "Content-Type: text/plain"),
		post("another charset", `{}`, 415, refusal("unsupported_media_type"), "Content-Type: application/json; charset=utf-16"),
		post("compressed", `{}`, 415, refusal("unsupported_media_type"), "Content-Encoding: gzip"),
		post("too large", `{"title":{"en":"`+strings.Repeat("a", 1<<20)+`"}}`, 413, refusal("payload_too_large")),
	})
}

func TestBodyOfUnknownLengthIsBounded(t *testing.T) {
	s := newSite(t)
	s.addUsers(anna)
	admin := s.signIn(anna, adminEmail)
	got := s.sendChunked(anna, "/api/products", strings.Repeat(" ", 1<<20+10), admin)
	if got.status != 413 {
		t.Fatalf("status %d, want 413: %s", got.status, got.body)
	}
	got = s.sendChunked(anna, "/api/products", `{"title":{"en":"in chunks"}}`, admin)
	if got.status != 201 {
		t.Fatalf("status %d, want 201: %s", got.status, got.body)
	}
}

func TestUniqueKeys(t *testing.T) {
	s := newSite(t)
	for _, slug := range []string{anna, ben} {
		s.addUsers(slug)
	}
	admin := s.signIn(anna, adminEmail)
	conflict := `{"success":false,"message":"Another document has the same \"key\" already.","code":"duplicate","request_id":"request-1"}`
	body := `{"key":"site_title","value":{"en":"Hello","n":[1,2.5,null,true]}}`
	first := scenario{name: "first", method: "POST", path: "/api/settings", body: body, headers: []string{admin}, status: 201}.run(t, s)
	second := scenario{name: "second", method: "POST", path: "/api/settings", body: `{"key":"other","value":1}`, headers: []string{admin}, status: 201}.run(t, s)
	runAll(t, s, []scenario{
		{name: "another one's key", method: "PUT", path: "/api/settings/" + text(t, second.body, "data._id"), body: `{"key":"site_title"}`, headers: []string{admin}, status: 409, want: conflict},
		{name: "its own key", method: "PUT", path: "/api/settings/" + text(t, first.body, "data._id"), body: `{"key":"site_title"}`, headers: []string{admin}, status: 200},
		{name: "the same key at the other tenant", tenant: ben, method: "POST", path: "/api/settings", body: body, headers: []string{s.signIn(ben, adminEmail)}, status: 201,
			want: `{"success":true,"message":"Created.","data":{"_id":"<id>","key":"site_title","value":{"en":"Hello","n":[1,2.5,null,true]},"isActive":true,"createdAt":"<date>","updatedAt":"<date>"}}`},
	})
}

// The embedded database cannot keep an array directly within an array; that is no fault of ours to hide.
func TestNestedArray(t *testing.T) {
	s := newSite(t)
	s.addUsers(anna)
	admin := s.signIn(anna, adminEmail)
	want := `{"success":false,"message":"Validation error.","code":"validation_failed","request_id":"request-1",
		"errors":[{"path":"","msg":"must not hold an array directly within an array: the embedded database cannot keep it"}]}`
	created := scenario{name: "a setting", method: "POST", path: "/api/settings", body: `{"key":"a","value":[1]}`, headers: []string{admin}, status: 201}.run(t, s)
	runAll(t, s, []scenario{
		{name: "create", method: "POST", path: "/api/settings", body: `{"key":"b","value":[[1]]}`, headers: []string{admin}, status: 422, want: want},
		{name: "update", method: "PUT", path: "/api/settings/" + text(t, created.body, "data._id"), body: `{"value":{"x":[[1]]}}`, headers: []string{admin}, status: 422, want: want},
	})
}
