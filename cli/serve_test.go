package cli

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// ports lets the system choose every port, whatever the machine is busy with.
const ports = "gateway: {https: '127.0.0.1:0', http: '127.0.0.1:0', admin: '127.0.0.1:0', demo: true}\n"

// instance is a server that runs in this process, as `metahub` would in its own.
type instance struct {
	t       *testing.T
	stdout  output
	stderr  output
	signals chan os.Signal
	exit    chan int
	ended   bool
	client  *http.Client
	https   string // host:port that it listens on
	admin   string // URL of the status page
	curl    string // the line to paste
}

// serveIn starts `metahub --config FOLDER/tenants.yaml` and returns once it says what it serves.
func serveIn(t *testing.T, folder string, arguments ...string) *instance {
	t.Helper()
	i := &instance{t: t, signals: make(chan os.Signal, 2), exit: make(chan int, 1)}
	go func() {
		i.exit <- Main(Process{
			Args:    append([]string{"--config", filepath.Join(folder, "tenants.yaml")}, arguments...),
			Stdin:   strings.NewReader(""),
			Stdout:  &i.stdout,
			Stderr:  &i.stderr,
			Signals: i.signals,
		})
	}()
	t.Cleanup(func() {
		if !i.ended {
			i.stop()
		}
	})
	i.waitReady()
	return i
}

var (
	curlLine   = regexp.MustCompile(`curl --cacert (\S+) --resolve (\S+):([0-9]+):(\S+) (https://\S+)\n`)
	statusPage = regexp.MustCompile(`Status page +(http://\S+/)\n`)
)

func (i *instance) waitReady() {
	i.t.Helper()
	eventually(i.t, "the server to say what it serves", func() error {
		select {
		case code := <-i.exit:
			i.ended = true
			i.t.Fatalf("the server ended with %d:\n%s", code, i.stderr.String())
		default:
		}
		if !curlLine.MatchString(i.stdout.String()) {
			return fmt.Errorf("standard output holds %q", i.stdout.String())
		}
		return nil
	})
	match := curlLine.FindStringSubmatch(i.stdout.String())
	i.curl, i.https = strings.TrimSpace(match[0]), net.JoinHostPort(match[4], match[3])
	i.admin = statusPage.FindStringSubmatch(i.stdout.String())[1]
	i.client = clientOf(i.t, match[1], i.https)
	eventually(i.t, "the server to be ready", func() error {
		status, body := i.get(i.admin + "readyz")
		if status != http.StatusOK {
			return fmt.Errorf("status %d: %s", status, body)
		}
		return nil
	})
}

// clientOf trusts the authority at root and reaches every https host at one address.
func clientOf(t *testing.T, root, https string) *http.Client {
	t.Helper()
	pem, err := os.ReadFile(root)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem)
	transport := &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: pool},
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			if !strings.HasPrefix(address, "127.0.0.1:") {
				address = https
			}
			return (&net.Dialer{}).DialContext(ctx, network, address)
		},
	}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: 20 * time.Second}
}

func (i *instance) get(url string) (int, string) {
	i.t.Helper()
	response, err := i.client.Get(url)
	if err != nil {
		i.t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		i.t.Fatal(err)
	}
	return response.StatusCode, string(body)
}

// answer decodes what a tenant's host answers to a GET.
func (i *instance) answer(host, path string) map[string]any {
	i.t.Helper()
	_, port, _ := net.SplitHostPort(i.https)
	_, body := i.get("https://" + host + ":" + port + path)
	var v map[string]any
	if err := json.Unmarshal([]byte(body), &v); err != nil {
		i.t.Fatalf("%s%s: %v\n%s", host, path, err, body)
	}
	return v
}

// stop asks for an end and returns the exit code.
func (i *instance) stop() int {
	i.t.Helper()
	i.signals <- syscall.SIGTERM
	select {
	case code := <-i.exit:
		i.ended = true
		return code
	case <-time.After(40 * time.Second):
		i.t.Fatal("the server did not end within 40 s of SIGTERM")
		return -1
	}
}

