package tickets

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"math/big"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddyserver/certmagic"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"metahub/gateway/certificate/storage"
)

const (
	testEvery = time.Hour
	testPoll  = 5 * time.Millisecond
)

// clock is set by the test and read by all its gateways.
type clock struct{ nanoseconds atomic.Int64 }

func newClock() *clock {
	c := &clock{}
	c.nanoseconds.Store(time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC).UnixNano())
	return c
}

func (c *clock) now() time.Time          { return time.Unix(0, c.nanoseconds.Load()) }
func (c *clock) advance(d time.Duration) { c.nanoseconds.Add(int64(d)) }

// sickly is a storage that can be made to fail or to panic.
type sickly struct {
	certmagic.Storage
	fault  atomic.Pointer[error]
	panics atomic.Bool
	loads  atomic.Int64
	stores atomic.Int64
}

func newStorage(t testing.TB) *sickly { return openStorage(t, t.TempDir()) }

// openStorage is what one of several gateways does.
func openStorage(t testing.TB, folder string) *sickly {
	t.Helper()
	opened, err := storage.OpenFolder(folder, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { opened.Close(context.Background()) })
	return &sickly{Storage: opened}
}

func (s *sickly) fail(err error) { s.fault.Store(&err) }
func (s *sickly) heal()          { s.fault.Store(nil) }

func (s *sickly) Load(ctx context.Context, key string) ([]byte, error) {
	defer s.loads.Add(1)
	if s.panics.Load() {
		panic("a bug in the storage")
	}
	if err := s.fault.Load(); err != nil {
		return nil, *err
	}
	return s.Storage.Load(ctx, key)
}

func (s *sickly) Store(ctx context.Context, key string, value []byte) error {
	if err := s.fault.Load(); err != nil {
		return *err
	}
	defer s.stores.Add(1)
	return s.Storage.Store(ctx, key, value)
}

// keysOf remembers what a rotation set.
type keysOf struct {
	mu   sync.Mutex
	keys [][32]byte
	sets int
}

func (k *keysOf) set(keys [][32]byte) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.keys = slices.Clone(keys)
	k.sets++
}

func (k *keysOf) current() [][32]byte {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.keys
}

func (k *keysOf) first() (secret [32]byte) {
	if keys := k.current(); len(keys) > 0 {
		return keys[0]
	}
	return secret
}

func (k *keysOf) count() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.sets
}

// start runs a rotation to the end of the test.
func start(t testing.TB, shared certmagic.Storage, now func() time.Time, set func([][32]byte)) (*Rotation, *observer.ObservedLogs) {
	t.Helper()
	core, logs := observer.New(zapcore.DebugLevel)
	r, err := Start(context.Background(), Config{Storage: shared, Set: set, Every: testEvery, Poll: testPoll, Now: now, Logger: zap.New(core)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Stop)
	return r, logs
}

// gateway is a TLS server on loopback whose session ticket keys rotate.
type gateway struct {
	keysOf
	address string
	logs    *observer.ObservedLogs
}

func newGateway(t testing.TB, shared certmagic.Storage, c *clock, certificate tls.Certificate) *gateway {
	t.Helper()
	config := &tls.Config{Certificates: []tls.Certificate{certificate}}
	g := &gateway{}
	_, g.logs = start(t, shared, c.now, func(keys [][32]byte) {
		config.SetSessionTicketKeys(keys)
		g.set(keys)
	})
	listener, err := tls.Listen("tcp", "127.0.0.1:0", config)
	if err != nil {
		t.Fatal(err)
	}
	g.address = listener.Addr().String()
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go greet(conn)
		}
	}()
	t.Cleanup(func() { listener.Close(); <-done })
	return g
}

func greet(conn net.Conn) {
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(10 * time.Second))
	conn.Write([]byte("welcome"))
}

// browser keeps the sessions of one visitor.
type browser struct{ config *tls.Config }

func newBrowser(certificate tls.Certificate, version uint16) browser {
	roots := x509.NewCertPool()
	roots.AddCert(certificate.Leaf)
	return browser{&tls.Config{RootCAs: roots, ServerName: "ensotek.de", MinVersion: version, MaxVersion: version, ClientSessionCache: tls.NewLRUClientSessionCache(8)}}
}

// resumes completes a handshake and reads the greeting, so that new tickets have arrived.
func (b browser) resumes(t testing.TB, g *gateway) bool {
	t.Helper()
	conn, err := tls.DialWithDialer(&net.Dialer{Timeout: 10 * time.Second}, "tcp", g.address, b.config)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(10 * time.Second))
	if n, err := conn.Read(make([]byte, 16)); n == 0 {
		t.Fatal(err)
	}
	return conn.ConnectionState().DidResume
}

func newCertificate(t testing.TB) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{"ensotek.de"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}

// eventually waits for a condition.
func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !holds(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("still not so: %s", what)
		}
	}
}
