// Package mongod is a server that speaks MongoDB's wire protocol and keeps nothing: it answers with what it was given. Benchmarks measure
// beside it what a database would hide, and tests see with it what is really sent.
//
//	page := mongod.FirstBatch("db.products", 0, mongod.Documents(20)...)
//	server, err := mongod.Start(func(_ context.Context, command bsoncore.Document) bsoncore.Document {
//		if mongod.Name(command) == "find" {
//			return page
//		}
//		return nil // as an empty database would answer
//	})
//	defer server.Close()
//	client, err := mongo.Connect(options.Client().ApplyURI(server.URI("db")))
//
// A server costs a goroutine and a socket, and the same for each connection, so that one process runs thousands of them. It can also refuse
// connections, hang, or answer garbage, and be a member of a replica set. It knows no users, no TLS, and of compressors zstd alone.
package mongod

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"

	"go.mongodb.org/mongo-driver/v2/x/bsonx/bsoncore"
)

// Behaviour is how a Server treats those who connect.
type Behaviour int32

const (
	// Answering answers as the handler says.
	Answering Behaviour = iota
	// Hanging accepts connections, reads what comes and answers nothing.
	Hanging
	// Garbling answers with bytes that are no reply, of a different kind each time.
	Garbling
	// Refusing has no listener: connections are refused.
	Refusing
)

// Handler answers a command. It gets each command that is no part of MongoDB's monitoring as one document, with document sequences such as
// insert's "documents" put in as arrays, and with "$db". A nil answer stands for that of an empty database. The handler may wait, which
// holds up its connection only; ctx ends with the server or when the server stops Answering. Handlers run at once on any number
// of goroutines. The command may be kept.
type Handler func(ctx context.Context, command bsoncore.Document) bsoncore.Document

// Server listens on a port of 127.0.0.1. Its methods may be called at once.
type Server struct {
	handler   Handler
	address   string
	behaviour atomic.Int32
	garbled   atomic.Uint32
	open      atomic.Int64
	packed    atomic.Int64           // messages that came compressed
	member    atomic.Pointer[member] // nil for a server by itself
	running   sync.WaitGroup

	mu       sync.Mutex // guards what follows
	listener net.Listener
	release  func() // gives the port of a server that is Refusing back
	conns    map[net.Conn]struct{}
	answers  context.Context // ends when what is being answered is to be dropped
	drop     context.CancelFunc
}

// Start starts a Server. A nil handler answers everything as an empty database would.
func Start(handler Handler) (*Server, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &Server{handler: handler, address: listener.Addr().String(), conns: map[net.Conn]struct{}{}}
	s.answers, s.drop = context.WithCancel(context.Background())
	s.serve(listener)
	return s, nil
}

// Address returns where the server listens, or would if it were not Refusing: "127.0.0.1:port".
func (s *Server) Address() string { return s.address }

// URI returns the server's URI with a database in its path, which may be empty and may have options behind a question mark.
func (s *Server) URI(database string) string { return "mongodb://" + s.address + "/" + database }

// Connections returns how many connections are open.
func (s *Server) Connections() int { return int(s.open.Load()) }

// Compressed returns how many messages have come compressed. Answers to them are, too.
func (s *Server) Compressed() int { return int(s.packed.Load()) }

// Behave changes the server's behaviour and cuts all connections when it begins to refuse. The port stays
// the server's, but for systems that have no Unix sockets: there the error is that of listening again.
func (s *Server) Behave(b Behaviour) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.behaviour.Store(int32(b))
	if b != Answering {
		s.drop()
	} else if s.answers.Err() != nil {
		s.answers, s.drop = context.WithCancel(context.Background())
	}
	if b == Refusing {
		s.hangUp()
		if s.release == nil {
			s.release = reserve(s.address)
		}
		return nil
	}
	if s.listener != nil {
		return nil
	}
	s.free()
	listener, err := net.Listen("tcp", s.address)
	if err != nil {
		return err
	}
	s.serve(listener)
	return nil
}

// Cut closes all connections, and goes on taking new ones.
func (s *Server) Cut() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for conn := range s.conns {
		conn.Close()
	}
}

// Close ends the server and waits until its goroutines are gone.
func (s *Server) Close() {
	_ = s.Behave(Refusing)
	s.running.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.free()
}

// free gives a reserved port back; s.mu is held.
func (s *Server) free() {
	if s.release != nil {
		s.release()
		s.release = nil
	}
}

// hangUp closes the listener and all connections; s.mu is held.
func (s *Server) hangUp() {
	if s.listener != nil {
		s.listener.Close()
		s.listener = nil
	}
	for conn := range s.conns {
		conn.Close()
	}
}

// serve takes connections from listener; s.mu is held, or nobody knows s yet.
func (s *Server) serve(listener net.Listener) {
	s.listener = listener
	s.running.Go(func() {
		for {
			conn, err := listener.Accept()
			if errors.Is(err, net.ErrClosed) {
				return
			}
			if err == nil && s.admit(listener, conn) {
				s.running.Go(func() { s.talk(conn) })
			}
		}
	})
}

// admit knows of a connection, unless its listener has been closed meanwhile.
func (s *Server) admit(listener net.Listener, conn net.Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.listener != listener {
		conn.Close()
		return false
	}
	s.conns[conn] = struct{}{}
	s.open.Add(1)
	return true
}

func (s *Server) talk(conn net.Conn) {
	defer func() {
		conn.Close()
		s.mu.Lock()
		delete(s.conns, conn)
		s.mu.Unlock()
		s.open.Add(-1)
	}()
	for {
		m, err := readMessage(conn)
		if err == nil {
			err = s.reply(conn, m)
		}
		if err != nil {
			return
		}
	}
}

func (s *Server) reply(conn net.Conn, m message) error {
	switch Behaviour(s.behaviour.Load()) {
	case Hanging:
		_, err := io.Copy(io.Discard, conn)
		return err
	case Garbling:
		return garble(conn, m, s.garbled.Add(1))
	}
	if m.compressed {
		s.packed.Add(1)
	}
	answer := s.answer(m.command)
	if m.unanswered || Behaviour(s.behaviour.Load()) == Hanging {
		return nil
	}
	return m.write(conn, answer)
}

func (s *Server) answer(command bsoncore.Document) bsoncore.Document {
	name := Name(command)
	if answer := s.monitoring(name, command); answer != nil {
		return answer
	}
	if s.handler != nil {
		s.mu.Lock()
		ctx := s.answers
		s.mu.Unlock()
		if answer := s.handler(ctx, command); answer != nil {
			return answer
		}
	}
	return byDefault(name, command)
}
