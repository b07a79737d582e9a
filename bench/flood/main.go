//go:build unix

// Flood measures what an attack on one tenant costs the others: a calm tenant is asked 200 times a second over HTTP/1.1, alone and while
// another one, whose rate is 200 a second, is attacked. Rounds are interleaved, and medians of them are compared.
//
//	go run ./bench/flood                                        # 4,000 requests a second
//	go run ./bench/flood -rounds 15 -bin ./metahub
//	go run ./bench/flood -nice 0 -elsewhere
//	go run ./bench/flood -protocol h2 -attack rapid-reset -nice 0 -elsewhere
//
// The attack is a process of its own, by default at the lowest priority: what it takes of the processors is no cost of the gateway's. With
// -elsewhere a third part of each round has it attack a second gateway, which shows what sharing the processors alone does. Over TCP it says
// in PROXY headers that it comes from a public address, since no others are made to wait; for HTTP/3 give the loopback one (ip addr add
// 203.0.113.9/32 dev lo) and attack with -from 203.0.113.9. The calm tenant's requests go out at fixed times, whether or not the ones before
// them were answered.
package main

import (
	"flag"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"metahub/bench/metahub"
)

const (
	rate      = 200 // of both tenants
	times     = 20  // as much is the attacked one asked
	attackers = 32  // connections, of floods of requests
)

func main() {
	d := flag.Duration("d", 4*time.Second, "how long one part of a round is")
	rounds := flag.Int("rounds", 9, "how many rounds")
	bin := flag.String("bin", "", "the metahub binary; empty builds one")
	nice := flag.Int("nice", 19, "the priority of the attack")
	elsewhere := flag.Bool("elsewhere", false, "attack a second gateway too")
	protocol := flag.String("protocol", "h1", "of the attack: h1, h2 or h3")
	kind := flag.String("attack", "rate", "what the attack is: "+strings.Join(slices.Sorted(maps.Keys(assaults)), ", "))
	with := flag.String("with", "", "a command that starts the attack, such as \"chrt -o 0\" where the benchmark itself runs at a real-time priority")
	from := flag.String("from", "127.0.0.2", "the address that the attack comes from")
	at := flag.String("at", "", "the address to attack until standard input ends, which the benchmark starts itself with")
	flag.Parse()
	a, err := newAttack(*protocol, *kind, *from)
	if a != nil {
		a.nice, a.with = *nice, strings.Fields(*with)
	}
	switch {
	case err != nil:
	case *at != "":
		err = a.run(*at)
	default:
		err = run(*d, *rounds, *bin, a, *elsewhere)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench/flood:", err)
		os.Exit(1)
	}
}

func run(d time.Duration, rounds int, bin string, a *attack, elsewhere bool) error {
	p, err := start(bin, a)
	if err != nil {
		return err
	}
	defer p.Close()
	client := p.Client()
	visit(client, d/2) // connections, and what is in memory

	alone := part{name: "alone", visited: p}
	beside := []*part{{name: "beside " + a.String(), visited: p, attacked: p}}
	if elsewhere {
		other, err := start(bin, a)
		if err != nil {
			return err
		}
		defer other.Close()
		beside = append(beside, &part{name: "of another gateway", visited: p, attacked: other})
	}
	for range rounds {
		alone.visit(client, d)
		for _, part := range beside {
			if err := part.measure(client, d, a); err != nil {
				return err
			}
		}
	}
	alone.print(&alone)
	for _, part := range beside {
		part.print(&alone)
		fmt.Printf("%-28s %v in %v\n", "", part.answers, time.Duration(rounds)*(d+d/4))
	}
	return nil
}

// start runs a gateway with both tenants, to which an attack over TCP comes through a proxy.
func start(bin string, a *attack) (*metahub.Process, error) {
	proxies := ""
	if a.protocol != "h3" {
		proxies = a.from.String()
	}
	config := fmt.Sprintf("gateway: {proxy_protocol: [%s]}\ndefaults: {frontend: \"dir:site\"}\ntenants:\n"+
		"  - {slug: calm, domains: [calm.localhost]}\n"+
		"  - {slug: flooded, domains: [flooded.localhost], limits: {rate: %d, burst: %d}}\n", proxies, rate, rate)
	return metahub.Serve(bin, config, strings.Repeat("<p>page</p>\n", 50))
}

// part is what the calm tenant's visitors saw in one part of each round. The processor time is that of the gateway that is attacked.
type part struct {
	name       string
	visited    *metahub.Process
	attacked   *metahub.Process // nil for none
	answers    map[string]int   // that the attack got, by status
	p50s, p99s []time.Duration
	failed     int
	took       time.Duration // of the processors, by the gateway that is attacked, or by the one that is visited where none is
	over       time.Duration
}

// measure visits the calm tenant during an attack.
func (p *part) measure(client *http.Client, d time.Duration, a *attack) error {
	if p.answers == nil {
		p.answers = map[string]int{}
	}
	stop, err := a.start(p.attacked.HTTPS)
	if err != nil {
		return err
	}
	visit(client, d/4) // its connections are being opened, and what is to slow it down takes a while to
	p.visit(client, d)
	return stop(p.answers)
}

// visit visits the calm tenant, and sees how busy the gateway in question is meanwhile.
func (p *part) visit(client *http.Client, d time.Duration) {
	busy := p.attacked
	if busy == nil {
		busy = p.visited
	}
	before, began := busy.Processor(), time.Now()
	p.add(visit(client, d))
	p.took += busy.Processor() - before
	p.over += time.Since(began)
}

func (p *part) add(latencies []time.Duration, failed int) {
	slices.Sort(latencies)
	p.failed += failed
	if n := len(latencies); n > 0 {
		p.p50s = append(p.p50s, latencies[n/2].Round(10*time.Microsecond))
		p.p99s = append(p.p99s, latencies[n*99/100].Round(10*time.Microsecond))
	}
}

func (p *part) print(alone *part) {
	p50, p99 := median(p.p50s), median(p.p99s)
	fmt.Printf("%-28s p50 %8v   p99 %8v   to alone %.2f   failed %d   the gateway took %.1f %% of a processor   p99 in rounds %v\n",
		p.name, p50, p99, float64(p99)/float64(median(alone.p99s)), p.failed, 100*p.took.Seconds()/p.over.Seconds(), p.p99s)
}

func median(all []time.Duration) time.Duration {
	if len(all) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(all))
	return sorted[len(sorted)/2]
}

// visit asks the calm tenant at its rate, and returns how long each answer took.
func visit(client *http.Client, d time.Duration) (latencies []time.Duration, failed int) {
	var mu sync.Mutex
	var visitors sync.WaitGroup
	tick := time.NewTicker(time.Second / rate)
	defer tick.Stop()
	for end := time.Now().Add(d); time.Now().Before(end); <-tick.C {
		visitors.Go(func() {
			began := time.Now()
			response, err := client.Get("https://calm.localhost/")
			if err == nil {
				_, err = io.Copy(io.Discard, response.Body)
				response.Body.Close()
			}
			took := time.Since(began)
			mu.Lock()
			defer mu.Unlock()
			if err != nil || response.StatusCode != http.StatusOK {
				failed++
				return
			}
			latencies = append(latencies, took)
		})
	}
	visitors.Wait()
	return latencies, failed
}
