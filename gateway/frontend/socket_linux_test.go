package frontend

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
	"golang.org/x/net/websocket"
)

// TestSocket serves a site behind a socket: the site sees the visitor's Host, as over TCP, and both sides stream.
func TestSocket(t *testing.T) {
	events := websocket.Handler(func(c *websocket.Conn) { _, _ = io.Copy(c, c) })
	upstream := absentSocket(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/echo" {
			events.ServeHTTP(w, r)
			return
		}
		n, _ := io.Copy(io.Discard, r.Body)
		fmt.Fprint(w, r.Host, " ", n)
	})
	upstream.start()
	s := proxied(t, upstream.url())
	b := s.browse(t)
	for range 3 {
		b.send("POST / HTTP/1.1\r\nHost: anastasia.localhost\r\nContent-Length: 100000\r\n\r\n" + strings.Repeat("x", 100_000))
		if a := b.receive("POST"); a.status != 200 || a.body != "anastasia.localhost 100000" {
			t.Errorf("%d %q", a.status, a.body)
		}
	}
	c, err := websocket.Dial("ws://"+s.addr+"/echo", "", "http://a.test")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	var got string
	if websocket.Message.Send(c, "hello") != nil || websocket.Message.Receive(c, &got) != nil || got != "hello" {
		t.Errorf("%q came back", got)
	}
	if name := s.pool.get(upstream.url(), time.Now()).String(); name != "unix:"+upstream.address {
		t.Errorf("the access log calls it %q", name)
	}
}

// TestSocketFaults has sockets that cannot be used, and what the log says of each.
func TestSocketFaults(t *testing.T) {
	f := func(prepare func(path string), want string) {
		t.Helper()
		core, logs := observer.New(zap.WarnLevel)
		upstream := absentSocket(t, nil)
		prepare(upstream.address)
		s := newSite(t, Config{Logger: zap.New(core)}, heldTenant(upstream.url(), 0))
		a := s.get(t, "/", "Accept: application/json")
		if a.status != 502 || !strings.Contains(a.body, "upstream_refused") {
			t.Errorf("%d %s", a.status, a.body)
		}
		if logs.Len() != 1 || !strings.Contains(logs.All()[0].Message, want) {
			t.Errorf("the log has %v, want %q", logs.All(), want)
		}
	}

	f(func(string) {}, "the upstream's socket is not there")
	f(func(path string) {
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Error(err)
		}
	}, "takes no connections")
}

// TestForbiddenSocket opens one without permission, as somebody else if the test is root's. It is waited for, as one that has just been made
// gets its permissions a moment later.
func TestForbiddenSocket(t *testing.T) {
	upstream := absentSocket(t, nil)
	upstream.start()
	if err := os.Chmod(upstream.address, 0); err != nil {
		t.Fatal(err)
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if os.Getuid() == 0 {
		if err := os.Chmod(filepath.Dir(upstream.address), 0o755); err != nil {
			t.Fatal(err)
		}
		const nobody = 65534
		if err := syscall.Setfsuid(nobody); err != nil {
			t.Fatal(err)
		}
		defer func() { _ = syscall.Setfsuid(0) }()
	}
	up := newUpstream(upstream.url(), nil, Timings{}.orDefaults(), new(sync.WaitGroup))
	_, err := up.open(time.Now())
	if f := classify(dialError{err}); f != &failForbidden || !isAbsent(err) {
		t.Errorf("%v is %q", err, f.advice)
	}
	if err := syscall.Setfsuid(os.Getuid()); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(upstream.address, 0o600); err != nil {
		t.Fatal(err)
	}
	if !up.probe() {
		t.Error("it is not found again")
	}
	up.retire()
}

// TestFullSocket connects to a socket whose queue of new connections is full, which the kernel refuses at once.
func TestFullSocket(t *testing.T) {
	path := filepath.Join(socketFolder(t), "full.sock")
	fd, err := syscall.Socket(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Close(fd)
	if err := syscall.Bind(fd, &syscall.SockaddrUnix{Name: path}); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Listen(fd, 0); err != nil {
		t.Fatal(err)
	}
	var waiting []net.Conn
	for {
		c, err := net.Dial("unix", path)
		if err != nil {
			break
		}
		waiting = append(waiting, c)
	}
	up := newUpstream((&restarted{network: "unix", address: path}).url(), nil, Timings{Dial: 200 * time.Millisecond}.orDefaults(), new(sync.WaitGroup))
	if _, err := up.dial(t.Context()); classify(dialError{err}) != &failLate {
		t.Errorf("a queue that stays full: %v", err)
	}
	up.timings.Dial = patience
	dialed := make(chan error, 1)
	go func() {
		c, err := up.dial(t.Context())
		if err == nil {
			c.Close()
		}
		dialed <- err
	}()
	accepted, _, err := syscall.Accept(fd)
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Close(accepted)
	if err := receive(t, "the connection", dialed); err != nil {
		t.Error(err)
	}
	for _, c := range waiting {
		c.Close()
	}
}
