package tenant

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// sampleYAML declares n tenants with two domains each.
func sampleYAML(n int) string {
	var b strings.Builder
	b.WriteString("gateway:\n  https: 127.0.0.1:0\n  http: 127.0.0.1:0\n  admin: 127.0.0.1:0\ntenants:\n")
	for i := range n {
		fmt.Fprintf(&b, "  - slug: tenant-%d\n    brand: Tenant %d\n    domains: [t%d.example.com, www.t%d.example.com]\n", i, i, i, i)
		fmt.Fprintf(&b, "    frontend: http://127.0.0.1:%d\n    mongo_uri: mongodb://127.0.0.1:27017/tenant_%d\n", 3000+i%1000, i)
		fmt.Fprintf(&b, "    jwt_secret: 0123456789abcdef0123456789abcdef%d\n", i)
	}
	return b.String()
}

func BenchmarkLoad10000Tenants(b *testing.B) {
	path := filepath.Join(b.TempDir(), "tenants.yaml")
	if err := os.WriteFile(path, []byte(sampleYAML(10_000)), 0o600); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, faults := Load(Source{Path: path}); len(faults) > 0 {
			b.Fatal(faults[0])
		}
	}
}

// BenchmarkReload10000Tenants is what an edit of one tenant costs, with the Directory before at hand.
func BenchmarkReload10000Tenants(b *testing.B) {
	path := filepath.Join(b.TempDir(), "tenants.yaml")
	sample := sampleYAML(10_000)
	if err := os.WriteFile(path, []byte(sample), 0o600); err != nil {
		b.Fatal(err)
	}
	last, faults := Load(Source{Path: path})
	if len(faults) > 0 {
		b.Fatal(faults[0])
	}
	b.ReportAllocs()
	for b.Loop() {
		l := begin(Source{Path: path})
		l.complete(last, passingSecrets)
		if l.directory == nil {
			b.Fatal(l.faults())
		}
	}
}

func BenchmarkKeep10000Tenants(b *testing.B) {
	path := filepath.Join(b.TempDir(), "tenants.yaml")
	if err := os.WriteFile(path, []byte(sampleYAML(10_000)), 0o600); err != nil {
		b.Fatal(err)
	}
	d, faults := Load(Source{Path: path})
	if len(faults) > 0 {
		b.Fatal(faults[0])
	}
	folder := b.TempDir()
	for b.Loop() {
		if err := keepTenants(folder, d.Tenants()); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkLookup100000Hosts asks for all hosts in an order that has nothing to do with that of the Directory, so that the processor
// finds little of it in its caches, as with requests for many tenants.
func BenchmarkLookup100000Hosts(b *testing.B) {
	const n = 100_000
	tenants := make([]*Tenant, n)
	for i := range tenants {
		host := fmt.Sprintf("shop-%d.example-%d.com", i, i%977)
		tenants[i] = &Tenant{Slug: fmt.Sprintf("t%d", i), Domains: []string{host}}
	}
	d := NewDirectory(Gateway{}, tenants)
	requests := make([][]byte, n)
	for i, at := range rand.New(rand.NewPCG(1, 2)).Perm(n) {
		requests[i] = []byte(tenants[at].Domains[0])
	}
	b.Run("listed", func(b *testing.B) {
		b.ReportAllocs()
		i := 0
		for b.Loop() {
			if _, ok := d.Lookup(requests[i]); !ok {
				b.Fatal("not found")
			}
			if i++; i == n {
				i = 0
			}
		}
	})
	b.Run("unlisted", func(b *testing.B) {
		b.ReportAllocs()
		host := []byte("ensotek.de.evil.com")
		for b.Loop() {
			if _, ok := d.Lookup(host); ok {
				b.Fatal("found")
			}
		}
	})
}

func BenchmarkCanonicalHost(b *testing.B) {
	for _, host := range []string{"anastasia.example.com", "anastasia.example.com:8443", "Anastasia.Example.COM."} {
		b.Run(host, func(b *testing.B) {
			b.ReportAllocs()
			dst := make([]byte, 0, 256)
			wire := []byte(host)
			for b.Loop() {
				if _, _, err := CanonicalHost(dst, wire); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
