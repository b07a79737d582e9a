package wire

import (
	"io"
	"net"
	"testing"
	"time"
)

// browserHead is what Chromium sends for a page, about 600 bytes.
const browserHead = "GET /produkte/massage?page=2&sort=preis HTTP/1.1\r\n" +
	"Host: anastasia.localhost:8443\r\n" +
	"Connection: keep-alive\r\n" +
	"sec-ch-ua: \"Chromium\";v=\"142\", \"Not_A Brand\";v=\"99\"\r\n" +
	"sec-ch-ua-mobile: ?0\r\n" +
	"sec-ch-ua-platform: \"Linux\"\r\n" +
	"Upgrade-Insecure-Requests: 1\r\n" +
	"User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36\r\n" +
	"Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8\r\n" +
	"Sec-Fetch-Site: none\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-User: ?1\r\nSec-Fetch-Dest: document\r\n" +
	"Accept-Encoding: gzip, deflate, br, zstd\r\n" +
	"Accept-Language: de-DE,de;q=0.9\r\n\r\n"

// repeat is a client that sends the same message again and again, one whenever it is read.
type repeat struct {
	net.Conn
	message   string
	at        int
	deadlines int
}

func (r *repeat) Read(p []byte) (int, error) {
	n := copy(p, r.message[r.at:])
	r.at = (r.at + n) % len(r.message)
	return n, nil
}

func (r *repeat) Write(p []byte) (int, error)        { return len(p), nil }
func (r *repeat) SetReadDeadline(t time.Time) error  { r.deadlines++; return nil }
func (r *repeat) SetWriteDeadline(t time.Time) error { r.deadlines++; return nil }

func BenchmarkHead(b *testing.B) {
	message := []byte(browserHead)
	limits := Limits{}.withDefaults()
	b.SetBytes(int64(len(message)))
	b.ReportAllocs()
	for b.Loop() {
		h := head{}
		if complete, err := h.check(message, &limits); !complete || err != nil {
			b.Fatal(complete, err)
		}
	}
}

func benchmarkRead(b *testing.B, message string) {
	c := NewConn(&repeat{message: message}, Limits{})
	p := make([]byte, MaxHeaderBytes)
	b.SetBytes(int64(len(message)))
	b.ReportAllocs()
	for b.Loop() {
		for read := 0; read < len(message); {
			n, err := c.Read(p)
			if err != nil {
				b.Fatal(err)
			}
			read += n
		}
	}
}

// The whole cost of the guard for one request: the wait, the deadlines, the check and the copy.
func BenchmarkConnBrowser(b *testing.B) { benchmarkRead(b, browserHead) }

func BenchmarkConnCookies(b *testing.B) {
	benchmarkRead(b, "GET / HTTP/1.1\r\n"+host+"Cookie: "+string(make8k())+"\r\n\r\n")
}

func BenchmarkConnChunked(b *testing.B) {
	benchmarkRead(b, "POST / HTTP/1.1\r\n"+host+"Transfer-Encoding: chunked\r\n\r\n1000\r\n"+string(make8k()[:4096])+"\r\n0\r\n\r\n")
}

func make8k() []byte {
	value := make([]byte, 8<<10)
	for i := range value {
		value[i] = 'a' + byte(i%26)
	}
	return value
}

func BenchmarkConnWrite(b *testing.B) {
	c := NewConn(&repeat{message: browserHead}, Limits{})
	p := make([]byte, 4096)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.Write(p); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkSocket is a request and an answer over a loopback connection, with the guard and without.
func BenchmarkSocket(b *testing.B) {
	b.Run("bare", func(b *testing.B) { benchmarkSocket(b, func(c net.Conn) net.Conn { return c }) })
	b.Run("guarded", func(b *testing.B) { benchmarkSocket(b, func(c net.Conn) net.Conn { return NewConn(c, Limits{}) }) })
}

func benchmarkSocket(b *testing.B, wrap func(net.Conn) net.Conn) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer ln.Close()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		accepted, err := ln.Accept()
		if err != nil {
			return
		}
		c := wrap(accepted)
		defer c.Close()
		p := make([]byte, MaxHeaderBytes)
		for {
			if _, err := c.Read(p); err != nil {
				return
			}
			if _, err := io.WriteString(c, "HTTP/1.1 204 No Content\r\n\r\n"); err != nil {
				return
			}
		}
	}()
	client, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		b.Fatal(err)
	}
	p := make([]byte, 1024)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := io.WriteString(client, browserHead); err != nil {
			b.Fatal(err)
		}
		if _, err := client.Read(p); err != nil {
			b.Fatal(err)
		}
	}
	client.Close()
	<-ended
}
