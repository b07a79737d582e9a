package api_test

import (
	"context"
	"io/fs"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"

	"metahub/api"
)

const me = "/api/users/account/me"

// usersAs are the built-in models with parts of the users' replaced: each behind the one that stands there.
func usersAs(t *testing.T, replaced ...string) fs.FS {
	t.Helper()
	files := fstest.MapFS{}
	for _, name := range []string{"_defs.yaml", "users.yaml"} {
		content, err := fs.ReadFile(os.DirFS("models"), name)
		if err != nil {
			t.Fatal(err)
		}
		files[name] = &fstest.MapFile{Data: content}
	}
	users := string(files["users.yaml"].Data)
	for pair := range slices.Chunk(replaced, 2) {
		if !strings.Contains(users, pair[0]) {
			t.Fatalf("the users' model has no %q", pair[0])
		}
		users = strings.Replace(users, pair[0], pair[1], 1)
	}
	files["users.yaml"].Data = []byte(users)
	return files
}

// own is what account/me answers of a user, with more fields.
func own(message, more, beside string) string {
	return `{"success":true,"message":"` + message + `","user":{"_id":"<id>",` + more + `,"createdAt":"<date>","updatedAt":"<date>"}` + beside + `}`
}

func TestOwnAccount(t *testing.T) {
	s := newSite(t)
	s.addUsers(anna)
	s.addUsers(ben)
	token := s.token(anna, userEmail)
	bearer, cookie := "Authorization: Bearer "+token, "Cookie: __Host-accessToken="+token
	const fixed = `"email":"user@example.test","role":"user","isActive":true`
	update := func(name, body string, status int, headers ...string) scenario {
		return scenario{name: name, method: "PUT", path: me + "/update", body: body, headers: headers, status: status, absent: []string{"argon2id"}}
	}
	key := scenario{name: "a key", method: "POST", path: "/api/_keys", body: `{"name":"all","scopes":["*:read","*:write"]}`, headers: []string{s.signIn(anna, adminEmail)}, status: 201}.run(t, s)
	renamed := update("renamed", `{"name":"Ayşe","phone":"+90","company":"Ensotek","position":"CTO","language":"tr","birthDate":"1990-01-02T00:00:00Z"}`, 200, bearer)
	renamed.want = own("Updated.", `"name":"Ayşe",`+fixed+`,"phone":"+90","company":"Ensotek","position":"CTO","language":"tr","birthDate":"<date>"`, "")
	runAll(t, s, []scenario{
		update("nobody", `{"name":"x"}`, 401),
		update("the other tenant's user", `{"name":"x"}`, 401, s.signIn(ben, userEmail)),
		update("a key is nobody's account", `{"name":"x"}`, 403, "X-Api-Key: "+text(t, key.body, "data.key")),
		update("a cookie from a foreign page", `{"name":"x"}`, 403, cookie, "Origin: https://evil.test"),
		update("a cookie from nowhere", `{"name":"x"}`, 403, cookie),
		update("a cookie from an own page", `{"name":"x"}`, 200, cookie, "Origin: https://anna.test:8443"),
		renamed,
		update("as the profile page sends it, the address as it is", `{"name":"Ayşe","email":"USER@example.test","phone":"","language":"tr"}`, 200, bearer),
		update("a role", `{"name":"x","role":"admin"}`, 422, bearer),
		update("a rise by itself", `{"role":"superadmin"}`, 422, bearer),
		update("being active", `{"isActive":true}`, 422, bearer),
		update("a password", `{"password":"battery staple"}`, 422, bearer),
		update("an id and a tenant", `{"_id":"abcdefabcdefabcdefabcdef","tenant":"ben"}`, 200, bearer),
		update("nothing", `{}`, 400, bearer),
		update("no name", `{"name":null}`, 422, bearer),
		update("an operator", `{"name":{"$set":1}}`, 400, bearer),
		update("an operator as password", `{"email":"x@example.test","currentPassword":{"ne":1}}`, 422, bearer),
		update("another address", `{"email":"new@example.test"}`, 422, bearer),
		update("with a wrong password", `{"email":"new@example.test","currentPassword":"wrong"}`, 400, bearer),
		update("that somebody has", `{"email":"admin@example.test","currentPassword":"correct horse"}`, 409, bearer),
		update("with the password", `{"email":"New@example.test","currentPassword":"correct horse"}`, 200, bearer),
		{name: "which signs in", method: "POST", path: "/api/users/login", body: `{"email":"new@example.test","password":"correct horse"}`, status: 200},
		{name: "and the former one does not", method: "POST", path: "/api/users/login", body: `{"email":"user@example.test","password":"correct horse"}`, status: 401},
		{name: "but does at the other tenant", tenant: ben, method: "POST", path: "/api/users/login", body: `{"email":"user@example.test","password":"correct horse"}`, status: 200},
		{name: "no such action", method: "PUT", path: me + "/role", body: `{"role":"admin"}`, headers: []string{bearer}, status: 404},
		{name: "GET", path: me + "/update", headers: []string{bearer}, status: 405, header: []string{"Allow: OPTIONS, PATCH, PUT"}},
	})
	if stored := s.stored(anna, "users", bson.D{{Key: "email", Value: "new@example.test"}}); stored["role"] != "user" || stored["tenant"] != anna || stored["name"] != "Ayşe" {
		t.Errorf("stored is %v", stored)
	}
}

