package api_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"metahub/api"
	"metahub/api/model"
)

// withModels copies the built-in models into a folder of the test's own, from which its API then reads them.
func withModels(t *testing.T) (*site, string) {
	t.Helper()
	folder := t.TempDir()
	if err := os.CopyFS(folder, os.DirFS("models")); err != nil {
		t.Fatal(err)
	}
	return newSiteOf(t, os.DirFS(folder)), folder
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// documented is the resource that docs/models.md adds without a line of Go.
func documented(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../docs/models.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(text), "cat > models/events.yaml <<'EOF'\n")
	event, _, ended := strings.Cut(rest, "EOF\n")
	if !found || !ended {
		t.Fatal("docs/models.md shows no events.yaml")
	}
	return event
}

func TestModelsAreReloaded(t *testing.T) {
	event := documented(t)
	s, folder := withModels(t)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); s.api.WatchModelsEvery(ctx, 5*time.Millisecond) }()
	t.Cleanup(func() { cancel(); <-ended })
	file := filepath.Join(folder, "events.yaml")
	status := func() int { return s.send(anna, "GET", "/api/events", "").status }
	s.await("no events", func() bool { return status() == 404 })

	write(t, file, event)
	s.await("events", func() bool { return status() == 200 })
	// A model at fault costs nobody anything: the last good ones stay, and the log says what is wrong.
	write(t, file, strings.Replace(event, "timestamps: true", "timestamp: true", 1))
	s.await("the fault in the log", func() bool {
		for _, entry := range s.logs.FilterMessage("models not loaded, the last good ones stay").All() {
			if strings.HasPrefix(entry.ContextMap()["fault"].(string), `events.yaml:5: a model: unknown key "timestamp"`) {
				return true
			}
		}
		return false
	})
	if got := status(); got != 200 {
		t.Errorf("with a fault in its file the resource answers %d", got)
	}
	write(t, file, strings.Replace(event, "/api/events", "/api/dates", 1))
	s.await("the other route", func() bool { return status() == 404 && s.send(anna, "GET", "/api/dates", "").status == 200 })
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	s.await("no dates", func() bool { return s.send(anna, "GET", "/api/dates", "").status == 404 })
	// Nobody could sign in without the users.
	if err := os.Remove(filepath.Join(folder, "users.yaml")); err != nil {
		t.Fatal(err)
	}
	s.await("that in the log", func() bool {
		return s.logs.FilterMessage("models not loaded, the last good ones stay").FilterFieldKey("fault").Len() > 1
	})
	if got := s.send(anna, "GET", "/api/users", ""); got.status != 401 {
		t.Errorf("the users answer %d", got.status)
	}
}

// await waits until a condition holds.
func (s *site) await(what string, holds func() bool) {
	s.t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			s.t.Fatalf("%s: it does not come", what)
		}
	}
}

// The resource of the documentation has no fault, and all that the documentation says of it is so.
func TestDocumentedModel(t *testing.T) {
	s, folder := withModels(t)
	write(t, filepath.Join(folder, "events.yaml"), documented(t))
	if err := s.api.ReloadModels(); err != nil {
		t.Fatal(err)
	}
	set, err := model.Load(os.DirFS(folder))
	if err != nil || len(set.Lint()) > 0 {
		t.Fatalf("%v, %v", err, set.Lint())
	}
	s.addUsers(anna)
	admin := s.signIn(anna, adminEmail)
	created := scenario{name: "create", method: "POST", path: "/api/events", headers: []string{admin}, status: 201,
		body: `{"title":{"en":"Fair"},"place":"Berlin","startsAt":"2026-05-01T10:00:00Z","cost":5}`}.run(t, s)
	public := `{"_id":"<id>","title":{"en":"Fair"},"slug":{"en":"fair"},"place":"Berlin","startsAt":"2026-05-01T10:00:00.000Z","isActive":true,"createdAt":"<date>","updatedAt":"<date>"}`
	runAll(t, s, []scenario{
		{name: "list", path: "/api/events?startsAt[gte]=2026-01-01&place=Berlin", status: 200, want: `{"success":true,"message":"OK","data":[` + public + `],"meta":{"total":1,"page":1,"limit":50}}`},
		{name: "later", path: "/api/events?startsAt[gt]=2026-05-01T10:00:00Z", status: 200, want: `{"success":true,"message":"OK","data":[],"meta":{"total":0,"page":1,"limit":50}}`},
		{name: "slug", path: "/api/events/slug/fair", status: 200, want: `{"success":true,"message":"OK","data":` + public + `}`},
		{name: "action", method: "PUT", path: "/api/events/" + text(t, created.body, "data._id") + "/toggle", headers: []string{admin}, status: 200},
		{name: "hidden", path: "/api/events/slug/fair", status: 404},
	})
}

