package api_test

import (
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"

	"metahub/api/model"
)

// R1
func attackTypes(t *testing.T, f *fortress) {
	for _, query := range []string{
		"price[$gt]=0", "price[$ne]=", `price={"$gt":0}`, "price[gte][$ne]=1", "price[]=1", "price[0]=1", "price=", "price=1&price=2", "price=true", "price=0x10", "price=NaN",
		"category[$ne]=x", "category=x", "brand[$regex]=.", "$or=[]", "$where=1", "_id=" + sampleID, "tenant=ben", "isActive[]=false", "brand.x=1", "__proto__=1", "onlyLocalized[$ne]=1",
	} {
		for _, path := range []string{"/api/products?", "/api/products/admin?"} {
			f.refused(t, 400, "GET", path+url.PathEscape(query), "")
			f.refused(t, 400, "GET", path+query, "")
		}
	}
	// What is an operator elsewhere is a text here, and an empty value is the empty text.
	for _, value := range []string{`{"$ne":""}`, `{"$gt":""}`, "[$ne]", "$exists", ""} {
		if got := ids(t, f.get(anna, "/api/products?brand="+url.QueryEscape(value), "")); len(got) != 0 {
			t.Errorf("brand=%s finds %v", value, got)
		}
	}
	for _, body := range []string{`{"email":{"$gt":""},"password":{"$gt":""}}`, `{"email":["` + adminEmail + `"],"password":"x"}`, `{"email":"` + adminEmail + `","password":{"ne":""}}`, `{"email":"` + adminEmail + `","password":true}`} {
		if got := f.send(anna, "POST", "/api/users/login", body); got.status != 400 && got.status != 422 {
			t.Errorf("login with %s: %d %s", body, got.status, got.body)
		}
	}
}

// lists calls do with each view that is served as a list, its address, and who may read it.
func (f *fortress) lists(do func(r *resource, path string, view *model.View, who string)) {
	f.twins.t.Helper()
	for _, r := range f.of {
		m, ok := f.models.Named(r.name)
		if !ok {
			f.twins.t.Fatalf("no model is named %q", r.name)
		}
		if r.single {
			continue
		}
		do(r, r.base+"/admin", m.Admin, f.admin[anna])
		if m.Public != nil {
			do(r, r.base, m.Public, "")
		}
		if m.Own != nil {
			do(r, r.base+"/mine", m.Own, f.user[anna])
		}
	}
}

// R2
func attackOperators(t *testing.T, f *fortress) {
	tried := 0
	f.lists(func(_ *resource, path string, view *model.View, who string) {
		for _, name := range append(view.ParameterNames(), "title", "") {
			operators := []string{"$regex", "where", "$eq"}
			if path == "/api/products" {
				operators = append(operators, strings.Fields("regex not expr or and nor gte$ like size all elemMatch mod type text near options $in")...)
			}
			for _, op := range operators {
				tried++
				if got := f.get(anna, path+"?"+name+"["+op+"]=1", who); got.status != 400 {
					t.Errorf("%s?%s[%s]: %d", path, name, op, got.status)
				}
			}
		}
		for _, name := range []string{"filter", "where", "hint", "select", "populate", "include"} {
			if got := f.get(anna, path+"?"+name+"={}", who); got.status != 400 {
				t.Errorf("%s?%s={}: %d", path, name, got.status)
			}
		}
	})
	if tried < 500 {
		t.Errorf("only %d were tried", tried)
	}
}

