package storage

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// memoryTable is a lockTable whose storage can be out of reach.
type memoryTable struct {
	mu    sync.Mutex
	down  bool
	takes int
	token int64
	locks map[string]claim
}

var errDown = errors.New("out of reach")

func newMemoryTable() *memoryTable { return &memoryTable{locks: map[string]claim{}} }

func (m *memoryTable) reach(down bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.down = down
}

func look(c claim) sighting { return sighting(c.owner + string(rune(c.renewals))) }

func (m *memoryTable) take(_ context.Context, name string, dead sighting) (claim, sighting, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.takes++
	if m.down {
		return claim{}, "", errDown
	}
	if c, ok := m.locks[name]; ok && look(c) != dead {
		return claim{}, look(c), nil
	}
	m.token++
	c := claim{token: m.token, owner: randomID()}
	m.locks[name] = c
	return c, "", nil
}

func (m *memoryTable) renew(_ context.Context, name string, c claim) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.down {
		return errDown
	}
	if m.locks[name].owner != c.owner {
		return errTaken
	}
	m.locks[name] = c
	return nil
}

func (m *memoryTable) release(_ context.Context, name string, c claim) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.down {
		return errDown
	}
	if m.locks[name].owner != c.owner {
		return errTaken
	}
	delete(m.locks, name)
	return nil
}

func inLeases(t *testing.T, test func(t *testing.T, table *memoryTable, open func() *leases)) {
	synctest.Test(t, func(t *testing.T) {
		table := newMemoryTable()
		logger, _ := watchLog(t)
		test(t, table, func() *leases {
			l := newLeases(table, logger)
			t.Cleanup(func() {
				table.reach(false)
				if err := l.close(t.Context()); err != nil && t.Context().Err() == nil {
					t.Error(err)
				}
			})
			return l
		})
	})
}

func mustTry(t *testing.T, l *leases, name string, want bool) {
	t.Helper()
	if ok, err := l.tryLock(t.Context(), name); ok != want || err != nil {
		t.Errorf("tryLock = %v, %v; want %v", ok, err, want)
	}
}

// A holder that lives keeps its lock, however long.
func TestLeaseIsRenewed(t *testing.T) {
	inLeases(t, func(t *testing.T, table *memoryTable, open func() *leases) {
		holder, other := open(), open()
		mustTry(t, holder, "a", true)
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
		defer cancel()
		if err := other.lock(ctx, "a"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("lock: %v", err)
		}
		if _, err := holder.holding("a"); err != nil {
			t.Error(err)
		}
		if table.takes > 1500 {
			t.Errorf("the storage was asked %d times in ten minutes", table.takes)
		}
	})
}

// A holder that is gone is taken over within 30 s, and the one that takes over has a greater token.
func TestDeadHolderIsTakenOver(t *testing.T) {
	inLeases(t, func(t *testing.T, table *memoryTable, open func() *leases) {
		table.locks["a"] = claim{token: 7, owner: "dead"}
		table.token = 7
		l := open()
		begun := time.Now()
		if err := l.lock(t.Context(), "a"); err != nil {
			t.Fatal(err)
		}
		if waited := time.Since(begun); waited < leaseTime || waited > 20*time.Second {
			t.Errorf("waited %v", waited)
		}
		if c, err := l.holding("a"); err != nil || c.token <= 7 {
			t.Errorf("%+v, %v", c, err)
		}

		// one that only tries now and then comes to it too
		table.locks["b"] = claim{token: 8, owner: "dead"}
		mustTry(t, l, "b", false)
		time.Sleep(time.Minute)
		mustTry(t, l, "b", true)
	})
}

// When the storage is out of reach for the length of a lease, the holder knows that it has lost the lock, before another can have it.
func TestLeaseThatCannotBeRenewedIsLost(t *testing.T) {
	inLeases(t, func(t *testing.T, table *memoryTable, open func() *leases) {
		holder, other := open(), open()
		mustTry(t, holder, "a", true)
		mustTry(t, other, "a", false)
		time.Sleep(renewEvery + time.Second)

		// a short outage does no harm
		table.reach(true)
		time.Sleep(renewEvery)
		table.reach(false)
		time.Sleep(time.Minute)
		if _, err := holder.holding("a"); err != nil {
			t.Error(err)
		}

		table.reach(true)
		time.Sleep(leaseTime + time.Millisecond)
		if _, err := holder.holding("a"); !errors.Is(err, ErrLockLost) {
			t.Errorf("holding after the lease: %v", err)
		}
		table.reach(false)
		time.Sleep(renewEvery) // a lost lock is not won back
		if _, err := holder.holding("a"); !errors.Is(err, ErrLockLost) {
			t.Errorf("holding after the lease: %v", err)
		}
		if err := other.lock(t.Context(), "a"); err != nil {
			t.Fatal(err)
		}
		// the former holder cannot lock anew before it has unlocked, and its Unlock does not free the lock of the other
		mustTry(t, holder, "a", false)
		if err := holder.unlock(t.Context(), "a"); err != nil {
			t.Errorf("unlocking a lost lock: %v", err)
		}
		mustTry(t, holder, "a", false)
		if _, err := other.holding("a"); err != nil {
			t.Error(err)
		}
	})
}

// A taken lock is noticed at the next renewal.
func TestLeaseTakenByAnotherIsLost(t *testing.T) {
	inLeases(t, func(t *testing.T, table *memoryTable, open func() *leases) {
		holder := open()
		mustTry(t, holder, "a", true)
		table.mu.Lock()
		table.locks["a"] = claim{token: 99, owner: "another"}
		table.mu.Unlock()
		time.Sleep(renewEvery + time.Second)
		if _, err := holder.holding("a"); !errors.Is(err, ErrLockLost) {
			t.Errorf("holding: %v", err)
		}
	})
}

// An outage while a lock is being taken leaves nothing behind in this process.
func TestLockDuringOutage(t *testing.T) {
	inLeases(t, func(t *testing.T, table *memoryTable, open func() *leases) {
		l := open()
		table.reach(true)
		if err := l.lock(t.Context(), "a"); !errors.Is(err, errDown) {
			t.Errorf("lock: %v", err)
		}
		table.reach(false)
		mustTry(t, l, "a", true)
		table.reach(true)
		if err := l.unlock(t.Context(), "a"); !errors.Is(err, errDown) {
			t.Errorf("unlock: %v", err)
		}
		table.reach(false)
		if err := l.lock(t.Context(), "a"); err != nil { // its own leftover is as dead as another's
			t.Error(err)
		}
	})
}
