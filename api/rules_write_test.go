package api_test

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// with is a JSON object with one member more.
func with(body, name, value string) string {
	return strings.TrimSuffix(body, "}") + `,"` + name + `":` + value + "}"
}

// R8
func attackAssignment(t *testing.T, f *fortress) {
	for _, r := range f.of {
		open := f.paths[r.base]["post"].Security == nil
		body := f.body(route{method: "POST", path: r.base}, r, "assigned", 4)
		before := f.countOf(r)
		// What only others may set.
		for _, name := range f.names(r) {
			creates := f.schemas[r.name+".create"].(map[string]any)["properties"].(map[string]any)
			if _, may := creates[name]; may || !open {
				continue
			}
			updates := f.schemas[r.name+".update"].(map[string]any)["properties"].(map[string]any)
			if _, declared := updates[name]; !declared {
				continue
			}
			value := encode(t, f.sample(updates[name], "assigned", 4))
			if got := f.send(anna, "POST", r.base, with(body, name, value)); got.status != 422 {
				t.Errorf("POST %s by everybody with %s: %d %s", r.base, name, got.status, got.body)
			}
		}
		// What nobody may set.
		for _, name := range []string{"_rev", "_words", "__proto__", "constructor", "owner", "isAdmin", "database"} {
			f.refused(t, 422, "POST", r.base, with(body, name, `"x"`))
			f.refused(t, 422, "PUT", r.base+"/"+r.ids[0], with(f.body(route{method: "PUT"}, r, f.mark[anna], 1), name, `"x"`))
		}
		if after := f.countOf(r); after != before {
			t.Errorf("%s: %d documents more", r.base, after-before)
		}
		if r.single {
			continue
		}
		// What the server sets.
		for name, value := range map[string]string{"_id": `"` + sampleID + `"`, "tenant": `"ben"`, "createdAt": `"2001-01-01T00:00:00Z"`, "__v": "77"} {
			body = with(body, name, value)
		}
		got := f.send(anna, "POST", r.base, body, f.admin[anna])
		if got.status != 201 {
			t.Errorf("POST %s: %d %s", r.base, got.status, got.body)
			continue
		}
		m, _ := f.models.Named(r.name)
		stored := f.stored(anna, m.Collection, bson.D{{Key: "_id", Value: oid(text(t, got.body, "data._id"))}})
		if stored["tenant"] != anna || stored["__v"] == int32(77) || stored["_id"] == oid(sampleID) || stored["createdAt"].(bson.DateTime).Time().Year() == 2001 {
			t.Errorf("%s: stored is %v", r.base, stored)
		}
	}
}

// R11
func attackPreconditions(t *testing.T, f *fortress) {
	r := f.resourceNamed("faq")
	path := r.base + "/" + r.ids[0]
	stale := f.get(anna, path, f.admin[anna]).header.Get("ETag")
	f.refused(t, 200, "PUT", path, `{"order":41}`)
	for _, one := range []struct{ method, path, body string }{{"PUT", path, `{"order":42}`}, {"PATCH", path, `{"order":42}`}, {"DELETE", path, ""}, {"PUT", path + "/toggle", ""}} {
		f.refused(t, 412, one.method, one.path, one.body, "If-Match: "+stale)
	}
	bulk := fmt.Sprintf(`{"items":[{"op":"update","id":%q,"body":{"order":42},"ifMatch":%q},{"op":"delete","id":%q,"ifMatch":%q}]}`, r.ids[0], stale, r.ids[0], stale)
	if got := f.refused(t, 200, "POST", r.base+"/_bulk", bulk); strings.Count(got.body, `"status":412`) != 2 {
		t.Errorf("a bulk with an old tag: %s", got.body)
	}
	// Of many who delete what they have all read, one does.
	known := f.get(anna, path, f.admin[anna]).header.Get("ETag")
	var won atomic.Int32
	var wait sync.WaitGroup
	for range 8 {
		wait.Go(func() {
			if f.send(anna, "DELETE", path, "", f.admin[anna], "If-Match: "+known).status == 200 {
				won.Add(1)
			}
		})
	}
	wait.Wait()
	if won.Load() != 1 {
		t.Errorf("%d have deleted it", won.Load())
	}
}

