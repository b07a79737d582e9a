package store_test

import (
	"crypto/tls"
	"encoding/pem"
	"io"
	"net"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"metahub/store"
)

func TestTLS(t *testing.T) {
	address, ca := startTLS(t, startCanned(t, nil).Address())
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	f := func(name, uri string, works bool) {
		t.Run(name, func(t *testing.T) {
			s := open(t, store.Config{})
			if err := s.Do(t.Context(), newTenant("a", uri), ping); (err == nil) != works {
				t.Errorf("got %v, want success: %v", err, works)
			}
		})
	}
	f("known authority", "mongodb://"+address+"/?tlsCAFile="+url.QueryEscape(ca), true)
	f("unknown authority", "mongodb://"+address+"/?tls=true", false)
	f("another name", "mongodb://localhost:"+port+"/?tlsCAFile="+url.QueryEscape(ca), false)
	f("unchecked", "mongodb://localhost:"+port+"/?tls=true&tlsInsecure=true", true)
	f("no TLS", "mongodb://"+address+"/", false)
}

// startTLS puts TLS in front of a server, with a certificate for its address. It returns the file of who signed that.
func startTLS(t *testing.T, upstream string) (address, caFile string) {
	t.Helper()
	certified := httptest.NewUnstartedServer(nil)
	certified.StartTLS()
	config := certified.TLS.Clone()
	config.NextProtos = nil
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certified.Certificate().Raw})
	certified.Close()
	caFile = filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(caFile, ca, 0o600); err != nil {
		t.Fatal(err)
	}
	listener, err := tls.Listen("tcp", "127.0.0.1:0", config)
	if err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	running.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			running.Go(func() { relay(conn, upstream) })
		}
	})
	t.Cleanup(func() {
		listener.Close()
		running.Wait()
	})
	return listener.Addr().String(), caFile
}

// relay copies between a connection and one to upstream until either ends.
func relay(conn net.Conn, upstream string) {
	defer conn.Close()
	to, err := net.Dial("tcp", upstream)
	if err != nil {
		return
	}
	defer to.Close()
	var back sync.WaitGroup
	back.Go(func() {
		_, _ = io.Copy(conn, to)
		conn.Close()
	})
	_, _ = io.Copy(to, conn)
	to.Close()
	back.Wait()
}
