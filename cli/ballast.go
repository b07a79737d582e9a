package cli

import (
	"math"
	"runtime/metrics"
)

// ballastBytes are added to what Go's garbage collector takes for alive. It runs each time that the heap has doubled: of a heap of 10 MiB that was
// 30 times a second under a load of lists from the API, and an eighth of their time.
const ballastBytes = 24 << 20

// newBallast returns memory that is counted as alive, and takes none of the machine's since nobody touches it. It is nil where the
// environment (GOGC, GOMEMLIMIT) says how much memory there is.
func newBallast() []byte {
	set := []metrics.Sample{{Name: "/gc/gogc:percent"}, {Name: "/gc/gomemlimit:bytes"}}
	metrics.Read(set)
	if set[0].Value.Uint64() != 100 || set[1].Value.Uint64() != math.MaxInt64 {
		return nil
	}
	return make([]byte, ballastBytes)
}
