package e2e

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// adminToken logs in as a demo tenant's administrator, with the password that the first start left in the data folder.
func (p *process) adminToken(client *http.Client, slug string) string {
	p.t.Helper()
	email, password := p.demoAdmin(slug)
	body, _ := json.Marshal(map[string]string{"email": email, "password": password})
	a := do(p.t, client, "POST", p.url(slug, "/api/users/login"), string(body))
	if a.Status != 200 {
		p.t.Fatalf("login at %q: %d %s", slug, a.Status, a.Body)
	}
	for _, cookie := range (&http.Response{Header: a.Header}).Cookies() {
		if cookie.Name == "__Host-accessToken" {
			if !cookie.HttpOnly || !cookie.Secure {
				p.t.Errorf("the cookie is not HttpOnly and Secure: %v", cookie)
			}
			return cookie.Value
		}
	}
	p.t.Fatalf("login at %q set no cookie: %v", slug, a.Header)
	return ""
}

// demoAdmin is who administers a demo tenant.
func (p *process) demoAdmin(slug string) (email, password string) {
	p.t.Helper()
	file, err := os.ReadFile(filepath.Join(p.folder, "data", "demo-admin.txt"))
	if err != nil {
		p.t.Fatal(err)
	}
	entry := regexp.MustCompile(`(?m)(\S+@` + slug + `\S*)\s+(\S+)`).FindSubmatch(file)
	if entry == nil {
		p.t.Fatalf("no administrator of %q in data/demo-admin.txt", slug)
	}
	return string(entry[1]), string(entry[2])
}

func (p *process) url(slug, path string) string {
	_, port, _ := net.SplitHostPort(p.https)
	return "https://" + slug + ".localhost:" + port + path
}

func serviceNamed(name string) string {
	return fmt.Sprintf(`{"title":{"en":%q},"slug":{"en":%q},"isActive":true,"isPublished":true}`, name, name)
}

// A document written at one tenant is absent at the other, and so is a token.
func TestTenantsDoNotShareDocumentsOrTokens(t *testing.T) {
	p := start(t, sample(t))
	client := p.client("HTTP/2.0")
	token := p.adminToken(client, "anastasia")

	created := do(t, client, "POST", p.url("anastasia", "/api/services"), serviceNamed("only-here"), "Authorization: Bearer "+token)
	if created.Status != 201 {
		t.Fatalf("create: %d %s", created.Status, created.Body)
	}
	id, _ := created.json(t)["data"].(map[string]any)["_id"].(string)
	if a := do(t, client, "GET", p.url("anastasia", "/api/services/"+id), ""); a.Status != 200 {
		t.Errorf("at its tenant: %d %s", a.Status, a.Body)
	}
	if a := do(t, client, "GET", p.url("ensotek", "/api/services/"+id), ""); a.Status != 404 {
		t.Errorf("at another tenant: %d %s", a.Status, a.Body)
	}
	for _, header := range []string{"Authorization: Bearer " + token, "Cookie: __Host-accessToken=" + token} {
		a := do(t, client, "POST", p.url("ensotek", "/api/services"), serviceNamed("stolen"), header, "Sec-Fetch-Site: same-origin")
		if a.Status != 401 {
			t.Errorf("anastasia's token at ensotek: %d %s", a.Status, a.Body)
		}
	}
	if a := do(t, client, "GET", p.url("anastasia", "/api/users/account/me"), "", "Cookie: __Host-accessToken="+token); a.Status != 200 {
		t.Errorf("me: %d %s", a.Status, a.Body)
	}
}

// What was acknowledged before a kill -9 is there after the next start.
func TestKillLosesNoAcknowledgedDocument(t *testing.T) {
	p := start(t, sample(t))
	var acknowledged sync.Map
	var count atomic.Int64
	for round := range 3 {
		client := p.client("HTTP/1.1")
		token := p.adminToken(client, "radanor")
		before := count.Load()
		var writers sync.WaitGroup
		for w := range 4 {
			writers.Go(func() {
				for i := 0; ; i++ {
					name := fmt.Sprintf("doc-%d-%d-%d", round, w, i)
					a, err := try(client, "POST", p.url("radanor", "/api/services"), serviceNamed(name), "Authorization: Bearer "+token)
					if err != nil {
						return // the process is gone
					}
					if a.Status == 201 {
						acknowledged.Store(name, true)
						count.Add(1)
					}
				}
			})
		}
		eventually(t, 60*time.Second, "some writes to be acknowledged", func() error {
			if n := count.Load() - before; n < 20 {
				return fmt.Errorf("%d so far", n)
			}
			return nil
		})
		p.kill()
		writers.Wait()
		p.run()
	}

	present := map[string]bool{}
	client := p.client("HTTP/1.1")
	for page := 1; ; page++ {
		a := do(t, client, "GET", p.url("radanor", fmt.Sprintf("/api/services?limit=500&page=%d", page)), "")
		if a.Status != 200 {
			t.Fatalf("list: %d %s", a.Status, a.Body)
		}
		list, _ := a.json(t)["data"].([]any)
		for _, item := range list {
			slug, _ := item.(map[string]any)["slug"].(map[string]any)
			name, _ := slug["en"].(string)
			present[name] = true
		}
		if len(list) < 500 {
			break
		}
	}
	acknowledged.Range(func(name, _ any) bool {
		if !present[name.(string)] {
			t.Errorf("%q was acknowledged and is lost", name)
		}
		return true
	})
	t.Logf("%d acknowledged documents survived 3 kills", count.Load())
}

func TestSecondStartKeepsData(t *testing.T) {
	p := start(t, sample(t))
	client := p.client("HTTP/1.1")
	token := p.adminToken(client, "metahub")
	if a := do(t, client, "POST", p.url("metahub", "/api/services"), serviceNamed("kept"), "Authorization: Bearer "+token); a.Status != 201 {
		t.Fatalf("create: %d %s", a.Status, a.Body)
	}
	before := do(t, client, "GET", p.url("metahub", "/api/services"), "")
	root, err := os.ReadFile(p.rootCAPath)
	if err != nil {
		t.Fatal(err)
	}
	if code := p.terminate(); code != 0 {
		t.Fatalf("SIGTERM ended with exit code %d\n%s", code, p.output)
	}
	p.run()
	if again, _ := os.ReadFile(p.rootCAPath); string(again) != string(root) {
		t.Error("the local authority changed between two starts")
	}
	client = p.client("HTTP/1.1")
	after := do(t, client, "GET", p.url("metahub", "/api/services"), "", "Authorization: Bearer "+token)
	if after.Status != 200 {
		t.Fatalf("the token of before the restart: %d %s", after.Status, after.Body)
	}
	if got := do(t, client, "GET", p.url("metahub", "/api/services"), ""); string(got.Body) != string(before.Body) {
		t.Errorf("the list changed over a restart:\n%s\n%s", before.Body, got.Body)
	}
}
