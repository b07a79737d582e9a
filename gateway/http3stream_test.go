package gateway

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/quic-go/qpack"
	"github.com/quic-go/quic-go"
	"github.com/valyala/fasthttp"

	"metahub/gateway/h3"
	"metahub/tenant"
)

// large raises the body limit of the tenant with an upstream.
func (w *world) large() {
	var up tenant.Tenant
	for _, t := range w.registry.Current().Tenants() {
		if t.Slug == "up" {
			up = *t
		}
	}
	up.Limits.Body = 1 << 40
	w.registry.Publish(tenant.NewDirectory(settings(), []*tenant.Tenant{&up}))
}

// zeros is a body without end that counts what was taken of it.
type zeros struct{ taken atomic.Int64 }

func (z *zeros) Read(p []byte) (int, error) {
	z.taken.Add(int64(len(p)))
	return len(p), nil
}

func TestHTTP3LargeBodies(t *testing.T) {
	const size = 20 << 20
	w := startWithUpstream(t, func(rw http.ResponseWriter, r *http.Request) {
		n, err := io.Copy(io.Discard, r.Body)
		if err != nil || r.Method == "POST" && n != size {
			t.Errorf("the upstream got %d bytes, %v", n, err)
		}
		_, _ = io.CopyN(rw, new(zeros), size)
	})
	w.large()
	c := w.clientHTTP3("")
	response, err := c.Post("https://up.test/", "text/plain", io.LimitReader(new(zeros), size))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if n, err := io.Copy(io.Discard, response.Body); n != size || err != nil {
		t.Errorf("the client got %d bytes, %v: %v", n, err, w.logs.find("msg", "request"))
	}
}

// A client that says its request drop by drop loses the stream, not the connection.
func TestHTTP3SlowClients(t *testing.T) {
	timely(t, 200*time.Millisecond, func(t testing.TB) {
		w := start(t, func(_ *tenant.Gateway, g *Gateway) {
			g.limits.Header, g.limits.Body = 200*time.Millisecond, 300*time.Millisecond
		})
		ended := make(chan error, 1)
		w.answerWith(func(ctx *fasthttp.RequestCtx, _ string) {
			if stream := ctx.RequestBodyStream(); stream != nil {
				_, err := io.Copy(io.Discard, stream)
				ended <- err
			}
		})
		r := w.dialHTTP3("anna.test")
		head := h3.AppendHeadersFrame(nil, block(t, get...))
		if got, err := r.status(r.send(head[:5], false)); err == nil {
			t.Errorf("half a header was answered with %s", got)
		}
		if got, err := r.status(r.send(head, false)); err == nil {
			t.Errorf("a GET that never ends was answered with %s", got)
		}
		post := h3.AppendHeadersFrame(nil, block(t, ":method: POST", ":scheme: https", ":authority: anna.test", ":path: /"))
		stream := r.send(append(h3.AppendDataFrame(post, 5), "he"...), false)
		if _, err := r.status(stream); err != nil {
			t.Fatalf("a slow body has no answer: %v", err)
		}
		if err := <-ended; err == nil {
			t.Error("half a body passed for whole")
		}
		if got, err := r.status(r.send(head, true)); got != "200" {
			t.Errorf("a quick request behind slow ones: %q, %v", got, err)
		}
	})
}

// A client that does not read its answer is given up.
func TestHTTP3SlowReader(t *testing.T) {
	w := start(t, func(_ *tenant.Gateway, g *Gateway) { g.limits.Write = 300 * time.Millisecond })
	done := make(chan struct{})
	w.answerWith(func(ctx *fasthttp.RequestCtx, _ string) {
		ctx.SetBodyStream(&body{Reader: new(zeros)}, -1)
		ctx.Conn().(*streamConn).OnLeave(func() { close(done) })
	})
	r := w.dialHTTP3("anna.test")
	r.send(h3.AppendHeadersFrame(nil, block(t, get...)), true)
	select {
	case <-done:
	case <-time.After(10 * time.Second):
		t.Error("the answer still waits to be read")
	}
}

func TestHTTP3Continue(t *testing.T) {
	w := start(t, nil)
	r := w.dialHTTP3("anna.test")
	ask := func(length string) *quic.Stream {
		return r.send(h3.AppendHeadersFrame(nil, block(t, ":method: POST", ":scheme: https", ":authority: anna.test", ":path: /", "expect: 100-continue", "content-length: "+length)), false)
	}
	stream := ask("5")
	in := bufio.NewReader(stream)
	next := func() string {
		t.Helper()
		read, err := h3.ReadHead(in, 64<<10, nil)
		if err != nil {
			t.Fatal(err)
		}
		field, _ := new(qpack.Decoder).Decode(read)()
		return field.Value
	}
	if got := next(); got != "100" {
		t.Fatalf("told %s, want 100", got)
	}
	_, _ = stream.Write(append(h3.AppendDataFrame(nil, 5), "hello"...))
	_ = stream.Close()
	if got := next(); got != "200" {
		t.Errorf("told %s, want 200", got)
	}
	if got, err := r.status(ask("5000")); got != "413" {
		t.Errorf("a body that is too large: %q, %v", got, err)
	}
}

