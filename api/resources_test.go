package api_test

import (
	"context"
	"strings"
	"sync"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
)

// ids returns the _id of each document of a list, in order.
func ids(t testing.TB, a answer) (all []string) {
	t.Helper()
	if a.status != 200 {
		t.Fatalf("status %d: %s", a.status, a.body)
	}
	list, ok := decode(t, a.body).(map[string]any)["data"].([]any)
	if !ok {
		t.Fatalf("no list: %s", a.body)
	}
	for _, d := range list {
		id, _ := d.(map[string]any)["_id"].(string)
		all = append(all, strings.TrimLeft(id, "0"))
	}
	return all
}

func TestParameters(t *testing.T) {
	s := newSite(t)
	on := func(n int, more ...bson.E) bson.D {
		return product(anna, n, published(true, true, more...)...)
	}
	brand := func(name string) bson.E { return bson.E{Key: "brand", Value: name} }
	price := func(v any) bson.E { return bson.E{Key: "price", Value: v} }
	tags := func(v ...any) bson.E { return bson.E{Key: "tags", Value: bson.A(v)} }
	s.insert(anna, "products",
		on(1, brand("a"), price(10), tags("x")), on(2, brand("b"), price(20.5), tags("x", "y")), on(3, brand("c"), price(int64(30))), on(4),
		product(anna, 5, append(published(true, false), brand("a"), price(10))...),
		product(ben, 6, published(true, true, brand("a"), price(10))...),
	)
	f := func(query, want string) {
		t.Helper()
		if got := strings.Join(ids(t, s.send(anna, "GET", "/api/products?sort=createdAt&"+query, "")), " "); got != want {
			t.Errorf("%s: %s, want %s", query, got, want)
		}
	}
	f("price[gte]=20.5", "2 3")
	f("price[gt]=10&price[lt]=30", "2")
	f("price%5Blte%5D=20.5", "1 2")
	f("minPrice=20&maxPrice=25", "2")
	f("price[ne]=10", "2 3 4")
	f("brand[in]=a,c", "1 3")
	f("brand[nin]=a,c", "2 4")
	f("price[in]=10,30", "1 3")
	f("brand[exists]=false", "4")
	f("price[exists]=true", "1 2 3")
	f("tags=x&tags[ne]=y", "1")
	f("onlyLocalized=true&locale=en", "1 2 3 4")
	f("onlyLocalized=true&locale=de", "")
	f("onlyLocalized=no&locale=de", "1 2 3 4") // another value than the declared one does nothing

	refuse := func(query, message string) {
		t.Helper()
		scenario{name: query, path: "/api/products?" + query, status: 400,
			want: `{"success":false,"message":"` + message + `","code":"bad_request","request_id":"request-1"}`}.run(t, s)
	}
	refuse("price[in]=1,x", `The parameter \"price[in]\" must be values separated by commas, each of them a number.`)
	refuse("brand[in]="+strings.Repeat("a,", 101), `The parameter \"brand[in]\" must be at most 100 values separated by commas.`)
	refuse("brand[exists]=maybe", `The parameter \"brand[exists]\" must be \"true\" or \"false\".`)
	refuse("q="+strings.Repeat("a", 65), `The parameter \"q\" must be a text of at most 64 bytes.`)
	refuse("locale=klingon", `The parameter \"locale\" must be a language like \"de\".`)
	refuse("flat=yes", `The parameter \"flat\" must be one of: 0, 1.`)
	for _, query := range []string{"brand[gte]=a", "isPublished[ne]=true", "costPrice[gte]=1", "costPrice[exists]=true", "title[exists]=true", "language=de"} {
		if got := s.send(anna, "GET", "/api/products?"+query, ""); got.status != 400 {
			t.Errorf("%s: %d, want 400", query, got.status)
		}
	}
}

