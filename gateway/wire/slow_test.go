package wire

import (
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"time"
)

// quick has a time limit for each wait that a test can wait for.
func quick() Limits {
	return Limits{Idle: 300 * time.Millisecond, Header: 200 * time.Millisecond, Body: 250 * time.Millisecond}
}

// drip sends one byte a tick until the server hangs up or all is sent.
func drip(c net.Conn, sent string, tick time.Duration) {
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	for i := range len(sent) {
		if _, err := io.WriteString(c, sent[i:i+1]); err != nil {
			return
		}
		<-ticker.C
	}
}

func TestSlowClient(t *testing.T) {
	t.Parallel()
	r := startRecorder(t, quick())
	f := func(name, sent, dripped string, requests []string, answers ...answer) {
		t.Helper()
		c := r.dial(t)
		began := time.Now()
		if _, err := io.WriteString(c, sent); err != nil {
			t.Fatal(err)
		}
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			drip(c, dripped, 20*time.Millisecond)
		}()
		if got := readAnswers(t, c); !slices.Equal(got, answers) {
			t.Errorf("%s: answered %v, want %v", name, got, answers)
		}
		if took := time.Since(began); took < quick().Header {
			t.Errorf("%s: ended after %v already", name, took)
		}
		if got := r.taken(); !slices.Equal(got, requests) {
			t.Errorf("%s: arrived %q, want %q", name, got, requests)
		}
		c.Close()
		<-ended
	}
	headTimeout := answer{errHeadTimeout.Status, errHeadTimeout.Reason}
	bodyTimeout := answer{errBodyTimeout.Status, errBodyTimeout.Reason}
	served := answer{200, "served"}
	second := []string{`GET /second a.test ""`}
	field := "X: " + strings.Repeat("y", 500)

	// slowhttptest -H: a head that never ends, as the first request and behind one that was served
	f("head drips", "GET / HTTP/1.1\r\n"+host, field, nil, headTimeout)
	f("second head drips", get+"GET / HTTP/1.1\r\n"+host, field, second, served, headTimeout)
	f("head stops", "GET / HTTP/1.1\r\n", "", nil, headTimeout)
	f("request line stops", "G", "", nil, headTimeout)
	f("empty line stops", "\r", "", nil, headTimeout)

	// slowhttptest -B: content that stops
	f("content stops", "POST / HTTP/1.1\r\n"+host+"Content-Length: 10\r\n\r\nhello", "", nil, bodyTimeout)
	f("chunk stops", "POST / HTTP/1.1\r\n"+host+"Transfer-Encoding: chunked\r\n\r\n5\r\nhel", "", nil, bodyTimeout)
	f("chunk size stops", "POST / HTTP/1.1\r\n"+host+"Transfer-Encoding: chunked\r\n\r\n5", "", nil, bodyTimeout)
	f("trailer stops", "POST / HTTP/1.1\r\n"+host+"Transfer-Encoding: chunked\r\n\r\n0\r\nX: y", "", nil, bodyTimeout)

	// each byte is progress, but they come too slowly for good
	f("content drips", "POST / HTTP/1.1\r\n"+host+"Content-Length: 50\r\n\r\n", strings.Repeat("y", 50), nil, bodyTimeout)
	f("chunks drip", "POST / HTTP/1.1\r\n"+host+"Transfer-Encoding: chunked\r\n\r\n", strings.Repeat("1\r\ny\r\n", 9), nil, bodyTimeout)

	// nobody is told that an idle connection ends
	f("nothing", "", "", nil)
	f("nothing more", get, "", second, served)
}

// TestDeadlinesAreReused counts: a deadline for each read and write would cost two thirds of the guard once more.
func TestDeadlinesAreReused(t *testing.T) {
	t.Parallel()
	client := &repeat{message: browserHead}
	c := NewConn(client, Limits{})
	p := make([]byte, MaxHeaderBytes)
	for range 1000 {
		if _, err := c.Read(p); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Write(p); err != nil {
			t.Fatal(err)
		}
	}
	if client.deadlines > 4 {
		t.Errorf("1000 requests set %d deadlines, want 2 or few more", client.deadlines)
	}
}

// socketPair is both ends of a loopback connection.
func socketPair(t *testing.T) (server, client net.Conn) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	client, err = net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	server, err = ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	return server, client
}

// TestSlowReader is slowhttptest -R: a client that reads nothing is given up, one that reads slowly is not.
func TestSlowReader(t *testing.T) {
	t.Parallel()
	answer := make([]byte, 64<<20) // far more than the socket buffers of both ends
	limits := Limits{Write: 800 * time.Millisecond}

	server, _ := socketPair(t)
	n, err := NewConn(server, limits).Write(answer)
	if timeout := net.Error(nil); n == len(answer) || !errors.As(err, &timeout) || !timeout.Timeout() {
		t.Errorf("nobody reads: wrote %d bytes, %v; want a timeout", n, err)
	}

	// A machine can be so busy that the reader is held up for as long as a write may take nothing: then it begins anew.
	for tries := 5; ; tries-- {
		wrote, took, read, longest := readSlowly(t, limits, answer)
		if wrote == len(answer) && read == int64(len(answer)) && took >= limits.Write {
			return
		}
		if longest < limits.Write/2 || tries == 1 {
			t.Fatalf("slow reader: wrote %d bytes of %d in %v, more than %v wanted; read %d, with pauses of up to %v", wrote, len(answer), took, limits.Write, read, longest)
		}
	}
}

// readSlowly writes answer to a client that takes a piece of it now and then. longest is the client's longest pause.
func readSlowly(t *testing.T, limits Limits, answer []byte) (wrote int, took time.Duration, read int64, longest time.Duration) {
	t.Helper()
	server, client := socketPair(t)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		ticker := time.NewTicker(60 * time.Millisecond)
		defer ticker.Stop()
		for err := error(nil); err == nil; {
			var n int64
			begun := time.Now()
			n, err = io.CopyN(io.Discard, client, 1<<20)
			read += n
			<-ticker.C
			longest = max(longest, time.Since(begun))
		}
	}()
	began := time.Now()
	wrote, _ = NewConn(server, limits).Write(answer)
	took = time.Since(began)
	server.Close()
	<-ended
	return wrote, took, read, longest
}
