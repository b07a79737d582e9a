package limit

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestTurnsByWeight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(Config{}, 1, map[string]Settings{"light": {}, "heavy": {Weight: 3}, "late": {}})
		var slot Slot
		l.Enter(l.Tenant("light"), &slot, time.Now())
		var mu sync.Mutex
		served := map[string]int{}
		ask := func(slug string, n int) {
			for range n {
				go func() {
					var s Slot
					if !l.Enter(l.Tenant(slug), &s, time.Now()) {
						t.Errorf("%s was turned away", slug)
						return
					}
					mu.Lock()
					served[slug]++
					mu.Unlock()
					time.Sleep(time.Millisecond)
					l.Leave(&s)
				}()
			}
			synctest.Wait()
		}
		counts := func(light, heavy, late int) {
			t.Helper()
			mu.Lock()
			defer mu.Unlock()
			if served["light"] != light || served["heavy"] != heavy || served["late"] != late {
				t.Errorf("served %v; want light %d, heavy %d, late %d", served, light, heavy, late)
			}
		}
		ask("light", 200)
		ask("heavy", 200)
		l.Leave(&slot)
		time.Sleep(80*time.Millisecond - 1)
		synctest.Wait()
		counts(20, 60, 0) // three turns for one
		ask("late", 5)    // has saved nothing up, and is not put behind those that wait already
		time.Sleep(25 * time.Millisecond)
		synctest.Wait()
		counts(25, 75, 5)
		time.Sleep(time.Second)
		synctest.Wait()
		counts(200, 200, 5) // and all of them in the end
	})
}

// TestLoneTenant may use all slots, and none is left unused while somebody waits.
func TestLoneTenant(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(Config{}, 4, map[string]Settings{"a": {}})
		begun := time.Now()
		var all sync.WaitGroup
		for range 400 {
			all.Go(func() {
				var s Slot
				if l.Enter(l.Tenant("a"), &s, time.Now()) {
					time.Sleep(time.Millisecond)
					l.Leave(&s)
				}
			})
		}
		all.Wait()
		if took := time.Since(begun); took != 100*time.Millisecond {
			t.Errorf("400 requests of 1 ms took %v in 4 slots", took)
		}
	})
}

// TestAlone has a tenant go beyond the slots once nobody else has asked for a while, and another one come then.
func TestAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(Config{Lease: time.Hour}, 2, map[string]Settings{"a": {}, "b": {}})
		enter := func(slug string) (s *Slot, waited time.Duration) {
			t.Helper()
			s = new(Slot)
			begun := time.Now()
			if !l.Enter(l.Tenant(slug), s, begun) {
				return nil, time.Since(begun)
			}
			return s, time.Since(begun)
		}
		var running []*Slot
		run := func(slug string, want time.Duration) {
			t.Helper()
			s, waited := enter(slug)
			if waited != want || (s != nil) != (want < time.Second) {
				t.Errorf("%s waited %v, want %v", slug, waited, want)
			}
			if s != nil {
				running = append(running, s)
			}
		}
		run("b", 0)
		run("a", 0)
		time.Sleep(aloneAfter - 1)
		run("a", time.Second) // both slots are taken, and b has asked a moment ago
		for range aloneMore * 2 {
			run("a", 0)
		}
		run("a", time.Second)

		first := running[0]
		time.AfterFunc(5*time.Millisecond, func() { l.Leave(first) })
		run("b", 5*time.Millisecond)
		l.Leave(running[2])
		run("a", time.Second) // it is alone no longer

		for _, s := range running {
			l.Leave(s)
		}
		if q := l.queue; q.busy != 0 || q.beyond != 0 || q.waiting != 0 {
			t.Errorf("%d slots are held, %d requests beyond, when all have left", q.busy, q.beyond)
		}
	})
}