// R12
func attackErrors(t *testing.T, f *fortress) {
	tells := []string{"E11000", "mongo", "ferret", "sqlite", "dup key", "index:", "goroutine", ".go:", "panic", "bson", "runtime error", "nil pointer", "/tmp/"}
	refusals := 0
	for _, r := range f.routes(true) {
		path, of := f.address(r.path, anna)
		for _, body := range []string{`{"_id":{"a":1},"title":[1],"key":{},"email":[],"name":5,"items":[{"op":{}}],"password":5,"role":[]}`, f.body(r, of, f.mark[anna], 2)} {
			if of != nil && (r.method == "DELETE" || r.method != "POST" && body[:6] != `{"_id"`) {
				continue // the documents are attacked still; and what would be done is not told of
			}
			got := f.send(anna, r.method, path, body, f.admin[anna])
			if of == nil {
				f.signInAgain(anna)
			}
			if got.status >= 500 {
				t.Errorf("%s %s %s: %d %s", r.method, path, body, got.status, got.body)
			}
			if got.status < 400 {
				continue
			}
			refusals++
			for _, word := range tells {
				if strings.Contains(strings.ToLower(got.body), strings.ToLower(word)) {
					t.Errorf("%s %s %s tells of %q: %s", r.method, path, body, word, got.body)
				}
			}
			if text(t, got.body, "code") == "" || text(t, got.body, "request_id") != "request-1" {
				t.Errorf("%s %s: %s", r.method, path, got.body)
			}
			if got.status == 409 && strings.Contains(got.body, f.mark[anna]) {
				t.Errorf("%s %s repeats a value: %s", r.method, path, got.body)
			}
		}
	}
	if refusals < 250 {
		t.Errorf("only %d refusals were looked at", refusals)
	}
	if got := f.refused(t, 409, "POST", "/api/users", `{"name":"a","email":"`+adminEmail+`","password":"12345678"}`); strings.Contains(got.body, adminEmail) || !strings.Contains(got.body, `email`) {
		t.Errorf("a duplicate: %s", got.body)
	}
}

// R14
func attackBodies(t *testing.T, f *fortress) {
	for _, object := range []string{`{"$ne":1}`, `{"a.b":1}`, `{"a\u0000":1}`, `{"$where":"1"}`, `{"":{"$gt":1}}`, `{"a":[{"$set":{"x":1}}]}`, `{"a":1,"a":2}`} {
		for _, body := range []string{object, `{"key":"k","value":` + object + `}`, `{"title":` + object + `}`, `{"items":[{"op":"create","body":` + object + `}]}`} {
			for _, path := range []string{"/api/settings", "/api/products", "/api/products/_bulk", "/api/users/login"} {
				f.refused(t, 400, "POST", path, body)
			}
		}
		for _, field := range []string{"title", "attributes", "images"} {
			body, contentType := form(t, "sku", "form", field, object)
			f.refused(t, 422, "POST", "/api/products", body, contentType)
		}
	}
	for _, name := range []string{"$where", "a.b", "title[$ne]", "title[a.b]", "attributes[$set][x]", "images[0][$where]", "_id[$ne]", "title[__proto__]"} {
		body, contentType := form(t, "title[en]", "x", name, "1")
		f.refused(t, 422, "POST", "/api/products", body, contentType)
	}
	large := `{"key":"k","value":"` + strings.Repeat("x", 1<<20) + `"}`
	body, contentType := form(t, "title[en]", strings.Repeat("x", 1<<20))
	f.refused(t, 413, "POST", "/api/settings", large)
	f.refused(t, 413, "POST", "/api/settings/_bulk", large)
	f.refused(t, 413, "POST", "/api/products", body, contentType)
	f.refused(t, 413, "POST", "/api/settings", large, "Idempotency-Key: large")
	for _, order := range []string{"title", "title.en", "$natural", "_words", "_id", "attributes", "tags", "images.url", "price asc", "price:-1", "{}", ""} {
		f.refused(t, 400, "GET", "/api/products?sort="+strings.ReplaceAll(order, " ", "%20"), "")
	}
	if got := f.get(anna, "/api/products?q="+"form", ""); len(ids(t, got)) != 0 {
		t.Errorf("something was written: %s", got.body)
	}
}

