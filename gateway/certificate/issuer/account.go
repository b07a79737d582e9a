package issuer

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"strings"

	"github.com/caddyserver/certmagic"
	"github.com/mholt/acmez/v3/acme"
	"go.uber.org/zap"
)

// account is what the CA knows us by. It is immutable.
type account struct{ acme.Account }

// storedAccount is the file of an account. The key is written before the CA hears of it, and the location after, so that a process killed in
// between finds the same account again: the CA answers a known key with the account it has (RFC 8555 §7.3.1).
type storedAccount struct {
	Directory string   `json:"directory"`
	Location  string   `json:"location,omitempty"` // the account's URL; empty while it is not known to be registered
	Contact   []string `json:"contact,omitempty"`
	Key       string   `json:"key"` // PEM
}

// maxAccountFile bounds what is read of a storage.
const maxAccountFile = 64 << 10

// accountKey is where the account at a directory is kept. A hash tells apart URLs that look alike once they are safe to be a file's name.
func accountKey(directory string) string {
	readable := directory
	if u, err := url.Parse(directory); err == nil {
		readable = strings.ReplaceAll(strings.Trim(u.Host+u.Path, "/"), "/", "-")
	}
	sum := sha256.Sum256([]byte(directory))
	safe := certmagic.StorageKeys.Safe(readable)
	return "acme/" + safe[:min(len(safe), 100)] + "-" + hex.EncodeToString(sum[:4]) + "/account.json"
}

