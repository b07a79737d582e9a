package frontend

import (
	"net/url"
	"time"

	"metahub/tenant"
)

// choice is where a request may go: to one upstream, or to those of a list, of which it has tried some.
type choice struct {
	url    *url.URL
	list   []tenant.Upstream
	health *tenant.Health // how they are checked
	tried  uint64         // by their place in the list
}

// choose picks the upstream for the next attempt, and names it in the access log. In a list it is one that has not been tried, and that is
// not out as long as there is one; when all have been tried it begins anew.
func (x *exchange) choose() {
	p, c := x.server.pool, &x.choice
	up := (*upstream)(nil)
	if c.url != nil {
		up = p.find(c.url)
	} else {
		up = c.next(p, time.Now(), x.tenant.Balance)
	}
	if up != x.upstream {
		x.upstream = up
		x.ctx.SetUserValue(UpstreamKey, up)
	}
}

func (c *choice) next(p *pool, now time.Time, by tenant.Balance) *upstream {
	if by == tenant.LeastConnections {
		return c.pick(p, now, c.leastBusy(p, now))
	}
	return c.pick(p, now, c.nextTurn(p, now))
}

// exhausted reports whether each upstream has been tried.
func (c *choice) exhausted() bool { return c.url != nil || c.tried == 1<<len(c.list)-1 }

// nextTurn is the place of the list whose turn it is by weight.
func (c *choice) nextTurn(p *pool, now time.Time) int {
	total := 0
	for _, up := range c.list {
		total += up.Weight
	}
	turn := int((p.get(c.list[0].URL, now).turn.Add(1) - 1) % uint32(total))
	for i, up := range c.list {
		if turn -= up.Weight; turn < 0 {
			return i
		}
	}
	return 0
}

// leastBusy is the place of the upstream with the fewest connections in use for its weight, of those that should get a request. The search
// begins at another place each time, so that equals take turns.
func (c *choice) leastBusy(p *pool, now time.Time) int {
	start := c.nextTurn(p, now)
	best, fewest := start, -1
	for k := range c.list {
		i := (start + k) % len(c.list)
		up := p.get(c.list[i].URL, now)
		if c.tried&(1<<i) != 0 || !c.accepts(p, up, i, now) {
			continue
		}
		busy := (int(up.busy.Load()) + 1) * 1000 / c.list[i].Weight
		if fewest < 0 || busy < fewest {
			best, fewest = i, busy
		}
	}
	return best
}

// pick returns the upstream at start or the first after it that should get a request. The last one standing gets it in any case.
func (c *choice) pick(p *pool, now time.Time, start int) *upstream {
	if c.exhausted() {
		c.tried = 0
	}
	found := -1
	for k := range c.list {
		i := (start + k) % len(c.list)
		if c.tried&(1<<i) != 0 {
			continue
		}
		up := p.get(c.list[i].URL, now)
		if c.accepts(p, up, i, now) {
			found = i
			break
		}
		if found < 0 || !c.isOut(p, up, i, now) && c.isOut(p, p.get(c.list[found].URL, now), found, now) {
			found = i // better one that returns than one that is out
		}
	}
	c.tried |= 1 << found
	return p.get(c.list[found].URL, now)
}

// accepts reports whether up, the i-th of the list, should get a request, by its exchanges and its health check.
func (c *choice) accepts(p *pool, up *upstream, i int, now time.Time) bool {
	return up.standing.accepts(now) && p.checks.standing(c.list[i].URL, c.health).accepts(now)
}

func (c *choice) isOut(p *pool, up *upstream, i int, now time.Time) bool {
	return up.standing.isOut(now) || p.checks.standing(c.list[i].URL, c.health).isOut(now)
}
