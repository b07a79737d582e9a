package api

import (
	"encoding/hex"
	"strings"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"
)

func FuzzParseQuery(f *testing.F) {
	for _, seed := range []string{
		"", "page=2&limit=10&sort=-price,order", "price=10.5&tags=new&category=aaaaaaaaaaaaaaaaaaaaaaaa", "price[$ne]=1", "a=%zz",
		"brand=%00", "brand=%ff", "&&&=&", "sort=,", "limit=%31", "page=10001&limit=500", "tenant=x", "price=-0", "price=0x1p10",
	} {
		f.Add(seed)
	}
	models, err := loadModels(nil)
	if err != nil {
		f.Fatal(err)
	}
	products, _ := models.Named("product")
	f.Fuzz(func(t *testing.T, text string) {
		q, err := parseQuery([]byte(text), products.Public)
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
			if _, ok := products.Public.Filter(e.Key); !ok {
				t.Fatalf("a condition on %q", e.Key)
			}
			switch e.Value.(type) {
			case string, bool, int64, float64, bson.ObjectID, bson.DateTime:
			default:
				t.Fatalf("the condition on %q is a %T", e.Key, e.Value)
			}
		}
		for _, e := range q.sort {
			if e.Key != "_id" && !products.Public.Sortable(e.Key) {
				t.Fatalf("sorted by %q", e.Key)
			}
		}
		if _, err := bson.Marshal(products.Select("anna", products.Public, q.conditions...)); err != nil {
			t.Fatal(err)
		}
	})
}

func FuzzParseID(f *testing.F) {
	for _, seed := range []string{"", "0123456789abcdefABCDEF01", "0123456789ab", "0123456789abcdefABCDEF0g", "０１２３４５６７"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		id, ok := parseID([]byte(text))
		want, err := hex.DecodeString(text)
		if ok != (err == nil && len(want) == 12) {
			t.Fatalf("%q: %v", text, ok)
		}
		if ok && id.Hex() != strings.ToLower(text) {
			t.Fatalf("%q became %s", text, id.Hex())
		}
	})
}
