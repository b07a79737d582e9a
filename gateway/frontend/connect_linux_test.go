package frontend

import (
	"net/url"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"metahub/tenant"
)

// deaf is an upstream on a loopback port that takes no more connections and refuses none, as one behind a firewall.
func deaf(t testing.TB) *url.URL {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { syscall.Close(fd) })
	loopback := [4]byte{127, 0, 0, 1}
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Addr: loopback}); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Listen(fd, 0); err != nil {
		t.Fatal(err)
	}
	name, err := syscall.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	port := name.(*syscall.SockaddrInet4).Port
	for range 4 { // fill its queue
		waiting, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { syscall.Close(waiting) })
		if err := syscall.Connect(waiting, &syscall.SockaddrInet4{Port: port, Addr: loopback}); err != nil && err != syscall.EINPROGRESS {
			t.Fatal(err)
		}
	}
	return &url.URL{Scheme: "http", Host: "127.0.0.1:" + strconv.Itoa(port)}
}

// TestConnectTimeout has an upstream to which no connection comes about. Nothing has been sent then, so that another gets even a POST.
func TestConnectTimeout(t *testing.T) {
	timings := Timings{Dial: 200 * time.Millisecond}
	alone := newSite(t, Config{Timings: timings}, heldTenant(deaf(t), 10*time.Second))
	if a := alone.get(t, "/", "Accept: application/json"); a.status != 504 || !strings.Contains(a.body, "upstream_timeout") {
		t.Errorf("%d %s", a.status, a.body)
	}
	s := newSite(t, Config{Timings: timings}, balanced("", 0, tenant.Upstream{URL: deaf(t), Weight: 1}, tenant.Upstream{URL: naming(t, "good"), Weight: 1}))
	for range 4 {
		b := s.browse(t)
		b.send("POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 100000\r\n\r\n" + strings.Repeat("x", 100_000))
		if a := b.receive("POST"); a.status != 200 || a.body != "good" {
			t.Errorf("%d %s", a.status, a.body)
		}
	}
}
