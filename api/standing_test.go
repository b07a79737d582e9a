package api_test

import (
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// ends waits for the end of a stream.
func (l *listening) ends(why string) {
	l.t.Helper()
	timeout := time.After(30 * time.Second)
	for {
		select {
		case _, open := <-l.lines:
			if !open {
				return
			}
		case <-timeout:
			l.t.Fatalf("the stream goes on: %s", why)
		}
	}
}

// A stream ends, within a heartbeat, when its client's rights have: then the client comes back with those that it has.
func TestStreamsEndWithTheirRights(t *testing.T) {
	s := newSite(t)
	s.api.BeatEvery(20 * time.Millisecond)
	s.addUsers(anna)
	if err := s.api.CreateUser(t.Context(), s.tenant(anna), "Root", "root@example.test", password, "superadmin"); err != nil {
		t.Fatal(err)
	}
	root := s.signIn(anna, "root@example.test")
	id := s.stored(anna, "users", bson.D{{Key: "email", Value: adminEmail}})["_id"].(bson.ObjectID).Hex()
	const path = "/api/faq/_events"
	guest := s.listen(t, anna, path)
	keeper := s.listen(t, anna, path, root)

	admin := s.signIn(anna, adminEmail)
	signedOut := s.listen(t, anna, path, admin)
	scenario{name: "sign out", method: "POST", path: "/api/users/logout", headers: []string{admin}, status: 200}.run(t, s)
	signedOut.ends("its client has signed out")

	keyID, key := s.key(root, `{"name":"k","scopes":["faq:read"]}`)
	revoked := s.listen(t, anna, path, "X-Api-Key: "+key)
	scenario{name: "revoke", method: "DELETE", path: "/api/_keys/" + keyID, headers: []string{root}, status: 200}.run(t, s)
	revoked.ends("its key is revoked")

	demoted := s.listen(t, anna, path, s.signIn(anna, adminEmail))
	scenario{name: "demote", method: "PUT", path: "/api/users/" + id + "/role", body: `{"role":"user"}`, headers: []string{root}, status: 200}.run(t, s)
	demoted.ends("its client is no admin any more")

	scenario{name: "a change", method: "POST", path: "/api/faq", body: `{"question":{"en":"q"},"answer":{"en":"a"},"isPublished":true}`, headers: []string{root}, status: 201}.run(t, s)
	for name, l := range map[string]*listening{"a guest's": guest, "the superadmin's": keeper} {
		select {
		case line, open := <-l.lines:
			if !open {
				t.Errorf("%s stream has ended: %q", name, line)
			}
		case <-time.After(30 * time.Second):
			t.Errorf("%s stream does not tell of the change", name)
		}
	}
}
