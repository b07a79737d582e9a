package certificate

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/caddyserver/certmagic"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"metahub/gateway/certificate/storage"
	"metahub/tenant"
)

// directory lists two tenants and an API host.
func directory() *tenant.Directory {
	return tenant.NewDirectory(tenant.Gateway{APIHosts: []string{"api.example.org"}}, []*tenant.Tenant{
		{Slug: "ensotek", Domains: []string{"ensotek.example", "www.ensotek.example", "*.shops.example"}},
		{Slug: "radanor", Domains: []string{"radanor.example", "own.shops.example"}},
	})
}

// directoryWithUnknown gives unlisted hosts to a tenant.
func directoryWithUnknown(slug string, domains ...string) *tenant.Directory {
	return tenant.NewDirectory(tenant.Gateway{UnknownHost: slug}, []*tenant.Tenant{{Slug: slug, Domains: domains}})
}

func newKeeper(t testing.TB, d *tenant.Directory) *Keeper {
	t.Helper()
	k, _ := newKeeperIn(t, d, t.TempDir())
	return k
}

func newKeeperIn(t testing.TB, d *tenant.Directory, folder string) (*Keeper, *observer.ObservedLogs) {
	t.Helper()
	core, logs := observer.New(zapcore.DebugLevel)
	k, err := New(Config{Registry: tenant.NewRegistry(d), Settings: local(folder), Logger: zap.New(core)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeWith(k.storage, nil) })
	return k, logs
}

// openFolder opens a folder as the Keeper does.
func openFolder(t testing.TB, path string) storage.Storage {
	t.Helper()
	s, err := storage.OpenFolder(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeWith(s, nil) })
	return s
}

// local are the settings of a gateway whose only issuer is the local authority.
func local(folder string) tenant.Certificates {
	return tenant.Certificates{Issuer: tenant.IssuerInternal, Folder: folder, StorageFolder: folder}
}

// serve ends TLS with k on loopback and says the server name back to whoever connects.
func serve(t testing.TB, config *tls.Config) (address string) {
	t.Helper()
	listener, err := tls.Listen("tcp", "127.0.0.1:0", config)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go greet(conn.(*tls.Conn))
		}
	}()
	t.Cleanup(func() { listener.Close(); <-done })
	return listener.Addr().String()
}

func greet(conn *tls.Conn) {
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(10 * time.Second))
	if conn.Handshake() == nil {
		conn.Write([]byte(conn.ConnectionState().ServerName))
	}
}

// trusting is a client that trusts one root.
func trusting(root *x509.Certificate, serverName string) *tls.Config {
	roots := x509.NewCertPool()
	roots.AddCert(root)
	return &tls.Config{RootCAs: roots, ServerName: serverName}
}

// connect completes a handshake and reads the greeting, so that session tickets have arrived.
func connect(address string, config *tls.Config) (tls.ConnectionState, error) {
	conn, err := tls.DialWithDialer(&net.Dialer{Timeout: 10 * time.Second}, "tcp", address, config)
	if err != nil {
		return tls.ConnectionState{}, err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(10 * time.Second))
	conn.Read(make([]byte, 512))
	return conn.ConnectionState(), nil
}

// eventually waits for a condition.
func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !holds(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("still not so: %s", what)
		}
	}
}

// issuerKit is a certificate authority of a test, as a customer's own might be.
type issuerKit struct {
	t    testing.TB
	cert *x509.Certificate
	key  crypto.Signer
}

func newIssuerKit(t testing.TB, name string) issuerKit {
	t.Helper()
	kit := issuerKit{t: t, key: newKey(t)}
	kit.cert = kit.sign(kit.key.Public(), func(c *x509.Certificate) {
		c.Subject = pkix.Name{CommonName: name}
		c.IsCA, c.BasicConstraintsValid, c.KeyUsage = true, true, x509.KeyUsageCertSign
	})
	return kit
}

// sign certifies a key; the zero kit.cert stands for a self-signed one.
func (kit issuerKit) sign(public crypto.PublicKey, change func(*x509.Certificate)) *x509.Certificate {
	kit.t.Helper()
	template := &x509.Certificate{NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(90 * 24 * time.Hour)}
	change(template)
	parent := kit.cert
	if parent == nil {
		parent = template
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, public, kit.key)
	if err != nil {
		kit.t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		kit.t.Fatal(err)
	}
	return cert
}

// under makes an intermediate.
func (kit issuerKit) under(name string) issuerKit {
	child := issuerKit{t: kit.t, key: newKey(kit.t)}
	child.cert = kit.sign(child.key.Public(), func(c *x509.Certificate) {
		c.Subject = pkix.Name{CommonName: name}
		c.IsCA, c.BasicConstraintsValid, c.KeyUsage = true, true, x509.KeyUsageCertSign
	})
	return child
}

// pair makes a certificate for names and its key, both PEM; the chain follows the certificate.
func (kit issuerKit) pair(names []string, change func(*x509.Certificate), chain ...*x509.Certificate) (chainPEM, keyPEM []byte) {
	kit.t.Helper()
	key := newKey(kit.t)
	leaf := kit.sign(key.Public(), func(c *x509.Certificate) {
		c.DNSNames = names
		if change != nil {
			change(c)
		}
	})
	return encodeChain(append([]*x509.Certificate{leaf}, chain...)...), encodeKey(kit.t, key)
}

func encodeChain(chain ...*x509.Certificate) (out []byte) {
	for _, c := range chain {
		out = append(out, encodeCertificate(c.Raw)...)
	}
	return out
}

func newKey(t testing.TB) crypto.Signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func encodeKey(t testing.TB, key crypto.Signer) []byte {
	t.Helper()
	keyPEM, err := certmagic.PEMEncodePrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return keyPEM
}

func write(t testing.TB, path string, content []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
}
