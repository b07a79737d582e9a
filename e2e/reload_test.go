package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

const (
	untouched   = 8  // tenants that stand in every version of the file
	changing    = 20 // tenants that come, go and swap their domains
	rewrites    = 200
	connections = 64
)

// echoTenant is a frontend that answers with the tenant that the gateway wrote.
func echoTenant(t *testing.T) string {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = fmt.Fprintf(w, "%s %s", r.Header.Get("X-Tenant"), strings.Join(r.Header.Values("X-Tenant"), ","))
	}))
	t.Cleanup(server.Close)
	return server.URL
}

// version writes one good tenants.yaml: the untouched tenants always, of the others some, with their domains shuffled.
func version(frontend string, random *rand.Rand) string {
	var b strings.Builder
	fmt.Fprintf(&b, "defaults:\n  frontend: %s\ntenants:\n", frontend)
	for i := range untouched {
		fmt.Fprintf(&b, "  - slug: still-%d\n    domains: [still-%d.localhost]\n", i, i)
	}
	domains := random.Perm(changing)
	for i := range changing {
		if random.IntN(4) > 0 {
			fmt.Fprintf(&b, "  - slug: moving-%d\n    domains: [moving-%d.localhost]\n", i, domains[i])
		}
	}
	return b.String()
}

// breakIt is what a crashed editor, a full disk or a typing mistake leaves.
func breakIt(good string, random *rand.Rand) string {
	switch random.IntN(5) {
	case 0:
		return ""
	case 1:
		return good[:strings.LastIndex(good, "domains")] // cut within the last tenant
	case 2:
		return strings.Replace(good, "tenants:", "tenants: {", 1)
	case 3:
		return strings.Replace(good, "slug: moving", "slgu: moving", 1)
	default:
		return "\x00\xff" + good
	}
}

// 64 connections of load go on while tenants.yaml is rewritten 200 times, a third of the versions broken: no request to an untouched
// tenant fails, and no answer is another tenant's.
func TestReloadUnderLoad(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	frontend := echoTenant(t)
	p := start(t, version(frontend, random))
	_, port, _ := net.SplitHostPort(p.https)

	ctx, stop := context.WithCancel(t.Context())
	var load sync.WaitGroup
	var served, failed, moved atomic.Int64
	for c := range connections {
		load.Go(func() {
			client := p.client([]string{"HTTP/1.1", "HTTP/2.0"}[c%2])
			slug := fmt.Sprintf("still-%d", c%untouched)
			for ctx.Err() == nil {
				a, err := try(client, "GET", "https://"+slug+".localhost:"+port+"/", "", "X-Tenant: still-0")
				if err != nil || a.Status != 200 || string(a.Body) != slug+" "+slug {
					failed.Add(1)
					t.Errorf("%s: %v %d %q", slug, err, a.Status, a.Body)
					return
				}
				served.Add(1)
			}
		})
	}
	load.Go(func() {
		for ctx.Err() == nil {
			client := p.client("HTTP/1.1")
			host := fmt.Sprintf("moving-%d.localhost", moved.Load()%changing)
			a, err := try(client, "GET", "https://"+host+":"+port+"/", "")
			moved.Add(1)
			if err == nil && a.Status == 200 && !strings.HasPrefix(string(a.Body), "moving-") {
				t.Errorf("%s was answered with %q", host, a.Body)
			}
			client.CloseIdleConnections()
		}
	})

	file := filepath.Join(p.folder, "tenants.yaml")
	pause := time.NewTicker(60 * time.Millisecond)
	defer pause.Stop()
	for i := range rewrites {
		content := version(frontend, random)
		if i%3 == 2 {
			content = breakIt(content, random)
		}
		if i%2 == 0 {
			p.writeConfig(content)
		} else {
			beside := file + ".new"
			if err := os.WriteFile(beside, []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Rename(beside, file); err != nil {
				t.Fatal(err)
			}
		}
		if i%10 == 0 {
			_ = p.cmd.Process.Signal(syscall.SIGHUP)
		}
		<-pause.C
		if i%20 == 19 { // let this version come into force before the next
			for range 8 {
				<-pause.C
			}
		}
	}
	last := version(frontend, random) + "  - slug: last\n    domains: [last.localhost]\n"
	saved := time.Now()
	p.writeConfig(last)
	client := p.client("HTTP/1.1")
	eventually(t, 30*time.Second, "the last version to be served", func() error {
		a, err := try(client, "GET", "https://last.localhost:"+port+"/", "")
		if err != nil {
			return err
		}
		if string(a.Body) != "last last" {
			return fmt.Errorf("%d %q", a.Status, a.Body)
		}
		return nil
	})
	t.Logf("the last version was served %v after the save", time.Since(saved).Round(time.Millisecond))
	stop()
	load.Wait()
	t.Logf("%d requests to untouched tenants, %d failed; %d requests to tenants that moved", served.Load(), failed.Load(), moved.Load())
	if served.Load() == 0 {
		t.Error("no load reached the gateway")
	}
}

// A tenant at fault keeps its last good version and is flagged, while its neighbour's change is taken; a restart on the broken file
// serves both.
func TestFaultyTenantKeepsItsLastGoodVersion(t *testing.T) {
	frontend := echoTenant(t)
	config := func(one, two string) string {
		return fmt.Sprintf("tenants:\n  - slug: one\n    domains: [one.localhost]\n    frontend: %s\n  - slug: two\n    domains: [%s]\n    frontend: %s\n", one, two, frontend)
	}
	p := start(t, config(frontend, "two.localhost"))
	_, port, _ := net.SplitHostPort(p.https)
	client := p.client("HTTP/1.1")
	serves := func(host, slug string) func() error {
		return func() error {
			a, err := try(client, "GET", "https://"+host+":"+port+"/", "")
			if err != nil {
				return err
			}
			if string(a.Body) != slug+" "+slug {
				return fmt.Errorf("%d %q", a.Status, a.Body)
			}
			return nil
		}
	}
	p.writeConfig(config("gopher://nowhere", "zwei.localhost"))
	eventually(t, 30*time.Second, "the good change beside the fault", serves("zwei.localhost", "two"))
	if err := serves("one.localhost", "one")(); err != nil {
		t.Errorf("the tenant at fault: %v", err)
	}
	flagged := func() error {
		resp, err := http.Get("http://" + p.admin + "/readyz")
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		var ready any
		if err := json.NewDecoder(resp.Body).Decode(&ready); err != nil {
			return err
		}
		if text := fmt.Sprint(ready); resp.StatusCode != 200 || !strings.Contains(text, "one") || !strings.Contains(text, "gopher") {
			return fmt.Errorf("/readyz: %d %v", resp.StatusCode, ready)
		}
		return nil
	}
	eventually(t, 30*time.Second, "/readyz to flag the tenant", flagged)

	p.kill()
	p.run()
	client = p.client("HTTP/1.1")
	for host, slug := range map[string]string{"one.localhost": "one", "zwei.localhost": "two"} {
		if err := serves(host, slug)(); err != nil {
			t.Errorf("after a restart on the broken file, %s: %v", host, err)
		}
	}
}
