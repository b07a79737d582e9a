package shelf

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"metahub/gateway/certificate/record"
	"metahub/gateway/certificate/ring"
	"metahub/tenant"
)

const (
	// manyCertificates says how many TestMany makes, 2,000 where it is not set; docs/certificates.md quotes 100,000.
	manyCertificates = "METAHUB_TEST_CERTIFICATES"
	// manyFolder tells the process that is measured where they are.
	manyFolder = "METAHUB_TEST_SHELF_FOLDER"
)

// figures are what a process with many certificates costs.
type figures struct {
	Certificates, Tenants      int
	Listed, Announced, Touched int64 // resident bytes: with the directory; after Expect; after every host was asked for once
	Peak                       int64
	Stats                      Stats // then

	Expect                    time.Duration // of all
	LoadP50, LoadP99, LoadMax time.Duration // the first lookup of a host: Load, parse, pack
	ColdP50, ColdP99, ColdMax time.Duration // a packed one
	Put                       time.Duration // of one
	Warm, WarmMany            time.Duration // of one host, and of up to 1,000 by turns
	Parallel, ParallelMany    time.Duration // the same on all processors, per lookup
}

// TestMany puts many real certificates on disk and has a process of its own serve them, so that no memory of the test is counted.
func TestMany(t *testing.T) {
	n := 2000
	if text := os.Getenv(manyCertificates); text != "" {
		n = must(strconv.Atoi(text))
	}
	if folder := os.Getenv(manyFolder); folder != "" {
		json.NewEncoder(os.Stdout).Encode(measure(t, folder, n))
		return
	}
	folder := t.TempDir()
	issueMany(t, folder, n)
	command := exec.Command(os.Args[0], "-test.run=^TestMany$", "-test.count=1")
	command.Env = append(os.Environ(), manyFolder+"="+folder, manyCertificates+"="+strconv.Itoa(n))
	out, err := command.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	var got figures
	if err := json.NewDecoder(strings.NewReader(string(out))).Decode(&got); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	t.Logf("%+v", got)
	if got.Stats.Packed != n || got.Stats.Expected != 0 || got.Stats.Loaded != uint64(n) || got.Stats.Parsed > defaultCapacity {
		t.Errorf("stats %+v", got.Stats)
	}
	if perCertificate := got.Stats.Bytes / n; perCertificate > 1500 && n > 1 {
		t.Errorf("%d bytes a certificate", perCertificate)
	}
	if bound := int64(100<<20 + 2000*n); runtime.GOOS == "linux" && got.Peak > bound {
		t.Errorf("%d MiB resident at the peak, want below %d", got.Peak>>20, bound>>20)
	}
}

func hostOf(i int) string { return fmt.Sprintf("www.kunde-%06d.example.de", i) }

func fileOf(folder, domain string) string {
	return filepath.Join(folder, filepath.FromSlash(record.StorageKey(domain)))
}

func issueMany(t *testing.T, folder string, n int) {
	a := newAuthority(t, "E7")
	if err := os.MkdirAll(filepath.Join(folder, record.Folder), 0o755); err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	workers := runtime.GOMAXPROCS(0)
	for worker := range workers {
		all.Go(func() {
			for i := worker; i < n; i += workers {
				if err := os.WriteFile(fileOf(folder, hostOf(i)), a.simple(t, hostOf(i)), 0o600); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
}

// measure does what a gateway does: it lists the hosts, announces what is stored, and answers for each host.
func measure(t *testing.T, folder string, n int) (f figures) {
	directory := directoryOf(n)
	f.Certificates, f.Tenants = n, len(directory.Tenants())
	f.Listed = resident("VmRSS")

	s := New(Config{Load: func(domain string) ([]byte, error) { return os.ReadFile(fileOf(folder, domain)) }})
	start := time.Now()
	for _, t := range directory.Tenants() {
		s.Expect(t.Domains...)
	}
	f.Expect = time.Since(start)
	f.Announced = resident("VmRSS")

	f.LoadP50, f.LoadP99, f.LoadMax = timeLookups(t, s, n)
	f.Touched = resident("VmRSS")
	f.Stats = s.Stats()
	for i := range s.shards {
		s.shards[i].parsed = ring.New[ready](defaultCapacity / shards)
	}
	f.ColdP50, f.ColdP99, f.ColdMax = timeLookups(t, s, n)
	f.Put = timePuts(t, s, folder, n)
	many, processors := min(n, 1000), runtime.GOMAXPROCS(0)
	f.Warm, f.WarmMany = timeWarm(s, 1, 1), timeWarm(s, many, 1)
	f.Parallel, f.ParallelMany = timeWarm(s, 1, processors), timeWarm(s, many, processors)
	f.Peak = resident("VmHWM")
	runtime.KeepAlive(directory)
	return f
}

func directoryOf(n int) *tenant.Directory {
	var tenants []*tenant.Tenant
	for i := 0; i < n; i += 5 {
		own := &tenant.Tenant{Slug: fmt.Sprintf("kunde-%06d", i), Enabled: true}
		for j := i; j < min(i+5, n); j++ {
			own.Domains = append(own.Domains, hostOf(j))
		}
		tenants = append(tenants, own)
	}
	return tenant.NewDirectory(tenant.Gateway{}, tenants)
}

// timeLookups asks for each host once, in random order.
func timeLookups(t *testing.T, s *Shelf, n int) (p50, p99, longest time.Duration) {
	order := rand.Perm(n)
	times := make([]time.Duration, 0, n)
	for _, i := range order {
		key := []byte(hostOf(i))
		start := time.Now()
		certificate := s.Lookup(key, start)
		times = append(times, time.Since(start))
		if certificate == nil {
			t.Fatalf("no certificate for %q", key)
		}
	}
	slices.Sort(times)
	return times[n/2], times[n*99/100], times[n-1]
}

// timePuts renews some hosts with what they have.
func timePuts(t *testing.T, s *Shelf, folder string, n int) time.Duration {
	count := min(n, 2000)
	var sum time.Duration
	for i := range count {
		text, err := os.ReadFile(fileOf(folder, hostOf(i)))
		if err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		put(t, s, hostOf(i), text)
		sum += time.Since(start)
	}
	return sum / time.Duration(count)
}

// timeWarm asks for parsed certificates, the same few hosts again and again, from a number of goroutines at once.
func timeWarm(s *Shelf, hosts, workers int) time.Duration {
	const rounds = 200_000
	keys, now := make([][]byte, hosts), time.Now()
	for i := range keys {
		keys[i] = []byte(hostOf(i))
		s.Lookup(keys[i], now)
	}
	start := time.Now()
	var all sync.WaitGroup
	for range workers {
		all.Go(func() {
			for i := range rounds {
				s.Lookup(keys[i%hosts], now)
			}
		})
	}
	all.Wait()
	return time.Since(start) / time.Duration(rounds*workers)
}

// resident reads a field of /proc/self/status, in bytes; 0 where there is none. What the garbage collector has freed and the system has
// not got back yet is counted, as it is by whoever looks at the process.
func resident(field string) int64 {
	status, _ := os.ReadFile("/proc/self/status")
	_, rest, _ := strings.Cut(string(status), field+":")
	line, _, _ := strings.Cut(rest, "\n")
	kB, _ := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(line), " kB"), 10, 64)
	return kB << 10
}