func TestSearch(t *testing.T) {
	s := newSite(t)
	s.addUsers(anna)
	admin := s.signIn(anna, adminEmail)
	post := func(body string) string {
		t.Helper()
		return text(t, scenario{name: body, method: "POST", path: "/api/products", body: body, headers: []string{admin}, status: 201}.run(t, s).body, "data._id")
	}
	tower := post(`{"title":{"tr":"Soğutma Kulesi İki","de":"Kühlturm groß"},"tags":["CTP 6"],"sku":"ENS.6","isPublished":true}`)
	pump := post(`{"title":{"en":"Pump (a+)"},"isPublished":true}`)
	f := func(q string, want ...string) {
		t.Helper()
		got := ids(t, s.send(anna, "GET", "/api/products?sort=createdAt&q="+q, ""))
		if strings.Join(got, " ") != strings.Join(want, " ") {
			t.Errorf("%q: %v, want %v", q, got, want)
		}
	}
	f("kuhlturm", tower)
	f("K%C3%9CHL", tower)
	f("gross", tower)
	f("sogutma+iki", tower) // every word
	f("sogutma+pump")
	f("ulturm") // words are found by how they begin
	f("ens", tower)
	f("pump", pump)
	f("p.mp") // and no pattern is a pattern
	f(".*", tower, pump)
	// What is changed is found by its new words alone.
	scenario{name: "rename", method: "PATCH", path: "/api/products/" + pump, body: `{"title":{"en":"Valve"}}`, headers: []string{admin}, status: 200}.run(t, s)
	f("valve", pump)
	f("pump")
}

func TestLocalized(t *testing.T) {
	s := newSite(t)
	s.addUsers(anna)
	admin := s.signIn(anna, adminEmail)
	category := text(t, scenario{name: "category", method: "POST", path: "/api/aboutcategory", body: `{"name":{"en":"Team","tr":"Ekip"}}`, headers: []string{admin}, status: 201,
		want: `{"success":true,"message":"Created.","data":{"_id":"<id>","name":{"en":"Team","tr":"Ekip"},"slug":"team","order":0,"isActive":true,"createdAt":"<date>","updatedAt":"<date>"}}`}.run(t, s).body, "data._id")
	id := text(t, scenario{name: "about", method: "POST", path: "/api/about", headers: []string{admin}, status: 201,
		body: `{"title":{"tr":"Hakkımızda","de":"Über uns"},"category":"` + category + `","isPublished":true}`}.run(t, s).body, "data._id")
	answer := func(title, slug, name string) string {
		return `{"success":true,"message":"<any>","data":{"_id":"` + id + `","title":` + title + `,"slug":` + slug + `,"category":{"_id":"` + category + `","name":` + name + `,"slug":"team"},
			"order":0,"isActive":true,"isPublished":true,"publishedAt":"<date>","createdAt":"<date>","updatedAt":"<date>"}}`
	}
	whole := answer(`{"tr":"Hakkımızda","de":"Über uns"}`, `{"tr":"hakkimizda","de":"uber-uns"}`, `{"en":"Team","tr":"Ekip"}`)
	turkish := answer(`"Hakkımızda"`, `"hakkimizda"`, `"Ekip"`)
	german := answer(`"Über uns"`, `"uber-uns"`, `"Team"`)
	path := "/api/about/" + id
	runAll(t, s, []scenario{
		{name: "whole maps", path: path, status: 200, want: whole},
		{name: "whole maps whatever the language", path: path + "?locale=de", status: 200, want: whole},
		{name: "flat by the header", path: path + "?flat=1", headers: []string{"Accept-Language: fr;q=0, xx, de-AT;q=0.7, tr;q=0.9"}, status: 200, want: turkish},
		{name: "the parameter wins", path: path + "?flat=1&locale=de", headers: []string{"Accept-Language: tr"}, status: 200, want: german},
		{name: "a language that is missing", path: path + "?flat=1&locale=en", status: 200, want: answer(`"Hakkımızda"`, `"hakkimizda"`, `"Team"`)},
		{name: "a header of nonsense", path: path + "?flat=1", headers: []string{"Accept-Language: ,;q=,de;q=7,tr;q=x," + strings.Repeat("a,", 1000)}, status: 200, want: answer(`"Hakkımızda"`, `"hakkimizda"`, `"Team"`)},
		{name: "by slug", path: "/api/about/slug/uber-uns", status: 200, want: whole},
		{name: "by slug in capitals, by the alias", path: "/api/public/about/slug/UBER-UNS?flat=1&locale=tr", status: 200, want: turkish},
		{name: "no such slug", path: "/api/about/slug/nobody", status: 404, want: refusal("not_found")},
		{name: "an operator as a slug", path: "/api/about/slug/%7B%22$ne%22:1%7D", status: 404, want: refusal("not_found")},
		{name: "another tenant's slug", tenant: ben, path: "/api/about/slug/uber-uns", status: 404, want: refusal("not_found")},
		{name: "one language is changed", method: "PUT", path: path, headers: []string{admin}, body: `{"title":{"de":"Wir"}}`, status: 200},
		{name: "and the others stay, and so does the address", path: path, status: 200, want: answer(`{"tr":"Hakkımızda","de":"Wir"}`, `{"tr":"hakkimizda","de":"uber-uns"}`, `{"en":"Team","tr":"Ekip"}`)},
	})
}

