package issuer

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// What a CA may put into its headers while an order is polled.
func TestHeadersAreBounded(t *testing.T) {
	var said string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Retry-After", said)
		w.Header().Add("Link", `<https://ca.example/up>;rel="up"`)
	}))
	defer server.Close()
	client := newHTTPClient(nil, time.Second)
	f := func(retryAfter, passed string, noted time.Duration) {
		t.Helper()
		said = retryAfter
		ctx, notes := withNotes(t.Context())
		r, _ := http.NewRequestWithContext(ctx, http.MethodGet, server.URL, nil)
		answer, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		if got := answer.Header.Get("Retry-After"); got != passed || answer.Header.Get("Link") != "" {
			t.Errorf("%q: acmez sees Retry-After %q, want %q, and Link %q", retryAfter, got, passed, answer.Header.Get("Link"))
		}
		if _, got := notes.read(); got.Round(time.Minute) != noted.Round(time.Minute) {
			t.Errorf("%q: noted %s, want %s", retryAfter, got, noted)
		}
	}
	f("3", "3", 3*time.Second)
	f("31536000", "30", 365*24*time.Hour)
	f("0", "", 0)
	f("-5", "", 0)
	f("soon", "", 0)
	f("99999999999999999999", "", 0)
	f("Mon, 01 Jan 1990 00:00:00 GMT", "", 0)
	f(time.Now().Add(3*time.Hour).UTC().Format(http.TimeFormat), "30", 3*time.Hour)
}

func TestAnswersAreBounded(t *testing.T) {
	status, size := http.StatusOK, 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(status)
		io.WriteString(w, strings.Repeat("x", size))
	}))
	defer server.Close()
	client := newHTTPClient(nil, time.Second)
	f := func(withStatus, withSize int, want error) {
		t.Helper()
		status, size = withStatus, withSize
		answer, err := client.Get(server.URL)
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		if body, err := io.ReadAll(answer.Body); !errors.Is(err, want) || want == nil && len(body) != size {
			t.Errorf("%d with %d bytes: read %d, %v; want %v", status, size, len(body), err, want)
		}
	}
	f(http.StatusOK, maxAnswer, nil)
	f(http.StatusOK, maxAnswer+1, errTooLarge)
	f(http.StatusBadGateway, maxErrorAnswer, nil)
	f(http.StatusBadGateway, maxErrorAnswer+1, errTooLarge)
	f(http.StatusOK, 0, nil)
}

func TestOnlyHTTPS(t *testing.T) {
	client := newHTTPClient(nil, time.Second)
	if _, err := client.Get("http://ca.example/dir"); err == nil || !strings.Contains(err.Error(), "not https") {
		t.Errorf("plain HTTP: %v", err)
	}
	away := httptest.NewServer(http.RedirectHandler("http://169.254.169.254/latest/meta-data", http.StatusFound))
	defer away.Close()
	if _, err := client.Get(away.URL); err == nil || !strings.Contains(err.Error(), "not https") {
		t.Errorf("a redirect to plain HTTP: %v", err)
	}
	round := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/", http.StatusFound) }))
	defer round.Close()
	if answer, err := client.Get(round.URL); err != nil || answer.StatusCode != http.StatusFound {
		t.Errorf("a redirect in a circle: %v, %v; want it to end at a 302", answer, err)
	}
}
