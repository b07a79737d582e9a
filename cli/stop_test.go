package cli

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"
)

// held is a server with one request in flight, at a frontend that answers when it is told to.
type held struct {
	*instance
	release func()   // lets the frontend answer
	status  chan int // of the request in flight; 0 when it was cut off
}

func serveAndHold(t *testing.T) *held {
	t.Helper()
	arrived, released := make(chan struct{}), make(chan struct{})
	h := &held{release: sync.OnceFunc(func() { close(released) }), status: make(chan int, 1)}
	frontend := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		close(arrived)
		<-released
	}))
	t.Cleanup(frontend.Close)
	t.Cleanup(h.release)
	folder := t.TempDir()
	write(t, filepath.Join(folder, "tenants.yaml"),
		ports+"tenants:\n  - {slug: a, domains: [a.localhost], frontend: '"+frontend.URL+"'}\n")
	h.instance = serveIn(t, folder)
	go func() {
		_, port, _ := net.SplitHostPort(h.https)
		response, err := h.client.Get("https://a.localhost:" + port + "/slow")
		if err != nil {
			h.status <- 0
			return
		}
		response.Body.Close()
		h.status <- response.StatusCode
	}()
	<-arrived
	return h
}

func (h *held) waitExit(limit time.Duration) int {
	h.t.Helper()
	select {
	case code := <-h.exit:
		h.ended = true
		return code
	case <-time.After(limit):
		h.t.Fatalf("the server did not end within %v", limit)
		return -1
	}
}

func TestStopFinishesWhatIsInFlight(t *testing.T) {
	h := serveAndHold(t)
	h.signals <- syscall.SIGTERM
	eventually(t, "/readyz to say draining", func() error {
		if status, _ := h.get(h.admin + "readyz"); status != http.StatusServiceUnavailable {
			return fmt.Errorf("status %d", status)
		}
		return nil
	})
	eventually(t, "new connections to be refused", func() error {
		c, err := net.Dial("tcp", h.https)
		if err == nil {
			c.Close()
			return fmt.Errorf("accepted")
		}
		return nil
	})
	select {
	case code := <-h.exit:
		t.Fatalf("the server ended with %d while a request was in flight", code)
	default:
	}
	h.release()
	if status := <-h.status; status != http.StatusOK {
		t.Errorf("the request in flight got %d, want 200", status)
	}
	if code := h.waitExit(10 * time.Second); code != exitOK {
		t.Errorf("exit code %d, want %d:\n%s", code, exitOK, h.stderr.String())
	}
}

func TestSecondSignalStopsAtOnce(t *testing.T) {
	h := serveAndHold(t)
	h.signals <- syscall.SIGTERM
	eventually(t, "/readyz to say draining", func() error {
		if status, _ := h.get(h.admin + "readyz"); status != http.StatusServiceUnavailable {
			return fmt.Errorf("status %d", status)
		}
		return nil
	})
	h.signals <- syscall.SIGHUP // asks for no end
	h.signals <- syscall.SIGINT
	if code := h.waitExit(10 * time.Second); code != exitError {
		t.Errorf("exit code %d, want %d:\n%s", code, exitError, h.stderr.String())
	}
	if status := <-h.status; status == http.StatusOK {
		t.Error("the request that was cut off got 200")
	}
}

// Streams of events of the API and of a frontend end with the server, long before what is in flight is cut off.
func TestStopEndsEvents(t *testing.T) {
	frontend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		fmt.Fprint(w, "data: 1\n\n")
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	}))
	t.Cleanup(frontend.Close)
	folder := t.TempDir()
	write(t, filepath.Join(folder, "tenants.yaml"), ports+"tenants:\n  - {slug: a, domains: [a.localhost], frontend: '"+frontend.URL+"'}\n")
	i := serveIn(t, folder)
	_, port, _ := net.SplitHostPort(i.https)
	var streams sync.WaitGroup
	for _, path := range []string{"/api/faq/_events", "/events"} {
		response, err := i.client.Get("https://a.localhost:" + port + path)
		if err != nil || response.StatusCode != http.StatusOK {
			t.Fatalf("%s: %v, %v", path, response, err)
		}
		defer response.Body.Close()
		if _, err := response.Body.Read(make([]byte, 1)); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		streams.Go(func() { _, _ = io.Copy(io.Discard, response.Body) })
	}
	begun := time.Now()
	i.signals <- syscall.SIGTERM
	if code := (&held{instance: i}).waitExit(drainTimeout); code != exitOK {
		t.Errorf("exit code %d after %v, want %d:\n%s", code, time.Since(begun), exitOK, i.stderr.String())
	}
	streams.Wait()
}
