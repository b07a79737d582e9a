package certificate

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/caddyserver/certmagic"
	"go.uber.org/zap"

	"metahub/gateway/certificate/storage"
	"metahub/tenant"
)

// Where the root lies in the storage, and how long things live.
const (
	rootCertKey = "authority/root.crt"
	rootKeyKey  = "authority/root.key"
	rootLock    = "authority"

	rootYears = 10
	leafLife  = 7 * 24 * time.Hour
	// clockSkew is how far a client's clock may lag behind ours.
	clockSkew = time.Hour
	// rootPatience is how long a start waits for another process that makes the root; a lock left by a killed one is stale after 16 s.
	rootPatience = 30 * time.Second
)

// authority is the local certificate authority: one P-256 root that signs leaves of seven days. It implements certmagic.Issuer, so
// that it stands where any other issuer can. It is immutable.
type authority struct {
	root *x509.Certificate
	key  crypto.Signer
}

var _ certmagic.Issuer = (*authority)(nil)

// errNoNames guards the root against a request for nothing.
var errNoNames = errors.New("the certificate request names no host")

// openAuthority loads the root, or makes it when there is none. Of several processes that start at once on one storage exactly one
// makes it. A file that is empty or cut short counts as absent, which is logged as an error, because a new key is not trusted by those
// who trusted the old one; a root that is merely unusable is never replaced.
func openAuthority(storage certmagic.Storage, logger *zap.Logger) (*authority, error) {
	ctx, cancel := context.WithTimeout(context.Background(), rootPatience)
	defer cancel()
	found, err := loadRoot(ctx, storage)
	if err != nil {
		return nil, err
	}
	if !found.complete() {
		if found, err = makeRoot(ctx, storage, logger); err != nil {
			return nil, err
		}
	}
	return found.authority()
}

// makeRoot fills in what is missing of the root, under the storage's lock.
func makeRoot(ctx context.Context, storage certmagic.Storage, logger *zap.Logger) (rootFiles, error) {
	if err := storage.Lock(ctx, rootLock); err != nil {
		return rootFiles{}, fmt.Errorf("the local authority cannot be made: check that the certificate folder is writable and that no file is left in its folder %q: %w", "locks", err)
	}
	defer func() {
		if err := storage.Unlock(context.WithoutCancel(ctx), rootLock); err != nil {
			logger.Warn("the lock on the local authority could not be released", zap.Error(err))
		}
	}()
	found, err := loadRoot(ctx, storage) // another process may have made it meanwhile
	if err != nil || found.complete() {
		return found, err
	}
	for _, name := range found.torn {
		logger.Error("a file of the local authority was empty or cut short and is made anew: restore it from a backup, or run metahub trust again wherever the old root was trusted",
			zap.String("file", name))
	}
	if err := found.fill(ctx, storage); err != nil {
		return rootFiles{}, fmt.Errorf("the local authority cannot be stored: make the certificate folder writable for this user: %w", err)
	}
	logger.Info("made the local authority", zap.String("name", found.cert.Subject.CommonName), zap.Time("not_after", found.cert.NotAfter))
	return found, nil
}

// rootFiles is what the storage holds of the root.
type rootFiles struct {
	cert *x509.Certificate
	key  crypto.Signer
	torn []string // names of files that were there without a whole PEM block
}

func (r *rootFiles) complete() bool { return r.cert != nil && r.key != nil }

func loadRoot(ctx context.Context, storage certmagic.Storage) (rootFiles, error) {
	var r rootFiles
	certPEM, err := r.load(ctx, storage, rootCertKey)
	if err != nil {
		return r, err
	}
	keyPEM, err := r.load(ctx, storage, rootKeyKey)
	if err != nil {
		return r, err
	}
	if certPEM != nil {
		if r.cert, err = x509.ParseCertificate(certPEM.Bytes); err != nil {
			return r, fmt.Errorf("the local authority's %q is not a certificate: restore it from a backup: %w", rootCertKey, err)
		}
	}
	if keyPEM != nil {
		if r.key, err = certmagic.PEMDecodePrivateKey(pem.EncodeToMemory(keyPEM)); err != nil {
			return r, fmt.Errorf("the local authority's %q is not a private key: restore it from a backup", rootKeyKey)
		}
	}
	if r.cert != nil && r.key == nil && len(r.torn) == 0 {
		return r, fmt.Errorf("the local authority has %q but not %q: restore the key from a backup, or move the certificate away to begin a new authority", rootCertKey, rootKeyKey)
	}
	return r, nil
}

// load returns the first PEM block of a stored file, or nil when there is none.
func (r *rootFiles) load(ctx context.Context, s certmagic.Storage, name string) (*pem.Block, error) {
	content, err := s.Load(ctx, name)
	switch {
	case errors.Is(err, storage.ErrTorn):
		r.torn = append(r.torn, name)
		return nil, nil
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("the local authority's %q cannot be read: %w", name, err)
	}
	block, _ := pem.Decode(content)
	if block == nil {
		r.torn = append(r.torn, name)
	}
	return block, nil
}

