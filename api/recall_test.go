package api_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"

	"metahub/tenant"
)

// rechecking is a site whose anna is rechecked each minute, and whose clock moves only as it is told. ben is asked for each time.
func rechecking(t *testing.T) (s *site, advance func(time.Duration)) {
	s = newSite(t)
	var passed atomic.Int64
	start := time.Now()
	s.api.SetClock(func() time.Time { return start.Add(time.Duration(passed.Load())) })
	s.recheckAnna(time.Minute)
	return s, func(d time.Duration) { passed.Add(int64(d)) }
}

func (s *site) recheckAnna(after time.Duration) {
	rechecked := newTenant(anna)
	rechecked.Database.Recheck = after
	s.registry.Publish(tenant.NewDirectory(tenant.Gateway{}, []*tenant.Tenant{rechecked, newTenant(ben)}))
}

// setPast changes documents as another program would, past the API.
func (s *site) setPast(slug, collection, field string, value any) {
	s.t.Helper()
	s.past(slug, func(ctx context.Context, db *mongo.Database) error {
		_, err := db.Collection(collection).UpdateMany(ctx, bson.D{}, bson.D{{Key: "$set", Value: bson.D{{Key: field, Value: value}}}})
		return err
	})
}

const (
	oneProduct   = "/api/products/000000000000000000000001"
	itsCategory  = "/api/productscategory/070000000000000000000000"
	allProducts  = "/api/products"
	someProducts = "/api/products?limit=1&locale=de&flat=1"
)

// addCatalogue gives a tenant two products, one of which is of a category.
func (s *site) addCatalogue(slug string) {
	s.insert(slug, "products", product(slug, 1, published(true, true, bson.E{Key: "category", Value: bson.ObjectID{7}})...), product(slug, 2, published(true, true)...))
	s.insert(slug, "productscategories", bson.D{{Key: "_id", Value: bson.ObjectID{7}}, {Key: "tenant", Value: slug}, {Key: "isActive", Value: true}, {Key: "slug", Value: "one"}})
}

// status asks for what is at a path, for a client that has an answer with a tag.
func (s *site) status(slug, path, tag string, headers ...string) int {
	s.t.Helper()
	return s.send(slug, "GET", path, "", append(headers, "If-None-Match: "+tag)...).status
}

func (s *site) tag(slug, path string, headers ...string) string {
	s.t.Helper()
	got := s.send(slug, "GET", path, "", headers...)
	if got.status != 200 || got.header.Get("ETag") == "" {
		s.t.Fatalf("%s: %d %s", path, got.status, got.body)
	}
	return got.header.Get("ETag")
}

func TestRecheck(t *testing.T) {
	s, advance := rechecking(t)
	s.addUsers(anna)
	admin := s.signIn(anna, adminEmail)
	s.addCatalogue(anna)
	s.addCatalogue(ben)
	price := 1000.0
	changePast := func() {
		t.Helper()
		price++
		s.setPast(anna, "products", "price", price)
		s.setPast(ben, "products", "price", price)
	}
	f := func(what, slug, path, tag string, want int, headers ...string) {
		t.Helper()
		if got := s.status(slug, path, tag, headers...); got != want {
			t.Errorf("%s: %s of %s is %d, want %d", what, path, slug, got, want)
		}
	}
	for _, path := range []string{allProducts, someProducts, oneProduct, oneProduct + "?fields=title,price"} {
		mine, others, private := s.tag(anna, path), s.tag(ben, path), s.tag(anna, "/api/products/admin", admin)
		changePast()
		f("what others have written", anna, path, mine, 304)
		f("what others have written", anna, path, "W/"+mine, 304)
		f("a tenant that is always asked for", ben, path, others, 200)
		f("an answer for admins", anna, "/api/products/admin", private, 200, admin)
		f("another tag", anna, path, others, 200) // and now it is known anew
		f("the tag of before", anna, path, mine, 200)
		mine = s.tag(anna, path)
		changePast()
		f("another language", anna, path, mine, 200, "Accept-Language: tr")
		mine = s.tag(anna, path)
		changePast()
		advance(time.Minute - time.Second)
		f("shortly before the time is up", anna, path, mine, 304)
		advance(time.Second)
		f("once the time is up", anna, path, mine, 200)
	}
	mine := s.tag(anna, allProducts)
	changePast()
	f("another address", anna, allProducts+"?page=1", mine, 200)
	if got := s.send(anna, "HEAD", allProducts, "", "If-None-Match: "+mine); got.status != 304 || got.header.Get("ETag") != mine || got.header.Get("Cache-Control") != "no-cache" {
		t.Errorf("HEAD: %d %v", got.status, got.header)
	}
	if got := s.send(anna, "OPTIONS", allProducts, "", "If-None-Match: "+mine); got.status != 204 {
		t.Errorf("OPTIONS: %d", got.status)
	}
	s.recheckAnna(time.Minute)
	f("another version of the tenant", anna, allProducts, mine, 200)
	mine = s.tag(anna, allProducts)
	changePast()
	if err := s.api.ReloadModels(); err != nil {
		t.Fatal(err)
	}
	f("other models", anna, allProducts, mine, 200)
	mine = s.tag(anna, allProducts)
	changePast()
	s.recheckAnna(0)
	f("switched off", anna, allProducts, mine, 200)
}

