package certificate

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"metahub/tenant"
)

func TestListedHosts(t *testing.T) {
	k := newKeeper(t, directory())
	address := serve(t, k.TLSConfig())

	f := func(serverName string, names ...string) {
		t.Helper()
		state, err := connect(address, trusting(k.authority.root, serverName))
		if err != nil {
			t.Fatalf("%q: %v", serverName, err)
		}
		if got := state.PeerCertificates[0].DNSNames; !slices.Equal(got, names) {
			t.Errorf("%q got a certificate for %q, want %q", serverName, got, names)
		}
	}

	// exact domains, whichever tenant's and in whichever spelling
	f("ensotek.example", "ensotek.example")
	f("www.ensotek.example", "www.ensotek.example")
	f("radanor.example", "radanor.example")
	f("RADANOR.example", "radanor.example")

	// one certificate for all labels of a wildcard
	f("a.shops.example", "*.shops.example")
	f("b.shops.example", "*.shops.example")

	// another tenant's exact domain below that wildcard has its own
	f("own.shops.example", "own.shops.example")

	// the shared API host
	f("api.example.org", "api.example.org")
}

// refusal is the record of a fatal alert unrecognized_name: alert(21), legacy version, two bytes, fatal(2), 112 (RFC 8446 §5.1, §6).
func isRefusal(answer []byte) bool {
	return len(answer) == 7 && answer[0] == 21 && answer[1] == 3 && bytes.Equal(answer[3:], []byte{0, 2, 2, 112})
}

func TestUnlistedNamesAreRefusedByAlert(t *testing.T) {
	k, logs := newKeeperIn(t, directory(), t.TempDir())
	address := serve(t, k.TLSConfig())
	logs.TakeAll()
	names := []string{
		"", "evil.example", "ensotek.example.evil.example", "shops.example", "a.b.shops.example", "*.shops.example",
		"xn--nsotek-8ya.example", strings.Repeat("a.", 126) + "aa",
	}
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		for _, name := range names {
			answer := answerTo(t, address, &tls.Config{ServerName: name, InsecureSkipVerify: true, MinVersion: version, MaxVersion: version})
			if !isRefusal(answer) {
				t.Errorf("TLS %x, %q: the answer was % x", version, name, answer)
			}
		}
	}
	if got, want := k.Refused(), uint64(2*len(names)); got != want {
		t.Errorf("Refused() = %d, want %d", got, want)
	}
	if logs.Len() > 0 {
		t.Errorf("refusals were logged: %v", logs.All())
	}
}

// answerTo sends a real ClientHello and returns every byte that comes back.
func answerTo(t *testing.T, address string, config *tls.Config) []byte {
	t.Helper()
	hello := &helloRecorder{}
	tls.Client(hello, config).Handshake() // fails once the hello is written
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := conn.Write(hello.Bytes()); err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(conn)
	if err != nil {
		t.Fatal(err)
	}
	return answer
}

// helloRecorder keeps what a client writes and never answers.
type helloRecorder struct {
	net.Conn
	bytes.Buffer
}

func (r *helloRecorder) Write(p []byte) (int, error)      { return r.Buffer.Write(p) }
func (r *helloRecorder) Read([]byte) (int, error)         { return 0, io.EOF }
func (r *helloRecorder) Close() error                     { return nil }
func (r *helloRecorder) SetDeadline(time.Time) error      { return nil }
func (r *helloRecorder) SetWriteDeadline(time.Time) error { return nil }

