package e2e

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"sync"
	"testing"
	"time"
)

// browser is a headless Chromium that is told what to do over the DevTools protocol, which it speaks on two pipes: JSON messages with a
// zero byte after each. Its pages may be used by one goroutine at a time.
type browser struct {
	commands *os.File

	mu      sync.Mutex
	last    int
	pending map[int]chan reply // nil once the browser has ended
}

type reply struct {
	ID     int             `json:"id"`
	Result json.RawMessage `json:"result"`
	Error  *struct {
		Message string `json:"message"`
	} `json:"error"`
}

// protocolFlags have Chromium speak one protocol with an origin: it would come to HTTP/3 by Alt-Svc in its own time only.
func protocolFlags(protocol, authorities string) []string {
	switch protocol {
	case "http/1.1":
		return []string{"--disable-quic", "--disable-http2"}
	case "h2":
		return []string{"--disable-quic"}
	}
	return []string{"--enable-quic", "--origin-to-force-quic-on=" + authorities}
}

// openBrowser starts a Chromium that trusts p's authority and finds every name at 127.0.0.1, until the test ends.
func openBrowser(t *testing.T, chromium string, p *process, more ...string) *browser {
	t.Helper()
	theirs, commands, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	replies, ours, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	flags := slices.Concat(chromiumFlags(t, p), []string{"--remote-debugging-pipe", "--host-resolver-rules=MAP *.localhost 127.0.0.1"}, more)
	cmd := exec.Command(chromium, append(flags, "about:blank")...)
	cmd.ExtraFiles = []*os.File{theirs, ours} // file descriptors 3 and 4
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	theirs.Close()
	ours.Close()
	b := &browser{commands: commands, pending: map[int]chan reply{}}
	read := make(chan struct{})
	go func() {
		defer close(read)
		b.read(bufio.NewReader(replies))
	}()
	t.Cleanup(func() {
		_, _ = b.call(context.Background(), "", "Browser.close", nil)
		_ = commands.Close()
		ended := time.AfterFunc(10*time.Second, func() { _ = cmd.Process.Kill() })
		_ = cmd.Wait()
		ended.Stop()
		<-read
		_ = replies.Close()
	})
	return b
}

func (b *browser) read(replies *bufio.Reader) {
	for {
		message, err := replies.ReadBytes(0)
		var r reply
		if err == nil {
			err = json.Unmarshal(message[:len(message)-1], &r)
		}
		b.mu.Lock()
		if err != nil {
			for _, waiting := range b.pending {
				close(waiting)
			}
			b.pending = nil
			b.mu.Unlock()
			return
		}
		if waiting := b.pending[r.ID]; waiting != nil { // events have no ID
			delete(b.pending, r.ID)
			waiting <- r
		}
		b.mu.Unlock()
	}
}

var errBrowserEnded = errors.New("the browser has ended")

// call sends one command, to the browser itself or to the page that session names, and waits a minute at most for its result.
func (b *browser) call(ctx context.Context, session, method string, params any) (json.RawMessage, error) {
	waiting := make(chan reply, 1)
	b.mu.Lock()
	if b.pending == nil {
		b.mu.Unlock()
		return nil, errBrowserEnded
	}
	b.last++
	id := b.last
	b.pending[id] = waiting
	message := map[string]any{"id": id, "method": method}
	if session != "" {
		message["sessionId"] = session
	}
	if params != nil {
		message["params"] = params
	}
	data, err := json.Marshal(message)
	if err == nil {
		_, err = b.commands.Write(append(data, 0))
	}
	b.mu.Unlock()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", method, err)
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	select {
	case r, ok := <-waiting:
		if !ok {
			return nil, errBrowserEnded
		}
		if r.Error != nil {
			return nil, fmt.Errorf("%s: %s", method, r.Error.Message)
		}
		return r.Result, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("%s: %w", method, ctx.Err())
	}
}

// page is a tab.
type page struct {
	t       *testing.T
	browser *browser
	session string
}

// open opens a tab that fails t where it cannot do what it is told.
func (b *browser) open(t *testing.T) *page {
	t.Helper()
	tab := &page{t: t, browser: b}
	var target struct {
		TargetID  string `json:"targetId"`
		SessionID string `json:"sessionId"`
	}
	tab.must("Target.createTarget", map[string]any{"url": "about:blank"}, &target)
	tab.must("Target.attachToTarget", map[string]any{"targetId": target.TargetID, "flatten": true}, &target)
	tab.session = target.SessionID
	return tab
}

func (tab *page) must(method string, params, result any) {
	tab.t.Helper()
	data, err := tab.browser.call(tab.t.Context(), tab.session, method, params)
	if err == nil {
		err = json.Unmarshal(data, result)
	}
	if err != nil {
		tab.t.Fatal(err)
	}
}

// visit goes to url and returns once the first bytes of the page are there.
func (tab *page) visit(url string) {
	tab.t.Helper()
	var result struct{ ErrorText string }
	if tab.must("Page.navigate", map[string]any{"url": url}, &result); result.ErrorText != "" {
		tab.t.Fatalf("%s: %s", url, result.ErrorText)
	}
}

// evaluate runs a JavaScript expression in the page, waits for its promise if it is one, and decodes what comes into result.
func (tab *page) evaluate(expression string, result any) error {
	data, err := tab.browser.call(tab.t.Context(), tab.session, "Runtime.evaluate",
		map[string]any{"expression": expression, "awaitPromise": true, "returnByValue": true})
	if err != nil {
		return err
	}
	var evaluated struct {
		Result struct {
			Value json.RawMessage `json:"value"`
		} `json:"result"`
		ExceptionDetails *struct {
			Text      string `json:"text"`
			Exception struct {
				Description string `json:"description"`
			} `json:"exception"`
		} `json:"exceptionDetails"`
	}
	if err := json.Unmarshal(data, &evaluated); err != nil {
		return err
	}
	if e := evaluated.ExceptionDetails; e != nil {
		return fmt.Errorf("%s: %s %s", expression, e.Text, e.Exception.Description)
	}
	if evaluated.Result.Value == nil {
		return nil
	}
	return json.Unmarshal(evaluated.Result.Value, result)
}

// get is evaluate where a fault ends the test.
func get[T any](tab *page, expression string) (result T) {
	tab.t.Helper()
	if err := tab.evaluate(expression, &result); err != nil {
		tab.t.Fatal(err)
	}
	return result
}

// await waits until a JavaScript expression has a value.
func await[T comparable](tab *page, expression string, want T) {
	tab.t.Helper()
	eventually(tab.t, 30*time.Second, expression, func() error {
		var got T
		err := tab.evaluate(expression, &got)
		switch {
		case errors.Is(err, errBrowserEnded):
			return fatal{err}
		case err != nil:
			return err
		case got != want:
			return fmt.Errorf("%v, want %v", got, want)
		}
		return nil
	})
}
