package certificate

import (
	"path/filepath"
	"slices"
	"testing"
	"time"

	"metahub/tenant"
)

// An adopted wildcard serves the listed hosts below it, so that a site can move without a gap.
func TestAdoptedWildcardServesListedHosts(t *testing.T) {
	kit := newIssuerKit(t, "Customer CA")
	chain, key := kit.pair([]string{"ensotek.de", "*.ensotek.de"}, nil)
	source := t.TempDir()
	write(t, filepath.Join(source, "fullchain.pem"), chain)
	write(t, filepath.Join(source, "privkey.pem"), key)
	folder := t.TempDir()
	d := tenant.NewDirectory(tenant.Gateway{Certificates: local(folder)}, []*tenant.Tenant{site("ensotek", "ensotek.de", "www.ensotek.de")})
	adoption, err := Adopt(t.Context(), d, []string{source}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	var domains []string
	for _, taken := range adoption.Taken {
		domains = append(domains, taken.Domain)
	}
	slices.Sort(domains)
	if !slices.Equal(domains, []string{"*.ensotek.de", "ensotek.de", "www.ensotek.de"}) {
		t.Fatalf("took %q, left %v", domains, adoption.Left)
	}
	k, _ := newKeeperIn(t, d, folder)
	address := serve(t, k.TLSConfig())
	for _, host := range []string{"ensotek.de", "www.ensotek.de"} {
		if _, err := connect(address, trusting(kit.cert, host)); err != nil {
			t.Errorf("%s: %v", host, err)
		}
	}
}
