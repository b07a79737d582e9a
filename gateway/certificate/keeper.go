// Package certificate gives the gateway a certificate for each host that tenants.yaml names, and keeps it valid.
//
//	keeper, err := certificate.New(certificate.Config{Registry: registry, Settings: settings, Logger: logger})
//	keeper.Start()        // serves what there is
//	defer keeper.Stop()
//	listener = tls.NewListener(listener, keeper.TLSConfig())
//	keeper.StartOrders()  // once ports 80 and 443 are answered
//
// A handshake does no work: the certificate comes from memory, or from a file of this machine that has not been read yet. A host's own
// PEM files come first, then what was ordered from a certificate authority, then a leaf of the local authority, whose root lives in the
// same storage. Names that no tenant lists are refused in memory: such a handshake reads no file, makes no key and writes no log line.
//
// Orders are made beside the handshakes: package orders decides when, supply.go how, and issuer, rehearsal, storage and shelf do it.
package certificate

import (
	"context"
	"crypto/tls"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"metahub/gateway/certificate/issuer"
	"metahub/gateway/certificate/orders"
	"metahub/gateway/certificate/shelf"
	"metahub/gateway/certificate/storage"
	"metahub/gateway/certificate/tickets"
	"metahub/tenant"
)

// Config is what a Keeper is made of. Registry and Settings are required.
type Config struct {
	// Registry says which hosts there are; it is asked anew at each handshake.
	Registry *tenant.Registry
	// Settings say where certificates come from and are kept; what the registry brings later does not change them.
	Settings tenant.Certificates
	// Clock moves orders and renewals; nil is the system's. Handshakes always go by the system's.
	Clock orders.Clock
	// Logger may be nil.
	Logger *zap.Logger
}

// Keeper answers TLS handshakes. All its methods may be called at once from any number of goroutines, except that Start, StartOrders and
// Stop are each called once, in this order.
type Keeper struct {
	registry   *tenant.Registry
	settings   tenant.Certificates
	clock      orders.Clock
	storage    storage.Storage // what all gateways share
	local      storage.Storage // what this machine has of it
	authority  *authority
	files      *pemFolder
	shelf      *shelf.Shelf
	leaves     *leaves
	challenges *issuer.Challenges
	supply     *supply
	queue      *orders.Queue
	tickets    *tls.Config // holds the session ticket keys, whichever copy of TLSConfig a listener uses
	rotation   *tickets.Rotation
	unread     domainSet   // whose certificates are in the storage and have not been read since the start
	untaken    domainSet   // whose certificates could not be read when they should
	asked      chan string // hosts that were shown a leaf of the local authority in place of their own certificate
	torn       chan string // domains whose file turned out to be damaged
	mark       storage.Mark

	unreadable atomic.Int64 // when the log last spoke of untaken, Unix seconds
	refused    atomic.Uint64
	stopgaps   atomic.Uint64
	expiry     struct { // of the ordered certificates, for Summary
		mu    sync.Mutex
		known time.Time
		first time.Time
	}

	background sync.WaitGroup
	stop       context.CancelFunc
	ordering   atomic.Bool
	logger     *zap.Logger
}

// New opens the storage and the local authority, makes its root at the very first start, reads the PEM files and finds out which
// certificates there are, so that the first handshake finds them. It fails when the storage cannot be used or the root in it cannot.
func New(config Config) (*Keeper, error) {
	logger := config.Logger
	if logger == nil {
		logger = zap.NewNop()
	}
	k := &Keeper{
		registry: config.Registry, settings: config.Settings, clock: config.Clock, logger: logger.Named("certificate"),
		tickets: &tls.Config{}, asked: make(chan string, 256), torn: make(chan string, 256), stop: func() {},
	}
	if k.clock == nil {
		k.clock = orders.System
	}
	var err error
	if k.storage, k.local, err = openStorage(k.settings, k.logger); err != nil {
		return nil, err
	}
	if err := k.build(); err != nil {
		return nil, closeWith(k.storage, err)
	}
	return k, nil
}

// closeWith closes a storage that is not needed any more and returns cause.
func closeWith(s storage.Storage, cause error) error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	_ = s.Close(ctx) // cause is what matters
	return cause
}

func (k *Keeper) build() (err error) {
	if k.authority, err = openAuthority(k.storage, k.logger); err != nil {
		return err
	}
	if err := k.authority.publishRoot(k.settings); err != nil {
		return err
	}
	k.warnAboutOpenKey()
	k.files = newPEMFolder(k.settings.Folder, k.logger)
	k.leaves = newLeaves(k.authority, maxLeaves)
	k.shelf = shelf.New(shelf.Config{Load: k.loadLocal, Torn: k.noteTorn, Logger: k.logger})
	k.challenges = issuer.NewChallenges(k.storage, k.logger)
	if err := k.buildOrders(); err != nil {
		return err
	}
	k.files.scan(k.registry.Current())
	k.findStored()
	return nil
}

// RootPath returns the file of the local authority's certificate, PEM, which clients are told to trust.
func (k *Keeper) RootPath() string { return rootPath(k.settings.Folder) }

func rootPath(folder string) string { return filepath.Join(folder, filepath.FromSlash(rootCertKey)) }

// warnAboutOpenKey says when others on the machine could sign in the local authority's name.
func (k *Keeper) warnAboutOpenKey() {
	folder := k.settings.StorageFolder
	if folder == "" {
		folder = k.settings.Folder // the copy
	}
	path := filepath.Join(folder, filepath.FromSlash(rootKeyKey))
	if info, err := os.Stat(path); err == nil && readableByOthers(info.Mode()) {
		k.logger.Warn("the local authority's key can be read by other users of this machine, run chmod 600 on it", zap.String("file", path))
	}
}

// Refused returns how many handshakes have named no listed host since the start.
func (k *Keeper) Refused() uint64 { return k.refused.Load() }

// Stopgaps returns how many handshakes have been answered with a leaf of the local authority because the host's own certificate was
// not there.
func (k *Keeper) Stopgaps() uint64 { return k.stopgaps.Load() }

// KeyAuthorization answers a CA's HTTP-01 challenge (RFC 8555 §8.3), also one of another gateway on the same storage.
func (k *Keeper) KeyAuthorization(ctx context.Context, host, token string) (string, bool) {
	return k.challenges.KeyAuthorization(ctx, host, token)
}
