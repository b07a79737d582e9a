package cli

import (
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"metahub/tenant"
)

// result is what a command leaves.
type result struct {
	code           int
	stdout, stderr string
}

func run(stdin string, environ []string, arguments ...string) result {
	var stdout, stderr output
	code := Main(Process{Args: arguments, Environ: environ, Stdin: strings.NewReader(stdin), Stdout: &stdout, Stderr: &stderr})
	return result{code, stdout.String(), stderr.String()}
}

func TestCommandLine(t *testing.T) {
	f := func(code int, stderr string, arguments ...string) {
		t.Helper()
		got := run("", nil, arguments...)
		if got.code != code || !strings.Contains(got.stderr, stderr) {
			t.Errorf("metahub %q ended with %d, want %d, and said %q, want %q", arguments, got.code, code, got.stderr, stderr)
		}
		if strings.Count(got.stderr, "\n") > 1 {
			t.Errorf("metahub %q said more than one sentence: %q", arguments, got.stderr)
		}
	}
	// what makes no sense
	f(exitUsage, `did you mean "check"?`, "chek")
	f(exitUsage, `unknown command "xyz"`, "xyz")
	f(exitUsage, `unknown command "now" for "metahub check"`, "check", "now")
	f(exitUsage, "unknown flag: --conf", "--conf", "x")
	f(exitUsage, "unknown flag: --verbose", "check", "--verbose")
	f(exitUsage, "flag needs an argument: --config", "--config")
	f(exitUsage, "metahub user add --help", "user")
	f(exitUsage, `unknown command "ad"`, "user", "ad")
	f(exitUsage, "metahub models check", "models")
	f(exitUsage, "metahub keys rotate --help", "keys")
	f(exitUsage, "one TENANT", "keys", "rotate")
	f(exitUsage, "--tenant SLUG", "user", "add", "--email", "ada@example.com")
	f(exitUsage, "metahub cache purge --help", "cache")
	f(exitUsage, "--tenant SLUG", "cache", "purge")
	f(exitUsage, "--url is empty", "cache", "purge", "--tenant", "a", "--url", "")
	f(exitUsage, "not both", "cache", "purge", "--tenant", "a", "--url", "/a", "--prefix", "/")
	f(exitUsage, "--log-level", "--log-level", "loud")
	f(exitUsage, "--log-format", "--log-format", "xml")
	// what cannot be done
	f(exitError, "no-such-file.yaml", "--config", "no-such-file.yaml")
	f(exitError, "metahub running", "health", "--admin", "127.0.0.1:1")
	f(exitError, "metahub running", "cache", "purge", "--tenant", "a", "--admin", "127.0.0.1:1")
	// what can
	f(exitOK, "", "version")
	f(exitOK, "", "--help")
	f(exitOK, "", "help", "user", "add")
}

// TestHelp keeps the help of every command complete: what it does, how it is called, and what each flag means.
func TestHelp(t *testing.T) {
	for _, command := range []string{"", "serve", "check", "trust", "health", "version", "user", "user add", "cache", "cache purge", "keys", "keys rotate", "models", "models check", "models apply"} {
		got := run("", nil, append(strings.Fields(command), "--help")...)
		for _, part := range []string{"Usage:\n  metahub", "--config file", "--log-level level", "--https address", "--admin address"} {
			if !strings.Contains(got.stdout, part) {
				t.Errorf("metahub %s --help lacks %q:\n%s", command, part, got.stdout)
			}
		}
		if command != "user" && command != "cache" && command != "keys" && command != "models" && !strings.Contains(got.stdout, "Examples:\n  ") {
			t.Errorf("metahub %s --help shows no example", command)
		}
	}
}

func TestCheck(t *testing.T) {
	folder := t.TempDir()
	path := filepath.Join(folder, "tenants.yaml")
	f := func(content string, code int, want ...string) {
		t.Helper()
		write(t, path, content)
		got := run("", nil, "check", "--config", path)
		if got.code != code {
			t.Errorf("exit code %d, want %d:\n%s%s", got.code, code, got.stdout, got.stderr)
		}
		for _, part := range want {
			if !strings.Contains(got.stdout, part) {
				t.Errorf("the output lacks %q:\n%s", part, got.stdout)
			}
		}
	}
	// a good file is shown as a table
	f(tenantsOf("anastasia", "ensotek"), exitOK, "TENANT ", "anastasia ", "2 tenants on 2 hosts")
	// all faults are told at once
	f("tenants:\n  - {slug: a, domains: [x.example]}\n  - {slug: b, domains: [X.example]}\n  - {slug: c, domains: [c.example], colour: red}\n",
		exitError, "tenants.yaml:3", "tenants.yaml:4", `"colour"`, "2 faults in")
	f("", exitError, "empty")
	// and nothing was made on the way
	entries, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	if len(entries) != 1 {
		t.Errorf("check left files behind: %v", entries)
	}
}

