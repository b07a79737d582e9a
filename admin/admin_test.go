package admin

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"metahub/tenant"
)

// verdict is a Reloads that always says the same.
type verdict tenant.Verdict

func (v verdict) Verdict() tenant.Verdict { return tenant.Verdict(v) }

func registryOf(tenants ...*tenant.Tenant) *tenant.Registry {
	return tenant.NewRegistry(tenant.NewDirectory(tenant.Gateway{HTTPS: ":8443", Admin: "127.0.0.1:0"}, tenants))
}

func someTenants(n int) []*tenant.Tenant {
	list := make([]*tenant.Tenant, n)
	for i := range list {
		slug := fmt.Sprintf("t%05d", i)
		list[i] = &tenant.Tenant{
			Slug: slug, Brand: "Brand " + slug, Domains: []string{slug + ".example.com"}, Enabled: true,
			Database: tenant.Database{Name: slug},
		}
	}
	return list
}

// run starts a Server for the length of a test, after count has counted, and returns it with its base URL.
func run(t *testing.T, config Config, count ...func(*Metrics)) (*Server, string) {
	t.Helper()
	if config.Registry == nil {
		config.Registry = registryOf()
	}
	if config.Reloads == nil {
		config.Reloads = verdict{OK: true, Time: time.Now()}
	}
	if config.Databases == nil {
		config.Databases = func() []Database { return nil }
	}
	if config.Certificates == nil {
		config.Certificates = &certificates{}
	}
	if config.Cache == nil {
		config.Cache = answers{}
	}
	config.Metrics = NewMetrics("test", config.Registry, 50)
	for _, f := range count {
		f(config.Metrics)
	}
	s := New(config)
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return s, "http://" + s.Addr().String()
}

