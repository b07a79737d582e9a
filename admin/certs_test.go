package admin

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

// certificates is a Certificates with a fixed list.
type certificates struct {
	list    []Certificate
	summary CertificateSummary
	renewed []string
	retried []string
}

func (c *certificates) List(state string) ([]Certificate, error) {
	if state == "nonsense" {
		return nil, errors.New(`there is no state "nonsense"`)
	}
	return slices.DeleteFunc(slices.Clone(c.list), func(one Certificate) bool { return state != "" && one.State != state }), nil
}

func (c *certificates) Summary() CertificateSummary { return c.summary }

func (c *certificates) Renew(host string) error {
	if host != "ensotek.de" {
		return errors.New("no certificate is ordered for it")
	}
	c.renewed = append(c.renewed, host)
	return nil
}

func (c *certificates) Retry(hosts ...string) (int, error) {
	c.retried = append(c.retried, hosts...)
	return len(hosts), nil
}

func TestCertsAreListed(t *testing.T) {
	_, base := run(t, Config{Certificates: &certificates{list: []Certificate{
		{Host: "ensotek.de", Tenant: "ensotek", State: "active", Issuer: "R11", NotAfter: time.Unix(2e9, 0).UTC()},
		{Host: "radanor.de", Tenant: "radanor", State: "failing", Error: "the CA answered 500"},
	}}})
	f := func(query string, status int, hosts ...string) {
		t.Helper()
		response, body := get(t, base+"/certs"+query, "localhost")
		if response.StatusCode != status {
			t.Fatalf("%q: status %d, want %d: %s", query, response.StatusCode, status, body)
		}
		if status != http.StatusOK {
			return
		}
		var list []Certificate
		if err := json.Unmarshal([]byte(body), &list); err != nil || !strings.HasPrefix(body, "[") {
			t.Fatalf("%q: %v in %s", query, err, body)
		}
		got := []string{}
		for _, c := range list {
			got = append(got, c.Host)
		}
		if !slices.Equal(got, append([]string{}, hosts...)) {
			t.Errorf("%q: %q, want %q", query, got, hosts)
		}
	}
	f("", 200, "ensotek.de", "radanor.de")
	f("?state=failing", 200, "radanor.de")
	f("?state=queued", 200)
	f("?state=nonsense", 400)
}

// What changes something must not be sent by a page that a person has open beside it.
func TestControlTakesAHeaderOfOurs(t *testing.T) {
	kept := &certificates{}
	_, base := run(t, Config{Certificates: kept})
	f := func(method, path string, header http.Header, status int) {
		t.Helper()
		request, err := http.NewRequest(method, base+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Header = header
		response, err := http.DefaultTransport.RoundTrip(request)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		body, _ := io.ReadAll(response.Body)
		if response.StatusCode != status {
			t.Errorf("%s %s %v: status %d, want %d: %s", method, path, header, response.StatusCode, status, body)
		}
	}
	ours := http.Header{ControlHeader: {"yes"}}
	f("POST", "/certs/renew?host=ensotek.de", http.Header{}, 403)
	f("POST", "/certs/renew?host=ensotek.de", http.Header{ControlHeader: {"yes"}, "Origin": {"https://evil.example"}}, 403)
	f("GET", "/certs/renew?host=ensotek.de", ours, 405)
	f("OPTIONS", "/certs/renew?host=ensotek.de", http.Header{"Origin": {"https://evil.example"}}, 405)
	if len(kept.renewed) > 0 {
		t.Fatalf("renewed %q", kept.renewed)
	}
	f("POST", "/certs/renew?host=ensotek.de", ours, 204)
	f("POST", "/certs/renew?host=other.de", ours, 404)
	f("POST", "/certs/retry?host=a.de&host=b.de", ours, 200)
	if !slices.Equal(kept.renewed, []string{"ensotek.de"}) || !slices.Equal(kept.retried, []string{"a.de", "b.de"}) {
		t.Errorf("renewed %q, retried %q", kept.renewed, kept.retried)
	}
}

func TestCertificateMetricsAndPage(t *testing.T) {
	_, base := run(t, Config{Certificates: &certificates{
		list:    []Certificate{{Host: "radanor.de", State: "waiting for DNS", Error: "`radanor.de` has no address yet; set its A record to 198.51.100.4"}},
		summary: CertificateSummary{States: map[string]int{"active": 3, "waiting for DNS": 1}, Refused: 7, Stopgaps: 2, Packed: 3, Bytes: 4096},
	}})
	_, metrics := get(t, base+"/metrics", "localhost")
	for _, line := range []string{
		`metahub_certificates{state="active"} 3`, `metahub_certificates{state="waiting_for_dns"} 1`, `metahub_handshakes_unknown_name_total 7`,
		`metahub_handshakes_stopgap_total 2`, `metahub_certificates_in_memory{form="packed"} 3`, `metahub_certificate_memory_bytes 4096`,
	} {
		if !strings.Contains(metrics, line+"\n") {
			t.Errorf("/metrics lacks %q", line)
		}
	}
	_, page := get(t, base+"/", "localhost")
	for _, text := range []string{"Certificates to be mended", "set its A record to 198.51.100.4", "1 waiting for DNS"} {
		if !strings.Contains(page, text) {
			t.Errorf("the status page lacks %q", text)
		}
	}
}
