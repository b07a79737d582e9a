package gateway

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pires/go-proxyproto"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"metahub/tenant"
)

// proxied takes PROXY headers from the loopback, and trusts 10.0.0.0/8 behind them.
func proxied(s *tenant.Gateway, _ *Gateway) {
	s.ProxyProtocol = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	s.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
}

// introduction is the header of a proxy for a client, with bytes of TLVs.
func introduction(t testing.TB, version byte, client string, tlvs int) string {
	t.Helper()
	source := net.TCPAddrFromAddrPort(netip.MustParseAddrPort(client))
	target := &net.TCPAddr{IP: net.IPv4(192, 0, 2, 9), Port: 443}
	header := proxyproto.HeaderProxyFromAddrs(version, source, target)
	if tlvs > 0 {
		if err := header.SetTLVs([]proxyproto.TLV{{Type: proxyproto.PP2_TYPE_NOOP, Value: make([]byte, tlvs-3)}}); err != nil {
			t.Fatal(err)
		}
	}
	text, err := header.Format()
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// signature begins a header of version 2.
const signature = "\r\n\r\n\x00\r\nQUIT\n"

// together sends a header with the first bytes that come behind it, as one segment.
type together struct {
	net.Conn
	header string
}

func (c *together) Write(p []byte) (int, error) {
	if c.header == "" {
		return c.Conn.Write(p)
	}
	n, err := c.Conn.Write(append([]byte(c.header), p...))
	n = max(n-len(c.header), 0)
	c.header = ""
	return n, err
}

// through is a client of HTTP/1.1 or 2 behind a proxy that sends header. It keeps one connection.
func (w *world) through(http2 bool, header string) *http.Client {
	c := w.client(http2, "")
	c.Transport.(*http.Transport).DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
		socket, err := new(net.Dialer).DialContext(ctx, "tcp", w.https.String())
		if err != nil {
			return nil, err
		}
		return &together{socket, header}, nil
	}
	return c
}

// pairTCP is pair without HTTP/3.
func pairTCP(t *testing.T, f func(t *testing.T, http2 bool)) {
	t.Run("http1", func(t *testing.T) { f(t, false) })
	t.Run("http2", func(t *testing.T) { f(t, true) })
}

func TestProxyProtocol(t *testing.T) {
	pairTCP(t, func(t *testing.T, http2 bool) {
		w := start(t, proxied)
		f := func(name, header, client string) {
			t.Helper()
			c := w.through(http2, header)
			for range 2 { // the second one on the same connection
				got := w.do(c, "GET", "https://anna.test/"+name, "", "X-Forwarded-For: 203.0.113.1").seen(t)
				if got.one(t, "X-Forwarded-For") != client || got.one(t, "X-Real-Ip") != client {
					t.Errorf("%s: the frontend saw %q, %q, want %q", name, got.Header["X-Forwarded-For"], got.Header["X-Real-Ip"], client)
				}
			}
			await(t, "the log", func() bool { return len(w.logs.find("path", "/"+name)) == 2 })
			if line := w.logs.find("path", "/"+name)[0]; line["client"] != client {
				t.Errorf("%s: logged %v", name, line)
			}
		}
		f("v1", introduction(t, 1, "198.51.100.7:5000", 0), "198.51.100.7")
		f("v1-ipv6", introduction(t, 1, "[2001:db8::7]:5000", 0), "2001:db8::7")
		f("v1-mapped", "PROXY TCP6 ::ffff:198.51.100.7 ::1 1 2\r\n", "198.51.100.7")
		f("v2", introduction(t, 2, "198.51.100.7:5000", 0), "198.51.100.7")
		f("v2-ipv6", introduction(t, 2, "[2001:db8::7]:5000", 0), "2001:db8::7")
		f("v2-tlvs", introduction(t, 2, "198.51.100.7:5000", 4000), "198.51.100.7")
		// of the proxy itself, or of a client without an address
		f("v1-unknown", "PROXY UNKNOWN\r\n", "127.0.0.1")
		f("v2-local", signature+"\x20\x00\x00\x00", "127.0.0.1")
		f("v2-local-with-address", signature+"\x20\x11\x00\x0c\x01\x02\x03\x04\x05\x06\x07\x08\x00\x01\x00\x02", "127.0.0.1")
		f("v2-unix", signature+"\x21\x31\x00\xd8"+strings.Repeat("a", 216), "127.0.0.1")
	})
}

