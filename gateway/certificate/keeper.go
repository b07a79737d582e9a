// Package certificate gives the gateway a certificate for each host that tenants.yaml names.
//
//	keeper, err := certificate.New(certificate.Config{Registry: registry, Folder: "certs", Logger: logger})
//	keeper.Start()
//	defer keeper.Stop()
//	listener = tls.NewListener(listener, keeper.TLSConfig())
//
// A host's own PEM files, dropped into certs/<host>/, come first; the local authority, whose root lives in the same folder, signs for
// every other host at its first handshake. Names that no tenant lists are refused in memory: such a handshake reads no file, makes no
// key and writes no log line. Nothing here talks to the network.
package certificate

import (
	"crypto/tls"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddyserver/certmagic"
	"go.uber.org/zap"

	"metahub/tenant"
)

// Config is what a Keeper is made of. Registry and Folder are required.
type Config struct {
	// Registry says which hosts there are; it is asked anew at each handshake.
	Registry *tenant.Registry
	// Folder holds the local authority and the dropped PEM files; it is made when it is not there.
	Folder string
	// Logger may be nil.
	Logger *zap.Logger
}

// Keeper answers TLS handshakes. All its methods may be called at once from any number of goroutines, except that Start and Stop are
// each called once.
type Keeper struct {
	registry  *tenant.Registry
	storage   *certmagic.FileStorage
	authority *authority
	files     *pemFolder
	leaves    *leaves
	tickets   *tls.Config // holds the session ticket keys, whichever copy of TLSConfig a listener uses
	refused   atomic.Uint64
	watching  sync.WaitGroup
	stopWatch func()
	logger    *zap.Logger
}

// New opens the local authority, makes its root at the very first start, and reads the PEM files, so that the first handshake finds
// them. It fails when the folder cannot be used or the root in it cannot.
func New(config Config) (*Keeper, error) {
	logger := config.Logger
	if logger == nil {
		logger = zap.NewNop()
	}
	logger = logger.Named("certificate")
	if err := os.MkdirAll(config.Folder, 0o755); err != nil {
		return nil, fmt.Errorf("certificates cannot be kept in %q: make the folder writable for this user: %w", config.Folder, err)
	}
	storage := &certmagic.FileStorage{Path: config.Folder}
	authority, err := openAuthority(storage, logger)
	if err != nil {
		return nil, err
	}
	k := &Keeper{
		registry:  config.Registry,
		storage:   storage,
		authority: authority,
		files:     newPEMFolder(config.Folder, logger),
		leaves:    newLeaves(authority, maxLeaves),
		tickets:   &tls.Config{},
		stopWatch: func() {},
		logger:    logger,
	}
	k.warnAboutOpenKey()
	k.files.scan(k.registry.Current())
	return k, nil
}

// warnAboutOpenKey says when others on the machine could sign in the local authority's name.
func (k *Keeper) warnAboutOpenKey() {
	path := k.storage.Filename(rootKeyKey)
	if info, err := os.Stat(path); err == nil && readableByOthers(info.Mode()) {
		k.logger.Warn("the local authority's key can be read by other users of this machine, run chmod 600 on it", zap.String("file", path))
	}
}

// GetCertificate implements tls.Config.GetCertificate. A listed host costs a few map reads and no allocation once its certificate is in
// memory; the local authority's first signature for a host takes well under a millisecond.
//
// For a name that no tenant lists, and for none at all, it returns neither a certificate nor an error: crypto/tls then sends the alert
// unrecognized_name (RFC 6066 §3), where any error of ours would have become internal_error. The tls.Config must therefore hold no
// Certificates of its own.
func (k *Keeper) GetCertificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	var scratch [maxServerName]byte
	host, t, ok := resolve(k.registry.Current(), scratch[:0], hello.ServerName)
	if !ok {
		k.refused.Add(1)
		return nil, nil
	}
	now := time.Now()
	if own := k.files.lookup(host, now); own != nil {
		return own.certificate, nil
	}
	if leaf := k.leaves.lookup(host, now); leaf != nil {
		return leaf.certificate, nil
	}
	wildcard, ok := wildcardOf(t, host)
	if !ok {
		return k.leaves.obtain(string(host))
	}
	if leaf := k.leaves.lookup(wildcard, now); leaf != nil {
		return leaf.certificate, nil
	}
	return k.leaves.obtain("*" + string(wildcard))
}

// TLSConfig returns the gateway's TLS settings: 1.2 and up, forward secrecy and authenticated encryption only, crypto/tls's own order
// of key exchanges (X25519MLKEM768 first), HTTP/2 before HTTP/1.1. Each call returns a new value over the same session tickets.
func (k *Keeper) TLSConfig() *tls.Config {
	return &tls.Config{
		MinVersion:     tls.VersionTLS12,
		CipherSuites:   suites12(),
		NextProtos:     []string{"h2", "http/1.1"},
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

// Refused returns how many handshakes have named no listed host since the start.
func (k *Keeper) Refused() uint64 { return k.refused.Load() }

// RootPath returns the file of the local authority's certificate, PEM, which clients are told to trust.
func (k *Keeper) RootPath() string { return k.storage.Filename(rootCertKey) }
