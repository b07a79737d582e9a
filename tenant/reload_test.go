package tenant

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/pflag"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

const threeTenants = `tenants:
  - slug: a
    domains: [a.example.com]
    frontend: http://127.0.0.1:3001
  - slug: b
    domains: [b.example.com]
    frontend: http://127.0.0.1:3002
  - slug: c
    domains: [c.example.com]
    frontend: http://127.0.0.1:3003
`

// site is a folder with a tenants.yaml, and a Reloader on it.
type site struct {
	*testing.T
	*Reloader
	path string
}

// open starts a Reloader on a new folder.
func open(t *testing.T, yaml string) *site {
	t.Helper()
	path := filepath.Join(t.TempDir(), "tenants.yaml")
	writeFile(t, path, yaml)
	r, err := Open(Source{Path: path}, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	return &site{t, r, path}
}

// reload writes the file and reads it.
func (s *site) reload(yaml string) Verdict {
	s.Helper()
	writeFile(s.T, s.path, yaml)
	return s.Reload()
}

// restart opens the folder anew, as after a restart of the process.
func (s *site) restart() {
	s.Helper()
	r, err := Open(Source{Path: s.path}, zap.NewNop())
	if err != nil {
		s.Fatal(err)
	}
	s.Reloader = r
}

// serves compares who is served under which hosts, as "a=a.example.com", with what is wanted.
func (s *site) serves(want ...string) {
	s.Helper()
	var got []string
	for _, t := range s.Registry().Current().Tenants() {
		got = append(got, t.Slug+"="+strings.Join(t.Domains, ","))
		for _, domain := range t.Domains {
			if found, _ := s.Registry().Current().Lookup([]byte(strings.Replace(domain, "*", "any", 1))); found != t {
				s.Errorf("%q leads to %v", domain, found)
			}
		}
	}
	if !slices.Equal(got, want) {
		s.Errorf("served are %q, want %q", got, want)
	}
}

func (s *site) tenant(slug string) *Tenant {
	s.Helper()
	t, ok := s.Registry().Current().Tenant([]byte(slug))
	if !ok {
		s.Fatalf("tenant %q is not served", slug)
	}
	return t
}

// judge compares what a verdict says, with slugs separated by spaces.
func (s *site) judge(v Verdict, ok bool, added, changed, removed, flagged string) {
	s.Helper()
	if v.OK != ok || v.OK != (len(v.Faults) == 0) {
		s.Errorf("OK is %t with faults %v", v.OK, v.Faults)
	}
	for _, list := range []struct {
		name string
		got  []string
		want string
	}{{"added", v.Added, added}, {"changed", v.Changed, changed}, {"removed", v.Removed, removed}, {"flagged", v.Flagged, flagged}} {
		if got := strings.Join(list.got, " "); got != list.want {
			s.Errorf("%s are %q, want %q; faults:\n%v", list.name, got, list.want, v.Faults)
		}
	}
}

func TestReloadOfGoodFiles(t *testing.T) {
	s := open(t, threeTenants)
	s.serves("a=a.example.com", "b=b.example.com", "c=c.example.com")
	a, b := s.tenant("a"), s.tenant("b")

	v := s.reload("# a line above moves all others\n" + strings.Replace(threeTenants, ":3002", ":4002", 1))
	s.judge(v, true, "", "b", "", "")
	if s.tenant("a") != a {
		t.Error("an unchanged tenant is another one after a reload")
	}
	if s.tenant("b") == b || s.tenant("b").Frontend.String() != "http://127.0.0.1:4002" {
		t.Error("a changed tenant is as before")
	}
	if b.Frontend.String() != "http://127.0.0.1:3002" {
		t.Error("a request that began before the reload sees another tenant")
	}

	v = s.reload("tenants:\n  - {slug: d, domains: [d.example.com, a.example.com]}\n  - {slug: c, domains: [c.example.com]}\n")
	s.judge(v, true, "d", "c", "a b", "")
	s.serves("d=d.example.com,a.example.com", "c=c.example.com")
	if v := s.Reload(); v.changes() || !v.OK {
		t.Errorf("a reload of the same file changes %+v", v)
	}
}

func TestReloadOfOneTenantAtFault(t *testing.T) {
	s := open(t, threeTenants)
	// b is wrong, a is changed, c is removed, and d is new: only b stays as it was
	v := s.reload(`tenants:
  - {slug: b, domains: [b2.example.com], frontend: nonsense}
  - {slug: a, domains: [a.example.com, a2.example.com]}
  - {slug: d, domains: [d.example.com]}
`)
	s.judge(v, false, "d", "a", "c", "b")
	s.serves("b=b.example.com", "a=a.example.com,a2.example.com", "d=d.example.com")
	if got := s.tenant("b").Frontend.String(); got != "http://127.0.0.1:3002" {
		t.Errorf("b's frontend is %q", got)
	}
	// never good: left out
	v = s.reload(threeTenants + "  - {slug: e, domains: [e.example.com], colour: red}\n  - {slug: f, domains: [f.example.com]}\n")
	s.judge(v, false, "c f", "a", "d", "e")
	s.serves("a=a.example.com", "b=b.example.com", "c=c.example.com", "f=f.example.com")
}

func TestReloadOfFaultsOutsideTheTenants(t *testing.T) {
	s := open(t, threeTenants)
	before := s.Registry().Current()
	f := func(yaml string) {
		t.Helper()
		v := s.reload(yaml)
		if v.OK || v.Published || len(v.Faults) == 0 {
			t.Errorf("%q gives %+v", yaml, v)
		}
		if s.Registry().Current() != before {
			t.Errorf("%q replaces the Directory", yaml)
		}
	}
	f("")
	f("\n\n")
	f("# gone\n")
	f("tenants:\n")
	f("tenants")
	f("tenants: [\n")
	f("tenants: {}\n")
	f("gateway: {colour: red}\n" + threeTenants)
	f("gateway: {unknown_host: z}\n" + threeTenants)
	f("gateway: {api_hosts: [b.example.com]}\n" + threeTenants) // would take a host from a tenant that is served
	f(threeTenants + "--- \n" + threeTenants)
	f("\x00\x01")
	if err := os.Remove(s.path); err != nil {
		t.Fatal(err)
	}
	if v := s.Reload(); v.OK || s.Registry().Current() != before {
		t.Errorf("a removed file gives %+v", v)
	}
	s.judge(s.reload(threeTenants), true, "", "", "", "")
}

// TestReloadOfCutFiles cuts a file of many tenants at every byte: whatever of it is still YAML, all tenants stay as they were, or are
// gone because the file is whole without them.
func TestReloadOfCutFiles(t *testing.T) {
	s := open(t, threeTenants)
	for end := range len(threeTenants) {
		v := s.reload(threeTenants[:end])
		if v.changes() && !strings.HasSuffix(threeTenants[:end], "\n") {
			t.Errorf("a file that ends with %q changes %q and removes %q", threeTenants[max(0, end-20):end], v.Changed, v.Removed)
		}
		s.judge(s.reload(threeTenants), true, strings.Join(v.Removed, " "), strings.Join(v.Changed, " "), "", "")
	}
	v := s.reload("tenants:\n  - slug: a\n    domains: [a.example.com]\n    frontend: http://127.0.0.1:30")
	s.judge(v, false, "", "", "", "a b c")
	v = s.reload("tenants:\n  - slug: a\n    domains: [a.example.com]\n  - slug: b\n")
	s.judge(v, false, "", "a", "", "b c")
	// a file without a line break at its end is well where no tenant is gone and the last is as it was, or new
	s.reload(threeTenants)
	s.judge(s.reload(strings.TrimSuffix(strings.Replace(threeTenants, ":3001", ":4001", 1), "\n")), true, "", "a", "", "")
	s.judge(s.reload(threeTenants+"  - {slug: d, domains: [d.example.com]}"), true, "d", "a", "", "")
}

func TestHostThatTwoTenantsClaim(t *testing.T) {
	s := open(t, threeTenants)
	// a, first in the file, asks for c's host: c serves it now
	v := s.reload(strings.Replace(threeTenants, "[a.example.com]", "[a.example.com, C.example.com]", 1))
	s.judge(v, false, "", "", "", "a")
	s.serves("a=a.example.com", "b=b.example.com", "c=c.example.com")
	if want := `tenant "a": domain "c.example.com" already belongs to "c" (line 9)`; !strings.Contains(v.Faults.Error(), want) {
		t.Errorf("faults are %v, want %q", v.Faults, want)
	}
	// two new tenants ask for one host: the first has it
	v = s.reload(threeTenants + "  - {slug: d, domains: [d.example.com]}\n  - {slug: e, domains: [d.example.com]}\n")
	s.judge(v, false, "d", "", "", "e")
	// moving a host, also in a ring, is well
	v = s.reload(`tenants:
  - {slug: a, domains: [b.example.com]}
  - {slug: b, domains: [c.example.com]}
  - {slug: c, domains: [a.example.com]}
`)
	s.judge(v, true, "", "a b c", "d", "")
	// a's fault keeps b.example.com with it, so that b, c and d in turn cannot have what they ask for
	v = s.reload(`tenants:
  - {slug: b, domains: [b.example.com]}
  - {slug: c, domains: [c.example.com]}
  - {slug: d, domains: [a.example.com]}
  - {slug: a, domains: [x.example.com], frontend: nonsense}
`)
	s.judge(v, false, "", "", "", "b c d a")
	s.serves("b=c.example.com", "c=a.example.com", "a=b.example.com")
}

func TestDuplicateSlugKeepsTheTenant(t *testing.T) {
	s := open(t, threeTenants)
	v := s.reload("tenants:\n  - {slug: a, domains: [other.example.com]}\n" + strings.TrimPrefix(threeTenants, "tenants:\n"))
	s.judge(v, false, "", "", "", "a")
	s.serves("a=a.example.com", "b=b.example.com", "c=c.example.com")
}

func TestUnreadableSlugKeepsTheTenant(t *testing.T) {
	s := open(t, threeTenants)
	v := s.reload(strings.Replace(threeTenants, "slug: b", "slug: B!", 1))
	s.judge(v, false, "", "", "", "b")
	s.serves("a=a.example.com", "c=c.example.com", "b=b.example.com")
}

func TestDatabaseOfAnotherTenant(t *testing.T) {
	s := open(t, "tenants:\n  - {slug: a, domains: [a.example.com], mongo_uri: \"mongodb://db1,db2/shop\"}\n")
	v := s.reload(`tenants:
  - {slug: b, domains: [b.example.com], mongo_uri: "mongodb://u:p@DB2,db1:27017/Shop"}
  - {slug: a, domains: [a.example.com], mongo_uri: "mongodb://db1,db2/shop"}
`)
	s.judge(v, false, "", "", "", "b")
	s.serves("a=a.example.com")
}

func TestCookieDomainOverAnotherTenant(t *testing.T) {
	s := open(t, "tenants:\n  - {slug: a, domains: [a.example.com], cookies: legacy, cookie_domain: example.com}\n")
	// b is new below a's cookie domain
	v := s.reload("tenants:\n  - {slug: b, domains: [b.example.com]}\n  - {slug: a, domains: [a.example.com], cookies: legacy, cookie_domain: example.com}\n")
	s.judge(v, false, "", "", "", "b")
	s.serves("a=a.example.com")
	// without the cookie domain both are well; then it is a that may not have it again
	v = s.reload("tenants:\n  - {slug: b, domains: [b.example.com]}\n  - {slug: a, domains: [a.example.com]}\n")
	s.judge(v, true, "b", "a", "", "")
	v = s.reload("tenants:\n  - {slug: b, domains: [b.example.com]}\n  - {slug: a, domains: [a.example.com], cookies: legacy, cookie_domain: example.com}\n")
	s.judge(v, false, "", "", "", "a")
	if s.tenant("a").CookieDomain != "" {
		t.Error("a's cookies would be sent to b")
	}
}

func TestIncludedFileAtFault(t *testing.T) {
	s := open(t, "include: tenants.d/*.yaml\ntenants:\n  - {slug: a, domains: [a.example.com]}\n")
	b, c := filepath.Join(filepath.Dir(s.path), "tenants.d", "b.yaml"), filepath.Join(filepath.Dir(s.path), "tenants.d", "c.yaml")
	writeFile(t, b, "tenants:\n  - {slug: b, domains: [b.example.com]}\n")
	writeFile(t, c, "tenants:\n  - {slug: c, domains: [c.example.com]}\n")
	s.judge(s.Reload(), true, "b c", "", "", "")
	// one broken file costs only its own tenants' changes
	writeFile(t, b, "tenants: [\n")
	writeFile(t, c, "tenants:\n  - {slug: c, domains: [c.example.com, c2.example.com]}\n")
	s.judge(s.Reload(), false, "", "c", "", "b")
	s.serves("a=a.example.com", "c=c.example.com,c2.example.com", "b=b.example.com")
	s.restart()
	s.serves("a=a.example.com", "c=c.example.com,c2.example.com", "b=b.example.com")
	// a removed file removes its tenants
	if err := os.Remove(b); err != nil {
		t.Fatal(err)
	}
	s.judge(s.Reload(), true, "", "", "b", "")
}

func TestRestartOnABrokenFile(t *testing.T) {
	s := open(t, threeTenants)
	secret := s.tenant("b").JWTSecret
	broken := strings.Replace(threeTenants, "http://127.0.0.1:3002", "nonsense", 1) + "  - {slug: d, domains: [d.example.com], colour: red}\n"
	writeFile(t, s.path, broken)
	s.restart()
	s.judge(s.Verdict(), false, "", "", "", "b d")
	s.serves("a=a.example.com", "b=b.example.com", "c=c.example.com")
	if s.tenant("b").Frontend.String() != "http://127.0.0.1:3002" || s.tenant("b").JWTSecret != secret {
		t.Errorf("b is not as it was last good: %+v", s.tenant("b"))
	}
	s.restart() // the last good version outlives a start on a broken file
	s.serves("a=a.example.com", "b=b.example.com", "c=c.example.com")

	writeFile(t, s.path, "tenants: [\n")
	_, err := Open(Source{Path: s.path}, zap.NewNop())
	var faults Faults
	if !errors.As(err, &faults) || len(faults) != 1 || faults[0].Line == 0 {
		t.Errorf("a start on a file that is not YAML gives %v", err)
	}
}

func TestRestartRemovesWhatAGoodFileLeavesOut(t *testing.T) {
	s := open(t, threeTenants)
	writeFile(t, s.path, "tenants:\n  - {slug: a, domains: [a.example.com, b.example.com]}\n")
	s.restart()
	s.judge(s.Verdict(), true, "", "a", "b c", "")
	s.serves("a=a.example.com,b.example.com")
}

func TestDamagedLastGoodVersions(t *testing.T) {
	s := open(t, threeTenants)
	path := keptPath(filepath.Join(filepath.Dir(s.path), "data"))
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, content := range []string{"", "{", `{"version":99}`, `{"version":1,"tenants":[{"slug":"a"},{"slug":"../b"},{}]}`, string(good[:len(good)/2])} {
		writeFile(t, path, content)
		s.restart()
		s.serves("a=a.example.com", "b=b.example.com", "c=c.example.com")
	}
}

func TestFilesWithSecretsAreTheOwnersOnly(t *testing.T) {
	s := open(t, threeTenants)
	s.reload(strings.Replace(threeTenants, ":3001", ":4001", 1))
	data := filepath.Join(filepath.Dir(s.path), "data")
	entries, err := os.ReadDir(data)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, entry := range entries {
		names = append(names, entry.Name())
		if info, err := entry.Info(); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v, %v", entry.Name(), info.Mode(), err)
		}
	}
	if !slices.Equal(names, []string{"jwt-secrets", "last-good.json"}) {
		t.Errorf("the data folder holds %q", names)
	}
	if info, err := os.Stat(data); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the data folder has mode %v, %v", info.Mode(), err)
	}
}

