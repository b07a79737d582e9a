package api_test

import (
	"bytes"
	"context"
	"errors"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"

	"metahub/store"
)

// The marks in the documents' texts: at first that of both tenants, then each tenant's own. They are of one length.
const (
	sharedMark = "bothmark"
	annasMark  = "annamark"
	bensMark   = "bensmark"
)

// twins are two tenants whose databases hold the same documents with the same ids: users with the same ids, addresses and passwords too.
// In each there are documents of the other one as well, as in a database that both would share.
type twins struct {
	*site
	described
	t         *testing.T
	of        []*resource
	admin     map[string]string // bearer headers by tenant
	user      map[string]string
	key       map[string]string // API keys for everything
	mark      map[string]string // what is in the texts
	neighbour map[string]string // the other one
}

func newTwins(t *testing.T) *twins {
	s := newPostalOf(t, nil).site
	stopped := time.Now() // so that a slow machine's attempts to sign in are as close as a fast one's
	s.api.SetClock(func() time.Time { return stopped })
	w := &twins{key: map[string]string{}, site: s, described: s.described(), t: t, admin: map[string]string{}, user: map[string]string{},
		neighbour: map[string]string{anna: ben, ben: anna}, mark: map[string]string{anna: sharedMark, ben: sharedMark}}
	w.addUsers(anna)
	w.admin[anna] = s.signIn(anna, adminEmail)
	w.of = w.resources()
	for _, r := range w.of {
		w.seed(r)
	}
	w.copyDocuments()
	for _, slug := range []string{anna, ben} {
		w.admin[slug], w.user[slug] = s.signIn(slug, adminEmail), s.signIn(slug, userEmail)
		made := scenario{name: "a key", tenant: slug, method: "POST", path: "/api/_keys", body: `{"name":"all","scopes":["*:read","*:write"]}`, headers: []string{w.admin[slug]}, status: 201}.run(t, s)
		w.key[slug] = "X-Api-Key: " + text(t, made.body, "data.key")
	}
	return w
}

// seed gives anna two documents of a resource, or the only one, with every field that may be set.
func (w *twins) seed(r *resource) {
	w.t.Helper()
	for number := 1; number <= 2 && !(r.single && number > 1); number++ {
		create := w.sample(w.schemas[r.name+".create"], sharedMark, number)
		got := w.send(anna, "POST", r.base+"/admin", encode(w.t, create), w.admin[anna])
		if got.status != 201 {
			w.t.Fatalf("seed %s: %d %s", r.base, got.status, got.body)
		}
		r.ids = append(r.ids, text(w.t, got.body, "data._id"))
		update := w.sample(w.schemas[r.name+".update"], sharedMark, number)
		if got := w.send(anna, "PUT", r.base+"/"+r.ids[number-1], encode(w.t, update), w.admin[anna]); got.status != 200 {
			w.t.Fatalf("seed %s: %d %s", r.base, got.status, got.body)
		}
	}
}

// each calls do with every document of a tenant's database, and with a collection's from the beginning again where a busy machine has been
// too slow.
func (w *twins) each(slug string, do func(collection *mongo.Collection, document bson.D) error) {
	w.t.Helper()
	var names []string
	w.insist(slug, func(ctx context.Context, db *mongo.Database) (err error) {
		names, err = db.ListCollectionNames(ctx, bson.D{})
		return err
	})
	for _, name := range names {
		w.insist(slug, func(ctx context.Context, db *mongo.Database) error {
			var all []bson.D
			cursor, err := db.Collection(name).Find(ctx, bson.D{})
			if err == nil {
				err = cursor.All(ctx, &all)
			}
			for i := 0; err == nil && i < len(all); i++ {
				err = do(db.Collection(name), all[i])
			}
			return err
		})
	}
}

