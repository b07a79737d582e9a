package certificate

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"

	"metahub/tenant"
)

// dropbox is a Keeper that watches, and the folder that an administrator works in.
type dropbox struct {
	*Keeper
	t       *testing.T
	kit     issuerKit
	address string
	said    func(snippet string) int
}

func newDropbox(t *testing.T, d *tenant.Directory) *dropbox {
	t.Helper()
	k, logs := newKeeperIn(t, d, t.TempDir())
	k.files.settle = 100 * time.Millisecond
	k.Start()
	t.Cleanup(k.Stop)
	box := &dropbox{Keeper: k, t: t, kit: newIssuerKit(t, "Customer CA"), address: serve(t, k.TLSConfig())}
	box.said = func(snippet string) int { return logs.FilterMessageSnippet(snippet).Len() }
	return box
}

func (b *dropbox) path(parts ...string) string {
	return filepath.Join(append([]string{b.settings.Folder}, parts...)...)
}

// drop puts a pair into a host's folder as most tools do: one file, then the other.
func (b *dropbox) drop(folder string, chainPEM, keyPEM []byte) {
	b.t.Helper()
	write(b.t, b.path(folder, "fullchain.pem"), chainPEM)
	write(b.t, b.path(folder, "privkey.pem"), keyPEM)
}

// serves reports whether a client of serverName gets the first certificate of chainPEM; nil stands for the local authority's.
func (b *dropbox) serves(serverName string, chainPEM []byte) bool {
	b.t.Helper()
	client := trusting(b.kit.cert, serverName)
	client.RootCAs.AddCert(b.authority.root)
	state, err := connect(b.address, client)
	if err != nil {
		b.t.Fatalf("a handshake with %q failed: %v", serverName, err)
	}
	if chainPEM == nil {
		return state.PeerCertificates[0].CheckSignatureFrom(b.authority.root) == nil
	}
	block, _ := pem.Decode(chainPEM)
	return bytes.Equal(state.PeerCertificates[0].Raw, block.Bytes)
}

func (b *dropbox) status(host string) HostStatus {
	b.t.Helper()
	for _, status := range b.statuses() {
		if status.Host == host {
			return status
		}
	}
	b.t.Fatalf("no status of %q", host)
	return HostStatus{}
}

func TestFilesComeAndGo(t *testing.T) {
	b := newDropbox(t, directory())
	const host = "ensotek.example"
	if !b.serves(host, nil) {
		t.Fatal("not the local authority's certificate at first")
	}
	if got := b.status(host); got.Source != SourceInternal || got.NotAfter.IsZero() || got.Issuer != b.authority.root.Subject.CommonName {
		t.Errorf("status %+v", got)
	}

	first, firstKey := b.kit.pair([]string{host}, nil)
	b.drop(host, first, firstKey)
	eventually(t, "the dropped files serve", func() bool { return b.serves(host, first) })
	if got := b.status(host); got.Source != SourceFile || got.Issuer != "Customer CA" || got.Fault != "" {
		t.Errorf("status %+v", got)
	}
	if !b.serves("www.ensotek.example", nil) {
		t.Error("another host of the tenant is served by files that are not for it")
	}

	second, secondKey := b.kit.pair([]string{host}, nil)
	b.drop(host, second, secondKey)
	eventually(t, "the replaced files serve", func() bool { return b.serves(host, second) })

	if err := os.RemoveAll(b.path(host)); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the local authority serves again", func() bool { return b.serves(host, nil) })

	b.drop(host, first, firstKey) // a folder of the same name, made anew
	eventually(t, "files in the folder made anew serve", func() bool { return b.serves(host, first) })
}

func TestFilesThatWereThereBeforeTheStart(t *testing.T) {
	folder := t.TempDir()
	kit := newIssuerKit(t, "Customer CA")
	chainPEM, keyPEM := kit.pair([]string{"ensotek.example"}, nil)
	write(t, filepath.Join(folder, "ensotek.example", "tls.crt"), chainPEM)
	write(t, filepath.Join(folder, "ensotek.example", "tls.key"), keyPEM)
	k, _ := newKeeperIn(t, directory(), folder)
	if _, err := connect(serve(t, k.TLSConfig()), trusting(kit.cert, "ensotek.example")); err != nil {
		t.Errorf("the first handshake after New: %v", err)
	}
}

