package api_test

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/valyala/fasthttp"
	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"metahub/api"
	"metahub/api/upload"
	"metahub/store"
	"metahub/tenant"
)

// The tenants of the tests. Both have users with the same addresses and passwords.
const (
	anna = "anna"
	ben  = "ben"
)

const (
	adminEmail = "admin@example.test"
	userEmail  = "user@example.test"
	password   = "correct horse"
)

// site is an API that serves anna.test and ben.test from an embedded database, as it is served behind the gateway: streaming bodies,
// and the tenant bound to the request before it comes.
type site struct {
	t        testing.TB
	api      *api.API
	store    *store.Store
	files    *upload.Files
	folder   string // of the files
	registry *tenant.Registry
	address  string
	logs     *observer.ObservedLogs
}

func newSite(t testing.TB) *site {
	t.Helper()
	return newSiteOf(t, nil)
}

// newSiteOf is a site with models of its own.
func newSiteOf(t testing.TB, models fs.FS) *site {
	t.Helper()
	return newSiteFor(t, models, newTenant(anna), newTenant(ben))
}

// newSiteAt is a site of anna alone, whose database is at uri and has her administrator.
func newSiteAt(t testing.TB, models fs.FS, uri string) *site {
	t.Helper()
	one := newTenant(anna)
	one.Database.URI = tenant.NewSecret(uri)
	s := newSiteFor(t, models, one)
	if err := s.api.CreateUser(t.Context(), one, "Admin", adminEmail, password, "admin"); err != nil {
		t.Fatal(err)
	}
	return s
}

// newSiteFor is a site of some tenants.
func newSiteFor(t testing.TB, models fs.FS, tenants ...*tenant.Tenant) *site {
	t.Helper()
	return newSiteWith(t, api.Config{Models: models}, tenants...)
}

// newSiteWith is a site with a configuration of its own, as far as it says something.
func newSiteWith(t testing.TB, config api.Config, tenants ...*tenant.Tenant) *site {
	t.Helper()
	core, logs := observer.New(zapcore.InfoLevel)
	s := &site{
		t:        t,
		store:    store.New(store.Config{Data: t.TempDir(), Patience: patience / 2}),
		logs:     logs,
		registry: tenant.NewRegistry(tenant.NewDirectory(tenant.Gateway{}, tenants)),
	}
	t.Cleanup(func() {
		if err := s.store.Close(context.Background()); err != nil {
			t.Errorf("close the store: %v", err)
		}
	})
	var err error
	s.folder = t.TempDir()
	if s.files, err = upload.Open(s.folder); err != nil {
		t.Fatal(err)
	}
	config.Uploads, config.Store, config.Registry, config.Logger = s.files, s.store, s.registry, zap.New(core)
	if s.api, err = api.New(config); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.api.Close)
	s.api.HashCheaply()
	s.api.WaitFor(patience / 2)
	s.serve()
	t.Cleanup(s.printLogs)
	return s
}

// printLogs shows what the API has logged when a test fails.
func (s *site) printLogs() {
	if !s.t.Failed() {
		return
	}
	for _, entry := range s.logs.All() {
		s.t.Log(entry.Level, entry.Message, entry.ContextMap())
	}
}

func newTenant(slug string) *tenant.Tenant {
	return &tenant.Tenant{
		Slug:      slug,
		Brand:     "Brand of " + slug,
		Domains:   []string{slug + ".test", "www." + slug + ".test"},
		Database:  tenant.Database{Name: slug},
		JWTSecret: tenant.NewSecret("the-key-of-" + slug),
		Enabled:   true,
		Uploads:   16 << 20,
	}
}

