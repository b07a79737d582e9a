package gateway

import "time"

// Observer is told what happens, for metrics. Its methods are called from many goroutines at once and must not block.
type Observer interface {
	// Request tells of a request that was answered to its last byte.
	Request(Sample)
	// Connection tells of a step in a connection's life.
	Connection(Event)
	// Limited tells of a request, or a connection, that one of a tenant's limits refused; reason is "rate", "client_rate",
	// "concurrency", "saturation" or "connections".
	Limited(tenant, reason string)
	// Attacked tells of an HTTP/2 connection, or a stream of one, that was ended because its client had used up a budget: "resets",
	// "ping" and so on, or because it was too slow: "slow_head", "slow_reader", "slow_window".
	Attacked(budget string)
}

// Sample is one request.
type Sample struct {
	Tenant   string // the slug, or "" where none was found
	Protocol string // "HTTP/1.1", "HTTP/2.0" or "HTTP/3.0"
	Status   int
	Duration time.Duration // to the last byte of the answer
	BytesIn  int64         // of the request's body
	BytesOut int64         // of the answer's body
	Cache    string        // what the cache has made of it, see cache.Result; "" where it had nothing to do with it
}

// Event is a step in a connection's life.
type Event uint8

// The events. Every Opened is followed by one Closed; the others may come between.
const (
	Opened Event = iota
	Closed
	HandshakeFailed   // TLS was not agreed on: no certificate for the name, no common protocol, too slow
	RequestRefused    // the bytes were no well-formed request
	ProxyRefused      // a proxy of gateway.proxy_protocol sent no well-formed PROXY header
	ConnectionDelayed // its address opens too many, or has attacked, so it had to wait for its turn
	ConnectionRefused // and too many waited already
)

// String implements fmt.Stringer with the form that metrics use.
func (e Event) String() string {
	return [...]string{"opened", "closed", "handshake_failed", "request_refused", "proxy_refused", "connection_delayed", "connection_refused"}[e]
}

// nobody observes nothing.
type nobody struct{}

func (nobody) Request(Sample)         {}
func (nobody) Connection(Event)       {}
func (nobody) Limited(string, string) {}
func (nobody) Attacked(string)        {}