// An action that a model gives to owners reaches their own documents alone, and shows what owners see.
func TestActionOfOwners(t *testing.T) {
	s, folder := withModels(t)
	file := filepath.Join(folder, "comments.yaml")
	original, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	write(t, file, strings.Replace(string(original), "actions:\n", "actions:\n  withdraw: { values: { isActive: false }, roles: [user, customer] }\n", 1))
	if err := s.api.ReloadModels(); err != nil {
		t.Fatal(err)
	}
	s.addUsers(anna)
	if err := s.api.CreateUser(t.Context(), s.tenant(anna), "Other", "other@example.test", password, "customer"); err != nil {
		t.Fatal(err)
	}
	user := s.signIn(anna, userEmail)
	mine := scenario{name: "mine", method: "POST", path: "/api/comments", body: `{"comment":"mine"}`, headers: []string{user}, status: 201}.run(t, s)
	path := "/api/comments/" + text(t, mine.body, "data._id") + "/withdraw"
	runAll(t, s, []scenario{
		{name: "of another", method: "PUT", path: path, headers: []string{s.signIn(anna, "other@example.test")}, status: 404, want: refusal("not_found")},
		{name: "by a role that has it not", method: "PUT", path: path, headers: []string{s.signIn(anna, adminEmail)}, status: 403, want: refusal("forbidden")},
		{name: "one's own", method: "PUT", path: path, headers: []string{user}, status: 200},
	})
}

// Who owns documents adds some only where the model lets owners.
func TestOwnersWhoMayNotCreate(t *testing.T) {
	s, folder := withModels(t)
	file := filepath.Join(folder, "comments.yaml")
	original, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	s.addUsers(anna)
	user, admin := s.signIn(anna, userEmail), s.signIn(anna, adminEmail)
	f := func(creators string, nobody, owner, byAdmin int) {
		t.Helper()
		write(t, file, strings.Replace(string(original), "create: public", "create: "+creators, 1))
		if err := s.api.ReloadModels(); err != nil {
			t.Fatal(err)
		}
		const body = `{"comment":"x"}`
		runAll(t, s, []scenario{
			{name: creators + ", by nobody", method: "POST", path: "/api/comments", body: body, status: nobody},
			{name: creators + ", by an owner", method: "POST", path: "/api/comments", body: body, headers: []string{user}, status: owner},
			{name: creators + ", by an admin", method: "POST", path: "/api/comments", body: body, headers: []string{admin}, status: byAdmin},
		})
	}
	f("public", 201, 201, 201)
	f("owner", 401, 201, 201)
	f("admin", 401, 403, 201)
	scenario{name: "a bulk", method: "POST", path: "/api/comments/_bulk", body: `{"items":[{"op":"create","body":{"comment":"x"}}]}`, headers: []string{user}, status: 200, absent: []string{`"status":201`}}.run(t, s)
}

func TestLoadModels(t *testing.T) {
	shared, err := os.ReadFile("models/_defs.yaml")
	if err != nil {
		t.Fatal(err)
	}
	files := fstest.MapFS{"_defs.yaml": {Data: shared}, "a.yaml": {Data: []byte(documented(t))}}
	if _, err := api.LoadModels(files); err == nil || !strings.Contains(err.Error(), `declare no "user"`) {
		t.Errorf("models without users: %v", err)
	}
	models, err := api.LoadModels(nil)
	if err != nil || len(models.All()) == 0 {
		t.Errorf("the built-in ones: %v", err)
	}
}

func TestApplyModels(t *testing.T) {
	s := newSite(t)
	// As an older version of MetaHub, or Express, left them: without words, and without addresses in lower case.
	s.insert(anna, "products", product(anna, 1, append(published(true, true), bson.E{Key: "slug", Value: bson.D{{Key: "en", Value: "One"}}})...), product(anna, 2, published(true, true)...))
	for range 2 {
		var told []string
		report, err := s.api.ApplyModels(t.Context(), s.tenant(anna), func(line string) { told = append(told, line) })
		if err != nil {
			t.Fatal(err)
		}
		if report.Indexes == 0 || len(told) == 0 {
			t.Errorf("%+v, told %q", report, told)
		}
	}
	if got := ids(t, s.send(anna, "GET", "/api/products?q=product&sort=createdAt", "")); strings.Join(got, " ") != "1 2" {
		t.Errorf("the search finds %v", got)
	}
	runAll(t, s, []scenario{
		{name: "the address that was there", path: "/api/products/slug/one", status: 200},
		{name: "the address that was made", path: "/api/products/slug/product-2", status: 200},
	})
	if report, err := s.api.ApplyModels(t.Context(), s.tenant(anna), func(string) {}); err != nil || report.Filled != 0 {
		t.Errorf("the third time %+v, %v", report, err)
	}
}
