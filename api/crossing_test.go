package api_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
)

// Nothing of a tenant gets to another by any route, token, cursor, entity tag, cache, batch, export, event or idempotency key.
func TestNothingCrosses(t *testing.T) {
	w := newTwins(t)
	t.Run("cursors and entity tags", w.compareTags)
	w.setMarks()
	t.Run("reads", w.readEverything)
	t.Run("batches", w.batchEverything)
	t.Run("writes with a foreign token", w.writeAsForeigner)
	t.Run("writes and events", w.writeAndListen)
	t.Run("idempotency keys", w.repeatPosts)
	t.Run("accounts", w.changeAccounts)
	t.Run("sessions", w.endSessions)
}

// compareTags shows that, of the same documents, no entity tag and no cursor of one tenant is any at the other.
func (w *twins) compareTags(t *testing.T) {
	tags, cursors := 0, 0
	for _, r := range w.routes(false) {
		if strings.HasSuffix(r.path, "/_events") {
			continue
		}
		path, of := w.address(r.path, anna)
		who, other := "", ""
		if !r.open {
			who, other = w.admin[anna], w.admin[ben]
		}
		if tag := w.get(anna, path, who).header.Get("ETag"); tag != "" {
			tags++
			if got := w.get(ben, path, other, "If-None-Match: "+tag); got.status != 200 {
				t.Errorf("GET %s of the other tenant with the tag of this one: %d", path, got.status)
			}
			if of != nil && strings.HasSuffix(path, of.ids[0]) {
				w.changeOn(t, path, tag, w.body(route{method: "PUT", path: r.path}, of, sharedMark, 1))
			}
		}
		list := path + "?limit=1&cursor="
		meta, _ := decode(t, w.get(anna, list, who).body).(map[string]any)["meta"].(map[string]any)
		if cursor, _ := meta["next"].(string); cursor != "" {
			cursors++
			if own, got := w.get(anna, list+cursor, who), w.get(ben, list+cursor, other); own.status != 200 || got.status != 400 {
				t.Errorf("GET %s behind a cursor: %d, and at the other tenant %d", path, own.status, got.status)
			}
		}
	}
	if tags < 100 || cursors < 30 {
		t.Errorf("only %d tags and %d cursors were tried", tags, cursors)
	}
}

// changeOn tries to change a document on the condition that it has the other tenant's tag.
func (w *twins) changeOn(t *testing.T, path, tag, body string) {
	t.Helper()
	if got := w.send(ben, "PUT", path, body, w.admin[ben], "If-Match: "+tag); got.status != 412 {
		t.Errorf("PUT %s with the other tenant's tag: %d %s", path, got.status, got.body)
	}
}

// readEverything reads each route of both as everybody there is.
func (w *twins) readEverything(t *testing.T) {
	seen := 0
	for _, r := range w.routes(false) {
		if strings.HasSuffix(r.path, "/_events") || r.path == "/api/_batch" {
			continue
		}
		for slug, other := range w.neighbour {
			path, of := w.address(r.path, slug)
			nobody := w.get(slug, path, "")
			w.own(t, fmt.Sprintf("GET %s of %s by nobody", path, slug), slug, nobody)
			for who, header := range map[string]string{"the admin": w.admin[slug], "a user": w.user[slug], "the other's admin": w.admin[other], "the other's key": w.key[other]} {
				got := w.get(slug, path, header)
				name := fmt.Sprintf("GET %s of %s by %s", path, slug, who)
				w.own(t, name, slug, got)
				if strings.HasPrefix(who, "the other") && got.status != nobody.status {
					t.Errorf("%s: %d, where nobody gets %d", name, got.status, nobody.status)
				}
				if who == "the admin" && of != nil && strings.HasSuffix(r.path, "_export") && !strings.Contains(got.body, w.mark[slug]) {
					t.Errorf("%s: its own documents are not there: %s", name, got.body)
				}
				if strings.Contains(got.body, w.mark[slug]) {
					seen++
				}
			}
		}
	}
	if seen < 400 {
		t.Errorf("only %d answers had a document in them", seen)
	}
}

// own demands that an answer has nothing of the other tenant, and that no cache gives it to anybody else.
func (w *twins) own(t *testing.T, name, slug string, got answer) {
	t.Helper()
	if strings.Contains(got.body, w.mark[w.neighbour[slug]]) || strings.Contains(fmt.Sprint(got.header), w.mark[w.neighbour[slug]]) {
		t.Errorf("%s: something of the other tenant is there: %d %s", name, got.status, got.body)
	}
	// What is kept is asked for anew each time, by a tag that is no other tenant's.
	if cached := got.header.Get("Cache-Control"); cached != "private, no-store" && cached != "no-cache" {
		t.Errorf("%s: a cache may answer with it: %q", name, cached)
	}
}