// accountFor returns the account at the CA; it registers one when there is none. One caller does so, the others wait.
func (a *ACME) accountFor(ctx context.Context, c *conversation) (*account, error) {
	if known := a.account.Load(); known != nil {
		return known, nil
	}
	select {
	case a.accounting <- struct{}{}:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	defer func() { <-a.accounting }()
	if known := a.account.Load(); known != nil {
		return known, nil
	}
	made, err := a.accountLocked(ctx, c, "")
	if err == nil {
		a.account.Store(made)
	}
	return made, err
}

// replaceAccount is for a CA that says it does not know an account: after a reset, say. Whoever comes second finds that it has been done.
func (a *ACME) replaceAccount(ctx context.Context, c *conversation, unknown *account) (*account, error) {
	select {
	case a.accounting <- struct{}{}:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	defer func() { <-a.accounting }()
	if known := a.account.Load(); known != nil && known != unknown {
		return known, nil
	}
	a.logger.Warn("the CA does not know the account any more; registering it anew", zap.String("account", unknown.Location))
	made, err := a.accountLocked(ctx, c, unknown.Location)
	if err != nil {
		a.account.CompareAndSwap(unknown, nil)
		return nil, err
	}
	a.account.Store(made)
	return made, nil
}

// accountLocked reads the account of all gateways, or registers it, under a lock of the storage. A location that is known to be wrong counts
// as none.
func (a *ACME) accountLocked(ctx context.Context, c *conversation, wrong string) (*account, error) {
	lock := strings.ReplaceAll(a.accountKey, "/", "-")
	if err := a.config.Storage.Lock(ctx, lock); err != nil {
		return nil, newError(Local, err, "the ACME account cannot be locked in the storage: %v", err)
	}
	defer func() {
		if err := a.config.Storage.Unlock(context.WithoutCancel(ctx), lock); err != nil {
			a.logger.Warn("the lock of the ACME account could not be released", zap.Error(err))
		}
	}()
	stored, key, err := a.loadAccount(ctx)
	if err != nil {
		return nil, err
	}
	if stored.Location != "" && stored.Location != wrong {
		return &account{acme.Account{Status: acme.StatusValid, Location: stored.Location, Contact: stored.Contact, PrivateKey: key}}, nil
	}
	registered, err := a.register(ctx, c, key)
	if err != nil {
		return nil, err
	}
	stored.Location = registered.Location
	if err := a.storeAccount(ctx, stored); err != nil {
		return nil, err
	}
	return registered, nil
}

// loadAccount reads the account's file. A missing or damaged one is replaced by one with a new key, which is in the storage before it is used.
func (a *ACME) loadAccount(ctx context.Context) (storedAccount, crypto.Signer, error) {
	text, err := a.config.Storage.Load(ctx, a.accountKey)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return storedAccount{}, nil, newError(Local, err, "the ACME account cannot be read from the storage: %v", err)
	}
	if err == nil {
		stored, key, err := parseAccount(text)
		if err == nil {
			return stored, key, nil
		}
		a.logger.Warn("the file of the ACME account is damaged; a new account is made", zap.String("key", a.accountKey), zap.Error(err))
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return storedAccount{}, nil, err
	}
	keyPEM, err := certmagic.PEMEncodePrivateKey(key)
	if err != nil {
		return storedAccount{}, nil, err
	}
	stored := storedAccount{Directory: a.directory, Contact: a.contact(), Key: string(keyPEM)}
	return stored, key, a.storeAccount(ctx, stored)
}

// parseAccount reads a file of an account. Its errors quote nothing, for there is a key in it.
func parseAccount(text []byte) (storedAccount, crypto.Signer, error) {
	var stored storedAccount
	if len(text) > maxAccountFile || json.Unmarshal(text, &stored) != nil {
		return storedAccount{}, nil, errors.New("it is not the JSON of an account")
	}
	if !strings.Contains(stored.Key, "-----BEGIN") {
		return storedAccount{}, nil, errors.New("it holds no key")
	}
	key, err := certmagic.PEMDecodePrivateKey([]byte(stored.Key))
	if err != nil {
		return storedAccount{}, nil, errors.New("its key cannot be read")
	}
	if _, ok := key.(*ecdsa.PrivateKey); !ok {
		return storedAccount{}, nil, errors.New("its key is not an ECDSA key")
	}
	if stored.Location != "" && checkURL(stored.Location) != nil {
		stored.Location = ""
	}
	return stored, key, nil
}

func (a *ACME) storeAccount(ctx context.Context, stored storedAccount) error {
	text, err := json.MarshalIndent(stored, "", "  ")
	if err != nil {
		return err
	}
	if err := a.config.Storage.Store(ctx, a.accountKey, text); err != nil {
		return newError(Local, err, "the ACME account cannot be written to the storage: %v", err)
	}
	return nil
}

func (a *ACME) contact() []string {
	if a.config.Email == "" {
		return nil
	}
	return []string{"mailto:" + a.config.Email}
}

// register makes an account at the CA, or finds the one of this key (RFC 8555 §7.3).
func (a *ACME) register(ctx context.Context, c *conversation, key crypto.Signer) (*account, error) {
	wanted := acme.Account{Contact: a.contact(), TermsOfServiceAgreed: true, PrivateKey: key}
	eab, err := a.binding(ctx, c)
	if err != nil {
		return nil, err
	}
	if eab != nil {
		if err := wanted.SetExternalAccountBinding(ctx, c.client, acme.EAB{KeyID: eab.KeyID, MACKey: eab.HMACKey}); err != nil {
			return nil, err
		}
	}
	registered, err := retryNonce(func() (acme.Account, error) { return c.client.NewAccount(ctx, wanted) })
	if err != nil {
		e := a.classify(ctx, err, "")
		if e.Kind == Refused {
			e.Message = clip(fmt.Sprintf("the CA %q refused to open an account: %s", a.config.Name, detailIn(err)), maxMessage)
		}
		return nil, e
	}
	if registered.Status != acme.StatusValid {
		return nil, a.refused("the account is %q, not valid", clip(registered.Status, 40))
	}
	if checkURL(registered.Location) != nil {
		return nil, a.unavailable("it opened an account without a URL", nil)
	}
	a.logger.Info("the ACME account is registered", zap.String("account", registered.Location))
	registered.PrivateKey = key
	return &account{registered}, nil
}

func detailIn(err error) string {
	problem, _ := problemOf(err)
	return detailOf(problem)
}
