package api

import (
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// A change stream brings what happens to the models' collections, or to all of them, and of documents nothing but what says who is shown them.
func TestStagesOfAChangeStream(t *testing.T) {
	got, err := bson.MarshalExtJSON(bson.D{{Key: "p", Value: stages([]string{"faqs", "news"}, []string{"tenant", "isPublished"})}}, false, false)
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"p":[{"$match":{"$or":[{"ns.coll":{"$in":["faqs","news"]}},{"operationType":{"$in":["dropDatabase","invalidate"]}}]}},` +
		`{"$project":{"_id":1,"operationType":1,"ns":1,"documentKey":1,"updateDescription.removedFields":1,"fullDocument.tenant":1,"updateDescription.updatedFields.tenant":1,` +
		`"fullDocument.isPublished":1,"updateDescription.updatedFields.isPublished":1}}]}`
	if string(got) != want {
		t.Errorf("got\n%s, want\n%s", got, want)
	}
}

func TestChangeOf(t *testing.T) {
	id := bson.NewObjectID()
	f := func(operation string, rest bson.D, op, collection string, before bool) {
		t.Helper()
		change := append(bson.D{{Key: "operationType", Value: operation}, {Key: "ns", Value: bson.D{{Key: "db", Value: "anna"}, {Key: "coll", Value: "faqs"}}}}, rest...)
		raw, err := bson.Marshal(change)
		if err != nil {
			t.Fatal(err)
		}
		e := changeOf(raw, []string{"isPublished"})
		switch {
		case e == nil && op == "":
		case e == nil || op == "":
			t.Errorf("%s is %v", operation, e)
		case e.op != op || e.collection != collection || e.before.known != before || !e.after.known:
			t.Errorf("%s is %+v", operation, *e)
		}
	}
	key := bson.E{Key: "documentKey", Value: bson.D{{Key: "_id", Value: id}}}
	document := bson.E{Key: "fullDocument", Value: bson.D{{Key: "isPublished", Value: true}}}
	updated := func(field string) bson.E {
		return bson.E{Key: "updateDescription", Value: bson.D{{Key: "updatedFields", Value: bson.D{{Key: field, Value: true}}}, {Key: "removedFields", Value: bson.A{}}}}
	}
	f("insert", bson.D{key, document}, "create", "faqs", true)
	f("update", bson.D{key, document, updated("order")}, "update", "faqs", true)
	f("update", bson.D{key, document, updated("isPublished")}, "update", "faqs", false)
	f("update", bson.D{key, updated("order")}, "update", "faqs", false) // it has gone since
	f("replace", bson.D{key, document}, "update", "faqs", false)
	f("delete", bson.D{key}, "delete", "faqs", false)
	f("drop", nil, "reset", "faqs", false)
	f("rename", nil, "reset", "faqs", false)
	f("dropDatabase", nil, "reset", "", false)
	f("invalidate", nil, "reset", "", false)
	f("createIndexes", nil, "", "", false)
	if changeOf(nil, nil) != nil {
		t.Error("no change is one")
	}
}