// insist does something with a tenant's database until it was in time.
func (w *twins) insist(slug string, do func(context.Context, *mongo.Database) error) {
	w.t.Helper()
	var err error
	w.await("the database of "+slug, func() bool {
		err = w.store.Do(w.t.Context(), w.tenant(slug), do)
		return !errors.As(err, new(*store.Unavailable)) && !mongo.IsTimeout(err)
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

// copyDocuments gives ben what anna has, and each of them strangers with the other's name.
func (w *twins) copyDocuments() {
	w.t.Helper()
	all := map[string]map[any]bson.D{}
	w.each(anna, func(c *mongo.Collection, document bson.D) error {
		if ownerOf(document) != "" { // sessions are not copied
			if all[c.Name()] == nil {
				all[c.Name()] = map[any]bson.D{}
			}
			all[c.Name()][document[0].Value] = document
		}
		return nil
	})
	for name, documents := range all {
		for _, slug := range []string{anna, ben} {
			var more []bson.D
			for _, document := range documents {
				stranger := owned(document, w.neighbour[slug])
				id := stranger[0].Value.(bson.ObjectID)
				id[0] ^= 0xff
				stranger[0].Value = id
				if more = append(more, stranger); slug == ben {
					more = append(more, owned(document, ben))
				}
			}
			w.insert(slug, name, more...)
		}
	}
}

// owned is a copy of a document as another tenant would have it.
func owned(document bson.D, slug string) bson.D {
	copied := slices.Clone(document)
	for i, e := range copied {
		if e.Key == "tenant" {
			copied[i].Value = slug
		}
	}
	return copied
}

func ownerOf(document bson.D) string {
	for _, e := range document {
		if e.Key == "tenant" {
			return e.Value.(string)
		}
	}
	return ""
}

// setMarks makes the documents of the two different: each text names whose it is.
func (w *twins) setMarks() {
	w.t.Helper()
	for _, slug := range []string{anna, ben} {
		w.each(slug, func(c *mongo.Collection, document bson.D) error {
			raw, err := bson.Marshal(document)
			if err != nil {
				return err
			}
			raw = bytes.ReplaceAll(raw, []byte(sharedMark), []byte(map[string]string{anna: annasMark, ben: bensMark}[ownerOf(document)]))
			_, err = c.ReplaceOne(w.t.Context(), bson.D{{Key: "_id", Value: document[0].Value}}, bson.Raw(raw))
			return err
		})
	}
	w.mark = map[string]string{anna: annasMark, ben: bensMark}
}

// address fills the variables of a path with what names a tenant's document.
func (w *twins) address(path, slug string) (address string, of *resource) {
	id := sampleID
	for _, r := range w.of {
		if below, ok := strings.CutPrefix(path, r.base); ok && ofDocuments.MatchString(below) {
			of, id = r, r.ids[0]
		}
	}
	path = strings.NewReplacer("{id}", id, "{key}", w.mark[slug]+"-1", "{slug}", w.mark[slug]+"-1").Replace(path)
	return variables.ReplaceAllString(path, w.mark[slug]), of
}

var (
	ofDocuments = regexp.MustCompile(`^(/(admin|mine|slug|_\w+|\{\w+\})(/.*)?)?$`)
	variables   = regexp.MustCompile(`\{[^}]*\}`)
)

// signInAgain gets a new token where a route has ended the admin's session.
func (w *twins) signInAgain(slug string) {
	w.t.Helper()
	if w.get(slug, "/api/users/account/me", w.admin[slug]).status == 401 {
		w.admin[slug] = w.signIn(slug, adminEmail)
	}
}

// get reads a path as somebody, or as nobody where who is empty.
func (w *twins) get(slug, path, who string, headers ...string) answer {
	w.t.Helper()
	if who != "" {
		headers = append(headers, who)
	}
	return w.send(slug, "GET", path, "", headers...)
}

// send waits out a database that is slow on a busy machine.
func (w *twins) send(slug, method, path, body string, headers ...string) (got answer) {
	w.t.Helper()
	w.await(method+" "+path, func() bool {
		got = w.site.send(slug, method, path, body, headers...)
		return got.status != 503
	})
	return got
}
