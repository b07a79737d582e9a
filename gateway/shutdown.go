package gateway

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"
)

const (
	// lastConnections is how long a closing address still accepts: what the kernel has accepted already would be reset else.
	lastConnections = 50 * time.Millisecond
	// lastRequests is how long an HTTP/1 connection may be idle at a shutdown: a request that is on its way to it would be lost with
	// it, while an answer with "Connection: close" ends it in good order.
	lastRequests = 500 * time.Millisecond
	// lastHandshakes is how long handshakes under way are waited for, so that their first request is served too.
	lastHandshakes = time.Second
	// socketGrace is how long WebSockets and upstreams' streams of events, which seldom end by themselves, stay open at a shutdown. Browsers
	// open them again, by then at the process that takes over.
	socketGrace = 5 * time.Second
	// drainInterval is how often it is looked for connections that have become idle.
	drainInterval = 50 * time.Millisecond
	// lastWords is how long handlers may take to notice that their connection was closed under them.
	lastWords = 2 * time.Second
)

// Shutdown stops accepting, finishes what is in flight, and closes each connection when nothing of a request is left on it: HTTP/1
// with "Connection: close", HTTP/2 and 3 with GOAWAY. WebSockets and streams of events are closed after a grace. When ctx ends it closes what is left; the error
// says how many connections had a request under way then, WebSockets not among them. It returns when every goroutine that the Gateway started has ended; only for a handler that hangs it does not wait.
func (g *Gateway) Shutdown(ctx context.Context) error {
	if !g.draining.Swap(true) {
		close(g.arrivals.stopping)
	}
	for _, l := range g.listeners {
		if tcp, ok := l.(*net.TCPListener); !ok || tcp.SetDeadline(time.Now().Add(lastConnections)) != nil {
			_ = l.Close()
		}
	}
	g.http3.stopAccepting()
	g.accepting.Wait()
	if g.streams == nil {
		return nil
	}
	ended := make(chan struct{})
	go func() {
		g.connections.wait.Wait()
		close(ended)
	}()
	http2 := make(chan struct{})
	go func() {
		defer close(http2)
		g.drainHTTP2(ctx)
	}()
	err := g.drain(ctx, ended)
	<-http2
	_ = g.http2.Close()
	defer g.http3.close()
	select {
	case <-ended:
		if g.engine != nil {
			g.engine.Close()
		}
		return err
	case <-time.After(lastWords):
		return errors.Join(err, errors.New("a handler did not end with its connection"))
	}
}

func (g *Gateway) drain(ctx context.Context, ended <-chan struct{}) error {
	tick := time.NewTicker(drainInterval)
	defer tick.Stop()
	for begun := time.Now(); ; {
		select {
		case <-ended:
			return nil
		case <-ctx.Done():
			if busy := g.connections.cut(); busy > 0 {
				return fmt.Errorf("%d connections were closed with a request under way: %w", busy, ctx.Err())
			}
			return nil
		case <-tick.C:
			g.connections.drain(begun, g.grace)
			if time.Since(begun) > g.grace {
				g.frontends.EndEvents()
			}
		}
	}
}

// drainHTTP2 sends GOAWAY to all HTTP/2 connections and waits until they have ended. It asks again and again, because a connection
// that has only just come from its handshake may miss the first time.
func (g *Gateway) drainHTTP2(ctx context.Context) {
	g.awaitHandshakes(ctx)
	for ctx.Err() == nil {
		round, cancel := context.WithTimeout(ctx, time.Second)
		err := g.http2.Shutdown(round)
		cancel()
		if !errors.Is(err, context.DeadlineExceeded) {
			return
		}
	}
}

func (g *Gateway) awaitHandshakes(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, lastHandshakes)
	defer cancel()
	ended := make(chan struct{})
	go func() {
		g.arriving.Wait()
		close(ended)
	}()
	select {
	case <-ended:
	case <-ctx.Done():
	}
}
