package gateway

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/valyala/fasthttp"

	"metahub/gateway/frontend"
)

func TestPanicCostsItsRequestOnly(t *testing.T) {
	pair(t, func(t *testing.T, http2 bool) {
		w := start(t, nil)
		w.answerWith(func(ctx *fasthttp.RequestCtx, who string) {
			if string(ctx.Path()) == "/api/panic" || string(ctx.Path()) == "/panic" {
				ctx.SetBodyString("half")
				panic("on purpose")
			}
			ctx.SetBodyString("fine")
		})
		c := w.client(http2, "")
		for i, path := range []string{"/panic", "/api/panic"} {
			got := w.do(c, "GET", "https://anna.test"+path, "")
			id := got.Header.Get("X-Request-Id")
			if got.StatusCode != 500 || id == "" || !strings.Contains(got.body, id) {
				t.Errorf("%s: status %d, request id %q, %q", path, got.StatusCode, id, got.body)
			}
			lines := w.logs.find("level", "error")
			if len(lines) != i+1 || lines[i]["request_id"] != id || !strings.Contains(fmt.Sprint(lines[i]["stack"]), "handler_test.go") {
				t.Errorf("%s: logged %v, want one stack more", path, lines)
			}
		}
		if got := w.do(c, "GET", "https://anna.test/", ""); got.body != "fine" {
			t.Errorf("after the panics: %d %q", got.StatusCode, got.body)
		}
	})
}

type panicking struct{}

func (panicking) Read([]byte) (int, error) { panic("on purpose") }

func TestPanicInABody(t *testing.T) {
	pair(t, func(t *testing.T, http2 bool) {
		w := start(t, nil)
		w.answerWith(func(ctx *fasthttp.RequestCtx, who string) {
			if string(ctx.Path()) == "/panic" {
				ctx.SetBodyStream(io.MultiReader(strings.NewReader("half"), panicking{}), -1)
			}
		})
		c := w.client(http2, "")
		response, err := c.Get("https://anna.test/panic")
		if err == nil {
			_, err = io.ReadAll(response.Body)
			response.Body.Close()
		}
		if err == nil {
			t.Error("half an answer passed for a whole one")
		}
		if got := w.do(c, "GET", "https://anna.test/", ""); got.StatusCode != 200 {
			t.Errorf("after the panic: status %d", got.StatusCode)
		}
	})
}

func TestAccessLog(t *testing.T) {
	pair(t, func(t *testing.T, http2 bool) {
		w := start(t, nil)
		w.answerWith(func(ctx *fasthttp.RequestCtx, who string) {
			ctx.SetUserValue(frontend.UpstreamKey, ctx.RemoteAddr())
			ctx.SetStatusCode(201)
			ctx.SetBodyString("12345")
		})
		w.do(w.client(http2, ""), "POST", "https://WWW.anna.test:8443/a%20b?token=secret", "123")
		lines := w.logs.find("logger", "access")
		if len(lines) != 1 {
			t.Fatalf("%d lines, want one", len(lines))
		}
		got := lines[0]
		for name, want := range map[string]any{
			"tenant": "anna", "host": "www.anna.test", "method": "POST", "path": "/a%20b", "status": 201, "bytes": 5,
			"client": "127.0.0.1", "protocol": protocolName(t, http2),
		} {
			if fmt.Sprint(got[name]) != fmt.Sprint(want) {
				t.Errorf("%s is %v, want %v", name, got[name], want)
			}
		}
		if len(fmt.Sprint(got["request_id"])) != 32 || !strings.HasPrefix(fmt.Sprint(got["upstream"]), "127.0.0.1:") {
			t.Errorf("request_id %v, upstream %v", got["request_id"], got["upstream"])
		}
		if samples := w.counts.requests(); len(samples) != 1 || samples[0].Tenant != "anna" || samples[0].Status != 201 || samples[0].BytesIn != 3 ||
			samples[0].BytesOut != 5 || samples[0].Duration <= 0 || samples[0].Protocol != protocolName(t, http2) {
			t.Errorf("samples %+v", samples)
		}
	})
}

