package certificate

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
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
	all := append(findings.Found, coveredByWildcards(d, findings.Found)...)
	var unsure error
	take, skip := adopt.Plan(all, func(domain string) (time.Time, bool) {
		until, ok, err := storedUntil(ctx, shared, domain)
		unsure = errors.Join(unsure, err)
		return until, ok
	})
	a := Adoption{Left: append(findings.Unread, skip...)}
	if unsure != nil { // an older certificate could take the place of a newer one
		return a, closeWith(shared, unsure)
	}
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

// coveredByWildcards are the hosts of tenants that no certificate found names, but that a wildcard found covers: they are served with it
// until they have one of their own.
func coveredByWildcards(d *tenant.Directory, found []adopt.Found) []adopt.Found {
	named, wildcards := map[string]bool{}, map[string]adopt.Found{}
	for _, f := range found {
		named[f.Record.Domain] = true
		if parent, ok := strings.CutPrefix(f.Record.Domain, "*."); ok {
			wildcards[parent] = f
		}
	}
	var covered []adopt.Found
	hosts := slices.Clone(d.Gateway().APIHosts)
	for _, t := range d.Tenants() {
		hosts = append(hosts, t.Domains...)
	}
	for _, host := range hosts {
		_, parent, _ := strings.Cut(host, ".")
		if f, ok := wildcards[parent]; ok && !named[host] && !strings.HasPrefix(host, "*.") {
			f.Record.Domain = host
			covered = append(covered, f)
		}
	}
	return covered
}

// storedUntil is when the certificate in the storage expires; ok is false for none that is whole.
func storedUntil(ctx context.Context, s storage.Storage, domain string) (notAfter time.Time, ok bool, err error) {
	text, err := s.Load(ctx, record.StorageKey(domain))
	if errors.Is(err, fs.ErrNotExist) {
		return time.Time{}, false, nil
	}
	if err != nil {
		return time.Time{}, false, err
	}
	r, err := record.Parse(domain, text)
	if err != nil {
		return time.Time{}, false, nil // it is torn
	}
	return r.Leaf.NotAfter, true, nil
}
