package certificate

import (
	"context"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyserver/certmagic"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"
)

func mustOpen(t testing.TB, folder string) *authority {
	t.Helper()
	a, err := openAuthority(openFolder(t, folder), zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestRootIsMadeOnce(t *testing.T) {
	folder := t.TempDir()
	first, second := mustOpen(t, folder), mustOpen(t, folder)
	if !first.root.Equal(second.root) {
		t.Error("a second start made another root")
	}
	if !strings.HasPrefix(first.root.Subject.CommonName, "MetaHub Local Authority ") {
		t.Errorf("the root is called %q", first.root.Subject.CommonName)
	}
	if got, want := first.root.NotAfter, time.Now().AddDate(10, 0, 0); got.After(want) || got.Before(want.Add(-time.Hour)) {
		t.Errorf("the root ends on %v, want %v", got, want)
	}
	info, err := os.Stat(filepath.Join(folder, rootKeyKey))
	if err != nil {
		t.Fatal(err)
	}
	if runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
		t.Errorf("the key's mode is %v", info.Mode())
	}
}

func TestStartsAtOnceShareOneRoot(t *testing.T) {
	folder := t.TempDir()
	roots := make([]*x509.Certificate, 4)
	var starts sync.WaitGroup
	for i := range roots {
		starts.Go(func() {
			a, err := openAuthority(openFolder(t, folder), zap.NewNop())
			if err != nil {
				t.Error(err)
				return
			}
			roots[i] = a.root
		})
	}
	starts.Wait()
	if t.Failed() {
		return
	}
	for _, root := range roots[1:] {
		if !root.Equal(roots[0]) {
			t.Error("two starts at once have different roots")
		}
	}
}

// What is on the disk after a crash or a bad restore, and whether a start may make a new root of it.
func TestDamagedRoot(t *testing.T) {
	const (
		cert = rootCertKey
		key  = rootKeyKey
	)
	truncate := func(n int64) func(string) error { return func(path string) error { return os.Truncate(path, n) } }
	garbage := func(path string) error {
		return os.WriteFile(path, []byte("-----BEGIN PRIVATE KEY-----\naGVsbG8=\n-----END PRIVATE KEY-----\n"), 0o600)
	}

	open := func(damage map[string]func(string) error) (before, after *authority, loud int, err error) {
		t.Helper()
		folder := t.TempDir()
		before = mustOpen(t, folder)
		for name, change := range damage {
			if err := change(filepath.Join(folder, name)); err != nil {
				t.Fatal(err)
			}
		}
		core, logs := observer.New(zapcore.ErrorLevel)
		after, err = openAuthority(openFolder(t, folder), zap.New(core))
		return before, after, logs.Len(), err
	}
	f := func(damage map[string]func(string) error, sameTrust bool, sentences int) {
		t.Helper()
		before, after, loud, err := open(damage)
		if err != nil {
			t.Errorf("%v", err)
			return
		}
		leaf := mustIssue(t, after, "ensotek.example")
		if trusted := verify(leaf, before.root, "ensotek.example", time.Now()) == nil; trusted != sameTrust {
			t.Errorf("trusted by clients of the old root: %v, want %v", trusted, sameTrust)
		}
		if loud != sentences {
			t.Errorf("%d errors were logged, want %d", loud, sentences)
		}
	}
	refused := func(damage map[string]func(string) error, sentence string) {
		t.Helper()
		_, _, _, err := open(damage)
		if err == nil || !strings.Contains(err.Error(), sentence) {
			t.Errorf("the error is %v, want %q in it", err, sentence)
		}
	}

	// killed between the two files, or the certificate lost: made again from its key, so that trust goes on
	f(map[string]func(string) error{cert: os.Remove}, true, 0)
	f(map[string]func(string) error{cert: truncate(0)}, true, 1)
	f(map[string]func(string) error{cert: truncate(100)}, true, 1)

	// the key empty or cut short: there is no other way than a new one, and it is said
	f(map[string]func(string) error{key: truncate(0)}, false, 1)
	f(map[string]func(string) error{key: truncate(100)}, false, 1)
	f(map[string]func(string) error{key: truncate(0), cert: truncate(0)}, false, 2)

	// never replaced: a key that is gone, one of another kind, one of another root
	refused(map[string]func(string) error{key: os.Remove}, "restore the key from a backup")
	refused(map[string]func(string) error{key: garbage}, "is not a private key")
	refused(map[string]func(string) error{key: func(path string) error {
		return os.WriteFile(path, encodeKey(t, newKey(t)), 0o600)
	}}, "does not belong")
	refused(map[string]func(string) error{cert: func(path string) error {
		return os.WriteFile(path, []byte("-----BEGIN CERTIFICATE-----\naGVsbG8=\n-----END CERTIFICATE-----\n"), 0o600)
	}}, "is not a certificate")
}

func TestRootThatCannotSignIsRefused(t *testing.T) {
	f := func(change func(*x509.Certificate), sentence string) {
		t.Helper()
		kit := newIssuerKit(t, "Root")
		root := kit.sign(kit.key.Public(), change)
		folder := t.TempDir()
		write(t, filepath.Join(folder, rootCertKey), encodeChain(root))
		write(t, filepath.Join(folder, rootKeyKey), encodeKey(t, kit.key))
		_, err := openAuthority(openFolder(t, folder), zap.NewNop())
		if err == nil || !strings.Contains(err.Error(), sentence) {
			t.Errorf("the error is %v, want %q in it", err, sentence)
		}
	}

	f(func(c *x509.Certificate) {}, "may not sign")
	f(func(c *x509.Certificate) {
		c.IsCA, c.BasicConstraintsValid = true, true
		c.NotAfter = time.Now().Add(-time.Minute)
	}, "expired")
}

// A start waits for a lock that another process holds, but not for ever.
func TestHeldLockEndsTheStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, err := openAuthority(lockedStorage{openFolder(t, t.TempDir())}, zap.NewNop())
		if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "locks") {
			t.Errorf("the error is %v", err)
		}
	})
}

