package frontend

import (
	"net"
	"testing"
	"time"
)

// deadlines is a connection that notes them.
type deadlines struct {
	net.Conn
	reads, writes []time.Time
}

func (d *deadlines) SetReadDeadline(t time.Time) error  { d.reads = append(d.reads, t); return nil }
func (d *deadlines) SetWriteDeadline(t time.Time) error { d.writes = append(d.writes, t); return nil }
func (d *deadlines) Read(p []byte) (int, error)         { return copy(p, "x"), nil }

// TestDeadlineMoves keeps a deadline as long as it gives an answer its time, and not much more.
func TestDeadlineMoves(t *testing.T) {
	noted := new(deadlines)
	c := newConn(noted, noted, Timings{}.orDefaults())
	now := time.Now()
	moved := func(what string, got []time.Time, want time.Duration) {
		t.Helper()
		switch {
		case want == 0 && len(got) > 0:
			t.Errorf("%s: moved to %s", what, got[0].Sub(now))
		case want != 0 && (len(got) != 1 || got[0].Sub(now) != want):
			t.Errorf("%s: %v, want %s", what, got, want)
		}
	}
	f := func(what string, after, patience, read, write time.Duration) {
		t.Helper()
		noted.reads, noted.writes = nil, nil
		if err := c.expect(now.Add(after), patience); err != nil {
			t.Error(err)
		}
		moved(what+", reading", noted.reads, read)
		moved(what+", writing", noted.writes, write)
	}
	f("the first", 0, 16*time.Second, 17*time.Second, 17*time.Second)
	f("soon after", 900*time.Millisecond, 16*time.Second, 0, 0)
	f("at the latest", time.Second, 16*time.Second, 0, 0)
	f("too late for it", 1100*time.Millisecond, 16*time.Second, 18100*time.Millisecond, 18100*time.Millisecond)
	f("less patience", 1200*time.Millisecond, 800*time.Millisecond, 2100*time.Millisecond, 2100*time.Millisecond)
	f("it would have more", 1100*time.Millisecond, 800*time.Millisecond, 2*time.Second, 2*time.Second)
	if _, err := c.fill(); err != nil {
		t.Error(err)
	}
	f("after a body that came slowly", 1100*time.Millisecond, 800*time.Millisecond, 2*time.Second, 0)
}

// TestAskAfterTheFirstSilence sends a request so late, as on a busy machine, that the first silence is over. The upstream is not to blame for that:
// it has the rest of its time.
func TestAskAfterTheFirstSilence(t *testing.T) {
	u, requests := answering(t, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
	s := proxied(t, u)
	c, err := s.pool.get(u, time.Now()).dial(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer c.discard()
	c.rest()
	c.resume()
	c.watch(s.Server, s.browse(t), false)
	if err := c.expect(time.Now().Add(-time.Second), time.Minute); err != nil {
		t.Fatal(err)
	}
	const request = "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n"
	if n, err := c.ask([]byte(request)); n != len(request) || err != nil {
		t.Fatalf("sent %d bytes, %v", n, err)
	}
	receive(t, "the request", requests)
	if status, err := c.reader.ReadString('\n'); status != "HTTP/1.1 200 OK\r\n" || err != nil {
		t.Errorf("answered %q, %v", status, err)
	}
	if c.stop == nil || !c.unwatch() {
		t.Error("the client is not watched")
	}
}
