package e2e

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"metahub/gateway/certificate/acmetest"
)

// withCA prepares a process whose certificates come from a Pebble of its own.
func withCA(t *testing.T) (*process, *acmetest.CA) {
	t.Helper()
	p := prepare(t)
	ca := acmetest.Start(t, acmetest.Options{HTTPPort: portOf(t, p.http), TLSPort: portOf(t, p.https)})
	ca.DNS().DefaultTo("127.0.0.1")
	p.env = []string{"METAHUB_GATEWAY_CERTIFICATES_ISSUER=" + ca.Directory()}
	return p, ca
}

func portOf(t *testing.T, address string) int {
	t.Helper()
	_, text, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	port, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// ordering is a tenants.yaml of sites, each with one domain, "site" plus ".example.net".
func (p *process) ordering(ca *acmetest.CA, sites ...string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "gateway:\n  certificates:\n    ca_root: %s\n    resolver: %s\n    validation_port: %d\n    limits: none\ntenants:\n",
		ca.RootFile(), ca.DNS().Address(), portOf(p.t, p.http))
	for _, site := range sites {
		fmt.Fprintf(&b, "  - slug: %s\n    domains: [%s.example.net]\n", site, site)
	}
	return b.String()
}

// shown completes a handshake that trusts only a CA.
func (p *process) shown(roots *x509.CertPool, host string) (*x509.Certificate, error) {
	conn, err := tls.DialWithDialer(&net.Dialer{Timeout: 30 * time.Second}, "tcp", p.https, &tls.Config{RootCAs: roots, ServerName: host})
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	return conn.ConnectionState().PeerCertificates[0], nil
}

func (p *process) awaitCertificate(ca *acmetest.CA, limit time.Duration, host string) {
	p.t.Helper()
	eventually(p.t, limit, host+" to have a certificate of the CA", func() error {
		_, err := p.shown(ca.Roots(), host)
		return err
	})
}

// command runs metahub in the folder of the process and returns what it printed.
func (p *process) command(arguments ...string) (output string, code int) {
	p.t.Helper()
	c := exec.Command(binary, arguments...)
	c.Dir = p.folder
	c.Env = append(append(os.Environ(), "METAHUB_GATEWAY_ADMIN="+p.admin), p.env...)
	out, err := c.CombinedOutput()
	if err != nil && c.ProcessState == nil {
		p.t.Fatal(err)
	}
	return string(out), c.ProcessState.ExitCode()
}

