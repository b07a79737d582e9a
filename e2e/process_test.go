// Package e2e runs the built binary against real clients: curl, a browser, Go's HTTP/1.1 and HTTP/2 clients and raw sockets.
//
//	METAHUB_BIN=./metahub go test ./e2e/     # without METAHUB_BIN the binary is built first
//
// The Next.js app of TestNextJS takes minutes to build. METAHUB_NEXT_APP names a folder in which it is built once and then used again.
package e2e

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

var binary string

func TestMain(m *testing.M) {
	os.Exit(run(m))
}

func run(m *testing.M) int {
	binary = os.Getenv("METAHUB_BIN")
	if binary == "" {
		folder, err := os.MkdirTemp("", "metahub-e2e")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(folder)
		binary = filepath.Join(folder, "metahub")
		build := exec.Command("go", "build", "-o", binary, "metahub")
		build.Stdout, build.Stderr = os.Stderr, os.Stderr
		if err := build.Run(); err != nil {
			fmt.Fprintln(os.Stderr, "building metahub:", err)
			return 1
		}
	}
	binary, _ = filepath.Abs(binary)
	return m.Run()
}

// process is one running metahub with a folder of its own.
type process struct {
	t          *testing.T
	folder     string
	https      string
	http       string
	admin      string
	env        []string // added to the environment; what it sets wins
	cmd        *exec.Cmd
	output     *lockedBuffer
	exited     chan struct{}
	exit       error
	rootCA     *x509.CertPool
	rootCAPath string
}

// start writes config as tenants.yaml into a new folder and runs metahub there until it is ready.
func start(t *testing.T, config string) *process {
	t.Helper()
	p := prepare(t)
	p.writeConfig(config)
	p.run()
	return p
}

// prepare makes a folder for a process that is to be run.
func prepare(t *testing.T) *process {
	t.Helper()
	return &process{t: t, folder: t.TempDir(), https: freeAddr(t), http: freeAddr(t), admin: freeAddr(t)}
}

// run starts the process in its folder; after a stop or a kill it may be called again.
func (p *process) run() {
	p.t.Helper()
	p.output = &lockedBuffer{}
	p.exited = make(chan struct{})
	p.cmd = exec.Command(binary, "--log-format", "json")
	p.cmd.Dir = p.folder
	p.cmd.Env = append(os.Environ(),
		"METAHUB_GATEWAY_HTTPS="+p.https, "METAHUB_GATEWAY_HTTP="+p.http, "METAHUB_GATEWAY_ADMIN="+p.admin,
		"METAHUB_GATEWAY_CERTIFICATES_ISSUER=internal") // no authority out there can reach this machine
	p.cmd.Env = append(p.cmd.Env, p.env...)
	p.cmd.Stdout, p.cmd.Stderr = p.output, p.output
	if err := p.cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	go func() {
		p.exit = p.cmd.Wait()
		close(p.exited)
	}()
	p.t.Cleanup(p.kill)
	p.waitReady()
	p.readRoot()
}

func (p *process) waitReady() {
	p.t.Helper()
	eventually(p.t, 30*time.Second, "metahub to be ready", func() error {
		select {
		case <-p.exited:
			return fatal{fmt.Errorf("metahub ended: %v\n%s", p.exit, p.output)}
		default:
		}
		resp, err := http.Get("http://" + p.admin + "/readyz")
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			return fmt.Errorf("/readyz answered %s", resp.Status)
		}
		return nil
	})
}

// readRoot finds the local authority's certificate by the path that metahub printed.
func (p *process) readRoot() {
	p.t.Helper()
	line := p.curlLine()
	fields := strings.Fields(line)
	for i, field := range fields {
		if field == "--cacert" && i+1 < len(fields) {
			p.rootCAPath = strings.Trim(fields[i+1], `'"`)
		}
	}
	if !filepath.IsAbs(p.rootCAPath) {
		p.rootCAPath = filepath.Join(p.folder, p.rootCAPath)
	}
	pem, err := os.ReadFile(p.rootCAPath)
	if err != nil {
		p.t.Fatalf("the printed authority: %v", err)
	}
	p.rootCA = x509.NewCertPool()
	if !p.rootCA.AppendCertsFromPEM(pem) {
		p.t.Fatalf("%s holds no certificate", p.rootCAPath)
	}
}