// R3
func attackAggregations(t *testing.T, f *fortress) {
	for _, query := range []string{"pipeline=[]", "minPrice[$gt]=0", `minPrice={"$gt":0}`, "minPrice[gte]=0", "minPrice=", "minPrice=1&minPrice=2", "fields=costPrice", "locale=de"} {
		f.refused(t, 400, "GET", "/api/products/brands?"+query, "")
	}
	const pipeline = "- $group: { _id: $brand, count: { $sum: 1 } }"
	for _, stage := range strings.Fields("$lookup $graphLookup $unionWith $out $merge $facet $geoNear $currentOp $collStats $indexStats $listSessions $changeStream $documents $search $redact $replaceRoot $replaceWith $sample $fill $densify") {
		if err := modelOf(t, "products.yaml", pipeline, "- "+stage+": { from: users }"); err == nil {
			t.Errorf("a pipeline may have %s", stage)
		}
	}
	for _, stage := range []string{
		`$match: { $where: "1" }`, `$match: { $or: [{ a: { $expr: 1 } }] }`, `$group: { _id: { $function: { body: x } } }`, `$group: { _id: $brand, x: { $accumulator: {} } }`, `$project: { all: $$ROOT }`,
		`$project: { all: $$ROOT.costPrice }`, `$project: { all: [{ a: $$CURRENT }] }`, `$match: { $jsonSchema: {} }`, `$group: { _id: $costPrice }`, `$group: { _id: { a: [$costPrice.x] } }`, `$unwind: $costPrice`,
	} {
		if err := modelOf(t, "products.yaml", pipeline, "- "+stage); err == nil {
			t.Errorf("a pipeline may have %s", stage)
		}
	}
	// Whatever the file says, its pipeline works on what the view shows of the tenant's documents.
	found := 0
	for _, m := range f.models.All() {
		for _, a := range m.Aggregations {
			found++
			stages, err := a.Pipeline(m, model.Scope{Tenant: anna}, map[string]any{})
			if err != nil || len(stages) < 3 {
				t.Fatalf("%s of %s: %v, %v", a.Name, m.Name, stages, err)
			}
			first, second, last := stages[0].(bson.D)[0], stages[1].(bson.D)[0], stages[len(stages)-1].(bson.D)[0]
			if tenant := first.Value.(bson.D)[0]; first.Key != "$match" || tenant != (bson.E{Key: m.TenantField, Value: anna}) {
				t.Errorf("%s of %s begins with %v", a.Name, m.Name, first)
			}
			if second.Key != "$project" || len(second.Value.(bson.D)) != len(a.View.ReadableNames()) || last.Key != "$limit" {
				t.Errorf("%s of %s: %v … %v", a.Name, m.Name, second, last)
			}
		}
	}
	if found == 0 {
		t.Error("there is no aggregation")
	}
}

