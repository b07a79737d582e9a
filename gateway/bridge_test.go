package gateway

import (
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/valyala/fasthttp"
	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

func TestCheckStream(t *testing.T) {
	f := func(want *refusal, change func(*http.Request)) {
		t.Helper()
		r := &http.Request{Method: "GET", URL: new(url.URL), RequestURI: "/a?b", Host: "anna.test", Header: http.Header{}}
		change(r)
		if got := checkStream(r); got != want {
			t.Errorf("%s %q %q: %+v, want %+v", r.Method, r.RequestURI, r.Header, got, want)
		}
	}
	f(nil, func(r *http.Request) {})
	f(nil, func(r *http.Request) { r.Method, r.RequestURI = "OPTIONS", "*" })
	f(nil, func(r *http.Request) { r.Header.Set("Te", "trailers") })
	f(nil, func(r *http.Request) { r.Header.Set("Host", "anna.test") })
	f(nil, func(r *http.Request) { r.Method = "MOVE-IT" })
	f(refuseConnect, func(r *http.Request) { r.Method = "CONNECT" })
	f(refuseMalformed, func(r *http.Request) { r.URL.Scheme = "http" })
	f(refuseMalformed, func(r *http.Request) { r.Method = "GET /x" })
	f(refuseMalformed, func(r *http.Request) { r.Method = "" })
	f(refuseMalformed, func(r *http.Request) { r.RequestURI = "" })
	f(refuseMalformed, func(r *http.Request) { r.RequestURI = "*" })
	f(refuseMalformed, func(r *http.Request) { r.RequestURI = "x" })
	f(refuseMalformed, func(r *http.Request) { r.RequestURI = "https://bert.test/" })
	f(refuseMalformed, func(r *http.Request) { r.RequestURI = "/a HTTP/1.1\r\nX-Tenant: bert" })
	f(refuseMalformed, func(r *http.Request) { r.RequestURI = "/a b" })
	f(refuseMalformed, func(r *http.Request) { r.RequestURI = "/a#b" })
	f(refuseMalformed, func(r *http.Request) { r.RequestURI = "/\xc3\xa4" })
	f(refuseMalformed, func(r *http.Request) { r.RequestURI = "//bert.test/?u=http://anna.test" })
	f(refuseTargetSize, func(r *http.Request) { r.RequestURI = "/" + strings.Repeat("x", targetBytes) })
	f(refuseTarget, func(r *http.Request) { r.Header.Set("Host", "bert.test") })
	f(refuseTarget, func(r *http.Request) { r.Header["Host"] = []string{"anna.test", "anna.test"} })
	f(nil, func(r *http.Request) { r.ContentLength = 5; r.Header.Set("Content-Length", "5") })
	f(nil, func(r *http.Request) { r.ContentLength = -1 })
	f(refuseMalformed, func(r *http.Request) { r.Header.Set("Content-Length", "5") }) // and the stream ends with its header
	f(refuseMalformed, func(r *http.Request) { r.Header.Set("Content-Length", "+0") })
	f(refuseMalformed, func(r *http.Request) { r.Header["Content-Length"] = []string{"0", "0"} })
	f(refuseMalformed, func(r *http.Request) { r.Header.Set("X-A", " padded") })
	f(refuseMalformed, func(r *http.Request) { r.Header["X-A"] = []string{"", "padded\t"} })
	for _, name := range []string{"Connection", "Keep-Alive", "Proxy-Connection", "Transfer-Encoding", "Upgrade"} {
		f(refuseMalformed, func(r *http.Request) { r.Header.Set(name, "x") })
	}
	f(refuseMalformed, func(r *http.Request) { r.Header.Set("Te", "gzip") })
}

// TestHTTP2Frames sends header fields that no client library would.
func TestHTTP2Frames(t *testing.T) { overHTTP2(t, sendFrames) }

func sendFrames(t *testing.T) {
	w := start(t, nil)
	f := func(status string, fields ...string) {
		t.Helper()
		if got := w.stream(append([]string{":method", "GET", ":scheme", "https"}, fields...)...); got != status {
			t.Errorf("%.200q: %s, want %s", fields, got, status)
		}
	}
	f("200", ":authority", "anna.test", ":path", "/")
	f("200", ":authority", "ANNA.test:8443", ":path", "/")
	f("200", ":path", "/", "host", "anna.test")
	f("200", ":authority", "anna.test", ":path", "/", "x-tenant", "bert")
	f("200", ":authority", "anna.test", ":path", "/", "host", "anna.test")
	f("400", ":authority", "anna.test", ":path", "/", "host", "bert.test")
	f("421", ":authority", "bert.test", ":path", "/")
	f("421", ":authority", "bert.test", ":path", "/", "x-forwarded-host", "anna.test")
	f("reset", ":authority", "anna.test@bert.test", ":path", "/")
	f("400", ":path", "/")
	f("400", ":path", "/", "host", "anna.test", "host", "anna.test")
	f("400", ":authority", "anna.test", ":path", "/a b")
	f("400", ":authority", "anna.test", ":path", "//bert.test/api/?u=http://anna.test")
	f("400", ":authority", "anna.test", ":path", "/", "content-length", "5")
	f("400", ":authority", "anna.test", ":path", "/", "x-a", " padded")
	f("400", ":authority", "anna.test", ":path", "/x/../api/x")
	f("400", ":authority", "anna.test", ":path", "/", "connection", "x-tenant")
	f("400", ":authority", "anna.test", ":path", "/", "upgrade", "h2c")
	f("400", ":authority", "anna.test", ":path", "/", "transfer-encoding", "chunked")
	f("400", ":authority", "anna.test", ":path", "/", "te", "gzip")
	f("400", ":authority", "anna.test", ":path", "https://bert.test/")
	many := []string{":authority", "anna.test", ":path", "/"}
	for range headerFields + 1 {
		many = append(many, "x-a", "b")
	}
	f("431", many...)
	tooLarge := "reset"
	if isEngine(t) {
		tooLarge = "431"
	}
	f(tooLarge, ":authority", "anna.test", ":path", "/", "x-a", strings.Repeat("x", headerBytes+32*headerFields)) // 32 bytes a field are added to it

	for scheme, status := range map[string]string{"http": "400", "ftp": "reset", "": "reset"} {
		if got := w.stream(":method", "GET", ":scheme", scheme, ":authority", "anna.test", ":path", "/"); got != status {
			t.Errorf(":scheme %q: %s, want %s", scheme, got, status)
		}
	}
}

// stream sends one request over a connection of its own and returns the status of the answer, or "reset".
func (w *world) stream(fields ...string) string {
	w.Helper()
	c := w.dialHTTP2("anna.test")
	defer c.close()
	c.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	block := c.fields(fields...)
	head := block[:min(len(block), 16<<10)]
	rest := block[len(head):]
	err := c.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: head, EndStream: true, EndHeaders: len(rest) == 0})
	if err == nil && len(rest) > 0 {
		err = c.WriteContinuation(1, true, rest)
	}
	if err := errors.Join(err, c.flush()); err != nil {
		w.Fatal(err)
	}
	for {
		frame, err := c.ReadFrame()
		if err != nil {
			w.Fatal(err)
		}
		switch frame := frame.(type) {
		case *http2.MetaHeadersFrame:
			return frame.PseudoValue("status")
		case *http2.RSTStreamFrame, *http2.GoAwayFrame:
			return "reset"
		}
	}
}