func TestMadeSecretsStay(t *testing.T) {
	s := open(t, threeTenants)
	a, b := s.tenant("a").JWTSecret, s.tenant("b").JWTSecret
	if len(a.Reveal()) < madeSecretLen || a == b {
		t.Fatalf("secrets of %d bytes, equal: %t", len(a.Reveal()), a == b)
	}
	s.reload(strings.Replace(threeTenants, "slug: a", "slug: a\n    jwt_secret: own", 1))
	if got := s.tenant("a").JWTSecret.Reveal(); got != "own" {
		t.Errorf("a's secret is %q", got)
	}
	s.reload(threeTenants)
	if s.tenant("a").JWTSecret != a {
		t.Error("a's made secret is another one after it was set aside for a while")
	}
	if err := os.Remove(keptPath(filepath.Join(filepath.Dir(s.path), "data"))); err != nil {
		t.Fatal(err)
	}
	s.restart()
	if s.tenant("a").JWTSecret != a || s.tenant("b").JWTSecret != b {
		t.Error("the made secrets are others after a restart")
	}
}

// A rotated key signs, and those before it verify on, up to a bound; a tenant that is not meant keeps its own.
func TestMadeSecretsRotate(t *testing.T) {
	s := open(t, threeTenants)
	data := filepath.Join(filepath.Dir(s.path), "data")
	first, b := s.tenant("a").JWTSecret, s.tenant("b").JWTSecret
	rotate := func(forget bool) {
		t.Helper()
		if err := RotateSecret(data, s.tenant("a"), forget); err != nil {
			t.Fatal(err)
		}
		if !s.inputs.Load().changed() {
			t.Error("a running server does not see that the file has changed")
		}
		s.judge(s.Reload(), true, "", "a", "", "")
	}
	rotate(false)
	second := s.tenant("a").JWTSecret
	if second == first || !slices.Equal(s.tenant("a").JWTPrevious, []Secret{first}) || s.tenant("b").JWTSecret != b {
		t.Errorf("after a rotation a has %d former keys", len(s.tenant("a").JWTPrevious))
	}
	s.restart()
	if s.tenant("a").JWTSecret != second || !slices.Equal(s.tenant("a").JWTPrevious, []Secret{first}) {
		t.Error("the keys are others after a restart")
	}
	for range maxPrevious {
		rotate(false)
	}
	if former := s.tenant("a").JWTPrevious; len(former) != maxPrevious || former[maxPrevious-1] != second {
		t.Errorf("there are %d former keys, or not the last ones", len(former))
	}
	rotate(true)
	if former := s.tenant("a").JWTPrevious; len(former) != 0 {
		t.Errorf("%d keys that were to be forgotten are still there", len(former))
	}
	if err := os.Remove(filepath.Join(data, "jwt-secrets")); err != nil {
		t.Fatal(err)
	}
	last := s.tenant("a").JWTSecret
	s.reload(strings.Replace(threeTenants, "slug: c", "slug: d", 1))
	if s.tenant("a").JWTSecret != last {
		t.Error("a removed file ends sessions while the server knows the keys")
	}
	s.reload(strings.Replace(threeTenants, "slug: a", "slug: a\n    jwt_secret: own", 1))
	if err := RotateSecret(data, s.tenant("a"), false); !errors.Is(err, ErrDeclaredSecret) {
		t.Errorf("rotating a declared key: %v", err)
	}
}

