package api_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/x/bsonx/bsoncore"

	"metahub/bench/mongod"
)

// batchOf is the address of a batch.
func batchOf(urls ...string) string {
	return "/api/_batch?" + url.Values{"u": urls}.Encode()
}

func TestBatch(t *testing.T) {
	s := newSite(t)
	s.addUsers(anna)
	s.insert(anna, "products", product(anna, 1, published(true, true)...), product(anna, 2, published(true, false)...))
	s.insert(ben, "products", product(ben, 3, published(true, true)...))
	path := batchOf("/products?fields=sku", "/api/products/000000000000000000000001?fields=sku", "products/slug/none", "/products/admin?fields=sku", "/users/account/me", "/nothing", "/products?x=1")
	got := s.send(anna, "GET", path, "")
	failed := func(status int, code string) string {
		return fmt.Sprintf(`"status":%d,"body":{"success":false,"message":"<any>","code":"%s","request_id":"request-1","type":"about:blank","title":"<any>","status":%d,"detail":"<any>"}`, status, code, status)
	}
	want := `{"success":true,"message":"OK","data":[
		{"url":"/products?fields=sku","status":200,"etag":"<any>","body":{"success":true,"message":"OK","data":[{"_id":"000000000000000000000001"}],"meta":{"total":1,"page":1,"limit":100}}},
		{"url":"/api/products/000000000000000000000001?fields=sku","status":200,"etag":"<any>","body":{"success":true,"message":"OK","data":{"_id":"000000000000000000000001"}}},
		{"url":"products/slug/none",` + failed(404, "not_found") + `},{"url":"/products/admin?fields=sku",` + failed(401, "unauthorized") + `},{"url":"/users/account/me",` + failed(401, "unauthorized") + `},
		{"url":"/nothing",` + failed(404, "not_found") + `},{"url":"/products?x=1",` + failed(400, "bad_request") + `}]}`
	if difference := compare(decode(t, want), decode(t, got.body), "answer"); got.status != 200 || difference != "" {
		t.Errorf("%d %s\n%s", got.status, difference, got.body)
	}
	signedIn := s.send(anna, "GET", path, "", s.signIn(anna, adminEmail))
	if !strings.Contains(signedIn.body, `"_id":"000000000000000000000002"`) || !strings.Contains(signedIn.body, `"user":{`) || signedIn.header.Get("Cache-Control") != "private, no-store" {
		t.Errorf("for an admin: Cache-Control %s, %s", signedIn.header.Get("Cache-Control"), signedIn.body)
	}
	// Part for part it is what each address answers by itself.
	if alone := s.send(anna, "GET", "/api/products?fields=sku", ""); !strings.Contains(got.body, alone.body) || !strings.Contains(got.body, strings.Trim(alone.header.Get("ETag"), `"`)) {
		t.Errorf("alone it is %s, in the batch %s", alone.body, got.body)
	}
	// The other tenant has another answer, and another tag.
	other := s.send(ben, "GET", path, "")
	if strings.Contains(other.body, "000000000000000000000001\"}") || !strings.Contains(other.body, "000000000000000000000003") || other.header.Get("ETag") == got.header.Get("ETag") {
		t.Errorf("the other tenant: %s %s", other.header.Get("ETag"), other.body)
	}
	if got := s.send(anna, "GET", path, "", "If-None-Match: "+got.header.Get("ETag")); got.status != 304 || got.body != "" {
		t.Errorf("unchanged: %d %s", got.status, got.body)
	}
	scenario{name: "another's host as the address", path: batchOf("http://ben.test/api/products?fields=sku", "//ben.test/api/products"), status: 200, absent: []string{"000000000000000000000003"}}.run(t, s)
	scenario{name: "out of the API", path: batchOf("/../_batch?u=x", "/../../products"), status: 200, absent: []string{`"status":200`}}.run(t, s)
	for name, path := range map[string]string{"no address": "/api/_batch", "another parameter": "/api/_batch?u=/products&x=1", "too many": batchOf(strings.Split(strings.Repeat("/products,", 50)+"x", ",")...)} {
		scenario{name: name, path: path, status: 400, want: refusal("bad_request")}.run(t, s)
	}
	scenario{name: "a batch in a batch, and a stream", path: batchOf("/_batch?u=/products", "/products/_export"), status: 200, absent: []string{`"status":200`}}.run(t, s)
}

// What a batch holds in memory is bounded, however many addresses it names.
func TestBatchIsBounded(t *testing.T) {
	s := newSite(t)
	s.api.SetMaxPage(1000)
	s.insert(anna, "settings", bson.D{{Key: "tenant", Value: anna}, {Key: "key", Value: "a"}, {Key: "value", Value: strings.Repeat("x", 400)}, {Key: "isActive", Value: true}})
	got := s.send(anna, "GET", batchOf("/settings", "/settings?limit=2", "/settings?limit=3", "/settings?limit=4"), "")
	if large := strings.Count(got.body, "page_too_large"); got.status != 200 || large == 0 || large == 4 {
		t.Errorf("%d: %d of 4 answers are too large: %s", got.status, large, got.body)
	}
}

