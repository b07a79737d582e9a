package store_test

import (
	"context"
	"sync/atomic"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/x/bsonx/bsoncore"

	"metahub/bench/mongod"
	"metahub/store"
)

func TestQueriesSayHowLongTheyMayTake(t *testing.T) {
	sent := &recorder{}
	srv := startCanned(t, sent.handle)
	s := open(t, store.Config{})
	err := s.Do(t.Context(), newTenant("a", srv.URI("")), func(ctx context.Context, db *mongo.Database) error {
		for _, command := range []bson.D{{{Key: "find", Value: "c"}}, {{Key: "aggregate", Value: "c"}, {Key: "pipeline", Value: bson.A{}}, {Key: "cursor", Value: bson.D{}}}} {
			if _, err := store.Query(ctx, db, command); err != nil {
				return err
			}
		}
		_, err := store.Ask(ctx, db, bson.D{{Key: "count", Value: "c"}})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := len(sent.commands()); got != 3 {
		t.Fatalf("got %d commands, want 3", got)
	}
	for _, command := range sent.commands() {
		if most, ok := command.Lookup("maxTimeMS").AsInt64OK(); !ok || most <= 0 || most > 5000 {
			t.Errorf("%s: got maxTimeMS %d, want what is left of 5 s", mongod.Name(command), most)
		}
	}
}

// A read whose connection breaks, or that meets a server which has just stopped being the primary, is tried once more, and no oftener.
func TestReadsAreTriedTwice(t *testing.T) {
	f := func(name string, failures, wantTries int32, wantOK bool, fail func(*mongod.Server) bsoncore.Document) {
		t.Run(name, func(t *testing.T) {
			var tries atomic.Int32
			var srv *mongod.Server
			srv = startCanned(t, func(_ context.Context, command bsoncore.Document) bsoncore.Document {
				if mongod.Name(command) == "count" && tries.Add(1) <= failures {
					return fail(srv)
				}
				return nil
			})
			s := open(t, store.Config{Patience: patience})
			err := s.Do(t.Context(), newTenant("a", srv.URI("")), func(ctx context.Context, db *mongo.Database) error {
				_, err := store.Ask(ctx, db, bson.D{{Key: "count", Value: "c"}})
				return err
			})
			if ok := err == nil; ok != wantOK || tries.Load() != wantTries {
				t.Errorf("got %v after %d tries, want %d and success: %v", err, tries.Load(), wantTries, wantOK)
			}
		})
	}
	cut := func(srv *mongod.Server) bsoncore.Document { srv.Cut(); return nil }
	notPrimary := func(*mongod.Server) bsoncore.Document { return mongod.Failure(10107, "not writable primary") }
	refused := func(*mongod.Server) bsoncore.Document { return mongod.Failure(2, "bad value") }

	f("connection breaks once", 1, 2, true, cut)
	f("connection breaks each time", 9, 2, false, cut)
	f("not the primary for a moment", 1, 2, true, notPrimary)
	f("refused", 9, 1, false, refused)
}
