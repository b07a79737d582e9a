// Tenants measures metahub with many tenants, one domain each: the time until it serves, the time until a changed tenant is served, and
// the memory it holds.
//
//	go run ./bench/tenants                # 10,000 tenants
//	go run ./bench/tenants -n 50000 -bin ./metahub
package main

import (
	"context"
	"crypto/tls"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"metahub/bench/metahub"
)

func main() {
	n := flag.Int("n", 10_000, "how many tenants")
	rounds := flag.Int("rounds", 5, "how many reloads")
	bin := flag.String("bin", "", "the metahub binary; empty builds one")
	flag.Parse()
	if err := run(*n, *rounds, *bin); err != nil {
		fmt.Fprintln(os.Stderr, "bench/tenants:", err)
		os.Exit(1)
	}
}

func run(n, rounds int, bin string) error {
	p, err := metahub.New(bin)
	if err != nil {
		return err
	}
	defer p.Close()
	for _, site := range []string{"first", "second"} {
		if err := writeSite(filepath.Join(p.Folder, site)); err != nil {
			return err
		}
	}
	if err := p.WriteConfig(config(n, "first")); err != nil {
		return err
	}

	began := time.Now()
	if err := p.Start(); err != nil {
		return err
	}
	last := fmt.Sprintf("site-%d.localhost", n-1)
	if err := until(p, last, "first"); err != nil {
		return err
	}
	fmt.Printf("%d tenants: the last one is served over TLS %v after the start, %d MB resident\n", n, since(began), p.Resident())

	if err := measureReloads(p, n, rounds, last); err != nil {
		return err
	}

	began = time.Now()
	for i := range n {
		if err := handshake(p, fmt.Sprintf("site-%d.localhost", i)); err != nil {
			return err
		}
	}
	fmt.Printf("after a TLS handshake with each of the %d hosts (%v): %d MB resident\n", n, since(began), p.Resident())
	return nil
}

func measureReloads(p *metahub.Process, n, rounds int, last string) error {
	failed, stop := load(p, fmt.Sprintf("site-%d.localhost", n/2))
	defer stop()
	var times []time.Duration
	for round := range rounds {
		site := []string{"second", "first"}[round%2]
		if err := p.WriteConfig(config(n, site)); err != nil {
			return err
		}
		saved := time.Now()
		if err := until(p, last, site); err != nil {
			return err
		}
		times = append(times, time.Since(saved))
	}
	stop()
	slices.Sort(times)
	fmt.Printf("reload: a changed tenant is served %v after the save (median of %d, slowest %v); %d requests to another tenant failed meanwhile\n",
		times[len(times)/2].Round(time.Millisecond), rounds, times[len(times)-1].Round(time.Millisecond), *failed)
	fmt.Printf("after %d reloads: %d MB resident\n", rounds, p.Resident())
	return nil
}

// config names n tenants that share one folder but the last, which has its own.
func config(n int, lastSite string) string {
	var b strings.Builder
	b.WriteString("defaults: {frontend: \"dir:first\"}\ntenants:\n")
	for i := range n {
		fmt.Fprintf(&b, "  - slug: site-%d\n    brand: Site %d\n    domains: [site-%d.localhost]\n", i, i, i)
	}
	fmt.Fprintf(&b, "    frontend: dir:%s\n", lastSite)
	return b.String()
}

// writeSite makes a folder whose page is its name.
func writeSite(folder string) error {
	if err := os.Mkdir(folder, 0o755); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(folder, "index.html"), []byte(filepath.Base(folder)), 0o644)
}

func get(client *http.Client, host string) (string, error) {
	resp, err := client.Get("https://" + host + "/")
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = errors.New(resp.Status)
	}
	return string(body), err
}

// until waits for a host to answer with a body.
func until(p *metahub.Process, host, body string) error {
	client := p.Client()
	defer client.CloseIdleConnections()
	deadline := time.Now().Add(2 * time.Minute)
	for {
		got, err := get(client, host)
		if err == nil && got == body {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%s answers %q, not %q: %w", host, got, body, err)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// load asks one host without pause and counts what fails, until stop is called.
func load(p *metahub.Process, host string) (failed *int, stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	failed = new(int)
	var done sync.WaitGroup
	done.Go(func() {
		client := p.Client()
		for ctx.Err() == nil {
			if _, err := get(client, host); err != nil {
				*failed++
			}
		}
	})
	return failed, func() {
		cancel()
		done.Wait()
	}
}

func handshake(p *metahub.Process, host string) error {
	conn, err := tls.Dial("tcp", p.HTTPS, &tls.Config{InsecureSkipVerify: true, ServerName: host}) // #nosec G402
	if err != nil {
		return err
	}
	return conn.Close()
}

func since(t time.Time) time.Duration { return time.Since(t).Round(time.Millisecond) }
