package main

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"
)

// liveRate and deadRate are how many requests a second go to tenants whose databases live, and to those whose databases die.
const (
	liveRate = 200
	deadRate = 200
)

// asked is what came of requests.
type asked struct {
	times  []time.Duration // of those that were answered, or of those that failed where all do
	failed int
}

func (a *asked) add(more asked) {
	a.times = append(a.times, more.times...)
	a.failed += more.failed
}

func (a *asked) print(name string) {
	fmt.Printf("  %-20s %6d requests  %6d failed   p50 %8v   p99 %8v   slowest %8v\n", name, len(a.times), a.failed, at(a.times, 50), at(a.times, 99), at(a.times, 100))
}

// gather is an asked that many goroutines add to.
type gather struct {
	mu sync.Mutex
	asked
}

func (g *gather) note(took time.Duration, ok bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.times = append(g.times, took)
	if !ok {
		g.failed++
	}
}

// askAll asks for each tenant once, so many at a time.
func (f *fleet) askAll(atOnce int) asked {
	return f.askThese(0, f.tenants, atOnce)
}

// askLast asks once for each tenant of the last deployments, where each tenant has its own.
func (f *fleet) askLast(n int) asked {
	return f.askThese(f.tenants-n, f.tenants, n)
}

func (f *fleet) askThese(from, to, atOnce int) asked {
	client := f.process.Client()
	defer client.CloseIdleConnections()
	var g gather
	var running sync.WaitGroup
	next := make(chan int)
	for range atOnce {
		running.Go(func() {
			for n := range next {
				g.ask(client, n)
			}
		})
	}
	for n := from; n < to; n++ {
		next <- n
	}
	close(next)
	running.Wait()
	return g.asked
}

// askFor asks at a fixed rate, whatever the answers take, for tenants of the first deployments and for those of the last.
func (f *fleet) askFor(d time.Duration, last int) (first, lasts asked) {
	var live, dying gather
	var running sync.WaitGroup
	running.Go(func() { live.atRate(f, d, liveRate, 0, f.tenants-last) })
	running.Go(func() { dying.atRate(f, d, deadRate, f.tenants-last, f.tenants) })
	running.Wait()
	return live.asked, dying.asked
}

func (g *gather) atRate(f *fleet, d time.Duration, perSecond, from, to int) {
	client := f.process.Client()
	defer client.CloseIdleConnections()
	ticker := time.NewTicker(time.Second / time.Duration(perSecond))
	defer ticker.Stop()
	var running sync.WaitGroup
	for end := time.Now().Add(d); time.Now().Before(end); <-ticker.C {
		running.Go(func() { g.ask(client, from+rand.IntN(to-from)) })
	}
	running.Wait()
}

// ask asks for a tenant's settings, which are an answer of the embedded API after one query.
func (g *gather) ask(client *http.Client, tenant int) {
	began := time.Now()
	request, err := http.NewRequest(http.MethodGet, "https://api.localhost/api/settings", nil)
	if err != nil {
		panic(err) // the address is a constant
	}
	request.Header.Set("X-Tenant", slug(tenant))
	resp, err := client.Do(request)
	if err != nil {
		g.note(time.Since(began), false)
		return
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, resp.Body)
	g.note(time.Since(began), resp.StatusCode == http.StatusOK)
}