// fill makes what is missing and stores it, the key first: a certificate can be made again from its key, and clients that trust the
// old one go on, since name and key are the same.
func (r *rootFiles) fill(ctx context.Context, storage certmagic.Storage) error {
	if r.key == nil {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			return err
		}
		keyPEM, err := certmagic.PEMEncodePrivateKey(key)
		if err != nil {
			return err
		}
		if err := storage.Store(ctx, rootKeyKey, keyPEM); err != nil {
			return err
		}
		r.key = key
	}
	der, err := selfSign(r.key, time.Now())
	if err != nil {
		return err
	}
	if err := storage.Store(ctx, rootCertKey, encodeCertificate(der)); err != nil {
		return err
	}
	r.cert, err = x509.ParseCertificate(der)
	return err
}

func selfSign(key crypto.Signer, now time.Time) ([]byte, error) {
	id, err := keyID(key.Public())
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		Subject:               pkix.Name{Organization: []string{"MetaHub"}, CommonName: "MetaHub Local Authority " + hex.EncodeToString(id[:4])},
		NotBefore:             now.Add(-clockSkew),
		NotAfter:              now.AddDate(rootYears, 0, 0),
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		BasicConstraintsValid: true,
		IsCA:                  true,
		MaxPathLenZero:        true, // it signs leaves and no other authority
		SubjectKeyId:          id,
	}
	return x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
}

// keyID is a key identifier by RFC 7093 §2 method 4, in the usual 160 bits.
func keyID(public crypto.PublicKey) ([]byte, error) {
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(der)
	return sum[:20], nil
}

// authority checks that the two files belong together and can sign today.
func (r *rootFiles) authority() (*authority, error) {
	if public, ok := r.key.Public().(interface{ Equal(crypto.PublicKey) bool }); !ok || !public.Equal(r.cert.PublicKey) {
		return nil, fmt.Errorf("the local authority's %q does not belong to its %q: restore both from the same backup", rootKeyKey, rootCertKey)
	}
	if !r.cert.IsCA {
		return nil, fmt.Errorf("the local authority's %q may not sign certificates: restore it from a backup", rootCertKey)
	}
	if time.Now().After(r.cert.NotAfter) {
		return nil, fmt.Errorf("the local authority expired on %s: move its folder %q away to begin a new one, then run metahub trust", r.cert.NotAfter.Format(time.DateOnly), "authority")
	}
	return &authority{root: r.cert, key: r.key}, nil
}

// Issue implements certmagic.Issuer. It signs for the DNS names of a request and takes nothing else from it.
func (a *authority) Issue(_ context.Context, request *x509.CertificateRequest) (*certmagic.IssuedCertificate, error) {
	if len(request.DNSNames) == 0 {
		return nil, errNoNames
	}
	if err := request.CheckSignature(); err != nil {
		return nil, fmt.Errorf("the certificate request for %q is not signed by its own key: %w", request.DNSNames[0], err)
	}
	id, err := keyID(request.PublicKey)
	if err != nil {
		return nil, err
	}
	now := time.Now()
	notAfter := now.Add(leafLife)
	if notAfter.After(a.root.NotAfter) {
		notAfter = a.root.NotAfter
	}
	template := &x509.Certificate{
		DNSNames:              request.DNSNames,
		NotBefore:             now.Add(-clockSkew),
		NotAfter:              notAfter,
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true,
		SubjectKeyId:          id,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.root, request.PublicKey, a.key)
	if err != nil {
		return nil, err
	}
	// The root goes along, so that a visitor who does not trust it yet can see it and export it from the browser's warning page.
	chain := append(encodeCertificate(der), encodeCertificate(a.root.Raw)...)
	return &certmagic.IssuedCertificate{Certificate: chain}, nil
}

// IssuerKey implements certmagic.Issuer.
func (a *authority) IssuerKey() string { return "internal" }

// publishRoot writes the root to where clients are told to find it, in case the storage is elsewhere.
func (a *authority) publishRoot(settings tenant.Certificates) error {
	path, text := rootPath(settings.Folder), encodeCertificate(a.root.Raw)
	if old, err := os.ReadFile(path); err == nil && bytes.Equal(old, text) {
		return nil
	}
	err := os.MkdirAll(filepath.Dir(path), 0o755)
	if err == nil {
		err = os.WriteFile(path+".new", text, 0o644)
	}
	if err == nil {
		err = os.Rename(path+".new", path)
	}
	if err != nil {
		return fmt.Errorf("the local authority's certificate cannot be written to %q: make the folder writable for this user: %w", path, err)
	}
	return nil
}

func encodeCertificate(der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}
