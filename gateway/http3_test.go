package gateway

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/valyala/fasthttp"

	"metahub/gateway/h3"
	"metahub/tenant"
)

func TestHTTP3RefusesWhatIsNotARequest(t *testing.T) {
	w := start(t, nil)
	f := func(name, want string, bytes []byte) {
		t.Helper()
		r := w.dialHTTP3("anna.test")
		got, err := r.status(r.send(bytes, true))
		var stream *quic.StreamError
		var connection *quic.ApplicationError
		switch {
		case errors.As(err, &stream):
			got = "stream " + codeName(uint64(stream.ErrorCode))
		case errors.As(err, &connection):
			got = "connection " + codeName(uint64(connection.ErrorCode))
		case err != nil:
			got = err.Error()
		}
		if got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
	head := func(fields ...string) []byte { return h3.AppendHeadersFrame(nil, block(t, fields...)) }
	with := func(more ...string) []byte { return head(append(append([]string{}, get...), more...)...) }
	but := func(n int, field string) []byte {
		fields := append([]string{}, get...)
		fields[n] = field
		return head(fields...)
	}

	f("an honest one", "200", with())
	f("Host alone", "200", head(":method: GET", ":scheme: https", ":path: /", "host: anna.test"))
	f("a grease frame before", "200", append([]byte{0x21, 0x02, 'h', 'i'}, with()...))

	f("a method that is no token", "400", but(0, ":method: G T"))
	f("no method", "400", head(get[1:]...))
	f("scheme http", "400", but(1, ":scheme: http"))
	f("an odd scheme", "400", but(1, ":scheme: ftp"))
	f("no scheme", "400", head(get[0], get[2], get[3]))
	f("a path with a space", "400", but(3, ":path: /x HTTP/1.1"))
	f("a path with a fragment", "400", but(3, ":path: /x#y"))
	f("an absolute path", "400", but(3, ":path: https://bert.test/"))
	f("a hidden absolute path", "400", but(3, ":path: //bert.test/://"))
	f("an asterisk", "400", but(3, ":path: *"))
	f("an empty path", "400", but(3, ":path: "))
	f("no path", "400", head(get[:3]...))
	f("a path with a line break", "400", but(3, ":path: /x\r\nX-Tenant: bert"))
	f("a path too long", "414", but(3, ":path: /"+strings.Repeat("x", targetBytes)))
	f("userinfo", "400", but(2, ":authority: anna.test@bert.test"))
	f("no authority", "400", head(get[0], get[1], get[3]))
	f("another Host", "400", with("host: bert.test"))
	f("Host twice", "400", with("host: anna.test", "host: anna.test"))
	f("a pseudo-header field twice", "400", with(":path: /y"))
	f("a pseudo-header field behind", "400", head(get[0], get[1], get[2], "x: y", get[3]))
	f("an unknown pseudo-header field", "400", with(":status: 200"))
	f("extended CONNECT", "400", head(":method: CONNECT", ":protocol: websocket", ":scheme: https", ":authority: anna.test", ":path: /"))
	f("CONNECT", "405", head(":method: CONNECT", ":authority: 127.0.0.1:22"))
	f("TRACE", "405", but(0, ":method: TRACE"))
	f("another tenant's host", "421", but(2, ":authority: bert.test"))
	f("nobody's host", "421", but(2, ":authority: nobody.test"))

	for _, field := range []string{"connection: close", "keep-alive: 1", "proxy-connection: x", "transfer-encoding: chunked", "upgrade: websocket", "te: gzip"} {
		f(field, "400", with(field))
	}
	f("te: trailers", "200", with("te: trailers"))
	f("a name in capitals", "400", with("X-Tenant: bert"))
	f("a name with a space", "400", with("content-length x: 5"))
	f("a value with a line break", "400", with("x: a\r\nb: c"))
	f("a value with a NUL", "400", with("x: a\x00"))
	f("a padded value", "400", with("x:  a"))
	f("two lengths", "400", with("content-length: 5", "content-length: 5"))
	f("a length with a sign", "400", with("content-length: +5"))
	f("a length too large", "400", with("content-length: 18446744073709551621"))
	f("a header too large", "431", with("x: "+strings.Repeat("x", 128<<10)))
	f("too many fields", "431", with(strings.Split(strings.Repeat("x: y,", 500), ",")[:500]...))

	f("data first", "connection 0x105", h3.AppendDataFrame(nil, 0))
	f("settings first", "connection 0x105", []byte{0x4, 0})
	f("a frame of HTTP/2", "connection 0x105", []byte{0x8, 0})
	f("no QPACK", "connection 0x200", h3.AppendHeadersFrame(nil, []byte{0xff, 0xff, 0xff}))
	f("a header cut short", "connection 0x106", with()[:10])
	f("nothing", "stream 0x10d", nil)
}

func codeName(code uint64) string {
	const digits = "0123456789abcdef"
	return "0x" + string([]byte{digits[code>>8&15], digits[code>>4&15], digits[code&15]})
}

// A body that does not arrive as it was announced never passes for whole.
func TestHTTP3BodiesCutShort(t *testing.T) {
	w := startWithUpstream(t, func(rw http.ResponseWriter, r *http.Request) {
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			panic(http.ErrAbortHandler)
		}
	})
	f := func(name, want string, length string, frames ...[]byte) {
		t.Helper()
		fields := []string{":method: POST", ":scheme: https", ":authority: up.test", ":path: /x"}
		if length != "" {
			fields = append(fields, "content-length: "+length)
		}
		bytes := h3.AppendHeadersFrame(nil, block(t, fields...))
		for _, frame := range frames {
			bytes = append(bytes, frame...)
		}
		r := w.dialHTTP3("up.test")
		got, err := r.status(r.send(bytes, true))
		if got != want {
			t.Errorf("%s: %q, %v, want %q", name, got, err, want)
		}
	}
	data := func(n int, text string) []byte { return append(h3.AppendDataFrame(nil, n), text...) }
	trailers := func(fields ...string) []byte { return h3.AppendHeadersFrame(nil, block(t, fields...)) }

	f("whole", "200", "", data(5, "hello"))
	f("whole, in two frames", "200", "5", data(2, "he"), data(0, ""), data(3, "llo"))
	f("with trailers", "200", "", data(5, "hello"), trailers("x: y"))
	f("with a grease frame", "200", "5", data(2, "he"), []byte{0x21, 1, 'x'}, data(3, "llo"))

	f("a frame cut short", "400", "", data(5, "hell"))
	f("shorter than it says", "400", "5", data(4, "hell"))
	f("longer than it says", "400", "5", data(6, "hello!"))
	f("far shorter than it says", "400", "100000", data(4, "hell"))
	f("trailers twice", "400", "", data(5, "hello"), trailers("x: y"), trailers("x: y"))
	f("data after the trailers", "400", "", data(5, "hello"), trailers("x: y"), data(1, "!"))
	f("a pseudo-header field in the trailers", "400", "", data(5, "hello"), trailers(":path: /"))
	f("settings in the body", "400", "", data(5, "hello"), []byte{0x4, 0})
}

