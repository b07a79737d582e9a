package http2

import (
	"bytes"
	"sync"
	"unsafe"

	"github.com/valyala/fasthttp"
	"golang.org/x/net/http2/hpack"

	"metahub/gateway/message"
)

// coder encodes the heads and the trailers of answers, whosever they are, one after the other. Nothing of them goes into a client's dynamic
// table: so the order of answers does not matter to the coding, which can be done beside the lock of the connection, and a field is always
// encoded to the same bytes, which are kept for the next answer that has it.
type coder struct {
	encoder *hpack.Encoder
	block   bytes.Buffer
	each    message.Answer
	add     func(name, value []byte) // field, made once
	known   [64]known                // by slot of the name
}

// known is a field of an earlier answer: the most of them come again and again, such as the server's name, the type, and within a second the
// date. Looking them up in HPACK's static table was a tenth of the time of an answer from memory.
type known struct{ name, value, code []byte }

// mostKnown bounds what is kept of a field, in bytes.
const mostKnown = 256

// coders are those that nobody uses. They belong to no stream, so that one that waits holds none.
var coders = sync.Pool{New: func() any {
	k := new(coder)
	k.encoder = hpack.NewEncoder(&k.block)
	k.encoder.SetMaxDynamicTableSize(0)
	_ = k.encoder.WriteField(hpack.HeaderField{Name: ":status", Value: "200"}) // with which it says so; a buffer never fails
	k.block.Reset()
	k.add = k.field
	return k
}}

// emptyTable begins the first block of a connection: it says that there will be nothing in the dynamic table (RFC 7541 §6.3).
const emptyTable = 0x20

// proceed is the head of 100.
var proceed = func() []byte {
	k := coders.New().(*coder)
	k.status(fasthttp.StatusContinue)
	return k.block.Bytes()
}()

// encodeHead returns the head of an answer, to be sent by start.
func encodeHead(response *fasthttp.Response, bodiless bool) *coder {
	k := coders.Get().(*coder)
	k.status(response.StatusCode())
	k.each.Each(response, bodiless, k.add)
	return k
}

// encodeTrailers returns what the end of an answer brought, or nil.
func encodeTrailers(response *fasthttp.Response) *coder {
	k := coders.Get().(*coder)
	k.each.EachTrailer(response, k.add)
	if k.block.Len() == 0 {
		coders.Put(k)
		return nil
	}
	return k
}

// done gives the coder back.
func (k *coder) done() {
	k.block.Reset()
	coders.Put(k)
}

var status = []byte(":status")

func (k *coder) status(code int) {
	text := message.StatusText(code)
	k.field(status, unsafe.Slice(unsafe.StringData(text), len(text))) // #nosec G103
}

// field appends a field to the block.
func (k *coder) field(name, value []byte) {
	known := k.slot(name)
	if len(known.code) > 0 && bytes.Equal(known.name, name) && bytes.Equal(known.value, value) {
		k.block.Write(known.code)
		return
	}
	at := k.block.Len()
	_ = k.encoder.WriteField(hpack.HeaderField{Name: lend(name), Value: lend(value)}) // without a table it keeps nothing of them
	if len(name)+len(value) <= mostKnown {
		known.name = append(known.name[:0], name...)
		known.value = append(known.value[:0], value...)
		known.code = append(known.code[:0], k.block.Bytes()[at:]...)
	}
}

// slot is where a name's field is kept. The sum tells the names apart that answers mostly have.
func (k *coder) slot(name []byte) *known {
	n := len(name)
	if n == 0 {
		return &k.known[0]
	}
	return &k.known[(n+int(name[n-1])+5*int(name[n/2]))%len(k.known)]
}

func lend(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) } // #nosec G103
