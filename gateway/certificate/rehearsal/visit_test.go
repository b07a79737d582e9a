package rehearsal

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// foreigner is what all wrong answers are.
func foreigner(t *testing.T, w *world, r *Rehearsal) {
	t.Helper()
	w.points("ensotek.de", "203.0.113.7")
	wantFault(t, r.Rehearse(t.Context(), public("ensotek.de")), true,
		"`ensotek.de` still points to 203.0.113.7, where another server answers; set its A record to this server's address")
}

func TestHugeBody(t *testing.T) {
	w := newWorld(t)
	var sent atomic.Int64
	done := make(chan struct{})
	w.raw("203.0.113.7", func(conn net.Conn) {
		defer close(done)
		conn.Read(make([]byte, 4096))
		io.WriteString(conn, "HTTP/1.1 200 OK\r\n\r\n")
		for err := error(nil); err == nil; {
			var n int
			n, err = conn.Write(make([]byte, 64<<10))
			sent.Add(int64(n))
		}
	})
	foreigner(t, w, w.rehearsal())
	<-done // the connection is closed although the body never ends
	if sent.Load() > 64<<20 {
		t.Errorf("%d bytes were taken", sent.Load())
	}
}

func TestHugeHead(t *testing.T) {
	w := newWorld(t)
	w.raw("203.0.113.7", func(conn net.Conn) {
		conn.Read(make([]byte, 4096))
		io.WriteString(conn, "HTTP/1.1 200 OK\r\n")
		for err := error(nil); err == nil; {
			_, err = io.WriteString(conn, "X-Filler: "+strings.Repeat("x", 1000)+"\r\n")
		}
	})
	foreigner(t, w, w.rehearsal())
}

func TestEndlessInterimAnswers(t *testing.T) {
	w := newWorld(t)
	w.raw("203.0.113.7", func(conn net.Conn) {
		conn.Read(make([]byte, 4096))
		for err := error(nil); err == nil; {
			_, err = io.WriteString(conn, "HTTP/1.1 103 Early Hints\r\n\r\n")
		}
	})
	foreigner(t, w, w.rehearsal())
}

func TestInterimAnswer(t *testing.T) {
	w := newWorld(t)
	w.site("198.51.100.4", http.HandlerFunc(func(rw http.ResponseWriter, request *http.Request) {
		rw.WriteHeader(http.StatusEarlyHints)
		w.ServeHTTP(rw, request)
	}))
	w.points("ensotek.de", "198.51.100.4")
	wantRight(t, w.rehearsal().Rehearse(t.Context(), public("ensotek.de")))
}

func TestSlowDrip(t *testing.T) {
	w := newWorld(t)
	drip := func(conn net.Conn, text string) {
		bufio.NewReader(conn).ReadString('\n')
		for tick := time.NewTicker(5 * time.Millisecond); ; <-tick.C {
			if _, err := io.WriteString(conn, text[:1]); err != nil {
				tick.Stop()
				return
			}
			if len(text) > 1 {
				text = text[1:]
			}
		}
	}
	w.raw("203.0.113.7", func(conn net.Conn) {
		io.WriteString(conn, "HTTP/1.1 200 OK\r\n\r\n")
		drip(conn, "x")
	})
	r := w.rehearsal()
	r.visit = time.Second // within which the head must come
	begun := time.Now()
	foreigner(t, w, r)

	w.raw("203.0.113.8", func(conn net.Conn) { drip(conn, "HTTP/1.1 200 OK\r\nX: yyyyy") })
	w.points("radanor.de", "203.0.113.8")
	if err := r.Rehearse(t.Context(), public("radanor.de")); err == nil || !strings.HasPrefix(err.Error(), "nothing answers") {
		t.Errorf("the error is %v", err)
	}
	if took := time.Since(begun); took > 10*time.Second {
		t.Errorf("took %v", took)
	}
}

func TestWrongAnswers(t *testing.T) {
	f := func(answer string) {
		t.Helper()
		w := newWorld(t)
		w.raw("203.0.113.7", func(conn net.Conn) {
			line, _ := bufio.NewReader(conn).ReadString('\n')
			token := strings.TrimPrefix(strings.Fields(line + " x x")[1], "/.well-known/acme-challenge/")
			authorization, _ := w.tokens.Load("ensotek.de " + token)
			text, _ := authorization.(string)
			io.WriteString(conn, strings.NewReplacer("TOKEN", token, "AUTHORIZATION", text).Replace(answer))
		})
		foreigner(t, w, w.rehearsal())
	}
	// The right text with another status, before or after other text, or without its half.
	f("HTTP/1.1 404 Not Found\r\n\r\nAUTHORIZATION")
	f("HTTP/1.1 200 OK\r\n\r\n AUTHORIZATION")
	f("HTTP/1.1 200 OK\r\n\r\nAUTHORIZATIONx")
	f("HTTP/1.1 200 OK\r\n\r\nTOKEN")
	f("HTTP/1.1 200 OK\r\n\r\nAUTHORIZATION" + strings.Repeat(" ", 2000) + "x")
	// No HTTP at all, and a redirect to nowhere.
	f("220 mail.example ESMTP\r\n")
	f("HTTP/1.1 302 Found\r\n\r\n")
	f("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n")
}

// FuzzAnswer takes all that a server sends over one connection.
func FuzzAnswer(f *testing.F) {
	f.Add([]byte("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\na.b"))
	f.Add([]byte("HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 301 Moved\r\nLocation: /x\r\nCF-RAY: 1\r\n\r\n"))
	f.Add([]byte("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\na.b\r\n0\r\nX: y\r\n\r\n"))
	f.Add([]byte("HTTP/1.0 302 \nServer: CloudFlare\nLocation: http://[::1%25eth0]:80\n\n"))
	f.Fuzz(func(t *testing.T, sent []byte) {
		got, err := read(t.Context(), bytes.NewReader(sent), &http.Request{Method: http.MethodGet})
		if err == nil && (len(got.body) > maxBody || len(got.location) > maxAnswer) {
			t.Errorf("%d bytes of body and %d of location were taken", len(got.body), len(got.location))
		}
	})
}