// Whatever is written through the API is seen by the next request, in all that shows it.
func TestRecheckSeesEveryWrite(t *testing.T) {
	s, _ := rechecking(t)
	s.addUsers(anna)
	admin := s.signIn(anna, adminEmail)
	s.addCatalogue(anna)
	price := 0.0
	for _, write := range []scenario{
		{name: "change", method: "PUT", path: oneProduct, body: `{"brand":"x"}`},
		{name: "action", method: "PATCH", path: oneProduct + "/status", body: `{"isPublished":true}`},
		{name: "create", method: "POST", path: "/api/products", body: `{"title":{"de":"Drei"},"isPublished":true}`},
		{name: "bulk", method: "POST", path: "/api/products/_bulk", body: `{"items":[{"op":"update","id":"000000000000000000000002","body":{"brand":"y"}}]}`},
		{name: "delete", method: "DELETE", path: "/api/products/000000000000000000000002"},
		{name: "what is shown within", method: "PUT", path: itsCategory, body: `{"slug":"two"}`},
	} {
		paths := []string{allProducts, someProducts, oneProduct}
		tags := map[string]string{}
		for _, path := range paths {
			tags[path] = s.tag(anna, path)
		}
		price++
		s.setPast(anna, "products", "price", price)
		for _, path := range paths {
			if got := s.status(anna, path, tags[path]); got != 304 {
				t.Errorf("%s: before it %s is %d: it is not known", write.name, path, got)
			}
		}
		got := s.send(anna, write.method, write.path, write.body, admin)
		if got.status != 200 && got.status != 201 {
			t.Fatalf("%s: %d %s", write.name, got.status, got.body)
		}
		for _, path := range paths {
			if got := s.status(anna, path, tags[path]); got != 200 {
				t.Errorf("%s: after it %s is %d", write.name, path, got)
			}
		}
	}
	// A batch is as current as its parts.
	batch := batchOf("/products", "/products?limit=1")
	known := s.tag(anna, batch)
	s.setPast(anna, "products", "price", -1.0)
	if got := s.status(anna, batch, known); got != 304 {
		t.Errorf("a batch: %d", got)
	}
	scenario{name: "write", method: "PUT", path: oneProduct, body: `{"brand":"z"}`, headers: []string{admin}, status: 200}.run(t, s)
	if got := s.status(anna, batch, known); got != 200 {
		t.Errorf("a batch, after a write: %d", got)
	}
	// What no product shows leaves them as they are.
	known = s.tag(anna, allProducts)
	s.setPast(anna, "products", "price", -2.0)
	scenario{name: "something else", method: "POST", path: "/api/faq", body: `{"question":{"en":"Why?"},"answer":{"en":"So."}}`, headers: []string{admin}, status: 201}.run(t, s)
	if got := s.status(anna, allProducts, known); got != 304 {
		t.Errorf("after a write to another collection: %d", got)
	}
}

// While many read and write at once, nobody who has been told of a write is told that what was before it is still so.
func TestRecheckBesideWrites(t *testing.T) {
	s, _ := rechecking(t)
	s.addUsers(anna)
	admin := s.signIn(anna, adminEmail)
	s.addCatalogue(anna)
	stop := make(chan struct{})
	var readers sync.WaitGroup
	for range 2 {
		readers.Go(func() {
			for tag := `""`; ; {
				select {
				case <-stop:
					return
				default:
				}
				if got := s.send(anna, "GET", allProducts, "", "If-None-Match: "+tag); got.status == 200 {
					tag = got.header.Get("ETag")
				}
			}
		})
	}
	for n := range 10 {
		before := s.tag(anna, allProducts)
		if got := s.send(anna, "PUT", oneProduct, fmt.Sprintf(`{"stock":%d}`, n), admin); got.status != 200 {
			t.Errorf("write: %d %s", got.status, got.body)
			break
		}
		if got := s.send(anna, "GET", allProducts, "", "If-None-Match: "+before); got.status != 200 || !strings.Contains(got.body, fmt.Sprintf(`"stock":%d}`, n)) {
			t.Errorf("after write %d: %d %s", n, got.status, got.body)
		}
	}
	close(stop)
	readers.Wait()
}
