package rehearsal

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	// maxAnswer bounds an answer's head and body together, maxBody the body; a key authorization has 87 bytes.
	maxAnswer = 32 << 10
	maxBody   = 1 << 10
	// maxInterim bounds the 1xx answers before the real one.
	maxInterim = 5
)

// target is what to ask for, and where: the addresses are tried one after the other.
type target struct {
	url       *url.URL
	host      string // of the Host header
	addresses []netip.Addr
}

// answered is what is looked at of an answer.
type answered struct {
	status     int
	body       string // without white space at its end (RFC 8555 §8.3)
	location   string // of a redirect
	cloudflare bool
	proxy      bool // it says itself that it came through one
}

// dialError is a connection that did not come about.
type dialError struct{ err error }

func (e *dialError) Error() string { return e.err.Error() }
func (e *dialError) Unwrap() error { return e.err }

// errSilent is a connection on which no answer came, as a port forwarding gives whose other end is closed.
var errSilent = errors.New("the connection was taken, and no answer came")

// get asks once, over a connection of its own.
func (p *probe) get(ctx context.Context, t target) (answered, error) {
	conn, err := p.connect(ctx, t)
	if err != nil {
		return answered{}, &dialError{err}
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	if t.url.Scheme == "https" {
		// No certificate is verified: there may be none yet, which is why the CA does not look either.
		secure := tls.Client(conn, &tls.Config{ServerName: t.url.Hostname(), InsecureSkipVerify: true})
		if err := secure.HandshakeContext(ctx); err != nil {
			return answered{}, err
		}
		conn = secure
	}
	request := &http.Request{Method: http.MethodGet, URL: t.url, Host: t.host, Close: true, Header: http.Header{
		"User-Agent": {"Mozilla/5.0 (compatible; MetaHub certificate rehearsal)"},
		"Accept":     {"*/*"},
	}}
	if err := request.Write(conn); err != nil {
		return answered{}, fmt.Errorf("%w: %w", errSilent, err)
	}
	return read(ctx, conn, request)
}

// connect tries the addresses in turn and leaves each a fair part of the time.
func (p *probe) connect(ctx context.Context, t target) (net.Conn, error) {
	port, err := strconv.ParseUint(portOf(t.url), 10, 16)
	if err != nil {
		return nil, err
	}
	deadline, _ := ctx.Deadline()
	for i, address := range t.addresses {
		share := time.Until(deadline) / time.Duration(len(t.addresses)-i)
		part, cancel := context.WithTimeout(ctx, share)
		var conn net.Conn
		conn, err = p.dial(part, netip.AddrPortFrom(address, uint16(port)))
		cancel()
		if err == nil {
			return conn, nil
		}
	}
	return nil, err
}

func dial(ctx context.Context, to netip.AddrPort) (net.Conn, error) {
	return new(net.Dialer).DialContext(ctx, "tcp", to.String())
}

func portOf(u *url.URL) string {
	switch {
	case u.Port() != "":
		return u.Port()
	case u.Scheme == "https":
		return "443"
	}
	return "80"
}

// read takes as much of an answer as is needed. It does not close the body, which would read it to its end.
func read(ctx context.Context, conn io.Reader, request *http.Request) (answered, error) {
	reader := bufio.NewReader(io.LimitReader(conn, maxAnswer))
	if _, err := reader.Peek(1); err != nil {
		return answered{}, fmt.Errorf("%w: %w", errSilent, err)
	}
	response, err := http.ReadResponse(reader, request)
	for range maxInterim {
		if err != nil || response.StatusCode/100 != 1 || response.StatusCode == http.StatusSwitchingProtocols {
			break
		}
		response, err = http.ReadResponse(reader, request)
	}
	if err != nil && ctx.Err() != nil {
		return answered{}, fmt.Errorf("%w in time: %w", errSilent, err)
	}
	if err != nil {
		return answered{}, err
	}
	got := answered{
		status:     response.StatusCode,
		cloudflare: response.Header.Get("Cf-Ray") != "" || strings.Contains(strings.ToLower(response.Header.Get("Server")), "cloudflare"),
		proxy:      response.Header.Get("Via") != "",
	}
	switch got.status {
	case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther, http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		got.location = response.Header.Get("Location")
	case http.StatusOK:
		body, _ := io.ReadAll(io.LimitReader(response.Body, maxBody+1)) // one that breaks off is a wrong one
		if len(body) <= maxBody {
			got.body = strings.TrimRight(string(body), " \t\r\n")
		}
	}
	return got, nil
}

// homemade tells whether a connection failed for want of something on this machine: file descriptors, ports, a local firewall's leave.
func homemade(err error) bool {
	var call *os.SyscallError
	if errors.As(err, &call) && call.Syscall == "socket" {
		return true
	}
	return errors.Is(err, syscall.EADDRNOTAVAIL) || errors.Is(err, syscall.EPERM)
}
