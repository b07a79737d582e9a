package e2e

import (
	"encoding/json"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// sample is the tenants.yaml that the repository ships.
func sample(t *testing.T) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("..", "tenants.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

var demoTenants = map[string]string{
	"anastasia": "KoenigsMassage", "metahub": "MetaHub", "ensotek": "Ensotek", "radanor": "Radanor",
}

// The first of the README's two commands: the sample is served, and the printed line works as it stands.
func TestSampleIsServedAndThePrintedCurlLineWorks(t *testing.T) {
	p := start(t, sample(t))
	out := p.output.String()
	for slug := range demoTenants {
		if !strings.Contains(out, slug+".localhost") {
			t.Errorf("the table does not show %q:\n%s", slug, out)
		}
	}

	line := p.curlLine()
	if _, err := exec.LookPath("curl"); err != nil {
		t.Skip("curl is not installed")
	}
	cmd := exec.Command("sh", "-c", strings.Replace(line, "curl ", "curl --silent --show-error --fail ", 1))
	cmd.Dir = p.folder
	body, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", line, err, body)
	}
	var envelope struct {
		Success bool
		Data    []map[string]any
	}
	if err := json.Unmarshal(body, &envelope); err != nil || !envelope.Success || len(envelope.Data) == 0 {
		t.Fatalf("%s answered %s", line, body)
	}
}

func TestEachTenantShowsItsBrandAndItsOwnSettings(t *testing.T) {
	p := start(t, sample(t))
	_, port, _ := net.SplitHostPort(p.https)
	for _, protocol := range []string{"HTTP/1.1", "HTTP/2.0"} {
		client := p.client(protocol)
		seen := map[string]string{}
		for slug, brand := range demoTenants {
			base := "https://" + slug + ".localhost:" + port
			page := do(t, client, "GET", base+"/", "")
			if page.Proto != protocol || page.Status != 200 || !strings.Contains(string(page.Body), brand) {
				t.Errorf("%s/ over %s: %s %d without the brand %q", base, protocol, page.Proto, page.Status, brand)
			}
			if strings.Contains(string(page.Body), "src=\"http") || strings.Contains(string(page.Body), "href=\"http") {
				t.Errorf("%s/ loads from elsewhere", base)
			}
			settings := do(t, client, "GET", base+"/api/settings", "")
			if settings.Status != 200 {
				t.Errorf("%s/api/settings: %d %s", base, settings.Status, settings.Body)
			}
			for other, body := range seen {
				if body == string(settings.Body) {
					t.Errorf("%s and %s have the same settings: %s", slug, other, body)
				}
			}
			seen[slug] = string(settings.Body)
		}
	}
}

func TestPlainHTTPLeadsToHTTPS(t *testing.T) {
	p := start(t, sample(t))
	_, httpsPort, _ := net.SplitHostPort(p.https)
	_, httpPort, _ := net.SplitHostPort(p.http)
	a := plainGet(t, p.http, "anastasia.localhost:"+httpPort, "/a%2Fb?c=d&e")
	if want := "https://anastasia.localhost:" + httpsPort + "/a%2Fb?c=d&e"; a.Status != 308 || a.Header.Get("Location") != want {
		t.Errorf("port 80 answered %d to %q, want 308 to %q", a.Status, a.Header.Get("Location"), want)
	}
	if a = plainGet(t, p.http, "unknown.example", "/"); a.Status != 421 {
		t.Errorf("an unknown host on port 80 got %d, want 421", a.Status)
	}
}

func TestCheckNamesEveryFaultAndExitsWithOne(t *testing.T) {
	folder := t.TempDir()
	file := filepath.Join(folder, "tenants.yaml")
	if err := os.WriteFile(file, []byte(`gateway:
  htps: :8443
tenants:
  - slug: one
    domains: [one.localhost]
  - slug: two
    domains: [ONE.localhost]
    frontend: ftp://127.0.0.1
`), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(binary, "check", "--config", file)
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState.ExitCode() != 1 {
		t.Fatalf("check ended with %v, want exit code 1\n%s", err, out)
	}
	for _, want := range []string{"tenants.yaml:2:", "htps", "tenants.yaml:7:", `"two"`, `"one"`, "tenants.yaml:8:", "ftp"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("check does not say %q:\n%s", want, out)
		}
	}

	cmd = exec.Command(binary, "check", "--config", filepath.Join("..", "tenants.yaml"))
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("check of the sample: %v\n%s", err, out)
	}
}