// endSessions ends all sessions of the admin at ben, and tries what signs in at anna there. The two admins have one id.
func (w *twins) endSessions(t *testing.T) {
	login := w.send(anna, "POST", "/api/users/login", `{"email":"`+adminEmail+`","password":"`+password+`"}`)
	refresh := `{"refreshToken":"` + text(t, login.body, "refreshToken") + `"}`
	bearer := "Authorization: Bearer " + text(t, login.body, "token")
	runAll(t, w.site, []scenario{
		{name: "a refresh token of the other", tenant: ben, method: "POST", path: "/api/users/refresh", body: refresh, status: 401},
		{name: "the end of all sessions there", tenant: ben, method: "POST", path: "/api/users/logout-all", headers: []string{w.admin[ben]}, status: 200},
		{name: "ends that one", tenant: ben, path: "/api/users/account/me", headers: []string{w.admin[ben]}, status: 401},
		{name: "and none of the other", path: "/api/users/account/me", headers: []string{bearer}, status: 200},
		{name: "whose refresh token is as good as before", method: "POST", path: "/api/users/refresh", body: refresh, status: 200},
		{name: "and whose key is too", path: "/api/products/admin", headers: []string{w.key[anna]}, status: 200},
	})
}

// changeAccounts has anna's user do all there is to do to an account, and end it. Ben's has the same id, address and password.
func (w *twins) changeAccounts(t *testing.T) {
	w.user[anna], w.user[ben] = w.signIn(anna, userEmail), w.signIn(ben, userEmail)
	before, strangers := w.documentsOf(ben, ben), w.documentsOf(ben, anna)
	const path = "/api/users/account/me"
	picture, contentType := form(t, "@images", picture(t, 0))
	if got := w.send(ben, "PUT", path+"/profile-image", picture, w.user[anna], contentType); got.status != 401 {
		t.Errorf("a picture for the other's account: %d %s", got.status, got.body)
	}
	image := w.send(anna, "PUT", path+"/profile-image", picture, w.user[anna], contentType)
	url := text(t, image.body, "profileImage.url")
	runAll(t, w.site, []scenario{
		{name: "the picture", path: url, status: 200},
		{name: "is not there at the other", tenant: ben, path: url, status: 404},
		{name: "another address", method: "PUT", path: path + "/update", body: `{"email":"moved@example.test","currentPassword":"` + password + `"}`, headers: []string{w.user[anna]}, status: 200},
		{name: "as the other has", method: "PUT", path: path + "/update", body: `{"email":"` + userEmail + `","currentPassword":"` + password + `"}`, headers: []string{w.user[anna]}, status: 200},
		{name: "the other's end", tenant: ben, method: "POST", path: path + "/delete", body: `{"password":"` + password + `"}`, headers: []string{w.user[anna]}, status: 401},
		{name: "the end", method: "POST", path: path + "/delete", body: `{"password":"` + password + `"}`, headers: []string{w.user[anna]}, status: 200},
		{name: "is none of the other's", tenant: ben, path: path, headers: []string{w.user[ben]}, status: 200},
		{name: "who signs in", tenant: ben, method: "POST", path: "/api/users/login", body: `{"email":"` + userEmail + `","password":"` + password + `"}`, status: 200},
		{name: "as this one does not", method: "POST", path: "/api/users/login", body: `{"email":"` + userEmail + `","password":"` + password + `"}`, status: 401},
	})
	if !maps.Equal(before, w.documentsOf(ben, ben)) || !maps.Equal(strangers, w.documentsOf(ben, anna)) {
		t.Error("the other tenant's documents have changed")
	}
}

// batchEverything reads each route in batches.
func (w *twins) batchEverything(t *testing.T) {
	for slug, other := range w.neighbour {
		var urls []string
		for _, r := range w.routes(false) {
			path, _ := w.address(r.path, slug)
			urls = append(urls, path)
		}
		for some := range slices.Chunk(urls, 40) {
			for who, header := range map[string]string{"the admin": w.admin[slug], "the other's admin": w.admin[other]} {
				got := w.get(slug, batchOf(some...), header)
				name := fmt.Sprintf("a batch of %s by %s", slug, who)
				w.own(t, name, slug, got)
				if got.status != 200 || who == "the admin" && !strings.Contains(got.body, w.mark[slug]) {
					t.Errorf("%s: %d %s", name, got.status, got.body)
				}
			}
		}
	}
}

