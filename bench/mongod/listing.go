package mongod

import (
	"context"

	"go.mongodb.org/mongo-driver/v2/x/bsonx/bsoncore"
)

// Listing answers each find with the same n of Documents, or with the first where one is asked for. They are without mongoose's version, as if a
// projection had left that away.
func Listing(n int) Handler {
	documents := Documents(n)
	for i, document := range documents {
		documents[i] = without(document, "__v")
	}
	page, first := FirstBatch("db.products", 0, documents...), FirstBatch("db.products", 0, documents[:min(1, n)]...)
	return func(_ context.Context, command bsoncore.Document) bsoncore.Document {
		if Name(command) != "find" {
			return nil
		}
		if limit, ok := command.Lookup("limit").AsInt64OK(); ok && limit == 1 {
			return first
		}
		return page
	}
}

func without(document bsoncore.Document, key string) bsoncore.Document {
	elements, err := document.Elements()
	if err != nil {
		panic(err) // it is one of ours
	}
	builder := bsoncore.NewDocumentBuilder()
	for _, e := range elements {
		if e.Key() != key {
			builder.AppendValue(e.Key(), e.Value())
		}
	}
	return builder.Build()
}
