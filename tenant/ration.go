package tenant

import (
	"fmt"
	"strconv"
	"time"

	"go.yaml.in/yaml/v3"
)

// Limits bound what the requests of a tenant may take. It is comparable. The rates, Concurrency and Weight are 0 where nothing is said.
type Limits struct {
	// Body is the largest request body in bytes; a longer one is answered 413.
	Body int64
	// Timeout is how long a frontend or backend may take to the first byte of its answer; then 504.
	Timeout time.Duration
	// Hold is how long a request waits for a frontend or backend that refuses connections, as while it restarts; 0 is not at all.
	Hold time.Duration
	// UpstreamConnections is how many connections to one upstream may be in use, by all tenants, for another request of this one to go
	// there. 0 is the default.
	UpstreamConnections int
	// Rate is how many requests a second the tenant may get on average, and Burst how many of them at once. Burst is 0 where it follows
	// the rate.
	Rate, Burst int
	// ClientRate and ClientBurst are the same for each client's address.
	ClientRate, ClientBurst int
	// Concurrency is how many requests may be answered at once.
	Concurrency int
	// Connections is how many TLS connections may be open to the tenant's names; 0 leaves it to the gateway.
	Connections int
	// Weight is the tenant's share when the process is saturated; 0 counts as 1.
	Weight int
}

// The keys of limits:, in the order of limitKeys.
const (
	keyLimitRate = iota
	keyLimitBurst
	keyLimitClientRate
	keyLimitClientBurst
	keyLimitConcurrency
	keyLimitConnections
)

var limitKeys = []string{
	keyLimitRate:        "rate",
	keyLimitBurst:       "burst",
	keyLimitClientRate:  "client_rate",
	keyLimitClientBurst: "client_burst",
	keyLimitConcurrency: "concurrency",
	keyLimitConnections: "connections",
}

// ration is one number of limits: where it is kept, and whether "off" may stand in its place.
type ration struct {
	n   *int
	off bool
}

// ration is indexed by the keys of limits:.
func (l *Limits) ration(key int) ration {
	return [...]ration{
		keyLimitRate:        {&l.Rate, true},
		keyLimitBurst:       {&l.Burst, false},
		keyLimitClientRate:  {&l.ClientRate, true},
		keyLimitClientBurst: {&l.ClientBurst, false},
		keyLimitConcurrency: {&l.Concurrency, true},
		keyLimitConnections: {&l.Connections, false},
	}[key]
}

const (
	maxRation = 1_000_000
	maxWeight = 1000
)

// read takes the number over.
func (r ration) read(text string) error {
	if r.off && text == "off" {
		*r.n = 0
		return nil
	}
	n, err := parseCount(text, maxRation)
	switch {
	case err != nil && r.off:
		return fmt.Errorf("%w, or \"off\"", err)
	case err != nil:
		return err
	}
	*r.n = n
	return nil
}

// check refuses numbers that no file can have given.
func (l *Limits) check() error {
	for key, name := range limitKeys {
		if n := *l.ration(key).n; n < 0 || n > maxRation {
			return fmt.Errorf("limits.%s %d cannot be", name, n)
		}
	}
	if l.Weight < 0 || l.Weight > maxWeight {
		return fmt.Errorf("weight %d cannot be", l.Weight)
	}
	return nil
}

// parseCount reads a whole number from 1 to most.
func parseCount(text string, most int) (int, error) {
	n, err := strconv.ParseUint(text, 10, 31)
	if err != nil || n < 1 || n > uint64(most) {
		return 0, fmt.Errorf("%q is not a whole number from 1 to %d: write one", clip(text), most)
	}
	return int(n), nil
}

// limits reads what the entry says of its limits, key by key in place of what defaults: says.
func (e *entry) limits() {
	if v, ok := e.says(keyWeight, ""); ok {
		weight, err := parseCount(v.text, maxWeight)
		e.check(keyWeight, v.at, err)
		e.tenant.Limits.Weight = weight
	}
	n := e.fields[keyLimits]
	if n == nil {
		return
	}
	for key, field := range e.mapping(n, "limits", limitKeys) {
		e.limit(key, field)
	}
}

func (e *entry) limit(key int, field *yaml.Node) {
	name := "limits." + limitKeys[key]
	v, ok := e.decoder.text(field, name)
	if !ok {
		return
	}
	if err := e.tenant.Limits.ration(key).read(v.text); err != nil {
		e.fault(v.at, "%s %v", name, err)
	}
}

// compileDefaultLimits adds to the limits that each tenant starts from.
func (s *settings) compileDefaultLimits(l *Limits) {
	for key, name := range limitKeys {
		name = "defaults.limits." + name
		if v := s.text(name); v.text != "" {
			s.check(name, v.at, l.ration(key).read(v.text))
		}
	}
	if v := s.text("defaults.weight"); v.text != "" {
		weight, err := parseCount(v.text, maxWeight)
		s.check("defaults.weight", v.at, err)
		l.Weight = weight
	}
}

// compileConcurrency reads gateway.concurrency; 0 leaves it to the gateway.
func (s *settings) compileConcurrency() int {
	v := s.text("gateway.concurrency")
	if v.text == "" {
		return 0
	}
	n, err := parseCount(v.text, maxRation)
	s.check("gateway.concurrency", v.at, err)
	return n
}

// compileClientConnectionRate reads gateway.client_connection_rate; 0 stands for "off".
func (s *settings) compileClientConnectionRate() (n int) {
	v := s.text("gateway.client_connection_rate")
	s.check("gateway.client_connection_rate", v.at, ration{&n, true}.read(v.text))
	return n
}