func TestUnknownHostAnswersForUnlistedNames(t *testing.T) {
	f := func(domain, serverName, name string) {
		t.Helper()
		k := newKeeper(t, directoryWithUnknown("catch", domain, "second.example"))
		client := trusting(k.authority.root, serverName)
		client.InsecureSkipVerify = true // the name cannot match
		state, err := connect(serve(t, k.TLSConfig()), client)
		if err != nil {
			t.Fatalf("%q: %v", serverName, err)
		}
		if got := state.PeerCertificates[0].DNSNames; !slices.Equal(got, []string{name}) {
			t.Errorf("%q got a certificate for %q, want %q", serverName, got, name)
		}
		if k.Refused() != 0 {
			t.Errorf("%q was counted as refused", serverName)
		}
	}

	// the tenant's first domain, for any name and for none
	f("catch.example", "elsewhere.example", "catch.example")
	f("catch.example", "", "catch.example")

	// where that is a wildcard
	f("*.catch.example", "elsewhere.example", "*.catch.example")

	// a listed name keeps its own
	f("catch.example", "second.example", "second.example")
}

// A TLS 1.3 session resumes without a certificate, so a ticket must not open the door for a name that is refused.
func TestTicketsDoNotOpenUnlistedNames(t *testing.T) {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		k := newKeeper(t, directory())
		address := serve(t, k.TLSConfig())
		client := trusting(k.authority.root, "ensotek.example")
		client.MaxVersion = version
		client.ClientSessionCache = oneSession{tls.NewLRUClientSessionCache(1)}
		if _, err := connect(address, client); err != nil {
			t.Fatal(err)
		}
		state, err := connect(address, client)
		if err != nil || !state.DidResume {
			t.Fatalf("TLS %x: a second connection did not resume: %v", version, err)
		}

		k.registry.Publish(directoryWithUnknown("")) // every tenant is gone

		if _, err := connect(address, client); err == nil || !strings.Contains(err.Error(), "unrecognized name") {
			t.Errorf("TLS %x: resuming under a name that is no longer listed gave %v", version, err)
		}
	}
}

// oneSession keeps one session for all names.
type oneSession struct{ tls.ClientSessionCache }

func (s oneSession) Get(string) (*tls.ClientSessionState, bool) { return s.ClientSessionCache.Get("") }
func (s oneSession) Put(_ string, state *tls.ClientSessionState) {
	s.ClientSessionCache.Put("", state)
}

func TestSessionsResumeAcrossConfigs(t *testing.T) {
	k := newKeeper(t, directory())
	first, second := serve(t, k.TLSConfig()), serve(t, k.TLSConfig().Clone())
	client := trusting(k.authority.root, "ensotek.example")
	client.ClientSessionCache = oneSession{tls.NewLRUClientSessionCache(1)}
	if _, err := connect(first, client); err != nil {
		t.Fatal(err)
	}
	if state, err := connect(second, client); err != nil || !state.DidResume {
		t.Errorf("the session did not resume at the other listener: %v", err)
	}
}

func TestTLSSettings(t *testing.T) {
	k := newKeeper(t, directory())
	address := serve(t, k.TLSConfig())
	client := trusting(k.authority.root, "ensotek.example")
	client.NextProtos = []string{"http/1.1", "h2"}
	state, err := connect(address, client)
	if err != nil {
		t.Fatal(err)
	}
	if state.Version != tls.VersionTLS13 || state.CurveID != tls.X25519MLKEM768 || state.NegotiatedProtocol != "h2" {
		t.Errorf("negotiated TLS %x, %v, %q", state.Version, state.CurveID, state.NegotiatedProtocol)
	}

	old := client.Clone()
	old.MinVersion, old.MaxVersion = tls.VersionTLS10, tls.VersionTLS11
	if _, err := connect(address, old); err == nil {
		t.Error("TLS 1.1 was accepted")
	}

	weak := client.Clone()
	weak.MaxVersion = tls.VersionTLS12
	weak.CipherSuites = []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA}
	if _, err := connect(address, weak); err == nil {
		t.Error("a CBC suite was accepted")
	}
}