// R15
func attackNumbers(t *testing.T, f *fortress) {
	for _, c := range []struct {
		value  string
		stored any
		answer string
	}{
		{"9007199254740991", int64(9007199254740991), "9007199254740991"},
		{"9007199254740993", int64(9007199254740993), `"9007199254740993"`},
		{"-9223372036854775808", int64(-9223372036854775808), `"-9223372036854775808"`},
		{"2147483648", int64(2147483648), "2147483648"},
		{"0.1", 0.1, "0.1"},
		{"1.7976931348623157e308", 1.7976931348623157e308, "1.7976931348623157e+308"},
		{"5e-324", 5e-324, "5e-324"},
		{"1e21", 1e21, "1e+21"},
		{"0.30000000000000004", 0.30000000000000004, "0.30000000000000004"},
		{`"2025-01-02T03:04:05.678Z"`, "2025-01-02T03:04:05.678Z", `"2025-01-02T03:04:05.678Z"`},
	} {
		got := f.send(anna, "POST", "/api/settings", `{"key":"number","value":`+c.value+`}`, f.admin[anna])
		stored := f.stored(anna, "settings", bson.D{{Key: "key", Value: "number"}})["value"]
		if got.status >= 300 || stored != c.stored || !strings.Contains(got.body, `"value":`+c.answer+",") {
			t.Errorf("%s: %d, stored %#v, answered %s", c.value, got.status, stored, got.body)
		}
	}
	for _, value := range []string{"1e400", "-1e400", "NaN", "Infinity", "01", "1.", "0x1"} {
		f.refused(t, 400, "POST", "/api/settings", `{"key":"number","value":`+value+`}`)
	}
	// A whole number beyond what JavaScript holds comes back as the text that it went out as, and finds its document.
	f.refused(t, 201, "POST", "/api/products", `{"title":{"en":"Many"},"stock":"9007199254740993","sku":"many","isPublished":true,"publishedAt":"2025-02-03T04:05:06.007+01:00"}`)
	stored := f.stored(anna, "products", bson.D{{Key: "sku", Value: "many"}})
	if stored["stock"] != int64(9007199254740993) || stored["publishedAt"] != bson.NewDateTimeFromTime(time.Date(2025, 2, 3, 3, 5, 6, 7e6, time.UTC)) {
		t.Errorf("stored %v and %v", stored["stock"], stored["publishedAt"])
	}
	if got := f.get(anna, "/api/products?sku=many", ""); !strings.Contains(got.body, `"stock":"9007199254740993"`) || !strings.Contains(got.body, `"publishedAt":"2025-02-03T03:05:06.007Z"`) {
		t.Errorf("answered %s", got.body)
	}
}

// R17
func attackForgery(t *testing.T, f *fortress) {
	login := `{"email":"` + adminEmail + `","password":"` + password + `"}`
	var cookies []string
	for _, set := range f.send(anna, "POST", "/api/users/login", login).header.Values("Set-Cookie") {
		pair, attributes, _ := strings.Cut(strings.ToLower(set), ";")
		for _, attribute := range []string{"httponly", "secure", "path=/", "samesite=lax"} {
			if !strings.Contains(attributes, attribute) {
				t.Errorf("the cookie %.20s has no %s:%s", pair, attribute, attributes)
			}
		}
		if !strings.HasPrefix(pair, "__host-") || strings.Contains(attributes, "domain=") {
			t.Errorf("the cookie %.20s may be of other hosts, or for them:%s", pair, attributes)
		}
		cookies = append(cookies, set[:len(pair)])
	}
	cookie := "Cookie: " + strings.Join(cookies, "; ")
	if got := f.get(anna, "/api/users/account/me", cookie); got.status != 200 {
		t.Fatalf("the cookies sign nobody in: %d %s", got.status, got.body)
	}
	before := f.documentsOf(anna, anna)
	tried := 0
	for _, r := range f.routes(true) {
		path, of := f.address(r.path, anna)
		body := f.body(r, of, "forged", 8)
		multipart, formType := form(t, "title", `{"en":"forged"}`, "isPublished", "true")
		for _, headers := range [][]string{
			{"Origin: https://evil.test"}, {"Origin: null"}, {"Origin: https://ben.test:8443"}, {"Sec-Fetch-Site: cross-site"}, {"Sec-Fetch-Site: same-site"}, {}, {"Referer: https://anna.test:8443/"},
			{"Origin: https://evil.test", formType}, {"Origin: https://evil.test", "Content-Type: text/plain"}, {"Origin: https://evil.test", "Content-Type: application/x-www-form-urlencoded"},
		} {
			sent := body
			if len(headers) == 2 && headers[1] == formType {
				sent = multipart
			}
			tried++
			got := f.send(anna, r.method, path, sent, append([]string{cookie}, headers...)...)
			mustSay := len(headers) > 0 && !strings.HasPrefix(headers[0], "Referer") // that the page is a foreign one
			refused := got.status == 403 || of == nil && got.status == 415
			if !refused && (!r.open || of == nil && mustSay) {
				t.Errorf("%s %s with %v: %d %s", r.method, path, headers, got.status, got.body)
			}
		}
	}
	after := f.documentsOf(anna, anna)
	for id, document := range before {
		if after[id] != document {
			t.Errorf("%s has changed", id)
		}
	}
	for id, document := range after {
		if before[id] == "" && strings.Contains(document, "userId") {
			t.Errorf("%s was added in the admin's name", id)
		}
	}
	if tried < 1000 {
		t.Errorf("only %d were tried", tried)
	}
}

