package api_test

import (
	"strings"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// key makes an API key as the admin of anna, and returns its id and its text.
func (s *site) key(admin, body string) (id, key string) {
	s.t.Helper()
	got := s.send(anna, "POST", "/api/_keys", body, admin)
	if got.status != 201 {
		s.t.Fatalf("a key: %d %s", got.status, got.body)
	}
	return text(s.t, got.body, "data._id"), text(s.t, got.body, "data.key")
}

func TestKeys(t *testing.T) {
	s := newSite(t)
	s.addUsers(anna)
	admin := s.signIn(anna, adminEmail)
	id, key := s.key(admin, `{"name":"importer","scopes":["product:read","product:write","faq:read"]}`)
	stored := s.stored(anna, "metahub_keys", bson.D{})
	if raw, err := bson.MarshalExtJSON(stored, false, false); err != nil || strings.Contains(string(raw), key[29:]) {
		t.Errorf("the key is stored: %s, %v", raw, err)
	}
	header, bearer := "X-Api-Key: "+key, "Authorization: Bearer "+key
	product, faq := `{"title":{"en":"a"}}`, `{"question":{"en":"q"},"answer":{"en":"a"}}`
	runAll(t, s, []scenario{
		{name: "reads what it may", path: "/api/products/admin", headers: []string{header}, status: 200, header: []string{"Cache-Control: private, no-store"}},
		{name: "as a bearer", path: "/api/products/admin", headers: []string{bearer}, status: 200},
		{name: "writes what it may", method: "POST", path: "/api/products", body: product, headers: []string{header}, status: 201},
		{name: "from any page, as none can send it unasked", method: "POST", path: "/api/products", body: product, headers: []string{header, "Origin: https://evil.test"}, status: 201},
		{name: "exports what it may read", path: "/api/faq/_export", headers: []string{header}, status: 200},
		{name: "does not write what it may read", method: "POST", path: "/api/faq", body: faq, headers: []string{header}, status: 403, want: refusal("forbidden")},
		{name: "nor in a bulk", method: "POST", path: "/api/faq/_bulk", body: `{"items":[{"op":"create","body":` + faq + `}]}`, headers: []string{header}, status: 403},
		{name: "nor by an action", method: "PUT", path: "/api/faq/64b000000000000000000001/publish", body: `{"isPublished":true}`, headers: []string{header}, status: 403},
		{name: "does not read anything else", path: "/api/settings/admin", headers: []string{header}, status: 403},
		{name: "nor users", path: "/api/users", headers: []string{header}, status: 403},
		{name: "nor its owner's comments", path: "/api/comments/mine", headers: []string{header}, status: 403},
		{name: "is nobody", path: "/api/users/account/me", headers: []string{header}, status: 403},
		{name: "signs nobody out", method: "POST", path: "/api/users/logout-all", headers: []string{header}, status: 403},
		{name: "makes no keys", method: "POST", path: "/api/_keys", body: `{"name":"k","scopes":["*:write"]}`, headers: []string{header}, status: 403},
		{name: "lists none", path: "/api/_keys", headers: []string{header}, status: 403},
		{name: "revokes none", method: "DELETE", path: "/api/_keys/" + id, headers: []string{header}, status: 403},
		{name: "users make none", method: "POST", path: "/api/_keys", body: `{"name":"k","scopes":["*:write"]}`, headers: []string{s.signIn(anna, userEmail)}, status: 403},
		{name: "nor does nobody", path: "/api/_keys", status: 401},
		{name: "another secret", path: "/api/products/admin", headers: []string{"X-Api-Key: " + key[:29] + strings.Repeat("A", 43)}, status: 401, want: refusal("unauthorized")},
		{name: "no secret", path: "/api/products/admin", headers: []string{"X-Api-Key: " + key[:28]}, status: 401},
		{name: "the stored hash", path: "/api/products/admin", headers: []string{"X-Api-Key: " + key[:29] + stored["hash"].(string)}, status: 401},
		{name: "what existing frontends send there is passed over", path: "/api/products/admin", headers: []string{"X-Api-Key: anything", "Cookie: __Host-accessToken=" + s.token(anna, adminEmail)}, status: 200},
		{name: "the list does not show the key", path: "/api/_keys", headers: []string{admin}, status: 200, absent: []string{key[29:], stored["hash"].(string)},
			want: `{"success":true,"message":"OK","data":[{"_id":"` + id + `","name":"importer","scopes":["product:read","product:write","faq:read"],"createdBy":"<id>","createdAt":"<date>"}]}`},
		{name: "revoked", method: "DELETE", path: "/api/_keys/" + id, headers: []string{admin}, status: 200},
		{name: "is of no use", path: "/api/products/admin", headers: []string{header}, status: 401},
		{name: "revoked again", method: "DELETE", path: "/api/_keys/" + id, headers: []string{admin}, status: 404},
	})
}

func TestKeysThatMayDoMuch(t *testing.T) {
	s := newSite(t)
	advance := s.stopClock()
	s.addUsers(anna)
	admin := s.signIn(anna, adminEmail)
	_, all := s.key(admin, `{"name":"all","scopes":["*:read","*:write"],"expiresAt":"`+time.Now().Add(10*time.Minute).UTC().Format(time.RFC3339)+`"}`)
	_, users := s.key(admin, `{"name":"users","scopes":["user:write"]}`)
	account := func(role string) string {
		return `{"name":"New","email":"` + role + `@example.test","password":"correct horse","role":"` + role + `"}`
	}
	runAll(t, s, []scenario{
		{name: "all reads", path: "/api/settings/admin", headers: []string{"X-Api-Key: " + all}, status: 200},
		{name: "all writes", method: "POST", path: "/api/faq", body: `{"question":{"en":"q"},"answer":{"en":"a"}}`, headers: []string{"X-Api-Key: " + all}, status: 201},
		{name: "but not users, which could be admins", method: "POST", path: "/api/users", body: account("admin"), headers: []string{"X-Api-Key: " + all}, status: 403},
		{name: "that needs to be said", method: "POST", path: "/api/users", body: account("staff"), headers: []string{"X-Api-Key: " + users}, status: 201, absent: []string{"argon2id"}},
		{name: "and makes no superadmin", method: "POST", path: "/api/users", body: account("superadmin"), headers: []string{"X-Api-Key: " + users}, status: 422},
	})
	advance(11 * time.Minute)
	scenario{name: "expired", path: "/api/settings/admin", headers: []string{"X-Api-Key: " + all}, status: 401}.run(t, s)
}

func TestKeyBodies(t *testing.T) {
	s := newSite(t)
	s.addUsers(anna)
	admin := s.signIn(anna, adminEmail)
	f := func(body string, status int) {
		t.Helper()
		scenario{name: body, method: "POST", path: "/api/_keys", body: body, headers: []string{admin}, status: status}.run(t, s)
	}
	f(`{}`, 422)
	f(`{"name":"k"}`, 422)
	f(`{"name":"","scopes":["faq:read"]}`, 422)
	f(`{"name":"k","scopes":[]}`, 422)
	f(`{"name":"k","scopes":"faq:read"}`, 422)
	f(`{"name":"k","scopes":["faq"]}`, 422)
	f(`{"name":"k","scopes":["faq:delete"]}`, 422)
	f(`{"name":"k","scopes":["nothing:read"]}`, 422)
	f(`{"name":"k","scopes":[{"a":1}]}`, 422)
	f(`{"name":"k","scopes":["faq:read"],"role":"superadmin"}`, 422)
	f(`{"name":"k","scopes":["faq:read"],"expiresAt":"2001-01-01T00:00:00Z"}`, 422)
	f(`{"name":"k","scopes":["faq:read"],"expiresAt":"soon"}`, 422)
	f(`{"name":"`+strings.Repeat("k", 101)+`","scopes":["faq:read"]}`, 422)
	f(`{"name":"k","scopes":["faq:read"]}`, 201)
}
