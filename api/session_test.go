package api_test

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"golang.org/x/crypto/bcrypt"

	"metahub/tenant"
)

// stopClock gives the API a clock that only the returned function moves.
func (s *site) stopClock() (advance func(time.Duration)) {
	var mu sync.Mutex
	now := time.Now()
	s.api.SetClock(func() time.Time {
		mu.Lock()
		defer mu.Unlock()
		return now
	})
	return func(d time.Duration) {
		mu.Lock()
		defer mu.Unlock()
		now = now.Add(d)
	}
}

// tokens are those of a session.
type tokens struct{ access, refresh string }

func (s *site) open(slug, email string) tokens {
	s.t.Helper()
	return s.tokensOf(s.send(slug, "POST", "/api/users/login", `{"email":"`+email+`","password":"`+password+`"}`))
}

func (s *site) tokensOf(got answer) tokens {
	s.t.Helper()
	if got.status != 200 {
		s.t.Fatalf("no tokens: %d %s", got.status, got.body)
	}
	return tokens{text(s.t, got.body, "token"), text(s.t, got.body, "refreshToken")}
}

func (s *site) refresh(slug, token string) answer {
	s.t.Helper()
	return s.send(slug, "POST", "/api/users/refresh", `{"refreshToken":"`+token+`"}`)
}

// me is the status of the question who is signed in by a token.
func (s *site) me(slug, token string) int {
	s.t.Helper()
	return s.send(slug, "GET", "/api/users/account/me", "", "Authorization: Bearer "+token).status
}

func TestRefresh(t *testing.T) {
	s := newSite(t)
	advance := s.stopClock()
	s.addUsers(anna)
	first := s.open(anna, adminEmail)
	advance(16 * time.Minute)
	if got := s.me(anna, first.access); got != 401 {
		t.Errorf("a token of 16 minutes ago: %d", got)
	}
	second := s.tokensOf(s.refresh(anna, first.refresh))
	if second.refresh == first.refresh || s.me(anna, second.access) != 200 {
		t.Error("a refresh gives no new tokens, or none that are good")
	}
	advance(29 * 24 * time.Hour)
	third := s.tokensOf(s.refresh(anna, second.refresh))
	advance(31 * 24 * time.Hour)
	if got := s.refresh(anna, third.refresh); got.status != 401 {
		t.Errorf("a session of 31 days ago: %d %s", got.status, got.body)
	}
	if logs := s.logs.FilterMessageSnippet("stolen").Len(); logs > 0 {
		t.Error("a session that is over passes for a stolen one")
	}
}

// A thief who refreshes with a copied token ends the session as soon as its owner refreshes too, and the other way round.
func TestStolenRefreshToken(t *testing.T) {
	s := newSite(t)
	advance := s.stopClock()
	s.addUsers(anna)
	owner := s.open(anna, adminEmail)
	other := s.open(anna, adminEmail)
	thief := s.tokensOf(s.refresh(anna, owner.refresh))
	advance(11 * time.Second)
	got := s.refresh(anna, owner.refresh)
	if got.status != 401 || len(got.header.Values("Set-Cookie")) != 2 {
		t.Errorf("the old token again: %d, cookies %q", got.status, got.header.Values("Set-Cookie"))
	}
	for name, token := range map[string]string{"the thief's": thief.access, "the owner's": owner.access} {
		if got := s.me(anna, token); got != 401 {
			t.Errorf("%s token signs in: %d", name, got)
		}
	}
	if got := s.refresh(anna, thief.refresh); got.status != 401 {
		t.Errorf("the thief refreshes: %d", got.status)
	}
	if got := s.me(anna, other.access); got != 200 {
		t.Errorf("another session of the user is gone: %d", got)
	}
	warned := s.logs.FilterMessageSnippet("stolen")
	if warned.Len() != 1 || strings.Contains(warned.All()[0].Message, owner.refresh) {
		t.Errorf("%d warnings", warned.Len())
	}
	// Older ones than the last are noticed as well, and so is a guess.
	first := s.open(anna, adminEmail)
	second := s.tokensOf(s.refresh(anna, first.refresh))
	third := s.tokensOf(s.refresh(anna, second.refresh))
	if got := s.refresh(anna, first.refresh); got.status != 401 || s.me(anna, third.access) != 401 {
		t.Errorf("the first of three tokens: %d, and the session lives", got.status)
	}
	fourth := s.open(anna, adminEmail)
	name, _, _ := strings.Cut(fourth.refresh, ".")
	if got := s.refresh(anna, name+"."+strings.Repeat("A", 43)); got.status != 401 {
		t.Errorf("a guess: %d", got.status)
	}
}

