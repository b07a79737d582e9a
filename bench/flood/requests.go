//go:build unix

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/quic-go/quic-go"
	client3 "github.com/quic-go/quic-go/http3"
)

// mostOpen is how many requests a client has open at once on a connection with streams: below what a server allows.
const mostOpen = 100

// conn is a connection that asks for the page. ask returns its status, or why the connection is of no more use.
type conn interface {
	ask() (status string, err error)
	Close() error
}

// open opens one of the attack's protocol; it is nil if it is refused.
func (c *attacker) open(ctx context.Context) conn {
	switch c.protocol {
	case "h3":
		if opened := c.openHTTP3(ctx); opened != nil {
			return opened
		}
		return nil
	}
	layer := c.dial(ctx)
	switch {
	case layer == nil:
		return nil
	case c.protocol == "h2":
		if opened := newHTTP2(layer); opened != nil {
			return opened
		}
		return nil
	}
	return &http1{Conn: layer, in: bufio.NewReaderSize(layer, 4<<10)}
}

// floodConnections opens a connection for each request.
func floodConnections(ctx context.Context, c *attacker) error {
	c.pace(ctx, func(batch int) {
		for range batch {
			opened := c.open(ctx)
			if opened == nil {
				continue
			}
			c.count(opened.ask())
			opened.Close()
		}
	})
	return nil
}

// floodRequests asks again and again on one connection, and opens another one when that is closed. Over HTTP/1.1 each request waits for the
// answer to the one before it; a connection with streams has up to mostOpen under way.
func floodRequests(ctx context.Context, c *attacker) error {
	var (
		opened  conn
		waiting sync.WaitGroup
		mu      sync.Mutex
		broken  conn
	)
	places := make(chan struct{}, mostOpen)
	if c.protocol == "h1" {
		places = make(chan struct{}, 1)
	}
	c.pace(ctx, func(batch int) {
		for range batch {
			mu.Lock()
			gone := opened != nil && broken == opened
			mu.Unlock()
			if gone {
				opened.Close()
				opened = nil
			}
			if opened == nil {
				if opened = c.open(ctx); opened == nil {
					return
				}
			}
			select {
			case places <- struct{}{}:
			case <-ctx.Done():
				return
			}
			with := opened
			waiting.Go(func() {
				status, err := with.ask()
				<-places
				if ctx.Err() != nil {
					return
				}
				c.count(status, err)
				if err != nil {
					mu.Lock()
					broken = with
					mu.Unlock()
				}
			})
			if c.protocol == "h1" {
				waiting.Wait()
			}
		}
	})
	if opened != nil {
		opened.Close()
	}
	waiting.Wait()
	return nil
}

func (c *attacker) count(status string, err error) {
	if err != nil {
		status = "closed"
	}
	c.add(status, 1)
}

// http1 is a connection of HTTP/1.1. It reads no more of an answer than tells where that ends.
type http1 struct {
	net.Conn
	in *bufio.Reader
}

func (c *http1) ask() (status string, err error) {
	if _, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: flooded.localhost\r\n\r\n"); err != nil {
		return "", err
	}
	length := 0
	for first := true; ; first = false {
		line, err := c.in.ReadSlice('\n')
		if err != nil {
			return "", err
		}
		text := strings.TrimRight(string(line), "\r\n")
		switch name, value, _ := strings.Cut(text, ": "); {
		case first:
			_, status, _ = strings.Cut(text, " ")
			status = status[:3]
		case text == "":
			_, err := c.in.Discard(length)
			return status, err
		case strings.EqualFold(name, "Content-Length"):
			if _, err := fmt.Sscan(value, &length); err != nil {
				return "", err
			}
		}
	}
}

// http3 is a connection of HTTP/3 with a socket of its own.
type http3 struct {
	socket *net.UDPConn
	layer  *quic.Transport
	quic   *quic.Conn
	client *client3.ClientConn
}

// openHTTP3 opens one from the attack's address. One that is refused counts as such, and is nil.
func (c *attacker) openHTTP3(ctx context.Context) *http3 {
	address, err := net.ResolveUDPAddr("udp", c.address)
	if err != nil {
		return nil
	}
	socket, err := net.ListenUDP("udp", &net.UDPAddr{IP: c.from})
	if err != nil {
		return nil
	}
	layer := &quic.Transport{Conn: socket}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	opened, err := layer.Dial(ctx, address, c.tls(), &quic.Config{})
	if err != nil {
		if !errors.Is(ctx.Err(), context.Canceled) {
			c.add("refused", 1)
		}
		layer.Close()
		socket.Close()
		return nil
	}
	c.add("opened", 1)
	return &http3{socket: socket, layer: layer, quic: opened, client: (&client3.Transport{DisableCompression: true}).NewClientConn(opened)}
}

func (c *http3) ask() (status string, err error) {
	request, err := http.NewRequest(http.MethodGet, "https://flooded.localhost/", nil)
	if err != nil {
		return "", err
	}
	response, err := c.client.RoundTrip(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	_, err = io.Copy(io.Discard, response.Body)
	return strconv.Itoa(response.StatusCode), err
}

// Close implements conn.
func (c *http3) Close() error {
	_ = c.quic.CloseWithError(0x100, "")
	return errors.Join(c.layer.Close(), c.socket.Close())
}
