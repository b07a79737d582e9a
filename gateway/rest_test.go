package gateway

import (
	"bufio"
	"context"
	"io"
	"net"
	"testing"
	"time"

	"metahub/tenant"
)

// TestRestingConnections are served as if they had never rested, and end with a shutdown.
func TestRestingConnections(t *testing.T) {
	w := start(t, func(_ *tenant.Gateway, g *Gateway) {
		g.limits.Rest, g.limits.Header = 10*time.Millisecond, 200*time.Millisecond
	})
	plain, err := net.Dial("tcp", w.http.String())
	if err != nil {
		t.Fatal(err)
	}
	defer plain.Close()
	f := func(c net.Conn, status int) {
		t.Helper()
		r := bufio.NewReader(c)
		for range 3 {
			if _, err := io.WriteString(c, "POST /x HTTP/1.1\r\nHost: anna.test\r\nContent-Length: 4\r\n\r\nbody"); err != nil {
				t.Fatal(err)
			}
			if got := w.read(r, "POST"); got.StatusCode != status || got.Close {
				t.Fatalf("status %d, close %v", got.StatusCode, got.Close)
			}
			await(t, "the connection to rest", func() bool {
				return w.Gateway.secure.GetCurrentConcurrency()+w.Gateway.plain.GetCurrentConcurrency() == 0
			})
		}
	}
	f(plain, 308)
	plain.Close()
	c := w.dial("anna.test")
	f(c, 200)
	if _, err := io.WriteString(c, "GET /x HTTP/1.1\r\n"); err != nil { // and no more of it
		t.Fatal(err)
	}
	if got := w.read(bufio.NewReader(c), "GET"); got.StatusCode != 408 {
		t.Errorf("status %d for half a request", got.StatusCode)
	}
	last := w.dial("anna.test")
	f(last, 200)
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := w.Gateway.Shutdown(ctx); err != nil {
		t.Error(err)
	}
	if _, err := last.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("after a shutdown: %v", err)
	}
}
