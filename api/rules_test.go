package api_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"

	"go.mongodb.org/mongo-driver/v2/bson"

	"metahub/api"
	"metahub/api/model"
)

// rules are what the API promises to hold against hostile clients and hostile tenants. Each has an attack here, on every route that the
// API describes where that makes sense, and names the tests that attack it elsewhere.
var rules = []struct {
	name, says string
	attack     func(*testing.T, *fortress)
	elsewhere  []string // functions of this package's tests and of those below it
}{
	{"R1", "query strings are flat scalars of declared parameters, and each value has its field's type", attackTypes, []string{"TestParameters", "FuzzParseQuery", "TestSignIn"}},
	{"R2", "operators are those of a short list, for admins too", attackOperators, []string{"FuzzParseQuery"}},
	{"R3", "aggregations are files; they begin with what the view shows of the tenant's documents, and read nothing else", attackAggregations, []string{"TestAggregations", "TestFaults"}},
	{"R4", "what the caller cannot read is no filter, no order and no field", attackUnreadable, []string{"TestFaults", "TestRoles"}},
	{"R5", "no client's pattern runs in the database", attackPatterns, []string{"TestSearch", "FuzzParseQuery"}},
	{"R6", "every list is bounded, and pages reach so far and no further", attackBounds, []string{"TestListIsBounded", "TestLastPageNamesTheCursor", "TestBatchIsBounded"}},
	{"R7", "the number and the depth of what a request asks for are bounded", attackComplexity, []string{"TestBatch", "TestBulk"}},
	{"R8", "a body sets what its sender may set; the rest is refused, or the server's", attackAssignment, []string{"TestOwnership", "TestActions", "TestPasswordRules", "TestSuperadmin"}},
	{"R9", "answers hold what the schema declares and the reader may see, wherever documents are shown", attackOutput, []string{"TestSettingsKeepSecrets", "TestPopulate", "TestTenantsAreNobodysBusiness"}},
	{"R10", "fields= chooses among what the reader may see", attackFields, []string{"TestFieldsAndCounts"}},
	{"R11", "a precondition is part of the write", attackPreconditions, []string{"TestConditionalWrites", "TestChangeThatIsOvertaken", "TestRemovalThatIsOvertaken", "TestChangesAtOnce"}},
	{"R12", "errors have fixed codes and tell nothing of what is behind them", attackErrors, []string{"TestDeadDatabase", "TestInternalErrorsAreHidden", "TestUniqueKeys"}},
	{"R13", "an id is 24 hexadecimal digits", attackIDs, []string{"FuzzObjectID"}},
	{"R14", "bodies are bounded in size, depth and keys, and no key is an operator or a path", attackBodies, []string{"TestWriteRefusals", "TestBodyOfUnknownLengthIsBounded", "TestForms", "FuzzParse", "FuzzForm"}},
	{"R15", "numbers and dates keep their values on the way in and out", attackNumbers, []string{"TestAppendValue", "TestAppendDate", "TestParse", "FuzzAppend"}},
	{"R16", "the tenant is the gateway's word, and all that is signed, tagged or kept is the tenant's", attackTenancy, []string{"TestNothingCrosses", "TestForgedTokens", "TestCursorsOfOthers", "TestConditionalReads", "TestSessionsOfATenantsCopy", "FuzzEventID"}},
	{"R17", "who is signed in by a cookie writes from the tenant's own pages alone", attackForgery, []string{"TestCookieWritesNeedOwnPage"}},
	{"R18", "files are kept by their content alone, and nothing that was sent is shown as a page", attackUploads, []string{"TestForms", "TestUpload", "TestUploadRefusals"}},
	{"R19", "guessing is slow, and unknown users look like known ones", attackSignIn, []string{"TestGuessingSlowsDown", "TestAttempts", "TestAttemptsAreBounded", "TestUnknownUsersCostTheSame", "TestFloodedTenantLeavesSlotsToOthers"}},
	{"R20", "models are compiled at load, and a fault in one stops them all", attackModels, []string{"TestFaults", "TestFaultsOfFiles", "TestModelsAreReloaded", "TestBuiltinModels", "FuzzLoad"}},
}

func TestRules(t *testing.T) {
	f := newFortress(t)
	there := testsThere(t)
	for i, rule := range rules {
		if rule.name != fmt.Sprintf("R%d", i+1) {
			t.Fatalf("the rule %s is in the place of R%d", rule.name, i+1)
		}
		t.Run(rule.name, func(t *testing.T) {
			for _, name := range rule.elsewhere {
				if !there[name] {
					t.Errorf("no test is named %s", name)
				}
			}
			rule.attack(t, f)
			if t.Failed() {
				t.Logf("the rule: %s", rule.says)
			}
		})
	}
}

