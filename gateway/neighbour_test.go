package gateway

import (
	"io"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/valyala/fasthttp"

	"metahub/tenant"
)

// TestNeighbourOfAnAttackedTenant asks bert 100 times a second, first alone, then while anna gets 20 times what it may, and last while
// anna, without a rate, gets as much as 32 clients can send to a process of few slots. It prints what bert's visitors notice. What is
// asserted is loose: clients and gateway share the machine's processors with whatever else runs there.
func TestNeighbourOfAnAttackedTenant(t *testing.T) {
	pair(t, func(t *testing.T, http2 bool) {
		timely(t, 3*time.Second, func(t testing.TB) {
			const rate = 25
			w := start(t, func(s *tenant.Gateway, _ *Gateway) { s.Concurrency = 8 })
			w.answerWith(func(ctx *fasthttp.RequestCtx, _ string) {
				time.Sleep(time.Millisecond) // an upstream
				ctx.SetBodyString("page")
			})
			w.limitTenant("anna", func(l *tenant.Limits) { l.Rate, l.Burst = rate, rate })
			alone := w.visit(http2)

			begun := time.Now()
			attack := w.attack(http2, 16, 20*rate)
			limited := w.visit(http2)
			statuses := attack.stop()
			most := rate + rate*int(time.Since(begun).Seconds()+1)

			w.limitTenant("anna", func(*tenant.Limits) {})
			attack = w.attack(http2, 32, 0)
			saturated := w.visit(http2)
			flood := attack.stop()

			t.Logf("bert alone: %v", alone)
			t.Logf("anna at 20 times its rate: %v; anna got 200 %d times, 429 %d times", limited, statuses[200], statuses[429])
			t.Logf("anna without a rate, 32 clients, 8 slots: %v; anna got 200 %d times, 503 %d times", saturated, flood[200], flood[503])
			for _, seen := range []latencies{limited, saturated} {
				if seen.failed > 0 || seen.p99() > 20*alone.p99()+3*time.Second {
					t.Errorf("%v, alone %v", seen, alone)
				}
			}
			if statuses[200] > most || statuses[200] < rate || statuses[429] == 0 {
				t.Errorf("anna was not limited: %v", statuses)
			}
		})
	})
}

// latencies are those of one visit.
type latencies struct {
	sorted []time.Duration
	failed int
}

func (l latencies) at(share float64) time.Duration {
	return l.sorted[int(share*float64(len(l.sorted)-1))].Round(10 * time.Microsecond)
}
func (l latencies) p99() time.Duration { return l.at(0.99) }

// String implements fmt.Stringer.
func (l latencies) String() string { return "p50 " + l.at(0.5).String() + ", p99 " + l.p99().String() }

// visit asks bert for 100 pages, a hundred a second.
func (w *world) visit(http2 bool) latencies {
	w.Helper()
	c := w.client(http2, "")
	w.do(c, "GET", "https://bert.test/", "") // opens the connection
	var l latencies
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for range 100 {
		<-tick.C
		begun := time.Now()
		if w.do(c, "GET", "https://bert.test/", "").StatusCode != 200 {
			l.failed++
		}
		l.sorted = append(l.sorted, time.Since(begun))
	}
	slices.Sort(l.sorted)
	return l
}

// attack is many clients that ask anna until it is stopped.
type attack struct {
	clients  sync.WaitGroup
	ended    atomic.Bool
	mu       sync.Mutex
	statuses map[int]int
}

// attack begins one; perSecond bounds what all clients send, 0 does not.
func (w *world) attack(http2 bool, clients int, perSecond int) *attack {
	a := &attack{statuses: map[int]int{}}
	for range clients {
		c := w.client(http2, "")
		a.clients.Go(func() {
			for !a.ended.Load() {
				if perSecond > 0 {
					time.Sleep(time.Second * time.Duration(clients) / time.Duration(perSecond))
				}
				a.ask(c)
			}
		})
	}
	return a
}

func (a *attack) ask(c *http.Client) {
	response, err := c.Get("https://anna.test/")
	if err != nil {
		return
	}
	_, _ = io.Copy(io.Discard, response.Body) // so that the connection is used again
	response.Body.Close()
	a.mu.Lock()
	a.statuses[response.StatusCode]++
	a.mu.Unlock()
}

func (a *attack) stop() map[int]int {
	a.ended.Store(true)
	a.clients.Wait()
	return a.statuses
}
