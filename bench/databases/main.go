// Databases measures metahub with many tenants that each have a database: what their clients cost in goroutines, sockets and memory, on few
// deployments that they share and on one each; and what the others notice while some of the deployments are dead, a third of them refusing
// connections, a third hanging and a third answering garbage. The databases are canned (bench/mongod) and cost next to nothing.
//
//	go run ./bench/databases                       # 5,000 tenants on 50 deployments, then on 5,000 of which 100 die
//	go run ./bench/databases -tenants 500 -dead 20 -rounds 5 -d 10s -bin ./metahub
//
// This program holds three sockets for each deployment, and metahub two: "ulimit -n" must permit it.
package main

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"metahub/bench/metahub"
	"metahub/bench/mongod"
)

func main() {
	tenants := flag.Int("tenants", 5000, "how many tenants")
	dead := flag.Int("dead", 100, "how many deployments die")
	rounds := flag.Int("rounds", 3, "how many rounds with and without dead deployments")
	d := flag.Duration("d", 10*time.Second, "how long a part of a round is")
	bin := flag.String("bin", "", "the metahub binary; empty builds one")
	flag.Parse()
	if err := run(*tenants, *dead, *rounds, *d, *bin); err != nil {
		fmt.Fprintln(os.Stderr, "bench/databases:", err)
		os.Exit(1)
	}
}

func run(tenants, dead, rounds int, d time.Duration, bin string) error {
	for _, deployments := range []int{max(tenants/100, 1), tenants} {
		f, err := startFleet(tenants, deployments, bin)
		if err != nil {
			return err
		}
		err = f.warmUp()
		if err == nil && deployments == tenants {
			err = f.compare(min(dead, tenants/2), rounds, d)
		}
		f.close()
		if err != nil {
			return err
		}
	}
	return nil
}

// fleet is a metahub with its tenants and their deployments.
type fleet struct {
	process *metahub.Process
	tenants int
	servers []*mongod.Server
}

func startFleet(tenants, deployments int, bin string) (*fleet, error) {
	f := &fleet{tenants: tenants}
	for range deployments {
		server, err := mongod.Start(nil)
		if err != nil {
			f.close()
			return nil, err
		}
		f.servers = append(f.servers, server)
	}
	var err error
	if f.process, err = metahub.New(bin); err != nil {
		f.close()
		return nil, err
	}
	if err = f.process.WriteConfig(f.config()); err == nil {
		if err = f.process.Start(); err == nil {
			err = f.process.Ready()
		}
	}
	if err != nil {
		f.close()
		return nil, err
	}
	return f, nil
}

func (f *fleet) close() {
	if f.process != nil {
		f.process.Close()
	}
	for _, server := range f.servers {
		server.Close()
	}
}

func slug(n int) string { return fmt.Sprintf("site-%d", n) }

// server is where a tenant's database is.
func (f *fleet) server(tenant int) *mongod.Server { return f.servers[tenant%len(f.servers)] }

func (f *fleet) config() string {
	var b strings.Builder
	b.WriteString("gateway: {api_hosts: [api.localhost]}\ntenants:\n")
	for n := range f.tenants {
		fmt.Fprintf(&b, "  - {slug: %s, domains: [%s.localhost], mongo_uri: %q}\n", slug(n), slug(n), f.server(n).URI(slug(n)))
	}
	return b.String()
}

// warmUp asks for each tenant once, and says what their clients cost.
func (f *fleet) warmUp() error {
	before, err := f.cost()
	if err != nil {
		return err
	}
	began := time.Now()
	answers := f.askAll(32)
	took := time.Since(began)
	if answers.failed > 0 {
		return fmt.Errorf("%d of %d tenants were not answered", answers.failed, f.tenants)
	}
	after, err := f.cost()
	if err != nil {
		return err
	}
	fmt.Printf("%d tenants on %d deployments: each asked once in %v (p99 %v)\n", f.tenants, len(f.servers), took.Round(10*time.Millisecond), at(answers.times, 99))
	fmt.Printf("  nobody asked   %v\n  all asked      %v\n", before, after)
	fmt.Printf("  a deployment   %.1f goroutines, %.1f sockets, %d KB\n", float64(after.goroutines-before.goroutines)/float64(len(f.servers)),
		float64(after.sockets-before.sockets)/float64(len(f.servers)), 1024*(after.resident-before.resident)/len(f.servers))
	return nil
}

type cost struct{ goroutines, sockets, resident int }

func (c cost) String() string {
	return fmt.Sprintf("%6d goroutines  %6d sockets  %5d MB resident", c.goroutines, c.sockets, c.resident)
}

func (f *fleet) cost() (cost, error) {
	goroutines, err := f.process.Metric("go_goroutines")
	return cost{goroutines, f.process.Sockets(), f.process.Resident()}, err
}

// compare asks for tenants whose databases live, in rounds while the others live too and while they are dead.
func (f *fleet) compare(dead, rounds int, d time.Duration) error {
	var well, beside asked
	var down asked
	for range rounds {
		live, dying := f.askFor(d, dead)
		if dying.failed > 0 {
			return fmt.Errorf("%d requests failed while all databases were alive", dying.failed)
		}
		well.add(live)
		if err := f.kill(dead); err != nil {
			return err
		}
		live, dying = f.askFor(d, dead)
		beside.add(live)
		down.add(dying)
		if err := f.revive(dead); err != nil {
			return err
		}
	}
	c, err := f.cost()
	if err != nil {
		return err
	}
	fmt.Printf("%d of %d deployments die; their tenants are asked %d times a second, the others %d times\n", dead, len(f.servers), deadRate, liveRate)
	well.print("others, all alive")
	beside.print("others, some dead")
	down.print("tenants of the dead")
	fmt.Printf("  afterwards     %v\n", c)
	fmt.Printf("  p99, dead to alive: %.2f\n", float64(at(beside.times, 99))/float64(at(well.times, 99)))
	return nil
}

// kill makes the last deployments dead, in three ways by turns.
func (f *fleet) kill(dead int) error {
	for n, server := range f.servers[len(f.servers)-dead:] {
		if err := server.Behave([]mongod.Behaviour{mongod.Refusing, mongod.Hanging, mongod.Garbling}[n%3]); err != nil {
			return err
		}
	}
	return nil
}

// revive brings the dead back and waits until their tenants are answered.
func (f *fleet) revive(dead int) error {
	for _, server := range f.servers[len(f.servers)-dead:] {
		if err := server.Behave(mongod.Answering); err != nil {
			return err
		}
	}
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(time.Second) {
		if f.askLast(dead).failed == 0 {
			return nil
		}
	}
	return fmt.Errorf("databases that are back are not found after a minute")
}

// at is a percentile of times, which it sorts.
func at(times []time.Duration, percent int) time.Duration {
	if len(times) == 0 {
		return 0
	}
	slices.Sort(times)
	return times[min(len(times)*percent/100, len(times)-1)].Round(10 * time.Microsecond)
}