// output is written by a server and read by its test.
type output struct {
	mu   sync.Mutex
	text strings.Builder
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// eventually waits for condition to return nil.
func eventually(t *testing.T, what string, condition func() error) {
	t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		err := condition()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("waiting for %s: %v", what, err)
		}
		<-tick.C
	}
}

// write puts content into a file beside and renames it, as a careful editor does.
func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path+".new", []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

// tenantsOf makes a tenants.yaml of slugs, each on <slug>.localhost.
func tenantsOf(slugs ...string) string {
	text := ports + "tenants:\n"
	for _, slug := range slugs {
		text += fmt.Sprintf("  - {slug: %s, brand: Brand %s, domains: [%s.localhost]}\n", slug, slug, slug)
	}
	return text
}

func TestServe(t *testing.T) {
	folder := t.TempDir()
	write(t, filepath.Join(folder, "tenants.yaml"), tenantsOf("anastasia", "ensotek"))
	i := serveIn(t, folder)

	// every tenant answers for itself
	for _, slug := range []string{"anastasia", "ensotek"} {
		data, _ := i.answer(slug+".localhost", "/api/tenant")["data"].(map[string]any)
		if data["slug"] != slug {
			t.Errorf("%s.localhost/api/tenant says %v", slug, data)
		}
	}
	// the line that a newcomer pastes works: its URL answers with the demo's settings
	url := i.curl[strings.LastIndexByte(i.curl, ' ')+1:]
	if status, body := i.get(url); status != http.StatusOK || !strings.Contains(body, `"success":true`) {
		t.Errorf("%s answered %d: %s", url, status, body)
	}
	// the log names every request, and metrics count them
	if _, body := i.get(i.admin + "metrics"); !strings.Contains(body, `metahub_requests_total{code="2xx",tenant="ensotek"} 1`) {
		t.Errorf("/metrics does not count ensotek's request:\n%s", body)
	}
	if code := i.stop(); code != exitOK {
		t.Errorf("SIGTERM ended it with %d:\n%s", code, i.stderr.String())
	}
	lines := 0
	for line := range strings.Lines(i.stderr.String()) {
		var entry map[string]any
		if err := json.Unmarshal([]byte(line), &entry); err != nil {
			t.Errorf("the log holds a line that is not JSON: %q", line)
		}
		if entry["path"] == "/api/tenant" {
			lines++
		}
	}
	if lines != 2 {
		t.Errorf("the log has %d lines of the two requests to /api/tenant:\n%s", lines, i.stderr.String())
	}
}

func TestSecondStartKeepsData(t *testing.T) {
	folder := t.TempDir()
	write(t, filepath.Join(folder, "tenants.yaml"), tenantsOf("anastasia"))
	i := serveIn(t, folder)
	first := i.answer("anastasia.localhost", "/api/products")
	root := curlLine.FindStringSubmatch(i.stdout.String())[1]
	authority, err := os.ReadFile(root)
	if err != nil {
		t.Fatal(err)
	}
	passwords := filepath.Join(folder, "data", demoFile)
	info, err := os.Stat(passwords)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("%s: mode %v, %v; want 0600", demoFile, info.Mode(), err)
	}
	i.stop()

	i = serveIn(t, folder)
	if second := i.answer("anastasia.localhost", "/api/products"); fmt.Sprint(second["data"]) != fmt.Sprint(first["data"]) {
		t.Errorf("the second start serves\n%v\nthe first served\n%v", second["data"], first["data"])
	}
	if again, err := os.ReadFile(root); err != nil || string(again) != string(authority) {
		t.Errorf("the second start has another local authority (%v)", err)
	}
}

