package certificate

import (
	"context"
	"os"
	"strings"
	"sync/atomic"
	"testing"

	"metahub/gateway/certificate/orders"
	"metahub/gateway/certificate/record"
	"metahub/gateway/certificate/storage"
	"metahub/tenant"
)

// A lock that ran out while the storage was away costs no certificate.
func TestObtainedCertificateOutlivesItsLock(t *testing.T) {
	e := startEdge(t, edgeOptions{tenants: []*tenant.Tenant{site("ensotek", "ensotek.de")}})
	e.awaitState("ensotek.de", orders.Active)
	text, err := e.storage.Load(t.Context(), record.StorageKey("ensotek.de"))
	if err != nil {
		t.Fatal(err)
	}
	if err := e.storage.Delete(t.Context(), record.StorageKey("ensotek.de")); err != nil {
		t.Fatal(err)
	}
	const lock = "order-ensotek.de"
	if err := e.storage.StoreLocked(t.Context(), lock, "certificates/x", nil); err == nil {
		t.Fatal("the lock is held")
	}
	if !e.supply.store(t.Context(), lock, "ensotek.de", text) {
		t.Error("the certificate was not stored")
	}
	if _, err := e.storage.Load(t.Context(), record.StorageKey("ensotek.de")); err != nil {
		t.Errorf("it is not there: %v", err)
	}
	if err := e.storage.Unlock(t.Context(), lock); err != nil {
		t.Error(err)
	}
}

// A certificate that cannot be read at a start is read when it can, and then renewed like any other.
func TestUnreadableCertificateIsReadLater(t *testing.T) {
	o := edgeOptions{tenants: []*tenant.Tenant{site("ensotek", "ensotek.de")}}
	e := startEdge(t, o)
	e.awaitState("ensotek.de", orders.Active)
	e.Stop()
	e.prepare(e.settings.Folder, o)
	failing := &unreadable{Storage: e.storage}
	failing.fail.Store(true)
	e.storage, e.supply.storage = failing, failing
	e.begin()
	eventually(t, "it is known that it cannot be read", func() bool { return e.untaken.has("ensotek.de") })
	if _, known := e.queue.StatusOf("ensotek.de"); known {
		t.Error("it is ordered although it is there")
	}
	if status := e.statuses()[0]; status.State != orders.Failing {
		t.Errorf("the status is %+v", status)
	}
	if said := e.logs.FilterMessageSnippet("cannot be read from the storage").Len(); said != 1 {
		t.Errorf("the log speaks of it %d times", said)
	}
	failing.fail.Store(false)
	e.awaitState("ensotek.de", orders.Active)
	if n := e.ca.OrdersFor("ensotek.de"); n != 1 {
		t.Errorf("%d orders", n)
	}
}

// unreadable is a storage whose certificates cannot be read for a while.
type unreadable struct {
	storage.Storage
	fail atomic.Bool
}

func (u *unreadable) Load(ctx context.Context, key string) ([]byte, error) {
	if u.fail.Load() && strings.HasPrefix(key, record.Folder) {
		return nil, os.ErrPermission
	}
	return u.Storage.Load(ctx, key)
}
