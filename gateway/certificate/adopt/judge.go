package adopt

import (
	"crypto/x509"
	"fmt"
	"slices"
	"strings"
	"time"
)

// passedOver reports whether a certificate is no server's, so that nothing is said about it. What openssl makes for a server with its
// defaults says of itself that it is a CA; the names give it away.
func passedOver(c *x509.Certificate) bool {
	return c.IsCA && (len(c.DNSNames) == 0 || !selfIssued(c))
}

// judge says why a certificate cannot serve, or "".
func judge(leaf *x509.Certificate, now time.Time) string {
	if reason := judgeIssuer(leaf); reason != "" {
		return reason
	}
	switch usages := leaf.ExtKeyUsage; {
	case hugeRSA(leaf.PublicKey):
		return fmt.Sprintf("has an RSA key of more than %d bits, which TLS clients refuse: get a certificate with a smaller key", maxRSA)
	case now.After(leaf.NotAfter):
		return fmt.Sprintf("expired on %s: it is of no use any more, the gateway orders a new one", day(leaf.NotAfter))
	case now.Before(leaf.NotBefore):
		return fmt.Sprintf("is not valid before %s: check the clock of this machine, or wait", leaf.NotBefore.UTC().Format(time.RFC3339))
	case len(usages)+len(leaf.UnknownExtKeyUsage) > 0 && !slices.Contains(usages, x509.ExtKeyUsageServerAuth) && !slices.Contains(usages, x509.ExtKeyUsageAny):
		return "is not for servers: get a certificate with the extended key usage serverAuth"
	case len(leaf.DNSNames)+len(leaf.IPAddresses) == 0:
		return "names no host: get a certificate with the host as subject alternative name"
	}
	return ""
}

// judgeIssuer knows the issuers that browsers do not accept. Pebble, the test server, is let through: it issues to those who trust it.
func judgeIssuer(leaf *x509.Certificate) string {
	name := leaf.Issuer.CommonName + " " + strings.Join(leaf.Issuer.Organization, " ")
	switch upper := strings.ToUpper(name); {
	case strings.Contains(upper, "TRAEFIK DEFAULT CERT"):
		return "is the certificate that Traefik makes up when it has none: browsers do not accept it"
	case strings.Contains(upper, "STAGING") || strings.Contains(upper, "FAKE LE "):
		return fmt.Sprintf("was issued by a test CA, %q: browsers do not accept it, the gateway orders a new one", clip(leaf.Issuer.CommonName))
	case strings.HasPrefix(upper, "CADDY LOCAL AUTHORITY"):
		return "was made by Caddy's own authority: browsers do not accept it"
	case selfSigned(leaf):
		return "is self-signed: browsers do not accept it"
	}
	return ""
}

// issuerKey is the key of the issuer in the settings, where it is known.
func issuerKey(leaf *x509.Certificate) string {
	for _, organization := range leaf.Issuer.Organization {
		switch {
		case organization == "Let's Encrypt":
			return "letsencrypt"
		case strings.HasPrefix(organization, "ZeroSSL"):
			return "zerossl"
		}
	}
	return ""
}

func day(t time.Time) string { return t.UTC().Format(time.DateOnly) }

// clip shortens what a file says of itself.
func clip(text string) string {
	const most = 120
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most], "") + "…"
}
