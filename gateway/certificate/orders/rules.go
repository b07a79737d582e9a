package orders

import (
	"fmt"
	"time"
)

// Limit allows N events in any period of length Per; N 0 is no limit.
type Limit struct {
	N   int
	Per time.Duration
}

// Rules are what a CA allows an account.
type Rules struct {
	// Orders are new orders.
	Orders Limit
	// Registered are certificates per registered domain, "example.co.uk" of "www.example.co.uk", renewals aside.
	Registered Limit
	// Set are certificates for exactly the same names; ours have one name each.
	Set Limit
	// Failures are failed authorizations per name.
	Failures Limit
}

// LetsEncrypt returns the rules at https://letsencrypt.org/docs/rate-limits/.
func LetsEncrypt() Rules {
	week := 7 * 24 * time.Hour
	return Rules{
		Orders:     Limit{300, 3 * time.Hour},
		Registered: Limit{50, week},
		Set:        Limit{5, week},
		Failures:   Limit{5, time.Hour},
	}
}

// margin is how much later than the CA the mirror forgets, as clocks differ and requests travel.
const margin = time.Minute

// window is how long an event counts here.
func (l Limit) window() time.Duration { return l.Per + margin }

// wait returns how long the nth next event, n from 1, must wait for room. stamps are the earlier ones, in ascending order.
func (l Limit) wait(stamps []stamp, now time.Time, n int) time.Duration {
	if l.N <= 0 {
		return 0
	}
	stamps = since(stamps, now.Add(-l.window()))
	stamps = stamps[max(0, len(stamps)-l.N):]
	// Each event may begin when the one N before it is forgotten; one before the window begins now.
	number := len(stamps) + max(n, 1) - 1 // from 0
	rounds, at := number/l.N, number%l.N
	if rounds == 0 {
		return 0
	}
	if at >= len(stamps) {
		return time.Duration(rounds) * l.window()
	}
	first := max(stamps[at].time().Add(l.window()).Sub(now), 0)
	return first + time.Duration(rounds-1)*l.window()
}

// span writes a period as people do: "3 h", "7 days".
func span(d time.Duration) string {
	switch day := 24 * time.Hour; {
	case d >= day && d%day == 0:
		return plural(int(d/day), "day")
	case d >= time.Hour && d%time.Hour == 0:
		return fmt.Sprintf("%d h", d/time.Hour)
	default:
		return d.String()
	}
}

func plural(n int, unit string) string {
	if n == 1 {
		return "1 " + unit
	}
	return fmt.Sprintf("%d %ss", n, unit)
}
