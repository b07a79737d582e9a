package tenant

import "testing"

func TestParseCodings(t *testing.T) {
	f := func(text string, want Codings, written string) {
		t.Helper()
		got, err := parseCodings(text)
		if err != nil || got != want || got.String() != written {
			t.Errorf("parseCodings(%q) = %v, %v; want %v", text, got, err, want)
		}
		if back, err := parseCodings(got.String()); err != nil || back != got {
			t.Errorf("%v comes back as %v, %v", got, back, err)
		}
	}
	f("true", AllCodings(), "true")
	f("TRUE", AllCodings(), "true")
	f("false", Codings{}, "false")
	f("zstd, gzip, br", AllCodings(), "true")
	f("zstd, br, gzip", Codings{Zstd, Brotli, Gzip}, "zstd,br,gzip")
	f("gzip,zstd", Codings{Gzip, Zstd}, "gzip,zstd")
	f("br", Codings{Brotli}, "br")

	bad := func(text string) {
		t.Helper()
		if got, err := parseCodings(text); err == nil {
			t.Errorf("parseCodings(%q) = %v, want an error", text, got)
		}
	}
	bad("")
	bad(",")
	bad("gzip,")
	bad("deflate")
	bad("identity")
	bad("gzip,gzip")
	bad("zstd,br,gzip,br")
	bad("zstd br")
}

// TestCompressFromTheEnvironment also checks what holds when nobody says anything.
func TestCompressFromTheEnvironment(t *testing.T) {
	f := func(environ []string, want Codings) {
		t.Helper()
		path := t.TempDir() + "/tenants.yaml"
		writeFile(t, path, "tenants:\n  - {slug: a, domains: [a.example.com]}\n")
		d, faults := Load(Source{Path: path, Environ: environ})
		if len(faults) > 0 {
			t.Fatal(faults)
		}
		if a, _ := d.Tenant([]byte("a")); a.Compress != want {
			t.Errorf("with %q: %v, want %v", environ, a.Compress, want)
		}
	}
	f(nil, AllCodings())
	f([]string{"METAHUB_DEFAULTS_COMPRESS=false"}, Codings{})
	f([]string{"METAHUB_DEFAULTS_COMPRESS=gzip,zstd"}, Codings{Gzip, Zstd})
}

// TestKeptWithoutCompress reads what a version kept that knew nothing of compression.
func TestKeptWithoutCompress(t *testing.T) {
	k := keptTenant{Slug: "a", Domains: []string{"a.example.com"}, Database: "a", JWTSecret: "x", BodyLimit: 1, Timeout: 1}
	if a, err := k.tenant(); err != nil || a.Compress != AllCodings() {
		t.Errorf("%v, %v", a.Compress, err)
	}
	k.Compress = "lots"
	if _, err := k.tenant(); err == nil {
		t.Error("a coding that there is not was believed")
	}
}
