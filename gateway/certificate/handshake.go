package certificate

import (
	"crypto/tls"
	"time"

	"github.com/mholt/acmez/v3"

	"metahub/tenant"
)

// GetCertificate implements tls.Config.GetCertificate. A listed host costs a few map reads and no allocation once its certificate is in
// memory; the local authority's first signature for a host takes well under a millisecond.
//
// For a name that no tenant lists, and for none at all, it returns neither a certificate nor an error: crypto/tls then sends the alert
// unrecognized_name (RFC 6066 §3), where any error of ours would have become internal_error. The tls.Config must therefore hold no
// Certificates of its own.
func (k *Keeper) GetCertificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	var scratch [maxServerName]byte
	d := k.registry.Current()
	host, t, ok := resolve(d, scratch[:0], hello.ServerName)
	if !ok {
		k.refused.Add(1)
		return nil, nil
	}
	if isValidation(hello) {
		return k.challenges.ALPNCertificate(string(host)), nil
	}
	now := time.Now()
	if own := k.files.lookup(host, t, now); own != nil {
		return own.certificate, nil
	}
	if issued := k.shelf.Lookup(host, now); issued != nil {
		return issued, nil
	}
	wildcard, only := coveringWildcard(d, t, host)
	if wildcard != nil {
		if issued := k.shelf.Lookup(wildcard, now); issued != nil {
			return issued, nil
		}
	}
	if only {
		host = wildcard
	}
	return k.standIn(host, t, now)
}

// standIn gives the local authority's certificate: the host's own where that is its issuer, else so that the visitor's error is plain
// and not a time-out. The host's order is moved to the front then. key is under what the certificate is kept.
func (k *Keeper) standIn(key []byte, t *tenant.Tenant, now time.Time) (*tls.Certificate, error) {
	if k.issuerOf(t) != tenant.IssuerInternal {
		k.missing(domainOf(key), t)
	}
	if leaf := k.leaves.lookup(key, now); leaf != nil {
		return leaf.certificate, nil
	}
	return k.leaves.obtain(domainOf(key))
}

// missing notes that a host's own certificate is not there. It never waits: of a flood of handshakes a few are noted.
func (k *Keeper) missing(domain string, t *tenant.Tenant) {
	if !k.isOrdered(domain, t) {
		return
	}
	k.stopgaps.Add(1)
	select {
	case k.asked <- domain:
	default:
	}
}

// isValidation reports whether a CA is looking for the certificate of a TLS-ALPN-01 challenge (RFC 8737 §3).
func isValidation(hello *tls.ClientHelloInfo) bool {
	return len(hello.SupportedProtos) == 1 && hello.SupportedProtos[0] == acmez.ACMETLS1Protocol
}

// TLSConfig returns the gateway's TLS settings: 1.2 and up, forward secrecy and authenticated encryption only, crypto/tls's own order
// of key exchanges (X25519MLKEM768 first), HTTP/2 before HTTP/1.1. Each call returns a new value over the same session tickets.
func (k *Keeper) TLSConfig() *tls.Config {
	return &tls.Config{
		MinVersion:     tls.VersionTLS12,
		CipherSuites:   suites12(),
		NextProtos:     []string{"h2", "http/1.1", acmez.ACMETLS1Protocol},
		GetCertificate: k.GetCertificate,
		WrapSession:    k.tickets.EncryptTicket,
		UnwrapSession:  k.resume,
	}
}

// suites12 are the TLS 1.2 suites with forward secrecy and AEAD; those of TLS 1.3 are not configurable.
func suites12() []uint16 {
	return []uint16{
		tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
		tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
		tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
		tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
		tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
		tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
	}
}

// resume opens a session ticket for a listed name. A resumed TLS 1.3 handshake asks for no certificate, so that a ticket would
// otherwise let a client in under a name that is refused.
func (k *Keeper) resume(ticket []byte, state tls.ConnectionState) (*tls.SessionState, error) {
	var scratch [maxServerName]byte
	if _, _, ok := resolve(k.registry.Current(), scratch[:0], state.ServerName); !ok {
		return nil, nil
	}
	return k.tickets.DecryptTicket(ticket, state)
}