// What a client says beside its requests can end its connection, and no other.
func TestHTTP3ControlStreams(t *testing.T) {
	w := start(t, nil)
	f := func(name, want string, fin bool, streams ...string) {
		t.Helper()
		r := w.dialHTTP3("anna.test")
		for _, bytes := range streams {
			stream, err := r.conn.OpenUniStream()
			if err != nil {
				t.Fatal(err)
			}
			_, _ = stream.Write([]byte(bytes))
			if fin {
				_ = stream.Close()
			}
		}
		if want == "" {
			if got, err := r.status(r.send(h3.AppendHeadersFrame(nil, block(t, get...)), true)); got != "200" {
				t.Errorf("%s: %q, %v", name, got, err)
			}
			return
		}
		select {
		case <-r.conn.Context().Done():
		case <-time.After(10 * time.Second):
			t.Fatalf("%s: the connection is still open", name)
		}
		var closed *quic.ApplicationError
		if err := context.Cause(r.conn.Context()); !errors.As(err, &closed) || codeName(uint64(closed.ErrorCode)) != want {
			t.Errorf("%s: %v, want %s", name, err, want)
		}
	}
	f("honest", "", false, "\x00\x04\x00\x0d\x01\x00", "\x02", "\x03")
	f("a priority", "", false, "\x00\x04\x00\x80\x0f\x07\x00\x04\x00u=1")
	f("a priority of a stream to come", "", false, "\x00\x04\x00\x80\x0f\x07\x00\x02\x41\xfc")
	f("a priority of one that may not come", "0x108", false, "\x00\x04\x00\x80\x0f\x07\x00\x02\x44\x00")
	f("a priority of no request", "0x108", false, "\x00\x04\x00\x80\x0f\x07\x00\x01\x02")
	f("a priority of a push", "0x108", false, "\x00\x04\x00\x80\x0f\x07\x01\x01\x00")
	f("a priority of nothing", "0x106", false, "\x00\x04\x00\x80\x0f\x07\x00\x00")
	f("a large priority", "0x107", false, "\x00\x04\x00\x80\x0f\x07\x00\x7f\xff")
	f("an unknown stream", "", false, "\x21hello")
	f("settings that are unknown", "", false, "\x00\x04\x02\x21\x05")
	f("two control streams", "0x103", false, "\x00\x04\x00", "\x00\x04\x00")
	f("a push stream", "0x103", false, "\x01\x00")
	f("no settings", "0x10a", false, "\x00\x07\x01\x00")
	f("settings of HTTP/2", "0x109", false, "\x00\x04\x02\x02\x00")
	f("settings twice", "0x105", false, "\x00\x04\x00\x04\x00")
	f("a request on it", "0x105", false, "\x00\x04\x00\x01\x00")
	f("large settings", "0x107", false, "\x00\x04\x7f\xff")
	f("a closed one", "0x104", true, "\x00\x04\x00")
}

