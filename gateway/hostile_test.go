package gateway

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"metahub/gateway/frontend"
	"metahub/tenant"
)

// recorder is a frontend that keeps every byte that reaches it, in the messages that it takes them for, and answers each with 200.
type recorder struct {
	net.Listener
	mu       sync.Mutex
	messages []string
	serving  sync.WaitGroup
}

func startRecorder(t *testing.T) *recorder {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &recorder{Listener: l}
	r.serving.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			r.serving.Go(func() { r.serve(c) })
		}
	})
	return r
}

func (r *recorder) serve(c net.Conn) {
	defer c.Close()
	var message strings.Builder
	reader := bufio.NewReader(io.TeeReader(oneByOne{c}, &message))
	for {
		request, err := http.ReadRequest(reader)
		if err == nil {
			_, err = io.Copy(io.Discard, request.Body)
		}
		r.mu.Lock()
		if message.Len() > 0 {
			r.messages = append(r.messages, requestID.ReplaceAllString(message.String(), "X-Request-Id: $$\r\n"))
		}
		r.mu.Unlock()
		message.Reset()
		if err != nil {
			return
		}
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
	}
}

var requestID = regexp.MustCompile(`X-Request-Id: [0-9a-f]{32}\r\n`)

// oneByOne keeps a reader from taking bytes of the next message.
type oneByOne struct{ io.Reader }

func (o oneByOne) Read(p []byte) (int, error) { return o.Reader.Read(p[:min(len(p), 1)]) }

// taken returns what has come and forgets it.
func (r *recorder) taken() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	messages := r.messages
	r.messages = nil
	return messages
}

