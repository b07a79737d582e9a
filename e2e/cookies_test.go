package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// cookiesConfig has each kind of cookie on a host of its tenant.
const cookiesConfig = `gateway:
  demo: true
tenants:
  - slug: ensotek
    domains: [ensotek.localhost]
    frontend: dir:site
  - slug: anastasia
    domains: [anastasia.localhost]
    frontend: dir:site
    cookies: legacy
  - slug: radanor
    domains: [radanor.localhost, www.radanor.localhost]
    frontend: dir:site
    cookies: legacy
    cookie_domain: radanor.localhost
`

// startWithSite starts metahub with an empty page in the folder "site".
func startWithSite(t *testing.T, config string) *process {
	t.Helper()
	p := prepare(t)
	p.writeConfig(config)
	site := filepath.Join(p.folder, "site")
	err := os.Mkdir(site, 0o700)
	if err == nil {
		err = os.WriteFile(filepath.Join(site, "index.html"), []byte("<!doctype html><title>site</title>"), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	p.run()
	return p
}

// Who signs out has no cookie left that signs in, of either kind.
func TestCookiesAreTakenBack(t *testing.T) {
	p := startWithSite(t, cookiesConfig)
	hosts := map[string]string{"ensotek": "__Host-accessToken __Host-refreshToken", "anastasia": "accessToken refreshToken", "radanor": "accessToken refreshToken"}
	t.Run("Chromium", func(t *testing.T) {
		chromium, err := exec.LookPath("chromium")
		if err != nil {
			t.Skip("chromium is not installed")
		}
		tab := openBrowser(t, chromium, p, "--disable-quic").open(t)
		for slug, want := range hosts {
			tab.visit(p.url(slug, "/"))
			await(tab, `document.title`, "site")
			if tab.signIn(p, slug, "", ""); tab.cookies() != want {
				t.Errorf("%s signed in: cookies %q, want %q", slug, tab.cookies(), want)
			}
			if got := get[int](tab, `fetch("/api/users/logout", {method: "POST"}).then(a => a.status)`); got != 200 || tab.cookies() != "" {
				t.Errorf("%s signed out: %d, cookies %q", slug, got, tab.cookies())
			}
		}
	})
	// In one process: from a jar in a file, curl before 8 takes the first of two cookies back that a server has ended.
	t.Run("curl", func(t *testing.T) {
		curl, err := exec.LookPath("curl")
		if err != nil {
			t.Skip("curl is not installed")
		}
		for slug, want := range hosts {
			jar, origin := filepath.Join(t.TempDir(), "jar"), strings.TrimSuffix(p.url(slug, "/"), "/")
			common := []string{"--silent", "--show-error", "--fail", "--cacert", p.rootCAPath, "--connect-to", "::" + p.https, "--cookie", "", "--cookie-jar", jar, "--header", "Origin: " + origin}
			signIn := slices.Concat(common, []string{"--header", "Content-Type: application/json", "--data", p.demoCredentials(slug), p.url(slug, "/api/users/login")})
			signOut := slices.Concat(common, []string{"--request", "POST", p.url(slug, "/api/users/logout")})
			run := func(arguments ...string) string {
				t.Helper()
				if out, err := exec.CommandContext(t.Context(), curl, arguments...).CombinedOutput(); err != nil {
					t.Fatalf("curl: %v: %s", err, out)
				}
				return namesIn(t, jar)
			}
			if got := run(signIn...); got != want {
				t.Errorf("%s signed in: the jar has %q, want %q", slug, got, want)
			}
			if got := run(slices.Concat(signIn, []string{"--next"}, signOut)...); got != "" {
				t.Errorf("%s signed out: the jar has %q", slug, got)
			}
		}
	})
}

// sharedCookiesConfig has tenants and their API host on one site, as an agency's customers before they have domains of their own.
const sharedCookiesConfig = `gateway:
  demo: true
  api_hosts: [api.agency.localhost]
tenants:
  - slug: ensotek
    domains: [ensotek.agency.localhost]
    frontend: dir:site
  - slug: anastasia
    domains: [anastasia.agency.localhost]
    frontend: dir:site
`

// On the shared API host a browser is signed in at several tenants at once, and out of one at a time.
func TestCookiesOfTheSharedHostAreATenantsOwn(t *testing.T) {
	chromium, err := exec.LookPath("chromium")
	if err != nil {
		t.Skip("chromium is not installed")
	}
	p := startWithSite(t, sharedCookiesConfig)
	b := openBrowser(t, chromium, p, "--disable-quic")
	api := strings.TrimSuffix(p.url("api.agency", "/"), "/")
	tabs := map[string]*page{"ensotek": b.open(t), "anastasia": b.open(t)}
	ask := func(slug, method, path string, want int) {
		t.Helper()
		expression := fmt.Sprintf(`fetch(%q, {method: %q, credentials: "include", headers: {"X-Tenant": %q}}).then(a => a.status)`, api+path, method, slug)
		if got := get[int](tabs[slug], expression); got != want {
			t.Errorf("%s at %s: %d, want %d", path, slug, got, want)
		}
	}
	for slug, tab := range tabs {
		tab.visit(p.url(slug+".agency", "/"))
		await(tab, `document.title`, "site")
		tab.signIn(p, slug, api, slug)
	}
	for slug := range tabs {
		ask(slug, "GET", "/api/users/account/me", 200)
		ask(slug, "POST", "/api/users/refresh", 200)
	}
	ask("ensotek", "POST", "/api/users/logout", 200)
	ask("ensotek", "GET", "/api/users/account/me", 401)
	ask("anastasia", "GET", "/api/users/account/me", 200)
	if got, want := tabs["ensotek"].cookies(), "__Host-accessToken-anastasia __Host-refreshToken-anastasia"; got != want {
		t.Errorf("cookies %q, want %q", got, want)
	}
}

// demoCredentials is the body of a demo administrator's login.
func (p *process) demoCredentials(slug string) string {
	p.t.Helper()
	email, password := p.demoAdmin(slug)
	body, err := json.Marshal(map[string]string{"email": email, "password": password})
	if err != nil {
		p.t.Fatal(err)
	}
	return string(body)
}

// signIn signs in from the page at an API of another origin, or at its own where that is empty. Slug is whose; tenant is what X-Tenant says.
func (tab *page) signIn(p *process, slug, origin, tenant string) {
	tab.t.Helper()
	expression := fmt.Sprintf(`fetch(%q + "/api/users/login", {method: "POST", credentials: "include", headers: Object.assign({"Content-Type": "application/json"}, %q ? {"X-Tenant": %[2]q} : {}), body: %q}).then(a => a.status)`, origin, tenant, p.demoCredentials(slug))
	if got := get[int](tab, expression); got != 200 {
		tab.t.Fatalf("sign in at %s: %d", slug, got)
	}
}

// cookies are the names of all that the browser keeps.
func (tab *page) cookies() string {
	tab.t.Helper()
	var kept struct{ Cookies []struct{ Name string } }
	tab.must("Storage.getCookies", map[string]any{}, &kept)
	names := make([]string, len(kept.Cookies))
	for i, c := range kept.Cookies {
		names[i] = c.Name
	}
	slices.Sort(names)
	return strings.Join(names, " ")
}

// namesIn are the names of the cookies in a jar of curl's, a line each of seven fields.
func namesIn(t *testing.T, jar string) string {
	t.Helper()
	text, err := os.ReadFile(jar)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for line := range strings.Lines(string(text)) {
		if fields := strings.Split(line, "\t"); len(fields) == 7 {
			names = append(names, fields[5])
		}
	}
	slices.Sort(names)
	return strings.Join(names, " ")
}