func TestTenantsAreNobodysBusiness(t *testing.T) {
	s := newSite(t)
	for _, slug := range []string{anna, ben} {
		scenario{name: slug, tenant: slug, path: "/api/tenants", status: 200, absent: []string{"the-key", "mongo", "secret"},
			want: `{"success":true,"message":"OK","data":[{"_id":"` + slug + `","slug":"` + slug + `","name":"Brand of ` + slug + `","domain":{"main":"` + slug + `.test","customDomains":["www.` + slug + `.test"]},"isActive":true}]}`}.run(t, s)
	}
}

func TestExport(t *testing.T) {
	s := newSite(t)
	s.addUsers(anna)
	admin := s.signIn(anna, adminEmail)
	var documents []bson.D
	for n := 1; n <= 250; n++ {
		documents = append(documents, product(anna, n, bson.E{Key: "brand", Value: strings.Repeat("b", 800)}, bson.E{Key: "password", Value: "undeclared"}))
	}
	s.insert(anna, "products", documents...)
	s.insert(ben, "products", product(ben, 999))
	got := s.send(anna, "GET", "/api/products/_export?flat=1", "", admin)
	lines := strings.Split(strings.TrimSuffix(got.body, "\n"), "\n")
	if got.status != 200 || got.header.Get("Content-Type") != "application/x-ndjson; charset=utf-8" || len(lines) != len(documents) {
		t.Fatalf("%d, %s, %d lines", got.status, got.header.Get("Content-Type"), len(lines))
	}
	for i, line := range lines {
		if id := text(t, line, "_id"); id != fmt.Sprintf("%024x", i+1) {
			t.Fatalf("line %d is of %s", i, id)
		}
	}
	if !strings.Contains(lines[0], `"title":"Product 1"`) || !strings.Contains(lines[0], `"costPrice":777.5`) || strings.Contains(got.body, "undeclared") || strings.Contains(got.body, "_rev") {
		t.Errorf("the first line is %s", lines[0])
	}
	if got := s.send(anna, "GET", "/api/products/_export?fields=title", "", admin); !strings.HasPrefix(got.body, `{"_id":"000000000000000000000001","title":{"en":"Product 1"}}`+"\n{") {
		t.Errorf("with fields: %d %.200s", got.status, got.body)
	}
	runAll(t, s, []scenario{
		{name: "nobody exports", path: "/api/products/_export", status: 401, want: refusal("unauthorized")},
		{name: "nor a user", path: "/api/products/_export", headers: []string{s.signIn(anna, userEmail)}, status: 403, want: refusal("forbidden")},
		{name: "passwords are not in it", path: "/api/users/_export", headers: []string{admin}, status: 200, absent: []string{"password", "$2a$"}},
	})
}

// An export of 80 MB takes no more memory than one of a few.
func TestExportInFlatMemory(t *testing.T) {
	const batches = 200 // of 100 documents
	page := mongod.FirstBatch("anna.products", 0, mongod.Documents(100)...)
	last := mongod.FirstBatch("anna.products", 0)
	var asked atomic.Int32
	users := keepUsers(&mongod.Changes{})
	server, err := mongod.Start(func(ctx context.Context, command bsoncore.Document) bsoncore.Document {
		switch collection, _ := command.Lookup("find").StringValueOK(); {
		case collection != "products":
			return users(ctx, command)
		case asked.Add(1) > batches:
			return last
		}
		return page
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	s := newSiteAt(t, nil, server.URI(anna))
	request, err := http.NewRequestWithContext(t.Context(), "GET", "http://"+s.address+"/api/products/_export", nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Host = anna + ".test"
	name, value, _ := strings.Cut(s.signIn(anna, adminEmail), ": ")
	request.Header.Set(name, value)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var memory runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&memory)
	before, most, bytes := memory.HeapAlloc, uint64(0), int64(0)
	for lines, buffer := 0, make([]byte, 1<<20); ; {
		n, err := response.Body.Read(buffer)
		lines += strings.Count(string(buffer[:n]), "\n")
		if at := bytes >> 22; (bytes+int64(n))>>22 > at {
			runtime.GC() // what waits for it is no one's memory
			runtime.ReadMemStats(&memory)
			most = max(most, memory.HeapAlloc)
		}
		bytes += int64(n)
		if err == io.EOF {
			if lines != batches*100 {
				t.Errorf("%d lines, want %d", lines, batches*100)
			}
			break
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if bytes < 70<<20 || most > before+32<<20 {
		t.Errorf("%d MiB took %d MiB of memory, %d MiB before", bytes>>20, most>>20, before>>20)
	}
}
