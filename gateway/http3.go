package gateway

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"os"
	"strconv"
	"sync/atomic"

	"github.com/quic-go/quic-go"
	"go.uber.org/zap"

	"metahub/gateway/h3"
	"metahub/tenant"
)

// nextHTTP3 is the protocol as ALPN names it (RFC 9114 §3.1).
const nextHTTP3 = "h3"

const (
	// altSvcAge is for how many seconds a client may go to HTTP/3 at once. A day survives a night, and HTTP/3 that was switched off costs
	// a client one failed attempt.
	altSvcAge = "86400"
	// retryHandshakes is how many handshakes may be under way before further clients must first show that their address is theirs
	// (RFC 9000 §8.1.2), so that a flood of forged addresses costs no more than that.
	retryHandshakes = 64
	// maxHandshakes is how many may be under way at all.
	maxHandshakes = 4096
	// uniStreams is how many streams a client may open that are no requests: it needs three.
	uniStreams = 8
	// streamWindow and connWindow are how many bytes of bodies a client may be ahead of who reads them, once it is known to be fast.
	streamWindow, connWindow = 1 << 20, 2 << 20
)

// http3 listens for HTTP/3 on the UDP port of the HTTPS address. A nil one listens on nothing.
type http3 struct {
	gateway    *Gateway
	socket     *net.UDPConn
	transport  *quic.Transport
	listener   *quic.Listener
	handshakes atomic.Int64 // under way
}

// newHTTP3 begins to answer on socket; port is the one that clients are told, or 0 for the real one.
func (g *Gateway) newHTTP3(socket *net.UDPConn, port int) (*http3, error) {
	h := &http3{gateway: g, socket: socket}
	g.widenBuffers(socket)
	h.transport = &quic.Transport{
		Conn:                socket,
		ConnContext:         h.arrive,
		VerifySourceAddress: func(net.Addr) bool { return h.handshakes.Load() >= retryHandshakes },
	}
	var err error
	h.listener, err = h.transport.Listen(g.http3TLS(), &quic.Config{
		HandshakeIdleTimeout:           handshakeTimeout / 2, // of which quic-go allows two
		MaxIdleTimeout:                 idleTimeout,
		KeepAlivePeriod:                pingInterval,
		InitialPacketSize:              1200, // what every path must carry; it grows from there
		InitialStreamReceiveWindow:     streamWindow / 4,
		MaxStreamReceiveWindow:         streamWindow,
		InitialConnectionReceiveWindow: connWindow / 4,
		MaxConnectionReceiveWindow:     connWindow,
		MaxIncomingStreams:             maxStreams,
		MaxIncomingUniStreams:          uniStreams,
	})
	if err != nil {
		return nil, err
	}
	if port == 0 {
		port = socket.LocalAddr().(*net.UDPAddr).Port
	}
	g.altSvc = []byte(`h3=":` + strconv.Itoa(port) + `"; ma=` + altSvcAge)
	return h, nil
}

// http3TLS is the TLS of the HTTPS address under another protocol name. A CA validates over TCP only (RFC 8737), and early data is not
// taken, since it can be sent twice.
func (g *Gateway) http3TLS() *tls.Config {
	config := g.certificates.TLSConfig()
	config.MinVersion = tls.VersionTLS13
	config.NextProtos = []string{nextHTTP3}
	return config
}

// arrival is a handshake under way.
type arrival struct {
	http3   *http3
	counted bool // for its address
	over    atomic.Bool
}

type arrivalKey struct{}

var (
	errBusy = errors.New("too many handshakes at once")
	errTurn = errors.New("too many handshakes of this address")
)

// arrive counts a handshake, and refuses it when there are too many, of all addresses or of this one.
func (h *http3) arrive(ctx context.Context, client *quic.ClientInfo) (context.Context, error) {
	if !h.gateway.mayCome(client.RemoteAddr, client.AddrVerified) {
		return nil, errTurn
	}
	if h.handshakes.Add(1) > maxHandshakes {
		h.handshakes.Add(-1)
		return nil, errBusy
	}
	a := &arrival{http3: h, counted: client.AddrVerified}
	context.AfterFunc(ctx, func() {
		if a.end() {
			h.gateway.observer.Connection(HandshakeFailed)
		}
	})
	return context.WithValue(ctx, arrivalKey{}, a), nil
}

