package frontend

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"metahub/tenant"
)

// restarted is a net/http server that always comes back on the same address.
type restarted struct {
	t       testing.TB
	network string
	address string
	handler http.Handler

	listener net.Listener
	server   *http.Server
	served   chan error
}

// absentUpstream reserves an address on which nobody listens yet.
func absentUpstream(t testing.TB, h http.HandlerFunc) *restarted {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	listener.Close()
	r := &restarted{t: t, network: "tcp", address: listener.Addr().String(), handler: h}
	t.Cleanup(r.kill)
	return r
}

// absentSocket is absentUpstream for a socket. One that is killed leaves it behind, and one that starts removes what it finds.
func absentSocket(t testing.TB, h http.HandlerFunc) *restarted {
	t.Helper()
	r := &restarted{t: t, network: "unix", address: filepath.Join(socketFolder(t), "site.sock"), handler: h}
	t.Cleanup(r.kill)
	return r
}

// socketFolder makes a folder with a short path, as those of sockets are bounded.
func socketFolder(t testing.TB) string {
	t.Helper()
	folder, err := os.MkdirTemp("", "metahub")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(folder) })
	return folder
}

func (r *restarted) url() *url.URL {
	if r.network == "unix" {
		return &url.URL{Scheme: "unix", Opaque: r.address}
	}
	return &url.URL{Scheme: "http", Host: r.address}
}

func (r *restarted) start() {
	r.t.Helper()
	if r.network == "unix" {
		_ = os.Remove(r.address)
	}
	listener := listenAgain(r.t, r.network, r.address)
	r.listener, r.server, r.served = listener, &http.Server{Handler: r.handler}, make(chan error, 1)
	go func() { r.served <- r.server.Serve(listener) }()
}

// listenAgain listens where nobody did for a moment. Meanwhile the port may have become that of another program's connection.
func listenAgain(t testing.TB, network, address string) (listener net.Listener) {
	t.Helper()
	eventually(t, "the address is free", func() bool {
		var err error
		listener, err = net.Listen(network, address)
		return err == nil
	})
	return listener
}

// stop finishes what is under way first, as a good server does.
func (r *restarted) stop() {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := r.server.Shutdown(ctx); err != nil {
		r.t.Error(err)
	}
	<-r.served
	r.server = nil
}

// kill cuts all connections.
func (r *restarted) kill() {
	if r.server != nil {
		if socket, ok := r.listener.(*net.UnixListener); ok {
			socket.SetUnlinkOnClose(false)
		}
		r.server.Close()
		<-r.served
		r.server = nil
	}
}

func heldTenant(u *url.URL, hold time.Duration) *tenant.Tenant {
	t := upstreamTenant(u)
	t.Limits.Hold = hold
	return t
}

// TestServerThatListensNoMore has a server that finishes what comes on its connections, and says nothing of its end, as Node.js does. Asked
// without a pause it must come to that end.
func TestServerThatListensNoMore(t *testing.T) {
	upstream := absentUpstream(t, func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "the old one") })
	upstream.start()
	s := newSite(t, Config{Timings: Timings{Age: 50 * time.Millisecond}}, heldTenant(upstream.url(), 0))
	if a := s.get(t, "/"); a.status != 200 {
		t.Fatal(a.status)
	}
	upstream.listener.Close()
	for end := time.Now().Add(patience); ; {
		if a := s.get(t, "/"); a.status != 200 {
			return
		}
		if time.Now().After(end) {
			t.Fatal("the server is still asked on an old connection")
		}
	}
}

// TestRestartsUnderLoad restarts a server ten times, every other time by force, under 200 requests a second. Nothing may be lost that may
// be asked for twice, and nothing may arrive twice that may not.
func TestRestartsUnderLoad(t *testing.T) { testRestarts(t, absentUpstream) }

// TestSocketRestartsUnderLoad does the same with a socket, which vanishes or is left behind in between.
func TestSocketRestartsUnderLoad(t *testing.T) { testRestarts(t, absentSocket) }

func testRestarts(t *testing.T, absent func(testing.TB, http.HandlerFunc) *restarted) {
	var mu sync.Mutex
	posts := map[string]int{}
	upstream := absent(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method == "POST" {
			mu.Lock()
			posts[r.URL.Path]++
			mu.Unlock()
		}
		fmt.Fprint(w, "hello "+r.URL.Path)
	})
	upstream.start()
	s := newSite(t, Config{}, heldTenant(upstream.url(), 10*time.Second))

	stop := make(chan struct{})
	var asked, lostPosts atomic.Int64
	var all sync.WaitGroup
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 500}, Timeout: patience}
	all.Go(func() {
		tick := time.NewTicker(time.Second / 200)
		defer tick.Stop()
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			case <-tick.C:
			}
			all.Go(func() {
				asked.Add(1)
				if i%10 > 0 {
					if err := fetch(client, "GET", s.addr, i); err != nil {
						t.Error(err)
					}
				} else if fetch(client, "POST", s.addr, i) != nil {
					lostPosts.Add(1)
				}
			})
		}
	})
	for i := range 10 {
		before := asked.Load()
		eventually(t, "requests come", func() bool { return asked.Load() > before+60 })
		if i%2 == 0 {
			upstream.stop()
		} else {
			upstream.kill()
		}
		before = asked.Load()
		eventually(t, "requests come while it is down", func() bool { return asked.Load() > before+40 })
		upstream.start()
	}
	close(stop)
	all.Wait()
	client.CloseIdleConnections()
	t.Logf("%d requests, %d POST requests lost", asked.Load(), lostPosts.Load())
	for path, n := range posts {
		if n > 1 {
			t.Errorf("POST %s arrived %d times", path, n)
		}
	}
}

func fetch(client *http.Client, method, addr string, i int) error {
	path := fmt.Sprintf("/%d", i)
	r, err := http.NewRequest(method, "http://"+addr+path, nil)
	if err != nil {
		return err
	}
	resp, err := client.Do(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body := make([]byte, 200)
	n, _ := resp.Body.Read(body)
	if resp.StatusCode != 200 || string(body[:n]) != "hello "+path {
		return fmt.Errorf("%s %s: %d %s", method, path, resp.StatusCode, body[:n])
	}
	return nil
}
