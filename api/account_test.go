package api_test

import (
	"fmt"
	"io/fs"
	"strings"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// openModels are the built-in models, with users that register themselves.
func openModels(t *testing.T) fs.FS {
	t.Helper()
	return usersAs(t, "timestamps: true\n", "timestamps: true\ncreate: public\n",
		"name: { type: string,", "name: { x-write: public, type: string,",
		"email: { type: string,", "email: { x-write: public, type: string,",
		"password: { type: string,", "password: { x-write: public, type: string,")
}

func TestRegister(t *testing.T) {
	s := newSiteOf(t, openModels(t))
	account := `"name":"Eve","email":" EVE@example.test","password":"correct horse"`
	runAll(t, s, []scenario{
		{name: "a role of one's own choice", method: "POST", path: "/api/users/register", body: `{` + account + `,"role":"admin"}`, status: 422},
		{name: "any other field of admins", method: "POST", path: "/api/users/register", body: `{` + account + `,"isActive":true}`, status: 422},
		{name: "an id", method: "POST", path: "/api/users/register", body: `{` + account + `,"password":{"$ne":""}}`, status: 400},
		{name: "from a foreign page", method: "POST", path: "/api/users/register", body: `{` + account + `}`, headers: []string{"Origin: https://evil.test"}, status: 403},
		{name: "past the registration", method: "POST", path: "/api/users", body: `{` + account + `,"role":"admin"}`, status: 403, want: refusal("forbidden")},
		{name: "past it, in a bulk", method: "POST", path: "/api/users/_bulk", body: `{"items":[{"op":"create","body":{` + account + `}}]}`, status: 401},
		{name: "as frontends do", method: "POST", path: "/api/users/register", body: `{` + account + `,"recaptchaToken":"x"}`, status: 201, absent: []string{"argon2id", "correct horse"},
			want: `{"success":true,"message":"Created.","data":{"_id":"<id>","name":"Eve","email":"eve@example.test","role":"user","isActive":true,"createdAt":"<date>","updatedAt":"<date>"}}`},
		{name: "twice", method: "POST", path: "/api/users/register", body: `{` + account + `}`, status: 409},
		{name: "signs in", method: "POST", path: "/api/users/login", body: `{"email":"eve@example.test","password":"correct horse"}`, status: 200},
		{name: "not at the other tenant", tenant: ben, method: "POST", path: "/api/users/login", body: `{"email":"eve@example.test","password":"correct horse"}`, status: 401},
		{name: "where she may register again", tenant: ben, method: "POST", path: "/api/users/register", body: `{` + account + `}`, status: 201},
	})
	scenario{name: "is no admin", path: "/api/users", headers: []string{s.signIn(anna, "eve@example.test")}, status: 403}.run(t, s)
	if role := s.stored(anna, "users", bson.D{{Key: "email", Value: "eve@example.test"}})["role"]; role != "user" {
		t.Errorf("role %v", role)
	}
	refused := 0
	for i := range 12 {
		got := s.send(anna, "POST", "/api/users/register", fmt.Sprintf(`{"name":"Eve","email":"eve%d@example.test","password":"correct horse"}`, i))
		if got.status == 429 && got.header.Get("Retry-After") != "" {
			refused++
		}
	}
	if refused == 0 {
		t.Error("one address may make accounts without end")
	}
}

func TestRegisterWhereTheModelDoesNotAllowIt(t *testing.T) {
	s := newSite(t)
	s.addUsers(anna)
	body := `{"name":"Eve","email":"eve@example.test","password":"correct horse"}`
	runAll(t, s, []scenario{
		{name: "nobody", method: "POST", path: "/api/users/register", body: body, status: 403, want: refusal("forbidden")},
		{name: "not even an admin", method: "POST", path: "/api/users/register", body: body, headers: []string{s.signIn(anna, adminEmail)}, status: 403},
	})
}

// An admin cannot rise above admins: not make a superadmin, not become one, and not take over the account of one.
func TestSuperadmin(t *testing.T) {
	s := newSite(t)
	s.addUsers(anna)
	const rootEmail = "root@example.test"
	if err := s.api.CreateUser(t.Context(), s.tenant(anna), "Root", rootEmail, password, "superadmin"); err != nil {
		t.Fatal(err)
	}
	id := func(email string) string {
		return s.stored(anna, "users", bson.D{{Key: "email", Value: email}})["_id"].(bson.ObjectID).Hex()
	}
	admin, root := s.signIn(anna, adminEmail), s.signIn(anna, rootEmail)
	super := "/api/users/" + id(rootEmail)
	runAll(t, s, []scenario{
		{name: "may do what admins may", method: "POST", path: "/api/products", body: `{"title":{"en":"a"}}`, headers: []string{root}, status: 201},
		{name: "may act as moderators", path: "/api/comments/admin", headers: []string{root}, status: 200},
		{name: "an admin makes none", method: "POST", path: "/api/users", body: `{"name":"a","email":"x@example.test","password":"correct horse","role":"superadmin"}`, headers: []string{admin}, status: 422},
		{name: "nor in a bulk", method: "POST", path: "/api/users/_bulk", body: `{"items":[{"op":"update","id":"` + id(adminEmail) + `","body":{"role":"superadmin"}}]}`, headers: []string{admin}, status: 200, want: `{"success":true,"message":"OK","data":[{"success":false,"message":"Validation error.","code":"validation_failed","request_id":"request-1","errors":[{"path":"role","msg":"is not allowed here","type":"field","location":"body"}],"type":"about:blank","title":"Unprocessable Entity","status":422,"detail":"Validation error."}]}`},
		{name: "nor becomes one", method: "PUT", path: "/api/users/" + id(adminEmail), body: `{"role":"superadmin"}`, headers: []string{admin}, status: 422},
		{name: "nor by the action", method: "PUT", path: "/api/users/" + id(adminEmail) + "/role", body: `{"role":"superadmin"}`, headers: []string{admin}, status: 422},
		{name: "an admin takes no superadmin's password", method: "PUT", path: super, body: `{"password":"mine from now on"}`, headers: []string{admin}, status: 404},
		{name: "nor role", method: "PUT", path: super + "/role", body: `{"role":"user"}`, headers: []string{admin}, status: 404},
		{name: "nor switches one off", method: "PUT", path: super + "/status", body: `{"isActive":false}`, headers: []string{admin}, status: 404},
		{name: "nor deletes one", method: "DELETE", path: super, headers: []string{admin}, status: 404},
		{name: "but reads who they are", path: super, headers: []string{admin}, status: 200},
		{name: "a superadmin makes another", method: "PUT", path: "/api/users/" + id(adminEmail) + "/role", body: `{"role":"superadmin"}`, headers: []string{root}, status: 200},
		{name: "who may do the same", method: "PUT", path: super, body: `{"role":"admin"}`, headers: []string{admin}, status: 200},
		{name: "at once", method: "PUT", path: super, body: `{"role":"superadmin"}`, headers: []string{root}, status: 422},
	})
}

func TestOwnPassword(t *testing.T) {
	s := newSite(t)
	s.addUsers(anna)
	s.addUsers(ben)
	mine, other := s.open(anna, userEmail), s.open(anna, userEmail)
	bearer := "Authorization: Bearer " + mine.access
	change := func(name, body string, status int, headers ...string) scenario {
		return scenario{name: name, method: "PUT", path: "/api/users/account/me/password", body: body, headers: headers, status: status, absent: []string{"argon2id"}}
	}
	runAll(t, s, []scenario{
		change("nobody", `{"currentPassword":"correct horse","newPassword":"battery staple"}`, 401),
		change("a wrong one", `{"currentPassword":"wrong","newPassword":"battery staple"}`, 400, bearer),
		change("an operator", `{"currentPassword":{"ne":""},"newPassword":"battery staple"}`, 422, bearer),
		change("too short", `{"currentPassword":"correct horse","newPassword":"short"}`, 422, bearer),
		change("right", `{"currentPassword":"correct horse","newPassword":"battery staple"}`, 200, bearer),
		{name: "the old one", method: "POST", path: "/api/users/login", body: `{"email":"` + userEmail + `","password":"correct horse"}`, status: 401},
		{name: "the new one", method: "POST", path: "/api/users/login", body: `{"email":"` + userEmail + `","password":"battery staple"}`, status: 200},
		{name: "at the other tenant nothing has changed", tenant: ben, method: "POST", path: "/api/users/login", body: `{"email":"` + userEmail + `","password":"correct horse"}`, status: 200},
	})
	if s.me(anna, mine.access) != 200 || s.me(anna, other.access) != 401 || s.refresh(anna, other.refresh).status != 401 {
		t.Error("the other session lives, or the one that changed the password is gone")
	}
}

// Whoever is switched off, or whose password an admin changes, is signed out everywhere at once, and stays so.
func TestAdminsEndSessions(t *testing.T) {
	s := newSite(t)
	s.addUsers(anna)
	admin := s.signIn(anna, adminEmail)
	path := "/api/users/" + s.stored(anna, "users", bson.D{{Key: "email", Value: userEmail}})["_id"].(bson.ObjectID).Hex()
	f := func(name, method, path, body string) {
		t.Helper()
		theirs := s.open(anna, userEmail)
		scenario{name: name, method: method, path: path, body: body, headers: []string{admin}, status: 200}.run(t, s)
		scenario{name: "on again", method: "PUT", path: strings.TrimSuffix(path, "/status"), body: `{"isActive":true}`, headers: []string{admin}, status: 200}.run(t, s)
		if s.me(anna, theirs.access) != 401 || s.refresh(anna, theirs.refresh).status != 401 {
			t.Errorf("%s: the session lives", name)
		}
	}
	f("off", "PUT", path, `{"isActive":false}`)
	f("off by the action", "PATCH", path+"/status", `{"isActive":false}`)
	f("a new password", "PUT", path, `{"password":"correct horse"}`)
	theirs := s.open(anna, userEmail)
	scenario{name: "another name", method: "PUT", path: path, body: `{"name":"Another"}`, headers: []string{admin}, status: 200}.run(t, s)
	if s.me(anna, theirs.access) != 200 {
		t.Error("another name signs out")
	}
}

// One tenant's sign-in is flooded; another's goes on, and what does not fit is refused at once.
func TestFloodOfSignIns(t *testing.T) {
	s := newSite(t)
	s.addUsers(anna)
	s.addUsers(ben)
	end := s.api.FloodSignIn(anna)
	defer end()
	right := `{"email":"` + adminEmail + `","password":"` + password + `"}`
	runAll(t, s, []scenario{
		{name: "one more", method: "POST", path: "/api/users/login", body: right, status: 503, want: refusal("unavailable"), header: []string{"Retry-After: 1"}},
		{name: "the other tenant", tenant: ben, method: "POST", path: "/api/users/login", body: right, status: 200},
		{name: "all else goes on", path: "/api/products", status: 200},
	})
}