// Network file systems send no events.
func TestFilesAreFoundWithoutEvents(t *testing.T) {
	folder := t.TempDir()
	k, _ := newKeeperIn(t, directory(), folder)
	ctx, cancel := context.WithCancel(t.Context())
	var watching sync.WaitGroup
	watching.Go(func() { k.watch(ctx, &watches{logger: zap.NewNop()}) })
	defer watching.Wait()
	defer cancel()
	chainPEM, keyPEM := newIssuerKit(t, "Customer CA").pair([]string{"ensotek.example"}, nil)
	write(t, filepath.Join(folder, "ensotek.example", "fullchain.pem"), chainPEM)
	write(t, filepath.Join(folder, "ensotek.example", "privkey.pem"), keyPEM)
	eventually(t, "the files serve", func() bool { return k.statuses()[1].Source == SourceFile })
}

func TestWildcardFolders(t *testing.T) {
	for _, folder := range []string{"_.shops.example", "*.shops.example"} {
		t.Run(folder, func(t *testing.T) {
			b := newDropbox(t, directory())
			wild, wildKey := b.kit.pair([]string{"*.shops.example"}, nil)
			b.drop(folder, wild, wildKey)
			eventually(t, "the wildcard serves below it", func() bool { return b.serves("a.shops.example", wild) })
			if !b.serves("own.shops.example", wild) {
				t.Error("it does not serve an exact domain without files of its own")
			}

			own, ownKey := b.kit.pair([]string{"own.shops.example"}, nil)
			b.drop("own.shops.example", own, ownKey)
			eventually(t, "an exact domain's own files come first", func() bool { return b.serves("own.shops.example", own) })
			if !b.serves("a.shops.example", wild) {
				t.Error("the wildcard no longer serves the others")
			}
			if n := b.said("no tenant lists"); n != 0 {
				t.Errorf("%d folders were called unlisted", n)
			}
		})
	}
}

func TestHalfWrittenPairKeepsTheFormer(t *testing.T) {
	b := newDropbox(t, directory())
	const host = "ensotek.example"
	first, firstKey := b.kit.pair([]string{host}, nil)
	b.drop(host, first, firstKey)
	eventually(t, "the first pair serves", func() bool { return b.serves(host, first) })

	second, secondKey := b.kit.pair([]string{host}, nil)
	write(t, b.path(host, "fullchain.pem"), second)
	eventually(t, "the mismatch is a fault", func() bool { return b.status(host).Fault != "" })
	if !b.serves(host, first) {
		t.Error("a certificate without its key took the former one away")
	}
	if got := b.status(host); !strings.Contains(got.Fault, "is not the key") || got.Source != SourceFile {
		t.Errorf("status %+v", got)
	}

	write(t, b.path(host, "privkey.pem"), secondKey)
	eventually(t, "the pair serves once both are there", func() bool { return b.serves(host, second) })
	if got := b.status(host); got.Fault != "" {
		t.Errorf("the fault stayed: %+v", got)
	}
	if n := b.said("are not used"); n != 1 {
		t.Errorf("the fault was said %d times", n)
	}
}

func TestBadFilesAreSaidOnce(t *testing.T) {
	b := newDropbox(t, directory())
	const host = "ensotek.example"
	chainPEM, keyPEM := b.kit.pair([]string{"evil.example"}, nil)
	b.drop(host, chainPEM, keyPEM)
	eventually(t, "the fault is in the status", func() bool { return b.status(host).Fault != "" })
	for range 3 {
		b.rescan()
	}
	if n := b.said("are not used"); n != 1 {
		t.Errorf("the fault was said %d times", n)
	}
	if !b.serves(host, nil) {
		t.Error("the local authority does not serve instead")
	}
}

func TestFolderNames(t *testing.T) {
	b := newDropbox(t, directory())
	strange, strangeKey := b.kit.pair([]string{"elsewhere.example"}, nil)
	b.drop("elsewhere.example", strange, strangeKey)
	b.drop("lost+found", strange, strangeKey)
	b.drop(".hidden", strange, strangeKey)
	first, firstKey := b.kit.pair([]string{"radanor.example"}, nil)
	b.drop("radanor.example", first, firstKey)
	b.drop("RADANOR.example", first, firstKey)
	eventually(t, "all folders are mentioned", func() bool {
		return b.said("no tenant lists") == 1 && b.said("not named after a host") == 1 && b.said("for the same host") == 1
	})
	if got := b.status("elsewhere.example"); !strings.Contains(got.Fault, "no tenant lists") {
		t.Errorf("status %+v", got)
	}

	b.registry.Publish(directoryWithUnknown("new", "elsewhere.example")) // a tenant takes it
	eventually(t, "its files serve", func() bool { return b.serves("elsewhere.example", strange) })
	if got := b.status("elsewhere.example"); got.Fault != "" || got.Source != SourceFile {
		t.Errorf("status %+v", got)
	}
	for range 3 {
		b.rescan()
	}
	if n := b.said("not named after a host"); n != 1 {
		t.Errorf("mentioned %d times", n)
	}
}

