package tenant

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/zap"
)

// patienceOfTests is how long a test waits for what must come; it comes in milliseconds on an idle machine.
const patienceOfTests = 20 * time.Second

// soon is a settle or poll time that does not hold up a test.
const soon = 20 * time.Millisecond

// run runs the Reloader until the end of the test. With a poll time of an hour only events of the file system can tell of a change.
func (s *site) run(settle, poll time.Duration) {
	s.Helper()
	s.settle, s.poll = settle, poll
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Reloader.Run(ctx) }()
	s.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			s.Errorf("Run ends with %v", err)
		}
	})
}

// await waits until the condition holds.
func (s *site) await(what string, holds func() bool) {
	s.Helper()
	deadline := time.Now().Add(patienceOfTests)
	for !holds() {
		if time.Now().After(deadline) {
			s.Fatalf("%s does not come; the last verdict is %+v", what, s.Verdict())
		}
		time.Sleep(time.Millisecond)
	}
}

// awaitPort waits until tenant a's frontend is on a port.
func (s *site) awaitPort(port string) {
	s.Helper()
	s.await("port "+port, func() bool {
		t, ok := s.Registry().Current().Tenant([]byte("a"))
		return ok && t.Frontend.URL != nil && t.Frontend.URL.Port() == port
	})
}

func onPort(port string) string { return strings.Replace(threeTenants, "3001", port, 1) }

func TestRunSeesEveryWayOfSaving(t *testing.T) {
	for _, poll := range []time.Duration{time.Hour, soon} {
		t.Run("poll every "+poll.String(), func(t *testing.T) {
			s := open(t, threeTenants)
			s.run(soon, poll)
			s.awaitWatch()
			// written in place
			writeFile(t, s.path, onPort("4001"))
			s.awaitPort("4001")
			// written beside and renamed
			writeFile(t, s.path+".new", onPort("4002"))
			rename(t, s.path+".new", s.path)
			s.awaitPort("4002")
			// removed, seen as such, and made again
			remove(t, s.path)
			s.await("a fault", func() bool { return !s.Verdict().OK })
			writeFile(t, s.path, onPort("4003"))
			s.awaitPort("4003")
			// moved away and made again, as some editors do
			rename(t, s.path, s.path+"~")
			writeFile(t, s.path, onPort("4004"))
			s.awaitPort("4004")
			// broken, truncated and empty in between
			for _, broken := range []string{"tenants: [\n", threeTenants[:40], ""} {
				writeFile(t, s.path, broken)
				s.await("a fault", func() bool { return !s.Verdict().OK })
				s.serves("a=a.example.com", "b=b.example.com", "c=c.example.com")
				writeFile(t, s.path, onPort("4005"))
				s.await("a good verdict", func() bool { return s.Verdict().OK })
				s.awaitPort("4005")
			}
		})
	}
}

// awaitWatch waits until Run has begun to watch, by changing a comment until that is seen.
func (s *site) awaitWatch() {
	s.Helper()
	s.await("the watch", func() bool {
		before := s.Verdict().Time
		writeFile(s.T, s.path, threeTenants+"# "+time.Now().String()+"\n")
		deadline := time.Now().Add(200 * time.Millisecond)
		for time.Now().Before(deadline) {
			if s.Verdict().Time != before {
				return true
			}
			time.Sleep(time.Millisecond)
		}
		return false
	})
}

