package api

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/x/bsonx/bsoncore"

	"metahub/bench/mongod"
	"metahub/store"
	"metahub/tenant"
)

func TestReadDocuments(t *testing.T) {
	documents := mongod.Documents(5)
	all := slices.Concat([]byte(documents[0]), documents[1], documents[2], documents[3], documents[4])
	var mu sync.Mutex
	var seen []string
	var find bsoncore.Document // the answer
	server, err := mongod.Start(func(_ context.Context, command bsoncore.Document) bsoncore.Document {
		mu.Lock()
		defer mu.Unlock()
		seen = append(seen, mongod.Name(command))
		switch mongod.Name(command) {
		case "find":
			return find
		case "getMore":
			return mongod.NextBatch("anna.products", 0, documents[2:]...)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	databases := store.New(store.Config{Data: t.TempDir(), Patience: time.Minute})
	defer func() { _ = databases.Close(context.WithoutCancel(t.Context())) }()
	anna := &tenant.Tenant{Slug: "anna", Database: tenant.Database{URI: tenant.NewSecret(server.URI("anna")), Name: "anna"}}
	f := func(what string, answer bsoncore.Document, most int, want []byte, wantErr error, commands ...string) {
		t.Helper()
		mu.Lock()
		find, seen = answer, nil
		mu.Unlock()
		var raw []byte
		var n int
		err := databases.Do(t.Context(), anna, func(ctx context.Context, db *mongo.Database) (err error) {
			raw, n, err = readDocuments(ctx, anna, db, bson.D{{Key: "find", Value: "products"}, {Key: "limit", Value: 5}, {Key: "batchSize", Value: 5}}, 5, most)
			return err
		})
		if !errors.Is(err, wantErr) || !bytes.Equal(raw, want) || err == nil && len(want) > 0 && n != 5 {
			t.Errorf("%s: %d documents, %d bytes, %v; want %d bytes, %v", what, n, len(raw), err, len(want), wantErr)
		}
		mu.Lock()
		defer mu.Unlock()
		if !slices.Equal(seen, commands) {
			t.Errorf("%s: the database was asked %q, want %q", what, seen, commands)
		}
	}
	whole := mongod.FirstBatch("anna.products", 0, documents...)
	begun := mongod.FirstBatch("anna.products", 7, documents[:2]...)
	f("all at once", whole, maxPage, all, nil, "find")
	f("none", mongod.FirstBatch("anna.products", 0), maxPage, nil, nil, "find")
	f("as much as there may be", whole, len(all), all, nil, "find")
	f("more", whole, len(all)-1, nil, errPageTooLarge, "find")
	f("in batches", begun, maxPage, all, nil, "find", "killCursors", "find", "getMore")
	f("in batches, too much", begun, len(all)-1, nil, errPageTooLarge, "find", "killCursors", "find", "getMore")
	f("what does not fit into one batch is too much", begun, len(all)/4, nil, errPageTooLarge, "find", "killCursors")
	f("no cursor", mongod.OK(5), maxPage, nil, errNoCursor, "find")
	number := bsoncore.BuildArray(nil, bsoncore.Value{Type: bsoncore.TypeInt32, Data: []byte{1, 0, 0, 0}})
	f("no documents", bsoncore.NewDocumentBuilder().AppendDocument("cursor", bsoncore.NewDocumentBuilder().AppendInt64("id", 0).AppendArray("firstBatch", number).Build()).
		AppendDouble("ok", 1).Build(), maxPage, nil, errNoCursor, "find")
}

// closeUp takes all that is a well-formed array of documents, and gives these, whole. Of what is none the driver takes some, such as a document
// that ends with the array's last byte.
func FuzzCloseUp(f *testing.F) {
	for n := range 3 {
		var values []bsoncore.Value
		for _, d := range mongod.Documents(n) {
			values = append(values, bsoncore.Value{Type: bsoncore.TypeEmbeddedDocument, Data: d[:len(d):len(d)]})
		}
		f.Add([]byte(bsoncore.BuildArray(nil, values...)))
	}
	f.Add([]byte{13, 0, 0, 0, 3, '0', 0, 5, 0, 0, 0, 0, 0})
	f.Add([]byte{13, 0, 0, 0, 3, '0', 0, 6, 0, 0, 0, 0, 0})
	f.Add([]byte{12, 0, 0, 0, 3, '0', 0, 0xff, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, array []byte) {
		var want []byte
		values, err := bson.RawArray(array).Values()
		for _, v := range values {
			if v.Type != bson.TypeEmbeddedDocument || len(v.Value) < 5 { // the driver calls documents valid that are too short to be any
				err = errNoCursor
			}
			want = append(want, v.Value...)
		}
		size, _, _ := bsoncore.ReadLength(array)
		docs, n, taken := closeUp(bytes.Clone(array))
		if err == nil && bson.RawArray(array).Validate() == nil && int(size) == len(array) && (!taken || n != len(values) || !bytes.Equal(docs, want)) {
			t.Errorf("%x: %d documents %x, %v; want %d, %x", array, n, docs, taken, len(values), want)
		}
		if !taken {
			return
		}
		left := docs
		for range n {
			size, _, ok := bsoncore.ReadLength(left)
			if !ok || size < 5 || int(size) > len(left) {
				t.Fatalf("%x: %d documents are not in %x", array, n, docs)
			}
			left = left[size:]
		}
		if len(left) > 0 {
			t.Errorf("%x: behind %d documents there is %x", array, n, left)
		}
	})
}
