package certificate

import (
	"context"
	"fmt"
	"time"

	"go.uber.org/zap"

	"metahub/gateway/certificate/adopt"
	"metahub/gateway/certificate/record"
	"metahub/gateway/certificate/storage"
	"metahub/tenant"
)

// Adoption is what came of taking over certificates.
type Adoption struct {
	Taken []Adopted
	Left  []adopt.Unread
}

// Adopted is one certificate that was taken over.
type Adopted struct {
	Domain            string
	From              string
	NotAfter, RenewAt time.Time
	Listed            bool // a tenant has the domain
}

// Adopt takes the certificates below paths over into the storage of d's settings, where a running gateway finds them. One that the
// storage has, and that is good for as long, is kept. On an error what was taken before it stays.
func Adopt(ctx context.Context, d *tenant.Directory, paths []string, now time.Time) (Adoption, error) {
	shared, _, err := openStorage(d.Gateway().Certificates, zap.NewNop())
	if err != nil {
		return Adoption{}, err
	}
	findings := adopt.Find(paths, now)
	take, skip := adopt.Plan(findings.Found, func(domain string) (time.Time, bool) { return storedUntil(ctx, shared, domain) })
	a := Adoption{Left: append(findings.Unread, skip...)}
	for _, found := range take {
		if err := storeAdopted(ctx, shared, found.Record); err != nil {
			return a, closeWith(shared, err)
		}
		leaf := found.Record.Leaf
		a.Taken = append(a.Taken, Adopted{
			Domain: found.Record.Domain, From: found.Record.Adopted, NotAfter: leaf.NotAfter, Listed: isListed(d, found.Record.Domain),
			RenewAt: record.RenewAt(found.Record.Domain, leaf.NotBefore, leaf.NotAfter),
		})
	}
	return a, closeWith(shared, nil)
}

func storeAdopted(ctx context.Context, s storage.Storage, r record.Record) error {
	text, err := record.Format(r)
	if err != nil {
		return err
	}
	if err := s.Store(ctx, record.StorageKey(r.Domain), text); err != nil {
		return fmt.Errorf("the certificate of %q cannot be stored in %s: %w", r.Domain, s, err)
	}
	return nil
}

// storedUntil is when the certificate in the storage expires; ok is false for none that is whole.
func storedUntil(ctx context.Context, s storage.Storage, domain string) (notAfter time.Time, ok bool) {
	text, err := s.Load(ctx, record.StorageKey(domain))
	if err != nil {
		return time.Time{}, false
	}
	r, err := record.Parse(domain, text)
	if err != nil {
		return time.Time{}, false
	}
	return r.Leaf.NotAfter, true
}
