package tenant

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

// TestLoadReadsEveryKey loads the golden file that uses all keys and compares what comes of them.
func TestLoadReadsEveryKey(t *testing.T) {
	content, err := os.ReadFile("testdata/golden/full.txt")
	if err != nil {
		t.Fatal(err)
	}
	files := splitGolden(t, string(content))
	folder := t.TempDir()
	for name, text := range files {
		writeFile(t, filepath.Join(folder, name), text)
	}
	path := filepath.Join(folder, "tenants.yaml")
	d, faults := Load(Source{Path: path, Environ: strings.Split(files["environ"], "\n")})
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	wantGateway := Gateway{
		HTTPS: ":443", HTTP: "", Admin: "127.0.0.1:9180", HTTP2: StandardHTTP2, HTTP3: HTTP3{Enabled: true, Port: 8443},
		APIHosts: []string{"api.example.com"}, UnknownHost: "ensotek",
		Certificates: Certificates{
			Issuer: "https://ca.example.com:14000/dir", Fallback: IssuerZeroSSL, Folder: filepath.Join(folder, "certs"),
			StorageURI: NewSecret("mongodb://gateway:hunter2@db.example.com/certificates"),
			StorageKey: NewSecret("00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"),
			CARoot:     filepath.Join(folder, "secrets", "ca.pem"), Email: "admin@example.com",
			EAB: EAB{"ours", NewSecret("aG1hYy1rZXk")}, FallbackEAB: EAB{"theirs", NewSecret("aG1hYy1rZXk")},
			Profile: "shortlived", Key: "rsa2048", Challenges: []string{ChallengeTLSALPN01},
			DNS: []DNSProvider{
				{"main", "cloudflare", map[string]Secret{"api_token": NewSecret("cloudflare-token")}},
				{"other", "hetzner", map[string]Secret{"api_token": NewSecret("hetzner-token")}},
				{"aws", "route53", map[string]Secret{
					"access_key_id": NewSecret("AKIA"), "secret_access_key": NewSecret("hunter2"), "region": NewSecret("eu-central-1"),
				}},
				{"own", "rfc2136", map[string]Secret{
					"server": NewSecret("ns1.example.com:53"), "key_name": NewSecret("metahub"), "key": NewSecret("c2VjcmV0"), "key_alg": NewSecret("hmac-sha256"),
				}},
			},
			Resolver:       "[2001:db8::53]:5353",
			Addresses:      []netip.Addr{netip.MustParseAddr("198.51.100.4"), netip.MustParseAddr("2001:db8::4")},
			ValidationPort: 5002, Limits: LimitsLetsEncrypt,
		},
		TrustedProxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("192.0.2.7/32"), netip.MustParsePrefix("2001:db8::/32")},
		ProxyProtocol:  []netip.Prefix{netip.MustParsePrefix("10.9.0.0/16"), netip.MustParsePrefix("2001:db8::7/128")},
		Data:           filepath.Join(folder, "data"), Models: filepath.Join(folder, "models"), Cache: 1 << 30, ClientConnectionRate: 80,
	}
	if got := *d.Gateway(); !reflect.DeepEqual(got, wantGateway) {
		t.Errorf("the gateway is\n%+v, want\n%+v", got, wantGateway)
	}
	if printed := fmt.Sprintf("%v %+v %#v", *d.Gateway(), d.Gateway().Certificates, d.Gateway()); strings.Contains(printed, "hunter2") || strings.Contains(printed, "-token") {
		t.Errorf("a secret is printed: %s", printed)
	}
	f := func(slug string, want keptTenant) {
		t.Helper()
		tenant, ok := d.Tenant([]byte(slug))
		if !ok {
			t.Errorf("there is no %q", slug)
			return
		}
		got := keep(tenant)
		if want.JWTSecret == "" {
			got.JWTSecret = "" // made
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%q is\n%+v, want\n%+v", slug, got, want)
		}
		back, err := keep(tenant).tenant()
		if err != nil || !back.same(tenant) || back.Origin != tenant.Origin {
			t.Errorf("%q comes back from the data folder as %+v, %v", slug, back, err)
		}
	}
	shared := Files{CleanURLs: true, SPA: "app.html", Listing: true, Cache: []CacheRule{{"*.woff2", "public, max-age=86400"}}}
	before := keep(d.Tenants()[0])
	before.Serving = nil
	if back, err := before.tenant(); err != nil || !back.Files.same(&Files{CleanURLs: true}) {
		t.Errorf("a version kept before there was files: comes back with %+v, %v", back.Files, err)
	}
	before.Cookies = ""
	if back, err := before.tenant(); err != nil || back.Cookies != LegacyCookies {
		t.Errorf("a version kept before there was cookies: comes back with %q, %v", back.Cookies, err)
	}
	before.Serving = &Files{SPA: "../secret"}
	if _, err := before.tenant(); err == nil {
		t.Error("a kept page outside the folder is believed")
	}
	uploads := int64(defaultUploads)
	f("ensotek", keptTenant{
		Slug: "ensotek", Brand: "Ensotek GmbH", Domains: []string{"ensotek.de", "*.ensotek.de", "ensotek.com.tr"},
		RedirectToCanonical: true, Folder: filepath.Join(folder, "site"), Backend: "http://127.0.0.1:5000",
		MongoURI: "mongodb://gateway:hunter2@db.example.com/?authSource=admin", Database: "ensotek", Recheck: 10 * time.Second, JWTSecret: "also-a-secret",
		JWTPrevious: []string{"former-secret", "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"},
		Cookies:     LegacyCookies, CookieDomain: "ensotek.de", Enabled: true, BodyLimit: 20 << 20, Timeout: 90 * time.Second, Hold: 3 * time.Second, Balance: RoundRobin, UpstreamConnections: 100,
		Rate: 50, ClientRate: 10, ClientBurst: 20, Concurrency: 40, Connections: 900, Weight: 2,
		Issuer: IssuerInternal, DNS: "main", Files: filepath.Join(folder, "secrets"), Compress: "true", Origin: path + ":65", Serving: &shared,
		Cache: &Cache{Enabled: true, Size: 8 << 20, Entry: 2 << 20}, Uploads: &uploads,
	})
	f("anastasia", keptTenant{
		Slug: "anastasia", Brand: "KoenigsMassage", Domains: []string{"xn--knigsmassage-4ib.de"},
		Frontend: "http://127.0.0.1:3000", Backends: []keptUpstream{{"http://127.0.0.1:5000", 1}, {"https://b.internal", 3}}, Balance: LeastConnections,
		MongoURI: "mongodb+srv://cluster.example.com/anastasia", Database: "anastasia_live", JWTSecret: "correct horse battery staple",
		BodyLimit: 1 << 20, Timeout: 5 * time.Second, UpstreamConnections: 7,
		Rate: 50, ClientRate: 10, ClientBurst: 20, Concurrency: 40, Connections: 900, Weight: 2,
		Issuer: IssuerLetsEncrypt, DNS: "other", Files: filepath.Join(folder, "secrets", "site.pem"), Compress: "false", Origin: path + ":74",
		Cache: &Cache{Size: 8 << 20, Entry: 2 << 20}, Uploads: &uploads,
		Serving: &Files{Cache: []CacheRule{{"/assets/**", "public, max-age=31536000, immutable"}, {"*.pdf", "no-store"}}},
	})
	f("radanor", keptTenant{
		Slug: "radanor", Brand: "Radanor", Domains: []string{"radanor.com"}, RedirectToCanonical: true,
		Frontend: "http://127.0.0.1:3000", Backend: "http://127.0.0.1:5000",
		MongoURI: "mongodb://db2.example.com/radanor", Database: "radanor", Recheck: 10 * time.Second, JWTSecret: "a $ecret # with all",
		Enabled: true, BodyLimit: 20 << 20, Timeout: 90 * time.Second, Hold: 3 * time.Second, Balance: RoundRobin, UpstreamConnections: 100,
		Rate: 50, ClientRate: 10, ClientBurst: 20, Concurrency: 40, Connections: 900, Weight: 2,
		Issuer: IssuerLetsEncrypt, DNS: "other", Compress: "gzip,br", Origin: filepath.Join(folder, "tenants.d", "radanor.yaml") + ":2",
		Serving: &shared, Uploads: &uploads, Cache: &Cache{Enabled: true, Size: 100 << 10, Entry: 25 << 10, Shield: true},
	})
}