func protocolName(t testing.TB, http2 bool) string {
	if isHTTP3(t) {
		return "HTTP/3.0"
	}
	if http2 {
		return "HTTP/2.0"
	}
	return "HTTP/1.1"
}

// TestAccessLogOfStreams waits for the last byte of a streamed answer.
func TestAccessLogOfStreams(t *testing.T) {
	pair(t, func(t *testing.T, http2 bool) {
		w := start(t, nil)
		reader, writer := io.Pipe()
		defer writer.Close()
		w.answerWith(func(ctx *fasthttp.RequestCtx, who string) {
			ctx.Response.ImmediateHeaderFlush = true
			ctx.SetBodyStream(&body{Reader: reader}, -1)
		})
		response, err := w.client(http2, "").Get("https://anna.test/")
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		piece := make([]byte, 16)
		for _, event := range []string{"first", "second"} {
			// an event arrives while the next one does not exist yet
			if _, err := io.WriteString(writer, event); err != nil {
				t.Fatal(err)
			}
			if n, err := response.Body.Read(piece); err != nil || string(piece[:n]) != event {
				t.Fatalf("read %q, %v; want %q", piece[:n], err, event)
			}
			if lines := w.logs.find("logger", "access"); len(lines) != 0 {
				t.Errorf("logged %v before the last byte", lines)
			}
		}
		writer.Close()
		if rest, err := io.ReadAll(response.Body); len(rest) > 0 || err != nil {
			t.Errorf("behind the last event %q, %v", rest, err)
		}
		await(t, "the log line", func() bool { return len(w.logs.find("logger", "access")) == 1 })
		if got := w.logs.find("logger", "access")[0]["bytes"]; got != 11.0 {
			t.Errorf("bytes %v, want 11", got)
		}
	})
}

func TestConnectionEvents(t *testing.T) {
	w := start(t, nil)
	c := w.dial("anna.test")
	if n := w.counts.event(Opened); n != 1 {
		t.Errorf("%d opened, want 1", n)
	}
	c.Close()
	await(t, "the connection's end", func() bool { return w.counts.event(Closed) == 1 })

	response, err := http.Get("http://" + w.https.String() + "/")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if text, _ := io.ReadAll(response.Body); response.StatusCode != 400 || !strings.Contains(string(text), "https://") {
		t.Errorf("plain HTTP on the HTTPS port: status %d, %q", response.StatusCode, text)
	}
	await(t, "the failed handshake", func() bool { return w.counts.event(HandshakeFailed) == 1 && w.counts.event(Closed) == 2 })
}

func TestEventsHaveNames(t *testing.T) {
	for event, want := range []string{"opened", "closed", "handshake_failed", "request_refused", "proxy_refused"} {
		if got := Event(event).String(); got != want {
			t.Errorf("event %d is %q, want %q", event, got, want)
		}
	}
}

// TestTwoRequestsShareNothing runs different tenants' requests over the same pooled memory.
func TestTwoRequestsShareNothing(t *testing.T) {
	pair(t, func(t *testing.T, http2 bool) {
		w := start(t, nil)
		done := make(chan string)
		for _, slug := range []string{"anna", "bert"} {
			c := w.client(http2, "")
			go func() {
				fault := ""
				for range 200 {
					response, err := c.Post("https://"+slug+".test/api/"+slug, "text/plain", strings.NewReader(slug))
					if err != nil {
						fault = err.Error()
						break
					}
					text, _ := io.ReadAll(response.Body)
					response.Body.Close()
					if !strings.Contains(string(text), `"Tenant":"`+slug+`"`) || !strings.Contains(string(text), `"Body":"`+slug+`"`) {
						fault = string(text)
					}
				}
				done <- fault
			}()
		}
		for range 2 {
			select {
			case fault := <-done:
				if fault != "" {
					t.Error(fault)
				}
			case <-time.After(30 * time.Second):
				t.Fatal("the requests do not end")
			}
		}
	})
}
