package tenant

import (
	"fmt"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

func TestParseSize(t *testing.T) {
	f := func(text string, want int64) {
		t.Helper()
		if got, err := parseSize(text); got != want || (err == nil) != (want > 0) {
			t.Errorf("parseSize(%q) = %d, %v; want %d", text, got, err, want)
		}
	}
	f("1", 1)
	f("1B", 1)
	f("512KB", 512_000)
	f("512KiB", 512<<10)
	f("10MiB", 10<<20)
	f("10 MB", 10_000_000)
	f("2GiB", 2<<30)
	f("", 0)
	f("MiB", 0)
	f("0", 0)
	f("-1", 0)
	f("1.5MiB", 0)
	f("10mib", 0)
	f("10MiBB", 0)
	f("9223372036854775807GiB", 0)
	f("9223372036854775808", 0)
}

func TestParseMongoURI(t *testing.T) {
	f := func(uri, deployment, database string) {
		t.Helper()
		got, err := parseMongoURI(uri)
		if err != nil || got.deployment != deployment || got.database != database {
			t.Errorf("parseMongoURI(%q) = %+v, %v; want %q, %q", uri, got, err, deployment, database)
		}
	}
	f("mongodb://db", "db:27017", "")
	f("mongodb://db/", "db:27017", "")
	f("mongodb://DB.example.com.:27017/shop", "db.example.com:27017", "shop")
	f("mongodb://u:p%40ss@db2,db1:27018/shop?replicaSet=rs0", "db1:27018,db2:27017", "shop")
	f("mongodb://db?authSource=admin", "db:27017", "")
	f("mongodb://[::1]:27017/shop", "[::1]:27017", "shop")
	f("mongodb://%2Ftmp%2Fmongodb-27017.sock/shop", "%2Ftmp%2Fmongodb-27017.sock", "shop")
	f("mongodb+srv://u:p@Cluster.example.com/shop?retryWrites=true", "srv:cluster.example.com", "shop")
	f("mongodb://db,db/shop", "db:27017", "shop")
}

func TestDatabaseKey(t *testing.T) {
	f := func(a, b Database, same bool) {
		t.Helper()
		if got := a.key() == b.key(); got != same {
			t.Errorf("%q and %q: same is %t, want %t", a.key(), b.key(), got, same)
		}
	}
	at := func(uri, name string) Database { return Database{URI: NewSecret(uri), Name: name} }
	f(at("mongodb://a,b", "shop"), at("mongodb://u:p@B,A:27017/?w=1", "SHOP"), true)
	f(at("mongodb://a", "shop"), at("mongodb://b", "shop"), false)
	f(at("mongodb://a", "shop"), at("mongodb://a", "shop2"), false)
	f(at("", "shop"), at("", "Shop"), true)
	f(at("", "shop"), at("mongodb://embedded", "shop"), false)
}

func TestNearest(t *testing.T) {
	f := func(word, want string) {
		t.Helper()
		if got := nearest(word, tenantKeys); got != want {
			t.Errorf("nearest(%q) = %q, want %q", word, got, want)
		}
	}
	f("brnad", "brand")
	f("domain", "domains")
	f("mongouri", "mongo_uri")
	f("jwt-secret", "jwt_secret")
	f("Slug", "slug")
	f("colour", "")
	f("", "")
	f(strings.Repeat("x", 1000), "")
}

func TestSecretIsNeverPrinted(t *testing.T) {
	tenant := &Tenant{Slug: "a", JWTSecret: NewSecret("hunter2"), Database: Database{URI: NewSecret("mongodb://u:hunter2@db")}}
	logger, logs := observer.New(zap.DebugLevel)
	zap.New(logger).Info("x", zap.Any("tenant", tenant), zap.Stringer("secret", tenant.JWTSecret), zap.Reflect("r", tenant))
	printed := []string{
		fmt.Sprint(tenant.JWTSecret), fmt.Sprintf("%v %+v %#v %s %q %x", tenant, *tenant, *tenant, tenant.JWTSecret, tenant.JWTSecret, tenant.JWTSecret),
		fmt.Sprint(logs.All()[0].ContextMap()),
	}
	for _, text := range printed {
		if strings.Contains(text, "hunter2") || strings.Contains(text, "68756e746572") {
			t.Errorf("a secret is printed: %s", text)
		}
	}
}

// TestSame changes each field of a tenant in turn: a field that same forgets would make a reload without effect.
func TestSame(t *testing.T) {
	files := func() Files {
		return Files{CleanURLs: true, SPA: "app.html", Listing: true, Cache: []CacheRule{{"*", "no-store"}}}
	}
	one := func() *Tenant {
		return &Tenant{
			Slug: "a", Brand: "A", Domains: []string{"a.example.com"}, RedirectToCanonical: true,
			Frontend: Frontend{URL: &url.URL{Scheme: "http", Host: "127.0.0.1:3000"}},
			Backend:  &url.URL{Scheme: "http", Host: "127.0.0.1:5000"},
			Backends: []Upstream{{&url.URL{Scheme: "http", Host: "127.0.0.1:5000"}, 2}}, Balance: LeastConnections,
			Database: Database{URI: NewSecret("mongodb://db"), Name: "a", Recheck: time.Minute}, JWTSecret: NewSecret("x"), JWTPrevious: []Secret{NewSecret("w")},
			Cookies: LegacyCookies, CookieDomain: "example.com",
			Enabled: true, Limits: Limits{Body: 1, Timeout: time.Second},
			Certificate: Certificate{Issuer: IssuerInternal, DNS: "main", Files: "/pem"}, Origin: "tenants.yaml:7",
			Files: files(), Compress: AllCodings(), Cache: defaultCache(), Uploads: 1, Mail: Mail{NewSecret("smtp://mail.example.com"), "<a@example.com>"},
			BackendRoutes: routesTo("/api"), Health: Health{Path: "/healthz"}, BackendHealth: Health{Path: "/healthz"},
		}
	}
	if !one().same(one()) {
		t.Error("two equal tenants are not the same")
	}
	moved := one()
	moved.Origin = "tenants.yaml:9"
	if !one().same(moved) {
		t.Error("a tenant whose line has moved is not the same")
	}
	heavier := one()
	heavier.Backends[0].Weight = 3
	listed := one()
	listed.Frontend.Upstreams = heavier.Backends
	if one().same(heavier) || one().same(listed) {
		t.Error("a change of upstreams goes unseen")
	}
	for i := range reflect.TypeFor[Tenant]().NumField() {
		changed := one()
		field := reflect.ValueOf(changed).Elem().Field(i)
		field.SetZero()
		if one().same(changed) || changed.same(one()) {
			t.Errorf("a change of %s goes unseen", reflect.TypeFor[Tenant]().Field(i).Name)
		}
	}
	for i := range reflect.TypeFor[Files]().NumField() {
		changed := one()
		reflect.ValueOf(&changed.Files).Elem().Field(i).SetZero()
		if one().same(changed) {
			t.Errorf("a change of files.%s goes unseen", reflect.TypeFor[Files]().Field(i).Name)
		}
	}
}

func TestParseDotenv(t *testing.T) {
	f := func(file, key, want string, line int) {
		t.Helper()
		env, err := parseDotenv(".env", []byte(file))
		if err != nil || env[key].text != want || env[key].at.line != line {
			t.Errorf("parseDotenv(%q)[%s] = %+v, %v; want %q at line %d", file, key, env[key], err, want, line)
		}
	}
	f("A=1", "A", "1", 1)
	f("# comment\n\nA=1 # one\nB=2\n", "A", "1", 3)
	f("\ufeffA=1\r\nB=2\r\n", "B", "2", 2)
	f("export A='one two'\n", "A", "one two", 1)
	f("A=pa$$word$HOME${HOME}\n", "A", "pa$$word$HOME${HOME}", 1)
	f("A=\"pa$word\"\n", "A", "pa$word", 1)
	f("A='pa\\$word'\n", "A", `pa\$word`, 1)
	f("A=1\nA=2\n", "A", "2", 2)
	f("A=\n", "A", "", 0)
	f("A=mongodb://u:p#x@db/a?b=c\n", "A", "mongodb://u:p#x@db/a?b=c", 1)
}

func TestReveal(t *testing.T) {
	secrets := secretReader{
		environ: map[string]string{"USER": "u", "PASSWORD": "p$1${USER}"},
		resolve: func(path string) string { return "/run/" + path },
		read: func(path string, limit int64) ([]byte, error) {
			if path != "/run/secret" {
				return nil, errNotThere
			}
			return []byte("from a file\n"), nil
		},
	}
	f := func(text, want string) {
		t.Helper()
		if got, err := secrets.reveal(text); err != nil || got != want {
			t.Errorf("reveal(%q) = %q, %v; want %q", text, got, err, want)
		}
	}
	f("plain", "plain")
	f("a$b$", "a$b$")
	f("env:USER", "u")
	f("file:secret", "from a file")
	f("mongodb://${USER}:${PASSWORD}@db", "mongodb://u:p$1${USER}@db") // what is put in is not looked through again
	f("$${USER}", "${USER}")
}

func TestParseIssuer(t *testing.T) {
	f := func(text, want string) {
		t.Helper()
		got, err := parseIssuer(text)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("parseIssuer(%q) = %q, %v; want %q", text, got, err, want)
		}
	}
	f("letsencrypt", "letsencrypt")
	f("internal", "internal")
	f("LetsEncrypt", "")
	f("https://acme-v02.api.letsencrypt.org/directory", "https://acme-v02.api.letsencrypt.org/directory")
	f("HTTPS://CA.example.COM:443/Dir?x=y", "https://ca.example.com:443/Dir?x=y")
	f("https://[2001:DB8::1]:14000/dir", "https://[2001:db8::1]:14000/dir")
	f("http://localhost:14000/dir", "http://localhost:14000/dir")
	f("http://127.1.2.3/dir", "http://127.1.2.3/dir")
	f("http://10.0.0.1/dir", "")
	f("http://localhost.example.com/dir", "")
	f("http://localhost@ca.example.com/dir", "")
	f("https:///dir", "")
	f("file:///etc/passwd", "")
	f("https://ca.example.com/a b", "https://ca.example.com/a%20b")
	f("https://ca.example.com/\r\nx", "")
}