// At a shutdown the connection says which request was the last, answers it and refuses the next, so that its client may send that again.
func TestHTTP3GoAway(t *testing.T) {
	w := start(t, nil)
	entered, leave := make(chan struct{}, 1), make(chan struct{})
	w.answerWith(func(ctx *fasthttp.RequestCtx, _ string) {
		if string(ctx.Path()) == "/slow" {
			entered <- struct{}{}
			<-leave
		}
	})
	r := w.dialHTTP3("anna.test")
	control, err := r.conn.AcceptUniStream(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	slow := r.send(h3.AppendHeadersFrame(nil, block(t, get[0], get[1], get[2], ":path: /slow")), true)
	<-entered
	stopped := make(chan error, 1)
	go func() { stopped <- w.stop(10 * time.Second) }()

	want := h3.AppendGoAway(h3.AppendGoAway(h3.AppendSettings(nil, headerBytes), h3.LastStream), uint64(slow.StreamID())+4)
	got := make([]byte, len(want))
	if _, err := io.ReadFull(control, got); err != nil || string(got) != string(want) {
		t.Errorf("the control stream says % x, %v; want % x", got, err, want)
	}
	var refused *quic.StreamError
	if status, err := r.status(r.send(h3.AppendHeadersFrame(nil, block(t, get...)), true)); !errors.As(err, &refused) || refused.ErrorCode != 0x10b {
		t.Errorf("a request behind the last: %q, %v", status, err)
	}
	close(leave)
	if status, err := r.status(slow); status != "200" {
		t.Errorf("the last request: %q, %v", status, err)
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
	<-r.conn.Context().Done()
	if err := context.Cause(r.conn.Context()); err == nil || !strings.Contains(err.Error(), "0x100") {
		t.Errorf("the connection ended with %v, want no error", err)
	}
}

// A connection without requests is told before it is closed.
func TestHTTP3Idle(t *testing.T) {
	w := start(t, func(_ *tenant.Gateway, g *Gateway) { g.limits.Idle = 100 * time.Millisecond })
	r := w.dialHTTP3("anna.test")
	select {
	case <-r.conn.Context().Done():
	case <-time.After(10 * time.Second):
		t.Fatal("the connection is still open")
	}
	await(t, "the connection to be counted out", func() bool { return w.counts.event(Closed) == 1 })
}

func TestHTTP3PortTaken(t *testing.T) {
	withFreePorts(t, func(t testing.TB) {
		s := settings()
		s.HTTPS = freeAddress(t)
		taken, err := net.ListenPacket("udp", s.HTTPS)
		if err != nil {
			t.Fatal(err)
		}
		defer taken.Close()
		g := New(Config{Registry: tenant.NewRegistry(tenant.NewDirectory(s, nil)), Certificates: newAuthority(t)})
		err = g.Start()
		for _, part := range []string{"gateway.http3", s.HTTPS, "in use", "http3: off"} {
			if err == nil || !strings.Contains(err.Error(), part) {
				t.Errorf("error %v, want one that says %q", err, part)
			}
		}
		again, err := net.Listen("tcp", s.HTTPS)
		if err != nil {
			t.Fatalf("the HTTPS address was left open: %v", err)
		}
		again.Close()
		if err := g.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
	})
}

// A session is resumed without early data, which could be sent twice.
func TestHTTP3TakesNoEarlyData(t *testing.T) {
	w := start(t, nil)
	tickets := ticketCache{tls.NewLRUClientSessionCache(2), make(chan struct{}, 10)}
	config := &tls.Config{ServerName: "anna.test", RootCAs: w.roots, NextProtos: []string{"h3"}, ClientSessionCache: tickets}
	for i := range 2 {
		conn, err := quic.DialAddrEarly(context.Background(), w.https.String(), config, nil)
		if err != nil {
			t.Fatal(err)
		}
		<-conn.HandshakeComplete()
		r := &rawHTTP3{w, conn}
		if got, err := r.status(r.send(h3.AppendHeadersFrame(nil, block(t, get...)), true)); got != "200" {
			t.Errorf("%q, %v", got, err)
		}
		if state := conn.ConnectionState(); state.Used0RTT || i > 0 && !state.TLS.DidResume {
			t.Errorf("handshake %d: early data %v, resumed %v", i+1, state.Used0RTT, state.TLS.DidResume)
		}
		<-tickets.kept // behind the handshake
		_ = conn.CloseWithError(0x100, "")
	}
}

// ticketCache tells when a session is kept.
type ticketCache struct {
	tls.ClientSessionCache
	kept chan struct{}
}

func (c ticketCache) Put(key string, session *tls.ClientSessionState) {
	c.ClientSessionCache.Put(key, session)
	c.kept <- struct{}{}
}
