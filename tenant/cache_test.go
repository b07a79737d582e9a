package tenant

import (
	"path/filepath"
	"testing"
)

func TestCache(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tenants.yaml")
	f := func(environ []string, defaults, own string, want Cache) {
		t.Helper()
		writeFile(t, path, "defaults: {"+defaults+"}\ntenants:\n  - {slug: a, domains: [a.example.com]"+own+"}\n")
		d, faults := Load(Source{Path: path, Environ: environ})
		if len(faults) > 0 {
			t.Fatal(faults)
		}
		a, _ := d.Tenant([]byte("a"))
		if a.Cache != want {
			t.Errorf("%q, %q, %q: %+v, want %+v", environ, defaults, own, a.Cache, want)
		}
		if back, err := keep(a).tenant(); err != nil || back.Cache != want {
			t.Errorf("%+v comes back as %+v, %v", want, back.Cache, err)
		}
	}
	f(nil, "", "", defaultCache())
	f(nil, "cache: off", "", Cache{Size: 32 << 20, Entry: 1 << 20, Shield: true})
	f(nil, "cache: off", ", cache: on", defaultCache())
	f(nil, "cache: off", ", cache: {stale_shield: false}", Cache{Enabled: true, Size: 32 << 20, Entry: 1 << 20})
	f(nil, "cache: {size: 1MiB}", "", Cache{Enabled: true, Size: 1 << 20, Entry: 256 << 10, Shield: true})
	f(nil, "cache: {size: 1MiB}", ", cache: {entry: 10KiB}", Cache{Enabled: true, Size: 1 << 20, Entry: 10 << 10, Shield: true})
	f([]string{"METAHUB_DEFAULTS_CACHE=off"}, "", "", Cache{Size: 32 << 20, Entry: 1 << 20, Shield: true})
	f([]string{"METAHUB_DEFAULTS_CACHE_SIZE=64MiB"}, "", "", Cache{Enabled: true, Size: 64 << 20, Entry: 1 << 20, Shield: true})
}

// TestKeptWithoutCache reads what a version kept that knew of no cache, and one that somebody has edited.
func TestKeptWithoutCache(t *testing.T) {
	k := keptTenant{Slug: "a", Domains: []string{"a.example.com"}, Database: "a", JWTSecret: "x", BodyLimit: 1, Timeout: 1}
	if a, err := k.tenant(); err != nil || a.Cache != defaultCache() {
		t.Errorf("%+v, %v", a.Cache, err)
	}
	k.Cache = &Cache{Enabled: true, Size: -1, Entry: 1}
	if _, err := k.tenant(); err == nil {
		t.Error("a size below zero was believed")
	}
}