// TestHostileBytes sends raw bytes through the whole gateway to a frontend that records: either nothing reaches it, or exactly the clean
// messages that were meant, with the gateway's own headers. The guard's own tests go further into each class.
func TestHostileBytes(t *testing.T) {
	upstream := startRecorder(t)
	w := start(t, func(_ *tenant.Gateway, g *Gateway) {
		frontends := frontend.New(frontend.Config{})
		t.Cleanup(func() {
			upstream.Close()
			frontends.Close()
			upstream.serving.Wait()
		})
		g.frontends = frontends
	})
	anna := *tenants()[0]
	anna.Frontend.URL = &url.URL{Scheme: "http", Host: upstream.Addr().String()}
	w.registry.Publish(tenant.NewDirectory(settings(), []*tenant.Tenant{&anna, tenants()[1]}))

	// Each is followed by a request that must not be noticed behind a bad one.
	const host, second = "Host: anna.test\r\n", "GET /second HTTP/1.1\r\nHost: anna.test\r\nConnection: close\r\n\r\n"
	const ours = "X-Request-Id: $\r\nX-Forwarded-Host: anna.test\r\nX-Forwarded-Port: 443\r\nX-Real-Ip: 127.0.0.1\r\n" +
		"X-Forwarded-Proto: https\r\nX-Forwarded-For: 127.0.0.1\r\nX-Tenant: anna\r\n"
	exchange := func(sent string, want []string) string {
		t.Helper()
		c := w.dial("anna.test")
		defer c.Close()
		sending := make(chan struct{})
		go func() {
			defer close(sending)
			_, _ = io.WriteString(c, sent) // the gateway may refuse before it has read all
		}()
		answers, err := io.ReadAll(c)
		if err != nil {
			t.Fatalf("%.100q: %v", sent, err)
		}
		c.Close()
		<-sending
		if got := upstream.taken(); !slices.Equal(got, want) {
			t.Errorf("%.100q:\nreached the frontend: %q\nwant:                 %q", sent, got, want)
		}
		return string(answers)
	}
	refused := func(status, bytes string) {
		t.Helper()
		answers := exchange(bytes+second, nil)
		if !strings.HasPrefix(answers, "HTTP/1.1 "+status+" ") || strings.Count(answers, "\r\nX-Request-Id: ") != 1 {
			t.Errorf("%.100q: answered %.100q, want one %s", bytes, answers, status)
		}
	}
	passed := func(bytes string, messages ...string) {
		t.Helper()
		messages = append(messages, "GET /second HTTP/1.1\r\nHost: anna.test\r\n"+ours+"\r\n")
		if answers := exchange(bytes+second, messages); strings.Count(answers, "HTTP/1.1 200 OK\r\n") != len(messages) {
			t.Errorf("%.100q: answered %q, want %d times 200", bytes, answers, len(messages))
		}
	}
	post, chunked := "POST / HTTP/1.1\r\n"+host, "POST / HTTP/1.1\r\n"+host+"Transfer-Encoding: chunked\r\n"

	// framing
	refused("400", post+"Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nG")
	refused("400", post+"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!")
	refused("400", post+"Content-Length: +5\r\n\r\nhello")
	refused("400", post+"Content-Length:\r\nContent-Length: 5\r\n\r\nhello")
	refused("400", post+"Content-Length: 18446744073709551621\r\n\r\nhello")
	refused("400", post+"Transfer-Encoding: identity\r\nContent-Length: 5\r\n\r\nhello")
	refused("400", post+"Transfer-Encoding: ,chunked\r\n\r\n0\r\n\r\n")
	refused("400", post+"Transfer-Encoding: chunked\x00\r\n\r\n0\r\n\r\n")
	refused("400", chunked+"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n")
	refused("400", post+"Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n")
	refused("400", post+"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n")
	refused("400", post+"Content_Length: 5\r\n\r\nhello")

	// fields
	refused("400", "GET / HTTP/1.1\r\n X: y\r\n"+host+"\r\n")
	refused("400", post+"X: a\rTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")
	refused("400", post+"X: a\x00b\r\n\r\n")
	refused("400", post+"X\x00: b\r\n\r\n")
	refused("400", post+": b\r\n\r\n")
	refused("400", post+"Content-Length x: 5\r\n\r\nhello")

	// chunks
	refused("400", chunked+"\r\n5\nhello\r\n0\r\n\r\n")
	refused("400", chunked+"\r\n0x5\r\nhello\r\n0\r\n\r\n")
	refused("400", chunked+"\r\n+5\r\nhello\r\n0\r\n\r\n")
	refused("400", chunked+"\r\n00000000000000005\r\nhello\r\n0\r\n\r\n")
	refused("400", chunked+"\r\n5\r\nhelloXX0\r\n\r\n")
	refused("400", chunked+"\r\n5;a\nb\r\nhello\r\n0\r\n\r\n")
	refused("400", chunked+"\r\n5;a\rb\r\nhello\r\n0\r\n\r\n")
	refused("400", chunked+"\r\n5\r\nhello\r\n0\r\nX-Tenant: bert\r\n\r\n")

	// Host and target
	refused("400", "GET / HTTP/1.1\r\n\r\n")
	refused("400", "GET / HTTP/1.1\r\n"+host+host+"\r\n")
	refused("400", "GET / HTTP/1.1\r\nHost: anna.test/x\r\n\r\n")
	refused("400", "GET / HTTP/1.1\r\nHost: anna.test@bert.test\r\n\r\n")
	refused("400", "GET / HTTP/1.1\r\nHost: \"anna.test\"\r\n\r\n")
	refused("400", "GET / HTTP/1.1\r\nHost: anna.test\x80\r\n\r\n")
	refused("400", "GET https://bert.test/ HTTP/1.1\r\n"+host+"\r\n")
	refused("405", "CONNECT 127.0.0.1:22 HTTP/1.1\r\nHost: 127.0.0.1:22\r\n\r\n")
	refused("505", "GET / HTTP/2.0\r\n"+host+"\r\n")

	// too much
	refused("431", "GET / HTTP/1.1\r\n"+host+"X: "+strings.Repeat("x", 128<<10)+"\r\n\r\n")
	refused("431", "GET / HTTP/1.1\r\n"+host+strings.Repeat("X: y\r\n", 5000)+"\r\n")
	refused("414", "GET /"+strings.Repeat("x", 128<<10)+" HTTP/1.1\r\n"+host+"\r\n")

	// what honest clients send
	passed("\r\nGET / HTTP/1.1\r\n"+host+"\r\n", "GET / HTTP/1.1\r\nHost: anna.test\r\n"+ours+"\r\n")
	passed("GET / HTTP/1.1\r\n"+host+"\r\nPOST /2 HTTP/1.1\r\n"+host+"Content-Length: 2\r\n\r\nhi",
		"GET / HTTP/1.1\r\nHost: anna.test\r\n"+ours+"\r\n",
		"POST /2 HTTP/1.1\r\nHost: anna.test\r\n"+ours+"Content-Length: 2\r\n\r\nhi")
	passed("GET https://ANNA.test./x?y HTTP/1.1\r\nHost: anna.test\r\n\r\n", "GET /x?y HTTP/1.1\r\nHost: anna.test\r\n"+ours+"\r\n")
	passed(post+"Transfer-Encoding: CHUNKED\r\n\r\n5;a=b\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n",
		post+ours+"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n")
	passed("GET / HTTP/1.1\r\n"+host+"Connection: keep-alive, X-Tenant, X-Forwarded-For, Host\r\nX-Tenant: bert\r\nX_Tenant: bert\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: anna.test\r\n"+ours+"\r\n")
	passed("GET / HTTP/1.1\r\n"+host+"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: anna.test\r\n"+ours+"\r\n")
	passed("GET / HTTP/1.1\r\n"+host+"Content-Length: 19\r\n\r\nGET /x HTTP/1.1\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: anna.test\r\n"+ours+"Content-Length: 19\r\n\r\nGET /x HTTP/1.1\r\n\r\n")
}