// Tabs of one browser that refresh at once all get the same token, and none is signed out.
func TestRefreshOfManyTabs(t *testing.T) {
	s := newSite(t)
	s.addUsers(anna)
	first := s.open(anna, adminEmail)
	const tabs = 8
	answers := make([]tokens, tabs)
	var wait sync.WaitGroup
	for i := range tabs {
		wait.Go(func() {
			got := s.refresh(anna, first.refresh)
			if got.status != 200 {
				t.Errorf("tab %d: %d %s", i, got.status, got.body)
				return
			}
			answers[i] = s.tokensOf(got)
		})
	}
	wait.Wait()
	for i, got := range answers {
		if got.refresh != answers[0].refresh || s.me(anna, got.access) != 200 {
			t.Errorf("tab %d has other tokens, or ones that are no good", i)
		}
	}
	if got := s.refresh(anna, answers[0].refresh); got.status != 200 {
		t.Errorf("the next refresh: %d", got.status)
	}
}

// Nothing in the database can be used as a token.
func TestStoredSessionsAreHashed(t *testing.T) {
	s := newSite(t)
	s.addUsers(anna)
	first := s.tokensOf(s.refresh(anna, s.open(anna, adminEmail).refresh))
	id, secret, _ := strings.Cut(first.refresh, ".")
	stored := s.stored(anna, "metahub_sessions", bson.D{{Key: "_id", Value: objectID(t, id)}})
	raw, err := bson.MarshalExtJSON(stored, false, false)
	if err != nil || strings.Contains(string(raw), secret) {
		t.Errorf("the secret is stored: %s, %v", raw, err)
	}
	for _, field := range []string{"hash", "before"} {
		if got := s.refresh(anna, id+"."+stored[field].(string)); got.status != 401 {
			t.Errorf("the stored %s refreshes: %d", field, got.status)
		}
	}
}

// A copy of a tenant's database, at a tenant with the same key, signs nobody in by the other's tokens.
func TestSessionsOfATenantsCopy(t *testing.T) {
	alike := newTenant(ben)
	alike.JWTSecret = newTenant(anna).JWTSecret
	s := newSiteFor(t, nil, newTenant(anna), alike)
	s.addUsers(anna)
	mine := s.open(anna, adminEmail)
	for _, collection := range []string{"users", "metahub_sessions"} {
		var all []bson.D
		s.past(anna, func(ctx context.Context, db *mongo.Database) error {
			cursor, err := db.Collection(collection).Find(ctx, bson.D{})
			if err != nil {
				return err
			}
			return cursor.All(ctx, &all)
		})
		for _, document := range all {
			for i, e := range document {
				if e.Key == "tenant" {
					document[i].Value = ben
				}
			}
		}
		s.insert(ben, collection, all...)
	}
	if got := s.me(ben, mine.access); got != 401 {
		t.Errorf("the token: %d", got)
	}
	if got := s.refresh(ben, mine.refresh); got.status != 401 {
		t.Errorf("the refresh token: %d %s", got.status, got.body)
	}
	if got := s.refresh(anna, mine.refresh); got.status != 200 {
		t.Errorf("at its own: %d %s", got.status, got.body)
	}
}