func TestOwnSettings(t *testing.T) {
	s := newSite(t)
	s.addUsers(anna)
	bearer := s.signIn(anna, userEmail)
	patch := func(name, action, body string, status int, want string) scenario {
		if status == 200 {
			want = own("Updated.", `"name":"Name of user","email":"user@example.test","role":"user","isActive":true,`+want, `,"_id":"<id>",`+want[strings.LastIndex(want, `"`+map[string]string{"notifications": "notifications", "social": "socialMedia"}[action]):])
		}
		return scenario{name: name, method: "PATCH", path: me + "/" + action, body: body, headers: []string{bearer}, status: status, want: want}
	}
	const both = `"notifications":{"emailNotifications":false,"smsNotifications":true}`
	runAll(t, s, []scenario{
		patch("one", "notifications", `{"emailNotifications":false}`, 200, `"notifications":{"emailNotifications":false}`),
		patch("the other leaves the one", "notifications", `{"smsNotifications":true}`, 200, both),
		patch("no boolean", "notifications", `{"smsNotifications":"yes"}`, 422, `{"success":false,"message":"Validation error.","code":"validation_failed","request_id":"request-1","errors":[{"path":"smsNotifications","msg":"must be of type boolean"}]}`),
		patch("an unknown one", "notifications", `{"role":"admin"}`, 422, `{"success":false,"message":"Validation error.","code":"validation_failed","request_id":"request-1","errors":[{"path":"role","msg":"is not a field that can be set"}]}`),
		patch("a list", "notifications", `[]`, 400, ""),
		patch("links", "social", `{"facebook":"https://facebook.com/a","instagram":"","twitter":"@a"}`, 200, both+`,"socialMedia":{"facebook":"https://facebook.com/a","instagram":"","twitter":"@a"}`),
		patch("a link that runs", "social", `{"facebook":"javascript:alert(1)"}`, 422, ""),
		patch("a dotted name", "social", `{"a.b":"x"}`, 400, ""),
		patch("gone", "social", `{"facebook":null,"twitter":"@b"}`, 200, both+`,"socialMedia":{"instagram":"","twitter":"@b"}`),
	})
	got := s.send(anna, "PATCH", me+"/social", `{"facebook":"javascript:alert(1)"}`, bearer, "Accept-Language: de")
	if text(t, got.body, "message") != "Die Eingaben sind fehlerhaft." {
		t.Errorf("in German: %s", got.body)
	}
}

