package e2e

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// SIGTERM: what is in flight is answered, and the exit code is 0.
func TestTerminateFinishesWhatIsInFlight(t *testing.T) {
	arrived := make(chan struct{}, 64)
	release := make(chan struct{})
	frontend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		arrived <- struct{}{}
		<-release
		_, _ = io.WriteString(w, "finished")
	}))
	t.Cleanup(frontend.Close)
	p := start(t, fmt.Sprintf("tenants:\n  - slug: one\n    domains: [one.localhost]\n    frontend: %s\n", frontend.URL))
	_, port, _ := net.SplitHostPort(p.https)

	const inFlight = 20
	var finished atomic.Int64
	var requests sync.WaitGroup
	for i := range inFlight {
		client := p.client([]string{"HTTP/1.1", "HTTP/2.0"}[i%2])
		requests.Go(func() {
			a, err := try(client, "GET", "https://one.localhost:"+port+"/", "")
			if err != nil || string(a.Body) != "finished" {
				t.Errorf("a request in flight: %v %d %q", err, a.Status, a.Body)
				return
			}
			finished.Add(1)
		})
	}
	for range inFlight {
		<-arrived
	}
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	eventually(t, 30*time.Second, "the listener to close", func() error {
		conn, err := net.Dial("tcp", p.https)
		if err != nil {
			return nil
		}
		_ = conn.Close()
		return errors.New("it still accepts")
	})
	close(release)
	requests.Wait()
	if code := p.waitExit(); code != 0 {
		t.Errorf("exit code %d\n%s", code, p.output)
	}
	if finished.Load() != inFlight {
		t.Errorf("%d of %d requests finished", finished.Load(), inFlight)
	}
}

// Under keep-alive load SIGTERM drops no request that the gateway accepted: a client sees an answer or a connection that was closed
// before its next request was read.
func TestTerminateUnderLoadDropsNothing(t *testing.T) {
	var handled atomic.Int64
	frontend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		handled.Add(1)
		_, _ = io.WriteString(w, "ok")
	}))
	t.Cleanup(frontend.Close)
	p := start(t, fmt.Sprintf("tenants:\n  - slug: one\n    domains: [one.localhost]\n    frontend: %s\n", frontend.URL))
	_, port, _ := net.SplitHostPort(p.https)

	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var answered atomic.Int64
	var load sync.WaitGroup
	for i := range 16 {
		client := p.client([]string{"HTTP/1.1", "HTTP/2.0"}[i%2])
		sent := &sendRecorder{RoundTripper: client.Transport}
		client.Transport = sent
		load.Go(func() {
			for ctx.Err() == nil {
				sent.any.Store(false)
				a, err := try(client, "GET", "https://one.localhost:"+port+"/", "")
				if err != nil {
					if sent.any.Load() && !isDialError(err) {
						t.Errorf("a request was dropped: %v", err)
					}
					return
				}
				if a.Status != 200 {
					t.Errorf("answered %d %s", a.Status, a.Body)
				}
				answered.Add(1)
			}
		})
	}
	eventually(t, 30*time.Second, "load", func() error {
		if answered.Load() < 500 {
			return fmt.Errorf("%d answers", answered.Load())
		}
		return nil
	})
	if code := p.terminate(); code != 0 {
		t.Errorf("exit code %d\n%s", code, p.output)
	}
	stop()
	load.Wait()
	if answered.Load() != handled.Load() {
		t.Errorf("the frontend handled %d requests, clients saw %d answers", handled.Load(), answered.Load())
	}
}

// sendRecorder notes whether a request went out on a connection. One that did not was never the gateway's to answer: what arrives
// between its last accept and the close of the address, the kernel resets.
type sendRecorder struct {
	http.RoundTripper
	any atomic.Bool
}

func (s *sendRecorder) RoundTrip(r *http.Request) (*http.Response, error) {
	trace := &httptrace.ClientTrace{WroteHeaders: func() { s.any.Store(true) }}
	return s.RoundTripper.RoundTrip(r.WithContext(httptrace.WithClientTrace(r.Context(), trace)))
}

func isDialError(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "dial"
}
