package adopt

import (
	"crypto/x509"
	"fmt"

	"metahub/tenant"
)

// maxNames bounds the names of one certificate; no public CA puts more into one.
const maxNames = 2000

// namesOf returns the names that a certificate can be kept under, canonical and in its order, and a reason where some cannot.
func namesOf(leaf *x509.Certificate) (names []string, reason string) {
	var refused []string
	seen := map[string]bool{}
	for _, name := range leaf.DNSNames[:min(len(leaf.DNSNames), maxNames)] {
		canonical, err := tenant.CanonicalName(name)
		switch {
		case err != nil:
			refused = append(refused, clip(name))
		case !seen[canonical]:
			seen[canonical] = true
			names = append(names, canonical)
		}
	}
	for _, address := range leaf.IPAddresses[:min(len(leaf.IPAddresses), maxNames)] {
		refused = append(refused, address.String())
	}
	switch {
	case len(refused) > 0:
		reason = fmt.Sprintf("is also for %s, which is no host name that TLS can ask for: it is kept for its other names only", list(refused))
		if len(names) == 0 {
			reason = fmt.Sprintf("is for %s only, which is no host name that TLS can ask for: get a certificate with a host name", list(refused))
		}
	case len(leaf.DNSNames) > maxNames:
		reason = fmt.Sprintf("has more than %d names: the others are left out, get certificates with fewer", maxNames)
	}
	return names, reason
}

// list quotes the first few.
func list(names []string) string {
	const most = 5
	switch n := len(names); {
	case n == 1:
		return fmt.Sprintf("%q", names[0])
	case n > most:
		return fmt.Sprintf("%q and %d more", names[:most], n-most)
	}
	return fmt.Sprintf("%q", names)
}