// TestBadProxyHeaders closes what was not introduced before a byte of it is answered.
func TestBadProxyHeaders(t *testing.T) {
	debug := new(logs)
	w := start(t, func(s *tenant.Gateway, g *Gateway) {
		proxied(s, g)
		g.limits.Header = 300 * time.Millisecond
		g.log = zap.New(zapcore.NewCore(zapcore.NewJSONEncoder(zap.NewProductionEncoderConfig()), debug, zap.DebugLevel))
	})
	f := func(name, sent string) {
		t.Helper()
		for _, address := range []net.Addr{w.https, w.http} {
			before, lines := w.counts.event(ProxyRefused), len(debug.find("msg", ""))
			c, err := net.Dial("tcp", address.String())
			if err != nil {
				t.Fatal(err)
			}
			_ = c.SetDeadline(time.Now().Add(15 * time.Second))
			_, _ = io.WriteString(c, sent) // it may be refused before all of it is sent
			if answered, err := io.ReadAll(c); len(answered) > 0 || os.IsTimeout(err) {
				t.Errorf("%s: answered %q, %v", name, answered, err)
			}
			c.Close()
			await(t, "the count", func() bool { return w.counts.event(ProxyRefused) == before+1 && len(debug.find("msg", "")) > lines })
			if got := debug.find("msg", "")[lines:]; len(got) != 1 || got[0]["msg"] != "no proxy header came" || got[0]["level"] != "debug" {
				t.Errorf("%s: logged %v", name, got)
			}
		}
	}
	f("a request", "GET / HTTP/1.1\r\nHost: anna.test\r\n\r\n")
	f("a handshake", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"+strings.Repeat("x", 100))
	f("half of v1", "PROXY TCP4 1.2.3.4")
	f("v1 without end", "PROXY TCP4 "+strings.Repeat("1", 200))
	f("v1 with a bad address", "PROXY TCP4 1.2.3.400 1.2.3.4 1 2\r\n")
	f("v1 with a line feed", "PROXY TCP4 1.2.3.4 1.2.3.4 1 2\n")
	f("half of v2", signature+"\x21\x11\x00\x0c\x01\x02")
	f("half of a signature", signature[:7])
	f("v2 with a short address", signature+"\x21\x11\x00\x04\x01\x02\x03\x04")
	f("v2 of another version", signature+"\x31\x11\x00\x0c\x01\x02\x03\x04\x05\x06\x07\x08\x00\x01\x00\x02")
	f("v2 with too many TLVs", signature+"\x21\x11\xff\xff\x01\x02\x03\x04\x05\x06\x07\x08\x00\x01\x00\x02"+strings.Repeat("\x04", 5000))
	f("v2 of no family", signature+"\x21\x00\x00\x00")
	f("nothing", "")
}

// TestSilentProxy keeps nobody out, not even for the time that it is given.
func TestSilentProxy(t *testing.T) {
	w := start(t, func(s *tenant.Gateway, g *Gateway) {
		proxied(s, g)
		g.limits.Header = time.Hour
	})
	silent, err := net.Dial("tcp", w.https.String())
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	if got := w.do(w.through(false, introduction(t, 2, "198.51.100.7:5000", 0)), "GET", "https://anna.test/", ""); got.StatusCode != 200 {
		t.Errorf("status %d beside a silent proxy", got.StatusCode)
	}
}

// TestNobodyElseIntroduces has a client that is no proxy send a header.
func TestNobodyElseIntroduces(t *testing.T) {
	w := start(t, func(s *tenant.Gateway, _ *Gateway) {
		s.ProxyProtocol = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
	})
	if got := w.do(w.client(false, ""), "GET", "https://anna.test/", "").seen(t); got.one(t, "X-Real-Ip") != "127.0.0.1" {
		t.Errorf("the frontend saw %q", got.Header)
	}
	for _, version := range []byte{1, 2} {
		header := introduction(t, version, "198.51.100.7:5000", 0)
		if response, err := w.through(false, header).Get("https://anna.test/"); err == nil {
			t.Errorf("version %d: status %d", version, response.StatusCode)
		}
		c, err := net.Dial("tcp", w.http.String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if _, err := io.WriteString(c, header+"GET / HTTP/1.1\r\nHost: anna.test\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		if got := w.read(bufio.NewReader(c), "GET"); got.StatusCode != 400 {
			t.Errorf("version %d on the plain port: status %d", version, got.StatusCode)
		}
	}
	// A reload makes it one.
	gateway := *w.registry.Current().Gateway()
	gateway.ProxyProtocol = []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}
	w.registry.Publish(tenant.NewDirectory(gateway, tenants()))
	if got := w.do(w.through(false, introduction(t, 2, "198.51.100.7:5000", 0)), "GET", "https://anna.test/", "").seen(t); got.one(t, "X-Real-Ip") != "198.51.100.7" {
		t.Errorf("after a reload the frontend saw %q", got.Header)
	}
}

// TestTrustBehindAProxy has a proxy of TCP in front of one of HTTP: what the latter says is believed if the former names it.
func TestTrustBehindAProxy(t *testing.T) {
	pairTCP(t, func(t *testing.T, http2 bool) {
		w := start(t, func(s *tenant.Gateway, g *Gateway) {
			proxied(s, g)
			stopClock(s, g)
		})
		w.limitTenant("anna", func(l *tenant.Limits) { l.ClientRate, l.ClientBurst = 1, 2 })
		f := func(from, forwarded, chain, client string, status int) {
			t.Helper()
			answer := w.do(w.through(http2, introduction(t, 2, from+":5000", 0)), "GET", "https://anna.test/", "", "X-Forwarded-For: "+forwarded)
			if answer.StatusCode != status {
				t.Fatalf("%s for %s: status %d, want %d", from, forwarded, answer.StatusCode, status)
			}
			if status != 200 {
				return
			}
			if got := answer.seen(t); got.one(t, "X-Forwarded-For") != chain || got.one(t, "X-Real-Ip") != client {
				t.Errorf("%s for %s: the frontend saw %q, %q", from, forwarded, got.Header["X-Forwarded-For"], got.Header["X-Real-Ip"])
			}
		}
		f("10.1.1.1", "6.6.6.6, 8.8.8.8", "6.6.6.6, 8.8.8.8, 10.1.1.1", "8.8.8.8", 200)
		f("10.1.1.2", "8.8.8.8", "8.8.8.8, 10.1.1.2", "8.8.8.8", 200)
		f("10.1.1.1", "8.8.8.8", "", "", 429)
		f("9.9.9.9", "10.1.1.1", "9.9.9.9", "9.9.9.9", 200) // no proxy of ours, whatever it says
		f("9.9.9.9", "7.7.7.7", "9.9.9.9", "9.9.9.9", 200)
		f("9.9.9.9", "5.5.5.5", "", "", 429)
		f("9.9.9.10", "5.5.5.5", "9.9.9.10", "9.9.9.10", 200)
	})
}

// TestPlainPortBehindAProxy redirects, and logs who asked.
func TestPlainPortBehindAProxy(t *testing.T) {
	w := start(t, proxied)
	c, err := net.Dial("tcp", w.http.String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	r := bufio.NewReader(c)
	for _, sent := range []string{introduction(t, 1, "198.51.100.7:5000", 0), ""} {
		if _, err := io.WriteString(c, sent+"GET /a HTTP/1.1\r\nHost: anna.test\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		if got := w.read(r, "GET"); got.StatusCode != 308 {
			t.Errorf("status %d", got.StatusCode)
		}
	}
	await(t, "the log", func() bool { return len(w.logs.find("client", "198.51.100.7")) == 2 })
}

// TestHAProxy has a real one in front, with both versions, over TCP and for a client of a Unix socket.
func TestHAProxy(t *testing.T) {
	if _, err := exec.LookPath("haproxy"); err != nil {
		t.Skip("haproxy is not installed")
	}
	w := start(t, proxied)
	folder, err := os.MkdirTemp("", "haproxy") // t.TempDir would be too long for a Unix socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(folder) })
	config := "defaults\n mode tcp\n timeout connect 5s\n timeout client 20s\n timeout server 20s\n"
	for _, version := range []string{"send-proxy", "send-proxy-v2", "send-proxy-v2-ssl"} {
		config += fmt.Sprintf("listen %s\n bind unix@%s/%s.client\n bind unix@%s/%s.proxy accept-proxy\n server metahub %s %s\n",
			version, folder, version, folder, version, w.https, version)
	}
	file := filepath.Join(folder, "haproxy.cfg")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	haproxy := exec.Command("haproxy", "-db", "-f", file)
	var said bytes.Buffer
	haproxy.Stdout, haproxy.Stderr = &said, &said
	if err := haproxy.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = haproxy.Process.Kill()
		_ = haproxy.Wait()
		if t.Failed() {
			t.Logf("haproxy said %s", said.String())
		}
	})
	ask := func(socket, header string) string {
		path := filepath.Join(folder, socket)
		await(t, "haproxy", func() bool { _, err := os.Stat(path); return err == nil })
		c := w.client(true, "")
		c.Transport.(*http.Transport).DialContext = func(context.Context, string, string) (net.Conn, error) {
			socket, err := net.Dial("unix", path)
			return &together{socket, header}, err
		}
		return w.do(c, "GET", "https://anna.test/", "").seen(t).one(t, "X-Real-Ip")
	}
	for _, version := range []string{"send-proxy", "send-proxy-v2", "send-proxy-v2-ssl"} {
		if got := ask(version+".proxy", introduction(t, 2, "198.51.100.7:5000", 0)); got != "198.51.100.7" {
			t.Errorf("%s: the frontend saw %q", version, got)
		}
		if got := ask(version+".client", ""); got != "127.0.0.1" {
			t.Errorf("%s for a client without an address: the frontend saw %q", version, got)
		}
	}
}

