package mongod_test

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.mongodb.org/mongo-driver/v2/x/bsonx/bsoncore"

	"metahub/bench/mongod"
)

func TestListOfDocuments(t *testing.T) {
	documents := mongod.Documents(20)
	if size := len(documents[0]); size < 5000 || size > 5700 {
		t.Errorf("a document has %d bytes, want about 5.3 KB", size)
	}
	db := connect(t, start(t, func(_ context.Context, command bsoncore.Document) bsoncore.Document {
		switch mongod.Name(command) {
		case "find":
			return mongod.FirstBatch("db.products", 7, documents[:12]...)
		case "getMore":
			return mongod.NextBatch("db.products", 0, documents[12:]...)
		}
		return nil
	}))
	cursor, err := db.Collection("products").Find(t.Context(), bson.D{})
	if err != nil {
		t.Fatal(err)
	}
	var got []bson.Raw
	if err := cursor.All(t.Context(), &got); err != nil {
		t.Fatal(err)
	}
	if len(got) != 20 || !slices.Equal(got[19], bson.Raw(documents[19])) {
		t.Errorf("got %d documents, want the 20 that the server was given", len(got))
	}
}

// An empty database takes what is written and finds nothing; the handler sees whole commands.
func TestDefaultAnswers(t *testing.T) {
	var mu sync.Mutex
	var seen []string
	db := connect(t, start(t, func(_ context.Context, command bsoncore.Document) bsoncore.Document {
		mu.Lock()
		defer mu.Unlock()
		seen = append(seen, mongod.Name(command))
		if mongod.Name(command) == "insert" {
			if got := command.Lookup("documents", "1", "b").AsInt64(); got != 2 {
				t.Errorf("got documents[1].b = %d, want 2", got)
			}
			if got := command.Lookup("$db").StringValue(); got != "db" {
				t.Errorf("got $db %q, want db", got)
			}
		}
		return nil
	}))
	c := db.Collection("c")
	inserted, err := c.InsertMany(t.Context(), []bson.D{{{Key: "a", Value: 1}}, {{Key: "b", Value: 2}}})
	if err != nil || len(inserted.InsertedIDs) != 2 {
		t.Errorf("insert: got %v, %v", inserted, err)
	}
	updated, err := c.UpdateOne(t.Context(), bson.D{}, bson.D{{Key: "$set", Value: bson.D{{Key: "a", Value: 1}}}})
	if err != nil || updated.ModifiedCount != 1 {
		t.Errorf("update: got %v, %v", updated, err)
	}
	deleted, err := c.DeleteOne(t.Context(), bson.D{})
	if err != nil || deleted.DeletedCount != 1 {
		t.Errorf("delete: got %v, %v", deleted, err)
	}
	if err := c.FindOne(t.Context(), bson.D{}).Err(); err != mongo.ErrNoDocuments {
		t.Errorf("find: got %v, want mongo.ErrNoDocuments", err)
	}
	if n, err := c.CountDocuments(t.Context(), bson.D{}); err != nil || n != 0 {
		t.Errorf("count: got %d, %v", n, err)
	}
	if _, err := c.Indexes().CreateOne(t.Context(), mongo.IndexModel{Keys: bson.D{{Key: "a", Value: 1}}}); err != nil {
		t.Error(err)
	}
	mu.Lock()
	defer mu.Unlock()
	if want := []string{"insert", "update", "delete", "find", "aggregate", "createIndexes"}; !slices.Equal(seen, want) {
		t.Errorf("the handler saw %q, want %q", seen, want)
	}
}

// A change stream is an aggregate and then getMores that wait for events.
func TestChangeStream(t *testing.T) {
	events := make(chan bsoncore.Document, 1)
	db := connect(t, start(t, func(ctx context.Context, command bsoncore.Document) bsoncore.Document {
		switch mongod.Name(command) {
		case "aggregate":
			return mongod.FirstBatch("db.$cmd.aggregate", 9)
		case "getMore":
			select {
			case event := <-events:
				return mongod.NextBatch("db.$cmd.aggregate", 9, event)
			case <-ctx.Done():
			}
		}
		return nil
	}))
	stream, err := db.Watch(t.Context(), mongo.Pipeline{})
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Close(context.WithoutCancel(t.Context()))
	token := bsoncore.NewDocumentBuilder().AppendString("_data", "01").Build()
	events <- bsoncore.NewDocumentBuilder().AppendDocument("_id", token).AppendString("operationType", "insert").Build()
	if !stream.Next(t.Context()) || stream.Current.Lookup("operationType").StringValue() != "insert" {
		t.Errorf("got %v, %v, want the event", stream.Current, stream.Err())
	}
}

func TestBehaviour(t *testing.T) {
	s := start(t, nil)
	db := connect(t, s)
	ask := func(wait time.Duration) error {
		ctx, cancel := context.WithTimeout(t.Context(), wait)
		defer cancel()
		return db.RunCommand(ctx, bson.D{{Key: "ping", Value: 1}}).Err()
	}
	if err := ask(20 * time.Second); err != nil {
		t.Fatal(err)
	}
	for _, behaviour := range []mongod.Behaviour{mongod.Hanging, mongod.Garbling, mongod.Refusing} {
		if err := s.Behave(behaviour); err != nil {
			t.Fatal(err)
		}
		for range 3 {
			if err := ask(200 * time.Millisecond); err == nil {
				t.Errorf("behaviour %d: got an answer", behaviour)
			}
		}
	}
	if err := s.Behave(mongod.Answering); err != nil {
		t.Skip("somebody took the port:", err)
	}
	deadline := time.Now().Add(30 * time.Second)
	for ask(time.Second) != nil {
		if time.Now().After(deadline) {
			t.Fatal("it does not answer again")
		}
	}
}

func start(t *testing.T, handler mongod.Handler) *mongod.Server {
	t.Helper()
	s, err := mongod.Start(handler)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func connect(t *testing.T, s *mongod.Server) *mongo.Database {
	t.Helper()
	client, err := mongo.Connect(options.Client().ApplyURI(s.URI("db")).SetServerSelectionTimeout(2 * time.Second).SetHeartbeatInterval(500 * time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Disconnect(context.Background()) })
	return client.Database("db")
}
