package wire

import (
	"io"
	"testing"
)

// TestAbandon has another goroutine end a Read that waits for content, which is no fault of the client's.
func TestAbandon(t *testing.T) {
	t.Parallel()
	f := func(name, head, content string) {
		t.Helper()
		server, client := socketPair(t)
		c := NewConn(server, Limits{})
		if _, err := io.WriteString(client, head+content); err != nil {
			t.Fatal(err)
		}
		failed := make(chan error, 1)
		begun := make(chan struct{})
		go func() {
			p := make([]byte, MaxHeaderBytes)
			read := func(n int) (err error) {
				for ; n > 0 && err == nil; n-- {
					_, err = io.ReadFull(c, p[:1])
				}
				return err
			}
			if err := read(len(head)); err != nil {
				failed <- err
				return
			}
			close(begun)
			failed <- read(1 << 20)
		}()
		<-begun
		c.Abandon()
		if err := <-failed; err != errAbandoned {
			t.Errorf("%s: %v, want %v", name, err, errAbandoned)
		}
		if _, err := c.Read(make([]byte, 1)); err == nil {
			t.Errorf("%s: a later Read succeeds", name)
		}
		if refused := c.Err(); refused != nil {
			t.Errorf("%s: Err is %v, want nothing", name, refused)
		}
	}
	f("content", "POST / HTTP/1.1\r\n"+host+"Content-Length: 1048576\r\n\r\n", "hello")
	f("chunk", "POST / HTTP/1.1\r\n"+host+"Transfer-Encoding: chunked\r\n\r\n", "ff\r\nhello")
	f("chunk size", "POST / HTTP/1.1\r\n"+host+"Transfer-Encoding: chunked\r\n\r\n", "5")
}

// TestReadFrom expects what a slow source gives to be at the client before the source gives more.
func TestReadFrom(t *testing.T) {
	t.Parallel()
	server, client := socketPair(t)
	source, feed := io.Pipe()
	copied := make(chan error, 1)
	go func() {
		n, err := NewConn(server, Limits{}).ReadFrom(source)
		if err == nil && n != 10 {
			err = io.ErrShortWrite
		}
		copied <- err
	}()
	for _, piece := range []string{"first", "then "} {
		if _, err := io.WriteString(feed, piece); err != nil {
			t.Fatal(err)
		}
		p := make([]byte, len(piece))
		if _, err := io.ReadFull(client, p); err != nil || string(p) != piece {
			t.Fatalf("read %q, %v; want %q", p, err, piece)
		}
	}
	feed.Close()
	if err := <-copied; err != nil {
		t.Error(err)
	}
}