func TestOpenKeyIsMentioned(t *testing.T) {
	b := newDropbox(t, directory())
	chainPEM, keyPEM := b.kit.pair([]string{"ensotek.example"}, nil)
	write(t, b.path("ensotek.example", "privkey.pem"), keyPEM)
	if err := os.Chmod(b.path("ensotek.example", "privkey.pem"), 0o644); err != nil {
		t.Fatal(err)
	}
	write(t, b.path("ensotek.example", "fullchain.pem"), chainPEM)
	eventually(t, "the key's mode is mentioned", func() bool { return b.said("can be read by other users") == 1 })
	if !b.serves("ensotek.example", chainPEM) {
		t.Error("the files do not serve all the same")
	}
}

func TestUnreadableFolderTakesNothingAway(t *testing.T) {
	b := newDropbox(t, directory())
	chainPEM, keyPEM := b.kit.pair([]string{"ensotek.example"}, nil)
	b.drop("ensotek.example", chainPEM, keyPEM)
	eventually(t, "the files serve", func() bool { return b.serves("ensotek.example", chainPEM) })
	if err := os.Rename(b.settings.Folder, b.settings.Folder+".away"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is mentioned", func() bool { return b.said("cannot read the certificate folder") == 1 })
	if !b.serves("ensotek.example", chainPEM) {
		t.Error("the certificate read before is gone")
	}
	if err := os.Rename(b.settings.Folder+".away", b.settings.Folder); err != nil {
		t.Fatal(err)
	}
}

// How one folder is judged over time, step by step, on a clock of the test.
func TestLook(t *testing.T) {
	const host, settle = "ensotek.example", 2 * time.Second
	kit := newIssuerKit(t, "Customer CA")
	chainPEM, keyPEM := kit.pair([]string{host}, nil)
	_, otherKey := kit.pair([]string{host}, nil)
	now := time.Now()
	folder := func(files map[string][]byte) *hostFolder {
		path := filepath.Join(t.TempDir(), host)
		for name, content := range files {
			write(t, filepath.Join(path, name), content)
		}
		return &hostFolder{host: host, hosts: []string{host}, path: path}
	}
	f := func(h *hostFolder, at time.Duration, want change) {
		t.Helper()
		if got := h.look(now.Add(at), settle); got != want {
			t.Errorf("after %v: change %d, want %d (fault %q)", at, got, want, h.fault)
		}
	}

	// a good pair is taken at once, and once
	h := folder(map[string][]byte{"cert.pem": chainPEM, "key.pem": keyPEM})
	f(h, 0, taken)
	f(h, time.Second, unchanged)
	f(h, 3*time.Second, unchanged)
	// it serves to its end, which is then the fault
	f(h, 91*24*time.Hour, faulty)
	if !strings.Contains(h.fault, "expired on") {
		t.Errorf("the fault is %q", h.fault)
	}
	f(h, 92*24*time.Hour, unchanged)

	// a bad pair has to stay for a while; a removal too
	h = folder(map[string][]byte{"cert.pem": chainPEM, "key.pem": otherKey})
	f(h, 0, unchanged)
	f(h, time.Second, unchanged)
	f(h, 2*time.Second, faulty)
	f(h, 4*time.Second, unchanged)
	write(t, filepath.Join(h.path, "key.pem"), append(keyPEM, '\n'))
	f(h, 5*time.Second, taken)
	if err := os.RemoveAll(h.path); err != nil {
		t.Fatal(err)
	}
	f(h, 6*time.Second, unchanged)
	f(h, 8*time.Second, removed)
	f(h, 10*time.Second, unchanged)

	// an empty folder is nothing to speak of
	h = folder(map[string][]byte{"README": nil})
	f(h, 0, unchanged)
	f(h, 3*time.Second, unchanged)
}

func TestFileNames(t *testing.T) {
	f := func(host string, files []string, chain, key, sentence string) {
		t.Helper()
		h := &hostFolder{host: host, hosts: []string{host}, path: t.TempDir()}
		for _, name := range files {
			write(t, filepath.Join(h.path, name), []byte("x"))
		}
		got, err := h.stat()
		if sentence == "" && err != nil || sentence != "" && (err == nil || !strings.Contains(err.Error(), sentence)) {
			t.Errorf("%q: the error is %v, want %q in it", files, err, sentence)
		}
		if sentence == "" && (got.chain.name != chain || got.key.name != key) {
			t.Errorf("%q: chose %q and %q, want %q and %q", files, got.chain.name, got.key.name, chain, key)
		}
	}

	// certbot, Kubernetes, lego, and by hand
	f("a.example", []string{"README", "cert.pem", "chain.pem", "fullchain.pem", "privkey.pem"}, "fullchain.pem", "privkey.pem", "")
	f("a.example", []string{"ca.crt", "tls.crt", "tls.key"}, "tls.crt", "tls.key", "")
	f("a.example", []string{"a.example.crt", "a.example.issuer.crt", "a.example.json", "a.example.key"}, "a.example.crt", "a.example.key", "")
	f("*.a.example", []string{"_.a.example.crt", "_.a.example.issuer.crt", "_.a.example.key"}, "_.a.example.crt", "_.a.example.key", "")
	f("a.example", []string{"my.crt", "my.key"}, "my.crt", "my.key", "")
	f("a.example", []string{"cert.pem", "key.pem"}, "cert.pem", "key.pem", "")

	// too few and too many
	f("a.example", []string{"cert.pem"}, "", "", "no private key")
	f("a.example", []string{"key.pem"}, "", "", "no certificate")
	f("a.example", []string{"one.crt", "two.crt", "my.key"}, "", "", `several files that could be the certificate, ["one.crt" "two.crt"]`)
	f("a.example", []string{"my.crt", "one.key", "two.key"}, "", "", "several files that could be the private key")
	f("a.example", nil, "", "", errNoFiles.Error())
}

// What is not a plain file must neither block the scan nor be read.
func TestReadPEM(t *testing.T) {
	folder := t.TempDir()
	f := func(name string, sentence string) {
		t.Helper()
		h := &hostFolder{path: folder}
		_, err := readPEM(filepath.Join(folder, name), h.statFile(name))
		if err == nil || !strings.Contains(err.Error(), sentence) {
			t.Errorf("%q: the error is %v, want %q in it", name, err, sentence)
		}
	}

	f("missing.pem", "is not a file that can be read")
	if err := os.Mkdir(filepath.Join(folder, "folder.pem"), 0o700); err != nil {
		t.Fatal(err)
	}
	f("folder.pem", "is not a file that can be read")
	if err := os.Symlink("/dev/zero", filepath.Join(folder, "device.pem")); err != nil {
		t.Fatal(err)
	}
	f("device.pem", "is not a file that can be read")
	write(t, filepath.Join(folder, "huge.pem"), make([]byte, maxPEMFile+1))
	f("huge.pem", "is larger than")
}

func TestExpiredFileGivesWay(t *testing.T) {
	logger := zap.NewNop()
	f := newPEMFolder(t.TempDir(), logger)
	now := time.Now()
	published := map[string]publication{
		"old.shops.example": {held: &held{notAfter: now.Add(-time.Minute)}},
		".shops.example":    {held: &held{notAfter: now.Add(time.Minute)}},
		".old.example":      {held: &held{notAfter: now.Add(-time.Minute)}},
	}
	f.published.Store(&published)
	if got := f.lookup([]byte("old.shops.example"), nil, now); got != published[".shops.example"].held {
		t.Errorf("an expired certificate did not give way to the wildcard: %+v", got)
	}
	if got := f.lookup([]byte("a.old.example"), nil, now); got != nil {
		t.Errorf("an expired wildcard serves: %+v", got)
	}
}

func TestApproachingEndIsSaidOnce(t *testing.T) {
	folder := t.TempDir()
	kit := newIssuerKit(t, "Customer CA")
	chainPEM, keyPEM := kit.pair([]string{"ensotek.example"}, func(c *x509.Certificate) { c.NotAfter = time.Now().Add(7 * 24 * time.Hour) })
	write(t, filepath.Join(folder, "ensotek.example", "fullchain.pem"), chainPEM)
	write(t, filepath.Join(folder, "ensotek.example", "privkey.pem"), keyPEM)
	k, logs := newKeeperIn(t, directory(), folder)
	for range 3 {
		k.rescan()
	}
	if n := logs.FilterMessageSnippet("expires soon").Len(); n != 1 {
		t.Errorf("said %d times", n)
	}
}

func TestStopWithoutStart(t *testing.T) {
	newKeeper(t, directory()).Stop()
}

func TestStatusOrder(t *testing.T) {
	k := newKeeper(t, directory())
	var hosts []string
	for _, status := range k.statuses() {
		hosts = append(hosts, status.Host)
	}
	want := "api.example.org ensotek.example www.ensotek.example *.shops.example radanor.example own.shops.example"
	if got := strings.Join(hosts, " "); got != want {
		t.Errorf("hosts %q, want %q", got, want)
	}
}

// Private keys are not in any log line or status, whatever is wrong with them.
func TestKeysAreNotLogged(t *testing.T) {
	folder := t.TempDir()
	kit := newIssuerKit(t, "Customer CA")
	chainPEM, keyPEM := kit.pair([]string{"ensotek.example"}, nil)
	path := filepath.Join(folder, "ensotek.example")
	write(t, filepath.Join(path, "fullchain.pem"), chainPEM)
	write(t, filepath.Join(path, "privkey.pem"), bytes.Replace(keyPEM, []byte("M"), []byte("m"), 1))
	k, logs := newKeeperIn(t, directory(), folder)
	k.files.settle = 0
	k.rescan()
	if logs.FilterMessageSnippet("are not used").Len() != 1 {
		t.Fatalf("no fault was logged: %v", logs.All())
	}
	secret := strings.Fields(string(keyPEM))[4]
	for _, entry := range logs.All() {
		for _, field := range entry.Context {
			if strings.Contains(entry.Message+field.String, secret) {
				t.Errorf("the key is in the log: %v", entry)
			}
		}
	}
}

func TestIsListed(t *testing.T) {
	d := directory()
	f := func(host string, want bool) {
		t.Helper()
		if got := isListed(d, host); got != want {
			t.Errorf("%q is listed: %v, want %v", host, got, want)
		}
	}
	f("ensotek.example", true)
	f("a.shops.example", true)
	f("api.example.org", true)
	f("elsewhere.example", false)
	f("shops.example", false)

	// a wildcard, for itself and for the exact names one label below it
	f("*.shops.example", true)
	f("*.ensotek.example", true)
	f("*.example.org", true)
	f("*.example", true)
	f("*.api.example.org", false)
	f("*.elsewhere.example", false)
}

func TestHostOf(t *testing.T) {
	f := func(folder, host string) {
		t.Helper()
		if got, err := hostOf(folder); err != nil || got != host {
			t.Errorf("%q is the folder of %q (%v), want %q", folder, got, err, host)
		}
	}
	f("ensotek.example", "ensotek.example")
	f("Ensotek.Example", "ensotek.example")
	f("münchen.example", "xn--mnchen-3ya.example")
	f("_.ensotek.example", "*.ensotek.example")
	f("*.ensotek.example", "*.ensotek.example")
	for _, folder := range []string{"lost+found", "a b", "*.*.example"} {
		if host, err := hostOf(folder); err == nil {
			t.Errorf("%q is the folder of %q", folder, host)
		}
	}
}

func TestUnreadableHostFolder(t *testing.T) {
	h := &hostFolder{host: "ensotek.example", hosts: []string{"ensotek.example"}, path: filepath.Join(t.TempDir(), "file")}
	write(t, h.path, nil)
	if _, err := h.stat(); err == nil || errors.Is(err, errNoFiles) || errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a file in place of the folder: %v", err)
	}
}

