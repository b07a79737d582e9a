package orders

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"
)

func TestParseAccount(t *testing.T) {
	now := time.Unix(1000, 0)
	f := func(text, wanted string) {
		t.Helper()
		a, err := parseAccount([]byte(text), now)
		got, _ := json.Marshal(a)
		if err != nil {
			got = []byte("torn")
		}
		if string(got) != wanted {
			t.Errorf("%s is read as %s, want %s", text, got, wanted)
		}
	}
	f(`{}`, `{}`)
	f(`{"orders":[3,1,2],"hold":2000}`, `{"orders":[1,2,3],"hold":2000}`)
	// clocks that were wrong
	f(`{"orders":[99999999999,-5]}`, `{"orders":[0,1000]}`)
	f(`{"hold":99999999999}`, `{"hold":87400}`)
	f(`{"hold":-1}`, `{}`)
	f(``, `torn`)
	f(`{"orders":[1.5]}`, `torn`)
}

func TestParseSite(t *testing.T) {
	now := time.Unix(1000, 0)
	f := func(text, wanted string) {
		t.Helper()
		s, err := parseSite([]byte(text), now)
		got, _ := json.Marshal(s)
		if err != nil {
			got = []byte("torn")
		}
		if string(got) != wanted {
			t.Errorf("%s is read as %s, want %s", text, got, wanted)
		}
	}
	f(`{"orders":[{"name":"a.de","at":2000},{"name":"a.de","at":5,"renewal":true}],"failures":[{"name":"","at":5}]}`,
		`{"orders":[{"name":"a.de","at":5,"renewal":true},{"name":"a.de","at":1000}]}`)
	f(`{"orders":[{}]}`, `{}`)
	f(`null`, `{}`)
	f(`{"orders":{}}`, `torn`)
}

func TestBounded(t *testing.T) {
	var events []event
	for i := range maxRecords + 100 {
		events = append(events, event{Name: "a.de", At: stamp(i), Renewal: i%2 == 0})
	}
	kept := bounded(events)
	if len(kept) != maxRecords || len((&site{Orders: kept}).newOrders()) != (maxRecords+100)/2 {
		t.Errorf("%d are kept, %d of new orders", len(kept), len((&site{Orders: kept}).newOrders()))
	}
}

func FuzzLedger(f *testing.F) {
	f.Add([]byte(`{"orders":[1,2,3],"hold":5}`))
	f.Add([]byte(`{"orders":[{"name":"a.de","at":9223372036854775807,"renewal":true}],"failures":[{"name":"a.de","at":-9223372036854775808}]}`))
	f.Add([]byte(`{"orders":[9223372036854775807,-9223372036854775808],"hold":9223372036854775807}`))
	f.Add([]byte(``))
	now := time.Unix(1_800_000_000, 0)
	f.Fuzz(func(t *testing.T, text []byte) {
		if a, err := parseAccount(text, now); err == nil {
			if !slices.IsSorted(a.Orders) || len(a.Orders) > maxRecords {
				t.Errorf("orders: %v", a.Orders)
			}
			if wait := LetsEncrypt().Orders.wait(a.Orders, now, 1); wait < 0 || wait > 3*time.Hour+margin+time.Second {
				t.Errorf("an order waits %v", wait)
			}
			if later := a.refusal("ca", now); later != nil && later.Until.Sub(now) > maxHold+time.Second {
				t.Errorf("on hold: %+v", later)
			}
		}
		if s, err := parseSite(text, now); err == nil {
			if !slices.IsSorted(s.newOrders()) || len(s.Orders) > maxRecords || len(s.Failures) > maxRecords {
				t.Errorf("site: %+v", s)
			}
		}
	})
}

func TestSpan(t *testing.T) {
	f := func(d time.Duration, wanted string) {
		t.Helper()
		if got := span(d); got != wanted {
			t.Errorf("span(%v) = %q, want %q", d, got, wanted)
		}
	}
	f(7*day, "7 days")
	f(day, "1 day")
	f(3*time.Hour, "3 h")
	f(90*time.Second, "1m30s")
}

func TestHeap(t *testing.T) {
	chance := random(1)
	h := heap{slot: slotLane}
	keys := map[*entry]int64{}
	var all []*entry
	for i := range 500 {
		all = append(all, &entry{name: fmt.Sprint(i)})
	}
	for range 20_000 {
		e := all[chance.IntN(len(all))]
		if chance.IntN(3) == 0 {
			h.remove(e)
			delete(keys, e)
		} else {
			keys[e] = chance.Int64N(1000)
			h.put(e, keys[e])
		}
		lowest := int64(1000)
		for _, key := range keys {
			lowest = min(lowest, key)
		}
		if e, key := h.first(); e != nil && (key != lowest || keys[e] != key) || h.len() != len(keys) {
			t.Fatalf("first is %d, want %d; %d of %d", key, lowest, h.len(), len(keys))
		}
	}
	last := int64(-1)
	for rank, item := range h.sorted() {
		if item.key < last || h.rank(item.entry) > rank+1 {
			t.Fatalf("%d after %d, rank %d at %d", item.key, last, h.rank(item.entry), rank+1)
		}
		last = item.key
	}
}