func TestEnvironmentAndFlags(t *testing.T) {
	folder := t.TempDir()
	path := filepath.Join(folder, "tenants.yaml")
	write(t, path, "gateway: {https: ':1111'}\ntenants:\n  - {slug: a, domains: [a.example]}\n")
	f := func(want string, environ []string, arguments ...string) {
		t.Helper()
		got := run("", environ, append([]string{"check"}, arguments...)...)
		if !strings.Contains(got.stdout, "https://a.example"+want+" ") {
			t.Errorf("environment %q, arguments %q: want %q in\n%s%s", environ, arguments, want, got.stdout, got.stderr)
		}
	}
	f(":1111", []string{"METAHUB_CONFIG=" + path})
	f(":2222", []string{"METAHUB_CONFIG=" + path, "METAHUB_GATEWAY_HTTPS=:2222"})
	f(":3333", []string{"METAHUB_CONFIG=" + path, "METAHUB_GATEWAY_HTTPS=:2222"}, "--https", ":3333")
	f("", []string{"METAHUB_CONFIG=no-such-file.yaml"}, "--config", path, "--https", ":443")
	f(":1111", []string{"METAHUB_CONFIG=" + path, "METAHUB_GATEWAY_HTTPS="})
}

func TestUserAdd(t *testing.T) {
	folder := t.TempDir()
	path := filepath.Join(folder, "tenants.yaml")
	write(t, path, tenantsOf("anastasia"))
	f := func(password string, code int, stderr string, arguments ...string) {
		t.Helper()
		got := run(password, nil, append([]string{"user", "add", "--config", path}, arguments...)...)
		if got.code != code || !strings.Contains(got.stderr, stderr) {
			t.Errorf("user add %q ended with %d, want %d, and said %q, want %q", arguments, got.code, code, got.stderr, stderr)
		}
		if password != "" && strings.Contains(got.stdout+got.stderr, strings.TrimSpace(password)) {
			t.Error("the password was printed")
		}
	}
	f("correct horse\n", exitOK, "", "--tenant", "anastasia", "--email", "ada@example.com")
	f("correct horse\n", exitError, `the same "email" already`, "--tenant", "anastasia", "--email", "ada@example.com")
	f("correct horse\n", exitError, `no tenant "nobody"`, "--tenant", "nobody", "--email", "ada@example.com")
	f("", exitError, "no password", "--tenant", "anastasia", "--email", "bob@example.com")
	f("short\n", exitError, "password must have at least 8 characters\n", "--tenant", "anastasia", "--email", "bob@example.com")

	// while a server runs, in its database
	i := serveIn(t, folder)
	f("battery staple", exitOK, "", "--tenant", "anastasia", "--email", "carol@example.com", "--role", "user")
	_, port, _ := net.SplitHostPort(i.https)
	for email, password := range map[string]string{"ada@example.com": "correct horse", "carol@example.com": "battery staple"} {
		response, err := i.client.Post("https://anastasia.localhost:"+port+"/api/users/login", "application/json",
			strings.NewReader(`{"email":"`+email+`","password":"`+password+`"}`))
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if response.StatusCode != 200 {
			t.Errorf("%s signing in: %s", email, response.Status)
		}
	}
}

func TestKeysRotate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tenants.yaml")
	text := "tenants:\n  - {slug: a, domains: [a.localhost]}\n  - {slug: b, domains: [b.localhost], jwt_secret: hunter2}\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	f := func(code int, says string, arguments ...string) {
		t.Helper()
		got := run("", nil, append([]string{"keys", "rotate", "--config", path}, arguments...)...)
		if said := got.stdout + got.stderr; got.code != code || !strings.Contains(said, says) || strings.Contains(said, "hunter2") {
			t.Errorf("keys rotate %q ended with %d and said %q, want %d and %q", arguments, got.code, said, code, says)
		}
	}
	secrets := func() []string {
		t.Helper()
		content, err := os.ReadFile(filepath.Join(filepath.Dir(path), "data", "jwt-secrets"))
		if err != nil {
			t.Fatal(err)
		}
		return strings.Fields(string(content))[1:]
	}
	f(exitOK, `tenant "a" has a new key`, "a")
	before := secrets()
	f(exitOK, "", "a")
	if now := secrets(); len(before) != 2 || len(now) != 3 || now[1] != before[0] || now[0] == before[0] {
		t.Errorf("%d keys became %d", len(before), len(now))
	}
	f(exitOK, "", "a", "--forget")
	if now := secrets(); len(now) != 1 {
		t.Errorf("%d keys are left", len(now))
	}
	f(exitError, "jwt_previous", "b")
	f(exitError, "metahub check lists", "c")
}