func TestCheckStorageKey(t *testing.T) {
	f := func(text string, good bool) {
		t.Helper()
		if err := checkStorageKey(text); (err == nil) != good {
			t.Errorf("checkStorageKey(%q) = %v", text, err)
		}
	}
	f("00112233445566778899aabbccddeeff00112233445566778899AABBCCDDEEFF", true)
	f("00112233445566778899aabbccddeeff00112233445566778899aabbccddee", false)
	f("ABEiM0RVZneImaq7zN3u/wARIjNEVWZ3iJmqu8zd7v8=", true)
	f("ABEiM0RVZneImaq7zN3u_wARIjNEVWZ3iJmqu8zd7v8", true)
	f("ABEiM0RVZneImaq7zN3u_wARIjNEVWZ3iJmqu8zd7v8/", false)
	f("ABEiM0RVZneImaq7zN3u/w==", false)
	f("", false)
}

func TestParseServer(t *testing.T) {
	f := func(text, want string) {
		t.Helper()
		if got, err := parseServer(text); got != want || (err == nil) != (want != "") {
			t.Errorf("parseServer(%q) = %q, %v; want %q", text, got, err, want)
		}
	}
	f("9.9.9.9", "9.9.9.9:53")
	f("9.9.9.9:5353", "9.9.9.9:5353")
	f("2001:db8::53", "[2001:db8::53]:53")
	f("[2001:db8::53]", "[2001:db8::53]:53")
	f("[2001:db8::53]:54", "[2001:db8::53]:54")
	f("ns1.example.com", "ns1.example.com:53")
	f("localhost:8053", "localhost:8053")
	f("ns1.example.com:", "")
	f("ns1.example.com:0", "")
	f("ns1.example.com:65536", "")
	f("ns1 example", "")
	f("a:b:c", "")
	f(":53", "")
	f("", "")
}