func (s *site) serve() {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		s.t.Fatal(err)
	}
	server := &fasthttp.Server{
		StreamRequestBody:            true,
		DisablePreParseMultipartForm: true,
		Handler: func(ctx *fasthttp.RequestCtx) {
			if t, ok := s.registry.Current().Lookup([]byte(strings.Split(string(ctx.Host()), ":")[0])); ok {
				ctx.SetUserValue(tenant.ContextKey, t)
			}
			s.api.Handle(ctx)
		},
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	s.address = listener.Addr().String()
	s.t.Cleanup(func() {
		http.DefaultClient.CloseIdleConnections()
		s.api.EndStreams()
		if err := server.Shutdown(); err != nil {
			s.t.Errorf("shut down: %v", err)
		}
		listener.Close() // Shutdown before Serve has begun closes nothing
		<-served
	})
}

func (s *site) tenant(slug string) *tenant.Tenant {
	t, ok := s.registry.Current().Tenant([]byte(slug))
	if !ok {
		s.t.Fatalf("there is no tenant %q", slug)
	}
	return t
}

// addUsers gives a tenant an admin and a user.
func (s *site) addUsers(slug string) {
	s.t.Helper()
	for email, role := range map[string]string{adminEmail: "admin", userEmail: "user"} {
		if err := s.api.CreateUser(s.t.Context(), s.tenant(slug), "Name of "+role, email, password, role); err != nil {
			s.t.Fatal(err)
		}
	}
}

// patience is how long a test waits for what it does not measure, on a machine that has much else to do.
const patience = time.Minute

// past runs op as another program would, past the API.
func (s *site) past(slug string, op func(context.Context, *mongo.Database) error) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	if err := s.store.Do(ctx, s.tenant(slug), op); err != nil {
		s.t.Fatal(err)
	}
}

// insert writes documents past the API.
func (s *site) insert(slug, collection string, documents ...bson.D) {
	s.t.Helper()
	s.past(slug, func(ctx context.Context, db *mongo.Database) error {
		_, err := db.Collection(collection).InsertMany(ctx, documents)
		return err
	})
}

// stored reads one document past the API.
func (s *site) stored(slug, collection string, filter bson.D) (document bson.M) {
	s.t.Helper()
	s.past(slug, func(ctx context.Context, db *mongo.Database) error {
		return db.Collection(collection).FindOne(ctx, filter).Decode(&document)
	})
	return document
}

// answer is what came back.
type answer struct {
	status int
	header http.Header
	body   string
}

// send sends one request to a tenant. Headers are "Name: value".
func (s *site) send(slug, method, path, body string, headers ...string) answer {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	var reader io.Reader
	if body != "" {
		reader = strings.NewReader(body)
	}
	request, err := http.NewRequestWithContext(ctx, method, "http://"+s.address+path, reader)
	if err != nil {
		s.t.Fatal(err)
	}
	request.Host = slug + ".test:8443"
	request.Header.Set("X-Request-ID", "request-1")
	if body != "" {
		request.Header.Set("Content-Type", "application/json")
	}
	for _, header := range headers {
		name, value, _ := strings.Cut(header, ": ")
		if name == "Transfer-Encoding" {
			request.ContentLength = -1
			continue
		}
		request.Header.Set(name, value)
	}
	response, err := http.DefaultClient.Do(request)
	for again := 0; again < 20 && (errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)); again++ { // refused before all of it was sent, and the answer overtaken by that
		request.Body = io.NopCloser(strings.NewReader(body))
		response, err = http.DefaultClient.Do(request)
	}
	if err != nil {
		s.t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return answer{response.StatusCode, response.Header, string(text)}
}

// signIn returns a bearer header for a user.
func (s *site) signIn(slug, email string) string {
	s.t.Helper()
	return "Authorization: Bearer " + s.token(slug, email)
}

func (s *site) token(slug, email string) string {
	s.t.Helper()
	got := s.send(slug, "POST", "/api/users/login", `{"email":"`+email+`","password":"`+password+`"}`)
	if got.status != 200 {
		s.t.Fatalf("sign in: %d %s", got.status, got.body)
	}
	return text(s.t, got.body, "token")
}

// sendChunked sends a body without saying how long it is.
func (s *site) sendChunked(slug, path, body string, headers ...string) answer {
	s.t.Helper()
	return s.send(slug, "POST", path, body, append(headers, "Transfer-Encoding: chunked")...)
}
