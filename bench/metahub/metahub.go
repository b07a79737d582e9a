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

// Serve runs a process with a tenants.yaml, and waits until it serves. Its folder has a folder "site" with page as its index.html.
func Serve(bin, config, page string) (*Process, error) {
	p, err := New(bin)
	if err != nil {
		return nil, err
	}
	site := filepath.Join(p.Folder, "site")
	if err = os.Mkdir(site, 0o700); err == nil {
		err = os.WriteFile(filepath.Join(site, "index.html"), []byte(page), 0o600)
	}
	if err == nil {
		err = p.WriteConfig(config)
	}
	if err == nil {
		err = p.Start()
	}
	if err == nil {
		err = p.Ready()
	}
	if err != nil {
		p.Close()
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

// Processor is how much time of the processors the process has taken, in user space and in the system, from /proc; 0 where there is none.
// It is counted in hundredths of a second.
func (p *Process) Processor() time.Duration {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
	if err != nil {
		return 0
	}
	_, behind, _ := strings.Cut(string(stat), ") ") // the name of the program, which may hold blanks
	fields := strings.Fields(behind)
	if len(fields) < 13 {
		return 0
	}
	user, _ := strconv.Atoi(fields[11])
	system, _ := strconv.Atoi(fields[12])
	return time.Duration(user+system) * 10 * time.Millisecond
}

// Sockets is how many sockets the process has open, from /proc; -1 where there is none.
func (p *Process) Sockets() int {
	folder := fmt.Sprintf("/proc/%d/fd", p.cmd.Process.Pid)
	entries, err := os.ReadDir(folder)
	if err != nil {
		return -1
	}
	sockets := 0
	for _, entry := range entries {
		if to, err := os.Readlink(filepath.Join(folder, entry.Name())); err == nil && strings.HasPrefix(to, "socket:") {
			sockets++
		}
	}
	return sockets
}

// Metric is the value of one line of /metrics, named with its labels: `go_goroutines`.
func (p *Process) Metric(name string) (int, error) {
	resp, err := http.Get("http://" + p.Admin + "/metrics")
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(body)) {
		if value, ok := strings.CutPrefix(line, name+" "); ok {
			number, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
			return int(number), err
		}
	}
	return 0, fmt.Errorf("/metrics has no line %q", name)
}

func freeAddr() string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	defer l.Close()
	return l.Addr().String()
}
