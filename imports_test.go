package main

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// rooms says which of our packages each room may import besides its own; docs/architecture.md explains why. A room that is missing
// here may import none of ours.
var rooms = map[string][]string{
	".":           {"cli"},
	"cli":         {"tenant", "gateway", "api", "store", "admin"},
	"gateway":     {"tenant", "conditional"},
	"api":         {"tenant", "store", "conditional"},
	"store":       {"tenant"},
	"admin":       {"tenant"},
	"tenant":      {},
	"conditional": {},
	"bench":       {"gateway", "cli"}, // what it makes must be what the gateway reads; the profile is one of the whole server
}

// homes says where a library lives that the whole project relies on, so that it can be replaced in one place.
var homes = map[string][]string{
	"github.com/spf13/viper":              {"tenant"},
	"github.com/fsnotify/fsnotify":        {"tenant", "gateway/certificate"},
	"github.com/caddyserver/certmagic":    {"gateway/certificate"},
	"github.com/mholt/acmez":              {"gateway/certificate"},
	"github.com/libdns":                   {"gateway/certificate/issuer"},
	"github.com/miekg/dns":                {"gateway/certificate"},
	"github.com/letsencrypt":              {"gateway/certificate/acmetest"},
	"github.com/smallstep/truststore":     {"gateway/certificate"},
	"go.mongodb.org/mongo-driver":         {"store", "api", "gateway/certificate/storage", "bench/mongod"},
	"github.com/FerretDB/FerretDB":        {"store"},
	"github.com/valyala/fasthttp":         {"gateway", "api", "conditional"},
	"github.com/klauspost/compress":       {"gateway/compress", "store"},
	"github.com/andybalholm/brotli":       {"gateway/compress"},
	"github.com/maypok86/otter":           {"gateway/cache"},
	"github.com/quic-go":                  {"gateway", "bench/flood"},
	"github.com/pires/go-proxyproto":      {"gateway"},
	"github.com/golang-jwt/jwt":           {"api"},
	"github.com/wneessen/go-mail":         {"api/mail"},
	"github.com/spf13/cobra":              {"cli"},
	"github.com/prometheus/client_golang": {"admin"},
}

// TestImports keeps every room to the doors that the architecture gives it. Tests may look into other rooms; e2e has nothing else.
func TestImports(t *testing.T) {
	seen := map[string]bool{}
	err := filepath.WalkDir(".", func(file string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && file != "." && (strings.HasPrefix(entry.Name(), ".") || entry.Name() == "testdata"):
			return fs.SkipDir
		case !strings.HasSuffix(file, ".go") || strings.HasSuffix(file, "_test.go"):
			return nil
		}
		folder := path.Dir(filepath.ToSlash(file))
		seen[room(folder)] = true
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		for _, spec := range parsed.Imports {
			imported, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			if fault := forbidden(folder, imported); fault != "" {
				t.Errorf("%s: %s", file, fault)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for name := range rooms {
		if !seen[name] {
			t.Errorf("room %q holds no Go file: the rules above speak of a room that is not there", name)
		}
	}
}

func TestForbidden(t *testing.T) {
	f := func(folder, imported string, want bool) {
		t.Helper()
		if got := forbidden(folder, imported); (got != "") != want {
			t.Errorf("forbidden(%q, %q) = %q, want a fault: %v", folder, imported, got, want)
		}
	}
	// a room reaches down the stream only
	f("gateway", "metahub/tenant", false)
	f("gateway", "metahub/api", true)
	f("gateway/frontend", "metahub/gateway/page", false)
	f("gateway/frontend", "metahub/store", true)
	f("tenant", "metahub/store", true)
	f("admin", "metahub/gateway", true)
	f("elsewhere", "metahub/tenant", true)
	// a library stays in its home, and in the folders below it
	f("tenant", "github.com/spf13/viper", false)
	f("cli", "github.com/spf13/viper", true)
	f("api/bsonjson", "go.mongodb.org/mongo-driver/v2/bson", false)
	f("gateway", "go.mongodb.org/mongo-driver/v2/bson", true)
	f("gateway", "github.com/caddyserver/certmagic", true)
	f("gateway/certificate", "github.com/caddyserver/certmagic", false)
	// a name that only begins alike is another library
	f("cli", "github.com/spf13/viperlike", false)
	f("api", "metahubish/x", false)
}

// forbidden returns why folder may not import a package, or "".
func forbidden(folder, imported string) string {
	if ours, ok := strings.CutPrefix(imported, "metahub/"); ok {
		return forbiddenRoom(room(folder), room(ours))
	}
	for library, folders := range homes {
		if within(imported, library) && !anyWithin(folder, folders) {
			return strconv.Quote(imported) + " lives in " + strings.Join(folders, " and ") + " only"
		}
	}
	return ""
}

func forbiddenRoom(from, to string) string {
	if from == to || anyWithin(to, rooms[from]) {
		return ""
	}
	return "room " + strconv.Quote(from) + " may not import room " + strconv.Quote(to)
}

func anyWithin(name string, folders []string) bool {
	for _, folder := range folders {
		if within(name, folder) {
			return true
		}
	}
	return false
}

func within(name, folder string) bool {
	return name == folder || strings.HasPrefix(name, folder+"/")
}

// room is the first part of a folder inside the module.
func room(folder string) string {
	name, _, _ := strings.Cut(folder, "/")
	return name
}
