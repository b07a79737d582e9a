package bsonjson

import (
	"bytes"
	"slices"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// Join writes documents in place of their ids.
type Join struct {
	Documents Documents
	// Options are those of the documents. Their own Joins are not followed.
	Options *Options
}

// Documents are documents to be found by their ids. The zero value has none.
type Documents struct {
	ids  []bson.ObjectID // sorted
	docs [][]byte        // as ids
}

// NewDocuments indexes BSON documents, one after the other in raw, which it keeps. Documents whose _id is not an ObjectId cannot be
// found; bytes that are not documents end the list.
func NewDocuments(raw []byte) Documents {
	type entry struct {
		id  bson.ObjectID
		doc []byte
	}
	var entries []entry
	for len(raw) > 0 {
		body, rest, ok := splitDocument(raw)
		if !ok {
			break
		}
		if id, found := idOf(body); found {
			entries = append(entries, entry{id, raw[:len(raw)-len(rest)]})
		}
		raw = rest
	}
	slices.SortFunc(entries, func(a, b entry) int { return bytes.Compare(a.id[:], b.id[:]) })
	d := Documents{ids: make([]bson.ObjectID, len(entries)), docs: make([][]byte, len(entries))}
	for i, e := range entries {
		d.ids[i], d.docs[i] = e.id, e.doc
	}
	return d
}

func idOf(body []byte) (id bson.ObjectID, found bool) {
	for ok := true; len(body) > 0; {
		var e element
		if e, body, ok = nextElement(body); !ok {
			return id, false
		}
		if string(e.key) == "_id" && e.kind == bson.TypeObjectID {
			return bson.ObjectID(e.value), true
		}
	}
	return id, false
}

func (d *Documents) find(id []byte) ([]byte, bool) {
	at, found := slices.BinarySearchFunc(d.ids, id, func(known bson.ObjectID, id []byte) int { return bytes.Compare(known[:], id) })
	if !found {
		return nil, false
	}
	return d.docs[at], true
}

// AppendIDs appends to ids what a top-level field of the documents in docs refers to: its ObjectId, or those in its array. The same id
// is appended once. Bytes that are not documents end the list.
func AppendIDs(ids []bson.ObjectID, docs []byte, field string) []bson.ObjectID {
	start := len(ids)
	for len(docs) > 0 {
		body, rest, ok := splitDocument(docs)
		if !ok {
			break
		}
		docs = rest
		for len(body) > 0 {
			var e element
			if e, body, ok = nextElement(body); !ok {
				break
			}
			if string(e.key) == field {
				ids = appendIDsOf(ids, e)
			}
		}
	}
	own := ids[start:]
	slices.SortFunc(own, func(a, b bson.ObjectID) int { return bytes.Compare(a[:], b[:]) })
	return ids[:start+len(slices.Compact(own))]
}

func appendIDsOf(ids []bson.ObjectID, e element) []bson.ObjectID {
	switch e.kind {
	case bson.TypeObjectID:
		return append(ids, bson.ObjectID(e.value))
	case bson.TypeArray:
		body, _, ok := splitDocument(e.value)
		for ok && len(body) > 0 {
			var inner element
			if inner, body, ok = nextElement(body); ok && inner.kind == bson.TypeObjectID {
				ids = append(ids, bson.ObjectID(inner.value))
			}
		}
	}
	return ids
}

// appendMarked writes the value of a field that Keep has marked.
func (o *Options) appendMarked(dst []byte, e element, in scope, depth int) ([]byte, bool) {
	mark := in.keep
	if mark.whole() {
		in.keep = nil
	}
	switch {
	case mark.localized && o.Languages != nil && e.kind == bson.TypeEmbeddedDocument:
		return appendLanguage(dst, e.value, o.Languages)
	case mark.join > 0 && mark.join <= len(o.Joins):
		return o.Joins[mark.join-1].append(dst, e, depth)
	}
	return o.appendValue(dst, e.kind, e.value, in, depth)
}

// append writes the documents that a value refers to. One that is not there is null, and left out of an array; a value that is no
// reference is null, because nothing has judged it.
func (j *Join) append(dst []byte, e element, depth int) ([]byte, bool) {
	switch e.kind {
	case bson.TypeObjectID:
		if doc, found := j.Documents.find(e.value); found {
			return j.appendDocument(dst, doc, depth)
		}
	case bson.TypeArray:
		return j.appendArray(dst, e.value, depth)
	}
	return append(dst, "null"...), true
}

func (j *Join) appendArray(dst, array []byte, depth int) ([]byte, bool) {
	body, _, ok := splitDocument(array)
	if !ok {
		return dst, false
	}
	dst = append(dst, '[')
	start := len(dst)
	for len(body) > 0 {
		var e element
		if e, body, ok = nextElement(body); !ok {
			return dst, false
		}
		if e.kind != bson.TypeObjectID {
			continue
		}
		doc, found := j.Documents.find(e.value)
		if !found {
			continue
		}
		if len(dst) > start {
			dst = append(dst, ',')
		}
		if dst, ok = j.appendDocument(dst, doc, depth); !ok {
			return dst, false
		}
	}
	return append(dst, ']'), true
}

func (j *Join) appendDocument(dst, doc []byte, depth int) ([]byte, bool) {
	out, _, ok := j.Options.appendDocument(dst, doc, j.Options.scope(), false, depth)
	return out, ok
}

// appendLanguage writes one text of a map of languages to texts.
func appendLanguage(dst, document []byte, languages []string) ([]byte, bool) {
	body, rest, ok := splitDocument(document)
	if !ok || len(rest) > 0 {
		return dst, false
	}
	best, chosen := len(languages)+1, []byte(nil)
	for len(body) > 0 {
		var e element
		if e, body, ok = nextElement(body); !ok {
			return dst, false
		}
		if e.kind != bson.TypeString || len(e.value) <= emptyString {
			continue
		}
		if rank := rankOf(e.key, languages); rank < best {
			best, chosen = rank, e.value
		}
	}
	if chosen == nil {
		return append(dst, "null"...), true
	}
	return appendBSONString(dst, chosen)
}

// emptyString is the size of a BSON string without text: its length, and a NUL.
const emptyString = 4 + 1

// rankOf returns the place of a key among the languages, after all of them where it is none.
func rankOf(key []byte, languages []string) int {
	for rank, language := range languages {
		if string(key) == language {
			return rank
		}
	}
	return len(languages)
}
