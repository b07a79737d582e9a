package api

import (
	"encoding/binary"
	"encoding/hex"
	"strings"

	"github.com/cespare/xxhash/v2"
	"github.com/valyala/fasthttp"
	"go.mongodb.org/mongo-driver/v2/bson"

	"metahub/api/model"
)

// tag is an entity tag in the making (RFC 9110 §8.8.3): a hash of all that an answer is made of, before it is made. It begins with the
// tenant, so that no tag of one tenant means anything at another.
type tag struct{ hash xxhash.Digest }

// newTag begins the tag of an answer from a collection.
func newTag(r *request, m *model.Model, view *model.View) *tag {
	t := &tag{}
	t.hash.Reset()
	t.text(r.tenant.Slug)
	t.text(m.Collection)
	t.number(int64(view.Audience))
	t.number(int64(r.language))
	if r.flat {
		t.text("flat")
	}
	for _, e := range view.Projection {
		t.text(e.Key)
	}
	return t
}

func (t *tag) text(s string) {
	_, _ = t.hash.WriteString(s)
	_, _ = t.hash.Write([]byte{0}) // so that "ab" and "c" are not "a" and "bc"
}

func (t *tag) number(n int64) {
	var b [8]byte
	binary.LittleEndian.PutUint64(b[:], uint64(n))
	_, _ = t.hash.Write(b[:])
}

func (t *tag) bytes(b []byte) { _, _ = t.hash.Write(b) }

// list is the tag of a list.
func (t *tag) list() string { return `"` + hexOf(t.hash.Sum64()) + `"` }

// item is the tag of a document. It says which version of the document it is, whatever view, language or fields were asked for, and then
// which representation of that.
func (t *tag) item(r *request, m *model.Model, document bson.Raw) string {
	return `"` + version(r, m, document) + "-" + hexOf(t.hash.Sum64()) + `"`
}

// version tells the versions of a document from each other. Each write that comes through here counts the revision up, and other
// programs set the time.
func version(r *request, m *model.Model, document bson.Raw) string {
	var h xxhash.Digest
	h.Reset()
	_, _ = h.WriteString(r.tenant.Slug + "\x00" + m.Collection + "\x00")
	for _, name := range m.VersionFields() {
		v := document.Lookup(name)
		_, _ = h.Write([]byte{byte(v.Type)})
		_, _ = h.Write(v.Value)
	}
	return hexOf(h.Sum64())
}

func hexOf(n uint64) string {
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], n)
	return hex.EncodeToString(b[:])
}

// maxTags bounds how many tags of a header are looked at.
const maxTags = 50

// unchanged reports whether the client has the answer with a tag already (RFC 9110 §13.1.2, by weak comparison).
func (r *request) unchanged(tag string) bool {
	return anyTag(string(r.http.Request.Header.Peek(fasthttp.HeaderIfNoneMatch)), func(known string) bool { return known == tag })
}

// precondition is what If-Match demands of a document (RFC 9110 §13.1.1): nil where it demands nothing.
func (r *request) precondition(m *model.Model) func(bson.Raw) bool {
	return r.matching(m, string(r.http.Request.Header.Peek(fasthttp.HeaderIfMatch)))
}

// matching is the precondition of the tags in an If-Match.
func (r *request) matching(m *model.Model, header string) func(bson.Raw) bool {
	if header == "" {
		return nil
	}
	return func(document bson.Raw) bool {
		current := version(r, m, document)
		return anyTag(header, func(known string) bool { return strings.HasPrefix(known, `"`+current+"-") })
	}
}

func anyTag(header string, matches func(tag string) bool) bool {
	if strings.TrimSpace(header) == "*" {
		return true
	}
	for range maxTags {
		if header == "" {
			return false
		}
		var one string
		one, header, _ = strings.Cut(header, ",")
		if matches(strings.TrimPrefix(strings.TrimSpace(one), "W/")) { // the gateway makes tags weak when it compresses
			return true
		}
	}
	return false
}
