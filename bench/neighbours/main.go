// Neighbours measures what a tenant whose MongoDB is dead costs the others: a healthy tenant's latency while 32 clients ask for a dead
// one, next to the same with a neighbour that is well, and with nobody asking. One run, rounds interleaved.
//
//	go run ./bench/neighbours
//	go run ./bench/neighbours -d 10s -bin ./metahub
//
// The dead database accepts connections and never answers, the worst of the ways to be down. The healthy tenant is asked for its
// settings (embedded API and database) at a fixed rate, so that all rounds do the same work.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"sync"
	"time"

	"metahub/bench/metahub"
)

func main() {
	d := flag.Duration("d", 5*time.Second, "how long one part of a round is")
	rounds := flag.Int("rounds", 3, "how many rounds")
	bin := flag.String("bin", "", "the metahub binary; empty builds one")
	flag.Parse()
	if err := run(*d, *rounds, *bin); err != nil {
		fmt.Fprintln(os.Stderr, "bench/neighbours:", err)
		os.Exit(1)
	}
}

func run(d time.Duration, rounds int, bin string) error {
	hole, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	defer hole.Close()
	p, err := metahub.Serve(bin, "gateway: {demo: true}\ntenants:\n"+
		"  - {slug: anastasia, domains: [anastasia.localhost]}\n"+
		"  - {slug: ensotek, domains: [ensotek.localhost]}\n"+
		"  - {slug: dead, domains: [dead.localhost], mongo_uri: \"mongodb://"+hole.Addr().String()+"/dead\"}\n", "")
	if err != nil {
		return err
	}
	defer p.Close()

	var alone, well, dead []time.Duration
	for range rounds {
		alone = append(alone, healthy(p, d)...)
		well = append(well, beside(p, "ensotek", d)...)
		dead = append(dead, beside(p, "dead", d)...)
	}
	report("nobody else asks", alone)
	report("32 ask for a neighbour that is well", well)
	report("32 ask for a neighbour that is dead", dead)
	fmt.Printf("p99, dead to well: %.2f\n", float64(at(dead, 99))/float64(at(well, 99)))
	return nil
}

// beside is healthy while another tenant is asked for too.
func beside(p *metahub.Process, slug string, d time.Duration) []time.Duration {
	stop := hammer(p, slug)
	defer stop()
	return healthy(p, d)
}

// healthy asks the healthy tenant 100 times a second and returns the latencies.
func healthy(p *metahub.Process, d time.Duration) []time.Duration {
	client := p.Client()
	defer client.CloseIdleConnections()
	var (
		mu    sync.Mutex
		times []time.Duration
		done  sync.WaitGroup
	)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(d); time.Now().Before(end); <-tick.C {
		done.Go(func() {
			began := time.Now()
			if ask(client, "anastasia") != http.StatusOK {
				return
			}
			mu.Lock()
			defer mu.Unlock()
			times = append(times, time.Since(began))
		})
	}
	done.Wait()
	return times
}

// hammer asks for a tenant over 32 connections, 320 times a second in all, until stop is called.
func hammer(p *metahub.Process, slug string) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var done sync.WaitGroup
	for range 32 {
		done.Go(func() {
			client := p.Client()
			defer client.CloseIdleConnections()
			tick := time.NewTicker(100 * time.Millisecond)
			defer tick.Stop()
			for ctx.Err() == nil {
				ask(client, slug)
				<-tick.C
			}
		})
	}
	return func() {
		cancel()
		done.Wait()
	}
}

func ask(client *http.Client, slug string) int {
	resp, err := client.Get("https://" + slug + ".localhost/api/settings")
	if err != nil {
		return 0
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode
}

func report(name string, times []time.Duration) {
	slices.Sort(times)
	fmt.Printf("%-37s %6d requests   p50 %8v   p99 %8v\n", name, len(times), at(times, 50), at(times, 99))
}

func at(sorted []time.Duration, percent int) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[min(len(sorted)*percent/100, len(sorted)-1)].Round(10 * time.Microsecond)
}
