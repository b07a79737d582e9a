// Package metahub runs the binary for the benchmarks beside it, in a folder of its own and on free ports of loopback.
package metahub

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Process is a metahub that may be started once.
type Process struct {
	// Folder holds tenants.yaml and all that it names.
	Folder string
	// HTTPS and Admin are the addresses it listens on.
	HTTPS, Admin string
	// Env is added to the environment; what it sets wins.
	Env []string

	bin string
	cmd *exec.Cmd
}

// New makes a folder for a process. An empty bin builds the module's binary.
func New(bin string) (*Process, error) {
	folder, err := os.MkdirTemp("", "metahub-bench")
	if err != nil {
		return nil, err
	}
	p := &Process{Folder: folder, HTTPS: freeAddr(), Admin: freeAddr()}
	if p.bin, err = filepath.Abs(bin); bin == "" {
		p.bin = filepath.Join(folder, "metahub")
		var out []byte
		if out, err = exec.Command("go", "build", "-o", p.bin, "metahub").CombinedOutput(); err != nil {
			err = fmt.Errorf("building metahub: %w\n%s", err, out)
		}
	}
	if err != nil {
		os.RemoveAll(folder)
		return nil, err
	}
	return p, nil
}

// WriteConfig puts a tenants.yaml in place, written beside and renamed.
func (p *Process) WriteConfig(config string) error {
	path := filepath.Join(p.Folder, "tenants.yaml")
	if err := os.WriteFile(path+".new", []byte(config), 0o600); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

// Start runs the process; it does not wait until it serves.
func (p *Process) Start() error {
	p.cmd = exec.Command(p.bin, "--log-level", "error")
	p.cmd.Dir = p.Folder
	p.cmd.Env = append(os.Environ(),
		"METAHUB_GATEWAY_HTTPS="+p.HTTPS, "METAHUB_GATEWAY_HTTP="+freeAddr(), "METAHUB_GATEWAY_ADMIN="+p.Admin,
		"METAHUB_GATEWAY_CERTIFICATES_ISSUER=internal")
	p.cmd.Env = append(p.cmd.Env, p.Env...)
	p.cmd.Stdout, p.cmd.Stderr = io.Discard, os.Stderr
	return p.cmd.Start()
}

// Close ends the process and removes its folder.
func (p *Process) Close() {
	if p.cmd != nil && p.cmd.Process != nil {
		_ = p.cmd.Process.Signal(syscall.SIGTERM)
		_ = p.cmd.Wait()
	}
	_ = os.RemoveAll(p.Folder)
}

// Ready waits until /readyz answers 200.
func (p *Process) Ready() error {
	for range 300 {
		if resp, err := http.Get("http://" + p.Admin + "/readyz"); err == nil {
			_ = resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return nil
			}
		}
		time.Sleep(100 * time.Millisecond)
	}
	return fmt.Errorf("metahub is not ready after 30 s")
}

// Client asks this process whatever the host name.
func (p *Process) Client() *http.Client {
	return &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{
		MaxIdleConnsPerHost: 64,
		TLSClientConfig:     &tls.Config{InsecureSkipVerify: true}, // #nosec G402 -- what is measured is time
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "tcp", p.HTTPS)
		},
	}}
}

// Resident is the process's resident memory in MB, from /proc; -1 where there is none.
func (p *Process) Resident() int {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		return -1
	}
	for line := range strings.Lines(string(status)) {
		if value, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kb, _ := strconv.Atoi(strings.Fields(value)[0])
			return kb / 1024
		}
	}
	return -1
}

func freeAddr() string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	defer l.Close()
	return l.Addr().String()
}
