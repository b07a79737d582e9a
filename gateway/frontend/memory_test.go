package frontend

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"metahub/tenant"
)

// clock is the memory's own in a test.
type clock struct{ now atomic.Int64 }

func (c *clock) pass(d time.Duration) { c.now.Add(int64(d)) }

func withClock(s *site) *clock {
	c := &clock{}
	s.memory.now = func() time.Duration { return time.Duration(c.now.Load()) }
	return c
}

// TestDeploy changes a site in the ways in which it may change. Until trust is over the old one may be answered, and is; after it, never.
func TestDeploy(t *testing.T) {
	s, folder := newFiles(t, tenant.Files{CleanURLs: true}, map[string]string{
		"index.html": "home", "about.html": "about", "a/index.html": "a", "app.js": "code", "app.js.br": "br",
	})
	c := withClock(s)
	const br = "Accept-Encoding: br"
	f := func(path, before string, change func(), want string) {
		t.Helper()
		for range 3 {
			if a := s.get(t, path, br); a.body != before {
				t.Fatalf("%s: %d %q, want %q", path, a.status, a.body, before)
			}
			c.pass(trust) // it is looked at again, and found the same
		}
		s.get(t, path, br)
		change()
		c.pass(trust - 1)
		if a := s.get(t, path, br); a.body != before {
			t.Errorf("%s: the folder was looked at: %d %q", path, a.status, a.body)
		}
		c.pass(1)
		if a := s.get(t, path, br); want == "" && a.status != 404 || want != "" && a.body != want {
			t.Errorf("%s: %d %q, want %q", path, a.status, a.body, want)
		}
	}
	name := func(name string) string { return filepath.Join(folder, name) }
	rename := func(from, to string) {
		t.Helper()
		if err := os.Rename(from, to); err != nil {
			t.Fatal(err)
		}
	}

	f("/", "home", func() { write(t, name("index.html"), "HOME") }, "HOME") // as long, as old
	f("/", "HOME", func() { write(t, name("new"), "Home"); rename(name("new"), name("index.html")) }, "Home")
	f("/about", "about", func() { write(t, name("about"), "file") }, "file")
	f("/about", "file", func() { os.Remove(name("about")); os.Remove(name("about.html")) }, "")
	f("/a/", "a", func() { os.Remove(name("a/index.html")) }, "")
	f("/app.js", "br", func() { os.Remove(name("app.js.br")) }, "code")
	f("/app.js", "code", func() { write(t, name("app.js.br"), "BR") }, "BR")
	f("/", "Home", func() {
		write(t, name("../release/index.html"), "next")
		rename(folder, folder+".old")
		if err := os.Symlink("release", folder); err != nil {
			t.Fatal(err)
		}
	}, "next")
}

// TestFileSettled lets a file grow old enough for its version to be believed.
func TestFileSettled(t *testing.T) {
	s, folder := newFolder(t, map[string]string{"index.html": "home"})
	c := withClock(s)
	root, err := os.OpenRoot(folder)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	s.get(t, "/")
	eventually(t, "what is in memory is old enough", func() bool {
		c.pass(trust)
		s.get(t, "/")
		a, _ := s.memory.lookup(s.tenant, []byte("/"))
		return a != nil && !a.representations[0].young
	})
	before, _ := s.memory.lookup(s.tenant, []byte("/"))
	c.pass(trust)
	s.get(t, "/")
	if after, fresh := s.memory.lookup(s.tenant, []byte("/")); after != before || !fresh {
		t.Error("an unchanged file was read again")
	}
	c.pass(trust)
	write(t, filepath.Join(folder, "index.html"), "HOME")
	if a := s.get(t, "/"); a.body != "HOME" {
		t.Errorf("%q", a.body)
	}
}

