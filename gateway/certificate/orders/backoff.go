package orders

import "time"

const (
	leftPause      = 6 * time.Hour   // between two looks at a domain that has left
	elsewherePause = 5 * time.Second // until another gateway's order is looked at again
	askPause       = time.Hour       // after renewal information could not be had

	// longWait is how long a domain has to wait for its DNS before it is looked at but hourly.
	longWait = 48 * time.Hour
	// urgentCap is the longest backoff close to expiry.
	urgentCap = time.Hour
	// jitter is how far a pause may be off, both ways, so that what failed together does not come back together.
	jitter = 0.1
)

// backoff returns the pause after the nth failure of a kind in a row, n from 1, in a trouble that has lasted for age.
func backoff(kind fault, n int, age time.Duration) time.Duration {
	switch kind {
	case faultDNS:
		if age >= longWait {
			return time.Hour
		}
		return step(n, 1*time.Minute, 2*time.Minute, 3*time.Minute, 5*time.Minute, 5*time.Minute, 10*time.Minute, 15*time.Minute, 20*time.Minute, 30*time.Minute)
	case faultIssuer:
		return step(n, 30*time.Second, 1*time.Minute, 2*time.Minute, 5*time.Minute, 5*time.Minute, 10*time.Minute)
	default:
		return step(n, 10*time.Minute, 30*time.Minute, 1*time.Hour, 3*time.Hour, 6*time.Hour, 12*time.Hour, 24*time.Hour)
	}
}

// step returns the nth of steps, the last one for ever.
func step(n int, steps ...time.Duration) time.Duration {
	return steps[min(max(n, 1), len(steps))-1]
}

// jittered moves a pause by up to a tenth; random is in [0, 1).
func jittered(pause time.Duration, random float64) time.Duration {
	return time.Duration(float64(pause) * (1 - jitter + 2*jitter*random))
}
