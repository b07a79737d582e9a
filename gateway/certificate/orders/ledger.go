package orders

import (
	"encoding/json"
	"errors"
	"slices"
	"time"
)

const (
	// maxLedger is the largest file that is read, in bytes.
	maxLedger = 1 << 20
	// maxRecords bounds the lists in a file.
	maxRecords = 5000
	// longestOrder is how long ago an order began at most of which word comes back.
	longestOrder = 15 * time.Minute
	// maxName is the longest domain name (RFC 1035 §2.3.4), a wildcard's star included.
	maxName = 255
)

// stamp is a time in whole seconds since 1970, rounded up: a slot is rather freed late.
type stamp int64

func stampOf(t time.Time) stamp { return stamp(t.Add(time.Second - 1).Unix()) }

func (s stamp) time() time.Time { return time.Unix(int64(s), 0) }

// since returns the stamps that are later than a time; they are in ascending order.
func since(stamps []stamp, after time.Time) []stamp {
	at, _ := slices.BinarySearchFunc(stamps, after, func(s stamp, after time.Time) int {
		if s.time().After(after) {
			return 1
		}
		return -1
	})
	return stamps[at:]
}

// account is orders.json: what an account has ordered of late. Its zero value is that of a new one.
type account struct {
	Orders []stamp `json:"orders,omitempty"`
	// Hold is until when the CA wants no orders.
	Hold stamp `json:"hold,omitempty"`
}

// site is the file of a registered domain.
type site struct {
	Orders   []event `json:"orders,omitempty"`
	Failures []event `json:"failures,omitempty"`
}

// event is an order, or a failed authorization, of one name.
type event struct {
	Name    string `json:"name"`
	At      stamp  `json:"at"`
	Renewal bool   `json:"renewal,omitempty"`
}

// errTorn is what a file is that was cut short or damaged.
var errTorn = errors.New("the file is empty, cut short or damaged")

func parseAccount(text []byte, now time.Time) (account, error) {
	var a account
	if err := parseLedger(text, &a); err != nil {
		return account{}, err
	}
	for i := range a.Orders {
		a.Orders[i] = plausible(a.Orders[i], now)
	}
	slices.Sort(a.Orders)
	a.Orders = a.Orders[max(0, len(a.Orders)-maxRecords):]
	a.Hold = min(max(a.Hold, 0), stampOf(now.Add(maxHold)))
	return a, nil
}

func parseSite(text []byte, now time.Time) (site, error) {
	var s site
	if err := parseLedger(text, &s); err != nil {
		return site{}, err
	}
	s.Orders, s.Failures = tidy(s.Orders, now), tidy(s.Failures, now)
	return s, nil
}

func parseLedger(text []byte, into any) error {
	if len(text) > maxLedger || json.Unmarshal(text, into) != nil {
		return errTorn
	}
	return nil
}

// plausible bounds a stamp: one of the future comes from a clock that was wrong, and would never be forgotten.
func plausible(s stamp, now time.Time) stamp { return min(max(s, 0), stampOf(now)) }

// tidy drops events that cannot be, and puts the rest in order.
func tidy(events []event, now time.Time) []event {
	events = slices.DeleteFunc(events, func(e event) bool { return e.Name == "" || len(e.Name) > maxName })
	for i := range events {
		events[i].At = plausible(events[i].At, now)
	}
	slices.SortStableFunc(events, func(a, b event) int { return int(min(max(a.At-b.At, -1), 1)) })
	return bounded(events)
}

// bounded keeps a list short. Renewals go first, as only the limit on their own name counts them.
func bounded(events []event) []event {
	surplus := len(events) - maxRecords
	if surplus <= 0 {
		return events
	}
	events = slices.DeleteFunc(events, func(e event) bool {
		if surplus > 0 && e.Renewal {
			surplus--
			return true
		}
		return false
	})
	return events[max(0, len(events)-maxRecords):]
}

// forget drops what is older than a period.
func forget(events []event, now time.Time, period time.Duration) []event {
	return slices.DeleteFunc(events, func(e event) bool { return !e.At.time().After(now.Add(-period)) })
}

// newOrders are the stamps of orders that were no renewals.
func (s *site) newOrders() (stamps []stamp) {
	for _, e := range s.Orders {
		if !e.Renewal {
			stamps = append(stamps, e.At)
		}
	}
	return stamps
}

// of returns the stamps of one name.
func of(events []event, name string) (stamps []stamp) {
	for _, e := range events {
		if e.Name == name {
			stamps = append(stamps, e.At)
		}
	}
	return stamps
}

// takeBack removes the last order of a name and returns its stamp. An order that is long over stays: the one in question was not
// recorded then, as it was a renewal in the CA's window.
func (s *site) takeBack(name string, now time.Time) (at stamp, ok bool) {
	for i, e := range slices.Backward(s.Orders) {
		if e.Name == name && e.At.time().After(now.Add(-longestOrder)) {
			s.Orders = slices.Delete(s.Orders, i, i+1)
			return e.At, true
		}
	}
	return 0, false
}

// takeBack removes one order of a time.
func (a *account) takeBack(at stamp) {
	if i, ok := slices.BinarySearch(a.Orders, at); ok {
		a.Orders = slices.Delete(a.Orders, i, i+1)
	}
}
