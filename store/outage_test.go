package store_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
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

// within is how soon a tenant whose database is down must know.
const within = 3 * time.Second

// atOnce measures up to five times how long something takes, which is to be at most limit. A busy machine is late now and then.
func atOnce(t *testing.T, what string, limit time.Duration, measure func() time.Duration) {
	t.Helper()
	var all []time.Duration
	for range 5 {
		took := measure()
		if took <= limit {
			return
		}
		all = append(all, took)
	}
	t.Errorf("%s: it took %v, want at most %v", what, all, limit)
}

func TestUnreachable(t *testing.T) {
	f := func(name, uri string) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			core, logs := observer.New(zapcore.DebugLevel)
			s := open(t, store.Config{Logger: zap.New(core)})
			uri = strings.Replace(uri, "://", "://user:secret@", 1)
			tn := newTenant("a", uri)
			unavailable := mustBeUnavailable(t, s.Do(t.Context(), tn, ping))
			atOnce(t, "to know", within, func() time.Duration {
				s, begin := open(t, store.Config{}), time.Now()
				mustBeUnavailable(t, s.Do(t.Context(), tn, ping))
				return time.Since(begin)
			})
			if strings.Contains(unavailable.Error(), "secret") {
				t.Errorf("the error shows the password: %v", unavailable)
			}

			eventually(t, "the breaker is open", func() bool { return !s.Status()[0].Available })
			atOnce(t, "with the breaker open", within/10, func() time.Duration {
				begin := time.Now()
				mustBeUnavailable(t, s.Do(t.Context(), tn, func(context.Context, *mongo.Database) error {
					t.Error("the operation ran with the breaker open")
					return nil
				}))
				return time.Since(begin)
			})
			status := s.Status()[0]
			if status.LastError == "" || strings.Contains(fmt.Sprint(status), "secret") {
				t.Errorf("got status %+v, want the error without the password", status)
			}
			if entries := logs.FilterLevelExact(zapcore.WarnLevel).All(); len(entries) != 1 || strings.Contains(fmt.Sprint(entries), "secret") {
				t.Errorf("got log %+v, want one warning without the password", entries)
			}
		})
	}

	f("refused port", refused(t))
	f("black hole", blackHole(t))
	f("replica set", refused(t)+"?replicaSet=rs")
}

// A server that stops answering ends what is in flight, and serves again once it is back.
func TestFrozenServer(t *testing.T) {
	srv := startServer(t)
	s := open(t, store.Config{})
	tn := newTenant("a", srv.uri(""))
	insert(t, s, tn, "before")

	atOnce(t, "to know", within, func() time.Duration {
		srv.freeze()
		begin := time.Now()
		var running sync.WaitGroup
		for range 4 {
			running.Go(func() {
				if err := s.Do(t.Context(), tn, ping); !errors.As(err, new(*store.Unavailable)) {
					t.Errorf("got %v, want *Unavailable", err)
				}
			})
		}
		running.Wait()
		took := time.Since(begin)
		eventually(t, "the breaker is open", func() bool { return !s.Status()[0].Available })

		srv.thaw()
		eventually(t, "the database answers again", func() bool { return s.Status()[0].Available })
		return took
	})
	insert(t, s, tn, "after")
	if got := count(t, s, tn); got != 2 {
		t.Errorf("got %d documents, want 2", got)
	}
}

// A connection that breaks is no outage when the server still answers.
func TestBrokenConnections(t *testing.T) {
	srv := startServer(t)
	s := open(t, store.Config{})
	tn := newTenant("a", srv.uri(""))
	for range 2 {
		insert(t, s, tn, "x")
		srv.cut()
		eventually(t, "the next operation works", func() bool { return s.Do(t.Context(), tn, ping) == nil })
	}
	if !s.Status()[0].Available {
		t.Error("broken connections opened the breaker")
	}
}

// FerretDB breaks the connection on a decimal; that must not take the other tenants down.
func TestQueryThatBreaksConnection(t *testing.T) {
	s := open(t, store.Config{})
	insert(t, s, newTenant("b", ""), "x")
	price, err := bson.ParseDecimal128("1.5")
	if err != nil {
		t.Fatal(err)
	}
	mustBeUnavailable(t, s.Do(t.Context(), newTenant("a", ""), func(ctx context.Context, db *mongo.Database) error {
		_, err := db.Collection("c").InsertOne(ctx, bson.D{{Key: "price", Value: price}})
		return err
	}))
	for range 100 {
		if err := s.Do(t.Context(), newTenant("b", ""), ping); err != nil {
			t.Fatalf("the other tenant: %v", err)
		}
	}
	if !s.Status()[0].Available {
		t.Error("one bad document opened the breaker")
	}
}

// A query that takes longer than the caller waits is no outage either.
func TestSlowQuery(t *testing.T) {
	s := open(t, store.Config{})
	ctx, cancel := context.WithTimeout(t.Context(), 1500*time.Millisecond)
	defer cancel()
	err := s.Do(ctx, newTenant("a", ""), func(ctx context.Context, _ *mongo.Database) error {
		<-ctx.Done()
		return ctx.Err()
	})
	if !errors.Is(err, context.DeadlineExceeded) || errors.As(err, new(*store.Unavailable)) {
		t.Errorf("got %v, want context.DeadlineExceeded", err)
	}
	for range 100 {
		if err := s.Do(t.Context(), newTenant("b", ""), ping); err != nil {
			t.Fatalf("the other tenant: %v", err)
		}
	}
}

// BenchmarkNeighbour is a tenant's latency next to others whose databases are dead, and without them.
func BenchmarkNeighbour(b *testing.B) {
	f := func(name string, neighbours ...*tenant.Tenant) {
		b.Run(name, func(b *testing.B) {
			s := open(b, store.Config{})
			tn := newTenant("a", "")
			insert(b, s, tn, "x")
			ctx, cancel := context.WithCancel(context.Background())
			var running sync.WaitGroup
			for _, neighbour := range neighbours {
				running.Go(func() { visit(ctx, s, neighbour) })
			}
			defer running.Wait()
			defer cancel()

			var latencies []time.Duration
			for b.Loop() {
				begin := time.Now()
				if err := s.Do(b.Context(), tn, ping); err != nil {
					b.Fatal(err)
				}
				latencies = append(latencies, time.Since(begin))
			}
			slices.Sort(latencies)
			b.ReportMetric(float64(latencies[len(latencies)/2].Microseconds()), "p50-µs")
			b.ReportMetric(float64(latencies[len(latencies)*99/100].Microseconds()), "p99-µs")
		})
	}

	f("alone")
	f("refused", newTenant("b", refused(b)))
	f("black-hole", newTenant("b", blackHole(b)))
	f("both", newTenant("b", refused(b)), newTenant("c", blackHole(b)))
}

// visit sends a tenant 200 operations a second until ctx ends, each without waiting for the one before.
func visit(ctx context.Context, s *store.Store, tn *tenant.Tenant) {
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	var running sync.WaitGroup
	defer running.Wait()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			running.Go(func() { _ = s.Do(ctx, tn, ping) })
		}
	}
}