func TestMadeSecretsThatCannotBeKept(t *testing.T) {
	s := open(t, "tenants:\n  - {slug: a, domains: [a.example.com], jwt_secret: own}\n")
	secrets := filepath.Join(filepath.Dir(s.path), "data", "jwt-secrets")
	writeFile(t, secrets, "no pair\n\n")
	v := s.reload("tenants:\n  - {slug: a, domains: [a.example.com], jwt_secret: own}\n  - {slug: b, domains: [b.example.com]}\n")
	s.judge(v, false, "", "", "", "b")
	s.serves("a=a.example.com")
	if content, err := os.ReadFile(secrets); err != nil || string(content) != "no pair\n\n" {
		t.Errorf("a file that is not understood was written over: %q, %v", content, err)
	}
}

func TestLoadWritesNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tenants.yaml")
	writeFile(t, path, threeTenants)
	d, faults := Load(Source{Path: path})
	if len(faults) > 0 || len(d.Tenants()) != 3 || d.Tenants()[0].JWTSecret.IsZero() {
		t.Fatalf("Load gives %+v, %v", d, faults)
	}
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(entries) != 1 {
		t.Errorf("the folder holds %v, %v", entries, err)
	}
}

func TestReloadKeepsWhatTakesARestart(t *testing.T) {
	s := open(t, "gateway: {https: \":1443\", unknown_host: a}\n"+threeTenants)
	running := *s.Registry().Current().Gateway()
	v := s.reload("gateway: {https: \":2443\", http: \":2080\", admin: \":2180\", data: elsewhere, demo: true, unknown_host: b, api_hosts: [api.example.com], certificates: {folder: other}}\n" + threeTenants)
	s.judge(v, true, "", "", "", "")
	if len(v.Restart) != 7 || v.Restart[0] != `gateway.https changed from ":1443" to ":2443": restart to apply` {
		t.Errorf("the verdict says %q", v.Restart)
	}
	now := s.Registry().Current()
	if g := now.Gateway(); g.HTTPS != running.HTTPS || g.HTTP != running.HTTP || g.Admin != running.Admin || g.Data != running.Data || g.Demo || !reflect.DeepEqual(g.Certificates, running.Certificates) {
		t.Errorf("the settings are now %+v", g)
	}
	if now.Unknown().Slug != "b" || !now.IsAPIHost([]byte("api.example.com")) {
		t.Error("what needs no restart is not applied")
	}
}

