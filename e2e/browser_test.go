package e2e

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func contains(s, part string) bool { return strings.Contains(s, part) }

// Two tenants in a browser: each shows its own brand, over a chain that the browser accepts once it knows the local authority's key.
func TestBrowserShowsEachTenant(t *testing.T) {
	chromium, err := exec.LookPath("chromium")
	if err != nil {
		t.Skip("chromium is not installed")
	}
	p := start(t, sample(t))
	for _, slug := range []string{"anastasia", "ensotek"} {
		dom := browse(t, chromium, p, p.url(slug, "/"))
		if !contains(dom, demoTenants[slug]) {
			t.Errorf("%s shows no %q:\n%s", slug, demoTenants[slug], dom)
		}
	}
	if dom := browse(t, chromium, p, p.url("ensotek", "/api/tenant")); !contains(dom, "ensotek") || contains(dom, "anastasia") {
		t.Errorf("the API in a browser: %s", dom)
	}
}

// The API's page lists what the tenant's API has, and what is filled in there is sent: under a policy that lets it run nothing but its own
// script.
func TestBrowserTriesTheAPI(t *testing.T) {
	chromium, err := exec.LookPath("chromium")
	if err != nil {
		t.Skip("chromium is not installed")
	}
	p := start(t, sample(t))
	tab := openBrowser(t, chromium, p, "--disable-quic").open(t)
	tab.visit(p.url("ensotek", "/api/docs"))
	for _, operation := range []string{"GET/api/products/slug/{slug}", "GET/api/_batch", "DELETE/api/products/{id}"} {
		await(tab, operationOf(operation)+" != null", true)
	}
	email, password := p.demoAdmin("ensotek")
	get[bool](tab, fmt.Sprintf(`(() => { const f = document.querySelector("#login"); f.email.value = %q; f.password.value = %q; f.requestSubmit(); return true })()`, email, password))
	await(tab, text("#who"), "signed in")

	try := func(operation, name, value, answer string) {
		t.Helper()
		await(tab, fmt.Sprintf(`(box => { box.open = true; return box.querySelector("form.send") != null })(%s)`, operationOf(operation)), true)
		get[bool](tab, fmt.Sprintf(`(form => { if (%q) form.elements[%[1]q].value = %q; form.querySelector("pre").textContent = ""; form.requestSubmit(); return true })(%s.querySelector("form.send"))`, name, value, operationOf(operation)))
		await(tab, fmt.Sprintf(`%s.querySelector("pre").textContent.includes(%q)`, operationOf(operation), answer), true)
	}
	try("GET/api/products", "limit", "1", `"limit": 1`)
	try("GET/api/products", "price[gte]", "x", "400 /api/products?")
	try("GET/api/users/admin", "", "", email)
	// A token that is over, and then none at all, as after a reload: the page refreshes by the cookie, and asks again.
	get[string](tab, `token = "over"`)
	try("GET/api/users/admin", "", "", email)
	tab.visit(p.url("ensotek", "/api/docs"))
	await(tab, operationOf("GET/api/users/admin")+" != null && token == ''", true)
	tab.must("Network.deleteCookies", map[string]any{"name": "__Host-accessToken", "url": p.url("ensotek", "/")}, &struct{}{})
	try("GET/api/users/admin", "", "", email)
	await(tab, text("#who"), "signed in")
	try("POST/api/users/logout", "", "", "200 /api/users/logout")
	await(tab, text("#who"), "signed out")
	try("GET/api/users/admin", "", "", "401 /api/users/admin")
	try("GET/api/products/{id}", "id", "0123456789abcdef01234567", "404 /api/products/0123456789abcdef01234567")
	try("GET/api/faq/_events", "", "", "retry: 3000")
	get[bool](tab, `(i => { i.value = "/faq"; i.dispatchEvent(new Event("input")); return true })(document.querySelector("#filter"))`)
	await(tab, `[...document.querySelectorAll("h2")].filter(h => h.checkVisibility()).map(h => h.innerText).join()`, "/api/faq,/api/faqcategory")
}

// operationOf is the JavaScript for the part of the API's page that is about a method and a path.
func operationOf(operation string) string {
	return fmt.Sprintf(`([...document.querySelectorAll("section > details")].find(d => { const s = d.querySelector("summary"); return s.children[0].textContent + s.children[1].textContent == %q }))`, operation)
}

// A browser that is made to use HTTP/3 gets the page and the API over it. It would try ::1 first, where nobody listens, and has nothing
// to fall back to.
func TestBrowserOverHTTP3(t *testing.T) {
	chromium, err := exec.LookPath("chromium")
	if err != nil {
		t.Skip("chromium is not installed")
	}
	p := start(t, sample(t))
	for _, path := range []string{"/", "/api/tenant"} {
		url := p.url("ensotek", path)
		authority, _, _ := strings.Cut(strings.TrimPrefix(url, "https://"), "/")
		if dom := browseWith(t, chromium, p, url, "--enable-quic", "--origin-to-force-quic-on="+authority,
			"--host-resolver-rules=MAP *.localhost 127.0.0.1"); !contains(strings.ToLower(dom), "ensotek") {
			t.Errorf("%s over HTTP/3: %s", path, dom)
		}
		eventually(t, 30*time.Second, "the access log's line", func() error { // lines are gathered for a second
			for line := range strings.Lines(p.output.String()) {
				if contains(line, `"path":"`+path+`"`) && contains(line, `"protocol":"HTTP/3.0"`) {
					return nil
				}
			}
			return fmt.Errorf("%s was not asked for over HTTP/3:\n%s", path, p.output)
		})
	}
}

func browse(t *testing.T, chromium string, p *process, url string) string {
	t.Helper()
	return browseWith(t, chromium, p, url, "--disable-quic")
}

func browseWith(t *testing.T, chromium string, p *process, url string, more ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	flags := slices.Concat(chromiumFlags(t, p), []string{"--dump-dom"}, more)
	out, err := exec.CommandContext(ctx, chromium, append(flags, url)...).Output()
	if err != nil {
		t.Fatalf("chromium %s: %v", url, err)
	}
	return string(out)
}

// chromiumFlags are those of a quiet Chromium without a window that trusts what p's authority signs and nothing else.
func chromiumFlags(t *testing.T, p *process) []string {
	return []string{"--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
		"--disable-component-update", "--disable-sync", "--user-data-dir=" + newProfile(t),
		"--ignore-certificate-errors-spki-list=" + rootFingerprint(t, p.rootCAPath)}
}

// newProfile has the browser keep other sites' cookies, as a window with a profile does: without a window it takes itself for a private one.
func newProfile(t *testing.T) string {
	t.Helper()
	folder := t.TempDir()
	preferences := filepath.Join(folder, "Default", "Preferences")
	err := os.Mkdir(filepath.Dir(preferences), 0o700)
	if err == nil {
		err = os.WriteFile(preferences, []byte(`{"profile":{"cookie_controls_mode":0}}`), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	return folder
}

// rootFingerprint names the local authority's key to the browser, which then trusts what it signs.
func rootFingerprint(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(data)
	root, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(root.RawSubjectPublicKeyInfo)
	return base64.StdEncoding.EncodeToString(sum[:])
}