func TestRunFollowsSymbolicLinks(t *testing.T) {
	folder := t.TempDir()
	at := func(version string) string { return filepath.Join(folder, version) }
	// the way in which Kubernetes mounts a ConfigMap: tenants.yaml → ..data/tenants.yaml, ..data → ..1
	writeFile(t, filepath.Join(at("..1"), "tenants.yaml"), threeTenants)
	writeFile(t, filepath.Join(at("..2"), "tenants.yaml"), onPort("4001"))
	symlink(t, "..1", at("..data"))
	symlink(t, filepath.Join("..data", "tenants.yaml"), at("tenants.yaml"))
	r, err := Open(Source{Path: at("tenants.yaml")}, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	s := &site{t, r, at("tenants.yaml")}
	s.run(soon, soon)
	symlink(t, "..2", at("..data_tmp"))
	rename(t, at("..data_tmp"), at("..data"))
	s.awaitPort("4001")
	// a change of the file behind the link
	writeFile(t, filepath.Join(at("..2"), "tenants.yaml"), onPort("4002"))
	s.awaitPort("4002")
}

func TestRunSeesIncludedAndEnvFiles(t *testing.T) {
	folder := t.TempDir()
	at := func(name string) string { return filepath.Join(folder, name) }
	writeFile(t, at("env/.env.a"), "BRAND_NAME=One\n")
	writeFile(t, at("secret"), "one\n")
	writeFile(t, at("tenants.yaml"), "gateway: {env_dir: env}\ninclude: tenants.d/*.yaml\ntenants:\n"+
		"  - {slug: a, domains: [a.example.com], jwt_secret: \"file:secret\"}\n  - {slug: b, domains: [b.example.com], frontend: \"dir:site\"}\n")
	r, err := Open(Source{Path: at("tenants.yaml")}, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	s := &site{t, r, at("tenants.yaml")}
	s.judge(s.Verdict(), false, "a", "", "", "b")
	s.run(soon, soon)

	writeFile(t, at("env/.env.a"), "BRAND_NAME=Two, and longer\n")
	s.await("the brand", func() bool { return s.tenant("a").Brand == "Two, and longer" })
	writeFile(t, at("secret"), "another\n")
	s.await("the secret", func() bool { return s.tenant("a").JWTSecret.Reveal() == "another" })
	if err := os.Mkdir(at("site"), 0o700); err != nil {
		t.Fatal(err)
	}
	s.await("the folder", func() bool { return s.Verdict().OK })
	writeFile(t, at("tenants.d/d.yaml"), "tenants:\n  - {slug: d, domains: [d.example.com]}\n")
	s.await("tenant d", func() bool { _, ok := s.Registry().Current().Tenant([]byte("d")); return ok })
	writeFile(t, at("env/.env.d"), "BRAND_NAME=D\n")
	s.await("the brand of d", func() bool { return s.tenant("d").Brand == "D" })
	remove(t, at("tenants.d/d.yaml"))
	s.await("the end of tenant d", func() bool { _, ok := s.Registry().Current().Tenant([]byte("d")); return !ok })
}

func TestRunOutlivesItsFolder(t *testing.T) {
	s := open(t, threeTenants)
	s.run(soon, soon)
	folder := filepath.Dir(s.path)
	if err := os.RemoveAll(folder); err != nil {
		t.Fatal(err)
	}
	s.await("a fault", func() bool { return !s.Verdict().OK })
	writeFile(t, s.path, onPort("4001"))
	s.awaitPort("4001")
	writeFile(t, s.path, onPort("4002"))
	s.awaitPort("4002")
}

// TestRunWaitsForTheWholeFile goes on writing a file for several settle times. A reload in the midst of it would remove tenants.
//
// The writer must go on within a settle time, for which a machine can be too busy: then it begins anew.
func TestRunWaitsForTheWholeFile(t *testing.T) {
	const settle = 5 * soon
	for tries := 5; ; tries-- {
		s := open(t, threeTenants)
		s.run(time.Second, settle)
		began, last, longest := s.Verdict().Time, time.Now(), time.Duration(0)
		for i := range 150 {
			writeFile(t, s.path, strings.Repeat("# a comment that grows\n", i+1)+"tenants:\n  - {slug: a, domains: [a.example.com]}\n")
			now := time.Now()
			longest, last = max(longest, now.Sub(last)), now
			time.Sleep(soon / 4) // the pace of the writer, not a wait for an outcome
		}
		writeFile(t, s.path, onPort("4001"))
		longest = max(longest, time.Since(last))
		s.awaitPort("4001")
		v := s.Verdict()
		if len(v.Added) == 0 && len(v.Removed) == 0 && v.Time.After(began) {
			return
		}
		if longest < settle/2 || tries == 1 {
			t.Fatalf("the file was read in the midst of its writing, in which the longest pause was %v: %+v", longest, v)
		}
	}
}

func TestReadersNeverSeeHalfADirectory(t *testing.T) {
	s := open(t, threeTenants)
	s.run(soon, soon)
	writes := 200
	if testing.Short() {
		writes = 50
	}
	var stop atomic.Bool
	var lookups atomic.Int64
	var readers sync.WaitGroup
	for range 8 {
		readers.Go(func() {
			host := []byte("a.example.com")
			for !stop.Load() {
				d := s.Registry().Current()
				// a is in every version, with whatever host
				tenant, ok := d.Lookup(host)
				if !ok || tenant.Slug != "a" || tenant.Domains[0] != "a.example.com" {
					t.Errorf("a.example.com leads to %v", tenant)
					return
				}
				for _, other := range d.Tenants() {
					if found, ok := d.Lookup([]byte(other.Domains[0])); !ok || found != other {
						t.Errorf("%q leads to %v", other.Domains[0], found)
						return
					}
				}
				_ = s.Verdict().Flagged
				lookups.Add(1)
			}
		})
	}
	random := rand.New(rand.NewPCG(7, 7))
	for i := range writes {
		yaml := manyTenants(random, i)
		switch i % 6 {
		case 1:
			yaml = "" // empty
		case 3:
			yaml = yaml[:len(yaml)-1-random.IntN(len(yaml)/2)] // truncated
			if !strings.Contains(yaml, "[a.example.com]") {
				yaml = "tenants: [" // broken
			}
		}
		writeFile(t, s.path, yaml)
		if i%5 == 0 {
			s.Reload()
		}
	}
	final := manyTenants(random, writes)
	writeFile(t, s.path, final)
	s.await("the last version", func() bool {
		v := s.Verdict()
		return v.OK && s.tenant("a").Brand == fmt.Sprint("Version ", writes)
	})
	stop.Store(true)
	readers.Wait()
	if lookups.Load() == 0 {
		t.Error("nobody has looked anything up")
	}
	checkApart(t, s.Registry().Current())
}

// manyTenants declares a, and others that come, go and swap their hosts.
func manyTenants(random *rand.Rand, version int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "tenants:\n  - slug: a\n    brand: Version %d\n    domains: [a.example.com]\n", version)
	hosts := random.Perm(20)
	for i, host := range hosts[:random.IntN(20)] {
		fmt.Fprintf(&b, "  - slug: t%d\n    domains: [h%d.example.com, \"*.h%d.example.com\"]\n", i, host, host)
	}
	return b.String()
}

func rename(t *testing.T, from, to string) {
	t.Helper()
	if err := os.Rename(from, to); err != nil {
		t.Fatal(err)
	}
}

func remove(t *testing.T, path string) {
	t.Helper()
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
}

func symlink(t *testing.T, target, path string) {
	t.Helper()
	if err := os.Symlink(target, path); err != nil {
		t.Fatal(err)
	}
}