func TestReloadKeepsCertificateSettings(t *testing.T) {
	s := open(t, threeTenants)
	running := s.Registry().Current().Gateway().Certificates
	f := func(certificates string, want ...string) {
		t.Helper()
		v := s.reload("gateway: {certificates: {" + certificates + "}}\n" + threeTenants)
		s.judge(v, true, "", "", "", "")
		for i, sentence := range v.Restart {
			v.Restart[i] = strings.TrimSuffix(strings.TrimPrefix(sentence, "gateway.certificates."), ": restart to apply")
		}
		if !slices.Equal(v.Restart, want) {
			t.Errorf("%s: the verdict says %q, want %q", certificates, v.Restart, want)
		}
		if now := s.Registry().Current().Gateway().Certificates; !reflect.DeepEqual(now, running) {
			t.Errorf("%s: the settings are now %+v", certificates, now)
		}
	}
	f("")
	// what follows another setting is not told besides it
	f("issuer: zerossl", `issuer changed from "letsencrypt" to "zerossl"`)
	f("issuer: letsencrypt, staging: true", "staging changed from false to true")
	// nothing of a secret is told, nor of where it is kept
	f("storage: \"mongodb://root:hunter2@db\"", "storage changed")
	f("storage: elsewhere", "storage changed")
	f("storage_key: 00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff", "storage_key changed")
	f("eab: {key_id: a, hmac_key: hunter2}", "eab changed")
	f("fallback: zerossl, fallback_eab: {key_id: a, hmac_key: hunter2}", `fallback changed from "" to "zerossl"`, "fallback_eab changed")
	f("dns: [{name: main, provider: hetzner, api_token: hunter2}]", "dns changed")
	// all others
	f("email: a@example.com, profile: classic, key: p384", `email changed from "" to "a@example.com"`, `profile changed from "" to "classic"`, `key changed from "p256" to "p384"`)
	f("challenges: [http-01], rehearsal: false", "challenges changed from [http-01 tls-alpn-01] to [http-01]", "rehearsal changed from true to false")
	f("resolver: 9.9.9.9, addresses: [192.0.2.1]", `resolver changed from "" to "9.9.9.9:53"`, "addresses changed from [] to [192.0.2.1]")
	f("validation_port: 81, limits: none", "validation_port changed from 80 to 81", `limits changed from "letsencrypt" to "none"`)
}

