package api_test

import (
	"encoding/base64"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"go.mongodb.org/mongo-driver/v2/bson"
)

func TestSignIn(t *testing.T) {
	s := newSite(t)
	s.addUsers(anna)
	s.addUsers(ben)
	who := `{"_id":"<id>","name":"Name of admin","email":"admin@example.test","role":"admin","isActive":true,"createdAt":"<date>","updatedAt":"<date>"}`
	credentials := `{"email":" Admin@Example.test ","password":"correct horse","recaptchaToken":"x"}`
	got := scenario{name: "sign in", method: "POST", path: "/api/users/login", body: credentials, status: 200, absent: []string{"$argon2id$", "correct horse"},
		want:   `{"success":true,"message":"Signed in.","data":` + who + `,"token":"<any>","refreshToken":"<any>"}`,
		header: []string{"Cache-Control: private, no-store"}}.run(t, s)
	token := text(t, got.body, "token")
	cookies := got.header.Values("Set-Cookie")
	for i, want := range []string{
		"__Host-refreshToken=" + text(t, got.body, "refreshToken") + "; max-age=2592000; path=/; HttpOnly; secure; SameSite=Lax",
		"__Host-accessToken=" + token + "; max-age=900; path=/; HttpOnly; secure; SameSite=Lax",
	} {
		if len(cookies) != 2 || cookies[i] != want {
			t.Errorf("cookies %q, want %q", cookies, want)
		}
	}
	wrong := refusal("invalid_credentials")
	runAll(t, s, []scenario{
		{name: "by bearer", path: "/api/users/account/me", headers: []string{"Authorization: Bearer " + token}, status: 200,
			want: `{"success":true,"message":"OK","user":` + who + `}`, header: []string{"Cache-Control: private, no-store"}},
		{name: "by cookie", path: "/api/users/account/me", headers: []string{"Cookie: a=b; __Host-accessToken=" + token}, status: 200},
		{name: "not by a cookie that another host may have set", path: "/api/users/account/me", headers: []string{"Cookie: accessToken=" + token}, status: 401},
		{name: "not at the other tenant", tenant: ben, path: "/api/users/account/me", headers: []string{"Authorization: Bearer " + token}, status: 401, want: refusal("unauthorized")},
		{name: "nobody", path: "/api/users/account/me", status: 401, want: refusal("unauthorized"), header: []string{"WWW-Authenticate: Bearer"}},
		{name: "wrong password", method: "POST", path: "/api/users/login", body: `{"email":"admin@example.test","password":"wrong"}`, status: 401, want: wrong},
		{name: "unknown user", method: "POST", path: "/api/users/login", body: `{"email":"nobody@example.test","password":"wrong"}`, status: 401, want: wrong},
		{name: "an operator for a password", method: "POST", path: "/api/users/login", body: `{"email":"admin@example.test","password":{"$ne":""}}`, status: 400, want: refusal("bad_request")},
		{name: "an object for an address", method: "POST", path: "/api/users/login", body: `{"email":{"ne":""},"password":"x"}`, status: 422},
		{name: "nothing", method: "POST", path: "/api/users/login", body: `{}`, status: 422},
		{name: "sign in from a foreign page", method: "POST", path: "/api/users/login", body: credentials, headers: []string{"Origin: https://evil.test"}, status: 403, want: refusal("foreign_origin")},
		{name: "sign out", method: "POST", path: "/api/users/logout", status: 200, want: `{"success":true,"message":"Signed out."}`},
	})
}

