package api_test

import (
	"context"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/x/bsonx/bsoncore"

	"metahub/bench/mongod"
	"metahub/tenant"
)

// streamed is a site whose tenants live on servers with change streams, which keep users and nothing else.
type streamed struct {
	*site
	tenants []*tenant.Tenant
	changes map[string]*mongod.Changes // of each tenant's server
	servers map[string]*mongod.Server
}

func newStreamedSite(t *testing.T) *streamed {
	t.Helper()
	s := &streamed{changes: map[string]*mongod.Changes{}, servers: map[string]*mongod.Server{}}
	for _, slug := range []string{anna, ben} {
		changes := &mongod.Changes{}
		server, err := mongod.Start(keepUsers(changes))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(server.Close)
		one := newTenant(slug)
		one.Database.URI = tenant.NewSecret(server.URI(slug))
		s.changes[slug], s.servers[slug], s.tenants = changes, server, append(s.tenants, one)
	}
	s.site = newSiteFor(t, nil, s.tenants...)
	s.api.BeatEvery(20 * time.Millisecond) // so that it is noticed soon who has left
	return s
}

// keepUsers answers as a database does that keeps one user and one session, finds them whatever is looked for, and nothing else.
func keepUsers(changes *mongod.Changes) mongod.Handler {
	var mu sync.Mutex
	kept := map[string]bsoncore.Document{}
	return func(ctx context.Context, command bsoncore.Document) bsoncore.Document {
		collection, _ := command.Lookup(mongod.Name(command)).StringValueOK()
		if collection != "users" && !strings.Contains(collection, "sessions") {
			return changes.Answer(ctx, command)
		}
		mu.Lock()
		defer mu.Unlock()
		switch mongod.Name(command) {
		case "insert":
			kept[collection] = command.Lookup("documents", "0").Document()
		case "find":
			if document := kept[collection]; document != nil {
				return mongod.FirstBatch("db."+collection, 0, document)
			}
		}
		return nil
	}
}

// wantStreams waits until so many change streams of a tenant are open.
func (s *streamed) wantStreams(t *testing.T, slug string, n int) {
	t.Helper()
	for begun := time.Now(); s.changes[slug].Open() != n; time.Sleep(5 * time.Millisecond) {
		if time.Since(begun) > 30*time.Second {
			t.Fatalf("the tenant has %d change streams open, want %d", s.changes[slug].Open(), n)
		}
	}
}

// wantPlace waits until the client could come back to where it is in the change stream.
func (l *listening) wantPlace() (id string) {
	l.t.Helper()
	for begun := time.Now(); ; time.Sleep(5 * time.Millisecond) {
		if id, _ = l.last.Load().(string); strings.Contains(id, ".") {
			return id
		}
		if time.Since(begun) > 30*time.Second {
			l.t.Fatalf("the client has no place in the change stream, only %q", id)
		}
	}
}

// change adds a change of a document in the collection of questions, as a change stream tells it.
func (s *streamed) change(slug, operation string, id bson.ObjectID, document, updated bson.D) {
	rest := bson.D{{Key: "documentKey", Value: bson.D{{Key: "_id", Value: id}}}}
	if document != nil {
		rest = append(rest, bson.E{Key: "fullDocument", Value: document})
	}
	if updated != nil {
		rest = append(rest, bson.E{Key: "updateDescription", Value: bson.D{{Key: "updatedFields", Value: updated}, {Key: "removedFields", Value: bson.A{}}}})
	}
	s.changes[slug].Add(slug, "faqs", operation, rest)
}

func question(slug string, published bool) bson.D {
	return bson.D{{Key: "tenant", Value: slug}, {Key: "isActive", Value: true}, {Key: "isPublished", Value: published}}
}

