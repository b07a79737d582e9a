package http2

import (
	"crypto/tls"
	"net"
)

// isSecure reports whether a connection is as secure as HTTP/2 asks for: with TLS 1.2 a cipher suite that is not on the list of RFC 9113,
// appendix A, which of those that Go knows leaves the ones with ephemeral keys and authenticated encryption. What is no TLS, as in tests, is
// not judged.
func isSecure(c net.Conn) bool {
	layer, ok := c.(interface{ ConnectionState() tls.ConnectionState })
	if !ok {
		return true
	}
	state := layer.ConnectionState()
	if state.Version >= tls.VersionTLS13 {
		return true
	}
	switch state.CipherSuite {
	case tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
		tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
		tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256:
		return state.Version == tls.VersionTLS12
	}
	return false
}