// TestAnswers passes the kinds of answers that frame differently.
func TestAnswers(t *testing.T) {
	pair(t, func(t *testing.T, http2 bool) {
		w := start(t, nil)
		w.answerWith(func(ctx *fasthttp.RequestCtx, who string) {
			h := &ctx.Response.Header
			h.Add("Set-Cookie", "a=1; Path=/")
			h.Add("Set-Cookie", "b=2")
			h.Add("X-Two", "1")
			h.Add("X-Two", "2")
			switch string(ctx.Path()) {
			case "/204":
				ctx.SetStatusCode(204)
			case "/304":
				h.Set("ETag", `"x"`)
				ctx.SetStatusCode(304)
			case "/stream":
				ctx.SetBodyStream(&body{Reader: strings.NewReader("streamed")}, -1)
			case "/sized":
				ctx.SetBodyStream(&body{Reader: strings.NewReader("streamed")}, 8)
			case "/short":
				ctx.SetBodyStream(&body{Reader: strings.NewReader("stream")}, 8)
			case "/large":
				ctx.SetBodyString(strings.Repeat("x", 1<<20))
			default:
				h.SetContentType("text/x-test")
				ctx.SetBodyString("whole")
			}
		})
		c := w.client(http2, "")
		f := func(method, path string, status int, body string, length int64) {
			t.Helper()
			got := w.do(c, method, "https://anna.test"+path, "")
			if got.StatusCode != status || got.body != body || got.ContentLength != length {
				t.Errorf("%s %s: status %d, %d bytes %.20q, length %d", method, path, got.StatusCode, len(got.body), got.body, got.ContentLength)
			}
			if strings.Join(got.Header["Set-Cookie"], "|") != "a=1; Path=/|b=2" || strings.Join(got.Header["X-Two"], "|") != "1|2" {
				t.Errorf("%s %s: %q", method, path, got.Header)
			}
			if got.Header.Get("Server") != "" || got.Header.Get("Date") == "" || (path == "/stream" && got.Header.Get("Content-Type") != "") {
				t.Errorf("%s %s: %q", method, path, got.Header)
			}
		}
		f("GET", "/", 200, "whole", 5)
		f("HEAD", "/", 200, "", 5)
		f("GET", "/204", 204, "", 0)
		if isHTTP3(t) {
			f("GET", "/304", 304, "", -1) // as its client tells of no length
		} else {
			f("GET", "/304", 304, "", 0)
		}
		f("GET", "/stream", 200, "streamed", -1)
		f("GET", "/sized", 200, "streamed", 8)
		f("HEAD", "/sized", 200, "", 8)
		f("GET", "/large", 200, strings.Repeat("x", 1<<20), 1<<20)

		response, err := c.Get("https://anna.test/short")
		if err == nil {
			_, err = io.ReadAll(response.Body)
			response.Body.Close()
		}
		if err == nil {
			t.Error("a body that ended too early passed for a whole one")
		}
	})
}