func TestEventsOfTheChangeStream(t *testing.T) {
	s := newStreamedSite(t)
	public, second, other := s.listen(t, anna, "/api/faq/_events"), s.listen(t, anna, "/api/faq/_events"), s.listen(t, ben, "/api/faq/_events")
	news := s.listen(t, anna, "/api/news/_events")
	s.wantStreams(t, anna, 1) // one for all who listen
	s.wantStreams(t, ben, 1)
	start := public.wantPlace()

	hidden, shown, foreign := bson.NewObjectID(), bson.NewObjectID(), bson.NewObjectID()
	on, off := bson.D{{Key: "isPublished", Value: true}}, bson.D{{Key: "isPublished", Value: false}}
	s.change(anna, "insert", hidden, question(anna, false), nil)
	s.change(anna, "update", hidden, question(anna, false), bson.D{})
	s.change(anna, "insert", foreign, question("somebody", true), nil) // in this database, and not this tenant's
	s.change(anna, "insert", shown, question(anna, true), nil)
	for _, l := range []*listening{public, second} {
		l.wantChange("create", shown.Hex())
	}
	s.change(anna, "update", shown, question(anna, true), bson.D{})
	public.wantChange("update", shown.Hex())
	s.change(anna, "update", hidden, question(anna, true), on)
	public.wantChange("update", hidden.Hex()) // what it was before is not known
	s.change(anna, "update", hidden, question(anna, false), off)
	public.wantChange("", "") // it may have been seen
	s.change(anna, "delete", shown, nil, nil)
	public.wantChange("", "")
	s.changes[anna].Add(anna, "faqs", "drop", nil)
	public.want("id: ")
	public.want("event: reset")
	public.want("data: {}")
	if len(other.lines)+len(news.lines) > 0 {
		t.Error("others hear of it, too")
	}

	// Who comes back goes on from there, also when nobody has listened meanwhile.
	for _, l := range []*listening{second, news, public} {
		l.leave()
	}
	s.wantStreams(t, anna, 0)
	s.wantStreams(t, ben, 1)
	later := bson.NewObjectID()
	s.change(anna, "insert", later, question(anna, true), nil)
	back := s.listen(t, anna, "/api/faq/_events", "Last-Event-ID: "+start)
	back.want("id: ")
	back.want("event: reset") // in place of all up to there
	back.want("data: {}")
	back.wantChange("create", later.Hex())
	// Another process knows where a client of this one is.
	last := back.wantPlace()
	s.api.EndStreams()
	latest := bson.NewObjectID()
	s.change(anna, "insert", latest, question(anna, true), nil)
	after := newSiteFor(t, nil, s.tenants...)
	first := after.listen(t, anna, "/api/faq/_events", "Last-Event-ID: "+last)
	first.wantChange("create", latest.Hex())
	after.listen(t, anna, "/api/faq/_events", "Last-Event-ID: "+last).wantChange("create", latest.Hex())
	// Another tenant's place is none.
	lost := after.listen(t, anna, "/api/faq/_events", "Last-Event-ID: "+other.wantPlace())
	lost.want("id: ")
	lost.want("event: reset")
}

// Where a database has no change streams listeners hear of the writes through here, and where it has one, of each write once.
func TestEventsOnceAndAlways(t *testing.T) {
	s := newStreamedSite(t)
	s.changes[anna].Refuse(true)
	var admin string
	for _, slug := range []string{anna, ben} {
		if err := s.api.CreateUser(t.Context(), s.tenant(slug), "Admin", adminEmail, password, "admin"); err != nil {
			t.Fatal(err)
		}
	}
	const body = `{"question":{"en":"Q"},"answer":{"en":"A"},"isPublished":true}`
	admin = s.signIn(anna, adminEmail)
	alone := s.listen(t, anna, "/api/faq/_events")
	id := s.write(t, anna, "POST", "/api/faq", body, admin)
	alone.wantChange("create", id)

	admin = s.signIn(ben, adminEmail)
	public, asAdmin := s.listen(t, ben, "/api/faq/_events"), s.listen(t, ben, "/api/faq/_events", admin)
	public.wantPlace()
	s.write(t, ben, "POST", "/api/faq", body, admin) // which the stream tells, and nobody else
	first, second := bson.NewObjectID(), bson.NewObjectID()
	s.change(ben, "insert", first, question(ben, true), nil)
	s.change(ben, "delete", second, nil, nil)
	public.wantChange("create", first.Hex())
	public.wantChange("", "")
	asAdmin.wantChange("create", first.Hex())
	asAdmin.wantChange("delete", second.Hex())

	// What the server does not know any more is not known to listeners either.
	s.changes[ben].Forget()
	s.changes[ben].Drop()
	public.want("id: ")
	public.want("event: reset")
	public.want("data: {}")
	s.wantStreams(t, ben, 1)
	public.wantPlace()
	s.change(ben, "insert", second, question(ben, true), nil)
	public.wantChange("create", second.Hex())

	// Nor what is written after it has lost its change streams, until the writes through here are told instead.
	s.changes[ben].Refuse(true)
	s.changes[ben].Drop()
	public.want("id: ")
	public.want("event: reset")
	public.want("data: {}")
	public.wantChange("create", s.write(t, ben, "POST", "/api/faq", body, admin))
}

