package store_test

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"metahub/bench/mongod"
	"metahub/store"
	"metahub/tenant"
)

// Many tenants on few deployments share their clients: goroutines and connections go by deployments.
func TestManyTenantsOnFewDeployments(t *testing.T) {
	const tenants, deployments = 200, 20
	servers := startFleet(t, deployments)
	s := open(t, store.Config{})
	before := runtime.NumGoroutine()
	var running sync.WaitGroup
	for n := range tenants {
		running.Go(func() {
			if err := s.Do(t.Context(), newTenant(fmt.Sprint("t", n), servers[n%deployments].URI(fmt.Sprint("t", n))), ping); err != nil {
				t.Errorf("tenant %d: %v", n, err)
			}
		})
	}
	running.Wait()
	if got := len(s.Status()); got != deployments {
		t.Errorf("got %d deployments, want %d", got, deployments)
	}
	connections := 0
	for _, server := range servers {
		connections += server.Connections()
	}
	// One that watches, and those that the ten tenants may have needed at once.
	if most := deployments * 11; connections > most {
		t.Errorf("got %d connections, want at most %d", connections, most)
	}
	// A canned server has a goroutine for each connection too.
	ours := func() int { return runtime.NumGoroutine() - before - connections }
	eventually(t, "at most 6 goroutines a deployment", func() bool { return ours() <= 6*deployments })
}

// Deployments that refuse, hang or answer garbage are out, each for its own tenant only, and back when they answer.
func TestDeadDeployments(t *testing.T) {
	const alive, dead = 10, 9
	servers := startFleet(t, alive+dead)
	s := open(t, store.Config{})
	tenants := make([]*tenant.Tenant, len(servers))
	for n := range servers {
		tenants[n] = newTenant(fmt.Sprint("t", n), servers[n].URI(""))
		if err := s.Do(t.Context(), tenants[n], ping); err != nil {
			t.Fatal(err)
		}
	}
	for n, server := range servers[alive:] {
		if err := server.Behave([]mongod.Behaviour{mongod.Refusing, mongod.Hanging, mongod.Garbling}[n%3]); err != nil {
			t.Fatal(err)
		}
	}
	askAll := func(tenants []*tenant.Tenant, check func(*tenant.Tenant, error)) {
		var running sync.WaitGroup
		for _, tn := range tenants {
			running.Go(func() { check(tn, s.Do(t.Context(), tn, ping)) })
		}
		running.Wait()
	}
	works := func(tn *tenant.Tenant, err error) {
		if err != nil {
			t.Errorf("tenant %q, whose database lives: %v", tn.Slug, err)
		}
	}
	isOut := func(tn *tenant.Tenant, err error) {
		if !errors.As(err, new(*store.Unavailable)) {
			t.Errorf("tenant %q, whose database is dead: got %v, want *Unavailable", tn.Slug, err)
		}
	}
	eventually(t, "all that are dead are known to be", func() bool {
		askAll(tenants[alive:], isOut)
		askAll(tenants[:alive], works)
		out := 0
		for _, status := range s.Status() {
			if !status.Available {
				out++
			}
		}
		return out == dead
	})

	// Now they fail at once.
	var took []time.Duration
	for range 20 {
		begin := time.Now()
		askAll(tenants[alive:], isOut)
		took = append(took, time.Since(begin))
		askAll(tenants[:alive], works)
	}
	slices.Sort(took)
	if half := took[len(took)/2]; half > time.Second {
		t.Errorf("with the breakers open it took %s to know, want no wait", half)
	}

	for _, server := range servers[alive:] {
		if err := server.Behave(mongod.Answering); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "all are back", func() bool {
		for _, status := range s.Status() {
			if !status.Available {
				return false
			}
		}
		return true
	})
	askAll(tenants, works)
}

func startFleet(t *testing.T, n int) []*mongod.Server {
	t.Helper()
	servers := make([]*mongod.Server, n)
	for i := range servers {
		servers[i] = startCanned(t, nil)
	}
	return servers
}