func TestSlugsAreUnique(t *testing.T) {
	s := newSite(t)
	s.addUsers(anna)
	admin := s.signIn(anna, adminEmail)
	slugs := func(body string) map[string]any {
		t.Helper()
		got := scenario{name: body, method: "POST", path: "/api/news", body: body, headers: []string{admin}, status: 201}.run(t, s)
		return decode(t, got.body).(map[string]any)["data"].(map[string]any)["slug"].(map[string]any)
	}
	if got := slugs(`{"title":{"de":"Neu!","en":"New"}}`); got["de"] != "neu" || got["en"] != "new" {
		t.Errorf("the first has %v", got)
	}
	if got := slugs(`{"title":{"de":"Neu","en":"Other","zh":"新"}}`); got["de"] != "neu-2" || got["en"] != "other" || got["zh"] != "新" {
		t.Errorf("the second has %v", got)
	}
	if got := slugs(`{"title":{"de":"Neu"}}`); got["de"] != "neu-3" {
		t.Errorf("the third has %v", got)
	}
	if got := slugs(`{"title":{"de":"Neu"},"slug":{"de":"Etwas Anderes/?"}}`); got["de"] != "etwas-anderes" {
		t.Errorf("an address of its own is %v", got)
	}
	if got := slugs(`{"title":{"de":"Neu"},"slug":{"de":"Grüße"}}`); got["de"] != "Grüße" {
		t.Errorf("an address of its own that can be one is %v", got)
	}
	taken := `{"success":false,"message":"Another document has the same \"slug\" already.","code":"duplicate","request_id":"request-1"}`
	runAll(t, s, []scenario{
		{name: "an address of another", method: "POST", path: "/api/news", body: `{"title":{"de":"X"},"slug":{"de":"neu"}}`, headers: []string{admin}, status: 409, want: taken},
		{name: "in other letters", method: "POST", path: "/api/news", body: `{"title":{"de":"X"},"slug":{"de":"GRÜSSE"}}`, headers: []string{admin}, status: 201},
		{name: "the same but for the case", method: "POST", path: "/api/news", body: `{"title":{"de":"X"},"slug":{"de":"grüße"}}`, headers: []string{admin}, status: 409, want: taken},
	})
}

// Two documents may have one address in different languages; each reader finds that of his own.
func TestSlugOfTwoLanguages(t *testing.T) {
	s := newSite(t)
	s.addUsers(anna)
	admin := s.signIn(anna, adminEmail)
	for _, language := range []string{"de", "en"} {
		scenario{name: language, method: "POST", path: "/api/news", body: `{"title":{"` + language + `":"Team"},"isPublished":true}`, headers: []string{admin}, status: 201}.run(t, s)
	}
	for _, language := range []string{"de", "en"} {
		got := s.send(anna, "GET", "/api/news/slug/team?flat=1", "", "Accept-Language: "+language)
		whole := s.send(anna, "GET", "/api/news/slug/team?locale="+language, "")
		if got.status != 200 || !strings.Contains(whole.body, `"title":{"`+language+`":"Team"}`) {
			t.Errorf("%s: %d %s, %s", language, got.status, got.body, whole.body)
		}
	}
	if got := s.send(anna, "GET", "/api/news/slug/team?locale=pl", ""); got.status != 200 {
		t.Errorf("in another language: %d %s", got.status, got.body)
	}
}