// TestMemoryIsBounded asks for more than may be kept, in and over all tenants.
func TestMemoryIsBounded(t *testing.T) {
	m := newMemory(Memory{Tenant: 20 << 10, All: 50 << 10})
	tenants := make([]*tenant.Tenant, 10)
	for i := range tenants {
		tenants[i] = &tenant.Tenant{Slug: fmt.Sprint("t", i)}
	}
	file := &asset{representations: []representation{{body: make([]byte, 3<<10)}}}
	check := func() {
		t.Helper()
		var all int64
		for slug, s := range m.tenants {
			var sum int64
			for address, k := range s.files {
				sum += k.asset.cost() + int64(len(address))
			}
			if sum != s.bytes || sum > m.limits.Tenant || sum == 0 || s.queue.Len() != len(s.files) {
				t.Fatalf("%s holds %d bytes and counts %d", slug, sum, s.bytes)
			}
			all += sum
		}
		if all != m.bytes || all > m.limits.All {
			t.Fatalf("%d bytes are held, %d counted", all, m.bytes)
		}
	}
	for i := range 1000 {
		m.keep(tenants[i%len(tenants)], fmt.Sprint("/", i%37), file, 0)
		check()
	}
	// What is asked for stays while a crowd passes.
	hot := tenants[0]
	m.keep(hot, "/hot", file, 0)
	for i := range 100 {
		if a, _ := m.lookup(hot, []byte("/hot")); a == nil {
			t.Fatalf("gone after %d others", i)
		}
		m.keep(hot, fmt.Sprint("/", i), file, 0)
		check()
	}
	// A reload, a file that is too large, and one that is gone.
	reloaded := &tenant.Tenant{Slug: hot.Slug}
	if a, _ := m.lookup(reloaded, []byte("/hot")); a != nil {
		t.Error("a file of another version of the tenant")
	}
	m.keep(reloaded, "/hot", file, 0)
	check()
	m.keep(reloaded, "/large", &asset{representations: []representation{{body: make([]byte, 30<<10)}}}, 0)
	check()
	m.keep(reloaded, "/hot", file, 0)
	m.forget(reloaded, "/hot")
	m.forget(reloaded, "/never")
	check()
	if a, _ := m.lookup(reloaded, []byte("/hot")); a != nil {
		t.Error("forgotten and found")
	}
}

// TestNeighbourKeepsItsFiles lets one tenant ask for a crowd of files.
func TestNeighbourKeepsItsFiles(t *testing.T) {
	m := newMemory(Memory{Tenant: 20 << 10, All: 25 << 10})
	greedy, modest := &tenant.Tenant{Slug: "greedy"}, &tenant.Tenant{Slug: "modest"}
	file := &asset{representations: []representation{{body: make([]byte, 3<<10)}}}
	m.keep(modest, "/", file, 0)
	for i := range 1000 {
		m.keep(greedy, fmt.Sprint("/", i), file, 0)
	}
	if a, _ := m.lookup(modest, []byte("/")); a == nil {
		t.Error("the neighbour's file is gone")
	}
}

// TestMemoryUnderLoad changes a file under many readers, each of whom must get one version whole, with its tag.
func TestMemoryUnderLoad(t *testing.T) {
	content := func(i int) string { return strings.Repeat(fmt.Sprint(i%10), 1000) }
	s, folder := newFolder(t, map[string]string{"index.html": content(0)})
	withClock(s).pass(0)
	var tags sync.Map
	var readers sync.WaitGroup
	stop := make(chan struct{})
	for range 4 {
		readers.Go(func() {
			b := s.browse(t)
			defer b.Close()
			for {
				select {
				case <-stop:
					return
				default:
				}
				if _, err := b.Write([]byte("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n")); err != nil {
					t.Error(err)
					return
				}
				a := b.receive("GET")
				if a.status != 200 || len(a.body) != 1000 || strings.Trim(a.body, a.body[:1]) != "" {
					t.Errorf("%d %.40q", a.status, a.body)
					return
				}
				if body, _ := tags.LoadOrStore(string(a.header.Peek("Etag")), a.body); body != a.body {
					t.Error("two versions have one tag")
				}
			}
		})
	}
	for i := range 50 {
		write(t, filepath.Join(folder, "new"), content(i))
		if err := os.Rename(filepath.Join(folder, "new"), filepath.Join(folder, "index.html")); err != nil {
			t.Error(err)
		}
		s.memory.forget(s.tenant, "/")
	}
	close(stop)
	readers.Wait()
}

// TestFileReplacedMeanwhile changes a file between the look at it and the reading.
func TestFileReplacedMeanwhile(t *testing.T) {
	s, folder := newFolder(t, map[string]string{"small": "small", "large": strings.Repeat("x", 2*smallFile)})
	root, err := os.OpenRoot(folder)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	for _, name := range []string{"small", "large"} {
		info, err := root.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		r := survey(root, s.tenant, name, info).representations[0]
		write(t, filepath.Join(folder, "new"), strings.Repeat("y", int(info.Size())))
		if err := os.Rename(filepath.Join(folder, "new"), filepath.Join(folder, name)); err != nil {
			t.Fatal(err)
		}
		if _, err := r.open(root); !errors.Is(err, errChanged) {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := r.load(root); name == "small" && !errors.Is(err, errChanged) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
