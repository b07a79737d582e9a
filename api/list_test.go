package api_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
)

func oid(hex string) bson.ObjectID {
	id, err := bson.ObjectIDFromHex(hex)
	if err != nil {
		panic(err)
	}
	return id
}

func product(slug string, n int, more ...bson.E) bson.D {
	at := bson.NewDateTimeFromTime(time.Date(2025, 1, n, 0, 0, 0, 0, time.UTC))
	return append(bson.D{
		{Key: "_id", Value: oid(fmt.Sprintf("%024x", n))},
		{Key: "tenant", Value: slug},
		{Key: "title", Value: bson.D{{Key: "en", Value: fmt.Sprintf("Product %d", n)}}},
		{Key: "costPrice", Value: 777.5},
		{Key: "internalNote", Value: "undeclared"},
		{Key: "createdAt", Value: at},
		{Key: "updatedAt", Value: at},
	}, more...)
}

func published(active, published bool, more ...bson.E) []bson.E {
	return append([]bson.E{{Key: "isActive", Value: active}, {Key: "isPublished", Value: published}}, more...)
}

func TestList(t *testing.T) {
	s := newSite(t)
	s.addUsers(anna)
	admin := s.signIn(anna, adminEmail)
	category := oid("aaaaaaaaaaaaaaaaaaaaaaaa")
	s.insert(anna, "productscategories", bson.D{{Key: "_id", Value: category}, {Key: "tenant", Value: anna}, {Key: "name", Value: bson.D{{Key: "en", Value: "Towers"}}},
		{Key: "slug", Value: "towers"}, {Key: "isActive", Value: true}, {Key: "order", Value: 1}})
	s.insert(anna, "products",
		product(anna, 1, published(true, true, bson.E{Key: "price", Value: 20.5}, bson.E{Key: "category", Value: category}, bson.E{Key: "tags", Value: bson.A{"new", "small"}})...),
		product(anna, 2, published(true, true, bson.E{Key: "price", Value: 10}, bson.E{Key: "stock", Value: int64(9007199254740993)})...),
		product(anna, 3, published(true, false)...),
		product(anna, 4, published(false, true)...),
		product("other", 5, published(true, true)...),
	)
	first := `{"_id":"000000000000000000000001","title":{"en":"Product 1"},"isActive":true,"isPublished":true,"price":20.5,
		"category":{"_id":"aaaaaaaaaaaaaaaaaaaaaaaa","name":{"en":"Towers"},"slug":"towers"},"tags":["new","small"],"createdAt":"2025-01-01T00:00:00.000Z","updatedAt":"2025-01-01T00:00:00.000Z"}`
	second := `{"_id":"000000000000000000000002","title":{"en":"Product 2"},"isActive":true,"isPublished":true,"price":10,
		"stock":"9007199254740993","createdAt":"2025-01-02T00:00:00.000Z","updatedAt":"2025-01-02T00:00:00.000Z"}`
	list := func(meta string, documents ...string) string {
		all := ""
		for i, d := range documents {
			if i > 0 {
				all += ","
			}
			all += d
		}
		return `{"success":true,"message":"OK","data":[` + all + `],"meta":` + meta + `}`
	}
	hidden := []string{"costPrice", "777", "internalNote", "undeclared", `"tenant"`, "Product 3", "Product 4", "Product 5"}
	runAll(t, s, []scenario{
		{name: "the public view, newest first", path: "/api/products", status: 200, want: list(`{"total":2,"page":1,"limit":100}`, second, first), absent: hidden,
			header: []string{"Content-Type: application/json; charset=utf-8", "Cache-Control: no-cache", "X-Content-Type-Options: nosniff"}},
		{name: "by the alias", path: "/api/product", status: 200, want: list(`{"total":2,"page":1,"limit":100}`, second, first)},
		{name: "with a slash at the end", path: "/api/products/", status: 200, want: list(`{"total":2,"page":1,"limit":100}`, second, first)},
		{name: "sorted", path: "/api/products?sort=price", status: 200, want: list(`{"total":2,"page":1,"limit":100}`, second, first)},
		{name: "sorted the other way", path: "/api/products?sort=-price,order", status: 200, want: list(`{"total":2,"page":1,"limit":100}`, first, second)},
		{name: "a full page is counted", path: "/api/products?limit=1", status: 200, want: list(`{"total":2,"page":1,"limit":1}`, second)},
		{name: "the second page", path: "/api/products?limit=1&page=2", status: 200, want: list(`{"total":2,"page":2,"limit":1}`, first)},
		{name: "a page beyond the last", path: "/api/products?limit=1&page=3", status: 200, want: list(`{"total":2,"page":3,"limit":1}`)},
		{name: "by a number", path: "/api/products?price=20.5", status: 200, want: list(`{"total":1,"page":1,"limit":100}`, first)},
		{name: "by a number of another BSON type", path: "/api/products?price=10", status: 200, want: list(`{"total":1,"page":1,"limit":100}`, second)},
		{name: "by an id", path: "/api/products?category=aaaaaaaaaaaaaaaaaaaaaaaa", status: 200, want: list(`{"total":1,"page":1,"limit":100}`, first)},
		{name: "by an element of a list", path: "/api/products?tags=small", status: 200, want: list(`{"total":1,"page":1,"limit":100}`, first)},
		{name: "an empty value widens nothing", path: "/api/products?brand=", status: 200, want: list(`{"total":0,"page":1,"limit":100}`)},
		{name: "one document", path: "/api/products/000000000000000000000001", status: 200, want: `{"success":true,"message":"OK","data":` + first + `}`, absent: hidden},
		{name: "an unpublished document", path: "/api/products/000000000000000000000003", status: 404, want: refusal("not_found")},
		{name: "another tenant's document in the same database", path: "/api/products/000000000000000000000005", status: 404, want: refusal("not_found")},
		{name: "the other tenant has none of them", tenant: ben, path: "/api/products", status: 200, want: list(`{"total":0,"page":1,"limit":100}`)},
		{name: "nor this one", tenant: ben, path: "/api/products/000000000000000000000001", status: 404, want: refusal("not_found")},
		{name: "admins see everything of theirs", path: "/api/products/admin?sort=createdAt&limit=2&page=2", headers: []string{admin}, status: 200,
			absent: []string{"Product 5", "undeclared", `"tenant"`}, header: []string{"Cache-Control: private, no-store"},
			want: list(`{"total":4,"page":2,"limit":2}`,
				`{"_id":"000000000000000000000003","title":{"en":"Product 3"},"costPrice":777.5,"isActive":true,"isPublished":false,"createdAt":"<date>","updatedAt":"<date>"}`,
				`{"_id":"000000000000000000000004","title":{"en":"Product 4"},"costPrice":777.5,"isActive":false,"isPublished":true,"createdAt":"<date>","updatedAt":"<date>"}`)},
		{name: "admins may filter by more", path: "/api/products/admin?isPublished=false", headers: []string{admin}, status: 200,
			want: list(`{"total":1,"page":1,"limit":100}`, `{"_id":"000000000000000000000003","title":{"en":"Product 3"},"costPrice":777.5,"isActive":true,"isPublished":false,"createdAt":"<date>","updatedAt":"<date>"}`)},
		{name: "HEAD", method: "HEAD", path: "/api/products", status: 200, header: []string{"Content-Type: application/json; charset=utf-8"}},
	})
}