// R18
func attackUploads(t *testing.T, f *fortress) {
	for _, r := range f.of {
		before := f.countOf(r)
		for _, path := range []string{r.base, r.base + "/admin"} {
			body, contentType := form(t, "title[en]", "x", "@images", "<svg onload=alert(1)>")
			if got := f.refused(t, 422, "POST", path, body, contentType); !strings.Contains(got.body, `"path":"images"`) {
				t.Errorf("POST %s with a file: %s", path, got.body)
			}
		}
		if after := f.countOf(r); after != before {
			t.Errorf("%s: %d documents more", r.base, after-before)
		}
	}
	for _, address := range []string{"javascript:alert(1)", "JavaScript:alert(1)", "data:text/html,<script>alert(1)</script>", "data:image/svg+xml;base64,AAAA", "vbscript:x", "file:///etc/passwd", "//[::1"} {
		f.refused(t, 422, "POST", "/api/products", `{"title":{"en":"x"},"images":[{"url":`+encode(t, address)+`}]}`)
	}
	for i, address := range []string{"/uploads/a.png", "uploads/a.png", "https://cdn.example.test/a.png?w=1", "http://example.test/a:b.png", "a/b:c.png", ""} {
		f.refused(t, 201, "POST", "/api/products", fmt.Sprintf(`{"title":{"en":"shown %d"},"images":[{"url":%q}]}`, i, address))
	}
	// What is said back is never a page.
	for _, path := range []string{"/api/<script>alert(1)</script>", "/api/products?<script>=1", batchOf("/<script>alert(1)</script>"), "/api/products/slug/<script>", "/api/settings?key=<img>"} {
		got := f.get(anna, strings.NewReplacer("<", "%3C", ">", "%3E").Replace(path), "")
		if got.header.Get("X-Content-Type-Options") != "nosniff" || !strings.HasPrefix(got.header.Get("Content-Type"), "application/json") {
			t.Errorf("%s: %s, %s", path, got.header.Get("Content-Type"), got.header.Get("X-Content-Type-Options"))
		}
	}
}

// R19
func attackSignIn(t *testing.T, f *fortress) {
	try := func(email, address string, headers ...string) answer {
		return f.send(anna, "POST", "/api/users/login", `{"email":"`+email+`","password":"wrong"}`, append(headers, "X-Real-IP: "+address)...)
	}
	for _, email := range []string{adminEmail, "nobody@example.test"} {
		spellings := []string{email, strings.ToUpper(email), " " + email, email + " ", strings.Replace(email, "e", "E", 1)}
		for i, spelling := range spellings {
			if got := try(spelling, "203.0.113.9", fmt.Sprintf("X-Forwarded-For: 198.51.100.%d", i), fmt.Sprintf("User-Agent: %d", i)); got.status != 401 || text(t, got.body, "code") != "invalid_credentials" {
				t.Errorf("%q: %d %s", spelling, got.status, got.body)
			}
		}
		if got := try(email, "203.0.113.9"); got.status != 429 || got.header.Get("Retry-After") == "" {
			t.Errorf("%q after %d failures: %d %s", email, len(spellings), got.status, got.body)
		}
	}
	known, unknown := try(adminEmail, "203.0.113.10"), try("nobody@example.test", "203.0.113.10")
	if known.body != unknown.body {
		t.Errorf("a known user is answered %s, an unknown one %s", known.body, unknown.body)
	}
}
