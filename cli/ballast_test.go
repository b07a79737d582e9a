package cli

import (
	"math"
	"runtime/debug"
	"testing"
)

func TestBallastGivesWayToALimit(t *testing.T) {
	f := func(percent int, limit int64, want int) {
		t.Helper()
		defer debug.SetGCPercent(debug.SetGCPercent(percent))
		defer debug.SetMemoryLimit(debug.SetMemoryLimit(limit))
		if got := len(newBallast()); got != want {
			t.Errorf("with GOGC=%d and a limit of %d the ballast has %d bytes, want %d", percent, limit, got, want)
		}
	}
	f(100, math.MaxInt64, ballastBytes)
	f(50, math.MaxInt64, 0)
	f(-1, math.MaxInt64, 0)
	f(100, 1<<30, 0)
}