func TestAnswerTrailers(t *testing.T) {
	pair(t, func(t *testing.T, http2 bool) {
		w := start(t, nil)
		w.answerWith(func(ctx *fasthttp.RequestCtx, who string) {
			if err := ctx.Response.Header.SetTrailer("X-Sum"); err != nil {
				t.Error(err)
			}
			ctx.Response.Header.Set("X-Sum", "42")
			ctx.SetBodyStream(&body{Reader: strings.NewReader("streamed")}, -1)
		})
		got := w.do(w.client(http2, ""), "GET", "https://anna.test/", "")
		if got.body != "streamed" || got.Trailer.Get("X-Sum") != "42" || got.Header.Get("X-Sum") != "" {
			t.Errorf("body %q, trailer %q, header %q", got.body, got.Trailer, got.Header)
		}
	})
}

// TestUploadStreams has the handler see the first piece of a body before the client has sent the second.
func TestUploadStreams(t *testing.T) {
	pair(t, func(t *testing.T, http2 bool) {
		w := start(t, nil)
		pieces := make(chan string)
		w.answerWith(func(ctx *fasthttp.RequestCtx, who string) {
			piece := make([]byte, 100)
			for {
				n, err := ctx.RequestBodyStream().Read(piece)
				if n > 0 {
					pieces <- string(piece[:n])
				}
				if err != nil {
					return
				}
			}
		})
		reader, writer := io.Pipe()
		done := make(chan error, 1)
		go func() {
			response, err := w.client(http2, "").Post("https://anna.test/", "text/plain", reader)
			if err == nil {
				response.Body.Close()
			}
			done <- err
		}()
		for _, want := range []string{"first", "second"} {
			if _, err := io.WriteString(writer, want); err != nil {
				t.Fatal(err)
			}
			got := ""
			for len(got) < len(want) {
				select {
				case piece := <-pieces:
					got += piece
				case <-time.After(10 * time.Second):
					t.Fatalf("the handler has read %q, want %q", got, want)
				}
			}
		}
		writer.Close()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}