func TestMessagesAreInTheClientsLanguage(t *testing.T) {
	s := newSite(t)
	german := []string{"Accept-Language: de-DE,de;q=0.9,en;q=0.8"}
	got := s.send(anna, "GET", "/api/products?price=cheap", "", german...)
	want := `{"success":false,"message":"Der Parameter \"price\" muss sein: eine Zahl.","code":"bad_request","request_id":"request-1",` +
		`"type":"about:blank","title":"Bad Request","status":400,"detail":"Der Parameter \"price\" muss sein: eine Zahl."}`
	if got.status != 400 || got.body != want || got.header.Get("Vary") != "Accept-Language" {
		t.Errorf("%d %s, Vary %s", got.status, got.body, got.header.Get("Vary"))
	}
	runAll(t, s, []scenario{
		{name: "an answer", path: "/api/products", headers: []string{"Accept-Language: tr"}, status: 200, want: `{"success":true,"message":"Tamam","data":[],"meta":{"total":0,"page":1,"limit":100}}`},
		{name: "by the parameter", path: "/api/products?locale=tr&page=x", headers: german, status: 400,
			want: `{"success":false,"message":"\"page\" parametresi 1 ile 2147483647 arasında bir tam sayıdır.","code":"bad_request","request_id":"request-1"}`},
		{name: "the envelope by default", path: "/api/nothing", status: 404, header: []string{"Content-Type: application/json; charset=utf-8"}},
		{name: "a problem on request", path: "/api/nothing", headers: []string{"Accept: application/problem+json, application/json"}, status: 404, header: []string{"Content-Type: application/problem+json"}},
	})
}

func TestUpsertByKey(t *testing.T) {
	s := newSite(t)
	s.addUsers(anna)
	s.addUsers(ben)
	admin := s.signIn(anna, adminEmail)
	setting := func(message, value, active string) string {
		return `{"success":true,"message":"` + message + `","data":{"_id":"<id>","key":"theme","value":` + value + `,"isActive":` + active + `,"createdAt":"<date>","updatedAt":"<date>"}}`
	}
	post := func(name, body string, status int, want string) scenario {
		return scenario{name: name, method: "POST", path: "/api/settings/admin", body: body, headers: []string{admin}, status: status, want: want}
	}
	runAll(t, s, []scenario{
		post("a new key", `{"key":"theme","value":{"dark":true}}`, 201, setting("Created.", `{"dark":true}`, "true")),
		post("the same key", `{"key":"theme","value":"light","isActive":false}`, 200, setting("Updated.", `"light"`, "false")),
		post("what is not sent stays", `{"key":"theme","value":null}`, 200, setting("Updated.", "null", "false")),
		post("a body at fault", `{"key":"theme","value":1,"isActive":"x"}`, 422, ""),
		{name: "by key", path: "/api/settings/admin/theme", headers: []string{admin}, status: 200, want: setting("OK", "null", "false")},
		{name: "by key in public", path: "/api/settings/theme", status: 404, want: refusal("not_found")},
		{name: "not without a token", method: "DELETE", path: "/api/settings/admin/theme", status: 401, want: refusal("unauthorized")},
		{name: "another tenant's", tenant: ben, method: "DELETE", path: "/api/settings/admin/theme", headers: []string{s.signIn(ben, adminEmail)}, status: 404, want: refusal("not_found")},
		{name: "deleted by key", method: "DELETE", path: "/api/settings/admin/theme", headers: []string{admin}, status: 200, want: `{"success":true,"message":"Deleted."}`},
		{name: "and gone", method: "DELETE", path: "/api/settings/admin/theme", headers: []string{admin}, status: 404, want: refusal("not_found")},
		post("a secret", `{"key":"secret.smtp","value":"s3cret"}`, 201, ""),
		{name: "is no public key", path: "/api/settings/secret.smtp", status: 404, want: refusal("not_found"), absent: []string{"s3cret"}},
	})
}