// TestLease has a tenant whose requests never end take all slots.
func TestLease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(Config{}, 2, map[string]Settings{"stuck": {}, "other": {}})
		var stuck [2]Slot
		for i := range stuck {
			l.Enter(l.Tenant("stuck"), &stuck[i], time.Now())
		}
		begun := time.Now()
		var s Slot
		if !l.Enter(l.Tenant("other"), &s, time.Now()) || time.Since(begun) != 10*time.Millisecond {
			t.Errorf("a neighbour waited %v", time.Since(begun))
		}
		l.Leave(&s)
		for i := range stuck {
			l.Leave(&stuck[i])
		}
		if l.queue.busy != 0 || l.queue.held.first != nil {
			t.Errorf("%d slots are held when all have left", l.queue.busy)
		}
	})
}

func TestPatienceAndBound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(Config{Lease: time.Hour}, 1, map[string]Settings{"a": {}, "b": {}})
		var holder Slot
		l.Enter(l.Tenant("a"), &holder, time.Now())
		begun := time.Now()
		var all sync.WaitGroup
		for range mostWaiting {
			all.Go(func() {
				var s Slot
				if l.Enter(l.Tenant("a"), &s, time.Now()) || time.Since(begun) != time.Second {
					t.Errorf("waited %v", time.Since(begun))
				}
			})
		}
		synctest.Wait()
		var s Slot
		if l.Enter(l.Tenant("a"), &s, time.Now()) || time.Since(begun) != 0 {
			t.Error("one more than may wait was not turned away at once")
		}
		all.Wait()
		if l.queue.waiting != 0 || len(l.queue.turns) != 0 || l.queue.arrivals.first != nil || l.Tenant("a").waiting.first != nil {
			t.Error("somebody waits still")
		}
		time.AfterFunc(500*time.Millisecond, func() { l.Leave(&holder) })
		if !l.Enter(l.Tenant("b"), &s, time.Now()) {
			t.Error("turned away from a slot that was left in time")
		}
		l.Leave(&s)
	})
}

// TestPatienceOfEach has requests come one after the other: each waits as long as the others do, counted from when it came.
func TestPatienceOfEach(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(Config{Lease: time.Hour}, 1, map[string]Settings{"a": {}, "b": {}})
		var holder Slot
		l.Enter(l.Tenant("a"), &holder, time.Now())
		var all sync.WaitGroup
		for i := range 10 {
			all.Go(func() {
				begun := time.Now()
				var s Slot
				if l.Enter(l.Tenant([]string{"a", "b"}[i%2]), &s, begun) || time.Since(begun) != time.Second {
					t.Errorf("request %d waited %v", i, time.Since(begun))
				}
			})
			time.Sleep(300 * time.Millisecond)
		}
		all.Wait()
		l.Leave(&holder)
		if !l.Enter(l.Tenant("a"), &holder, time.Now()) {
			t.Error("turned away from a free slot")
		}
	})
}

// TestQueueUnderLoad ends with every slot free, whatever came in between.
func TestQueueUnderLoad(t *testing.T) {
	tenants := map[string]Settings{"a": {}, "b": {Weight: 5}, "c": {}}
	l := newLimiter(Config{Patience: time.Millisecond, Lease: 100 * time.Microsecond}, 3, tenants)
	var all sync.WaitGroup
	for slug := range tenants {
		for range 8 {
			all.Go(func() {
				var s Slot
				for i := range 300 {
					if l.Enter(l.Tenant(slug), &s, time.Now()) {
						time.Sleep(time.Duration(i%4) * 50 * time.Microsecond)
						l.Leave(&s)
					}
					if i%100 == 0 {
						l.Update(1+i/100, tenants)
					}
				}
			})
		}
	}
	all.Wait()
	if q := l.queue; q.busy != 0 || q.waiting != 0 || len(q.turns) != 0 || q.held.first != nil {
		t.Errorf("busy %d, waiting %d, tenants %d", q.busy, q.waiting, len(q.turns))
	}
}
