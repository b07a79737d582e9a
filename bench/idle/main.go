//go:build unix

// Idle measures the memory of connections that do nothing: TLS, one request each, then silence. It prints the resident memory of the
// process by connection, soon after the last one was opened and a while later.
//
//	go run ./bench/idle                   # 20,000 connections of HTTP/1.1, then of HTTP/2 with each of its servers
//	go run ./bench/idle -n 5000 -wait 30s -bin ./metahub
//
// Both ends need a file descriptor a connection; "ulimit -n" is raised where that is permitted.
package main

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"metahub/bench/metahub"
)

func main() {
	n := flag.Int("n", 20_000, "how many connections")
	wait := flag.Duration("wait", 5*time.Second, "how long the last one is idle; the first ones are closed 75 s after they were opened")
	bin := flag.String("bin", "", "the metahub binary; empty builds one")
	flag.Parse()
	if err := allowFiles(uint64(*n) + 100); err != nil {
		fmt.Fprintln(os.Stderr, "bench/idle:", err)
		os.Exit(1)
	}
	for _, c := range []struct{ protocol, server string }{{"http/1.1", "engine"}, {"h2", "engine"}, {"h2", "standard"}} {
		if err := run(*n, *wait, *bin, c.protocol, c.server); err != nil {
			fmt.Fprintln(os.Stderr, "bench/idle:", err)
			os.Exit(1)
		}
	}
}

// run measures connections of a protocol; server is gateway.http2.
func run(n int, wait time.Duration, bin, protocol, server string) error {
	config := fmt.Sprintf("gateway:\n  http2: %s\ntenants:\n  - {slug: idle, domains: [idle.localhost], frontend: \"dir:site\", limits: {connections: %d}}\n", server, n+100)
	p, err := metahub.Serve(bin, config, "<h1>idle</h1>")
	if err != nil {
		return err
	}
	defer p.Close()
	one, err := open(p.HTTPS, protocol)
	if err != nil {
		return err
	}
	defer one.Close()
	before := p.Resident()
	began := time.Now()
	all, err := openAll(n, p.HTTPS, protocol)
	defer func() {
		for _, c := range all {
			c.Close()
		}
	}()
	if err != nil {
		return err
	}
	fmt.Printf("%s, http2: %s: %d connections in %v; %d MB before\n", protocol, server, len(all), time.Since(began).Round(time.Second), before)
	report(p, before)
	time.Sleep(wait)
	report(p, before)
	return nil
}

// allowFiles raises the limit on open files, of this process and of those that it starts, to at least n.
func allowFiles(n uint64) error {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return err
	}
	limit = syscall.Rlimit{Cur: max(n, limit.Max), Max: max(n, limit.Max)}
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return fmt.Errorf("each end needs %d open files: %w", n, err)
	}
	return nil
}

// openAll opens n connections, some at once.
func openAll(n int, address, protocol string) (all []net.Conn, err error) {
	var mu sync.Mutex
	var openers sync.WaitGroup
	left := make(chan struct{}, n)
	for range n {
		left <- struct{}{}
	}
	close(left)
	for range 16 {
		openers.Go(func() {
			for range left {
				c, failed := open(address, protocol)
				mu.Lock()
				if failed != nil {
					err = failed
				} else {
					all = append(all, c)
				}
				mu.Unlock()
			}
		})
	}
	openers.Wait()
	return all, err
}

// open makes a connection and has one answer on it.
func open(address, protocol string) (net.Conn, error) {
	config := &tls.Config{ServerName: "idle.localhost", InsecureSkipVerify: true, NextProtos: []string{protocol}} // #nosec G402 -- what is measured is memory
	c, err := tls.Dial("tcp", address, config)
	if err != nil {
		return nil, err
	}
	if protocol == "h2" {
		err = askHTTP2(c)
	} else {
		err = ask(c)
	}
	if err != nil {
		c.Close()
	}
	return c, err
}

func ask(c net.Conn) error {
	if _, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: idle.localhost\r\nUser-Agent: idle\r\nAccept: */*\r\n\r\n"); err != nil {
		return err
	}
	response, err := http.ReadResponse(bufio.NewReaderSize(c, 512), nil)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("answered with %s", response.Status)
	}
	_, err = io.Copy(io.Discard, response.Body)
	return err
}

// askHTTP2 goes on to answer PINGs in a goroutine, as a browser does.
func askHTTP2(c net.Conn) error {
	var out, block bytes.Buffer
	out.WriteString(http2.ClientPreface)
	encoder := hpack.NewEncoder(&block)
	for _, field := range [][2]string{{":method", "GET"}, {":scheme", "https"}, {":authority", "idle.localhost"}, {":path", "/"}} {
		if err := encoder.WriteField(hpack.HeaderField{Name: field[0], Value: field[1]}); err != nil {
			return err
		}
	}
	first := http2.NewFramer(&out, nil)
	if err := first.WriteSettings(); err != nil {
		return err
	}
	if err := first.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block.Bytes(), EndStream: true, EndHeaders: true}); err != nil {
		return err
	}
	if _, err := c.Write(out.Bytes()); err != nil {
		return err
	}
	framer := http2.NewFramer(c, c)
	for {
		frame, err := framer.ReadFrame()
		if err != nil {
			return err
		}
		if err := answer(framer, frame); err != nil {
			return err
		}
		if frame, ok := frame.(*http2.DataFrame); ok && frame.StreamEnded() {
			break
		}
	}
	go func() {
		for {
			frame, err := framer.ReadFrame()
			if err != nil || answer(framer, frame) != nil {
				return
			}
		}
	}()
	return nil
}

func answer(framer *http2.Framer, frame http2.Frame) error {
	switch frame := frame.(type) {
	case *http2.PingFrame:
		if !frame.IsAck() {
			return framer.WritePing(true, frame.Data)
		}
	case *http2.SettingsFrame:
		if !frame.IsAck() {
			return framer.WriteSettingsAck()
		}
	case *http2.GoAwayFrame:
		return fmt.Errorf("the connection was refused: %v", frame.ErrCode)
	}
	return nil
}

// report prints the resident memory by connection, above what there was before, and what the Go runtime says of heap and stacks.
func report(p *metahub.Process, before int) {
	resident := p.Resident()
	response, err := http.Get("http://" + p.Admin + "/metrics")
	if err != nil {
		fmt.Println("  no metrics:", err)
		return
	}
	defer response.Body.Close()
	text, _ := io.ReadAll(response.Body)
	metrics := map[string]float64{}
	for line := range strings.Lines(string(text)) {
		var name string
		var value float64
		if n, _ := fmt.Sscan(line, &name, &value); n == 2 {
			metrics[name] = value
		}
	}
	open := metrics["metahub_connections_open"]
	fmt.Printf("  %6.0f open, %4d MB resident: %.1f KiB each; heap %.0f MB in use, stacks %.0f MB\n",
		open, resident, float64(resident-before)*1024/open, metrics["go_memstats_heap_inuse_bytes"]/1e6, metrics["go_memstats_stack_inuse_bytes"]/1e6)
}
