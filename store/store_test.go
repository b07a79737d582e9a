package store_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"metahub/store"
	"metahub/tenant"
)

func TestTenantsAreApart(t *testing.T) {
	f := func(name, uri string) {
		t.Run(name, func(t *testing.T) {
			s := open(t, store.Config{Patience: patience})
			a, b := newTenant("a", uri), newTenant("b", uri)
			insert(t, s, a, "only-a")
			if got := count(t, s, a); got != 1 {
				t.Errorf("got %d documents at a, want 1", got)
			}
			if got := count(t, s, b); got != 0 {
				t.Errorf("got %d documents at b, want 0", got)
			}
			if got := len(s.Status()); got != 1 {
				t.Errorf("got %d deployments, want 1 for both tenants", got)
			}
		})
	}
	f("embedded", "")
	f("shared server", startServer(t).uri(""))
}

// The database's name is the tenant's, whatever the URI says.
func TestDatabaseName(t *testing.T) {
	s := open(t, store.Config{Patience: patience})
	tn := newTenant("slug", startServer(t).uri("other"))
	tn.Database.Name = "chosen"
	err := s.Do(t.Context(), tn, func(_ context.Context, db *mongo.Database) error {
		if db.Name() != "chosen" {
			t.Errorf("got database %q, want chosen", db.Name())
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// A reload that changes something else about a tenant keeps its client.
func TestReloadKeepsClient(t *testing.T) {
	s := open(t, store.Config{Patience: patience})
	uri := startServer(t).uri("db")
	insert(t, s, newTenant("a", uri), "1")
	since := s.Status()[0].Since
	changed := newTenant("a", uri+"?appName=other&maxPoolSize=3")
	changed.Brand, changed.JWTSecret = "New", tenant.NewSecret("new")
	insert(t, s, changed, "2")
	if status := s.Status(); len(status) != 1 || status[0].Since != since {
		t.Errorf("got %+v, want the deployment of before", status)
	}
}

func TestFirstUseAtOnce(t *testing.T) {
	core, logs := observer.New(zapcore.DebugLevel)
	s := open(t, store.Config{Logger: zap.New(core), Patience: patience})
	uri := startServer(t).uri("")
	var running sync.WaitGroup
	for range 16 {
		running.Go(func() { insert(t, s, newTenant("a", uri), "x") })
	}
	running.Wait()
	if got := logs.FilterMessage("the client is made").Len(); got != 1 {
		t.Errorf("got %d clients, want 1", got)
	}
	if got := count(t, s, newTenant("a", uri)); got != 16 {
		t.Errorf("got %d documents, want 16", got)
	}
}

func TestIdleClientsAreClosed(t *testing.T) {
	srv := startServer(t)
	s := open(t, store.Config{Idle: 50 * time.Millisecond, Patience: patience})
	for _, uri := range []string{srv.uri("db"), ""} {
		tn := newTenant("a", uri)
		for range 2 { // and made again
			insert(t, s, tn, "x")
			eventually(t, "no deployment left", func() bool { return len(s.Status()) == 0 })
			eventually(t, "no connection left", func() bool { return srv.connections() == 0 })
		}
		if got := count(t, s, tn); got != 2 {
			t.Errorf("got %d documents, want 2", got)
		}
	}
}

// A tenant whose URI changes again and again leaves no client behind, also where nobody answers.
func TestChangedURIsLeaveNothing(t *testing.T) {
	srv, dead := startServer(t), refused(t)
	s := open(t, store.Config{Idle: 50 * time.Millisecond, Patience: patience})
	insert(t, s, newTenant("a", srv.uri("db")), "x")
	eventually(t, "no deployment left", func() bool { return len(s.Status()) == 0 })
	goroutines := runtime.NumGoroutine()
	for n := range 50 {
		option := fmt.Sprint("?localThresholdMS=", n)
		insert(t, s, newTenant("a", srv.uri("db")+option), "x")
		if n == 0 {
			mustBeUnavailable(t, s.Do(t.Context(), newTenant("a", dead+option), ping))
		}
	}
	eventually(t, "no deployment left", func() bool { return len(s.Status()) == 0 })
	eventually(t, "no connection left", func() bool { return srv.connections() == 0 })
	eventually(t, "all goroutines are gone", func() bool { return runtime.NumGoroutine() <= goroutines })
}

func TestBusyClientsAreKept(t *testing.T) {
	srv := startServer(t)
	s := open(t, store.Config{Idle: time.Millisecond, Patience: patience})
	err := s.Do(t.Context(), newTenant("a", srv.uri("")), func(ctx context.Context, db *mongo.Database) error {
		// Another tenant's deployment comes and goes meanwhile.
		insert(t, s, newTenant("b", ""), "x")
		eventually(t, "one deployment left", func() bool { return len(s.Status()) == 1 })
		_, err := db.Collection("c").InsertOne(ctx, bson.D{})
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

func TestOwnErrorsPass(t *testing.T) {
	s := open(t, store.Config{Patience: patience})
	tn := newTenant("a", "")
	own := errors.New("own")
	if err := s.Do(t.Context(), tn, func(context.Context, *mongo.Database) error { return own }); err != own {
		t.Errorf("got %v, want the operation's own error", err)
	}
	err := s.Do(t.Context(), tn, func(ctx context.Context, db *mongo.Database) error {
		_, err := db.Collection("c").InsertMany(ctx, []bson.D{{{Key: "_id", Value: 1}}, {{Key: "_id", Value: 1}}})
		return err
	})
	if !mongo.IsDuplicateKeyError(err) {
		t.Errorf("got %v, want a duplicate key error", err)
	}
	if !s.Status()[0].Available {
		t.Error("a refused query opened the breaker")
	}
}

func TestDeadlines(t *testing.T) {
	s := open(t, store.Config{})
	deadline := func(ctx context.Context) time.Duration {
		var left time.Duration
		err := s.Do(ctx, newTenant("a", ""), func(ctx context.Context, _ *mongo.Database) error {
			at, _ := ctx.Deadline()
			left = time.Until(at)
			return nil
		})
		if err != nil {
			t.Error(err)
		}
		return left
	}
	if left := deadline(t.Context()); left <= 0 || left > 5*time.Second {
		t.Errorf("without a deadline: got %s, want up to 5s", left)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
	defer cancel()
	if left := deadline(ctx); left < time.Minute {
		t.Errorf("with a deadline of an hour: got %s", left)
	}
}

func TestPanicGivesSlotsBack(t *testing.T) {
	s := open(t, store.Config{})
	tn := newTenant("a", "")
	for range 20 { // more than a tenant has slots
		func() {
			defer func() {
				if recover() == nil {
					t.Error("the panic is lost")
				}
			}()
			s.Do(t.Context(), tn, func(context.Context, *mongo.Database) error { panic("op") })
		}()
	}
	insert(t, s, tn, "x")
	if got := s.Status()[0].InFlight; got != 0 {
		t.Errorf("got %d in flight, want 0", got)
	}
}

func TestTenantGate(t *testing.T) {
	f := func(name, uri string, slots int) {
		t.Run(name, func(t *testing.T) {
			s := open(t, store.Config{})
			a, b := newTenant("a", uri), newTenant("b", uri)
			free := occupy(t, s, a, slots)

			unavailable := mustBeUnavailable(t, s.Do(t.Context(), a, nothing))
			if want := fmt.Sprintf(`tenant "a" has %d database operations running already`, slots); unavailable.Cause.Error() != want {
				t.Errorf("got cause %q, want %q", unavailable.Cause, want)
			}
			if err := s.Do(t.Context(), b, nothing); err != nil {
				t.Errorf("a tenant of the same deployment: %v", err)
			}
			free()
			if err := s.Do(t.Context(), a, nothing); err != nil {
				t.Errorf("once there is room: %v", err)
			}
		})
	}

	f("embedded", "", 1)
	f("shared server", startServer(t).uri(""), 16)
}

func TestDeploymentGate(t *testing.T) {
	s := open(t, store.Config{})
	uri := startServer(t).uri("")
	for slug, operations := range map[string]int{"a": 16, "b": 16, "c": 16, "d": 8} {
		defer occupy(t, s, newTenant(slug, uri), operations)()
	}
	unavailable := mustBeUnavailable(t, s.Do(t.Context(), newTenant("e", uri), nothing))
	if want := "the deployment has 56 operations running already"; unavailable.Cause.Error() != want {
		t.Errorf("got cause %q, want %q", unavailable.Cause, want)
	}
}

func TestGateHonoursContext(t *testing.T) {
	s := open(t, store.Config{})
	a := newTenant("a", "")
	defer occupy(t, s, a, 1)()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Do(ctx, a, nothing); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want context.Canceled", err)
	}
}

func TestBadURI(t *testing.T) {
	core, logs := observer.New(zapcore.DebugLevel)
	s := open(t, store.Config{Logger: zap.New(core)})
	f := func(uri string) {
		t.Helper()
		err := s.Do(t.Context(), newTenant("a", uri), nothing)
		if err == nil || !strings.HasPrefix(err.Error(), `tenant "a": mongo_uri: `) || strings.Contains(err.Error(), "secret") {
			t.Errorf("got %v, want what is wrong with mongo_uri, without the secret", err)
		}
		if errors.As(err, new(*store.Unavailable)) {
			t.Errorf("%v: it will never be available", err)
		}
	}

	f("secret")
	f("mongodb://user:secret@127.0.0.1:port/")
	f("mongodb://user:se%zzcret@127.0.0.1/")
	f("mongodb://user:secret@127.0.0.1/?tls=maybe")
	f("mongodb://user:secret@127.0.0.1/?authMechanism=secret")
	for _, entry := range logs.All() {
		if strings.Contains(entry.Message, "secret") {
			t.Errorf("logged %q", entry.Message)
		}
	}
}

func TestCloseWaits(t *testing.T) {
	goroutines := runtime.NumGoroutine()
	s := store.New(store.Config{Data: t.TempDir()})
	entered, leave := make(chan struct{}), make(chan struct{})
	done := make(chan error, 1)
	go func() {
		done <- s.Do(context.Background(), newTenant("a", ""), func(ctx context.Context, db *mongo.Database) error {
			close(entered)
			<-leave
			_, err := db.Collection("c").InsertOne(ctx, bson.D{})
			return err
		})
	}()
	<-entered
	closed := make(chan error, 1)
	go func() { closed <- s.Close(context.Background()) }()
	eventually(t, "new operations are refused", func() bool {
		return errors.As(s.Do(t.Context(), newTenant("b", ""), nothing), new(*store.Unavailable))
	})
	select {
	case <-closed:
		t.Error("closed with an operation running")
	default:
	}
	close(leave)
	if err := <-done; err != nil {
		t.Errorf("the operation in flight: %v", err)
	}
	if err := <-closed; err != nil {
		t.Errorf("closing: %v", err)
	}
	eventually(t, "all goroutines are gone", func() bool { return runtime.NumGoroutine() <= goroutines })
}

func TestCloseInHaste(t *testing.T) {
	s := store.New(store.Config{Data: t.TempDir()})
	entered := make(chan struct{})
	done := make(chan error, 1)
	go func() {
		done <- s.Do(context.Background(), newTenant("a", ""), func(ctx context.Context, _ *mongo.Database) error {
			close(entered)
			<-ctx.Done()
			return ctx.Err()
		})
	}()
	<-entered
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := s.Close(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want context.Canceled", err)
	}
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("the operation in flight: got %v, want context.Canceled", err)
	}
}

func BenchmarkDo(b *testing.B) {
	s := open(b, store.Config{})
	tn := newTenant("a", "")
	b.ReportAllocs()
	for b.Loop() {
		if err := s.Do(b.Context(), tn, nothing); err != nil {
			b.Fatal(err)
		}
	}
}

// patience is that of tests that do not ask how soon a database is known to be down: a machine may have much else to do.
const patience = 30 * time.Second

func open(t testing.TB, config store.Config) *store.Store {
	t.Helper()
	if config.Data == "" {
		config.Data = t.TempDir()
	}
	s := store.New(config)
	t.Cleanup(func() {
		if err := s.Close(context.Background()); err != nil {
			t.Errorf("closing: %v", err)
		}
	})
	return s
}

func newTenant(slug, uri string) *tenant.Tenant {
	return &tenant.Tenant{Slug: slug, Database: tenant.Database{URI: tenant.NewSecret(uri), Name: slug}}
}

func nothing(context.Context, *mongo.Database) error { return nil }

func ping(ctx context.Context, db *mongo.Database) error {
	return db.RunCommand(ctx, bson.D{{Key: "ping", Value: 1}}).Err()
}

func insert(t testing.TB, s *store.Store, tn *tenant.Tenant, text string) {
	t.Helper()
	err := s.Do(t.Context(), tn, func(ctx context.Context, db *mongo.Database) error {
		_, err := db.Collection("c").InsertOne(ctx, bson.D{{Key: "text", Value: text}})
		return err
	})
	if err != nil {
		t.Errorf("tenant %q: inserting: %v", tn.Slug, err)
	}
}

func count(t testing.TB, s *store.Store, tn *tenant.Tenant) int64 {
	t.Helper()
	var n int64
	err := s.Do(t.Context(), tn, func(ctx context.Context, db *mongo.Database) error {
		var err error
		n, err = db.Collection("c").CountDocuments(ctx, bson.D{})
		return err
	})
	if err != nil {
		t.Errorf("tenant %q: counting: %v", tn.Slug, err)
	}
	return n
}

// occupy keeps operations of a tenant running until the returned function is called.
func occupy(t testing.TB, s *store.Store, tn *tenant.Tenant, operations int) (free func()) {
	t.Helper()
	leave := make(chan struct{})
	var entered, running sync.WaitGroup
	entered.Add(operations)
	for range operations {
		running.Go(func() {
			err := s.Do(context.Background(), tn, func(context.Context, *mongo.Database) error {
				entered.Done()
				<-leave
				return nil
			})
			if err != nil {
				t.Errorf("occupying: %v", err)
				entered.Done()
			}
		})
	}
	entered.Wait()
	return func() {
		close(leave)
		running.Wait()
	}
}

func mustBeUnavailable(t testing.TB, err error) *store.Unavailable {
	t.Helper()
	var unavailable *store.Unavailable
	if !errors.As(err, &unavailable) {
		t.Fatalf("got %v, want *Unavailable", err)
	}
	if unavailable.RetryAfter < time.Second {
		t.Errorf("got RetryAfter %s, want at least 1s", unavailable.RetryAfter)
	}
	return unavailable
}
