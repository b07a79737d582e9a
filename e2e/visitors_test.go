package e2e

import (
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"
)

// visitors are requests that come at a steady rate, whether or not those before them are answered. Any that fails, fails the test.
type visitors struct {
	began    time.Time
	leave    func()
	requests sync.WaitGroup

	mu       sync.Mutex
	sent     int
	answered int
	waiting  map[int]bool // requests without an answer yet, by their number
	longest  time.Duration
}

// maxWaiting is how many requests are on their way at most. Where the app takes longer to start, as on a busy machine, visitors come more
// slowly rather than in ever longer queues.
const maxWaiting = 250

// visit asks for paths in turn, for each tenant over both protocols.
func visit(t *testing.T, p *process, perSecond int, paths []string) *visitors {
	left := make(chan struct{})
	v := &visitors{began: time.Now(), leave: sync.OnceFunc(func() { close(left) }), waiting: map[int]bool{}}
	t.Cleanup(func() { v.stop() })
	clients := []*http.Client{p.client("HTTP/1.1"), p.client("HTTP/2.0")}
	for _, client := range clients {
		client.Timeout = 5 * time.Minute // only what fails is a fault
	}
	places := make(chan struct{}, maxWaiting)
	v.requests.Go(func() {
		tick := time.NewTicker(time.Second / time.Duration(perSecond))
		defer tick.Stop()
		for {
			select {
			case <-left:
				return
			case <-tick.C:
			}
			places <- struct{}{}
			n := v.arrive()
			v.requests.Go(func() {
				defer func() { <-places }()
				v.ask(t, n, clients[n%2], p.url(nextTenants[n/2%2], paths[n/4%len(paths)]))
			})
		}
	})
	return v
}

func (v *visitors) arrive() (n int) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.sent++
	v.waiting[v.sent] = true
	return v.sent
}

func (v *visitors) ask(t *testing.T, n int, client *http.Client, url string) {
	began := time.Now()
	a, err := try(client, "GET", url, "", "Accept: application/json")
	took := time.Since(began)
	if err != nil || a.Status != 200 {
		t.Errorf("%s: %v %d %.200s, after %v", url, err, a.Status, a.Body, took.Round(time.Millisecond))
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	delete(v.waiting, n)
	v.answered++
	v.longest = max(v.longest, took)
}

// await waits until n more requests are answered, and all that have come so far.
func (v *visitors) await(t *testing.T, n int) {
	t.Helper()
	v.mu.Lock()
	last, until := v.sent, v.answered+n
	v.mu.Unlock()
	eventually(t, 2*time.Minute, "answers", func() error {
		v.mu.Lock()
		defer v.mu.Unlock()
		if v.answered < until {
			return fmt.Errorf("%d of %d", v.answered, until)
		}
		for n := range v.waiting {
			if n <= last {
				return fmt.Errorf("%d without an answer, one of them number %d", len(v.waiting), n)
			}
		}
		return nil
	})
}

// stop waits for the last answer.
func (v *visitors) stop() (sent int, elapsed, longest time.Duration) {
	v.leave()
	v.requests.Wait()
	return v.sent, time.Since(v.began), v.longest
}
