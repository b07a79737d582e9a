package adopt

import (
	"fmt"
	"path/filepath"
	"testing"
)

// BenchmarkCertbot reads 10,000 lineages of certbot, of four links each.
func BenchmarkCertbot(b *testing.B) {
	const n = 10_000
	ca := letsEncrypt(b)
	etc := filepath.Join(b.TempDir(), "letsencrypt")
	for i := range n {
		name := fmt.Sprintf("shop%05d.test", i)
		f := ca.files(name)
		lineage(b, etc, name, f, f)
	}
	b.ReportAllocs()
	for b.Loop() {
		if got := Find([]string{etc}, today); len(got.Found) != n || len(got.Unread) != 0 {
			b.Fatalf("found %d, unread %q", len(got.Found), got.Unread)
		}
	}
}

// BenchmarkTraefik reads an acme.json of 10,000 certificates.
func BenchmarkTraefik(b *testing.B) {
	const n = 10_000
	path := filepath.Join(b.TempDir(), "acme.json")
	b.SetBytes(largeStore(b, path, n))
	b.ReportAllocs()
	for b.Loop() {
		if got := Find([]string{path}, today); len(got.Found) != n || len(got.Unread) != 0 {
			b.Fatalf("found %d, unread %q", len(got.Found), got.Unread)
		}
	}
}