func TestSingleton(t *testing.T) {
	s := newSite(t)
	s.addUsers(anna)
	admin := s.signIn(anna, adminEmail)
	company := func(message, name, more string) string {
		return `{"success":true,"message":"` + message + `","data":{"_id":"<id>","companyName":"` + name + `"` + more + `,"createdAt":"<date>","updatedAt":"<date>"}}`
	}
	created := scenario{name: "create", method: "POST", path: "/api/company", headers: []string{admin}, status: 201,
		body: `{"companyName":"Ensotek","bankDetails":{"iban":"DE00"}}`, want: company("Created.", "Ensotek", `,"bankDetails":{"iban":"DE00"}`)}
	runAll(t, s, []scenario{
		{name: "nothing yet", path: "/api/company", status: 404, want: refusal("not_found")},
		created,
		{name: "public", path: "/api/company", status: 200, want: company("OK", "Ensotek", ""), absent: []string{"DE00"}},
		{name: "by an alias", path: "/api/public/company", status: 200},
		{name: "to create it again is to change it", method: "POST", path: "/api/company", headers: []string{admin}, body: `{"companyName":"Enso"}`, status: 200, want: company("Updated.", "Enso", `,"bankDetails":{"iban":"DE00"}`)},
		{name: "without an id", method: "PUT", path: "/api/company", headers: []string{admin}, body: `{"bankDetails":null}`, status: 200, want: company("Updated.", "Enso", "")},
		{name: "the other tenant has none", tenant: ben, path: "/api/company", status: 404},
		{name: "delete", method: "DELETE", path: "/api/company", headers: []string{admin}, status: 200},
		{name: "gone", path: "/api/company", status: 404},
	})
	var wait sync.WaitGroup
	for range 8 {
		wait.Go(func() {
			if got := s.send(anna, "POST", "/api/company", `{"companyName":"at once"}`, admin); got.status != 200 && got.status != 201 && got.status != 409 {
				t.Errorf("status %d: %s", got.status, got.body)
			}
		})
	}
	wait.Wait()
	if n := s.count(anna, "companies"); n != 1 {
		t.Errorf("%d companies", n)
	}
}