// early is a socket that has these bytes, and then ends.
type early struct {
	net.Conn
	io.Reader
}

func (e early) Read(p []byte) (int, error)    { return e.Reader.Read(p) }
func (early) SetReadDeadline(time.Time) error { return nil }
func (early) RemoteAddr() net.Addr            { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)} }

// FuzzProxyHeader takes any bytes from a proxy: what is no header is an error, and behind a header nothing is lost.
func FuzzProxyHeader(f *testing.F) {
	f.Add([]byte("PROXY TCP4 1.2.3.4 1.2.3.4 1 2\r\nGET /"))
	f.Add([]byte("PROXY UNKNOWN what may be here\r\n"))
	f.Add([]byte(signature + "\x21\x11\x00\x0f\x01\x02\x03\x04\x05\x06\x07\x08\x00\x01\x00\x02\x04\x00\x00rest"))
	f.Add([]byte(signature + "\x20\x00\x00\x02xxrest"))
	f.Add([]byte(signature + "\x21\x31\x00\xd8" + strings.Repeat("a", 216)))
	f.Fuzz(func(t *testing.T, sent []byte) {
		c := &connection{Conn: early{Reader: bytes.NewReader(sent)}}
		if c.readProxyHeader(time.Second) != nil {
			return
		}
		if !newPeer(c).addr.IsValid() {
			t.Fatalf("%q: a client without an address: %v", sent, c.RemoteAddr())
		}
		rest, err := io.ReadAll(c)
		if err != nil && !errors.Is(err, io.EOF) || !bytes.HasSuffix(sent, rest) || len(rest) > len(sent)-15 {
			t.Fatalf("%q: %q is left, %v", sent, rest, err)
		}
	})
}