// An administrator adds a domain to tenants.yaml, and a browser gets a valid certificate.
func TestSavedTenantGetsACertificate(t *testing.T) {
	p, ca := withCA(t)
	p.writeConfig(p.ordering(ca, "first"))
	p.run()
	p.awaitCertificate(ca, 30*time.Second, "first.example.net")

	saved := time.Now()
	p.writeConfig(p.ordering(ca, "first", "second"))
	p.awaitCertificate(ca, 30*time.Second, "second.example.net")
	t.Logf("valid %v after the save", time.Since(saved).Round(time.Millisecond))

	list, code := p.command("certs", "--json")
	var certificates []struct{ Host, State, Source string }
	if err := json.Unmarshal([]byte(list), &certificates); err != nil || code != 0 || len(certificates) != 2 {
		t.Fatalf("metahub certs --json: %v, exit code %d\n%s", err, code, list)
	}
	for _, c := range certificates {
		if c.State != "active" || c.Source != "ordered" {
			t.Errorf("metahub certs --json: %+v", c)
		}
	}
	before, err := p.shown(ca.Roots(), "second.example.net")
	if err != nil {
		t.Fatal(err)
	}
	if out, code := p.command("certs", "renew", "second.example.net"); code != 0 {
		t.Fatalf("metahub certs renew: exit code %d: %s", code, out)
	}
	eventually(t, 20*time.Second, "the renewed certificate", func() error {
		if now, err := p.shown(ca.Roots(), "second.example.net"); err != nil || now.Equal(before) {
			return fmt.Errorf("still the old one, %v", err)
		}
		return nil
	})
	if out, code := p.command("certs", "renew", "evil.example.net"); code != 1 || !strings.Contains(out, "evil.example.net") {
		t.Errorf("renewing a foreign domain: exit code %d: %s", code, out)
	}
	orders := ca.NewOrders()
	if code := p.terminate(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	p.run()
	if _, err := p.shown(ca.Roots(), "second.example.net"); err != nil {
		t.Errorf("right after a restart: %v", err)
	}
	if ca.NewOrders() != orders {
		t.Error("the restart ordered again what was there")
	}
}

func TestCertsTellWhatToDo(t *testing.T) {
	p, ca := withCA(t)
	ca.DNS().SetA("first.example.net", "127.0.0.77")
	p.writeConfig(p.ordering(ca, "first"))
	p.run()
	eventually(t, 20*time.Second, "the sentence", func() error {
		if out, code := p.command("certs", "--state", "waiting-for-dns"); code != 0 || !strings.Contains(out, "127.0.0.77") {
			return fmt.Errorf("exit code %d:\n%s", code, out)
		}
		return nil
	})
	if ca.NewOrders() != 0 {
		t.Error("an order was spent")
	}
	ca.DNS().SetA("first.example.net", "127.0.0.1")
	if out, code := p.command("certs", "retry"); code != 0 || out != "1 domain tried now\n" {
		t.Errorf("metahub certs retry: exit code %d: %q", code, out)
	}
	p.awaitCertificate(ca, 30*time.Second, "first.example.net")
	if out, code := p.command("certs", "--state", "nonsense"); code != 2 || !strings.Contains(out, "nonsense") {
		t.Errorf("metahub certs --state nonsense: exit code %d: %s", code, out)
	}
}

// kill -9 in the middle of an order, twenty times; then all certificates are there.
func TestKilledWhileOrdering(t *testing.T) {
	p, ca := withCA(t)
	sites := []string{"first"}
	p.writeConfig(p.ordering(ca, sites...))
	p.run()
	p.awaitCertificate(ca, 30*time.Second, "first.example.net")
	ca.Intercept(func(http.ResponseWriter, *http.Request) bool { // an order takes a second or so
		<-time.After(100 * time.Millisecond)
		return false
	})
	for i := range 20 {
		site := fmt.Sprintf("site-%d", i)
		sites = append(sites, site)
		p.writeConfig(p.ordering(ca, sites...))
		eventually(t, 30*time.Second, "the order of "+site, func() error {
			if ca.OrdersFor(site+".example.net") == 0 {
				return errors.New("the CA has had none")
			}
			return nil
		})
		<-time.After(time.Duration(i) * 30 * time.Millisecond) // some die before the challenge, some before the certificate is fetched
		p.kill()
		p.run()
	}
	ca.Intercept(nil)
	for _, site := range sites {
		p.awaitCertificate(ca, 90*time.Second, site+".example.net")
	}
	eventually(t, 20*time.Second, "all to be active", func() error {
		if out, code := p.command("certs", "--state", "active"); code != 0 || !strings.Contains(out, "21 domains") {
			return fmt.Errorf("exit code %d:\n%s", code, out)
		}
		return nil
	})
	t.Logf("%d orders for %d domains through 20 kills", ca.NewOrders(), len(sites))
	if ca.NewOrders() <= len(sites) {
		t.Error("no kill hit an order")
	}
}

// Names that nobody lists cost nothing: no order, no reading of files, no memory, and other tenants' handshakes go on.
func TestFloodOfUnknownNames(t *testing.T) {
	p, ca := withCA(t)
	p.writeConfig(p.ordering(ca, "first"))
	p.run()
	p.awaitCertificate(ca, 30*time.Second, "first.example.net")
	orders, memory := ca.NewOrders(), p.resident()

	const floods, each = 4, 25_000
	stop := make(chan struct{})
	var flood, visitors sync.WaitGroup
	var slowest time.Duration
	visitors.Go(func() {
		for {
			select {
			case <-stop:
				return
			case <-time.After(20 * time.Millisecond):
			}
			began := time.Now()
			if _, err := p.shown(ca.Roots(), "first.example.net"); err != nil {
				t.Errorf("a visitor's handshake failed: %v", err)
				return
			}
			slowest = max(slowest, time.Since(began))
		}
	})
	reads := p.fileReads()
	for i := range floods {
		flood.Go(func() {
			random := rand.New(rand.NewPCG(uint64(i), 1))
			for range each {
				name := fmt.Sprintf("%x.example.net", random.Uint64())
				conn, err := tls.Dial("tcp", p.https, &tls.Config{ServerName: name, InsecureSkipVerify: true, CurvePreferences: []tls.CurveID{tls.X25519}})
				if err == nil {
					conn.Close()
					t.Errorf("%s was served", name)
					return
				}
			}
		})
	}
	flood.Wait()
	reads = p.fileReads() - reads
	close(stop)
	visitors.Wait()
	grown := p.resident() - memory
	t.Logf("100,000 handshakes refused; a visitor waited %v at most; %d MB more memory; %.2f reads a handshake, sockets included",
		slowest.Round(time.Millisecond), grown, float64(reads)/(floods*each))
	if reads > 3*floods*each { // a ClientHello and the end of the connection take two
		t.Error("the handshakes read files")
	}
	if ca.NewOrders() != orders {
		t.Error("orders were made")
	}
	if grown > 50 {
		t.Errorf("memory grew by %d MB", grown)
	}
	if log := p.output.String(); strings.Count(log, "\n") > 200 {
		t.Error("the log has a line for each handshake or so")
	}
}

// resident is the memory of the process in MB.
func (p *process) resident() int {
	return p.proc("status", "VmRSS:") / 1024
}

// fileReads is how many system calls have read, from files and sockets, since the start.
func (p *process) fileReads() int { return p.proc("io", "syscr:") }

func (p *process) proc(file, name string) int {
	p.t.Helper()
	content, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", p.cmd.Process.Pid, file))
	if err != nil {
		p.t.Skip("there is no /proc here: ", err)
	}
	for line := range strings.Lines(string(content)) {
		if value, ok := strings.CutPrefix(line, name); ok {
			n, err := strconv.Atoi(strings.Fields(value)[0])
			if err != nil {
				p.t.Fatal(err)
			}
			return n
		}
	}
	p.t.Fatalf("/proc has no %s", name)
	return 0
}

// Moving in: what certbot has obtained serves within seconds, from a server that is running.
func TestAdoptedCertificatesServe(t *testing.T) {
	p, ca := withCA(t)
	p.writeConfig(p.ordering(ca, "moving"))
	p.run()
	p.awaitCertificate(ca, 30*time.Second, "moving.example.net")
	if code := p.terminate(); code != 0 {
		t.Fatalf("exit code %d", code)
	}
	// what MetaHub keeps is chain and key in one file: laid out as certbot would
	text, err := os.ReadFile(filepath.Join(p.folder, "certs", "certificates", "moving.example.net.pem"))
	if err != nil {
		t.Fatal(err)
	}
	at := strings.Index(string(text), "-----BEGIN PRIVATE KEY-----")
	if at < 0 {
		at = strings.Index(string(text), "-----BEGIN EC PRIVATE KEY-----")
	}
	live := filepath.Join(t.TempDir(), "letsencrypt", "live", "moving.example.net")
	if err := os.MkdirAll(live, 0o700); err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{"fullchain.pem": text[:at], "privkey.pem": text[at:]} {
		if err := os.WriteFile(filepath.Join(live, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}

	fresh, _ := withCA(t)
	fresh.env = p.env
	fresh.writeConfig(fresh.ordering(ca, "moving"))
	ca.DNS().SetA("moving.example.net", "127.0.0.78") // it does not lead here yet
	fresh.run()
	out, code := fresh.command("certs", "adopt", filepath.Dir(filepath.Dir(live)))
	if code != 0 || !strings.Contains(out, "moving.example.net") || !strings.Contains(out, "1 certificate taken over, 0 left") {
		t.Fatalf("metahub certs adopt: exit code %d:\n%s", code, out)
	}
	fresh.awaitCertificate(ca, 30*time.Second, "moving.example.net")
	if out, _ := fresh.command("certs"); !strings.Contains(out, "active") {
		t.Errorf("metahub certs:\n%s", out)
	}
	if out, code := fresh.command("certs", "adopt", filepath.Join(fresh.folder, "nowhere")); code != 1 || !slices.Contains(strings.Fields(out), "Not") {
		t.Errorf("adopting from nowhere: exit code %d:\n%s", code, out)
	}
}
