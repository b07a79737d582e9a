// Certificates measures metahub with many issued certificates on the disk: the time until it listens, what handshakes cost, and the
// memory it holds after every host was asked for once.
//
//	go run ./bench/certificates                # 100,000 certificates of 20,000 tenants
//	go run ./bench/certificates -n 10000 -bin ./metahub
package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"metahub/bench/metahub"
	"metahub/gateway/certificate/record"
)

// domainsEach is how many domains a tenant has.
const domainsEach = 5

func main() {
	n := flag.Int("n", 100_000, "how many certificates")
	bin := flag.String("bin", "", "the metahub binary; empty builds one")
	flag.Parse()
	if err := run(*n, *bin); err != nil {
		fmt.Fprintln(os.Stderr, "bench/certificates:", err)
		os.Exit(1)
	}
}

func run(n int, bin string) error {
	p, err := metahub.New(bin)
	if err != nil {
		return err
	}
	defer p.Close()
	// an ACME directory that does not answer: nothing may depend on it
	p.Env = []string{"METAHUB_GATEWAY_CERTIFICATES_ISSUER=https://127.0.0.1:1/directory"}
	authority, err := newAuthority()
	if err != nil {
		return err
	}
	began := time.Now()
	if err := writeCertificates(filepath.Join(p.Folder, "certs"), authority, n); err != nil {
		return err
	}
	fmt.Printf("made %d certificates in %v\n", n, since(began))
	if err := p.WriteConfig(config(n)); err != nil {
		return err
	}
	roots := x509.NewCertPool()
	roots.AddCert(authority.root)
	return measure(p, roots, n)
}

func measure(p *metahub.Process, roots *x509.CertPool, n int) error {
	began := time.Now()
	if err := p.Start(); err != nil {
		return err
	}
	if err := untilServed(p, roots, domain(n-1)); err != nil {
		return err
	}
	fmt.Printf("%d certificates: the last one is served %v after the start, %d MB resident\n", n, since(began), p.Resident())

	if err := untilRead(p, n); err != nil {
		return err
	}
	fmt.Printf("all are read and their renewals planned %v after the start, %d MB resident\n", since(began), p.Resident())

	first, err := handshakes(p, roots, n)
	if err != nil {
		return err
	}
	fmt.Printf("a handshake with each host, the client's part included: %s; %d MB resident\n", first, p.Resident())
	warm, err := again(p, roots, domain(0), 5000)
	if err != nil {
		return err
	}
	fmt.Printf("5,000 handshakes with one host: %s\n", warm)

	if err := p.WriteConfig(config(n) + "# saved again\n  - slug: added\n    domains: [added.example.net]\n"); err != nil {
		return err
	}
	time.Sleep(5 * time.Second)
	kept, err := p.Metric(`metahub_certificates_in_memory{form="parsed"}`)
	if err != nil {
		return err
	}
	fmt.Printf("after a reload: %d parsed certificates are still in memory, %d MB resident\n", kept, p.Resident())
	return nil
}

// config names n domains, a few each tenant.
func config(n int) string {
	var b strings.Builder
	b.WriteString("gateway:\n  certificates: {rehearsal: false}\ntenants:\n")
	for i := 0; i < n; i += domainsEach {
		fmt.Fprintf(&b, "  - slug: site-%d\n    domains: [%s]\n", i/domainsEach, strings.Join(domains(i, min(n, i+domainsEach)), ", "))
	}
	return b.String()
}

func domains(from, to int) []string {
	var list []string
	for i := from; i < to; i++ {
		list = append(list, domain(i))
	}
	return list
}

func domain(i int) string { return fmt.Sprintf("www.customer-%06d.example.net", i) }

// writeCertificates fills a storage as a gateway would have.
func writeCertificates(certs string, a *authority, n int) error {
	folder := filepath.Join(certs, record.Folder)
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return err
	}
	next := make(chan int)
	faults := make(chan error, 2)
	var makers sync.WaitGroup
	for range 2 {
		makers.Go(func() {
			for i := range next {
				text, err := a.record(domain(i))
				if err == nil {
					err = os.WriteFile(filepath.Join(certs, record.StorageKey(domain(i))), text, 0o600)
				}
				if err != nil {
					select {
					case faults <- err:
					default:
					}
				}
			}
		})
	}
	for i := range n {
		next <- i
	}
	close(next)
	makers.Wait()
	select {
	case err := <-faults:
		return err
	default:
		return nil
	}
}

func handshake(p *metahub.Process, roots *x509.CertPool, host string) error {
	conn, err := tls.Dial("tcp", p.HTTPS, &tls.Config{RootCAs: roots, ServerName: host})
	if err != nil {
		return fmt.Errorf("%s: %w", host, err)
	}
	return conn.Close()
}

func untilServed(p *metahub.Process, roots *x509.CertPool, host string) error {
	var err error
	for deadline := time.Now().Add(2 * time.Minute); time.Now().Before(deadline); time.Sleep(2 * time.Millisecond) {
		if err = handshake(p, roots, host); err == nil {
			return nil
		}
	}
	return err
}

// untilRead waits until every certificate is in memory and known to the queue.
func untilRead(p *metahub.Process, n int) error {
	for deadline := time.Now().Add(5 * time.Minute); time.Now().Before(deadline); time.Sleep(200 * time.Millisecond) {
		if got, err := p.Metric(`metahub_certificates{state="active"}`); err == nil && got == n {
			return nil
		}
	}
	return errors.New("not all certificates are active after 5 minutes")
}

// times are how long handshakes took.
type times []time.Duration

func (t times) String() string {
	slices.Sort(t)
	return fmt.Sprintf("median %v, p99 %v", t[len(t)/2].Round(time.Microsecond), t[len(t)*99/100].Round(time.Microsecond))
}

func handshakes(p *metahub.Process, roots *x509.CertPool, n int) (times, error) {
	all := make(times, 0, n)
	for i := range n {
		began := time.Now()
		if err := handshake(p, roots, domain(i)); err != nil {
			return nil, err
		}
		all = append(all, time.Since(began))
	}
	return all, nil
}

func again(p *metahub.Process, roots *x509.CertPool, host string, n int) (times, error) {
	all := make(times, 0, n)
	for range n {
		began := time.Now()
		if err := handshake(p, roots, host); err != nil {
			return nil, err
		}
		all = append(all, time.Since(began))
	}
	return all, nil
}

func since(t time.Time) time.Duration { return time.Since(t).Round(time.Millisecond) }
