package orders

import (
	"context"
	"fmt"
	"runtime"
	"testing"
	"time"
)

const many = 100_000

// manyDomains are half with a certificate, half without.
func manyDomains() []Domain {
	domains := make([]Domain, many)
	for i := range domains {
		domains[i] = Domain{Name: fmt.Sprintf("www.customer-%d.example", i), Tenant: fmt.Sprintf("tenant%d", i/4)}
		if i%2 == 0 {
			domains[i].Have = new(fresh90(time.Duration(i) * time.Second))
		}
	}
	return domains
}

func idle() *Queue {
	return New(Config{Do: after(0), Ask: func(context.Context, string) (a, b time.Time, err error) { return }})
}

func BenchmarkSetNew(b *testing.B) {
	domains := manyDomains()
	for b.Loop() {
		idle().Set(domains)
	}
}

func BenchmarkSetAgain(b *testing.B) {
	domains := manyDomains()
	q := idle()
	q.Set(domains)
	for b.Loop() {
		q.Set(domains)
	}
}

func BenchmarkStatus(b *testing.B) {
	q := idle()
	q.Set(manyDomains())
	for b.Loop() {
		if len(q.Status("")) != many {
			b.Fatal("some are missing")
		}
	}
}

func BenchmarkStatusOf(b *testing.B) {
	q := idle()
	q.Set(manyDomains())
	for b.Loop() {
		q.StatusOf("www.customer-99999.example")
	}
}

func BenchmarkCounts(b *testing.B) {
	q := idle()
	q.Set(manyDomains())
	for b.Loop() {
		q.Counts()
	}
}

func BenchmarkFront(b *testing.B) {
	q := idle()
	for b.Loop() {
		q.Front("www.customer-1.example")
	}
}

func BenchmarkHeapPut(b *testing.B) {
	chance := random(1)
	h := heap{slot: slotSchedule}
	entries := make([]*entry, many)
	for i := range entries {
		entries[i] = &entry{}
		h.put(entries[i], chance.Int64())
	}
	for b.Loop() {
		h.put(entries[chance.IntN(many)], chance.Int64())
	}
}

// BenchmarkMemory tells what one domain costs: with a certificate, while its first order waits, and in trouble.
func BenchmarkMemory(b *testing.B) {
	f := func(name string, domain func(i int, d *Domain), then func(*Queue)) {
		b.Run(name, func(b *testing.B) {
			domains := manyDomains()
			for i := range domains {
				domain(i, &domains[i])
			}
			for b.Loop() {
				before := heapInUse()
				q := idle()
				q.Set(domains)
				then(q)
				b.ReportMetric(float64(heapInUse()-before)/many, "B/domain")
				runtime.KeepAlive(q)
			}
			runtime.KeepAlive(domains)
		})
	}
	f("active", func(i int, d *Domain) { d.Have = new(fresh90(0)) }, func(*Queue) {})
	f("queued", func(i int, d *Domain) { d.Have = nil }, func(*Queue) {})
	f("failing", func(i int, d *Domain) { d.Have = new(fresh90(70 * day)) }, func(q *Queue) {
		fault := &DNSFault{Sentence: "the same text for all"}
		for _, e := range q.domains {
			q.lanes[e.lane].remove(e)
			q.despair(e, fault, q.now())
		}
	})
}

func heapInUse() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

func BenchmarkReserve(b *testing.B) {
	clock := newHandClock()
	limits := NewLimits(newMemory(), clock, nil)
	for b.Loop() {
		reserve(b, limits, request("www.a.de"))
		clock.move(40 * time.Second)
	}
}

func BenchmarkWait(b *testing.B) {
	limits := NewLimits(newMemory(), newHandClock(), nil)
	for i := range 300 {
		reserve(b, limits, request(fmt.Sprintf("h%d.de", i)))
	}
	for b.Loop() {
		limits.Wait("letsencrypt", LetsEncrypt(), 10_000)
	}
}