func TestRoles(t *testing.T) {
	s := newSite(t)
	s.addUsers(anna)
	s.addUsers(ben)
	admin, user := s.signIn(anna, adminEmail), s.signIn(anna, userEmail)
	body := `{"title":{"en":"a"}}`
	runAll(t, s, []scenario{
		{name: "nobody writes", method: "POST", path: "/api/products", body: body, status: 401, want: refusal("unauthorized")},
		{name: "users do not write", method: "POST", path: "/api/products", body: body, headers: []string{user}, status: 403, want: refusal("forbidden")},
		{name: "users do not read the admin view", path: "/api/products/admin", headers: []string{user}, status: 403, want: refusal("forbidden")},
		{name: "users do not list users", path: "/api/users", headers: []string{user}, status: 403, want: refusal("forbidden")},
		{name: "nobody lists users", path: "/api/users", status: 401, want: refusal("unauthorized")},
		{name: "users do not make users", method: "POST", path: "/api/users", body: `{"name":"a","email":"a@b.test","password":"12345678","role":"admin"}`, headers: []string{user}, status: 403},
		{name: "admins list users", path: "/api/users?role=user", headers: []string{admin}, status: 200, absent: []string{"$argon2id$", "password"},
			want: `{"success":true,"message":"OK","data":[{"_id":"<id>","name":"Name of user","email":"user@example.test","role":"user","isActive":true,"createdAt":"<date>","updatedAt":"<date>"}],"meta":{"total":1,"page":1,"limit":50}}`},
		{name: "passwords are no filter", path: "/api/users?password=x", headers: []string{admin}, status: 400, want: refusal("bad_request")},
		{name: "nor an order", path: "/api/users?sort=password", headers: []string{admin}, status: 400, want: refusal("bad_request")},
		{name: "a token of the other tenant", method: "POST", path: "/api/products", body: body, headers: []string{s.signIn(ben, adminEmail)}, status: 401, want: refusal("unauthorized")},
	})
}

func TestRoleIsReadAgain(t *testing.T) {
	s := newSite(t)
	s.addUsers(anna)
	admin := s.signIn(anna, adminEmail)
	second := scenario{name: "another admin", method: "POST", path: "/api/users", headers: []string{admin}, status: 201,
		body: `{"name":"Second","email":"SECOND@example.test","password":"correct horse","role":"admin"}`, absent: []string{"$argon2id$", "password"}}.run(t, s)
	theirs := s.signIn(anna, "second@example.test")
	path := "/api/users/" + text(t, second.body, "data._id")
	runAll(t, s, []scenario{
		{name: "may write", method: "POST", path: "/api/products", body: `{"title":{"en":"a"}}`, headers: []string{theirs}, status: 201},
		{name: "role taken away", method: "PUT", path: path, body: `{"role":"user"}`, headers: []string{admin}, status: 200},
		{name: "may not write any more", method: "POST", path: "/api/products", body: `{"title":{"en":"a"}}`, headers: []string{theirs}, status: 403, want: refusal("forbidden")},
		{name: "new password", method: "PATCH", path: path, body: `{"password":"battery staple"}`, headers: []string{admin}, status: 200, absent: []string{"battery", "$argon2id$"}},
		{name: "signs in", method: "POST", path: "/api/users/login", body: `{"email":"second@example.test","password":"battery staple"}`, status: 200},
		{name: "switched off", method: "PUT", path: path, body: `{"isActive":false}`, headers: []string{admin}, status: 200},
		{name: "is nobody", path: "/api/users/account/me", headers: []string{theirs}, status: 401, want: refusal("unauthorized")},
		{name: "and cannot sign in", method: "POST", path: "/api/users/login", body: `{"email":"second@example.test","password":"battery staple"}`, status: 401, want: refusal("invalid_credentials")},
		{name: "deleted", method: "DELETE", path: path, headers: []string{admin}, status: 200},
		{name: "is nobody either", path: "/api/users/account/me", headers: []string{theirs}, status: 401},
	})
}