// documentsOf are a tenant's documents in a database, as the database has them.
func (w *twins) documentsOf(slug, database string) map[string]string {
	w.t.Helper()
	all := map[string]string{}
	w.each(database, func(c *mongo.Collection, document bson.D) error {
		raw, err := bson.Marshal(document)
		if ownerOf(document) == slug {
			all[fmt.Sprint(c.Name(), document[0].Value)] = string(raw)
		}
		return err
	})
	if len(all) == 0 {
		w.t.Fatalf("%s has no documents in the database of %s", slug, database)
	}
	return all
}

// writeAsForeigner writes to anna on each route as ben's admin, who is nobody there.
func (w *twins) writeAsForeigner(t *testing.T) {
	before := w.documentsOf(anna, anna)
	for _, r := range w.routes(true) {
		path, of := w.address(r.path, anna)
		got := w.send(anna, r.method, path, w.body(r, of, bensMark, 3), w.admin[ben])
		if !r.open && got.status != 401 {
			t.Errorf("%s %s with the other tenant's token: %d %s", r.method, path, got.status, got.body)
		}
	}
	after := w.documentsOf(anna, anna)
	maps.DeleteFunc(after, func(id, _ string) bool { return before[id] == "" }) // what everybody may add
	if !maps.Equal(before, after) {
		t.Error("documents have changed")
	}
}

// writeAndListen writes to anna on each route as her admin, while ben's admin listens to everything. Then ben writes, and hears that.
func (w *twins) writeAndListen(t *testing.T) {
	heard := map[*resource]*listening{}
	for _, r := range w.of {
		heard[r] = w.listen(t, ben, r.base+"/_events", w.admin[ben])
	}
	t.Cleanup(w.api.EndStreams)
	before, strangers := w.documentsOf(ben, ben), w.documentsOf(ben, anna)
	done := 0
	for _, r := range w.routes(true) {
		path, of := w.address(r.path, anna)
		got := w.send(anna, r.method, path, w.body(r, of, annasMark, 4), w.admin[anna])
		w.own(t, r.method+" "+path, anna, got)
		if got.status >= 500 {
			t.Errorf("%s %s: %d %s", r.method, path, got.status, got.body)
		}
		if got.status < 300 {
			done++
		}
		if of == nil {
			w.signInAgain(anna)
		}
	}
	if done < 100 {
		t.Errorf("only %d writes were done", done)
	}
	if !maps.Equal(before, w.documentsOf(ben, ben)) || !maps.Equal(strangers, w.documentsOf(ben, anna)) {
		t.Error("the other tenant's documents have changed")
	}
	for _, r := range w.of {
		path := r.base + "/" + r.ids[0]
		if len(heard[r].lines) > 0 {
			t.Errorf("%s: ben hears of anna's: %q", path, <-heard[r].lines)
		}
		scenario{name: path, tenant: ben, method: "PUT", path: path, body: w.body(route{method: "PUT"}, r, bensMark, 5), headers: []string{w.admin[ben]}, status: 200}.run(t, w.site)
		heard[r].wantChange("update", r.ids[0])
	}
	for _, r := range w.of { // what is anna's would have come first, and left ben's over
		if len(heard[r].lines) > 0 {
			t.Errorf("%s: ben hears more than was written: %q", r.base, <-heard[r].lines)
		}
	}
}

// repeatPosts sends each POST twice to anna with one Idempotency-Key, and then to ben with the same.
func (w *twins) repeatPosts(t *testing.T) {
	replayed := 0
	for _, r := range w.routes(true) {
		path, of := w.address(r.path, anna)
		if r.method != "POST" || of == nil {
			continue
		}
		body := w.body(r, of, "samemark", 6)
		post := func(slug string) bool {
			got := w.send(slug, "POST", path, body, w.admin[slug], "Idempotency-Key: one")
			w.own(t, "POST "+path, slug, got)
			return got.header.Get("Idempotent-Replayed") == "true"
		}
		if post(anna); post(anna) {
			replayed++
		}
		if post(ben) {
			t.Errorf("POST %s answers ben what anna was answered", path)
		}
	}
	if replayed < 20 {
		t.Errorf("only %d POSTs were answered from what was kept", replayed)
	}
}