func TestLoadDefaults(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tenants.yaml")
	writeFile(t, path, "\ufefftenants:\r\n  - slug: a\r\n    domains: [a.example.com]\r\n")
	d, faults := Load(Source{Path: path})
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	if g := d.Gateway(); g.HTTPS != ":8443" || g.HTTP != ":8080" || g.Admin != "127.0.0.1:9180" || g.Models != "" || g.Demo || g.Cache != 256<<20 {
		t.Errorf("the gateway is %+v", g)
	}
	a := d.Tenants()[0]
	if !a.Files.same(&Files{CleanURLs: true}) {
		t.Errorf("the files are served as %+v", a.Files)
	}
	if a.Brand != "a" || !a.Enabled || a.RedirectToCanonical || !a.Frontend.IsZero() || a.Backend != nil ||
		!a.Database.Embedded() || a.Database.Name != "a" || a.Limits != (Limits{Body: 10 << 20, Timeout: 60 * time.Second, Hold: 10 * time.Second, UpstreamConnections: 256}) {
		t.Errorf("the tenant is %+v", a)
	}
}

func TestCertificateDefaults(t *testing.T) {
	f := func(gateway string, want Certificates) {
		t.Helper()
		folder := t.TempDir()
		path := filepath.Join(folder, "tenants.yaml")
		writeFile(t, path, "gateway: {"+gateway+"}\ntenants:\n  - {slug: a, domains: [a.example.com]}\n")
		d, faults := Load(Source{Path: path})
		if len(faults) > 0 {
			t.Fatal(faults)
		}
		want.Folder, want.StorageFolder = filepath.Join(folder, "certs"), filepath.Join(folder, "certs", want.StorageFolder)
		want.Key, want.Rehearsal, want.ValidationPort = "p256", true, 80
		if got := d.Gateway().Certificates; !reflect.DeepEqual(got, want) {
			t.Errorf("%s: the certificates are\n%+v, want\n%+v", gateway, got, want)
		}
		if got := d.Tenants()[0].Certificate; got != (Certificate{}) {
			t.Errorf("the tenant's certificate is %+v", got)
		}
	}
	both, alone := []string{ChallengeHTTP01, ChallengeTLSALPN01}, []string{ChallengeTLSALPN01}
	f("", Certificates{Issuer: IssuerLetsEncrypt, Limits: LimitsLetsEncrypt, Challenges: both})
	f("demo: true", Certificates{Issuer: IssuerInternal, Limits: LimitsNone, Challenges: both})
	f("demo: true, certificates: {issuer: letsencrypt}", Certificates{Issuer: IssuerLetsEncrypt, Limits: LimitsLetsEncrypt, Challenges: both})
	f("certificates: {staging: true}", Certificates{Issuer: IssuerLetsEncrypt, Staging: true, Limits: LimitsNone, Challenges: both})
	f("certificates: {issuer: zerossl}", Certificates{Issuer: IssuerZeroSSL, Limits: LimitsNone, Challenges: both})
	f("http: \"off\"", Certificates{Issuer: IssuerLetsEncrypt, Limits: LimitsLetsEncrypt, Challenges: alone})
	f("certificates: {storage: certs/acme}", Certificates{Issuer: IssuerLetsEncrypt, StorageFolder: "acme", Limits: LimitsLetsEncrypt, Challenges: both})
}

func TestFilesThatCannotBeRead(t *testing.T) {
	folder := t.TempDir()
	f := func(path, want string) {
		t.Helper()
		d, faults := Load(Source{Path: path})
		if d != nil || len(faults) != 1 || !strings.Contains(faults[0].Message, want) {
			t.Errorf("Load(%q) gives %v, %v; want %q", path, d, faults, want)
		}
	}
	f(filepath.Join(folder, "nowhere.yaml"), "is not there")
	f(folder, "is not a regular file")
	f("/dev/null", "is not a regular file")
	large := filepath.Join(folder, "large.yaml")
	file, err := os.Create(large)
	if err != nil {
		t.Fatal(err)
	}
	if err := file.Truncate(maxFileSize + 1); err != nil {
		t.Fatal(err)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	f(large, "is too large")
}
