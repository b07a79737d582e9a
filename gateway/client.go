package gateway

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"math/rand/v2"
	"net/netip"

	"metahub/gateway/grammar"
)

// identifyClient finds out who asks, and gives the request its id. A trusted proxy is believed when it says for whom it asks; all
// others speak for themselves.
func (x *exchange) identifyClient() {
	x.client, x.clientAddr = x.peer.text, x.peer.addr
	if x.trusts(x.peer.addr) {
		x.client, x.clientAddr = x.rightmostStranger()
		if isID(x.claims.requestID) {
			x.idBytes = append(x.idBytes[:0], x.claims.requestID...)
			x.stampID()
			return
		}
	} else {
		x.claims.forwardedFor, x.claims.proto = nil, nil
	}
	x.idBytes = appendID(x.idBytes[:0])
	x.stampID()
}

func (x *exchange) stampID() {
	x.id = x.idBytes
	x.ctx.Request.Header.SetCanonical(headerRequestID, x.id)
}

// stampClient tells the others who asks, with the whole chain of proxies where those are trusted.
func (x *exchange) stampClient() {
	h := &x.ctx.Request.Header
	h.SetCanonical(headerRealIP, x.client)
	h.SetCanonical(headerForwardedProto, x.proto())
	if len(x.claims.forwardedFor) == 0 {
		h.SetCanonical(headerForwardedFor, x.peer.text)
		return
	}
	x.scratch = append(x.scratch[:0], x.claims.forwardedFor...)
	x.scratch = append(x.scratch, ", "...)
	x.scratch = append(x.scratch, x.peer.text...)
	h.SetCanonical(headerForwardedFor, x.scratch)
}

// proto is https, unless a trusted proxy was itself asked over plain HTTP.
func (x *exchange) proto() []byte {
	if grammar.EqualFold(x.claims.proto, "http") {
		return protoHTTP
	}
	return protoHTTPS
}

var protoHTTP, protoHTTPS = []byte("http"), []byte("https")

// rightmostStranger is the last address of the chain that is no trusted proxy: everything left of it is what that client claims. A
// chain of trusted addresses only leads to its first one.
func (x *exchange) rightmostStranger() ([]byte, netip.Addr) {
	client, at := x.peer.text, x.peer.addr
	for chain := x.claims.forwardedFor; len(chain) > 0; {
		last := chain
		if comma := bytes.LastIndexByte(chain, ','); comma >= 0 {
			chain, last = chain[:comma], chain[comma+1:]
		} else {
			chain = nil
		}
		addr, err := netip.ParseAddr(string(bytes.TrimSpace(last)))
		if err != nil {
			return client, at // the proxy that is trusted last did not say who asked it
		}
		addr = addr.Unmap().WithZone("")
		client, at = addr.AppendTo(nil), addr
		if !x.trusts(addr) {
			break
		}
	}
	return client, at
}

func (x *exchange) trusts(addr netip.Addr) bool {
	return isIn(x.directory.Gateway().TrustedProxies, addr)
}

func isIn(networks []netip.Prefix, addr netip.Addr) bool {
	for _, network := range networks {
		if network.Contains(addr) {
			return true
		}
	}
	return false
}

// maxID is the longest request id, in bytes, that is taken from a trusted proxy.
const maxID = 128

func isID(id []byte) bool {
	if len(id) == 0 || len(id) > maxID {
		return false
	}
	for _, c := range id {
		letter := 'a' <= c|0x20 && c|0x20 <= 'z'
		if !letter && (c < '0' || c > '9') && c != '-' && c != '_' && c != '.' {
			return false
		}
	}
	return true
}

// appendID appends 32 hex digits, which must be unlike those of other requests but need not be secret.
func appendID(dst []byte) []byte {
	var id [16]byte
	binary.BigEndian.PutUint64(id[:8], rand.Uint64())
	binary.BigEndian.PutUint64(id[8:], rand.Uint64())
	return hex.AppendEncode(dst, id[:])
}
