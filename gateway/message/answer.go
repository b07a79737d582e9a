package message

import (
	"strconv"
	"sync/atomic"
	"time"

	"github.com/valyala/fasthttp"

	"metahub/gateway/grammar"
)

// Answer gives the fields of an answer as HTTP/2 and HTTP/3 have them: the names in lower case (RFC 9113 §8.2, RFC 9114 §4.2), without those of
// an HTTP/1 connection, with a length where it is known and a date. It is used by one goroutine at a time, and for any number of answers.
type Answer struct {
	scratch []byte
	name    []byte
}

// Each calls add for each field. name and value are lent until add returns.
func (a *Answer) Each(response *fasthttp.Response, bodiless bool, add func(name, value []byte)) {
	dated, measured := false, !response.IsBodyStream() && (!bodiless || len(response.Body()) > 0)
	for name, value := range response.Header.All() {
		if grammar.IsHopByHop(name) || measured && grammar.EqualFold(name, "content-length") {
			continue
		}
		a.lower(name)
		add(a.name, value)
		dated = dated || string(a.name) == "date"
	}
	if measured {
		a.scratch = strconv.AppendInt(a.scratch[:0], int64(len(response.Body())), 10)
		add(contentLength, a.scratch)
	}
	if !dated {
		add(date, now())
	}
}

// EachTrailer calls add for each field that the end of the body brought.
func (a *Answer) EachTrailer(response *fasthttp.Response, add func(name, value []byte)) {
	for name := range response.Header.Trailers() {
		a.lower(name)
		for _, value := range response.Header.PeekAll(string(name)) {
			add(a.name, value)
		}
	}
}

func (a *Answer) lower(name []byte) {
	a.name = append(a.name[:0], name...)
	for i, c := range a.name {
		if 'A' <= c && c <= 'Z' {
			a.name[i] = c | 0x20
		}
	}
}

var contentLength, date = []byte("content-length"), []byte("date")

// moment is a second as a Date field has it.
type moment struct {
	second int64
	text   []byte
}

var lastMoment atomic.Pointer[moment]

// now is the value of a Date field. It is written anew once a second.
func now() []byte {
	t := time.Now()
	if m := lastMoment.Load(); m != nil && m.second == t.Unix() {
		return m.text
	}
	m := &moment{second: t.Unix(), text: fasthttp.AppendHTTPDate(nil, t)}
	lastMoment.Store(m)
	return m.text
}

// StatusText is a status in digits.
func StatusText(status int) string {
	switch status { // which need no memory
	case fasthttp.StatusOK:
		return "200"
	case fasthttp.StatusNotModified:
		return "304"
	}
	return strconv.Itoa(status)
}
