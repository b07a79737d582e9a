package api

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"

	"metahub/store"
	"metahub/tenant"
)

// batchSize is the whole of what is read where possible. FerretDB does not bound the size of a batch: one that is longer than a message
// of the wire protocol (48 MB) breaks the connection.
func batchSize(t *tenant.Tenant, limit int) int {
	if t.Database.Embedded() {
		return min(limit, 16)
	}
	return limit
}

// readDocuments runs a command that is answered by a cursor, a find or an aggregate, and returns all of its documents, one after the other, and
// how many they are. More than most bytes are errPageTooLarge.
//
// A database of its own answers with all documents at once, and they stay where the driver has read them to; what does not fit into one
// answer is asked for again, by the driver's cursor.
func readDocuments(ctx context.Context, t *tenant.Tenant, db *mongo.Database, command bson.D, batch, most int) (raw []byte, n int, err error) {
	if !t.Database.Embedded() {
		raw, n, whole, err := readFirst(ctx, db, command)
		switch {
		case err != nil:
			return nil, 0, err
		case len(raw) > most, !whole && len(raw) > most/2: // a document that does not fit any more, in the second case
			return nil, 0, errPageTooLarge
		case whole:
			return raw, n, nil
		}
	}
	cursor, err := store.Query(ctx, db, command)
	if err != nil {
		return nil, 0, err
	}
	defer cursor.Close(ctx)
	cursor.SetBatchSize(int32(batch))
	for cursor.Next(ctx) {
		if len(raw)+len(cursor.Current) > most {
			return nil, 0, errPageTooLarge
		}
		raw = append(raw, cursor.Current...)
		n++
	}
	return raw, n, cursor.Err()
}

// readOne returns the document that a filter finds, with what a projection leaves of it, or mongo.ErrNoDocuments.
func readOne(ctx context.Context, db *mongo.Database, collection string, filter, projection bson.D) (bson.Raw, error) {
	raw, n, _, err := readFirst(ctx, db, bson.D{
		{Key: "find", Value: collection},
		{Key: "filter", Value: filter},
		{Key: "projection", Value: projection},
		{Key: "limit", Value: 1},
		{Key: "singleBatch", Value: true},
	})
	if err == nil && n == 0 {
		err = mongo.ErrNoDocuments
	}
	return raw, err
}

// readFirst returns the first batch of a command's cursor. Where that is not the whole, the cursor is given up.
func readFirst(ctx context.Context, db *mongo.Database, command bson.D) (raw []byte, n int, whole bool, err error) {
	answer, err := store.Ask(ctx, db, command)
	if err != nil {
		return nil, 0, false, err
	}
	cursor, _ := answer.Lookup("cursor").DocumentOK()
	id, ok := cursor.Lookup("id").AsInt64OK()
	batch := cursor.Lookup("firstBatch")
	if !ok || batch.Type != bson.TypeArray {
		return nil, 0, false, errNoCursor
	}
	if id != 0 {
		kill := bson.D{{Key: "killCursors", Value: command[0].Value}, {Key: "cursors", Value: bson.A{id}}}
		_, _ = store.Ask(ctx, db, kill) // else, as when this went to another secondary, it ends by itself after ten minutes
	}
	if raw, n, ok = closeUp(batch.Value); !ok {
		return nil, 0, false, errNoCursor
	}
	return raw, n, id == 0, nil
}

var errNoCursor = errors.New("the database's answer has no well-formed cursor")

// closeUp moves the documents of a BSON array up to each other, in the array's own bytes, which are the driver's no more: it makes room for
// each answer anew.
func closeUp(array []byte) (docs []byte, n int, ok bool) {
	if len(array) < 5 {
		return nil, 0, false
	}
	docs, rest := array[:0], array[4:len(array)-1]
	for len(rest) > 0 {
		name := bytes.IndexByte(rest[1:], 0)
		if bson.Type(rest[0]) != bson.TypeEmbeddedDocument || name < 0 {
			return nil, 0, false
		}
		rest = rest[name+2:]
		if len(rest) < 5 {
			return nil, 0, false
		}
		size := binary.LittleEndian.Uint32(rest)
		if size < 5 || uint64(size) > uint64(len(rest)) {
			return nil, 0, false
		}
		docs = append(docs, rest[:size]...)
		rest = rest[size:]
		n++
	}
	return docs[:len(docs):len(docs)], n, true
}