// curlLine is the line that a newcomer is told to paste. It may reach us a moment after /readyz has answered.
func (p *process) curlLine() (line string) {
	p.t.Helper()
	eventually(p.t, 30*time.Second, "the curl line", func() error {
		for text := range strings.Lines(p.output.String()) {
			if at := strings.Index(text, "curl --cacert"); at >= 0 && strings.HasSuffix(text, "\n") {
				line = strings.TrimSpace(text[at:])
				return nil
			}
		}
		return fmt.Errorf("it is not in the output:\n%s", p.output)
	})
	return line
}

func (p *process) writeConfig(config string) {
	p.t.Helper()
	if err := os.WriteFile(filepath.Join(p.folder, "tenants.yaml"), []byte(config), 0o600); err != nil {
		p.t.Fatal(err)
	}
}

// terminate sends SIGTERM and returns the exit code.
func (p *process) terminate() int {
	p.t.Helper()
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	return p.waitExit()
}

func (p *process) waitExit() int {
	p.t.Helper()
	select {
	case <-p.exited:
	case <-time.After(45 * time.Second):
		p.t.Fatal("metahub did not end within 45 s of SIGTERM")
	}
	var exit *exec.ExitError
	if errors.As(p.exit, &exit) {
		return exit.ExitCode()
	}
	return 0
}

// kill ends the process as kill -9 does.
func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	<-p.exited
}

// client talks to this process whatever the host name, over HTTP/1.1 or HTTP/2.
func (p *process) client(protocol string) *http.Client {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(protocol == "HTTP/1.1")
	protocols.SetHTTP2(protocol == "HTTP/2.0")
	transport := &http.Transport{
		Protocols:           protocols,
		MaxIdleConnsPerHost: 256,
		TLSClientConfig:     &tls.Config{RootCAs: p.rootCA},
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, network, p.https)
		},
	}
	p.t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{
		Transport:     transport,
		Timeout:       30 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// answer is a response, read whole.
type answer struct {
	Status int
	Proto  string
	Header http.Header
	Body   []byte
}

func (a answer) json(t *testing.T) map[string]any {
	t.Helper()
	var v map[string]any
	if err := json.Unmarshal(a.Body, &v); err != nil {
		t.Fatalf("not JSON (%d): %v\n%s", a.Status, err, a.Body)
	}
	return v
}

// do sends one request and reads the answer; headers are "Name: value" lines.
func do(t *testing.T, client *http.Client, method, url, body string, headers ...string) answer {
	t.Helper()
	a, err := try(client, method, url, body, headers...)
	if err != nil {
		t.Fatalf("%s %s: %v", method, url, err)
	}
	return a
}

func try(client *http.Client, method, url, body string, headers ...string) (answer, error) {
	var reader io.Reader
	if body != "" {
		reader = strings.NewReader(body)
	}
	req, err := http.NewRequest(method, url, reader)
	if err != nil {
		return answer{}, err
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for _, header := range headers {
		name, value, _ := strings.Cut(header, ": ")
		req.Header[name] = append(req.Header[name], value)
	}
	resp, err := client.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	return answer{resp.StatusCode, resp.Proto, resp.Header, data}, err
}

// fatal is an error that waiting cannot mend.
type fatal struct{ error }

// eventually waits for condition to return nil.
func eventually(t *testing.T, limit time.Duration, what string, condition func() error) {
	t.Helper()
	deadline := time.Now().Add(limit)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := condition()
		if err == nil {
			return
		}
		var stop fatal
		if errors.As(err, &stop) || time.Now().After(deadline) {
			t.Fatalf("waiting for %s: %v", what, err)
		}
		<-tick.C
	}
}

// taken are the ports that freeAddr has given.
var taken sync.Map

// freeAddr finds a port for a process. It is below those that the system gives to whoever asks for any, or else another listener of the
// test could have it before the process does.
func freeAddr(t *testing.T) string {
	t.Helper()
	for range 1000 {
		address := fmt.Sprintf("127.0.0.1:%d", 15000+rand.IntN(15000))
		if _, given := taken.LoadOrStore(address, true); given {
			continue
		}
		l, err := net.Listen("tcp", address)
		if err != nil {
			continue
		}
		l.Close()
		return address
	}
	t.Fatal("no port is free between 15000 and 30000")
	return ""
}

// lockedBuffer gathers the output of a running process.
type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}