func objectID(t *testing.T, text string) bson.ObjectID {
	t.Helper()
	id, err := bson.ObjectIDFromHex(text)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func TestLogout(t *testing.T) {
	s := newSite(t)
	s.addUsers(anna)
	f := func(name string, logout func(tokens) answer) {
		t.Helper()
		mine, other := s.open(anna, adminEmail), s.open(anna, adminEmail)
		if got := logout(mine); got.status != 200 || len(got.header.Values("Set-Cookie")) != 2 {
			t.Errorf("%s: %d %s", name, got.status, got.body)
		}
		if s.me(anna, mine.access) != 401 || s.refresh(anna, mine.refresh).status != 401 {
			t.Errorf("%s: the session lives", name)
		}
		if s.me(anna, other.access) != 200 {
			t.Errorf("%s: another session is gone", name)
		}
	}
	own := "Origin: https://anna.test:8443"
	f("by bearer", func(m tokens) answer {
		return s.send(anna, "POST", "/api/users/logout", "", "Authorization: Bearer "+m.access)
	})
	f("by the access cookie", func(m tokens) answer {
		return s.send(anna, "POST", "/api/users/logout", "", "Cookie: __Host-accessToken="+m.access, own)
	})
	f("by the refresh cookie", func(m tokens) answer {
		return s.send(anna, "POST", "/api/users/logout", "", "Cookie: __Host-refreshToken="+m.refresh, own)
	})
	f("by the body", func(m tokens) answer {
		return s.send(anna, "POST", "/api/users/logout", `{"refreshToken":"`+m.refresh+`"}`)
	})
	one, another := s.open(anna, adminEmail), s.open(anna, adminEmail)
	users := s.open(anna, userEmail)
	scenario{name: "everywhere", method: "POST", path: "/api/users/logout-all", headers: []string{"Authorization: Bearer " + one.access}, status: 200}.run(t, s)
	if s.me(anna, one.access) != 401 || s.me(anna, another.access) != 401 || s.refresh(anna, another.refresh).status != 401 {
		t.Error("a session lives after all of them were ended")
	}
	if s.me(anna, users.access) != 200 {
		t.Error("somebody else's session is gone")
	}
	scenario{name: "nobody", method: "POST", path: "/api/users/logout-all", status: 401}.run(t, s)
}

// A foreign page can neither refresh by the cookie nor sign anybody out.
func TestForeignPagesAndSessions(t *testing.T) {
	s := newSite(t)
	s.addUsers(anna)
	mine := s.open(anna, adminEmail)
	cookies := "Cookie: __Host-accessToken=" + mine.access + "; __Host-refreshToken=" + mine.refresh
	f := func(path string, status int, headers ...string) {
		t.Helper()
		scenario{name: path + " " + strings.Join(headers, " "), method: "POST", path: path, headers: append(headers, cookies), status: status}.run(t, s)
	}
	for _, path := range []string{"/api/users/refresh", "/api/users/logout-all"} {
		f(path, 403)
		f(path, 403, "Origin: https://evil.test")
		f(path, 403, "Origin: null")
		f(path, 403, "Origin: https://ben.test:8443")
		f(path, 403, "Sec-Fetch-Site: cross-site")
		f(path, 403, "Sec-Fetch-Site: same-site")
	}
	f("/api/users/logout", 403, "Origin: https://evil.test")
	if s.me(anna, mine.access) != 200 {
		t.Fatal("a foreign page signed the user out")
	}
	got := s.send(anna, "POST", "/api/users/refresh", "", cookies, "Origin: https://anna.test:8443")
	if got.status != 200 || strings.Contains(got.body, "refreshToken") {
		t.Errorf("the own page: %d, or it sees the refresh token: %s", got.status, got.body)
	}
	again := (&http.Response{Header: got.header}).Cookies()[0].Value
	chunked := s.sendChunked(anna, "/api/users/refresh", "{}", "Cookie: __Host-refreshToken="+again, "Origin: https://anna.test:8443")
	if chunked.status != 200 {
		t.Errorf("a body of unknown length that says nothing: %d %s", chunked.status, chunked.body)
	}
	if got := (&http.Response{Header: got.header}).Cookies(); len(got) != 2 || got[0].Name != "__Host-refreshToken" || got[0].Value == mine.refresh || !got[0].HttpOnly {
		t.Errorf("cookies %v", got)
	}
}

// The cookies of the earlier service, where a tenant asks for them.
func TestLegacyCookies(t *testing.T) {
	s := newSite(t)
	legacy := *s.tenant(anna)
	legacy.Cookies, legacy.CookieDomain = tenant.LegacyCookies, "anna.test"
	s.registry.Publish(tenant.NewDirectory(tenant.Gateway{}, []*tenant.Tenant{&legacy, s.tenant(ben)}))
	advance := s.stopClock()
	s.addUsers(anna)
	got := s.send(anna, "POST", "/api/users/login", `{"email":"`+adminEmail+`","password":"`+password+`"}`)
	mine := s.tokensOf(got)
	cookies := got.header.Values("Set-Cookie")
	for i, want := range []string{
		"refreshToken=" + mine.refresh + "; max-age=2592000; domain=anna.test; path=/api/users; HttpOnly; secure; SameSite=None",
		"accessToken=" + mine.access + "; max-age=2592000; domain=anna.test; path=/; HttpOnly; secure; SameSite=None",
	} {
		if len(cookies) != 2 || cookies[i] != want {
			t.Errorf("cookies %q, want %q", cookies, want)
		}
	}
	advance(29 * 24 * time.Hour) // its frontends never refresh
	f := func(name, method string, status int, headers ...string) {
		t.Helper()
		scenario{name: name, method: method, path: "/api/products/admin", headers: headers, body: map[string]string{"POST": `{"title":{"en":"a"}}`}[method], status: status}.run(t, s)
	}
	cookie := "Cookie: accessToken=" + mine.access
	f("reads", "GET", 200, cookie)
	f("not by the other name", "GET", 401, "Cookie: __Host-accessToken="+mine.access)
	f("a page of its own writes", "POST", 201, cookie, "Origin: https://www.anna.test:8443")
	f("a foreign page does not", "POST", 403, cookie, "Origin: https://evil.test")
	f("nor one that says nothing", "POST", 403, cookie)
	advance(2 * 24 * time.Hour)
	f("a month later", "GET", 401, cookie)
}

// A change of the key signs nobody out, and a key that is gone signs nobody in.
func TestKeyRing(t *testing.T) {
	s := newSite(t)
	s.addUsers(anna)
	publish := func(current string, previous ...string) {
		changed := *s.tenant(anna)
		changed.JWTSecret, changed.JWTPrevious = tenant.NewSecret(current), nil
		for _, key := range previous {
			changed.JWTPrevious = append(changed.JWTPrevious, tenant.NewSecret(key))
		}
		s.registry.Publish(tenant.NewDirectory(tenant.Gateway{}, []*tenant.Tenant{&changed, s.tenant(ben)}))
	}
	first := s.open(anna, adminEmail)
	admin := "Authorization: Bearer " + first.access
	for _, name := range []string{"a", "b"} {
		scenario{name: "create", method: "POST", path: "/api/products", headers: []string{admin}, body: `{"title":{"en":"` + name + `"}}`, status: 201}.run(t, s)
	}
	list := scenario{name: "a page", path: "/api/products/admin?cursor=&limit=1", headers: []string{admin}, status: 200}.run(t, s)
	cursor := "/api/products/admin?limit=1&cursor=" + text(t, list.body, "meta.next")
	publish("second", "the-key-of-anna")
	if s.me(anna, first.access) != 200 {
		t.Error("a change of the key signed somebody out")
	}
	scenario{name: "nor does it end a list", path: cursor, headers: []string{admin}, status: 200}.run(t, s)
	second := s.open(anna, adminEmail)
	publish("third", "second")
	if s.me(anna, first.access) != 401 || s.me(anna, second.access) != 200 {
		t.Error("a key that is gone signs in, or one that is there does not")
	}
	scenario{name: "a cursor of a key that is gone", path: cursor, headers: []string{"Authorization: Bearer " + second.access}, status: 400}.run(t, s)
	if again := s.tokensOf(s.refresh(anna, first.refresh)); s.me(anna, again.access) != 200 {
		t.Error("who refreshes hangs on a key")
	}
}

// Two tenants with the same users, passwords, ids, and even the same key and the same documents in both databases: no token of the one is
// anything at the other.
func TestNothingSignsInAtAnotherTenant(t *testing.T) {
	s := newSite(t)
	same := *s.tenant(ben)
	same.JWTSecret = s.tenant(anna).JWTSecret
	s.registry.Publish(tenant.NewDirectory(tenant.Gateway{}, []*tenant.Tenant{s.tenant(anna), &same}))
	s.addUsers(anna)
	s.addUsers(ben)
	annas, bens := s.open(anna, adminEmail), s.open(ben, adminEmail)
	key := text(t, scenario{name: "a key", method: "POST", path: "/api/_keys", headers: []string{"Authorization: Bearer " + annas.access},
		body: `{"name":"k","scopes":["product:read"]}`, status: 201}.run(t, s).body, "data.key")
	for _, collection := range []string{"users", "metahub_sessions", "metahub_keys"} {
		s.copy(anna, ben, collection)
	}
	for _, headers := range [][]string{
		{"Authorization: Bearer " + annas.access},
		{"Cookie: __Host-accessToken=" + annas.access},
		{"Authorization: Bearer " + key},
		{"X-Api-Key: " + key},
		{"Authorization: Bearer " + annas.access, "X-Tenant: anna"},
		{"Authorization: Bearer " + annas.access, "Origin: https://anna.test:8443"},
	} {
		for _, path := range []string{"/api/users/account/me", "/api/products/admin", "/api/products/_export"} {
			scenario{name: path, tenant: ben, path: path, headers: headers, status: 401, want: refusal("unauthorized")}.run(t, s)
		}
	}
	if got := s.refresh(ben, annas.refresh); got.status != 401 {
		t.Errorf("a refresh token of the other tenant: %d %s", got.status, got.body)
	}
	if got := s.send(ben, "POST", "/api/users/logout-all", "", "Authorization: Bearer "+annas.access); got.status != 401 {
		t.Errorf("signing out at the other tenant: %d", got.status)
	}
	if s.me(ben, bens.access) != 200 || s.me(anna, annas.access) != 200 || s.refresh(anna, annas.refresh).status != 200 {
		t.Error("somebody was signed out by what happened at the other tenant")
	}
}

// copy makes one tenant's documents another's, as a restored backup would.
func (s *site) copy(from, to, collection string) {
	s.t.Helper()
	var all []bson.D
	err := s.store.Do(s.t.Context(), s.tenant(from), func(ctx context.Context, db *mongo.Database) error {
		cursor, err := db.Collection(collection).Find(ctx, bson.D{})
		if err != nil {
			return err
		}
		return cursor.All(ctx, &all)
	})
	if err != nil {
		s.t.Fatal(err)
	}
	for _, d := range all {
		for i := range d {
			switch d[i].Key {
			case "tenant":
				d[i].Value = to
			case "email":
				d[i].Value = "copied-" + d[i].Value.(string)
			}
		}
		s.insert(to, collection, d)
	}
}

func TestSessionsAreBounded(t *testing.T) {
	s := newSite(t)
	advance := s.stopClock()
	s.addUsers(anna)
	first := s.open(anna, userEmail)
	var last tokens
	for range 20 {
		advance(time.Second)
		last = s.open(anna, userEmail)
	}
	if s.me(anna, first.access) != 401 || s.me(anna, last.access) != 200 {
		t.Error("the 21st session ends none, or not the oldest")
	}
	if n := s.count(anna, "metahub_sessions"); n != 20 {
		t.Errorf("%d sessions", n)
	}
	advance(31 * 24 * time.Hour)
	s.open(anna, adminEmail)
	if n := s.count(anna, "metahub_sessions"); n != 1 {
		t.Errorf("%d sessions a month later", n)
	}
}

// Who signs in with a hash of the earlier service gets a new one, and the sign-in after that works by it.
func TestPasswordsAreHashedAnew(t *testing.T) {
	s := newSite(t)
	s.addUsers(anna)
	old, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	s.insert(anna, "users", bson.D{{Key: "_id", Value: bson.NewObjectID()}, {Key: "tenant", Value: anna}, {Key: "name", Value: "Old"},
		{Key: "email", Value: "old@example.test"}, {Key: "password", Value: string(old)}, {Key: "role", Value: "admin"}})
	hash := func() string {
		return s.stored(anna, "users", bson.D{{Key: "email", Value: "old@example.test"}})["password"].(string)
	}
	scenario{name: "wrong", method: "POST", path: "/api/users/login", body: `{"email":"old@example.test","password":"wrong"}`, status: 401}.run(t, s)
	if hash() != string(old) {
		t.Error("a wrong password changed the hash")
	}
	s.open(anna, "old@example.test")
	fresh := hash()
	if !strings.HasPrefix(fresh, "$argon2id$v=19$m=") {
		t.Errorf("the hash is %q", fresh)
	}
	s.open(anna, "old@example.test")
	if hash() != fresh {
		t.Error("a new hash was made anew")
	}
}