func get(t *testing.T, address, host string) (*http.Response, string) {
	t.Helper()
	request, err := http.NewRequest(http.MethodGet, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Host = host
	response, err := http.DefaultTransport.RoundTrip(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response, string(body)
}

func TestAnswersOnlyToItsOwnNames(t *testing.T) {
	named := tenant.NewRegistry(tenant.NewDirectory(tenant.Gateway{Admin: "127.0.0.1:0"}, nil))
	_, base := run(t, Config{Registry: named})
	port := base[strings.LastIndexByte(base, ':')+1:]
	f := func(host string, want int) {
		t.Helper()
		if response, _ := get(t, base+"/healthz", host); response.StatusCode != want {
			t.Errorf("Host %q: status %d, want %d", host, response.StatusCode, want)
		}
	}
	// itself, however it is written
	f("127.0.0.1:"+port, http.StatusOK)
	f("localhost:"+port, http.StatusOK)
	f("LOCALHOST", http.StatusOK)
	f("localhost.", http.StatusOK)
	f("[::1]:"+port, http.StatusOK)
	f("127.0.0.2", http.StatusOK)
	// a name that someone else's DNS points here
	f("evil.example", http.StatusMisdirectedRequest)
	f("localhost.evil.example", http.StatusMisdirectedRequest)
	f("127.0.0.1.evil.example", http.StatusMisdirectedRequest)
	f("evil.localhost", http.StatusMisdirectedRequest)
	// another address than the connection came to
	f("192.0.2.1", http.StatusMisdirectedRequest)
	f("[::2]", http.StatusMisdirectedRequest)
	f("0.0.0.0", http.StatusMisdirectedRequest)
}

func TestAnswersToTheNameItListensOn(t *testing.T) {
	registry := tenant.NewRegistry(tenant.NewDirectory(tenant.Gateway{Admin: "localhost:0"}, nil))
	_, base := run(t, Config{Registry: registry})
	for host, want := range map[string]int{"localhost:9180": http.StatusOK, "other": http.StatusMisdirectedRequest} {
		if response, _ := get(t, base+"/healthz", host); response.StatusCode != want {
			t.Errorf("Host %q: status %d, want %d", host, response.StatusCode, want)
		}
	}
}

func TestReadiness(t *testing.T) {
	fault := tenant.Fault{File: "tenants.yaml", Line: 14, Tenant: "ensotek", Message: "bad"}
	s, base := run(t, Config{
		Version:  "1.2.3",
		Registry: registryOf(someTenants(3)...),
		Reloads: verdict{
			Time: time.Unix(1e9, 0).UTC(), Duration: 1500 * time.Millisecond, Faults: tenant.Faults{fault}, Flagged: []string{"ensotek"},
		},
		Databases: func() []Database {
			return []Database{{Name: "a", Available: true}, {Name: "b", Error: "refused"}}
		},
	})
	f := func(state State, status int) {
		t.Helper()
		s.SetState(state)
		response, body := get(t, base+"/readyz", "")
		if response.StatusCode != status {
			t.Errorf("%s: status %d, want %d", state, response.StatusCode, status)
		}
		var got readiness
		if err := json.Unmarshal([]byte(body), &got); err != nil {
			t.Fatal(err)
		}
		if got.Status != state.String() || got.Version != "1.2.3" {
			t.Errorf("%s: said %q, version %q", state, got.Status, got.Version)
		}
		if got.Tenants.Total != 3 || len(got.Tenants.Flagged) != 1 || got.Tenants.Flagged[0] != "ensotek" {
			t.Errorf("%s: tenants %+v", state, got.Tenants)
		}
		if got.Reload.OK || got.Reload.Seconds != 1.5 || len(got.Reload.Faults) != 1 || got.Reload.Faults[0] != fault.String() {
			t.Errorf("%s: reload %+v", state, got.Reload)
		}
		if d := got.Databases; d.Total != 2 || d.Unavailable != 1 || d.List[0].Name != "b" || d.List[1].Name != "a" {
			t.Errorf("%s: databases %+v, want the one that is down first", state, d)
		}
		if response, _ := get(t, base+"/healthz", ""); response.StatusCode != http.StatusOK {
			t.Errorf("%s: /healthz answered %s", state, response.Status)
		}
	}
	f(Starting, http.StatusServiceUnavailable)
	// a tenant at fault and a database that is down leave the others in service
	f(Ready, http.StatusOK)
	f(Draining, http.StatusServiceUnavailable)
}

func TestReadinessIsBounded(t *testing.T) {
	var v verdict
	for i := range 5000 {
		v.Faults = append(v.Faults, tenant.Fault{File: "tenants.yaml", Line: i, Message: "bad"})
		v.Flagged = append(v.Flagged, fmt.Sprint(i))
	}
	_, base := run(t, Config{Reloads: v})
	_, body := get(t, base+"/readyz", "")
	var got readiness
	if err := json.Unmarshal([]byte(body), &got); err != nil {
		t.Fatal(err)
	}
	if got.Reload.FaultsTotal != 5000 || len(got.Reload.Faults) != shown || got.Tenants.FlaggedTotal != 5000 || len(got.Tenants.Flagged) != shown {
		t.Errorf("%d of %d faults, %d of %d flagged tenants", len(got.Reload.Faults), got.Reload.FaultsTotal, len(got.Tenants.Flagged), got.Tenants.FlaggedTotal)
	}
}

func TestReadsOnly(t *testing.T) {
	_, base := run(t, Config{})
	response, err := http.Post(base+"/readyz", "text/plain", strings.NewReader("x"))
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if response.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("POST /readyz answered %s", response.Status)
	}
	for _, path := range []string{"/debug/pprof/", "/nothing"} {
		if response, _ := get(t, base+path, ""); response.StatusCode != http.StatusNotFound {
			t.Errorf("%s answered %s", path, response.Status)
		}
	}
}

func TestStartTellsWhatToDoAboutATakenAddress(t *testing.T) {
	s, _ := run(t, Config{})
	taken := tenant.NewRegistry(tenant.NewDirectory(tenant.Gateway{Admin: s.Addr().String()}, nil))
	err := New(Config{Registry: taken, Metrics: NewMetrics("test", taken, 1)}).Start()
	if err == nil || !strings.Contains(err.Error(), "gateway.admin") || !strings.Contains(err.Error(), "in use by another program") {
		t.Errorf("error %v, want one that names gateway.admin and says what is wrong", err)
	}
}

func TestStatusPageEscapes(t *testing.T) {
	const nasty = `<script>alert(1)</script>"'&`
	upstream, err := url.Parse("http://user:hunter2@127.0.0.1:3000")
	if err != nil {
		t.Fatal(err)
	}
	_, base := run(t, Config{
		Registry: registryOf(
			&tenant.Tenant{Slug: "a", Brand: nasty, Domains: []string{"a.example.com"}, Enabled: true, Frontend: tenant.Frontend{URL: upstream}},
			&tenant.Tenant{Slug: "b", Brand: "b", Domains: []string{"javascript:alert(1)"}, Database: tenant.Database{URI: tenant.NewSecret("mongodb://u:hunter2@db")}},
		),
		Reloads:   verdict{Faults: tenant.Faults{{File: nasty, Tenant: nasty, Message: nasty}}},
		Databases: func() []Database { return []Database{{Name: nasty, Error: nasty}} },
	})
	response, body := get(t, base+"/?q="+url.QueryEscape(nasty), "")
	whole := body
	_, body = get(t, base+"/", "")
	whole += body
	for _, bad := range []string{"<script", "hunter2", `value="<`, `"javascript:`} {
		if strings.Contains(whole, bad) {
			t.Errorf("the page contains %q", bad)
		}
	}
	policy := response.Header.Get("Content-Security-Policy")
	if !strings.Contains(policy, "default-src 'none'") || strings.Contains(policy, "unsafe-inline") {
		t.Errorf("Content-Security-Policy %q", policy)
	}
}

func TestStatusPageIsPaged(t *testing.T) {
	_, base := run(t, Config{Registry: registryOf(someTenants(10_000)...)})
	f := func(query string, rows int, first, last string) {
		t.Helper()
		response, body := get(t, base+"/"+query, "")
		if response.StatusCode != http.StatusOK || len(body) > 100<<10 {
			t.Errorf("%q: %s with %d bytes", query, response.Status, len(body))
		}
		if n := strings.Count(body, "<td><b>"); n != rows {
			t.Errorf("%q: %d rows, want %d", query, n, rows)
		}
		for _, slug := range []string{first, last} {
			if slug != "" && !strings.Contains(body, "<b>"+slug+"</b>") {
				t.Errorf("%q: tenant %q is not on the page", query, slug)
			}
		}
	}
	f("", rowsPerPage, "t00000", "t00099")
	f("?page=100", rowsPerPage, "t09900", "t09999")
	// whatever a person makes of the address
	f("?page=101", rowsPerPage, "t09900", "t09999")
	f("?page=-1", rowsPerPage, "t00000", "t00099")
	f("?page=99999999999999999999999", rowsPerPage, "t09900", "")
	f("?page=x", rowsPerPage, "t00000", "")
	// search in slug, brand and hosts
	f("?q=T01234", 1, "t01234", "")
	f("?q=brand+t0123", 10, "t01230", "t01239")
	f("?q=t0777.example&page=2", 0, "", "")
	f("?q=7.example.com&page=2", rowsPerPage, "t01007", "t01997")
}