func TestOwnImage(t *testing.T) {
	s := newSite(t)
	s.addUsers(anna)
	s.addUsers(ben)
	bearer, admin := s.signIn(anna, userEmail), s.signIn(anna, adminEmail)
	const path = me + "/profile-image"
	put := func(want int, header string, pairs ...string) answer {
		t.Helper()
		got := s.sendForm("PUT", path, header, pairs...)
		if got.status != want {
			t.Fatalf("%q: %d, want %d: %s", pairs, got.status, want, got.body)
		}
		return got
	}
	file := func(slug, url string) int { return s.send(slug, "GET", url, "").status }
	first := put(200, bearer, "@images", picture(t, 0)) // as existing pages name it, and the earlier service
	url := text(t, first.body, "profileImage.url")
	if text(t, first.body, "user.profileImage.url") != url || text(t, first.body, "profileImage.publicId") == "" || file(anna, url) != 200 || file(ben, url) != 404 {
		t.Errorf("%s: %d and %d", first.body, file(anna, url), file(ben, url))
	}
	second := text(t, put(200, bearer, "@avatar", picture(t, 0)).body, "profileImage.url")
	if file(anna, url) != 404 || file(anna, second) != 200 {
		t.Errorf("the former one: %d, this one: %d", file(anna, url), file(anna, second))
	}
	before := s.fileNames()
	put(401, "X-None: x", "@images", picture(t, 0))
	put(422, bearer, "@images", picture(t, 0), "@avatar", picture(t, 0))
	put(422, bearer, "@images", "<svg/>")
	put(422, bearer, "@images", picture(t, 0), "role", "admin")
	put(422, bearer, "@images", picture(t, 10<<20+1))
	put(400, bearer, "images", "")
	put(400, bearer, "@images", "")
	if got := s.send(anna, "PUT", path, `{"profileImage":"/x.png"}`, bearer); got.status != 422 {
		t.Errorf("JSON: %d %s", got.status, got.body)
	}
	if after := s.fileNames(); len(after) != 1 || after[0] != before[0] {
		t.Errorf("files are %q", after)
	}
	// Pictures of accounts leave admins some room.
	fill := s.sendForm("POST", "/api/products", admin, "title", `{"en":"x"}`, "@images", picture(t, 9<<20))
	put(422, bearer, "@images", picture(t, 6<<20))
	if got := s.sendForm("PUT", path, admin, "@images", picture(t, 6<<20)); fill.status != 201 || got.status != 200 {
		t.Errorf("%d, and an admin's: %d %s", fill.status, got.status, got.body)
	}
	s.send(anna, "DELETE", path, "", admin)
	s.send(anna, "DELETE", "/api/products/"+text(t, fill.body, "data._id"), "", admin)
	// An admin's form sets another's, and an empty input of it nothing.
	id := text(t, first.body, "user._id")
	if got := s.sendForm("PUT", "/api/users/users/"+id, admin, "name", "Eve", "birthDate", "1990-01-02", "profileImage", "", "oldProfileImage", "/x.png", "role", "staff"); got.status != 200 || file(anna, second) != 200 || text(t, got.body, "data.birthDate") != "1990-01-02T00:00:00.000Z" {
		t.Errorf("%d %s", got.status, got.body)
	}
	third := text(t, s.sendForm("PUT", "/api/users/users/"+id, admin, "@profileImage", picture(t, 0)).body, "data.profileImage.url")
	if file(anna, second) != 404 || file(anna, third) != 200 {
		t.Errorf("the former one: %d, the admin's: %d", file(anna, second), file(anna, third))
	}
	runAll(t, s, []scenario{
		{name: "removed", method: "DELETE", path: path, headers: []string{bearer}, status: 200,
			want: own("Updated.", `"name":"Eve","email":"user@example.test","role":"staff","isActive":true,"birthDate":"<date>"`, `,"_id":"<id>","profileImage":null`)},
		{name: "again", method: "DELETE", path: path, headers: []string{bearer}, status: 200},
	})
	if names := s.fileNames(); len(names) != 0 {
		t.Errorf("left are %q", names)
	}
}

func TestEndOfAccount(t *testing.T) {
	s := newSite(t)
	s.addUsers(anna)
	s.addUsers(ben)
	mine, other, theirs := s.open(anna, userEmail), s.open(anna, userEmail), s.open(ben, userEmail)
	bearer := "Authorization: Bearer " + mine.access
	if got := s.sendForm("PUT", me+"/profile-image", bearer, "@images", picture(t, 0)); got.status != 200 {
		t.Fatal(got.body)
	}
	end := func(name, method, body string, status int, headers ...string) scenario {
		return scenario{name: name, method: method, path: me + "/delete", body: body, headers: headers, status: status}
	}
	const right = `{"password":"correct horse"}`
	runAll(t, s, []scenario{
		end("nobody", "POST", right, 401),
		end("the other tenant's user", "POST", right, 401, "Authorization: Bearer "+theirs.access),
		end("a cookie from a foreign page", "POST", right, 403, "Cookie: __Host-accessToken="+mine.access, "Origin: https://evil.test"),
		end("without the password", "DELETE", "", 422, bearer),
		end("null", "DELETE", "null", 422, bearer),
		end("an operator", "POST", `{"password":{"ne":""}}`, 422, bearer),
		end("a wrong one", "POST", `{"password":"wrong"}`, 400, bearer),
		end("a wrong one by DELETE", "DELETE", `{"password":"wrong"}`, 400, bearer),
	})
	if s.me(anna, mine.access) != 200 {
		t.Fatal("the account is gone without its password")
	}
	gone := end("right", "DELETE", right, 200, bearer)
	gone.want = `{"success":true,"message":"Deleted."}`
	got := gone.run(t, s)
	if cookies := strings.Join(got.header.Values("Set-Cookie"), "\n"); strings.Count(cookies, "__Host-accessToken=;") != 1 {
		t.Errorf("cookies are %q", cookies)
	}
	if s.me(anna, mine.access) != 401 || s.me(anna, other.access) != 401 || s.refresh(anna, other.refresh).status != 401 {
		t.Error("a session of the account lives")
	}
	if names := s.fileNames(); len(names) != 0 {
		t.Errorf("left are %q", names)
	}
	runAll(t, s, []scenario{
		{name: "it does not sign in", method: "POST", path: "/api/users/login", body: `{"email":"` + userEmail + `","password":"correct horse"}`, status: 401},
		{name: "at the other tenant it does", tenant: ben, method: "POST", path: "/api/users/login", body: `{"email":"` + userEmail + `","password":"correct horse"}`, status: 200},
	})
	if s.me(ben, theirs.access) != 200 {
		t.Error("the other tenant's user is signed out")
	}
}

