package gateway

import (
	"time"

	"github.com/quic-go/quic-go"

	"metahub/gateway/h3"
	"metahub/gateway/message"
)

// openStreams are the streams of a connection's requests, with what the client has said of when their answers are to be sent (RFC 9218).
// quic-go sends by it.
type openStreams struct {
	streams map[uint64]openStream
	early   message.Foretold
	updates float64   // PRIORITY_UPDATE frames that may still come at once
	at      time.Time // when that was so
}

type openStream struct {
	*quic.Stream
	told bool // by PRIORITY_UPDATE, which overrides what the request says (RFC 9218 §7)
}

// How many PRIORITY_UPDATE frames a client may send at once, and how many more a second; each request gives one back. It is as on HTTP/2.
const (
	updateBurst     = 500
	updatePerSecond = 50
)

func newOpenStreams() openStreams {
	return openStreams{streams: map[uint64]openStream{}, updates: updateBurst, at: time.Now()}
}

func (o *openStreams) none() bool { return len(o.streams) == 0 }

func (o *openStreams) add(id uint64, stream *quic.Stream) {
	p, told := o.early.Open(id)
	o.streams[id] = openStream{stream, told}
	o.updates = min(o.updates+1, updateBurst)
	if told {
		setPriority(stream, p)
	}
}

func (o *openStreams) remove(id uint64) { delete(o.streams, id) }

// mayUpdate charges a PRIORITY_UPDATE.
func (o *openStreams) mayUpdate(now time.Time) bool {
	o.updates = min(o.updates+now.Sub(o.at).Seconds()*updatePerSecond, updateBurst) - 1
	o.at = now
	return o.updates >= 0
}

func setPriority(stream *quic.Stream, p message.Priority) {
	stream.SetPriority(int8(p.Urgency), p.Incremental)
}

// prioritise has the answer on a stream sent as its request says.
func (h *http3Conn) prioritise(stream *quic.Stream, value string) {
	if value == "" {
		return // quic-go's default is message.Unsaid
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.open.streams[uint64(stream.StreamID())].told {
		setPriority(stream, message.ParsePriority(value))
	}
}

// updatePriority takes a PRIORITY_UPDATE, whose stream may be open, or will be (RFC 9218 §7.2).
func (h *http3Conn) updatePriority(id uint64, p message.Priority) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	stream, open := h.open.streams[id]
	switch {
	case !h.open.mayUpdate(time.Now()):
		return &h3.Error{Code: h3.ExcessiveLoad, Connection: true, Reason: "too many priorities"}
	case open:
		h.open.streams[id] = openStream{stream.Stream, true}
		setPriority(stream.Stream, p)
	case id >= h.next+4*maxStreams:
		return &h3.Error{Code: h3.IDError, Connection: true, Reason: "the priority of a stream that may not be opened yet"}
	case id >= h.next:
		h.open.early.Say(id, p)
	}
	return nil
}