func TestCurlAcceptsTheChain(t *testing.T) {
	curl, err := exec.LookPath("curl")
	if err != nil {
		t.Skip("curl is not installed")
	}
	k := newKeeper(t, directory())
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.TLS.ServerName) }))
	server.TLS = k.TLSConfig()
	server.Listener = tls.NewListener(server.Listener, server.TLS) // StartTLS would add a certificate of its own
	server.Start()
	defer server.Close()
	_, port, _ := net.SplitHostPort(server.Listener.Addr().String())
	for _, host := range []string{"ensotek.example", "a.shops.example"} {
		out, err := exec.Command(curl, "--silent", "--show-error", "--http1.1", "--noproxy", "*", "--max-time", "10", "--cacert", k.RootPath(),
			"--resolve", host+":"+port+":127.0.0.1", "https://"+host+":"+port+"/").CombinedOutput()
		if err != nil || string(out) != host {
			t.Errorf("curl for %q: %v: %s", host, err, out)
		}
	}
}

func TestNewNamesTheFolderItCannotUse(t *testing.T) {
	file := t.TempDir() + "/certs"
	write(t, file, nil)
	_, err := New(Config{Registry: tenant.NewRegistry(directory()), Settings: local(file)})
	if err == nil || !strings.Contains(err.Error(), fmt.Sprintf("%q", file)) {
		t.Errorf("New on a file said %v", err)
	}
}

func TestOpenRootKeyIsMentioned(t *testing.T) {
	folder := t.TempDir()
	_, logs := newKeeperIn(t, directory(), folder)
	if n := logs.FilterMessageSnippet("chmod 600").Len(); n != 0 {
		t.Errorf("a fresh key was called open: %v", logs.All())
	}
	if err := os.Chmod(filepath.Join(folder, rootKeyKey), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, logs = newKeeperIn(t, directory(), folder); logs.FilterMessageSnippet("chmod 600").Len() != 1 {
		t.Errorf("an open key was not mentioned: %v", logs.All())
	}
}

func TestWarmHandshakeDoesNotAllocate(t *testing.T) {
	k := newKeeper(t, directory())
	for _, name := range []string{"ensotek.example", "a.shops.example", "api.example.org", "evil.example", ""} {
		hello := &tls.ClientHelloInfo{ServerName: name}
		if allocations := testing.AllocsPerRun(100, func() { k.GetCertificate(hello) }); allocations != 0 {
			t.Errorf("%q: %v allocations", name, allocations)
		}
	}
}

func BenchmarkGetCertificate(b *testing.B) {
	tenants := make([]*tenant.Tenant, 10_000)
	for i := range tenants {
		tenants[i] = &tenant.Tenant{Slug: fmt.Sprintf("t%d", i), Domains: []string{fmt.Sprintf("t%d.example", i), fmt.Sprintf("*.t%d.example", i)}}
	}
	k := newKeeper(b, tenant.NewDirectory(tenant.Gateway{}, tenants))
	kit := newIssuerKit(b, "Customer CA")
	chainPEM, keyPEM := kit.pair([]string{"t1.example"}, nil)
	write(b, k.settings.Folder+"/t1.example/fullchain.pem", chainPEM)
	write(b, k.settings.Folder+"/t1.example/privkey.pem", keyPEM)
	k.files.scan(k.registry.Current())
	for _, bench := range []struct{ name, serverName string }{
		{"exact", "t5000.example"}, {"wildcard", "any.t5000.example"}, {"file", "t1.example"}, {"refused", "evil.example"},
	} {
		b.Run(bench.name, func(b *testing.B) {
			hello := &tls.ClientHelloInfo{ServerName: bench.serverName}
			b.ReportAllocs()
			for b.Loop() {
				k.GetCertificate(hello)
			}
		})
	}
	b.Run("parallel", func(b *testing.B) {
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			hello := &tls.ClientHelloInfo{ServerName: "t5000.example"}
			for pb.Next() {
				k.GetCertificate(hello)
			}
		})
	})
}

// verify checks a chain as Go's clients do, at a given time.
func verify(leaf, root *x509.Certificate, host string, at time.Time) error {
	roots := x509.NewCertPool()
	roots.AddCert(root)
	_, err := leaf.Verify(x509.VerifyOptions{Roots: roots, DNSName: host, CurrentTime: at, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}})
	return err
}
