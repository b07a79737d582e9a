package tenant

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// FuzzLoad gives the decoder any bytes. It must not panic, must find either a Directory or a fault, and no two tenants of a Directory
// may share a slug, a host or a database.
func FuzzLoad(f *testing.F) {
	paths, err := filepath.Glob("testdata/golden/*.txt")
	if err != nil {
		f.Fatal(err)
	}
	for _, path := range paths {
		content, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		_, main, _ := strings.Cut(string(content), "-- tenants.yaml --\n")
		main, _, _ = strings.Cut(main, "\n-- ")
		f.Add([]byte(main))
	}
	f.Add([]byte("\xff\xfet\x00e\x00"))
	f.Add([]byte(strings.Repeat("[", 20_000)))
	f.Add([]byte("tenants: !!binary aGk="))
	f.Add([]byte("tenants:\n- &a [*a]"))
	path := filepath.Join(f.TempDir(), "tenants.yaml")
	f.Fuzz(func(t *testing.T, data []byte) {
		if strings.Contains(string(data), "file:") || strings.Contains(string(data), "include") || strings.Contains(string(data), "env_") || strings.Contains(string(data), "ca_root") {
			t.Skip("the fuzzer is kept from reading this machine's files")
		}
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		d, faults := Load(Source{Path: path})
		if d == nil && len(faults) == 0 {
			t.Fatal("there is neither a Directory nor a fault")
		}
		if d != nil {
			checkApart(t, d)
		}
		_ = faults.Error()
	})
}

// checkApart fails if two tenants share what only one may have, or if a tenant lacks what each must have.
func checkApart(t *testing.T, d *Directory) {
	t.Helper()
	taken := map[string]string{}
	for _, tenant := range d.Tenants() {
		for _, claim := range append(claimsOf(tenant), "slug "+tenant.Slug) {
			if other, ok := taken[claim]; ok {
				t.Fatalf("%q belongs to %q and %q", claim, other, tenant.Slug)
			}
			taken[claim] = tenant.Slug
		}
		if tenant.JWTSecret.IsZero() || len(tenant.Domains) == 0 || tenant.Limits.Body <= 0 || tenant.Limits.Timeout <= 0 {
			t.Fatalf("tenant %q is incomplete: %+v", tenant.Slug, tenant)
		}
	}
}

// FuzzSecretsStaySecret puts any text where a secret belongs, in every way in which one can be written, and looks for it in the faults.
func FuzzSecretsStaySecret(f *testing.F) {
	f.Add("hunter2hunter2")
	f.Add("mongodb://root:hunter2hunter2@db/shop")
	f.Add("mongodb://hunter2hunter2:@@db")
	f.Add("*hunter2hunter2")
	f.Add("hunter2\nhunter2: x")
	f.Add("!hunter2 hunter2hunter2")
	f.Fuzz(func(t *testing.T, secret string) {
		if len(secret) < 8 || strings.Contains(secret, "${") || strings.HasPrefix(secret, "env:") || strings.HasPrefix(secret, "file:") {
			t.Skip("too short to tell from other text, or the name of a variable or file, which is told")
		}
		quoted, err := yaml.Marshal(secret)
		if err != nil {
			t.Skip("YAML cannot hold it")
		}
		for _, text := range []string{string(quoted), secret} {
			t.Chdir(t.TempDir())
			writeFile(t, ".env.b", "MONGO_URI="+secret+"\nJWT_SECRET='"+secret+"'\n")
			writeFile(t, "secret", secret)
			writeFile(t, "tenants.yaml", "tenants:\n"+
				"  - slug: b\n    env_file: .env.b\n    domains: [b.example.com]\n"+
				"  - slug: c\n    mongo_uri: file:secret\n    domains: [c.example.com]\n"+
				"  - slug: d\n    mongo_uri: ${SECRET}\n    domains: [d.example.com]\n"+
				"  - slug: a\n    domains: [a.example.com]\n    jwt_secret: "+strings.TrimSpace(text)+"\n    mongo_uri: "+strings.TrimSpace(text)+"\n")
			_, faults := Load(Source{Path: "tenants.yaml", Environ: []string{"SECRET=" + secret}})
			if told := faults.Error(); strings.Contains(told, secret) && !strings.Contains(harmless, secret) {
				t.Fatalf("the secret %q is told:\n%s", secret, told)
			}
		}
	})
}

// FuzzCertificateSecretsStaySecret does the same with the secrets of gateway.certificates.
func FuzzCertificateSecretsStaySecret(f *testing.F) {
	f.Add("hunter2hunter2")
	f.Add("mongodb://root:hunter2hunter2@db/shop")
	f.Add("mongodb:hunter2hunter2")
	f.Add("https://hunter2@hunter2")
	f.Add("hunter2\nhunter2: x")
	f.Add("hunter2hunter2:53x")
	f.Fuzz(func(t *testing.T, secret string) {
		if len(secret) < 8 || strings.Contains(secret, "${") || strings.HasPrefix(secret, "env:") || strings.HasPrefix(secret, "file:") {
			t.Skip("too short to tell from other text, or the name of a variable or file, which is told")
		}
		quoted, err := yaml.Marshal(secret)
		if err != nil {
			t.Skip("YAML cannot hold it")
		}
		for _, text := range []string{strings.TrimSpace(string(quoted)), strings.TrimSpace(secret), "env:SECRET", "file:secret"} {
			t.Chdir(t.TempDir())
			writeFile(t, "secret", secret)
			writeFile(t, "tenants.yaml", "gateway:\n  certificates:\n"+
				"    storage: "+text+"\n    storage_key: "+text+"\n    eab:\n      key_id: "+text+"\n      hmac_key: "+text+"\n"+
				"    dns:\n      - name: main\n        provider: rfc2136\n        server: "+text+"\n        key_name: "+text+"\n        key: "+text+"\n"+
				"tenants:\n  - {slug: a, domains: [a.example.com]}\n")
			d, faults := Load(Source{Path: "tenants.yaml", Environ: []string{"SECRET=" + secret}})
			if told := faults.Error(); strings.Contains(told, secret) && !strings.Contains(harmless, secret) {
				t.Fatalf("the secret %q is told:\n%s", secret, told)
			}
			if d == nil && len(faults) == 0 {
				t.Fatal("there is neither a Directory nor a fault")
			}
		}
	})
}

// harmless is text that faults hold whatever the secret is.
const harmless = `is not a MongoDB connection string: it begins with mongodb:// or mongodb+srv:// database already belongs to give each tenant its own gateway.certificates.storage_key gateway.certificates.eab.hmac_key ` +
	`gateway.certificates.eab.key_id gateway.certificates.dns: server is not the address of a DNS server: hexadecimal openssl rand -base64 32 connection string`
