package limit

import (
	"fmt"
	"runtime"
	"sync/atomic"
	"testing"
	"time"
)

// BenchmarkRequest is everything that limits do for a request: find the tenant, count, enter and leave. Tenants and addresses come in no
// order, and a microsecond after each other, so that hardly any is refused and all are remembered.
func BenchmarkRequest(b *testing.B) {
	rates := Settings{Rate: 1e6, Burst: 1e6, ClientRate: 1e6, ClientBurst: 1e6, Concurrency: 1000, Weight: 2}
	f := func(name string, tenants, addresses uint32, settings Settings) {
		all, slugs := map[string]Settings{}, make([]string, tenants)
		for i := range slugs {
			slugs[i] = fmt.Sprintf("tenant-%05d", i)
			all[slugs[i]] = settings
		}
		l := newLimiter(Config{}, 1000, all)
		request := func(n uint32, s *Slot, at time.Time) time.Duration {
			t := l.Tenant(slugs[n*2654435761%tenants])
			if refused := l.Admit(t, address4(n*2654435761%addresses), at); refused.Reason != None {
				return refused.After
			}
			l.Enter(t, s, at)
			l.Leave(s)
			t.Done()
			return 0
		}
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			var s Slot
			at, n := time.Now(), uint32(0)
			for b.Loop() {
				n++
				at = at.Add(time.Microsecond)
				at = at.Add(request(n, &s, at))
			}
		})
		b.Run(name+"/parallel", func(b *testing.B) {
			b.ReportAllocs()
			var starts atomic.Uint32
			b.RunParallel(func(p *testing.PB) {
				s, n, at := new(Slot), starts.Add(1)<<24, time.Now()
				for p.Next() {
					n++
					at = at.Add(2 * time.Microsecond)
					at = at.Add(request(n, s, at))
				}
			})
		})
	}
	f("defaults", 1, 1, Settings{})
	f("one tenant", 1, 1, rates)
	f("10,000 tenants", 10_000, 1, rates)
	rates.ClientRate = 1
	f("1,000,000 addresses", 1, 1_000_000, rates)
}

// BenchmarkAddresses has so many client addresses each use something up, all of which are to be remembered, and measures the heap.
func BenchmarkAddresses(b *testing.B) {
	for _, addresses := range []uint32{1_000_000, 10_000_000} {
		b.Run(fmt.Sprint(addresses), func(b *testing.B) {
			settings := map[string]Settings{"a": {ClientRate: 1, ClientBurst: 1}}
			for b.Loop() {
				before := heapBytes()
				l := newLimiter(Config{}, 1, settings)
				t, at := l.Tenant("a"), time.Now()
				began := time.Now()
				for n := range addresses {
					l.Admit(t, address4(n), at)
				}
				b.ReportMetric(float64(time.Since(began).Nanoseconds())/float64(addresses), "ns/address")
				b.ReportMetric(float64(heapBytes()-before)/(1<<20), "MiB")
				runtime.KeepAlive(l)
			}
		})
	}
}

// heapBytes is how many bytes of it are in use.
func heapBytes() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
