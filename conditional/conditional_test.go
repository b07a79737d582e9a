package conditional

import (
	"testing"
	"time"

	"github.com/valyala/fasthttp"
)

func headOf(method string, fields ...string) *fasthttp.RequestCtx {
	var ctx fasthttp.RequestCtx
	ctx.Request.Header.SetMethod(method)
	for i := 0; i+1 < len(fields); i += 2 {
		ctx.Request.Header.Add(fields[i], fields[i+1])
	}
	return &ctx
}

const (
	date  = "Mon, 02 Jan 2006 15:04:05 GMT"
	later = "Mon, 02 Jan 2006 15:04:06 GMT"
	older = "Mon, 02 Jan 2006 15:04:04 GMT"
)

var dated = Validators{ETag: []byte(`"a"`), Modified: []byte(date), Time: time.Date(2006, 1, 2, 15, 4, 5, 0, time.UTC)}

func TestJudge(t *testing.T) {
	f := func(v Validators, want Verdict, fields ...string) {
		t.Helper()
		if got := v.Judge(&headOf("GET", fields...).Request.Header); got != want {
			t.Errorf("%q: %v, want %v", fields, got, want)
		}
	}
	f(dated, Proceed)
	f(dated, NotModified, "If-None-Match", `"b", W/"a"`)
	f(dated, Proceed, "If-None-Match", `"b"`, "If-Modified-Since", date) // tags outweigh dates
	f(dated, PreconditionFailed, "If-Match", `W/"a"`)
	f(dated, Proceed, "If-Match", `"b", "a"`, "If-Unmodified-Since", older)
	f(dated, PreconditionFailed, "If-Unmodified-Since", older)
	f(dated, NotModified, "If-Modified-Since", date)
	f(dated, NotModified, "If-Modified-Since", later)
	f(dated, Proceed, "If-Modified-Since", older)
	f(dated, Proceed, "If-Modified-Since", "yesterday")
	// Without a date of our own theirs say nothing.
	undated := Validators{ETag: []byte(`"a"`)}
	f(undated, Proceed, "If-Modified-Since", date)
	f(undated, Proceed, "If-Unmodified-Since", date)
	f(undated, NotModified, "If-None-Match", "*")
}

func TestCut(t *testing.T) {
	f := func(status int, from, length int64, contentRange string, fields ...string) {
		t.Helper()
		ctx := headOf("GET", fields...)
		got := dated.Cut(ctx, 100)
		if said := string(ctx.Response.Header.Peek("Content-Range")); ctx.Response.StatusCode() != status || got != (Part{from, length}) || said != contentRange {
			t.Errorf("%q: %d %+v %q", fields, ctx.Response.StatusCode(), got, said)
		}
	}
	f(200, 0, 100, "")
	f(206, 0, 1, "bytes 0-0/100", "Range", "bytes=0-0")
	f(206, 90, 10, "bytes 90-99/100", "Range", "bytes=90-")
	f(206, 90, 10, "bytes 90-99/100", "Range", "bytes=90-99999999999999999999")
	f(206, 99, 1, "bytes 99-99/100", "Range", "bytes=-1")
	f(206, 0, 100, "bytes 0-99/100", "Range", "bytes=-1000")
	f(416, 0, 0, "bytes */100", "Range", "bytes=100-")
	f(416, 0, 0, "bytes */100", "Range", "bytes=-0")
	f(206, 1, 2, "bytes 1-2/100", "Range", "bytes=1-2", "If-Range", `"a"`)
	f(206, 1, 2, "bytes 1-2/100", "Range", "bytes=1-2", "If-Range", date)
	for _, field := range []string{"bytes=2-1", "bytes=-", "bytes=a-b", "bytes=1-2,4-5", "items=1-2", "bytes=1-2-3", "bytes=+1-2"} {
		f(200, 0, 100, "", "Range", field)
	}
	f(200, 0, 100, "", "Range", "bytes=1-2", "If-Range", `W/"a"`)
	f(200, 0, 100, "", "Range", "bytes=1-2", "If-Range", older)
	if got := dated.Cut(headOf("POST", "Range", "bytes=1-2"), 100); got != (Part{0, 100}) {
		t.Errorf("a POST gets %+v", got)
	}
}