// A tenant's files are for its own hosts, also where its wildcard covers a host of another tenant.
func TestFilesOfATenantServeItsHostsOnly(t *testing.T) {
	kit := newIssuerKit(t, "Customer CA")
	chain, key := kit.pair([]string{"*.shops.example"}, nil)
	path := filepath.Join(t.TempDir(), "shops.pem")
	write(t, path, slices.Concat(chain, key))
	shops := site("shops", "*.shops.example")
	shops.Certificate.Files = path
	k, _ := newKeeperIn(t, tenant.NewDirectory(tenant.Gateway{}, []*tenant.Tenant{shops, site("other", "own.shops.example")}), t.TempDir())
	address := serve(t, k.TLSConfig())
	if _, err := connect(address, trusting(kit.cert, "a.shops.example")); err != nil {
		t.Errorf("the tenant's own host: %v", err)
	}
	if _, err := connect(address, trusting(k.authority.root, "own.shops.example")); err != nil {
		t.Errorf("the other tenant's host was given the files: %v", err)
	}
	for _, status := range k.statuses() {
		if want := map[string]string{"*.shops.example": SourceFile, "own.shops.example": SourceInternal}[status.Host]; status.Source != want {
			t.Errorf("%s comes from %q, want %q", status.Host, status.Source, want)
		}
	}
}
