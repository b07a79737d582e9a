package wire

import (
	"io"
	"testing"
	"time"
)

// TestRest lets go of a connection that says nothing, and takes it up again with its next request.
func TestRest(t *testing.T) {
	t.Parallel()
	limits := Limits{Rest: 20 * time.Millisecond, Idle: 10 * time.Second}
	server, client := socketPair(t)
	c := NewConn(server, limits)
	p := make([]byte, MaxHeaderBytes)
	for range 3 {
		if _, err := io.WriteString(client, get); err != nil {
			t.Fatal(err)
		}
		if !c.Await() {
			t.Fatal("the connection ended")
		}
		if n, err := c.Read(p); string(p[:n]) != get || err != nil {
			t.Fatalf("read %q, %v", p[:n], err)
		}
		if n, err := c.Read(p); n > 0 || err != io.EOF || !c.Resting() {
			t.Fatalf("read %d bytes, %v; resting %v", n, err, c.Resting())
		}
	}

	// A shutdown finds a connection that rests idle.
	ended := make(chan bool)
	go func() { ended <- c.Await() }()
	if !c.CloseIdle() || <-ended {
		t.Error("the connection goes on after CloseIdle")
	}

	// Resting is part of the time that a connection may be idle for.
	limits.Idle = 100 * time.Millisecond
	server, client = socketPair(t)
	c = NewConn(server, limits)
	if _, err := io.WriteString(client, get); err != nil || !c.Await() {
		t.Fatal(err, "or the connection ended")
	}
	for err := error(nil); err == nil; _, err = c.Read(p) {
	}
	if !c.Resting() || c.Await() {
		t.Errorf("resting %v, and goes on", c.Resting())
	}
	if NewConn(server, limits).Await() {
		t.Error("a connection without a request goes on")
	}
}

// TestPause has the next request wait, also one that has come already.
func TestPause(t *testing.T) {
	t.Parallel()
	server, client := socketPair(t)
	c := NewConn(server, Limits{})
	p := make([]byte, MaxHeaderBytes)
	if _, err := io.WriteString(client, get+get+get); err != nil {
		t.Fatal(err)
	}
	for i, pause := range []time.Duration{0, 50 * time.Millisecond, 0} {
		c.Pause(pause)
		begun := time.Now()
		if n, err := c.Read(p); string(p[:n]) != get || err != nil {
			t.Fatalf("read %q, %v", p[:n], err)
		}
		if took := time.Since(begun); took < pause {
			t.Errorf("request %d was read after %v, not after a pause of %v", i, took, pause)
		}
	}
}
