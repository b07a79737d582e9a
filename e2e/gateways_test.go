package e2e

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/FerretDB/FerretDB/ferretdb"

	"metahub/gateway/certificate/acmetest"
)

// startMongo runs FerretDB until the test ends and returns its URI.
func startMongo(t *testing.T) string {
	t.Helper()
	server, err := ferretdb.New(&ferretdb.Config{
		Listener:  ferretdb.ListenerConfig{TCP: "127.0.0.1:0"},
		Logger:    slog.New(slog.DiscardHandler),
		Handler:   "sqlite",
		SQLiteURL: "file:" + t.TempDir() + "/",
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		server.Run(ctx)
	}()
	t.Cleanup(func() {
		stop()
		<-stopped
	})
	return strings.TrimSuffix(server.MongoDBURI(), "/")
}

// forwarder is the address to which a domain's record leads: it passes connections on to one gateway or the other.
type forwarder struct {
	address string
	target  atomic.Pointer[string]
}

func startForwarder(t *testing.T) *forwarder {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f := &forwarder{address: listener.Addr().String()}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			serving.Go(func() { f.forward(conn) })
		}
	})
	t.Cleanup(func() {
		listener.Close()
		serving.Wait()
	})
	return f
}

func (f *forwarder) to(address string) { f.target.Store(&address) }

func (f *forwarder) forward(client net.Conn) {
	defer client.Close()
	server, err := net.DialTimeout("tcp", *f.target.Load(), time.Second)
	if err != nil {
		return
	}
	defer server.Close()
	end := time.Now().Add(10 * time.Second)
	client.SetDeadline(end)
	server.SetDeadline(end)
	done := make(chan struct{})
	go func() {
		defer close(done)
		io.Copy(server, client)
		server.(*net.TCPConn).CloseWrite()
	}()
	io.Copy(client, server)
	client.Close()
	<-done
}

// Two gateways on one MongoDB order each certificate once, answer each other's challenges, and one takes over what the other left when it
// was killed in the middle of an order.
func TestTwoGatewaysOnOneStorage(t *testing.T) {
	uri := startMongo(t)
	first, second := prepare(t), prepare(t)
	front := startForwarder(t)
	front.to(second.http)
	ca := acmetest.Start(t, acmetest.Options{HTTPPort: portOf(t, front.address), TLSPort: portOf(t, second.https)})
	ca.DNS().DefaultTo("127.0.0.1")
	for _, p := range []*process{first, second} {
		p.env = []string{
			"METAHUB_GATEWAY_CERTIFICATES_ISSUER=" + ca.Directory(),
			"METAHUB_GATEWAY_CERTIFICATES_STORAGE=" + uri + "/gateways",
			fmt.Sprintf("METAHUB_GATEWAY_CERTIFICATES_VALIDATION_PORT=%d", portOf(t, front.address)),
			"METAHUB_GATEWAY_CERTIFICATES_STORAGE_KEY=" + strings.Repeat("7a", 32),
		}
	}
	sites := []string{"site-0", "site-1", "site-2", "site-3", "site-4", "site-5"}
	for _, p := range []*process{first, second} {
		p.writeConfig(first.ordering(ca, sites...))
		p.run()
	}
	for _, p := range []*process{first, second} {
		for _, site := range sites {
			p.awaitCertificate(ca, 60*time.Second, site+".example.net")
		}
	}
	for _, site := range sites {
		mine, err := first.shown(ca.Roots(), site+".example.net")
		if err != nil {
			t.Fatal(err)
		}
		if theirs, err := second.shown(ca.Roots(), site+".example.net"); err != nil || !theirs.Equal(mine) {
			t.Errorf("%s: the second gateway shows another certificate, %v", site, err)
		}
	}
	if n := ca.NewOrders(); n != len(sites) {
		t.Errorf("%d orders for %d domains", n, len(sites))
	}

	resumeAtTheOther(t, ca, first, second)

	ca.Intercept(func(http.ResponseWriter, *http.Request) bool {
		<-time.After(500 * time.Millisecond)
		return false
	})
	front.to(first.http)
	first.writeConfig(first.ordering(ca, append(sites, "late")...))
	eventually(t, 30*time.Second, "the first gateway to order", func() error {
		if ca.OrdersFor("late.example.net") == 0 {
			return errors.New("the CA has had no order")
		}
		return nil
	})
	first.kill()
	killed := time.Now()
	ca.Intercept(nil)
	front.to(second.http)
	second.writeConfig(first.ordering(ca, append(sites, "late")...))
	second.awaitCertificate(ca, time.Minute, "late.example.net")
	t.Logf("the second gateway had the certificate %v after the first was killed", time.Since(killed).Round(time.Millisecond))

	// the killed one comes back and serves from its own copy at once, whatever its storage does
	first.run()
	first.awaitCertificate(ca, 30*time.Second, "late.example.net")
}

// resumeAtTheOther opens a session at one gateway and resumes it at the other, as a visitor behind a load balancer does.
func resumeAtTheOther(t *testing.T, ca *acmetest.CA, first, second *process) {
	t.Helper()
	config := &tls.Config{RootCAs: ca.Roots(), ServerName: "site-0.example.net", ClientSessionCache: tls.NewLRUClientSessionCache(1), NextProtos: []string{"http/1.1"}}
	for i, p := range []*process{first, second} {
		conn, err := tls.DialWithDialer(&net.Dialer{Timeout: 30 * time.Second}, "tcp", p.https, config)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprint(conn, "GET / HTTP/1.1\r\nHost: site-0.example.net\r\nConnection: close\r\n\r\n")
		if _, err := io.ReadAll(conn); err != nil { // by then the ticket has come
			t.Error(err)
		}
		if resumed := conn.ConnectionState().DidResume; resumed != (i == 1) {
			t.Errorf("gateway %d: resumed is %v", i+1, resumed)
		}
		conn.Close()
	}
}

// A gateway whose MongoDB is not there at the start serves what it has a copy of.
func TestStartWithoutTheSharedStorage(t *testing.T) {
	p, ca := withCA(t)
	ctx, stop := context.WithCancel(context.Background())
	server, err := ferretdb.New(&ferretdb.Config{
		Listener: ferretdb.ListenerConfig{TCP: "127.0.0.1:0"}, Logger: slog.New(slog.DiscardHandler), Handler: "sqlite",
		SQLiteURL: "file:" + t.TempDir() + "/",
	})
	if err != nil {
		t.Fatal(err)
	}
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		server.Run(ctx)
	}()
	end := func() { stop(); <-stopped }
	t.Cleanup(end)
	p.env = append(p.env, "METAHUB_GATEWAY_CERTIFICATES_STORAGE="+strings.TrimSuffix(server.MongoDBURI(), "/")+"/alone")
	p.writeConfig(p.ordering(ca, "first"))
	p.run()
	p.awaitCertificate(ca, 30*time.Second, "first.example.net")
	p.kill()
	end()
	p.run()
	if _, err := p.shown(ca.Roots(), "first.example.net"); err != nil {
		t.Errorf("with MongoDB gone: %v", err)
	}
}
