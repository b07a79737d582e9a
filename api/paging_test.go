package api_test

import (
	"fmt"
	"strings"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// follow reads a list by cursors to its end and returns the ids in their order.
func follow(t *testing.T, s *site, slug, path string, limit int) (all []string) {
	t.Helper()
	cursor := ""
	for range 100 {
		got := s.send(slug, "GET", fmt.Sprintf("%s&limit=%d&cursor=%s", path, limit, cursor), "")
		page := ids(t, got)
		all = append(all, page...)
		next, _ := decode(t, got.body).(map[string]any)["meta"].(map[string]any)["next"].(string)
		if next == "" {
			return all
		}
		if len(page) == 0 {
			t.Fatalf("an empty page has a next one: %s", got.body)
		}
		cursor = next
	}
	t.Fatal("the list has no end")
	return nil
}

func TestCursors(t *testing.T) {
	s := newSite(t)
	var documents []bson.D
	for n := 1; n <= 17; n++ {
		var more []bson.E
		switch { // equal values, nulls and missing ones
		case n%4 == 0:
			more = append(more, bson.E{Key: "price", Value: nil})
		case n%4 != 1:
			more = append(more, bson.E{Key: "price", Value: n % 3}, bson.E{Key: "stock", Value: n % 2})
		}
		documents = append(documents, product(anna, n, published(true, true, more...)...))
	}
	s.insert(anna, "products", documents...)
	for _, order := range []string{"price", "-price", "price,-stock", "-price,stock", "-createdAt", "createdAt", "sku,-price"} {
		path := "/api/products?sort=" + order
		want := ids(t, s.send(anna, "GET", path, ""))
		if len(want) != len(documents) {
			t.Fatalf("%s: %d documents", order, len(want))
		}
		for _, limit := range []int{1, 3, 17, 100} {
			if got := follow(t, s, anna, path, limit); strings.Join(got, " ") != strings.Join(want, " ") {
				t.Errorf("sorted by %s, %d at a time:\n got %v\nwant %v", order, limit, got, want)
			}
		}
	}
	if got := follow(t, s, anna, "/api/products?sort=price&fields=sku&price[exists]=true&price[gte]=1", 2); len(got) != 5 {
		t.Errorf("with fields that the order is not among, and a filter: %v", got)
	}
}

// A cursor is good for the list that it was made for, and nothing else.
func TestCursorsOfOthers(t *testing.T) {
	alike := newTenant(ben)
	alike.JWTSecret = newTenant(anna).JWTSecret // even so
	s := newSiteFor(t, nil, newTenant(anna), alike)
	for _, slug := range []string{anna, ben} {
		s.insert(slug, "products", product(slug, 1, published(true, true)...), product(slug, 2, published(true, true)...))
	}
	got := s.send(anna, "GET", "/api/products?cursor=&limit=1&sort=price", "")
	cursor := text(t, got.body, "meta.next")
	f := func(name, slug, query string, status int) {
		t.Helper()
		if got := s.send(slug, "GET", "/api/products?limit=1&"+query, ""); got.status != status {
			t.Errorf("%s: %d, want %d: %s", name, got.status, status, got.body)
		}
	}
	f("its own", anna, "sort=price&cursor="+cursor, 200)
	f("another length of page", anna, "sort=price&fields=sku&cursor="+cursor, 200)
	f("another tenant", ben, "sort=price&cursor="+cursor, 400)
	f("another order", anna, "sort=-price&cursor="+cursor, 400)
	f("another filter", anna, "sort=price&brand=x&cursor="+cursor, 400)
	f("changed", anna, "sort=price&cursor=A"+cursor[1:], 400)
	f("cut", anna, "sort=price&cursor="+cursor[:len(cursor)-3], 400)
	f("made up", anna, "sort=price&cursor=AAAA", 400)
	f("not base64", anna, "sort=price&cursor=%7B%22$gt%22:1%7D", 400)
	f("with a page", anna, "sort=price&page=2&cursor="+cursor, 400)
}

func TestFieldsAndCounts(t *testing.T) {
	s := newSite(t)
	s.addUsers(anna)
	admin := s.signIn(anna, adminEmail)
	price := bson.E{Key: "price", Value: 5}
	s.insert(anna, "products", product(anna, 1, published(true, true, price)...), product(anna, 2, published(true, true, price)...), product(anna, 3, published(true, false)...))
	list := func(data, meta string) string {
		return `{"success":true,"message":"OK","data":[` + data + `],"meta":` + meta + `}`
	}
	first, second := `{"_id":"000000000000000000000001","price":5}`, `{"_id":"000000000000000000000002","price":5}`
	runAll(t, s, []scenario{
		{name: "fields", path: "/api/products?fields=price&sort=createdAt", status: 200, want: list(first+","+second, `{"total":2,"page":1,"limit":100}`)},
		{name: "fields of one", path: "/api/products/000000000000000000000001?fields=price", status: 200, want: `{"success":true,"message":"OK","data":` + first + `}`},
		{name: "a field that is hidden", path: "/api/products?fields=title,costPrice", status: 400, want: refusal("bad_request")},
		{name: "but not from admins", path: "/api/products/admin/000000000000000000000001?fields=costPrice", headers: []string{admin}, status: 200, want: `{"success":true,"message":"OK","data":{"_id":"000000000000000000000001","costPrice":777.5}}`},
		{name: "a field that is nobody's", path: "/api/users/admin?fields=password", headers: []string{admin}, status: 400, want: refusal("bad_request")},
		{name: "a field of the server", path: "/api/products?fields=_rev", status: 400, want: refusal("bad_request")},
		{name: "a path", path: "/api/products?fields=title.en", status: 400, want: refusal("bad_request")},
		{name: "no count", path: "/api/products?fields=price&sort=createdAt&count=none&limit=1", status: 200, want: list(first, `{"page":1,"limit":1}`)},
		{name: "estimated", path: "/api/products?fields=price&sort=createdAt&count=estimated&limit=1", status: 200, want: list(first, `{"total":3,"estimated":true,"page":1,"limit":1}`)},
		{name: "exact", path: "/api/products?fields=price&sort=createdAt&count=exact&limit=1", status: 200, want: list(first, `{"total":2,"page":1,"limit":1}`)},
		{name: "exact with a cursor", path: "/api/products?fields=price&sort=createdAt&count=exact&limit=5&cursor=", status: 200, want: list(first+","+second, `{"total":2,"limit":5}`)},
		{name: "another word", path: "/api/products?count=all", status: 400, want: refusal("bad_request")},
	})
}

// The last page that can be reached by its number names the cursor that goes on.
func TestLastPageNamesTheCursor(t *testing.T) {
	s := newSite(t)
	documents := make([]bson.D, 5)
	for i := range documents {
		documents[i] = product(anna, i+1, published(true, true)...)
	}
	s.insert(anna, "products", documents...)
	s.api.SetMaxSkip(2)
	if got := s.send(anna, "GET", "/api/products?fields=sku&limit=1&page=2", ""); strings.Contains(got.body, "next") {
		t.Errorf("the page before the last names a cursor: %s", got.body)
	}
	got := s.send(anna, "GET", "/api/products?fields=sku&limit=1&page=3", "")
	cursor := text(t, got.body, "meta.next")
	if rest := ids(t, s.send(anna, "GET", "/api/products?fields=sku&cursor="+cursor, "")); strings.Join(rest, " ") != "2 1" {
		t.Errorf("behind the last page are %v", rest)
	}
	scenario{name: "beyond", path: "/api/products?limit=1&page=4", status: 400, want: refusal("bad_request")}.run(t, s)
}
