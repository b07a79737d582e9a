package http2

import "time"

// budget is a kind of frame that costs us more than it costs the client, or that honest clients hardly need. Each connection may send so
// many at once and so many a second; who sends more is told ENHANCE_YOUR_CALM, and is gone.
type budget uint8

const (
	resets        budget = iota // rapid reset: requests taken back (CVE-2023-44487)
	provoked                    // MadeYouReset: requests that we have to take back (CVE-2025-8671)
	refusals                    // requests beyond SETTINGS_MAX_CONCURRENT_STREAMS
	continuations               // CONTINUATION frames of one head (CVE-2024-27316)
	headerLists                 // heads that are too large, such as HPACK bombs
	settings                    // SETTINGS (CVE-2019-9515)
	pings                       // PING (CVE-2019-9512)
	emptyData                   // DATA frames without data (CVE-2019-9518)
	tinyData                    // DATA frames of next to no data (CVE-2019-9511)
	priorities                  // PRIORITY and PRIORITY_UPDATE (CVE-2019-9513)
	windowUpdates               // WINDOW_UPDATE, by what they make us send
	closedStreams               // frames on streams that have ended
	unknownFrames               // frames of types that mean nothing here
	budgets
)

// allowances says how much of each is free, and what comes back every second. What a request may honestly
// take comes back with it, and WINDOW_UPDATE frames for what we have sent are free: see spendOnUpdate.
var allowances = [budgets]struct {
	name             string
	burst, perSecond int32
}{
	resets:        {"resets", 200, 50},
	provoked:      {"provoked_resets", 100, 10},
	refusals:      {"refused_streams", 256, 50},
	continuations: {"continuation", 64, 16},
	headerLists:   {"header_list", 20, 2},
	settings:      {"settings", 20, 1},
	pings:         {"ping", 60, 10},
	emptyData:     {"empty_data", 20, 5},
	tinyData:      {"tiny_data", 2000, 500},
	priorities:    {"priority", 500, 50},
	windowUpdates: {"window_update", 1000, 100},
	closedStreams: {"closed_stream", 2000, 200},
	unknownFrames: {"unknown_frame", 100, 10},
}

const tinyBytes = 16 // of a DATA frame

// maxArrears is how many WINDOW_UPDATE frames a client may be behind with what it got.
const maxArrears = 1 << 17

// spendOnUpdate charges a WINDOW_UPDATE, unless it is for what the client got. One whose windows are 1 KiB says of each half that there is
// room for it again, once for the stream and once for the connection. Others do so for each DATA frame: whole are those that are as short
// as they are because there was no more to send, and not because a window was as small.
func (c *Conn) spendOnUpdate() error {
	c.mu.Lock()
	free := c.sentBytes/256 + 2*c.sentWhole
	c.mu.Unlock()
	if c.updates = max(c.updates, free-maxArrears); c.updates < free {
		c.updates++
		return nil
	}
	return c.spend(windowUpdates)
}

// The kinds of slowness that cost a connection, or a stream, its place. They are told to metrics by these names beside the budgets.
const (
	slowHead   = "slow_head"   // a frame, or a head, that does not come to its end
	slowReader = "slow_reader" // a client that does not take what is sent
	slowWindow = "slow_window" // a window that stays shut, or is opened drop by drop
)

// account is what is left of each budget. It belongs to the goroutine that reads.
type account struct {
	left [budgets]int32
	at   [budgets]int64 // unix seconds of the last refill
}

func (a *account) open(now time.Time) {
	for b := range budgets {
		a.left[b], a.at[b] = allowances[b].burst, now.Unix()
	}
}

// spend reports whether there was something left to spend.
func (a *account) spend(b budget, now time.Time) bool {
	if a.left[b]--; a.left[b] >= 0 {
		return true
	}
	passed := min(now.Unix()-a.at[b], 3600)
	a.at[b] = now.Unix()
	a.left[b] = min(a.left[b]+int32(passed)*allowances[b].perSecond, allowances[b].burst)
	return a.left[b] >= 0
}

func (a *account) earn(b budget, n int32) {
	a.left[b] = min(a.left[b]+n, allowances[b].burst)
}
