package api

import (
	"encoding/hex"
	"slices"
	"strings"
	"testing"

	"github.com/valyala/fasthttp"
	"go.mongodb.org/mongo-driver/v2/bson"

	"metahub/api/model"
)

func FuzzParseQuery(f *testing.F) {
	for _, seed := range []string{
		"", "page=2&limit=10&sort=-price,order", "price=10.5&tags=new&category=aaaaaaaaaaaaaaaaaaaaaaaa", "price[$ne]=1", "a=%zz",
		"brand=%00", "brand=%ff", "&&&=&", "sort=,", "limit=%31", "page=10001&limit=500", "tenant=x", "price=-0", "price=0x1p10",
		"price[gte]=1&price[lte]=2", "tags[in]=a,b&brand[exists]=true", "q=a.*b", "onlyLocalized=true&locale=de&flat=1", "brand[in]=,,&price[in]=1,x",
	} {
		f.Add(seed)
	}
	models, err := LoadModels(nil)
	if err != nil {
		f.Fatal(err)
	}
	products, _ := models.Named("product")
	f.Fuzz(func(t *testing.T, text string) {
		http := &fasthttp.RequestCtx{}
		http.Request.URI().SetQueryString(text)
		q, err := (&request{http: http}).parseQuery(products.Public, maxSkip)
		if err != nil {
			if refusal := asError(err); refusal.Status != 400 {
				t.Fatalf("status %d: %v", refusal.Status, err)
			}
			return
		}
		if q.page < 1 || q.limit < 1 || q.limit > products.Public.MaxLimit || q.skip() > maxSkip {
			t.Fatalf("page %d of %d", q.page, q.limit)
		}
		for _, e := range q.conditions {
			checkCondition(t, e)
		}
		for _, e := range q.sort {
			if e.Key != "_id" && !products.Public.Sortable(e.Key) {
				t.Fatalf("sorted by %q", e.Key)
			}
		}
		if _, err := bson.Marshal(products.Select(model.Scope{Tenant: "anna"}, products.Public, q.conditions...)); err != nil {
			t.Fatal(err)
		}
	})
}

// searchable are the paths that a public list of products may be narrowed by.
var searchable = []string{"sku", "brand", "price", "currency", "category", "tags", "_words"}

// checkCondition demands that a condition is a typed value, or one of the operators that a parameter stands for, on a field that may be
// searched.
func checkCondition(t *testing.T, e bson.E) {
	t.Helper()
	if e.Key == "$and" {
		for _, inner := range e.Value.(bson.A) {
			checkCondition(t, inner.(bson.D)[0])
		}
		return
	}
	base, language, localized := strings.Cut(e.Key, ".")
	if known := localized && base == "title" && len(language) == 2; !known && !slices.Contains(searchable, e.Key) {
		t.Fatalf("a condition on %q", e.Key)
	}
	switch value := e.Value.(type) {
	case string, bool, int64, float64, bson.ObjectID, bson.DateTime:
	case bson.Regex:
		if e.Key != "_words" || value.Options != "" || value.Pattern[0] != '^' {
			t.Fatalf("the condition on %q is %v", e.Key, value)
		}
	case bson.D:
		if !slices.Contains([]string{"$ne", "$gt", "$gte", "$lt", "$lte", "$in", "$nin", "$exists"}, value[0].Key) || len(value) != 1 {
			t.Fatalf("the condition on %q is %v", e.Key, value)
		}
	default:
		t.Fatalf("the condition on %q is a %T", e.Key, e.Value)
	}
}

func FuzzObjectID(f *testing.F) {
	for _, seed := range []string{"", "0123456789abcdefABCDEF01", "0123456789ab", "0123456789abcdefABCDEF0g", "０１２３４５６７"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		id, ok := objectID([]byte(text))
		want, err := hex.DecodeString(text)
		if ok != (err == nil && len(want) == 12) {
			t.Fatalf("%q: %v", text, ok)
		}
		if ok && id.Hex() != strings.ToLower(text) {
			t.Fatalf("%q became %s", text, id.Hex())
		}
	})
}
