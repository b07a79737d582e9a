//go:build unix

package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// attack is what many clients at one address do to the attacked tenant until they are told to stop.
type attack struct {
	protocol string // h1, h2 or h3
	kind     string
	from     net.IP
	nice     int
	with     []string // in front of the command that starts it
	assault
}

// assault is a kind of attack.
type assault struct {
	clients   int
	protocols string
	// run is one client, until ctx ends.
	run func(ctx context.Context, c *attacker) error
}

// assaults are the kinds by name. What is wrong with frames is what HTTP/2 has budgets for.
var assaults = map[string]assault{
	"rate":           {attackers, "h1 h2 h3", floodRequests},
	"connections":    {attackers, "h1 h2 h3", floodConnections},
	"rapid-reset":    framesOf(rapidReset),
	"made-you-reset": framesOf(madeYouReset),
	"continuation":   framesOf(continuation),
	"settings":       framesOf(settings),
	"ping":           framesOf(ping),
	"empty-data":     framesOf(emptyData),
	"window-update":  framesOf(windowUpdate),
}

func newAttack(protocol, kind, from string) (*attack, error) {
	a := &attack{protocol: protocol, kind: kind, from: net.ParseIP(from)}
	var ok bool
	switch a.assault, ok = assaults[kind]; {
	case !ok:
		return nil, fmt.Errorf("there is no attack %q", kind)
	case !strings.Contains(a.protocols, protocol):
		return nil, fmt.Errorf("the attack %q is one of %s", kind, a.protocols)
	case a.from == nil:
		return nil, fmt.Errorf("%q is no address to attack from", from)
	}
	return a, nil
}

// String implements fmt.Stringer.
func (a *attack) String() string { return a.protocol + " " + a.kind }

// start begins the attack in a process of its own. stop ends it and adds its answers, by status.
func (a *attack) start(address string) (stop func(answers map[string]int) error, err error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	command := append(slices.Clone(a.with), self, "-at", address, "-protocol", a.protocol, "-attack", a.kind, "-from", a.from.String())
	c := exec.Command(command[0], command[1:]...)
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	input, err := c.StdinPipe()
	if err != nil {
		return nil, err
	}
	var said strings.Builder
	c.Stdout, c.Stderr = &said, os.Stderr
	if err := c.Start(); err != nil {
		return nil, err
	}
	if err := syscall.Setpriority(syscall.PRIO_PGRP, c.Process.Pid, a.nice); err != nil {
		return nil, err
	}
	return func(answers map[string]int) error {
		input.Close()
		if err := c.Wait(); err != nil {
			return err
		}
		for line := range strings.Lines(said.String()) {
			var status string
			var n int
			if _, err := fmt.Sscan(line, &status, &n); err != nil {
				return err
			}
			answers[status] += n
		}
		return nil
	}, nil
}

// run attacks until standard input ends. It prints how often each status was answered, and how many connections were opened, refused and
// cut off.
func (a *attack) run(address string) error {
	var (
		clients  sync.WaitGroup
		mu       sync.Mutex
		failures error
	)
	ctx, end := context.WithCancel(context.Background())
	defer end()
	tally := tally{counts: map[string]int{}}
	for i := range a.clients {
		clients.Go(func() {
			err := a.assault.run(ctx, &attacker{attack: a, tally: &tally, address: address, number: i})
			mu.Lock()
			defer mu.Unlock()
			failures = errors.Join(failures, err)
		})
	}
	_, _ = io.Copy(io.Discard, os.Stdin)
	end()
	clients.Wait()
	for status, n := range tally.counts {
		fmt.Println(status, n)
	}
	return failures
}

// tally is what all clients of an attack met. It may be used by many goroutines at once.
type tally struct {
	mu     sync.Mutex
	counts map[string]int
}

func (t *tally) add(what string, n int) {
	t.mu.Lock()
	t.counts[what] += n
	t.mu.Unlock()
}

// attacker is one client.
type attacker struct {
	*attack
	*tally
	address string
	number  int
}

// introduction says that a connection is one of 203.0.113.9.
const introduction = "PROXY TCP4 203.0.113.9 203.0.113.1 5000 443\r\n"

// dial opens a TLS connection from the attack's address. One that is refused counts as such, and is nil.
func (c *attacker) dial(ctx context.Context) *tls.Conn {
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: c.from}, Timeout: 5 * time.Second}
	socket, err := d.DialContext(ctx, "tcp", c.address)
	if err == nil {
		_, err = io.WriteString(socket, introduction)
	}
	var layer *tls.Conn
	if err == nil {
		layer = tls.Client(socket, c.tls())
		if err = layer.HandshakeContext(ctx); err != nil {
			socket.Close()
		}
	}
	if err != nil {
		if ctx.Err() == nil {
			c.add("refused", 1)
		}
		return nil
	}
	c.add("opened", 1)
	return layer
}

func (c *attacker) tls() *tls.Config {
	next := map[string]string{"h1": "http/1.1", "h2": "h2", "h3": "h3"}[c.protocol]
	return &tls.Config{ServerName: "flooded.localhost", NextProtos: []string{next}, InsecureSkipVerify: true} // #nosec G402 -- what is measured is time
}

// pace calls f for each batch of requests that is due when all clients together send times the rate. One that is late catches up, but not
// more than a second's worth.
func (c *attacker) pace(ctx context.Context, f func(batch int)) {
	const batch = 5 // requests at a time, or timers would cost more than the requests
	every := time.Second * batch * time.Duration(c.clients) / (rate * times)
	for due := time.Now(); ctx.Err() == nil; due = due.Add(every) {
		if late := time.Since(due); late > time.Second {
			due = time.Now()
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(time.Until(due)):
		}
		f(batch)
	}
}