func TestDemoPasswordSignsIn(t *testing.T) {
	folder := t.TempDir()
	write(t, filepath.Join(folder, "tenants.yaml"), tenantsOf("anastasia", "ensotek"))
	i := serveIn(t, folder)
	content, err := os.ReadFile(filepath.Join(folder, "data", demoFile))
	if err != nil {
		t.Fatal(err)
	}
	match := regexp.MustCompile(`(?m)^anastasia +(\S+) +(\S+)$`).FindStringSubmatch(string(content))
	if match == nil {
		t.Fatalf("%s has no line for anastasia:\n%s", demoFile, content)
	}
	if strings.Contains(i.stdout.String()+i.stderr.String(), match[2]) {
		t.Error("the password was printed")
	}
	_, port, _ := net.SplitHostPort(i.https)
	f := func(host string, want int) {
		t.Helper()
		body := fmt.Sprintf(`{"email":%q,"password":%q}`, match[1], match[2])
		response, err := i.client.Post("https://"+host+":"+port+"/api/users/login", "application/json", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		if response.StatusCode != want {
			t.Errorf("signing in at %s: status %d, want %d", host, response.StatusCode, want)
		}
	}
	f("anastasia.localhost", http.StatusOK)
	f("ensotek.localhost", http.StatusUnauthorized)
}

func TestHangupReloads(t *testing.T) {
	folder := t.TempDir()
	path := filepath.Join(folder, "tenants.yaml")
	write(t, path, tenantsOf("anastasia"))
	i := serveIn(t, folder)
	write(t, path, tenantsOf("anastasia", "radanor"))
	i.signals <- syscall.SIGHUP
	eventually(t, "the new tenant", func() error {
		_, port, _ := net.SplitHostPort(i.https)
		response, err := i.client.Get("https://radanor.localhost:" + port + "/api/tenant")
		if err != nil {
			return err
		}
		defer response.Body.Close()
		if response.StatusCode != http.StatusOK {
			return fmt.Errorf("status %s", response.Status)
		}
		return nil
	})
	// a broken file changes nothing but the verdict
	write(t, path, "tenants: [")
	i.signals <- syscall.SIGHUP
	eventually(t, "the verdict", func() error {
		status, body := i.get(i.admin + "readyz")
		var ready struct {
			Reload struct {
				OK     bool     `json:"ok"`
				Faults []string `json:"faults"`
			} `json:"reload"`
		}
		if err := json.Unmarshal([]byte(body), &ready); err != nil {
			return err
		}
		if status != http.StatusOK || ready.Reload.OK || len(ready.Reload.Faults) == 0 {
			return fmt.Errorf("status %d: %s", status, body)
		}
		return nil
	})
	for _, slug := range []string{"anastasia", "radanor"} {
		data, _ := i.answer(slug+".localhost", "/api/tenant")["data"].(map[string]any)
		if data["slug"] != slug {
			t.Errorf("after a broken reload %s.localhost says %v", slug, data)
		}
	}
}

func TestStartThatFailsStopsWhatItStarted(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	folder := t.TempDir()
	write(t, filepath.Join(folder, "tenants.yaml"), tenantsOf("anastasia"))
	admin := freeAddress(t)
	out, stderr := &output{}, &output{}
	arguments := []string{"--config", filepath.Join(folder, "tenants.yaml"), "--https", taken.Addr().String(), "--admin", admin}
	code := Main(Process{Args: arguments, Stdin: strings.NewReader(""), Stdout: out, Stderr: stderr})
	if code != exitError {
		t.Errorf("exit code %d, want %d", code, exitError)
	}
	if !strings.Contains(stderr.String(), taken.Addr().String()) || !strings.Contains(stderr.String(), "gateway.https") {
		t.Errorf("standard error does not name the taken address:\n%s", stderr.String())
	}
	if out.String() != "" {
		t.Errorf("a start that failed printed a summary:\n%s", out.String())
	}
	// the admin address, which was listened on before, is free again
	l, err := net.Listen("tcp", admin)
	if err != nil {
		t.Fatalf("a part was left running: %v", err)
	}
	l.Close()
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}