type lockedStorage struct{ certmagic.Storage }

func (lockedStorage) Lock(ctx context.Context, _ string) error {
	<-ctx.Done()
	return ctx.Err()
}

// What browsers want of a chain: Chromium's and Apple's rules, and RFC 5280.
func TestLeaf(t *testing.T) {
	a := mustOpen(t, t.TempDir())
	leaf := mustIssue(t, a, "*.ensotek.example")
	now := time.Now()
	if err := verify(leaf, a.root, "shop.ensotek.example", now); err != nil {
		t.Error(err)
	}
	if err := verify(leaf, a.root, "ensotek.example", now); err == nil {
		t.Error("the wildcard covers the bare domain")
	}
	if life := leaf.NotAfter.Sub(now); life > leafLife || life < leafLife-time.Minute {
		t.Errorf("the leaf lives %v", life)
	}
	if leaf.IsCA || leaf.KeyUsage != x509.KeyUsageDigitalSignature || leaf.PublicKeyAlgorithm != x509.ECDSA {
		t.Errorf("CA %v, key usage %v, %v", leaf.IsCA, leaf.KeyUsage, leaf.PublicKeyAlgorithm)
	}
	if len(leaf.SubjectKeyId) == 0 || string(leaf.AuthorityKeyId) != string(a.root.SubjectKeyId) {
		t.Errorf("subject key id %x, authority key id %x, root's %x", leaf.SubjectKeyId, leaf.AuthorityKeyId, a.root.SubjectKeyId)
	}
	if a.root.KeyUsage&x509.KeyUsageCertSign == 0 || !a.root.MaxPathLenZero {
		t.Errorf("the root's key usage is %v, its path length zero: %v", a.root.KeyUsage, a.root.MaxPathLenZero)
	}
}

// A request decides the names and the key and nothing else.
func TestIssueTakesOnlyNames(t *testing.T) {
	a := mustOpen(t, t.TempDir())
	key := newKey(t)
	request := func(template *x509.CertificateRequest) *x509.CertificateRequest {
		der, err := x509.CreateCertificateRequest(rand.Reader, template, key)
		if err != nil {
			t.Fatal(err)
		}
		parsed, err := x509.ParseCertificateRequest(der)
		if err != nil {
			t.Fatal(err)
		}
		return parsed
	}

	issued, err := a.Issue(t.Context(), request(&x509.CertificateRequest{
		DNSNames:    []string{"ensotek.example"},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		Subject:     pkix.Name{CommonName: "Somebody Else"},
	}))
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := holdIssued(issued.Certificate, key)
	if err != nil {
		t.Fatal(err)
	}
	parsed, _ := x509.ParseCertificate(leaf.certificate.Certificate[0])
	if len(parsed.IPAddresses) > 0 || parsed.Subject.CommonName != "" {
		t.Errorf("the leaf has addresses %v and the subject %q", parsed.IPAddresses, parsed.Subject)
	}

	if _, err := a.Issue(t.Context(), request(&x509.CertificateRequest{})); !errors.Is(err, errNoNames) {
		t.Errorf("a request without names gave %v", err)
	}
	forged := request(&x509.CertificateRequest{DNSNames: []string{"ensotek.example"}})
	forged.PublicKey = newKey(t).Public()
	if _, err := a.Issue(t.Context(), forged); err == nil {
		t.Error("a request signed by another key was accepted")
	}
}

// mustIssue has a certify a new key for a domain.
func mustIssue(t testing.TB, a *authority, domain string) *x509.Certificate {
	t.Helper()
	leaf, err := issue(t.Context(), a, domain)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParseCertificate(leaf.certificate.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	return parsed
}

func BenchmarkIssue(b *testing.B) {
	a := mustOpen(b, b.TempDir())
	b.ReportAllocs()
	for b.Loop() {
		if _, err := issue(b.Context(), a, "ensotek.example"); err != nil {
			b.Fatal(err)
		}
	}
}