func TestPasswordRules(t *testing.T) {
	s := newSite(t)
	s.addUsers(anna)
	admin := s.signIn(anna, adminEmail)
	create := func(name, email, password string, status int) scenario {
		return scenario{name: name, method: "POST", path: "/api/users", headers: []string{admin}, status: status, absent: []string{password},
			body: `{"name":"a","email":"` + email + `","password":"` + password + `"}`}
	}
	runAll(t, s, []scenario{
		create("too short", "a@example.test", "1234567", 422),
		create("1024 bytes", "b@example.test", strings.Repeat("x", 1024), 201),
		create("1025 bytes", "c@example.test", strings.Repeat("x", 1025), 422),
		create("1024 letters of two bytes", "d@example.test", strings.Repeat("ü", 1024), 422),
		create("an address that is taken", "B@example.test", "12345678", 409),
		{name: "role of no model", method: "POST", path: "/api/users", headers: []string{admin}, status: 422, body: `{"name":"a","email":"e@example.test","password":"12345678","role":"root"}`},
	})
	if role := s.stored(anna, "users", bson.D{{Key: "email", Value: "b@example.test"}})["role"]; role != "user" {
		t.Errorf("role %q, want user", role)
	}
}

func TestForgedTokens(t *testing.T) {
	s := newSite(t)
	s.addUsers(anna)
	good := s.token(anna, adminEmail)
	var c jwt.MapClaims
	if _, _, err := jwt.NewParser().ParseUnverified(good, &c); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]any{"role": "admin", "aud": anna, "iss": anna} {
		if c[name] != want {
			t.Errorf("the token's %q is %v, want %v", name, c[name], want)
		}
	}
	for _, name := range []string{"sub", "sid", "iat", "exp"} {
		if c[name] == nil {
			t.Errorf("the token has no %q", name)
		}
	}
	sign := func(method jwt.SigningMethod, key any, change func(jwt.MapClaims)) string {
		copied := jwt.MapClaims{}
		for name, value := range c {
			copied[name] = value
		}
		change(copied)
		token, err := jwt.NewWithClaims(method, copied).SignedString(key)
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	key := []byte("the-key-of-anna")
	same := func(jwt.MapClaims) {}
	parts := strings.Split(good, ".")
	none := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none","typ":"JWT"}`))
	f := func(name, token string, status int) {
		t.Helper()
		scenario{name: name, path: "/api/users/account/me", headers: []string{"Authorization: Bearer " + token}, status: status}.run(t, s)
	}
	f("signed again", sign(jwt.SigningMethodHS256, key, same), 200)
	f("another key", sign(jwt.SigningMethodHS256, []byte("the-key-of-ben"), same), 401)
	f("empty key", sign(jwt.SigningMethodHS256, []byte{}, same), 401)
	f("another algorithm", sign(jwt.SigningMethodHS512, key, same), 401)
	f("no algorithm", none+"."+parts[1]+".", 401)
	f("no algorithm, old signature", none+"."+parts[1]+"."+parts[2], 401)
	f("another audience", sign(jwt.SigningMethodHS256, key, func(c jwt.MapClaims) { c["aud"] = "ben" }), 401)
	f("no audience", sign(jwt.SigningMethodHS256, key, func(c jwt.MapClaims) { delete(c, "aud") }), 401)
	f("another issuer", sign(jwt.SigningMethodHS256, key, func(c jwt.MapClaims) { c["iss"] = "ben" }), 401)
	f("expired", sign(jwt.SigningMethodHS256, key, func(c jwt.MapClaims) { c["exp"] = time.Now().Add(-time.Minute).Unix() }), 401)
	f("never expires", sign(jwt.SigningMethodHS256, key, func(c jwt.MapClaims) { delete(c, "exp") }), 401)
	f("a subject that is no id", sign(jwt.SigningMethodHS256, key, func(c jwt.MapClaims) { c["sub"] = "admin" }), 401)
	f("a subject that is nobody", sign(jwt.SigningMethodHS256, key, func(c jwt.MapClaims) { c["sub"] = "ffffffffffffffffffffffff" }), 401)
	f("no session", sign(jwt.SigningMethodHS256, key, func(c jwt.MapClaims) { delete(c, "sid") }), 401)
	f("a session that is nobody's", sign(jwt.SigningMethodHS256, key, func(c jwt.MapClaims) { c["sid"] = "ffffffffffffffffffffffff" }), 401)
	f("a session that is an operator", sign(jwt.SigningMethodHS256, key, func(c jwt.MapClaims) { c["sid"] = bson.M{"$ne": ""} }), 401)
	f("another user in one's own session", sign(jwt.SigningMethodHS256, key, func(c jwt.MapClaims) {
		c["sub"] = s.stored(anna, "users", bson.D{{Key: "email", Value: userEmail}})["_id"].(bson.ObjectID).Hex()
	}), 401)
	f("nonsense", "a.b.c", 401)
	f("too long", strings.Repeat("a", 3000)+"."+strings.Repeat("a", 800)+"."+strings.Repeat("a", 43), 401)
}