// names are the fields of a resource that anybody may write, and those that the server keeps.
func (f *fortress) names(r *resource) []string {
	all := []string{"tenant", "__v", "_rev", "_words", "slugLower", "password", "title.en"}
	for _, kind := range []string{".create", ".update", ".admin"} {
		properties, _ := f.schemas[r.name+kind].(map[string]any)["properties"].(map[string]any)
		for name := range properties {
			all = append(all, name)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// R4
func attackUnreadable(t *testing.T, f *fortress) {
	tried := 0
	f.lists(func(r *resource, path string, view *model.View, who string) {
		readable := view.ReadableNames()
		for _, name := range f.names(r) {
			if slices.Contains(readable, name) {
				continue
			}
			for _, query := range []string{name + "=x", name + "[exists]=true", "sort=-" + name, "fields=_id," + name} {
				tried++
				if got := f.get(anna, path+"?"+query, who); got.status != 400 {
					t.Errorf("%s?%s: %d %.200s", path, query, got.status, got.body)
				}
			}
		}
	})
	if tried < 500 {
		t.Errorf("only %d were tried", tried)
	}
	// The search is over what its reader may see.
	if err := modelOf(t, "products.yaml", "search: { from: [title, summary, tags, sku, brand] }", "search: { from: [title] }"); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		word string
		want int
	}{{f.mark[anna], 1}, {"undeclared", 0}} {
		got := ids(t, f.get(anna, "/api/products?q="+c.word, ""))
		if len(got) < c.want || c.want == 0 && len(got) > 0 {
			t.Errorf("q=%s finds %v", c.word, got)
		}
	}
}

// R5
func attackPatterns(t *testing.T, f *fortress) {
	mark := f.mark[anna]
	for _, pattern := range []string{mark[:3] + ".*", "^" + mark, mark + "$", mark[:4] + "?" + mark[4:], "(" + mark + "|x)", "[a-z]+" + mark, "(a+)+$" + mark, `\w` + mark[1:], "." + mark[1:]} {
		for _, path := range []string{"/api/products/slug/", "/api/settings/"} {
			if got := f.get(anna, path+url.PathEscape(pattern)+"-1", ""); got.status != 404 {
				t.Errorf("%s%s: %d %.200s", path, pattern, got.status, got.body)
			}
		}
		if got := ids(t, f.get(anna, "/api/products?brand="+url.QueryEscape(pattern), "")); len(got) > 0 {
			t.Errorf("brand=%s finds %v", pattern, got)
		}
	}
	for _, words := range []string{"." + mark[1:] + "x", mark[1:], "x*" + mark, strings.Repeat("(a+)", 15)} {
		if got := ids(t, f.get(anna, "/api/products?q="+url.QueryEscape(words), "")); len(got) > 0 {
			t.Errorf("q=%s finds %v", words, got)
		}
	}
	f.refused(t, 400, "GET", "/api/products?q="+strings.Repeat("a", 65), "")
}

// R6
func attackBounds(t *testing.T, f *fortress) {
	f.lists(func(_ *resource, path string, view *model.View, who string) {
		for _, query := range []string{"limit=0", "limit=-1", fmt.Sprintf("limit=%d", view.MaxLimit+1), "limit=1e2", "limit=9223372036854775808", "limit=", "limit=1&limit=500",
			"page=0", "page=-1", "page=10002", "page=10002&limit=1", "page=9223372036854775807&limit=500", "count=all", "skip=1", "offset=1", "per_page=1000"} {
			if got := f.get(anna, path+"?"+query, who); got.status != 400 {
				t.Errorf("%s?%s: %d", path, query, got.status)
			}
		}
		meta := decode(t, f.get(anna, path, who).body).(map[string]any)["meta"].(map[string]any)
		if limit := fmt.Sprint(meta["limit"]); limit != fmt.Sprint(view.DefaultLimit) || view.DefaultLimit > model.MaxLimit || view.MaxLimit > model.MaxLimit {
			t.Errorf("%s has a page of %s", path, limit)
		}
	})
	if got := f.refused(t, 400, "GET", "/api/products?page=102&limit=100", ""); !strings.Contains(got.body, "cursor") {
		t.Errorf("who pages too far is not told of the cursor: %s", got.body)
	}
}

// conditions are so many parameters that a list of products takes.
func (f *fortress) conditions(n int) (all []string) {
	products, _ := f.models.Named("product")
	for _, name := range products.Public.ParameterNames() {
		for _, op := range []string{"", "[ne]", "[in]", "[nin]", "[exists]"} {
			value := map[string]string{"": "1", "[exists]": "true"}[op]
			if value == "" {
				value = "1"
			}
			condition := name + op + "=" + value
			if len(all) < n && f.get(anna, "/api/products?"+condition, "").status == 200 {
				all = append(all, condition)
			}
		}
	}
	if len(all) != n {
		f.twins.t.Fatalf("only %d of %d conditions are taken", len(all), n)
	}
	return all
}

// R7
func attackComplexity(t *testing.T, f *fortress) {
	many := func(n int, format string) string {
		var all strings.Builder
		for i := range n {
			fmt.Fprintf(&all, format, i)
		}
		return all.String()
	}
	// Each for its own reason: what is refused for another would be let through with a little more care.
	for _, c := range []struct{ query, reason string }{
		{strings.Join(f.conditions(21), "&"), "At most 20 parameters"},
		{"brand[in]=x" + strings.Repeat(",x", 100), "at most 100 values"},
		{"price" + strings.Repeat("[gte]", 100) + "=1", "The name of a parameter is too long"},
		{"sort=price,stock,sku,brand,order", "at most 4 fields"},
		{"fields=sku" + strings.Repeat(",sku", 50), "At most 50 fields"},
		{"brand=" + strings.Repeat("x", 257), "at most 256 bytes"},
		{strings.Repeat("x", 65) + "=1", "The name of a parameter is too long"},
		{"cursor=" + strings.Repeat("A", 3000), "The cursor does not belong"},
	} {
		if got := f.refused(t, 400, "GET", "/api/products?"+c.query, ""); !strings.Contains(got.body, c.reason) {
			t.Errorf("%.80s is not refused because %q: %s", c.query, c.reason, got.body)
		}
	}
	if got := f.get(anna, "/api/products?"+strings.Join(f.conditions(20), "&"), ""); got.status != 200 {
		t.Errorf("20 parameters: %d %s", got.status, got.body)
	}
	for _, body := range []string{
		`{"title":` + strings.Repeat("[", 100_000) + strings.Repeat("]", 100_000) + `}`, strings.Repeat(`{"a":`, 100_000), `{"title":{` + strings.TrimSuffix(many(1001, `"k%d":1,`), ",") + `}}`,
		`{"title":{"en":"a"},"attributes":{"a":` + strings.Repeat(`{"a":`, 31) + "1" + strings.Repeat("}", 31) + `}}`,
	} {
		f.refused(t, 400, "POST", "/api/products", body)
	}
	for _, name := range []string{"attributes" + strings.Repeat("[a]", 8), "attributes" + strings.Repeat("[a]", 10_000), strings.Repeat("[", 1000)} {
		body, contentType := form(t, "title[en]", "a", name, "x")
		if got := f.refused(t, 422, "POST", "/api/products", body, contentType); !strings.Contains(got.body, "is too long a name") && !strings.Contains(got.body, "is not a name") {
			t.Errorf("the name %.80s is refused for something else: %s", name, got.body)
		}
	}
	var parts []string
	for i := range 1001 {
		parts = append(parts, fmt.Sprintf("attributes[k%d]", i), "x")
	}
	body, contentType := form(t, parts...)
	f.refused(t, 400, "POST", "/api/products", body, contentType)
	if err := modelOf(t, "products.yaml", "    category: [name, slug]\n    comments", "    category: [name, slug]\n    a: []\n    b: []\n    c: []\n    d: []\n    comments"); err == nil {
		t.Error("a view may show six other collections")
	}
}

// leak is in what no schema declares.
const leak = "undeclared secret"

// hashed is how the hashes of passwords begin.
var hashed = regexp.MustCompile(`\$(2[aby]|argon2id)\$`)

// R9
func attackOutput(t *testing.T, f *fortress) {
	f.each(anna, func(c *mongo.Collection, document bson.D) error {
		_, err := c.ReplaceOne(t.Context(), bson.D{{Key: "_id", Value: document[0].Value}}, leaking(document, true))
		return err
	})
	answers := 0
	for _, r := range f.routes(false) {
		path, _ := f.address(r.path, anna)
		if strings.HasSuffix(path, "/_events") || r.path == "/api/_batch" {
			continue
		}
		for who, header := range map[string]string{"nobody": "", "the admin": f.admin[anna], "a key": f.key[anna]} {
			if who == "a key" {
				path += "?flat=1"
			}
			got := f.get(anna, path, header)
			if strings.Contains(got.body, leak) || hashed.MatchString(got.body) {
				t.Errorf("GET %s by %s: %s", path, who, got.body)
			}
			if strings.Contains(got.body, f.mark[anna]) {
				answers++
			}
		}
	}
	if answers < 100 {
		t.Errorf("only %d answers had a document in them", answers)
	}
	for _, r := range f.of { // what a write answers is no other view
		if got := f.send(anna, "PUT", r.base+"/"+r.ids[0], f.body(route{method: "PUT"}, r, f.mark[anna], 1), f.admin[anna]); got.status != 200 || strings.Contains(got.body, leak) || hashed.MatchString(got.body) {
			t.Errorf("PUT %s: %d %s", r.base, got.status, got.body)
		}
	}
}

// leaking is a document with undeclared fields in it and in each object within, but not in maps of languages.
func leaking(document bson.D, top bool) bson.D {
	out := make(bson.D, 0, len(document)+1)
	localized := false
	for _, e := range document {
		localized = localized || e.Key == "en"
		out = append(out, bson.E{Key: e.Key, Value: leakingValue(e.Value)})
	}
	if !localized || top {
		out = append(out, bson.E{Key: "smtpPass", Value: leak})
	}
	return out
}

func leakingValue(v any) any {
	switch v := v.(type) {
	case bson.D:
		return leaking(v, false)
	case bson.A:
		out := make(bson.A, len(v))
		for i, element := range v {
			out[i] = leakingValue(element)
		}
		return out
	}
	return v
}

// R10
func attackFields(t *testing.T, f *fortress) {
	for _, value := range []string{"password", "+password", "%2Bpassword", "-name", "name,password", "*", "$name", "name.first", "_rev", "_words", "tenant", "__proto__", "name%00", "{}", "name;password", "PASSWORD"} {
		for _, path := range []string{"/api/users", "/api/users/admin", "/api/users/" + f.resourceNamed("user").ids[0], "/api/users/_export"} {
			got := f.refused(t, 400, "GET", path+"?fields="+value, "")
			if hashed.MatchString(got.body) {
				t.Errorf("%s?fields=%s: %s", path, value, got.body)
			}
		}
	}
}

func (f *fortress) resourceNamed(name string) *resource {
	for _, r := range f.of {
		if r.name == name {
			return r
		}
	}
	f.twins.t.Fatalf("there is no %q", name)
	return nil
}

// R13
func attackIDs(t *testing.T, f *fortress) {
	for _, r := range f.of {
		for _, base := range []string{r.base + "/", r.base + "/admin/"} {
			for _, id := range []string{"aaaaaaaaaaaa", sampleID[1:], sampleID + "a", sampleID[:23] + "g", strings.Repeat("%00", 24), strings.Repeat("%20", 24), "0x" + sampleID[2:], `%7B%22$ne%22:1%7D`, "%EF%BC%90" + sampleID[3:], "-1"} {
				for _, method := range []string{"GET", "PUT", "DELETE"} {
					body := ""
					if method == "PUT" {
						body = f.body(route{method: "PUT"}, r, f.mark[anna], 1)
					}
					f.refused(t, 404, method, base+id, body)
				}
			}
		}
	}
	// An id that is there, with something behind it, is not that id.
	for _, r := range f.of {
		if !r.single {
			f.refused(t, 200, "GET", r.base+"/admin/"+r.ids[1], "")
			f.refused(t, 404, "GET", r.base+"/admin/"+r.ids[1]+"a", "")
			f.refused(t, 404, "GET", r.base+"/admin/"+r.ids[1]+"%00", "")
		}
	}
	for _, category := range []string{"aaaaaaaaaaaa", sampleID + "a", strings.Repeat("é", 12)} {
		f.refused(t, 422, "POST", "/api/products", `{"title":{"en":"x"},"category":"`+category+`"}`)
		f.refused(t, 400, "GET", "/api/products?category="+category, "")
	}
}
