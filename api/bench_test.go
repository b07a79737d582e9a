package api

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/valyala/fasthttp"
	"go.mongodb.org/mongo-driver/v2/bson"

	"metahub/api/model"
	"metahub/tenant"
)

// BenchmarkListAnswer is what a list of 20 localized documents of 5 KB costs once the database has answered: from BSON to the body.
func BenchmarkListAnswer(b *testing.B) {
	models, err := LoadModels(nil)
	if err != nil {
		b.Fatal(err)
	}
	products, _ := models.Named("product")
	page := benchmarkPage(b, 20)
	http := &fasthttp.RequestCtx{}
	http.Request.Header.SetMethod(fasthttp.MethodGet)
	r := &request{http: http}
	b.SetBytes(int64(len(page)))
	b.ReportAllocs()
	for b.Loop() {
		http.Response.ResetBody()
		err := r.answer(reply{status: 200, message: "OK", data: documents{page, products.Public.Output(model.Fallback, false)}, meta: &meta{total: 20, page: 1, limit: 100, paged: true}})
		if err != nil {
			b.Fatal(err)
		}
	}
}

func benchmarkPage(b *testing.B, n int) (page []byte) {
	localized := func(text string) bson.D {
		var d bson.D
		for _, language := range []string{"tr", "en", "de", "pl", "fr", "es", "it", "pt", "ar", "ru", "zh", "hi"} {
			d = append(d, bson.E{Key: language, Value: text})
		}
		return d
	}
	for i := range n {
		document, err := bson.Marshal(bson.D{
			{Key: "_id", Value: bson.NewObjectID()},
			{Key: "title", Value: localized(fmt.Sprintf("Product %d", i))},
			{Key: "summary", Value: localized(strings.Repeat("Ein kurzer Satz. ", 6))},
			{Key: "description", Value: localized(strings.Repeat("Ein längerer Satz über das Produkt. ", 7))},
			{Key: "price", Value: 19.5},
			{Key: "tags", Value: bson.A{"one", "two"}},
			{Key: "isPublished", Value: true},
			{Key: "createdAt", Value: bson.NewDateTimeFromTime(time.Now())},
		})
		if err != nil {
			b.Fatal(err)
		}
		page = append(page, document...)
	}
	return page
}

func BenchmarkParseQuery(b *testing.B) {
	models, err := LoadModels(nil)
	if err != nil {
		b.Fatal(err)
	}
	products, _ := models.Named("product")
	http := &fasthttp.RequestCtx{}
	http.Request.SetRequestURI("/api/products?brand=Ensotek&price[gte]=10&sort=-price&limit=20&page=2")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := (&request{http: http}).parseQuery(products.Public, maxSkip); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkToken(b *testing.B) {
	t := &tenant.Tenant{Slug: "anna", JWTSecret: tenant.NewSecret("key")}
	token, err := signToken(t, bson.NewObjectID(), "admin", bson.NewObjectID(), time.Now())
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := verifyToken(t, token, time.Now); err != nil {
			b.Fatal(err)
		}
	}
}