func TestOrderOfSources(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tenants.yaml")
	writeFile(t, path, "gateway: {https: \":1\", http: \":2\", admin: \":3\"}\n"+threeTenants)
	flags := pflag.NewFlagSet("metahub", pflag.ContinueOnError)
	flags.String("gateway.https", ":9", "")
	flags.String("gateway.http", ":9", "")
	flags.StringSlice("gateway.api_hosts", nil, "")
	if err := flags.Parse([]string{"--gateway.https=:111", "--gateway.api_hosts=x.example.com,y.example.com"}); err != nil {
		t.Fatal(err)
	}
	d, faults := Load(Source{Path: path, Flags: flags, Environ: []string{
		"METAHUB_GATEWAY_HTTPS=:11", "METAHUB_GATEWAY_HTTP=:22", "METAHUB_GATEWAY_ADMIN=", "METAHUB_GATEWAY_DEMO=true",
		"METAHUB_GATEWAY_TRUSTED_PROXIES=10.0.0.0/8, 192.0.2.1", "METAHUB_DEFAULTS_BODY_LIMIT=1MiB", "METAHUB_GATEWAY_CERTIFICATES_FOLDER=pem",
	}})
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	g := d.Gateway()
	folder := filepath.Dir(path)
	if g.HTTPS != ":111" || g.HTTP != ":22" || g.Admin != ":3" || !g.Demo || g.Data != filepath.Join(folder, "data") ||
		g.Certificates.Folder != filepath.Join(folder, "pem") {
		t.Errorf("the settings are %+v", g)
	}
	if !slices.Equal(g.APIHosts, []string{"x.example.com", "y.example.com"}) || len(g.TrustedProxies) != 2 {
		t.Errorf("the lists are %q, %v", g.APIHosts, g.TrustedProxies)
	}
	if d.Tenants()[0].Limits.Body != 1<<20 {
		t.Errorf("the body limit is %d", d.Tenants()[0].Limits.Body)
	}
}

func TestLogHoldsNoSecret(t *testing.T) {
	core, logs := observer.New(zap.DebugLevel)
	path := filepath.Join(t.TempDir(), "tenants.yaml")
	writeFile(t, path, "tenants:\n  - {slug: a, domains: [a.example.com], mongo_uri: \"mongodb://root:hunter2@db/a\", jwt_secret: hunter2}\n"+
		"  - {slug: b, domains: [b.example.com], mongo_uri: \"mongodb://root:hunter2:@db\"}\n")
	if _, err := Open(Source{Path: path}, zap.New(core)); err != nil {
		t.Fatal(err)
	}
	if logs.Len() < 2 {
		t.Fatalf("the log holds %d lines", logs.Len())
	}
	for _, entry := range logs.All() {
		if strings.Contains(entry.Message, "hunter2") {
			t.Error(entry.Message)
		}
		for _, field := range entry.Context {
			if strings.Contains(field.String, "hunter2") {
				t.Error(field)
			}
		}
	}
}