func TestModels(t *testing.T) {
	folder := t.TempDir()
	path, models := filepath.Join(folder, "tenants.yaml"), filepath.Join(folder, "models")
	if err := os.CopyFS(models, os.DirFS("../api/models")); err != nil {
		t.Fatal(err)
	}
	write(t, path, "gateway: { data: "+folder+", models: "+models+" }\ntenants:\n  - { slug: anna, domains: [anna.localhost] }\n")
	f := func(code int, arguments []string, want ...string) {
		t.Helper()
		got := run("", nil, append([]string{"models", "--config", path}, arguments...)...)
		for _, text := range want {
			if got.code != code || !strings.Contains(got.stdout+got.stderr, text) {
				t.Errorf("models %q ended with %d, want %d, and said %q, want %q", arguments, got.code, code, got.stdout+got.stderr, text)
			}
		}
	}
	f(exitOK, []string{"check"}, "product             /api/products", "24 models in "+models+": no fault")
	f(exitError, []string{"apply", "--tenant", "nobody"}, `no tenant "nobody"`)
	f(exitOK, []string{"apply", "--tenant", "anna"}, "anna: products: 12 indexes, 0 documents completed", "0 refused; 0 documents completed")
	f(exitError, []string{"check", "--folder", filepath.Join(folder, "none")}, "no such file")

	news := filepath.Join(models, "news.yaml")
	text, err := os.ReadFile(news)
	if err != nil {
		t.Fatal(err)
	}
	write(t, news, strings.Replace(string(text), "  - [category]\n", "", 1))
	f(exitError, []string{"check"}, `news.yaml:2: no index covers the public filter "category": add [isActive, isPublished, category] to indexes`)
	write(t, news, strings.Replace(string(text), "x-ref: newscategory", "x-ref: newscategories", 1))
	f(exitError, []string{"check"}, `news.yaml:18: the field "category" refers to the model "newscategories", which no file declares`)
	f(exitError, []string{"apply"}, `news.yaml:18:`)
}

func TestHealth(t *testing.T) {
	folder := t.TempDir()
	write(t, filepath.Join(folder, "tenants.yaml"), tenantsOf("anastasia"))
	i := serveIn(t, folder)
	address := strings.Trim(strings.TrimPrefix(i.admin, "http:"), "/")
	if got := run("", []string{"METAHUB_GATEWAY_ADMIN=" + address}, "health"); got.code != exitOK || got.stdout != "ready\n" {
		t.Errorf("health of a running server: %+v", got)
	}
	i.stop()
	if got := run("", nil, "health", "--admin", address); got.code != exitError {
		t.Errorf("health of a stopped server: %+v", got)
	}
}

func TestDialable(t *testing.T) {
	f := func(host, want string) {
		t.Helper()
		if got := dialable(host); got != want {
			t.Errorf("dialable(%q) = %q, want %q", host, got, want)
		}
	}
	f("", "127.0.0.1")
	f("0.0.0.0", "127.0.0.1")
	f("::", "::1")
	f("127.0.0.2", "127.0.0.2")
	f("localhost", "localhost")
}

func TestClientAddress(t *testing.T) {
	f := func(configured, listener, want string) {
		t.Helper()
		if got := clientAddress(configured, net.TCPAddrFromAddrPort(netip.MustParseAddrPort(listener))); got != want {
			t.Errorf("clientAddress(%q, %q) = %q, want %q", configured, listener, got, want)
		}
	}
	f(":8443", "[::]:8443", "127.0.0.1:8443")
	f("[::]:8443", "[::]:8443", "[::1]:8443")
	f("0.0.0.0:0", "0.0.0.0:41234", "127.0.0.1:41234")
	f("localhost:0", "127.0.0.1:41234", "127.0.0.1:41234")
	f("[::1]:0", "[::1]:41234", "[::1]:41234")
}

func TestShellWord(t *testing.T) {
	f := func(word, want string) {
		t.Helper()
		if got := shellWord(word); got != want {
			t.Errorf("shellWord(%q) = %s, want %s", word, got, want)
		}
	}
	f("certs/root.crt", "certs/root.crt")
	f("my certs/root.crt", "'my certs/root.crt'")
	f("it's", `'it'\''s'`)
	f("$(reboot)", "'$(reboot)'")
	f("", "''")
}

func TestGrouped(t *testing.T) {
	for n, want := range map[int]string{0: "0", 999: "999", 1000: "1,000", 9980: "9,980", 1234567: "1,234,567"} {
		if got := grouped(n); got != want {
			t.Errorf("grouped(%d) = %q, want %q", n, got, want)
		}
	}
}

func TestTableOfTenants(t *testing.T) {
	var out strings.Builder
	writeTenants(&out, []*tenant.Tenant{
		{Slug: "a", Domains: []string{"a.example"}, Enabled: true, Database: tenant.Database{Name: "a"}},
		{Slug: "longer", Domains: []string{"*.longer.example"}, Enabled: true, Frontend: tenant.Frontend{Folder: "/srv/x"},
			Database: tenant.Database{Name: "d", URI: tenant.NewSecret("mongodb://u:hunter2@db/d")}},
		{Slug: "off", Domains: []string{"off.example"}, Database: tenant.Database{Name: "off"}},
	}, ":8443")
	want := `TENANT  URL                            FRONTEND      DATABASE
a       https://a.example:8443         welcome page  embedded: a
longer  https://*.longer.example:8443  dir:/srv/x    MongoDB: d
off     disabled                       welcome page  embedded: off
`
	if out.String() != want {
		t.Errorf("the table is\n%s\nwant\n%s", out.String(), want)
	}
}