func TestCookieWritesNeedOwnPage(t *testing.T) {
	s := newSite(t)
	s.addUsers(anna)
	cookie := "Cookie: __Host-accessToken=" + s.token(anna, adminEmail)
	f := func(name string, status int, headers ...string) {
		t.Helper()
		scenario{name: name, method: "POST", path: "/api/products", body: `{"title":{"en":"a"}}`, headers: append(headers, cookie), status: status}.run(t, s)
	}
	f("own origin, the request's port", 201, "Origin: https://anna.test:8443")
	f("own origin, default port", 201, "Origin: https://anna.test")
	f("another host of the tenant", 201, "Origin: https://www.anna.test:8443")
	f("own origin in capitals", 201, "Origin: https://ANNA.test:8443")
	f("another port", 403, "Origin: https://anna.test:9999")
	f("plain http", 403, "Origin: http://anna.test:8443")
	f("another tenant", 403, "Origin: https://ben.test:8443")
	f("a stranger", 403, "Origin: https://anna.test.evil.test")
	f("no origin", 403, "Origin: null")
	f("the origin counts more than the site", 403, "Origin: https://evil.test", "Sec-Fetch-Site: same-origin")
	f("same origin by the browser's word", 201, "Sec-Fetch-Site: same-origin")
	f("same site", 403, "Sec-Fetch-Site: same-site")
	f("cross site", 403, "Sec-Fetch-Site: cross-site")
	f("nothing", 403)
	f("a bearer needs none", 201, s.signIn(anna, adminEmail), "Origin: https://evil.test")
}

func TestGuessingSlowsDown(t *testing.T) {
	s := newSite(t)
	stopped := time.Now()
	s.api.SetClock(func() time.Time { return stopped })
	s.addUsers(anna)
	s.addUsers(ben)
	wrong := `{"email":"admin@example.test","password":"wrong"}`
	right := `{"email":"admin@example.test","password":"correct horse"}`
	for range 5 {
		scenario{name: "free", method: "POST", path: "/api/users/login", body: wrong, headers: []string{"X-Real-IP: 192.0.2.1"}, status: 401}.run(t, s)
	}
	runAll(t, s, []scenario{
		{name: "wait", method: "POST", path: "/api/users/login", body: right, headers: []string{"X-Real-IP: 192.0.2.1"}, status: 429, want: refusal("too_many_attempts"), header: []string{"Retry-After: 1"}},
		{name: "another address", method: "POST", path: "/api/users/login", body: right, headers: []string{"X-Real-IP: 192.0.2.2"}, status: 200},
		{name: "another account", method: "POST", path: "/api/users/login", body: `{"email":"user@example.test","password":"correct horse"}`, headers: []string{"X-Real-IP: 192.0.2.1"}, status: 200},
		{name: "another tenant", tenant: ben, method: "POST", path: "/api/users/login", body: right, headers: []string{"X-Real-IP: 192.0.2.1"}, status: 200},
	})
}
