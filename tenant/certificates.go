package tenant

import "net/netip"

// The issuers that have a name. Any other is the URL of an ACME directory (RFC 8555 §7.1.1).
const (
	// IssuerLetsEncrypt is Let's Encrypt, or its staging environment.
	IssuerLetsEncrypt = "letsencrypt"
	// IssuerZeroSSL is ZeroSSL.
	IssuerZeroSSL = "zerossl"
	// IssuerInternal is the local authority, which signs for each host at once.
	IssuerInternal = "internal"
)

// The challenges that gateway.certificates.challenges may list.
const (
	ChallengeHTTP01    = "http-01"     // RFC 8555 §8.3
	ChallengeTLSALPN01 = "tls-alpn-01" // RFC 8737
)

// The values of Certificates.Limits.
const (
	LimitsLetsEncrypt = "letsencrypt"
	LimitsNone        = "none"
)

// Certificates says where certificates come from and where they are kept. All of it is fixed while the process runs.
type Certificates struct {
	// Issuer is one of the issuers above, or the https URL of an ACME directory (http on loopback). It is never empty.
	Issuer string
	// Fallback is tried after Issuer fails, in the same form; empty for none. It is neither Issuer nor the local authority.
	Fallback string
	// Folder is the absolute folder of PEM files of the administrator's own and of the local authority.
	Folder string
	// StorageFolder is the absolute folder of what is ordered: certificates, accounts, locks. It is Folder unless said otherwise, and
	// empty where StorageURI is set.
	StorageFolder string
	// StorageURI is a mongodb:// or mongodb+srv:// connection string in place of StorageFolder.
	StorageURI Secret
	// StorageKey encrypts private keys in the storage: 32 bytes as base64 or hexadecimal digits. Zero leaves them in the clear.
	StorageKey Secret
	// CARoot is the absolute path of a PEM file that is trusted, besides the system's roots, for the HTTPS of ACME directories given as URLs.
	CARoot string
	// Email is told to the authority with the account; may be empty.
	Email string
	// EAB and FallbackEAB bind the accounts at Issuer and Fallback to accounts that exist there (RFC 8555 §7.3.4).
	EAB, FallbackEAB EAB
	// Profile is the ACME profile that orders ask for; empty leaves it to the authority.
	Profile string
	// Key is the kind of private keys: "p256", "p384", "rsa2048" or "rsa4096".
	Key string
	// Staging orders from Let's Encrypt's staging environment.
	Staging bool
	// Challenges are answered for names without a DNS provider, at least one of the challenges above.
	Challenges []string
	// DNS are the providers that a tenant's certificate.dns may name, for DNS-01 (RFC 8555 §8.4).
	DNS []DNSProvider
	// Rehearsal checks DNS, CAA and port 80 before an order is spent.
	Rehearsal bool
	// Resolver is the "host:port" of the DNS server that is asked; empty means the system's.
	Resolver string
	// Addresses are this gateway's public ones, as the owner of a domain is told them; may be empty.
	Addresses []netip.Addr
	// ValidationPort is where an authority connects for HTTP-01: 80 for every public one (RFC 8555 §8.3).
	ValidationPort int
	// Limits says whose rate limits are kept to: "letsencrypt" or "none".
	Limits string
}

// EAB is an external account binding.
type EAB struct {
	// KeyID names the account at the authority.
	KeyID string
	// HMACKey is base64url without padding.
	HMACKey Secret
}

// IsZero reports whether there is no binding.
func (e EAB) IsZero() bool { return e == EAB{} }

// DNSProvider is an account at somebody who serves DNS zones.
type DNSProvider struct {
	// Name is what a tenant's certificate.dns says.
	Name string
	// Kind is "cloudflare", "hetzner", "route53" or "rfc2136".
	Kind string
	// Settings are what the kind needs, by key; those that have a default and are not set are there with it.
	Settings map[string]Secret
}