// end reports whether it was this call that ended the handshake.
func (a *arrival) end() bool {
	first := !a.over.Swap(true)
	if first {
		a.http3.handshakes.Add(-1)
	}
	return first
}

// accept serves each connection in a goroutine of its own until stopAccepting.
func (h *http3) accept() {
	g := h.gateway
	for {
		layer, err := h.listener.Accept(context.Background())
		if err != nil {
			if !errors.Is(err, quic.ErrServerClosed) {
				g.log.Error("http/3 stopped answering", zap.Error(err))
			}
			return
		}
		if a, ok := layer.Context().Value(arrivalKey{}).(*arrival); ok {
			a.end()
			if !a.counted {
				g.countHTTP3(layer.RemoteAddr())
			}
		}
		socket := newQUICSocket(layer)
		c := g.connections.add(socket)
		if !g.countConnection(c, socket.state.ServerName) {
			_ = layer.CloseWithError(quic.ApplicationErrorCode(h3.ExcessiveLoad), errConnections.Error())
			_ = c.Close()
			continue
		}
		g.connections.wait.Go(func() {
			defer g.drop(c)
			g.serveQUIC(c, layer)
		})
	}
}

// stopAccepting refuses connections from now on; those that there are go on.
func (h *http3) stopAccepting() {
	if h != nil {
		_ = h.listener.Close()
	}
}

// close ends all connections and gives up the port.
func (h *http3) close() error {
	if h == nil {
		return nil
	}
	return errors.Join(h.transport.Close(), h.socket.Close())
}

// listenHTTPS opens the HTTPS address, and with HTTP/3 the same port of UDP. Where the system is to choose the port, it may choose one
// that is free on one of the two only; another is tried then.
func listenHTTPS(settings *tenant.Gateway) (net.Listener, *net.UDPConn, error) {
	for attempt := 1; ; attempt++ {
		l, err := listen("gateway.https", settings.HTTPS)
		if err != nil || !settings.HTTP3.Enabled {
			return l, nil, err
		}
		at := l.Addr().(*net.TCPAddr)
		udp, err := net.ListenUDP("udp", &net.UDPAddr{IP: at.IP, Port: at.Port, Zone: at.Zone})
		if err == nil {
			return l, udp, nil
		}
		_ = l.Close()
		if _, port, _ := net.SplitHostPort(settings.HTTPS); port != "0" || attempt == 5 {
			return nil, nil, errors.Join(explainListen("gateway.http3 (UDP)", settings.HTTPS, err), errHTTP3Off)
		}
	}
}

var errHTTP3Off = errors.New("gateway.http3: off serves HTTP/1.1 and HTTP/2 alone")

// bufferBytes is what quic-go asks the kernel for, so that a burst of packets is not lost while its reader waits for a processor.
const bufferBytes = 7 << 20

// widenBuffers says once, for who looks for lost packets, that the kernel gives less than that. quic-go would print the same past the
// log; a variable of the environment is the only switch that it has.
func (g *Gateway) widenBuffers(socket *net.UDPConn) {
	const quiet = "QUIC_GO_DISABLE_RECEIVE_BUFFER_WARNING"
	if os.Getenv(quiet) == "" {
		_ = os.Setenv(quiet, "true")
	}
	_ = socket.SetReadBuffer(bufferBytes)
	if size, ok := readBuffer(socket); ok && size < bufferBytes {
		g.log.Debug("the kernel gives udp a small receive buffer; on linux raise net.core.rmem_max", zap.Int("bytes", size), zap.Int("wanted", bufferBytes))
	}
}

// announceHTTP3 tells clients of HTTP/1.1 and HTTP/2 that there is HTTP/3 (RFC 7838 §3). What a frontend says there about itself no client
// may follow.
func (x *exchange) announceHTTP3() {
	if x.peer.http3 {
		x.ctx.Response.Header.DelBytes(headerAltSvc)
		return
	}
	x.ctx.Response.Header.SetCanonical(headerAltSvc, x.gateway.altSvc)
}

var headerAltSvc = []byte("Alt-Svc")
