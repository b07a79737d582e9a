package store_test

import (
	"context"
	"maps"
	"slices"
	"sync"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.mongodb.org/mongo-driver/v2/mongo/writeconcern"
	"go.mongodb.org/mongo-driver/v2/x/bsonx/bsoncore"

	"metahub/bench/mongod"
	"metahub/store"
)

// Every command that reaches the server says whose it is, also where tenants share a client.
func TestEveryCommandNamesItsTenant(t *testing.T) {
	sent := &recorder{answer: func(command bsoncore.Document) bsoncore.Document {
		if _, limited := command.Lookup("limit").AsInt64OK(); mongod.Name(command) == "find" && !limited {
			return mongod.FirstBatch(command.Lookup("$db").StringValue()+".c", 7, mongod.Documents(1)...) // there is more
		}
		return nil
	}}
	srv := startCanned(t, sent.handle)
	s := open(t, store.Config{Patience: patience})
	for _, slug := range []string{"a", "b", "a"} {
		if err := s.Do(t.Context(), newTenant(slug, srv.URI("")), useEverything); err != nil {
			t.Fatal(err)
		}
	}
	if got := len(s.Status()); got != 1 {
		t.Fatalf("got %d deployments, want 1", got)
	}
	want := []string{
		"aggregate", "count", "createIndexes", "delete", "distinct", "find", "findAndModify", "getMore", "insert", "killCursors",
		"listCollections", "ping", "update",
	}
	if got := sent.names(); !slices.Equal(got, want) {
		t.Errorf("got commands %q, want %q", got, want)
	}
	for _, command := range sent.commands() {
		comment, ok := command.Lookup("comment").StringValueOK()
		if database := command.Lookup("$db").StringValue(); !ok || comment != database {
			t.Errorf("got comment %q in database %q: %s", comment, database, command)
		}
	}
}

// An operation's own comment stays.
func TestOwnComment(t *testing.T) {
	sent := &recorder{}
	srv := startCanned(t, sent.handle)
	s := open(t, store.Config{Patience: patience})
	err := s.Do(t.Context(), newTenant("a", srv.URI("")), func(ctx context.Context, db *mongo.Database) error {
		_, err := db.Collection("c").DeleteOne(ctx, bson.D{}, options.DeleteOne().SetComment("mine"))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, command := range sent.commands() {
		elements, err := command.Elements()
		if err != nil {
			t.Fatal(err)
		}
		var comments []string
		for _, e := range elements {
			if e.Key() == "comment" {
				comments = append(comments, e.Value().StringValue())
			}
		}
		if !slices.Equal(comments, []string{"mine"}) {
			t.Errorf("got comments %q, want only the operation's own", comments)
		}
	}
}

// useEverything runs all kinds of commands that the API does, and some more.
func useEverything(ctx context.Context, db *mongo.Database) error {
	c := db.Collection("c")
	_, err := c.InsertMany(ctx, []bson.D{{{Key: "a", Value: 1}}, {{Key: "a", Value: 2}}})
	if err != nil {
		return err
	}
	if _, err := db.Collection("c", options.Collection().SetWriteConcern(writeconcern.Unacknowledged())).InsertOne(ctx, bson.D{}); err != nil {
		return err
	}
	if _, err := c.UpdateOne(ctx, bson.D{}, bson.D{{Key: "$set", Value: bson.D{{Key: "a", Value: 1}}}}); err != nil {
		return err
	}
	if _, err := c.DeleteMany(ctx, bson.D{}); err != nil {
		return err
	}
	if err := c.FindOne(ctx, bson.D{}).Err(); err != nil && err != mongo.ErrNoDocuments {
		return err
	}
	if err := c.FindOneAndUpdate(ctx, bson.D{}, bson.D{{Key: "$set", Value: bson.D{{Key: "a", Value: 1}}}}).Err(); err != nil && err != mongo.ErrNoDocuments {
		return err
	}
	cursor, err := c.Find(ctx, bson.D{})
	if err != nil {
		return err
	}
	for cursor.Next(ctx) {
	}
	unread, err := store.Query(ctx, db, bson.D{{Key: "find", Value: "c"}})
	if err != nil {
		return err
	}
	if err := unread.Close(ctx); err != nil {
		return err
	}
	if _, err := c.Aggregate(ctx, mongo.Pipeline{}); err != nil {
		return err
	}
	if _, err := store.Ask(ctx, db, bson.D{{Key: "count", Value: "c"}}); err != nil {
		return err
	}
	if err := c.Distinct(ctx, "a", bson.D{}).Err(); err != nil {
		return err
	}
	if _, err := c.Indexes().CreateOne(ctx, mongo.IndexModel{Keys: bson.D{{Key: "a", Value: 1}}}); err != nil {
		return err
	}
	if _, err := db.ListCollectionNames(ctx, bson.D{}); err != nil {
		return err
	}
	return ping(ctx, db)
}

// recorder keeps the commands that a canned server gets.
type recorder struct {
	answer func(bsoncore.Document) bsoncore.Document

	mu  sync.Mutex
	got []bsoncore.Document
}

func (r *recorder) handle(_ context.Context, command bsoncore.Document) bsoncore.Document {
	r.mu.Lock()
	r.got = append(r.got, command)
	r.mu.Unlock()
	if r.answer != nil {
		return r.answer(command)
	}
	return nil
}

func (r *recorder) commands() []bsoncore.Document {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.got)
}

func (r *recorder) names() []string {
	names := map[string]bool{}
	for _, command := range r.commands() {
		names[mongod.Name(command)] = true
	}
	return slices.Sorted(maps.Keys(names))
}

func startCanned(t testing.TB, handler mongod.Handler) *mongod.Server {
	t.Helper()
	srv, err := mongod.Start(handler)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(srv.Close)
	return srv
}
