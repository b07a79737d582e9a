package e2e

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"os"
	"os/exec"
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

func browse(t *testing.T, chromium string, p *process, url string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, chromium, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
		"--disable-background-networking", "--disable-component-update", "--disable-sync", "--user-data-dir="+t.TempDir(),
		"--ignore-certificate-errors-spki-list="+rootFingerprint(t, p.rootCAPath), "--dump-dom", url).Output()
	if err != nil {
		t.Fatalf("chromium %s: %v", url, err)
	}
	return string(out)
}

// rootFingerprint names the local authority's key to the browser, which then trusts what it signs and nothing else.
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
