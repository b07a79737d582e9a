package issuer

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/mholt/acmez/v3/acme"
)

// What a CA may send.
const (
	maxAnswer      = 1 << 20
	maxErrorAnswer = 16 << 10
	maxHeader      = 64 << 10
	maxPollWait    = 30 * time.Second
)

// newHTTPClient makes a client for one CA, which bounds all that the CA may do to us.
func newHTTPClient(roots *x509.CertPool, request time.Duration) *http.Client {
	transport := &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		TLSClientConfig:        &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
		ForceAttemptHTTP2:      true,
		TLSHandshakeTimeout:    10 * time.Second,
		ResponseHeaderTimeout:  request,
		MaxResponseHeaderBytes: maxHeader,
		MaxIdleConnsPerHost:    4,
		IdleConnTimeout:        30 * time.Second,
	}
	return &http.Client{Transport: &bounded{next: transport}, Timeout: request, CheckRedirect: checkRedirect}
}

// checkRedirect follows a GET a few steps; a signed request is for one URL alone (RFC 8555 §6.4).
func checkRedirect(r *http.Request, via []*http.Request) error {
	if r.Method != http.MethodGet && r.Method != http.MethodHead || len(via) > 3 {
		return http.ErrUseLastResponse
	}
	return nil
}

// bounded passes requests on, limits the answers, and notes what they say.
type bounded struct{ next http.RoundTripper }

func (b *bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	if !secure(r.URL) {
		return nil, fmt.Errorf("the CA sends us to %q, which is not https", clip(r.URL.Redacted(), 200))
	}
	answer, err := b.next.RoundTrip(r)
	notesOf(r.Context()).take(answer)
	if err != nil {
		return nil, err
	}
	limit := int64(maxAnswer)
	if answer.StatusCode >= 300 {
		limit = maxErrorAnswer
	}
	answer.Body = &limited{ReadCloser: answer.Body, left: limit}
	// acmez would follow every link of relation "alternate" and "up" there is; the chain that comes by itself is the one we serve.
	answer.Header.Del("Link")
	boundRetryAfter(answer)
	return answer, nil
}

// boundRetryAfter keeps a CA from putting an order to sleep: acmez waits as long as it is told while it polls, and not at all for a moment
// that is past.
func boundRetryAfter(answer *http.Response) {
	wait, ok := retryAfter(answer.Header, time.Now())
	switch {
	case !ok || wait < time.Second:
		answer.Header.Del("Retry-After")
	default:
		answer.Header.Set("Retry-After", strconv.Itoa(int(min(wait, maxPollWait)/time.Second)))
	}
}

// retryAfter reads the header (RFC 9110 §10.2.3); ok is false when there is none to be understood.
func retryAfter(header http.Header, now time.Time) (wait time.Duration, ok bool) {
	text := header.Get("Retry-After")
	if text == "" {
		return 0, false
	}
	if seconds, err := strconv.ParseUint(text, 10, 31); err == nil {
		return time.Duration(seconds) * time.Second, true
	}
	when, err := http.ParseTime(text)
	if err != nil {
		return 0, false
	}
	return max(0, when.Sub(now)), true
}

var errTooLarge = errors.New("the CA's answer is larger than is sensible")

// limited fails a read beyond a bound, where io.LimitReader would cut.
type limited struct {
	io.ReadCloser
	left int64
}

func (l *limited) Read(p []byte) (int, error) {
	if l.left <= 0 {
		if n, err := l.ReadCloser.Read(make([]byte, 1)); n == 0 {
			return 0, err
		}
		return 0, errTooLarge
	}
	n, err := l.ReadCloser.Read(p[:min(int64(len(p)), l.left)])
	l.left -= int64(n)
	return n, err
}

// knownDirectory answers a client's question for its directory from memory.
type knownDirectory struct {
	mark string
	text []byte
	next http.RoundTripper
}

func (k *knownDirectory) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Method != http.MethodGet || r.URL.Fragment != k.mark {
		return k.next.RoundTrip(r)
	}
	return &http.Response{
		StatusCode: http.StatusOK, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header:        http.Header{"Content-Type": {"application/json"}},
		Body:          io.NopCloser(bytes.NewReader(k.text)),
		ContentLength: int64(len(k.text)),
		Request:       r,
	}, nil
}

// notes are what the CA's latest answer to an order said beside its body: acmez does not hand that on.
type notes struct {
	mu         sync.Mutex
	status     int
	retryAfter time.Duration
}

type notesKey struct{}

func withNotes(ctx context.Context) (context.Context, *notes) {
	n := &notes{}
	return context.WithValue(ctx, notesKey{}, n), n
}

// notesOf finds the notes of an order; nil takes none.
func notesOf(ctx context.Context) *notes {
	n, _ := ctx.Value(notesKey{}).(*notes)
	return n
}

func (n *notes) take(answer *http.Response) {
	if n == nil {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.status, n.retryAfter = 0, 0
	if answer != nil {
		n.status = answer.StatusCode
		n.retryAfter, _ = retryAfter(answer.Header, time.Now())
	}
}

func (n *notes) read() (status int, retryAfter time.Duration) {
	if n == nil {
		return 0, 0
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.status, n.retryAfter
}

// get asks for a resource that needs no signature. An answer that is an error is an acme.Problem, with or without the CA's own words.
func (a *ACME) get(ctx context.Context, url string) (body []byte, err error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	return a.do(r)
}

func (a *ACME) do(r *http.Request) (body []byte, err error) {
	r.Header.Set("User-Agent", "MetaHub")
	answer, err := a.http.Do(r)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	body, err = io.ReadAll(answer.Body)
	if answer.StatusCode != http.StatusOK {
		problem := acme.Problem{}
		json.Unmarshal(body, &problem) // what is no problem document leaves it empty
		problem.Status = answer.StatusCode
		return nil, problem
	}
	return body, err
}
