package gateway

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/quic-go/qpack"
	"github.com/quic-go/quic-go"
	client3 "github.com/quic-go/quic-go/http3"

	"metahub/gateway/h3"
)

// clientHTTP3 speaks HTTP/3 as client does the others.
func (w *world) clientHTTP3(serverName string) *http.Client {
	transport := &http3Transport{&client3.Transport{
		TLSClientConfig:    &tls.Config{RootCAs: w.roots},
		DisableCompression: true,
		QUICConfig:         &quic.Config{HandshakeIdleTimeout: w.patience},
		Dial: func(ctx context.Context, address string, config *tls.Config, quicConfig *quic.Config) (*quic.Conn, error) {
			config = config.Clone()
			if config.ServerName, _, _ = net.SplitHostPort(address); serverName != "" {
				config.ServerName = serverName
			}
			return quic.DialAddr(ctx, w.https.String(), config, quicConfig)
		},
	}}
	w.Cleanup(func() { _ = transport.Close() })
	return &http.Client{
		Transport:     transport,
		Timeout:       atMost,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// http3Transport lets CloseIdleConnections of http.Client through.
type http3Transport struct{ *client3.Transport }

// isUnreachedHTTP3 reports whether a request failed since its handshake was refused, or met a closed port. A connection that was made goes
// idle later than any test waits.
func isUnreachedHTTP3(err error) bool {
	var refused *quic.TransportError
	var idle *quic.IdleTimeoutError
	return errors.As(err, &idle) || errors.As(err, &refused) && refused.ErrorCode == quic.ConnectionRefused
}

// rawHTTP3 is an HTTP/3 connection on which a test writes what it likes.
type rawHTTP3 struct {
	*world
	conn *quic.Conn
}

func (w *world) dialHTTP3(serverName string) *rawHTTP3 {
	w.Helper()
	conn, err := w.tryHTTP3(serverName, "h3")
	if err != nil {
		w.Fatal(err)
	}
	return &rawHTTP3{w, conn}
}

func (w *world) tryHTTP3(serverName string, protocols ...string) (*quic.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), atMost)
	defer cancel()
	conn, err := quic.DialAddr(ctx, w.https.String(), &tls.Config{ServerName: serverName, RootCAs: w.roots, NextProtos: protocols}, nil)
	if err == nil {
		w.Cleanup(func() { _ = conn.CloseWithError(0x100, "") })
	}
	return conn, err
}

// block encodes "name: value" fields, whatever they are.
func block(t testing.TB, fields ...string) []byte {
	t.Helper()
	var b strings.Builder
	encoder := qpack.NewEncoder(&b)
	for _, field := range fields {
		at := strings.Index(field[1:], ": ") + 1
		if err := encoder.WriteField(qpack.HeaderField{Name: field[:at], Value: field[at+2:]}); err != nil {
			t.Fatal(err)
		}
	}
	return []byte(b.String())
}

// get are the pseudo-header fields of an honest request.
var get = []string{":method: GET", ":scheme: https", ":authority: anna.test", ":path: /x"}

// send writes bytes to a stream of its own; fin ends it.
func (r *rawHTTP3) send(bytes []byte, fin bool) *quic.Stream {
	r.Helper()
	stream, err := r.conn.OpenStreamSync(context.Background())
	if err != nil {
		r.Fatal(err)
	}
	_ = stream.SetDeadline(time.Now().Add(atMost))
	_, _ = stream.Write(bytes) // the gateway may refuse before it has read all
	if fin {
		_ = stream.Close()
	}
	return stream
}

// status reads the status of the answer on a stream; 0 with the error of the stream or connection.
func (r *rawHTTP3) status(stream *quic.Stream) (string, error) {
	in := bufio.NewReader(stream)
	read, err := h3.ReadHead(in, 64<<10, nil)
	if err != nil {
		return "", err
	}
	field, err := new(qpack.Decoder).Decode(read)()
	return field.Value, err
}