func TestHTTP3HandshakesThatAreRefused(t *testing.T) {
	w := start(t, nil)
	f := func(name, serverName string, protocols ...string) {
		t.Helper()
		before := w.counts.event(HandshakeFailed)
		if _, err := w.tryHTTP3(serverName, protocols...); err == nil {
			t.Errorf("%s: a connection, want none", name)
		}
		await(t, "the failure to be counted", func() bool { return w.counts.event(HandshakeFailed) > before })
	}
	f("a name of nobody", "nobody.example", "h3")
	f("a CA that validates", "anna.test", acmeTLS)
	f("HTTP/2", "anna.test", "h2")
}

// A tenant's page tells browsers of HTTP/3 over the other protocols, and HTTP/3 is not told again.
func TestAltSvc(t *testing.T) {
	pair(t, func(t *testing.T, http2 bool) {
		f := func(change func(*tenant.Gateway, *Gateway), want string) {
			t.Helper()
			w := start(t, change)
			w.answerWith(func(ctx *fasthttp.RequestCtx, _ string) {
				ctx.Response.Header.Set("Alt-Svc", `h3=":1"`)
			})
			if want != "" {
				want = strings.ReplaceAll(want, "PORT", portOf(w.https))
			}
			if isHTTP3(t) {
				want = ""
			}
			got := w.do(w.client(http2, ""), "GET", "https://anna.test/", "").Header.Values("Alt-Svc")
			if strings.Join(got, " | ") != want {
				t.Errorf("Alt-Svc: %q, want %q", got, want)
			}
		}
		f(nil, `h3=":PORT"; ma=86400`)
		f(func(s *tenant.Gateway, _ *Gateway) { s.HTTP3.Port = 443 }, `h3=":443"; ma=86400`)
		if !isHTTP3(t) {
			f(func(s *tenant.Gateway, _ *Gateway) { s.HTTP3.Enabled = false }, `h3=":1"`)
		}
	})
}

func portOf(a net.Addr) string {
	_, port, _ := net.SplitHostPort(a.String())
	return port
}
