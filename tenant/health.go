package tenant

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Health says how it is found out whether an upstream is well: a GET now and then, that must be answered with one of some statuses.
// Upstreams without a Path are not asked. It is comparable.
type Health struct {
	// Path is what is asked for, with a query where one is needed.
	Path string `json:"path,omitempty"`
	// Host is the request's Host; empty stands for the upstream's own address.
	Host string `json:"host,omitempty"`
	// Interval is the time between two requests, and Timeout how long one may take to the head of its answer.
	Interval time.Duration `json:"interval,omitempty"`
	Timeout  time.Duration `json:"timeout,omitempty"`
	// From and To are the first and the last status of those that say that the upstream is well.
	From int `json:"from,omitempty"`
	To   int `json:"to,omitempty"`
}

// IsZero reports whether nobody asks.
func (h Health) IsZero() bool { return h.Path == "" }

// check finds what no declaration could say.
func (h Health) check() error {
	if h.IsZero() {
		return nil
	}
	if h.Interval < shortestInterval || h.Timeout <= 0 || h.From < 100 || h.To < h.From {
		return fmt.Errorf("the health check of %q cannot be", h.Path)
	}
	if h.Host != "" {
		if _, _, err := CanonicalHost(nil, []byte(h.Host)); err != nil {
			return err
		}
	}
	return checkHealthPath(h.Path)
}

const (
	keyHealthPath = iota
	keyHealthBackendPath
	keyHealthInterval
	keyHealthTimeout
	keyHealthStatus
	keyHealthHost
)

var healthKeys = []string{
	keyHealthPath: "path", keyHealthBackendPath: "backend_path", keyHealthInterval: "interval", keyHealthTimeout: "timeout",
	keyHealthStatus: "status", keyHealthHost: "host",
}

// health reads how the upstreams are checked, key by key in place of what defaults: says.
func (e *entry) health() {
	e.checks = e.tenant.Health
	backend := e.tenant.BackendHealth.Path
	if n := e.fields[keyHealth]; n != nil {
		fields := e.mapping(n, "health", healthKeys)
		for key, read := range e.checks.readers(&e.decoder, &backend) {
			if v, ok := e.decoder.text(fields[key], "health."+healthKeys[key]); ok {
				read(v, "health."+healthKeys[key])
			}
		}
	}
	e.tenant.Health, e.tenant.BackendHealth = e.checks.of(e.checks.Path), e.checks.of(backend)
}

// compileDefaultHealth returns how upstreams are checked unless a tenant says otherwise: all of it for frontends, of backends the path.
func (s *settings) compileDefaultHealth() (h, backend Health) {
	for key, read := range h.readers(s.decoder, &backend.Path) {
		name := "defaults.health." + healthKeys[key]
		if v := s.text(name); v.text != "" {
			read(v, name)
		}
	}
	return h, backend
}

// of returns the same check of another path.
func (h Health) of(path string) Health {
	if path == "" {
		return Health{}
	}
	h.Path = path
	return h
}

// readers read the values of health: into h, by the keys of healthKeys.
func (h *Health) readers(d *decoder, backendPath *string) []func(v value, name string) {
	span := func(to *time.Duration, least time.Duration) func(value, string) {
		return func(v value, name string) {
			var err error
			if *to, err = parseTimeout(v.text); err == nil && *to < least {
				err = fmt.Errorf("%q is too often: write %s or more", clip(v.text), least)
			}
			if err != nil {
				d.fault(v.at, "%s %v", name, err)
			}
		}
	}
	return []func(value, string){
		keyHealthPath:        func(v value, name string) { h.Path = d.healthPath(v, name) },
		keyHealthBackendPath: func(v value, name string) { *backendPath = d.healthPath(v, name) },
		keyHealthInterval:    span(&h.Interval, shortestInterval),
		keyHealthTimeout:     span(&h.Timeout, 0),
		keyHealthStatus: func(v value, name string) {
			var err error
			if h.From, h.To, err = parseStatuses(v.text); err != nil {
				d.fault(v.at, "%s %v", name, err)
			}
		},
		keyHealthHost: func(v value, name string) {
			if _, _, err := CanonicalHost(nil, []byte(v.text)); err != nil {
				d.fault(v.at, "%s %q is no host: write it like \"www.example.com\"", name, clip(v.text))
			}
			h.Host = v.text
		},
	}
}

// shortestInterval is how often an upstream may be asked.
const shortestInterval = time.Second

// healthPath reads what is asked for; "off" is nothing.
func (d *decoder) healthPath(v value, name string) string {
	if v.text == "off" {
		return ""
	}
	if err := checkHealthPath(v.text); err != nil {
		d.fault(v.at, "%s %v", name, err)
	}
	return v.text
}

func checkHealthPath(path string) error {
	plain := !strings.ContainsFunc(path, func(r rune) bool { return r <= ' ' || r > '~' || r == '#' || r == '\\' })
	if !strings.HasPrefix(path, "/") || !plain || len(path) > maxPrefixLen {
		return fmt.Errorf("%q is no path: write it like \"/healthz\", in at most %d bytes, or \"off\"", clip(path), maxPrefixLen)
	}
	return nil
}

// parseStatuses reads "200" or "200-399".
func parseStatuses(text string) (from, to int, err error) {
	first, last, isRange := strings.Cut(text, "-")
	if !isRange {
		last = first
	}
	from, err = strconv.Atoi(first)
	if err == nil {
		to, err = strconv.Atoi(last)
	}
	if err != nil || from < http.StatusOK || to > 599 || from > to {
		return 0, 0, fmt.Errorf("%q is no status: write it like \"200\" or \"200-399\"", clip(text))
	}
	return from, to, nil
}