// count counts documents past the API.
func (s *site) count(slug, collection string) (n int64) {
	s.t.Helper()
	err := s.store.Do(s.t.Context(), s.tenant(slug), func(ctx context.Context, db *mongo.Database) (err error) {
		n, err = db.Collection(collection).CountDocuments(ctx, bson.D{})
		return err
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return n
}

func TestActions(t *testing.T) {
	s := newSite(t)
	s.addUsers(anna)
	s.addUsers(ben)
	admin, user := s.signIn(anna, adminEmail), s.signIn(anna, userEmail)
	got := scenario{name: "anybody writes", method: "POST", path: "/api/contact", body: `{"name":"Ada","email":"Ada@Example.test","message":"Hello","recaptchaToken":"x"}`, status: 201,
		want: `{"success":true,"message":"Created.","data":{"_id":"<id>","createdAt":"<date>","updatedAt":"<date>"}}`}.run(t, s)
	path := "/api/contact/" + text(t, got.body, "data._id")
	message := func(read, archived string) string {
		return `{"success":true,"message":"Updated.","data":{"_id":"<id>","name":"Ada","email":"ada@example.test","message":"Hello","isRead":` + read + `,"isArchived":` + archived + `,"createdAt":"<date>","updatedAt":"<date>"}}`
	}
	patch := func(name, path, body string, status int, want string, headers ...string) scenario {
		return scenario{name: name, method: "PATCH", path: path, body: body, headers: headers, status: status, want: want}
	}
	runAll(t, s, []scenario{
		{name: "nobody reads", path: "/api/contact", status: 401},
		patch("values", path+"/read", "", 200, message("true", "false"), admin),
		patch("toggle", path+"/archive", "", 200, message("true", "true"), admin),
		patch("and back, under admin", strings.Replace(path, "contact/", "contact/admin/", 1)+"/archive", "", 200, message("true", "false"), admin),
		patch("not signed in", path+"/read", "", 401, refusal("unauthorized")),
		patch("not a role", path+"/read", "", 403, refusal("forbidden"), user),
		patch("no such action", path+"/write", "", 404, refusal("not_found"), admin),
		patch("no such document", "/api/contact/ffffffffffffffffffffffff/read", "", 404, refusal("not_found"), admin),
		patch("not an id", "/api/contact/x/read", "", 404, refusal("not_found"), admin),
		{name: "the other tenant's", tenant: ben, method: "PATCH", path: path + "/read", headers: []string{s.signIn(ben, adminEmail)}, status: 404, want: refusal("not_found")},
		{name: "what nobody may set", method: "POST", path: "/api/contact", body: `{"name":"A","email":"a@b.test","message":"m","isRead":true,"isArchived":true}`, status: 422,
			want: `{"success":false,"message":"Validation error.","code":"validation_failed","request_id":"request-1","errors":[{"path":"isArchived","msg":"is not a field that can be set"},{"path":"isRead","msg":"is not a field that can be set"}]}`},
		{name: "an action is not read", path: path + "/read", status: 405, header: []string{"Allow: OPTIONS, PATCH, PUT"}},
	})
	users := ids(t, s.send(anna, "GET", "/api/users?email="+userEmail, "", admin))
	role := "/api/users/users/" + users[0] + "/role"
	runAll(t, s, []scenario{
		patch("set", role, `{"role":"moderator"}`, 200, "", admin),
		patch("another field", role, `{"role":"user","isActive":false}`, 422, "", admin),
		patch("nothing", role, `{}`, 400, refusal("bad_request"), admin),
		patch("a value that is not one", role, `{"role":"root"}`, 422, "", admin),
		patch("by oneself", role, `{"role":"admin"}`, 403, refusal("forbidden"), user),
	})
}

func TestOwnership(t *testing.T) {
	s := newSite(t)
	s.addUsers(anna)
	if err := s.api.CreateUser(t.Context(), s.tenant(anna), "Other", "other@example.test", password, "customer"); err != nil {
		t.Fatal(err)
	}
	admin, user, other := s.signIn(anna, adminEmail), s.signIn(anna, userEmail), s.signIn(anna, "other@example.test")
	mine := scenario{name: "mine", method: "POST", path: "/api/comments", body: `{"comment":"mine","email":"me@example.test"}`, headers: []string{user}, status: 201}.run(t, s)
	scenario{name: "nobody's", method: "POST", path: "/api/comment", body: `{"comment":"nobody's","email":"nobody@example.test"}`, status: 201}.run(t, s)
	scenario{name: "with a token of no use", method: "POST", path: "/api/comment", body: `{"comment":"expired"}`, headers: []string{"Authorization: Bearer x"}, status: 201}.run(t, s)
	path := "/api/comments/" + text(t, mine.body, "data._id")
	runAll(t, s, []scenario{
		{name: "unpublished comments are not public", path: "/api/comments", status: 200, absent: []string{"mine", "nobody"}},
		{name: "the owner sees his own", path: "/api/comments/mine", headers: []string{user}, status: 200, absent: []string{"nobody", "expired"}},
		{name: "and others theirs", path: "/api/comments/mine", headers: []string{other}, status: 200, absent: []string{"mine\"", "nobody"}},
		{name: "nobody sees nothing", path: "/api/comments/mine", status: 401},
		{name: "the admin's own are none", path: "/api/comments/mine", headers: []string{admin}, status: 200, absent: []string{"mine\"", "nobody"}},
		{name: "the owner changes it", method: "PUT", path: path, body: `{"comment":"changed"}`, headers: []string{user}, status: 200},
		{name: "but does not publish it", method: "PUT", path: path, body: `{"isPublished":true}`, headers: []string{user}, status: 422},
		{name: "nor give it away", method: "PUT", path: path, body: `{"userId":"aaaaaaaaaaaaaaaaaaaaaaaa"}`, headers: []string{user}, status: 422},
		{name: "another user does not change it", method: "PUT", path: path, body: `{"comment":"x"}`, headers: []string{other}, status: 404, want: refusal("not_found")},
		{name: "nor delete it", method: "DELETE", path: path, headers: []string{other}, status: 404, want: refusal("not_found")},
		{name: "nobody changes it", method: "PUT", path: path, body: `{"comment":"x"}`, status: 401},
		{name: "the admin publishes it", method: "PUT", path: path + "/toggle", headers: []string{admin}, status: 200},
		{name: "and it is public without its owner", path: "/api/comments", status: 200, absent: []string{"userId", "me@example.test"}},
		{name: "the owner deletes it", method: "DELETE", path: path, headers: []string{user}, status: 200},
	})
}

func TestPopulate(t *testing.T) {
	s := newSite(t)
	s.addUsers(anna)
	open, closed, foreign := oid("aaaaaaaaaaaaaaaaaaaaaaa1"), oid("aaaaaaaaaaaaaaaaaaaaaaa2"), oid("aaaaaaaaaaaaaaaaaaaaaaa3")
	category := func(slug string, id bson.ObjectID, active bool) bson.D {
		return bson.D{{Key: "_id", Value: id}, {Key: "tenant", Value: slug}, {Key: "name", Value: bson.D{{Key: "en", Value: "Category"}}}, {Key: "slug", Value: "c"},
			{Key: "isActive", Value: active}, {Key: "note", Value: "undeclared"}}
	}
	s.insert(anna, "productscategories", category(anna, open, true), category(anna, closed, false), category("other", foreign, true))
	comment := func(n int, published bool) bson.D {
		return bson.D{{Key: "_id", Value: bson.ObjectID{byte(n)}}, {Key: "tenant", Value: anna}, {Key: "comment", Value: "said"}, {Key: "email", Value: "hidden@example.test"},
			{Key: "isActive", Value: true}, {Key: "isPublished", Value: published}}
	}
	s.insert(anna, "comments", comment(1, true), comment(2, false))
	ref := func(id bson.ObjectID) bson.E { return bson.E{Key: "category", Value: id} }
	s.insert(anna, "products",
		product(anna, 1, published(true, true, ref(open), bson.E{Key: "comments", Value: bson.A{bson.ObjectID{1}, bson.ObjectID{2}, bson.ObjectID{9}}})...),
		product(anna, 2, published(true, true, ref(closed))...),
		product(anna, 3, published(true, true, ref(foreign))...),
		product(anna, 4, published(true, true, bson.E{Key: "category", Value: bson.D{{Key: "password", Value: "inlined"}}})...),
	)
	visible := `{"_id":"aaaaaaaaaaaaaaaaaaaaaaa1","name":{"en":"Category"},"slug":"c"}`
	document := func(n, category, more string) string {
		return `{"_id":"00000000000000000000000` + n + `","title":{"en":"Product ` + n + `"},"isActive":true,"isPublished":true,"createdAt":"<date>","updatedAt":"<date>","category":` + category + more + `}`
	}
	said := `,"comments":[{"_id":"010000000000000000000000","comment":"said"}]`
	runAll(t, s, []scenario{
		{name: "a list", path: "/api/products?sort=createdAt", status: 200, absent: []string{"undeclared", "hidden@", "inlined", "aaaaaaaaaaaaaaaaaaaaaaa2", "aaaaaaaaaaaaaaaaaaaaaaa3"},
			want: `{"success":true,"message":"OK","data":[` + document("1", visible, said) + `,` + document("2", "null", "") + `,` + document("3", "null", "") + `,` + document("4", "null", "") + `],"meta":{"total":4,"page":1,"limit":100}}`},
		{name: "one", path: "/api/products/000000000000000000000001", status: 200, want: `{"success":true,"message":"OK","data":` + document("1", visible, said) + `}`},
	})
	// Admins see what the category's own admins see.
	got := s.send(anna, "GET", "/api/products/admin/000000000000000000000002", "", s.signIn(anna, adminEmail))
	if !strings.Contains(got.body, `"category":{"_id":"aaaaaaaaaaaaaaaaaaaaaaa2"`) {
		t.Errorf("the admin sees %s", got.body)
	}
	if got := s.send(anna, "GET", "/api/products/admin/000000000000000000000003", "", s.signIn(anna, adminEmail)); !strings.Contains(got.body, `"category":null`) {
		t.Errorf("the admin sees another tenant's category: %s", got.body)
	}
}

func TestAggregations(t *testing.T) {
	s := newSite(t)
	of := func(n int, brand string, price float64, shown bool) bson.D {
		return product(anna, n, append(published(true, shown), bson.E{Key: "brand", Value: brand}, bson.E{Key: "price", Value: price}, bson.E{Key: "tags", Value: bson.A{"t", brand}})...)
	}
	s.insert(anna, "products", of(1, "a", 5, true), of(2, "b", 10, true), of(3, "b", 20, true), of(4, "b", 10, false),
		product(ben, 5, published(true, true, bson.E{Key: "brand", Value: "foreign"}, bson.E{Key: "price", Value: 10})...))
	answer := func(data string) string { return `{"success":true,"message":"OK","data":` + data + `}` }
	runAll(t, s, []scenario{
		{name: "all", path: "/api/products/brands", status: 200, want: answer(`[{"_id":"b","count":2},{"_id":"a","count":1}]`)},
		{name: "a parameter", path: "/api/products/brands?minPrice=10", status: 200, want: answer(`[{"_id":"b","count":2}]`)},
		{name: "both", path: "/api/product/brands?minPrice=6&maxPrice=15.5", status: 200, want: answer(`[{"_id":"b","count":1}]`)},
		{name: "tags", path: "/api/products/tags", status: 200, want: answer(`[{"_id":"t","count":3},{"_id":"b","count":2},{"_id":"a","count":1}]`)},
		{name: "the other tenant", tenant: ben, path: "/api/products/tags", status: 200, want: answer(`[]`)},
		{name: "not a number", path: "/api/products/brands?minPrice={%22$gt%22:0}", status: 400, want: refusal("bad_request")},
		{name: "an unknown parameter", path: "/api/products/brands?pipeline=[]", status: 400, want: refusal("bad_request")},
		{name: "only read", method: "POST", path: "/api/products/brands", body: "{}", status: 405, header: []string{"Allow: GET, HEAD, OPTIONS"}},
	})
}

// Changes of one document at once are all kept: each is made on what the one before has left.
func TestChangesAtOnce(t *testing.T) {
	s := newSite(t)
	s.addUsers(anna)
	admin := s.signIn(anna, adminEmail)
	id := text(t, scenario{name: "create", method: "POST", path: "/api/about", body: `{"title":{"en":"a"}}`, headers: []string{admin}, status: 201}.run(t, s).body, "data._id")
	languages := []string{"tr", "de", "pl", "fr", "es", "it"}
	var wait sync.WaitGroup
	for _, language := range languages {
		wait.Go(func() {
			if got := s.send(anna, "PATCH", "/api/about/"+id, `{"title":{"`+language+`":"x"}}`, admin); got.status != 200 {
				t.Errorf("%s: %d %s", language, got.status, got.body)
			}
		})
	}
	wait.Wait()
	stored := s.stored(anna, "abouts", bson.D{})
	if n := len(stored["title"].(bson.D)); n != 1+len(languages) {
		t.Errorf("%d languages are left of %d: %v", n, 1+len(languages), stored["title"])
	}
	if stored["_rev"] != int32(len(languages)) {
		t.Errorf("the revision is %v", stored["_rev"])
	}
}
