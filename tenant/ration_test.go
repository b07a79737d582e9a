package tenant

import (
	"reflect"
	"testing"
	"time"
)

func TestLimitsOfDefaultsAndTenants(t *testing.T) {
	t.Chdir(t.TempDir())
	f := func(defaults, own string, want Limits) {
		t.Helper()
		writeFile(t, "tenants.yaml", "defaults: {"+defaults+"}\ntenants:\n  - {slug: a, domains: [a.example.com], "+own+"}\n")
		d, faults := Load(Source{Path: "tenants.yaml", Environ: []string{"METAHUB_DEFAULTS_LIMITS_CONCURRENCY=70"}})
		if len(faults) > 0 {
			t.Fatal(faults)
		}
		want.Body, want.Timeout, want.Hold, want.UpstreamConnections = 10<<20, time.Minute, 10*time.Second, 256
		if got := d.Tenants()[0].Limits; got != want {
			t.Errorf("%s, %s: %+v, want %+v", defaults, own, got, want)
		}
	}
	// the environment alone
	f("", "", Limits{Concurrency: 70})
	// a tenant has what the defaults say, key by key
	f("limits: {rate: 10, client_rate: 5}, weight: 2", "limits: {rate: 20, burst: 40}", Limits{Rate: 20, Burst: 40, ClientRate: 5, Concurrency: 70, Weight: 2})
	// and can take it back
	f("limits: {rate: 10, connections: 5}", "limits: {rate: off, concurrency: off}, weight: 3", Limits{Connections: 5, Weight: 3})
}

// TestLimitsAreKept writes every limit with the last good versions, and reads it again.
func TestLimitsAreKept(t *testing.T) {
	full := &Tenant{Slug: "a", Domains: []string{"a.example.com"}, Database: Database{Name: "a"}, JWTSecret: NewSecret("x")}
	limits := reflect.ValueOf(&full.Limits).Elem()
	for i := range limits.NumField() {
		limits.Field(i).SetInt(int64(i + 1))
	}
	again, err := keep(full).tenant()
	if err != nil || again.Limits != full.Limits {
		t.Errorf("%+v, %v; want %+v", again.Limits, err, full.Limits)
	}
	for _, edited := range []Limits{{Rate: -1}, {Weight: 5000}, {Connections: 1 << 30}} {
		edited.Body, edited.Timeout = 1, 1
		full.Limits = edited
		if _, err := keep(full).tenant(); err == nil {
			t.Errorf("%+v was taken from an edited file", edited)
		}
	}
}
