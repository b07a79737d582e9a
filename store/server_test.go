package store_test

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/FerretDB/FerretDB/ferretdb"
)

// server is a MongoDB server on a port of its own, reached through a link that can fail.
type server struct {
	listener net.Listener
	upstream string

	mu     sync.Mutex
	frozen chan struct{} // closed while bytes may pass
	conns  map[net.Conn]struct{}
}

// startServer starts FerretDB for the length of the test.
func startServer(t testing.TB) *server {
	t.Helper()
	database, err := ferretdb.New(&ferretdb.Config{
		Listener:  ferretdb.ListenerConfig{TCP: "127.0.0.1:0"},
		Logger:    slog.New(slog.DiscardHandler),
		Handler:   "sqlite",
		SQLiteURL: "file:" + t.TempDir() + "/",
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { database.Run(ctx) })
	address, err := url.Parse(database.MongoDBURI())
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &server{listener: listener, upstream: address.Host, frozen: make(chan struct{}), conns: map[net.Conn]struct{}{}}
	close(s.frozen)
	running.Go(s.accept)
	t.Cleanup(func() {
		listener.Close()
		s.cut()
		s.thaw()
		stop()
		running.Wait()
	})
	return s
}

func (s *server) uri(database string) string {
	return "mongodb://" + s.listener.Addr().String() + "/" + database
}

func (s *server) accept() {
	var links sync.WaitGroup
	defer links.Wait()
	for {
		client, err := s.listener.Accept()
		if err != nil {
			return
		}
		links.Go(func() { s.link(client) })
	}
}

func (s *server) link(client net.Conn) {
	defer client.Close()
	upstream, err := net.Dial("tcp", s.upstream)
	if err != nil {
		return
	}
	defer upstream.Close()
	s.mu.Lock()
	s.conns[client] = struct{}{}
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		delete(s.conns, client)
		s.mu.Unlock()
	}()

	var pumps sync.WaitGroup
	pumps.Go(func() { s.pump(upstream, client) })
	pumps.Go(func() { s.pump(client, upstream) })
	pumps.Wait()
}

func (s *server) pump(to, from net.Conn) {
	defer to.Close()
	defer from.Close()
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		s.mu.Lock()
		passes := s.frozen
		s.mu.Unlock()
		<-passes
		if _, werr := to.Write(buffer[:n]); err != nil || werr != nil {
			return
		}
	}
}

// freeze keeps connections open and lets nothing through.
func (s *server) freeze() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.frozen = make(chan struct{})
}

func (s *server) thaw() {
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-s.frozen:
	default:
		close(s.frozen)
	}
}

// cut breaks all connections.
func (s *server) cut() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for conn := range s.conns {
		conn.Close()
	}
}

func (s *server) connections() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.conns)
}

// blackHole accepts connections and never answers.
func blackHole(t testing.TB) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
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
			running.Go(func() {
				defer conn.Close()
				io.Copy(io.Discard, conn)
			})
		}
	})
	t.Cleanup(func() {
		listener.Close()
		running.Wait()
	})
	return "mongodb://" + listener.Addr().String() + "/db"
}

// refused is the URI of a port where nobody listens.
func refused(t testing.TB) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	listener.Close()
	return "mongodb://" + listener.Addr().String() + "/db"
}

// eventually waits for a condition.
func eventually(t testing.TB, what string, condition func() bool) {
	t.Helper()
	deadline := time.Now().Add(15 * time.Second)
	for !condition() {
		if time.Now().After(deadline) {
			t.Fatalf("%s: still not so", what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}
