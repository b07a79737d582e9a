package gateway

import (
	"testing"
	"testing/synctest"
	"time"
)

// A stream's deadline fires even when the bridge waits for the upstream, not for the client, so it must never be near when a wait begins.
func TestStreamDeadlineOutlastsASilentUpstream(t *testing.T) {
	const silence = 75 * time.Second // the longest that a frontend's body may be silent for
	synctest.Test(t, func(t *testing.T) {
		var deadline time.Time
		moves := 0
		p := progress{limit: streamTime(progressTimeout), set: func(to time.Time) error {
			deadline = to
			moves++
			return nil
		}}
		for range 1000 {
			p.extend()
			if left := time.Until(deadline); left < silence {
				t.Fatalf("%v are left when a wait begins, which may take %v", left, silence)
			}
			time.Sleep(time.Second) // of the bubble's clock
		}
		if moves > 40 {
			t.Errorf("the deadline was moved %d times in 1000 s", moves)
		}
	})
}
