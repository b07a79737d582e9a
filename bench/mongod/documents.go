package mongod

import (
	"encoding/binary"
	"fmt"
	"time"

	"go.mongodb.org/mongo-driver/v2/x/bsonx/bsoncore"
)

// sentences say something about a product in the languages that sites have, some beyond ASCII, two beyond two bytes a letter.
var sentences = []struct{ language, text string }{
	{"tr", "Yüksek verimli soğutma kulesi, sessiz çalışır ve kolay taşınır."},
	{"en", "A cooling tower of high efficiency that is quiet & easy to move."},
	{"de", "Ein Kühlturm mit hohem Wirkungsgrad, leise und leicht zu bewegen."},
	{"pl", "Wydajna chłodnia kominowa, cicha i łatwa do przeniesienia."},
	{"fr", "Une tour de refroidissement efficace, silencieuse et mobile."},
	{"es", "Una torre de refrigeración eficiente, silenciosa y fácil de mover."},
	{"it", "Una torre di raffreddamento efficiente, silenziosa e mobile."},
	{"pt", "Uma torre de resfriamento eficiente, silenciosa e móvel."},
	{"ar", "برج تبريد عالي الكفاءة وهادئ وسهل النقل."},
	{"ru", "Градирня с высоким КПД, тихая и лёгкая."},
	{"zh", "高效冷却塔,安静,易于移动,适用于各种工业用途。"},
	{"hi", "उच्च दक्षता वाला शांत कूलिंग टॉवर।"},
}

// Documents makes n documents as sites have them in their collections: 5.3 KB each, most of it five fields in twelve languages. They are
// the same with each call.
func Documents(n int) []bsoncore.Document {
	documents := make([]bsoncore.Document, n)
	for i := range documents {
		documents[i] = document(i)
	}
	return documents
}

func document(i int) bsoncore.Document {
	var id [12]byte
	binary.BigEndian.PutUint32(id[:], 0x66a00000)
	binary.BigEndian.PutUint32(id[8:], uint32(i))
	created := time.Date(2025, 1, 1, 0, 0, i, 0, time.UTC).UnixMilli()
	tags := bsoncore.BuildArray(nil,
		bsoncore.Value{Type: bsoncore.TypeString, Data: bsoncore.AppendString(nil, "cooling")},
		bsoncore.Value{Type: bsoncore.TypeString, Data: bsoncore.AppendString(nil, "industry")})
	return bsoncore.NewDocumentBuilder().
		AppendObjectID("_id", id).
		AppendDocument("title", localized(fmt.Sprintf("%d. ", i), 1)).
		AppendDocument("slug", localized(fmt.Sprintf("product-%d-", i), 0)).
		AppendDocument("summary", localized("", 1)).
		AppendDocument("description", localized("", 2)).
		AppendDocument("metaDescription", localized("", 1)).
		AppendDouble("price", 19.5+float64(i)).
		AppendInt32("stock", int32(i)).
		AppendArray("tags", tags).
		AppendBoolean("isActive", true).
		AppendBoolean("isPublished", true).
		AppendInt32("order", int32(i)).
		AppendDateTime("createdAt", created).
		AppendDateTime("updatedAt", created).
		AppendInt32("__v", 0).
		Build()
}

// localized is a map of languages to a prefix and so many sentences, or to the prefix and the language.
func localized(prefix string, sentencesEach int) bsoncore.Document {
	builder := bsoncore.NewDocumentBuilder()
	for _, s := range sentences {
		text := prefix
		for range sentencesEach {
			text += s.text
		}
		if sentencesEach == 0 {
			text += s.language
		}
		builder.AppendString(s.language, text)
	}
	return builder.Build()
}