func TestSettingsKeepSecrets(t *testing.T) {
	s := newSite(t)
	var documents []bson.D
	for _, key := range []string{"site_title", "secretary", "environment", "secret.smtp", "SECRET_stripe", "secret:a", "env.key", "Env_x", "env:y"} {
		documents = append(documents, bson.D{{Key: "tenant", Value: anna}, {Key: "key", Value: key}, {Key: "value", Value: "value of " + key}, {Key: "isActive", Value: true}})
	}
	s.insert(anna, "settings", documents...)
	secrets := []string{"secret.", "SECRET_", "secret:", "env.", "Env_", "env:"}
	setting := func(key string) string {
		return `{"_id":"<id>","key":"` + key + `","value":"value of ` + key + `","isActive":true}`
	}
	runAll(t, s, []scenario{
		{name: "list", path: "/api/settings", status: 200, absent: secrets,
			want: `{"success":true,"message":"OK","data":[` + setting("environment") + `,` + setting("secretary") + `,` + setting("site_title") + `],"meta":{"total":3,"page":1,"limit":500}}`},
		{name: "asked for by name", path: "/api/settings?key=secret.smtp", status: 200, absent: secrets,
			want: `{"success":true,"message":"OK","data":[],"meta":{"total":0,"page":1,"limit":500}}`},
	})
	id := s.stored(anna, "settings", bson.D{{Key: "key", Value: "secret.smtp"}})["_id"].(bson.ObjectID).Hex()
	scenario{name: "asked for by id", path: "/api/settings/" + id, status: 404, want: refusal("not_found")}.run(t, s)
}

// Documents come from the embedded database some at a time.
func TestListOfManyDocuments(t *testing.T) {
	s := newSite(t)
	var documents []bson.D
	for n := range 40 {
		documents = append(documents, product(anna, n+1, published(true, true, bson.E{Key: "order", Value: n})...))
	}
	s.insert(anna, "products", documents...)
	got := scenario{name: "list", path: "/api/products?limit=39", status: 200}.run(t, s)
	var list struct {
		Data []struct {
			ID string `json:"_id"`
		}
		Meta struct{ Total int }
	}
	if err := json.Unmarshal([]byte(got.body), &list); err != nil {
		t.Fatal(err)
	}
	if len(list.Data) != 39 || list.Meta.Total != 40 {
		t.Fatalf("got %d documents of %d, want 39 of 40", len(list.Data), list.Meta.Total)
	}
	for n, document := range list.Data {
		if want := fmt.Sprintf("%024x", n+1); document.ID != want {
			t.Errorf("document %d is %s, want %s", n, document.ID, want)
		}
	}
}

func TestListIsBounded(t *testing.T) {
	s := newSite(t)
	s.api.SetMaxPage(32 << 10)
	for n := range 4 {
		s.insert(anna, "products", product(anna, n+1, published(true, true, bson.E{Key: "brand", Value: strings.Repeat("x", 10<<10)})...))
	}
	runAll(t, s, []scenario{
		{name: "more than fits", path: "/api/products", status: 400, want: refusal("page_too_large")},
		{name: "less", path: "/api/products?limit=3", status: 200},
	})
}
