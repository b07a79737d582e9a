package api_test

import (
	"context"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/x/bsonx/bsoncore"
	"golang.org/x/crypto/bcrypt"

	"metahub/api"
	"metahub/bench/mongod"
	"metahub/tenant"
)

// Whatever the API asks of a database names its tenant and, where it reads, says how long there is somebody to wait and how many
// documents are enough.
func TestCommandsOnTheWire(t *testing.T) {
	hash, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	user := marshal(t, bson.D{{Key: "_id", Value: oid(strings.Repeat("a", 24))}, {Key: "tenant", Value: anna}, {Key: "email", Value: adminEmail}, {Key: "password", Value: string(hash)}, {Key: "role", Value: "admin"}, {Key: "isActive", Value: true}})
	category := oid(strings.Repeat("c", 24))
	found := marshal(t, product(anna, 1, published(true, true, bson.E{Key: "category", Value: category})...))

	var mu sync.Mutex
	var commands []bsoncore.Document
	var session bsoncore.Document // of who has signed in
	srv, err := mongod.Start(func(_ context.Context, command bsoncore.Document) bsoncore.Document {
		mu.Lock()
		defer mu.Unlock()
		commands = append(commands, command)
		switch collection, _ := command.Lookup(mongod.Name(command)).StringValueOK(); {
		case mongod.Name(command) == "find" && collection == "users":
			return mongod.FirstBatch("anna.users", 0, user)
		case mongod.Name(command) == "find" && collection == "products":
			if strings.Contains(command.String(), `"$ne"`) {
				return nil // nobody has the same slug
			}
			return mongod.FirstBatch("anna.products", 0, found)
		case mongod.Name(command) == "insert" && collection == "metahub_sessions":
			session = command.Lookup("documents", "0").Document()
		case mongod.Name(command) == "find" && collection == "metahub_sessions" && command.Lookup("filter", "_id").Type != 0:
			return mongod.FirstBatch("anna.metahub_sessions", 0, session)
		case mongod.Name(command) == "findAndModify":
			return bsoncore.NewDocumentBuilder().AppendDocument("value", found).AppendDouble("ok", 1).Build()
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(srv.Close)
	s := newSite(t)
	s.api.WaitFor(api.RequestTimeout)
	remote := newTenant(anna)
	remote.Database.URI = tenant.NewSecret(srv.URI(anna))
	s.registry = tenant.NewRegistry(tenant.NewDirectory(tenant.Gateway{}, []*tenant.Tenant{remote, newTenant(ben)}))

	admin := s.signIn(anna, adminEmail)
	id := strings.Repeat("0", 23) + "1"
	ask := func(status int, method, path, body string, headers ...string) {
		t.Helper()
		if got := s.send(anna, method, path, body, append(headers, admin)...); got.status != status {
			t.Errorf("%s %s: %d %s, want %d", method, path, got.status, got.body, status)
		}
	}
	ask(200, "GET", "/api/products?page=2&limit=1&sort=-price", "")
	ask(200, "GET", "/api/products?count=estimated", "")
	ask(200, "GET", "/api/products/slug/x", "")
	ask(200, "GET", "/api/products/"+id, "")
	ask(200, "GET", "/api/products/tags", "")
	ask(200, "GET", "/api/products/_export", "")
	ask(200, "GET", "/api/_batch?u=%2Fproducts&u=%2Fsettings", "")
	ask(200, "GET", "/api/users/account/me", "")
	ask(201, "POST", "/api/products", `{"title":{"en":"New"}}`, "Idempotency-Key: k")
	ask(200, "PUT", "/api/products/"+id, `{"price":2}`)
	ask(200, "POST", "/api/products/_bulk", `{"items":[{"op":"delete","id":"`+id+`"}]}`)
	ask(200, "DELETE", "/api/products/"+id, "")

	mu.Lock()
	defer mu.Unlock()
	names := map[string]bool{}
	for _, command := range commands {
		name := mongod.Name(command)
		names[name] = true
		if got, _ := command.Lookup("comment").StringValueOK(); got != anna {
			t.Errorf("got comment %q, want %q: %s", got, anna, command)
		}
		if most, ok := command.Lookup("maxTimeMS").AsInt64OK(); !ok || most <= 0 || most > 5000 {
			t.Errorf("got maxTimeMS %d, want what is left of the request's 5 s: %s", most, command)
		}
		if limit, ok := command.Lookup("limit").AsInt64OK(); name == "find" && (!ok || limit <= 0) {
			t.Errorf("a find without a limit: %s", command)
		}
	}
	want := []string{"aggregate", "count", "createIndexes", "delete", "find", "findAndModify", "insert", "update"}
	if got := slices.Sorted(maps.Keys(names)); !slices.Equal(got, want) {
		t.Errorf("got commands %q, want %q", got, want)
	}
}

func marshal(t *testing.T, document bson.D) bsoncore.Document {
	t.Helper()
	raw, err := bson.Marshal(document)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}