// Whoever sits at an open browser guesses no password, neither there nor at the sign-in.
func TestGuessingTheOwnPassword(t *testing.T) {
	s := newSite(t)
	s.stopClock()
	s.addUsers(anna)
	bearer := s.signIn(anna, userEmail)
	for i, attempt := range [][3]string{
		{"POST", "/delete", `{"password":"wrong"}`}, {"PUT", "/password", `{"currentPassword":"wrong","newPassword":"battery staple"}`},
		{"PUT", "/update", `{"email":"x@example.test","currentPassword":"wrong"}`}, {"DELETE", "/delete", `{"password":"wrong"}`}, {"POST", "/delete", `{"password":"wrong"}`},
	} {
		if got := s.send(anna, attempt[0], me+attempt[1], attempt[2], bearer); got.status != 400 {
			t.Fatalf("attempt %d: %d %s", i, got.status, got.body)
		}
	}
	for _, attempt := range [][3]string{
		{"POST", "/delete", `{"password":"correct horse"}`}, {"PUT", "/password", `{"currentPassword":"correct horse","newPassword":"battery staple"}`},
		{"PUT", "/update", `{"email":"x@example.test","currentPassword":"correct horse"}`},
	} {
		if got := s.send(anna, attempt[0], me+attempt[1], attempt[2], bearer); got.status != 429 || got.header.Get("Retry-After") == "" {
			t.Errorf("%s: %d %s", attempt[1], got.status, got.body)
		}
	}
}

func TestAnonymisedAccount(t *testing.T) {
	s := newSiteOf(t, usersAs(t, "delete: { end: remove }", "delete: { end: anonymise }"))
	s.addUsers(anna)
	s.past(anna, func(ctx context.Context, db *mongo.Database) error { // another program's
		_, err := db.Collection("users").UpdateOne(ctx, bson.D{{Key: "email", Value: userEmail}}, bson.D{{Key: "$set", Value: bson.D{{Key: "favorites", Value: "secret"}}}})
		return err
	})
	session := s.open(anna, userEmail)
	id := s.stored(anna, "users", bson.D{{Key: "email", Value: userEmail}})["_id"].(bson.ObjectID)
	if got := s.sendForm("PUT", me+"/profile-image", "Authorization: Bearer "+session.access, "@images", picture(t, 0)); got.status != 200 {
		t.Fatal(got.body)
	}
	scenario{name: "end", method: "POST", path: me + "/delete", body: `{"password":"correct horse"}`, headers: []string{"Authorization: Bearer " + session.access}, status: 200}.run(t, s)
	stored := s.stored(anna, "users", bson.D{{Key: "_id", Value: id}})
	for name, value := range stored {
		switch name {
		case "_id", "_rev", "tenant", "createdAt", "updatedAt":
			continue
		}
		if want := map[string]any{"name": "—", "email": id.Hex() + "@deleted.invalid", "password": "", "isActive": false}[name]; value != want {
			t.Errorf("%s is %v, want %v", name, value, want)
		}
	}
	if s.me(anna, session.access) != 401 || s.refresh(anna, session.refresh).status != 401 || len(s.fileNames()) != 0 {
		t.Errorf("a session lives, or a file is there: %q", s.fileNames())
	}
	runAll(t, s, []scenario{
		{name: "nobody signs in to it", method: "POST", path: "/api/users/login", body: `{"email":"` + id.Hex() + `@deleted.invalid","password":" "}`, status: 401},
		{name: "the address is free", method: "POST", path: "/api/users", body: `{"name":"New","email":"` + userEmail + `","password":"correct horse"}`, headers: []string{s.signIn(anna, adminEmail)}, status: 201},
	})
}