// What others write is asked for anew as soon as the change stream has told of it, and not only when the time is up.
func TestRecheckHearsOfWritesByOthers(t *testing.T) {
	changes := &mongod.Changes{}
	keep := keepUsers(changes)
	id := bson.NewObjectID()
	var answer atomic.Pointer[bsoncore.Document]
	store := func(text string) {
		found := mongod.FirstBatch("anna.faqs", 0, marshal(t, append(question(anna, true), bson.E{Key: "_id", Value: id}, bson.E{Key: "answer", Value: bson.D{{Key: "en", Value: text}}})))
		answer.Store(&found)
	}
	server, err := mongod.Start(func(ctx context.Context, command bsoncore.Document) bsoncore.Document {
		if collection, _ := command.Lookup("find").StringValueOK(); collection == "faqs" {
			return *answer.Load()
		}
		return keep(ctx, command)
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	one := newTenant(anna)
	one.Database.URI, one.Database.Recheck = tenant.NewSecret(server.URI(anna)), time.Hour
	s := newSiteFor(t, nil, one)
	s.api.BeatEvery(20 * time.Millisecond)
	listener := s.listen(t, anna, "/api/faq/_events")
	listener.wantPlace()

	for _, path := range []string{"/api/faq", "/api/faq/" + id.Hex()} {
		store("first")
		tag := s.tag(anna, path)
		store("second")
		if got := s.status(anna, path, tag); got != 304 {
			t.Errorf("%s before anybody has said so: %d", path, got)
		}
		changes.Add(anna, "faqs", "update", bson.D{{Key: "documentKey", Value: bson.D{{Key: "_id", Value: id}}}, {Key: "fullDocument", Value: question(anna, true)}, {Key: "updateDescription", Value: bson.D{}}})
		listener.wantChange("update", id.Hex())
		if got := s.status(anna, path, tag); got != 200 {
			t.Errorf("%s after an update: %d", path, got)
		}
		tag = s.tag(anna, path)
		store("third")
		changes.Add(anna, "", "dropDatabase", nil)
		listener.want("id: ")
		listener.want("event: reset")
		listener.want("data: {}")
		if got := s.status(anna, path, tag); got != 200 {
			t.Errorf("%s after a reset: %d", path, got)
		}
	}
}

// A server that hangs holds up its own tenant's listeners alone, who miss nothing.
func TestEventsOfADeadServer(t *testing.T) {
	s := newStreamedSite(t)
	dead, alive := s.listen(t, anna, "/api/faq/_events"), s.listen(t, ben, "/api/faq/_events")
	dead.wantPlace()
	alive.wantPlace()
	if err := s.servers[anna].Behave(mongod.Hanging); err != nil {
		t.Fatal(err)
	}
	s.servers[anna].Cut()
	missed, id := bson.NewObjectID(), bson.NewObjectID()
	s.change(anna, "insert", missed, question(anna, true), nil)
	s.change(ben, "insert", id, question(ben, true), nil)
	alive.wantChange("create", id.Hex())
	another := s.listen(t, anna, "/api/faq/_events")
	if err := s.servers[anna].Behave(mongod.Answering); err != nil {
		t.Fatal(err)
	}
	s.servers[anna].Cut()
	dead.wantChange("create", missed.Hex())
	another.wantChange("create", missed.Hex())
}
