package store_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/readpref"

	"metahub/bench/mongod"
	"metahub/store"
)

// While there is no primary, what a secondary may answer goes on, from the first read, and only that; until there is no secondary either.
func TestReadsOutliveThePrimary(t *testing.T) {
	t.Run("that refuses", func(t *testing.T) { testReadsOutliveThePrimary(t, mongod.Refusing) })
	t.Run("that hangs", func(t *testing.T) { testReadsOutliveThePrimary(t, mongod.Hanging) })
}

func testReadsOutliveThePrimary(t *testing.T, dead mongod.Behaviour) {
	t.Parallel()
	primary, secondary := &recorder{}, &recorder{}
	servers, err := mongod.StartSet(primary.handle, secondary.handle)
	if err != nil {
		t.Fatal(err)
	}
	for _, server := range servers {
		t.Cleanup(server.Close)
	}
	behave := func(n int, b mongod.Behaviour) {
		t.Helper()
		if err := servers[n].Behave(b); err != nil {
			t.Fatal(err)
		}
	}
	s := open(t, store.Config{})
	one := newTenant("a", servers[0].URI("?replicaSet="+mongod.SetName))
	bound := readpref.WithMaxStaleness(2 * time.Minute)
	page := store.ReadFrom(t.Context(), readpref.PrimaryPreferred(bound))
	read := func(ctx context.Context, db *mongo.Database) error {
		_, err := store.Query(ctx, db, bson.D{{Key: "find", Value: "c"}})
		return err
	}
	eventually(t, "the secondary is known", func() bool {
		return s.Do(store.ReadFrom(t.Context(), readpref.SecondaryPreferred(bound)), one, read) == nil && len(secondary.names()) > 0
	})
	mustRead := func(when string) {
		t.Helper()
		if err := s.Do(page, one, read); err != nil {
			t.Errorf("%s: %v", when, err)
		}
	}

	mustRead("with a primary")
	behave(0, dead)
	eventually(t, "the primary's breaker is open", func() bool {
		if dead == mongod.Refusing {
			mustRead("while the primary's breaker opens")
			mustBeUnavailable(t, s.Do(t.Context(), one, read))
		} else { // a silent one takes some seconds to be found out, by pages alone
			_ = s.Do(page, one, read)
		}
		return !s.Status()[0].Available
	})
	mustRead("with the primary's breaker open")
	mustBeUnavailable(t, s.Do(t.Context(), one, read))

	behave(1, mongod.Refusing)
	eventually(t, "pages are out too", func() bool {
		err := s.Do(page, one, read)
		return errors.As(err, new(*store.Unavailable))
	})
	behave(1, mongod.Answering)
	eventually(t, "the secondary answers again", func() bool { return s.Do(page, one, read) == nil })
	if s.Status()[0].Available {
		t.Error("a secondary passes for the primary")
	}
	behave(0, mongod.Answering)
	eventually(t, "there is a primary again", func() bool { return s.Do(t.Context(), one, read) == nil })
}

// Whatever a URI says, everything goes to the primary, but for the commands of Query and Ask under ReadFrom.
func TestReadFrom(t *testing.T) {
	primary, secondary := &recorder{}, &recorder{}
	servers, err := mongod.StartSet(primary.handle, secondary.handle)
	if err != nil {
		t.Fatal(err)
	}
	for _, server := range servers {
		t.Cleanup(server.Close)
	}
	s := open(t, store.Config{Patience: patience})
	one := newTenant("a", servers[0].URI("?replicaSet="+mongod.SetName+"&readPreference=secondary&readPreferenceTags=a:b&maxStalenessSeconds=90"))
	read := func(ctx context.Context, db *mongo.Database) error {
		if _, err := store.Query(ctx, db, bson.D{{Key: "find", Value: "c"}}); err != nil {
			return err
		}
		_, err := store.Ask(ctx, db, bson.D{{Key: "count", Value: "c"}})
		return err
	}

	for _, op := range []func(context.Context, *mongo.Database) error{useEverything, read} {
		if err := s.Do(store.ReadFrom(t.Context(), nil), one, op); err != nil {
			t.Fatal(err)
		}
	}
	if got := secondary.names(); len(got) > 0 {
		t.Errorf("the secondary got %q", got)
	}
	for _, command := range primary.commands() {
		if _, err := command.LookupErr("$readPreference"); err == nil {
			t.Errorf("the primary got %s", command)
		}
	}

	from := store.ReadFrom(t.Context(), readpref.SecondaryPreferred(readpref.WithMaxStaleness(2*time.Minute)))
	eventually(t, "the secondary is known", func() bool { // until then the primary has to do
		if err := s.Do(from, one, read); err != nil {
			t.Fatal(err)
		}
		return len(secondary.names()) == 2
	})
	for _, command := range secondary.commands() {
		mode, _ := command.Lookup("$readPreference", "mode").StringValueOK()
		bound, _ := command.Lookup("$readPreference", "maxStalenessSeconds").AsInt64OK()
		if mode != "secondaryPreferred" || bound != 120 {
			t.Errorf("the secondary got %s", command)
		}
	}
}