// testsThere are the tests of this package and of those below it.
func testsThere(t *testing.T) map[string]bool {
	t.Helper()
	there := map[string]bool{}
	for _, pattern := range []string{"*_test.go", "*/*_test.go"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for _, found := range regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)\w+)\(`).FindAllSubmatch(text, -1) {
				there[string(found[1])] = true
			}
		}
	}
	return there
}

// fortress is what is attacked: anna's API with two documents of each resource, and everybody who may come.
type fortress struct {
	*twins
	models *model.Set
}

func newFortress(t *testing.T) *fortress {
	models, err := api.LoadModels(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &fortress{newTwins(t), models}
}

// refused demands that a request of the admin's is answered with a status.
func (f *fortress) refused(t *testing.T, status int, method, path, body string, headers ...string) answer {
	t.Helper()
	got := f.send(anna, method, path, body, append([]string{f.admin[anna]}, headers...)...)
	if got.status != status {
		t.Errorf("%s %s %.200s: %d, want %d: %.300s", method, path, body, got.status, status, got.body)
	}
	return got
}

// count is how many documents of anna's a resource has.
func (f *fortress) countOf(r *resource) int64 {
	m, _ := f.models.Named(r.name)
	return f.count(anna, m.Collection)
}

// modelOf compiles a built-in model in whose file a text is replaced, with those that it refers to.
func modelOf(t *testing.T, file, old, changed string) error {
	t.Helper()
	folder := fstest.MapFS{}
	for _, name := range []string{"_defs.yaml", "users.yaml", "products.yaml", "productscategory.yaml", "comments.yaml", file} {
		text, err := os.ReadFile(filepath.Join("models", name))
		if err != nil {
			t.Fatal(err)
		}
		if name == file {
			if !strings.Contains(string(text), old) {
				t.Fatalf("%s has no %q", file, old)
			}
			text = []byte(strings.Replace(string(text), old, changed, 1))
		}
		folder[name] = &fstest.MapFile{Data: text}
	}
	set, err := api.LoadModels(folder)
	if err == nil && len(set.Lint()) > 0 {
		return set.Lint()
	}
	return err
}

// R20: whatever is wrong with one file, nothing of the folder is served.
func attackModels(t *testing.T, f *fortress) {
	for _, c := range []struct{ file, old, changed string }{
		{"products.yaml", "additionalProperties: false\n  required", "required"},
		{"products.yaml", "x-read: admin, x-sort: admin", "x-read: admin, x-sort: public"},
		{"products.yaml", "  - [isActive, isPublished, price]\n", ""}, // a public order that no index answers
		{"products.yaml", "costPrice: {", "apiSecret: {"},
		{"products.yaml", "x-ref: productscategory", "x-ref: nothing"},
		{"users.yaml", ", x-read: nobody", ""},
		{"users.yaml", "roles: [admin]", "roles: []"},
		{"settings.yaml", `"^(secret|env)[._:]"`, `"("`},
	} {
		if err := modelOf(t, c.file, c.old, c.changed); err == nil {
			t.Errorf("%s with %q in the place of %q has no fault", c.file, c.changed, c.old)
		}
	}
	folder := t.TempDir()
	if err := os.CopyFS(folder, os.DirFS("models")); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(folder, "about.yaml"), "model: about\n")
	if _, err := api.New(api.Config{Store: f.store, Registry: f.registry, Models: os.DirFS(folder)}); err == nil {
		t.Error("an API is made of models of which one is at fault")
	}
}

// R16: nothing in a request says which tenant it is for.
func attackTenancy(t *testing.T, f *fortress) {
	for _, header := range []string{"X-Tenant: ben", "X_Tenant: ben", "X-Forwarded-Host: ben.test", "Forwarded: host=ben.test", "Origin: https://ben.test", "Cookie: tenant=ben"} {
		if got := f.get(anna, "/api/tenant", "", header); text(t, got.body, "data.slug") != anna {
			t.Errorf("%s: %s", header, got.body)
		}
	}
	for _, path := range []string{"/api/products?tenant=ben", "/api/products/admin?tenant=ben", "/api/products?database=ben"} {
		f.refused(t, 400, "GET", path, "")
	}
	annas, bens := f.token(anna, adminEmail), f.token(ben, adminEmail)
	for _, token := range []string{bens, splice(annas, bens, annas), splice(annas, annas, bens), splice(annas, bens, bens), splice(bens, annas, annas)} {
		if token == annas {
			continue // both tenants' headers are the same
		}
		if got := f.get(anna, "/api/users/account/me", "Authorization: Bearer "+token); got.status != 401 {
			t.Errorf("a token of parts of ben's: %d %s", got.status, got.body)
		}
	}
	stored := f.stored(anna, "products", bson.D{{Key: "tenant", Value: anna}})
	if stored["tenant"] != anna {
		t.Errorf("stored for %v", stored["tenant"])
	}
}

// splice makes a token of the head, claims and signature of three.
func splice(head, claims, signature string) string {
	part := func(token string, n int) string { return regexp.MustCompile(`\.`).Split(token, -1)[n] }
	return part(head, 0) + "." + part(claims, 1) + "." + part(signature, 2)
}
