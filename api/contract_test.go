package api_test

import (
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
)

// contract are the calls of existing frontends to the resources that are built in, a line a slice of theirs: methods and paths below /api,
// in which ":id" stands for an id.
const contract = `
GET /tenants
GET /settings                  GET /settings/admin        POST /settings/admin        DELETE /settings/admin/a.key
GET /company                   POST /company              PUT /company/:id            DELETE /company/:id          PUT /company
GET /public/company
GET /R                         GET /R/slug/a-slug         GET /R/:id                  GET /R/admin                 GET /R/admin/:id
POST /R                        POST /R/admin              PUT /R/admin/:id            DELETE /R/admin/:id          PUT /R/:id       DELETE /R/:id
GET /C                         POST /C                    PUT /C/:id                  DELETE /C/:id                GET /C/:id
GET /faq                       GET /faq/admin             POST /faq/admin             PUT /faq/admin/:id           DELETE /faq/admin/:id
GET /gallery/published         PATCH /gallery/:id/toggle  PUT /gallery/:id            DELETE /gallery/:id          POST /gallery/upload
GET /product                   GET /products              GET /products/brands        GET /product/:id
GET /comment/product/:id       GET /comment/testimonials  POST /comment               GET /comment/admin           DELETE /comment/admin/:id
PUT /comment/admin/:id/toggle  PUT /comment/admin/:id/reply  PUT /comment/:id/toggle  DELETE /comment/:id
GET /contact                   POST /contact              PATCH /contact/:id/read     DELETE /contact/:id
GET /newsletter                POST /newsletter           PATCH /newsletter/:id/verify  DELETE /newsletter/:id
POST /users/login              POST /users/logout         POST /users/register        GET /users/account/me
GET /users/users               GET /users/users/:id       PUT /users/users/:id        DELETE /users/users/:id
PUT /users/users/:id/role      PUT /users/users/:id/status  GET /users
`

// leftOut are calls of existing frontends that nothing answers, as docs/api.md names them with the reason.
var leftOut = []string{
	"/api/faq/ask", "/api/recipes/generate", "/api/settings/admin/upload/<key>", "/api/files/admin", "/api/gallery/admin/batch/<action>", "/api/newsletter/unsubscribe",
	"/api/reactions/summary", "/api/chat/<room>", "/api/section/meta", "/api/modules/meta",
}

func TestContractOfExistingFrontends(t *testing.T) {
	s := newSite(t)
	const id = "66a000000000000000000001"
	call := func(method, path string) {
		t.Helper()
		got := s.send(anna, "OPTIONS", "/api"+strings.ReplaceAll(path, ":id", id), "")
		if allowed := strings.Split(got.header.Get("Allow"), ", "); got.status != http.StatusNoContent || !slices.Contains(allowed, method) {
			t.Errorf("%s %s: %d, allowed are %v", method, path, got.status, allowed)
		}
	}
	resources := []string{"about", "articles", "blog", "news", "services", "references", "gallery", "products"}
	categories := []string{"aboutcategory", "articlescategory", "blogcategory", "newscategory", "servicescategory", "referencescategory", "gallerycategory", "productscategory", "faqcategory"}
	words := strings.Fields(contract)
	for i := 0; i < len(words); i += 2 {
		method, path := words[i], words[i+1]
		for _, name := range resources {
			if strings.HasPrefix(path+"/", "/R/") {
				call(method, "/"+name+strings.TrimPrefix(path, "/R"))
			}
		}
		for _, name := range categories {
			if strings.HasPrefix(path+"/", "/C/") {
				call(method, "/"+name+strings.TrimPrefix(path, "/C"))
			}
		}
		if first := path[1:2]; first != "R" && first != "C" {
			call(method, path)
		}
	}
	guide, err := os.ReadFile("../docs/api.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range leftOut {
		if got := s.send(anna, "POST", strings.NewReplacer("<", "", ">", "").Replace(path), "{}"); got.status != http.StatusNotFound {
			t.Errorf("%s is said to be left out, and is there: %d", path, got.status)
		}
		if !strings.Contains(string(guide), "`"+path+"`") {
			t.Errorf("docs/api.md does not say that %s is left out", path)
		}
	}
}

// Comments are found by what they are about, and so are testimonials.
func TestListsBelowAList(t *testing.T) {
	s := newSite(t)
	s.addUsers(anna)
	admin := s.signIn(anna, adminEmail)
	const one, other = "66a000000000000000000001", "66a000000000000000000002"
	add := func(text, more string, published bool) {
		t.Helper()
		id := s.write(t, anna, "POST", "/api/comment", `{"comment":"`+text+`"`+more+`}`)
		if published {
			s.write(t, anna, "PUT", "/api/comment/admin/"+id+"/toggle", "", admin)
		}
	}
	add("first", `,"contentType":"product","contentId":"`+one+`","rating":2`, true)
	add("second", `,"contentType":"product","contentId":"`+one+`","rating":5`, true)
	add("hidden", `,"contentType":"product","contentId":"`+one+`"`, false)
	add("of the other", `,"contentType":"product","contentId":"`+other+`"`, true)
	add("of news", `,"contentType":"news","contentId":"`+one+`"`, true)
	add("praise", `,"type":"testimonial"`, true)
	list := func(path string, status int, want string) {
		t.Helper()
		scenario{name: path, path: path, status: status, want: want}.run(t, s)
	}
	page := func(total, more string, comments ...string) string {
		for i, text := range comments {
			comments[i] = `{"comment":"` + text + `"}`
		}
		return `{"success":true,"message":"OK","data":[` + strings.Join(comments, ",") + `],"meta":{"total":` + total + more + `}}`
	}
	const all = `,"page":1,"limit":50`
	list("/api/comment/product/"+one+"?fields=comment", 200, strings.ReplaceAll(page("2", all, "second", "first"), `{"comment"`, `{"_id":"<id>","comment"`))
	list("/api/comment/product/"+one+"?fields=comment&minRating=3", 200, strings.ReplaceAll(page("1", all, "second"), `{"comment"`, `{"_id":"<id>","comment"`))
	list("/api/comments/news/"+one+"?fields=comment", 200, strings.ReplaceAll(page("1", all, "of news"), `{"comment"`, `{"_id":"<id>","comment"`))
	list("/api/comment/product/66a000000000000000000009", 200, page("0", all))
	list("/api/comment/testimonials?fields=comment", 200, strings.ReplaceAll(page("1", all, "praise"), `{"comment"`, `{"_id":"<id>","comment"`))
	// What the path says cannot be taken back.
	list("/api/comment/testimonials?type=comment", 200, page("0", all))
	list("/api/comment/product/"+one+"?contentId="+other, 200, page("0", all))
	list("/api/comment/product/no-id", 404, refusal("not_found"))
	list("/api/comment/product%00/"+one, 404, refusal("not_found"))
	list("/api/faq/product/"+one, 404, refusal("not_found"))
	// A cursor of one list is none of another.
	first := s.send(anna, "GET", "/api/comment/product/"+one+"?cursor=&limit=1", "")
	next := text(t, first.body, "meta.next")
	list("/api/comment/product/"+one+"?limit=1&fields=comment&cursor="+next, 200, "")
	list("/api/comment/product/"+other+"?limit=1&cursor="+next, 400, refusal("bad_request"))
	list("/api/comments?limit=1&cursor="+next, 400, refusal("bad_request"))
}
