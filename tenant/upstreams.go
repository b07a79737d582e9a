package tenant

import (
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Upstream is one of several servers that answer for a site alike.
type Upstream struct {
	// URL is what Frontend.URL is.
	URL *url.URL
	// Weight is the server's share of the requests next to the others' weights, from 1 to 1000.
	Weight int
}

// Balance is how requests are spread over several upstreams.
type Balance string

// The ways to spread requests. The empty Balance is RoundRobin.
const (
	RoundRobin       Balance = "round_robin"       // in turn, by weight
	LeastConnections Balance = "least_connections" // to the one with the fewest connections in use for its weight
)

// UpstreamsText is a list of upstreams for people.
func UpstreamsText(list []Upstream) string {
	texts := make([]string, len(list))
	for i, up := range list {
		texts[i] = up.URL.Redacted()
	}
	return strings.Join(texts, ", ")
}

const maxUpstreams = 32

var upstreamKeys = []string{"url", "weight"}

// upstreams reads a list of upstreams, each a URL or {url, weight}.
func (e *entry) upstreams(n *yaml.Node, name string) []Upstream {
	if len(n.Content) == 0 || len(n.Content) > maxUpstreams {
		e.fault(e.place(n), "%s lists %d upstreams: write 1 to %d, like [http://127.0.0.1:3000, http://127.0.0.1:3001]", name, len(n.Content), maxUpstreams)
		return nil
	}
	var list []Upstream
	for _, item := range n.Content {
		up, ok := e.upstream(item, "an item of "+name)
		if !ok {
			continue
		}
		if slices.ContainsFunc(list, func(other Upstream) bool { return sameURL(other.URL, up.URL) }) {
			e.fault(e.place(item), "%s lists %q twice: keep one, with a weight if it is to get more", name, up.URL)
			continue
		}
		list = append(list, up)
	}
	return list
}

// sharing reads how upstreams share the requests, and for how long these wait.
func (e *entry) sharing() {
	if v, ok := e.says(keyBalance, ""); ok {
		balance, err := parseBalance(v.text)
		e.check(keyBalance, v.at, err)
		e.tenant.Balance = balance
	}
	if v, ok := e.says(keyUpstreamConnections, ""); ok {
		connections, err := parseUpstreamConnections(v.text)
		e.check(keyUpstreamConnections, v.at, err)
		e.tenant.Limits.UpstreamConnections = connections
	}
	if v, ok := e.says(keyHold, ""); ok {
		hold, err := parseHold(v.text)
		e.check(keyHold, v.at, err)
		e.tenant.Limits.Hold = hold
	}
}

func (e *entry) upstream(n *yaml.Node, name string) (Upstream, bool) {
	up, at := Upstream{Weight: 1}, n
	if n.Kind == yaml.MappingNode {
		fields := e.mapping(n, name, upstreamKeys)
		if at = fields[0]; at == nil {
			e.fault(e.place(n), "%s has no url: write one, like {url: \"http://127.0.0.1:3000\", weight: 2}", name)
			return up, false
		}
		if v, ok := e.decoder.text(fields[1], "weight"); ok {
			weight, err := strconv.Atoi(v.text)
			if err != nil || weight < 1 || weight > maxWeight {
				e.fault(v.at, "weight %q is not a whole number from 1 to %d", clip(v.text), maxWeight)
				return up, false
			}
			up.Weight = weight
		}
	}
	v, ok := e.decoder.text(at, name)
	if !ok {
		return up, false
	}
	var err error
	if up.URL, err = parseUpstream(v.text); err != nil {
		e.fault(v.at, "%s %v", name, err)
	}
	return up, err == nil
}

// only returns the URL of a list of one, which is no list.
func only(list []Upstream) (*url.URL, []Upstream) {
	if len(list) == 1 {
		return list[0].URL, nil
	}
	return nil, list
}

func sameUpstreams(a, b []Upstream) bool {
	return slices.EqualFunc(a, b, func(a, b Upstream) bool { return a.Weight == b.Weight && sameURL(a.URL, b.URL) })
}

// parseBalance reads how requests are spread.
func parseBalance(text string) (Balance, error) {
	switch b := Balance(text); b {
	case RoundRobin, LeastConnections:
		return b, nil
	}
	return "", fmt.Errorf("%q is not known: write round_robin or least_connections", clip(text))
}

// parseUpstreamConnections reads how many connections to one upstream may be in use.
func parseUpstreamConnections(text string) (int, error) {
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > 65535 {
		return 0, fmt.Errorf("%q is not a whole number from 1 to 65535: write it like 256", clip(text))
	}
	return n, nil
}

// keptUpstream is an Upstream in the file of last good versions.
type keptUpstream struct {
	URL    string `json:"url"`
	Weight int    `json:"weight"`
}

func keepUpstreams(list []Upstream) []keptUpstream {
	var kept []keptUpstream
	for _, up := range list {
		kept = append(kept, keptUpstream{urlText(up.URL), up.Weight})
	}
	return kept
}

// readUpstreams is the inverse of keepUpstreams.
func readUpstreams(kept []keptUpstream) ([]Upstream, error) {
	if len(kept) > maxUpstreams {
		return nil, fmt.Errorf("%d upstreams are too many", len(kept))
	}
	var list []Upstream
	for _, k := range kept {
		u, err := parseUpstream(k.URL)
		if err != nil {
			return nil, err
		}
		if k.Weight < 1 || k.Weight > maxWeight {
			return nil, fmt.Errorf("the weight %d cannot be", k.Weight)
		}
		list = append(list, Upstream{u, k.Weight})
	}
	return list, nil
}