// The buttons of the admin's list of users: a status is turned over by a request without a body, or with axios' "null".
func TestUserActions(t *testing.T) {
	s := newSite(t)
	s.addUsers(anna)
	admin, theirs := s.signIn(anna, adminEmail), s.open(anna, userEmail)
	path := "/api/users/users/" + s.stored(anna, "users", bson.D{{Key: "email", Value: userEmail}})["_id"].(bson.ObjectID).Hex()
	put := func(name, action, body string, status int, beside string) scenario {
		c := scenario{name: name, method: "PUT", path: path + "/" + action, body: body, headers: []string{admin}, status: status}
		if status == 200 {
			role, active := "user", "true"
			if strings.Contains(beside, "false") {
				active = "false"
			}
			if action == "role" {
				role = "staff"
			}
			c.want = `{"success":true,"message":"Updated.","data":{"_id":"<id>","name":"Name of user","email":"user@example.test","role":"` + role + `","isActive":` + active + `,"createdAt":"<date>","updatedAt":"<date>"},"_id":"<id>",` + beside + `}`
		}
		return c
	}
	put("off", "status", "null", 200, `"isActive":false`).run(t, s)
	if s.me(anna, theirs.access) != 401 || s.refresh(anna, theirs.refresh).status != 401 {
		t.Error("who is switched off is still signed in")
	}
	runAll(t, s, []scenario{
		put("on", "status", "", 200, `"isActive":true`),
		put("as it is said", "status", `{"isActive":true}`, 200, `"isActive":true`),
		put("an empty body says nothing", "status", `{}`, 400, ""),
		put("another field", "status", `{"role":"admin"}`, 422, ""),
		put("no role", "role", "null", 400, ""),
		put("above oneself", "role", `{"role":"superadmin"}`, 422, ""),
		put("a role", "role", `{"role":"staff"}`, 200, `"role":"staff"`),
		{name: "the list", path: "/api/users/users", headers: []string{admin}, status: 200, absent: []string{"argon2id"}},
		{name: "one", path: path, headers: []string{admin}, status: 200, absent: []string{"argon2id"}},
		{name: "by nobody", method: "PUT", path: path + "/status", status: 401},
	})
	if s.me(anna, theirs.access) != 401 {
		t.Error("a session that has ended is back")
	}
	fresh := s.open(anna, userEmail)
	scenario{name: "by a user", method: "PUT", path: path + "/role", body: `{"role":"admin"}`, headers: []string{"Authorization: Bearer " + fresh.access}, status: 403}.run(t, s)
	scenario{name: "deleted", method: "DELETE", path: path, headers: []string{admin}, status: 200}.run(t, s)
	if s.me(anna, fresh.access) != 401 || s.refresh(anna, fresh.refresh).status != 401 {
		t.Error("who was deleted is signed in")
	}
}

func TestNoMail(t *testing.T) {
	s := newSite(t)
	s.addUsers(anna)
	post := func(path, code string) {
		t.Helper()
		for _, body := range []string{`{"email":"` + userEmail + `"}`, `{"email":"nobody@example.test"}`} {
			scenario{name: path, method: "POST", path: path, body: body, status: 403, want: refusal(code), header: []string{"Cache-Control: private, no-store"}}.run(t, s)
		}
	}
	for _, path := range []string{"forgot-password", "reset-password/0123456789abcdef", "advanced-auth/send-otp", "advanced-auth/resend-otp", "advanced-auth/verify-otp", "advanced-auth/send-verification", "advanced-auth/verify-email"} {
		post("/api/users/"+path, "no_mail")
	}
	post("/api/users/advanced-auth/verify-mfa", "no_second_factor")
}

// A model cannot let people rise by their own account.
func TestAccountActionsAtFault(t *testing.T) {
	f := func(action, want string) {
		t.Helper()
		_, err := api.New(api.Config{Models: usersAs(t, "delete: { end: remove }", action)})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", action, err, want)
		}
	}
	f("rise: { set: [role] }", `the account action "rise" of the model "user" sets "role": that is for admins alone`)
	f("wake: { set: [name, isActive] }", `sets "isActive"`)
	f("move: { set: [email] }", `add "confirm: [email]"`)
	f("secret: { set: [password] }", `sets the field "password", which is hashed`)
	f("password: { set: [name] }", `which is there already`)
	f("delete: { end: hide }", `must end in remove or anonymise, not "hide"`)
	f("both: { set: [name], end: remove }", `needs one of set, within, files and end`)
	f("none: {}", `needs one of set, within, files and end`)
	f("inner: { within: name }", `sets members of "name", which is not an object`)
	f("files: { files: bio }", `which is not the field with x-upload`)
	f("open: { set: [bio], beside: [password] }", `which is not there or which nobody may read`)
	f("turn: { toggle: isActive }", `unknown key "toggle"`)
	f("sure: { set: [bio], confirm: [email] }", `confirms the field "email", which it does not set`)
}
