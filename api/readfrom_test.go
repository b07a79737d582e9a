package api_test

import (
	"context"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"go.mongodb.org/mongo-driver/v2/x/bsonx/bsoncore"

	"metahub/bench/mongod"
)

// A public view that says so is read from secondaries, with what it refers to, its counts and its aggregations. All else is the
// primary's: whose request it is, what admins see, and what is read to be written.
func TestPublicReadsFromSecondaries(t *testing.T) {
	var mu sync.Mutex
	var fromSecondary []bsoncore.Document
	found := mongod.FirstBatch("anna.products", 0, marshal(t, product(anna, 1, published(true, true)...)))
	keep := keepUsers(&mongod.Changes{})
	primary := func(ctx context.Context, command bsoncore.Document) bsoncore.Document {
		if collection, _ := command.Lookup("find").StringValueOK(); collection == "products" {
			return found
		}
		return keep(ctx, command)
	}
	secondary := func(_ context.Context, command bsoncore.Document) bsoncore.Document {
		mu.Lock()
		defer mu.Unlock()
		fromSecondary = append(fromSecondary, command)
		if collection, _ := command.Lookup("find").StringValueOK(); collection == "products" {
			return found
		}
		return nil
	}
	servers, err := mongod.StartSet(primary, secondary)
	if err != nil {
		t.Fatal(err)
	}
	for _, server := range servers {
		t.Cleanup(server.Close)
	}
	folder := t.TempDir()
	if err := os.CopyFS(folder, os.DirFS("models")); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(folder, "products.yaml")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	write(t, file, strings.Replace(string(text), "\npublic:\n", "\npublic:\n  readPreference: secondaryPreferred\n", 1))
	s := newSiteAt(t, os.DirFS(folder), servers[0].URI(anna+"?replicaSet="+mongod.SetName))
	admin := s.signIn(anna, adminEmail)
	// ask returns what the secondary was asked on the way.
	ask := func(status int, method, path, body string, headers ...string) []string {
		t.Helper()
		mu.Lock()
		fromSecondary = nil
		mu.Unlock()
		if got := s.send(anna, method, path, body, headers...); got.status != status {
			t.Errorf("%s %s: %d %s, want %d", method, path, got.status, got.body, status)
		}
		mu.Lock()
		defer mu.Unlock()
		names := map[string]bool{}
		for _, command := range fromSecondary {
			names[mongod.Name(command)] = true
			mode, _ := command.Lookup("$readPreference", "mode").StringValueOK()
			bound, _ := command.Lookup("$readPreference", "maxStalenessSeconds").AsInt64OK()
			if mode != "secondaryPreferred" || bound != 90 {
				t.Errorf("%s %s: the secondary was asked %s", method, path, command)
			}
		}
		return slices.Sorted(maps.Keys(names))
	}
	const item = "/api/products/000000000000000000000001"
	s.await("a read from the secondary", func() bool { return len(ask(200, "GET", item, "")) > 0 }) // until it is known the primary has to do

	f := func(want []string, status int, method, path, body string, headers ...string) {
		t.Helper()
		if got := ask(status, method, path, body, headers...); !slices.Equal(got, want) {
			t.Errorf("%s %s: the secondary was asked %q, want %q", method, path, got, want)
		}
	}
	f([]string{"find"}, 200, "GET", item, "")
	f([]string{"count", "find"}, 200, "GET", "/api/products?limit=1", "")
	f([]string{"count", "find"}, 200, "GET", "/api/products?limit=1&count=estimated", "")
	f([]string{"aggregate"}, 200, "GET", "/api/products/tags", "")
	f([]string{"find"}, 200, "GET", "/api/_batch?u=%2Fproducts%3Fcount%3Dnone", "")

	f(nil, 200, "GET", "/api/settings", "")
	f(nil, 200, "GET", "/api/products/admin", "", admin)
	f(nil, 200, "GET", "/api/products/_export", "", admin)
	f(nil, 200, "GET", "/api/users/account/me", "", admin)
	f(nil, 201, "POST", "/api/products", `{"title":{"en":"New"}}`, admin)
	f(nil, 404, "DELETE", item, "", admin)
}
