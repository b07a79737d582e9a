package tenant

import "testing"

func TestHTTP3(t *testing.T) {
	f := func(yaml string, want HTTP3, environ ...string) {
		t.Helper()
		folder := t.TempDir()
		writeFile(t, folder+"/tenants.yaml", yaml+"\ntenants: [{slug: a, domains: [a.example.com]}]\n")
		d, faults := Load(Source{Path: folder + "/tenants.yaml", Environ: environ})
		if len(faults) > 0 || d.Gateway().HTTP3 != want {
			t.Errorf("%q with %q: %v, want %+v", yaml, environ, faults, want)
		}
	}
	f("", HTTP3{Enabled: true})
	f("gateway: {http3: on}", HTTP3{Enabled: true})
	f("gateway: {http3: off}", HTTP3{})
	f("gateway: {http3: false}", HTTP3{})
	f("gateway: {http3: {alt_svc_port: 443}}", HTTP3{Enabled: true, Port: 443})
	f("", HTTP3{}, "METAHUB_GATEWAY_HTTP3=off")
	f("", HTTP3{Enabled: true, Port: 443}, "METAHUB_GATEWAY_HTTP3_ALT_SVC_PORT=443")
}
