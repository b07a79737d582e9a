package tenant

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"flag"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the errors that are found into testdata/golden")

// TestGolden loads what each file of testdata/golden holds, and compares the faults with those at its end. A file is in the manner of
// txtar: "-- name --" begins a file, "-- environ --" the environment, "-- errors --" the faults, a line each. A line @CERTIFICATE@
// stands for a certificate that is made for the test.
func TestGolden(t *testing.T) {
	paths, err := filepath.Glob("testdata/golden/*.txt")
	if err != nil || len(paths) == 0 {
		t.Fatal("no golden files", err)
	}
	for _, path := range paths {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txt"), func(t *testing.T) { testGolden(t, path) })
	}
}

func testGolden(t *testing.T, path string) {
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	files := splitGolden(t, string(content))
	root, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(t.TempDir())
	for name, text := range files {
		if name != "errors" && name != "environ" {
			writeFile(t, name, text)
		}
	}
	d, faults := Load(Source{Path: "tenants.yaml", Environ: strings.Split(strings.TrimSpace(files["environ"]), "\n")})
	got := ""
	if len(faults) > 0 {
		got = faults.Error() + "\n"
	}
	if d == nil && len(faults) == 0 {
		t.Error("there is neither a Directory nor a fault")
	}
	if got == files["errors"] {
		return
	}
	t.Errorf("got:\n%s\nwant:\n%s", got, files["errors"])
	if *update {
		before, _, _ := strings.Cut(string(content), "-- errors --\n")
		if err := os.WriteFile(filepath.Join(root, path), []byte(before+"-- errors --\n"+got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// splitGolden returns the files in a golden file by name.
func splitGolden(t *testing.T, content string) map[string]string {
	files := map[string]string{}
	name := ""
	for line := range strings.Lines(content) {
		if rest, ok := strings.CutPrefix(line, "-- "); ok && strings.HasSuffix(rest, " --\n") {
			name = strings.TrimSuffix(rest, " --\n")
			files[name] = ""
			continue
		}
		if name == "" {
			t.Fatalf("a golden file begins with \"-- name --\", not with %q", line)
		}
		if line == "@CERTIFICATE@\n" {
			line = madeCertificate(t)
		}
		files[name] += line
	}
	return files
}

// madeCertificate returns a certificate of its own in PEM.
func madeCertificate(t *testing.T) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

// writeFile writes a file of a test, and its folder.
func writeFile(t *testing.T, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}
