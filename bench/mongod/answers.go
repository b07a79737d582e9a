package mongod

import (
	"strings"
	"time"

	"go.mongodb.org/mongo-driver/v2/x/bsonx/bsoncore"
)

// Name returns the name of a command, which is its first key: "find", "insert".
func Name(command bsoncore.Document) string {
	if element, err := command.IndexErr(0); err == nil {
		return element.Key()
	}
	return ""
}

// FirstBatch is the answer to a find or aggregate on a namespace, "database.collection". A cursor of 0 has no more batches.
func FirstBatch(namespace string, cursor int64, documents ...bsoncore.Document) bsoncore.Document {
	return batch("firstBatch", namespace, cursor, documents)
}

// NextBatch is the answer to a getMore. A cursor of 0 has no more batches.
func NextBatch(namespace string, cursor int64, documents ...bsoncore.Document) bsoncore.Document {
	return batch("nextBatch", namespace, cursor, documents)
}

func batch(name, namespace string, cursor int64, documents []bsoncore.Document) bsoncore.Document {
	values := make([]bsoncore.Value, len(documents))
	for i, document := range documents {
		values[i] = bsoncore.Value{Type: bsoncore.TypeEmbeddedDocument, Data: document}
	}
	return bsoncore.NewDocumentBuilder().
		AppendDocument("cursor", bsoncore.NewDocumentBuilder().
			AppendArray(name, bsoncore.BuildArray(nil, values...)).
			AppendInt64("id", cursor).
			AppendString("ns", namespace).
			Build()).
		AppendDouble("ok", 1).
		Build()
}

// Failure is the answer to a command that failed, with one of MongoDB's error codes.
func Failure(code int32, message string) bsoncore.Document {
	return bsoncore.NewDocumentBuilder().
		AppendDouble("ok", 0).
		AppendString("errmsg", message).
		AppendInt32("code", code).
		Build()
}

// OK is the answer to a command that has done something to n documents.
func OK(n int) bsoncore.Document {
	return bsoncore.NewDocumentBuilder().AppendInt32("n", int32(n)).AppendInt32("nModified", int32(n)).AppendDouble("ok", 1).Build()
}

// monitoring is the answer to what drivers ask of their own accord, nil for anything else.
func (s *Server) monitoring(name string, command bsoncore.Document) bsoncore.Document {
	switch strings.ToLower(name) {
	case "hello", "ismaster":
		return s.hello(offersZstd(command))
	case "endsessions":
		return OK(0)
	}
	return nil
}

// hello says to be a MongoDB 7.0, by itself or in a set. It has no topologyVersion, so that drivers ask again instead of waiting for news.
func (s *Server) hello(zstd bool) bsoncore.Document {
	set := s.member.Load()
	writable := set == nil || set.primary == s.address
	greeting := bsoncore.NewDocumentBuilder().
		AppendBoolean("helloOk", true).
		AppendBoolean("ismaster", writable).
		AppendBoolean("isWritablePrimary", writable).
		AppendInt32("maxBsonObjectSize", 16<<20).
		AppendInt32("maxMessageSizeBytes", maxMessage).
		AppendInt32("maxWriteBatchSize", 100_000).
		AppendDateTime("localTime", time.Now().UnixMilli()).
		AppendInt32("logicalSessionTimeoutMinutes", 30).
		AppendInt32("connectionId", 1).
		AppendInt32("minWireVersion", 0).
		AppendInt32("maxWireVersion", 21).
		AppendBoolean("readOnly", false).
		AppendDouble("ok", 1)
	if set != nil {
		set.describe(greeting, s.address)
	}
	if zstd {
		greeting.AppendArray("compression", bsoncore.BuildArray(nil, bsoncore.Value{Type: bsoncore.TypeString, Data: bsoncore.AppendString(nil, "zstd")}))
	}
	return greeting.Build()
}

// byDefault answers as an empty database would that takes all that is written.
func byDefault(name string, command bsoncore.Document) bsoncore.Document {
	switch name {
	case "find", "aggregate", "listCollections", "listIndexes":
		return FirstBatch(namespace(command, name), 0)
	case "getMore":
		return NextBatch(namespace(command, "collection"), 0)
	case "insert":
		return OK(length(command, "documents"))
	case "update":
		return OK(length(command, "updates"))
	case "delete":
		return OK(length(command, "deletes"))
	case "distinct":
		return bsoncore.NewDocumentBuilder().AppendArray("values", bsoncore.BuildArray(nil)).AppendDouble("ok", 1).Build()
	case "findAndModify":
		return bsoncore.NewDocumentBuilder().AppendNull("value").AppendDouble("ok", 1).Build()
	}
	return OK(0)
}

// namespace is what a command works on, its collection named by a field.
func namespace(command bsoncore.Document, field string) string {
	database, _ := command.Lookup("$db").StringValueOK()
	collection, ok := command.Lookup(field).StringValueOK()
	if !ok {
		collection = "$cmd." + field
	}
	return database + "." + collection
}

func length(command bsoncore.Document, field string) int {
	array, ok := command.Lookup(field).ArrayOK()
	if !ok {
		return 0
	}
	values, err := array.Values()
	if err != nil {
		return 0
	}
	return len(values)
}
