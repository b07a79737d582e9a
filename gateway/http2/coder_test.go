package http2

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/valyala/fasthttp"
	"golang.org/x/net/http2/hpack"
)

// TestCoderKnowsFields has one coder encode heads that have fields in common with those before: what is decoded must be what was said, whatever
// the coder knew of it.
func TestCoderKnowsFields(t *testing.T) {
	names := []string{"", "a", "date", "etag", "vary", "server", "content-type", "content-length", "x-request-id", "set-cookie", "location", strings.Repeat("n", mostKnown)}
	values := []string{"", "1", "2", "nginx", "text/html", strings.Repeat("v", mostKnown), strings.Repeat("w", 4*mostKnown)}
	var k *coder
	var got []string
	decoder := hpack.NewDecoder(0, func(f hpack.HeaderField) { got = append(got, f.Name+": "+f.Value) })
	for i := range 2000 {
		if i%100 == 0 {
			k = coders.New().(*coder)
		}
		k.block.Reset()
		status := fasthttp.StatusOK + rand.IntN(2)
		k.status(status)
		want := []string{fmt.Sprintf(":status: %d", status)}
		for range rand.IntN(8) {
			name, value := names[rand.IntN(len(names))], values[rand.IntN(len(values))]
			k.field([]byte(name), []byte(value))
			want = append(want, name+": "+value)
		}
		got = got[:0]
		if _, err := decoder.Write(k.block.Bytes()); err != nil {
			t.Fatalf("%q: %v", want, err)
		}
		if !slices.Equal(got, want) {
			t.Fatalf("decoded %q, want %q", got, want)
		}
	}
	for _, f := range k.known {
		if kept := len(f.name) + len(f.value); kept > mostKnown {
			t.Errorf("%d bytes are kept of a field, want at most %d", kept, mostKnown)
		}
	}
}

// BenchmarkHead encodes the head of an answer from the cache, of which only the request's id is new.
func BenchmarkHead(b *testing.B) {
	var r fasthttp.Response
	r.Header.SetContentType("text/html")
	r.Header.Set("Server", "nginx/1.22.1")
	r.Header.Set("Date", "Sun, 29 Nov 2026 02:26:34 GMT")
	r.Header.Set("Cache-Status", "metahub; hit; ttl=86000")
	r.Header.Set("Alt-Svc", `h3=":8443"; ma=86400`)
	r.SetBodyRaw(make([]byte, 580))
	id := []byte("0123456789abcdef0123456789abcdef")
	b.ReportAllocs()
	for i := range b.N {
		id[i%len(id)] ^= 1
		r.Header.SetCanonical([]byte("X-Request-Id"), id)
		encodeHead(&r, false).done()
	}
}
