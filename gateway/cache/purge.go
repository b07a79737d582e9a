package cache

import (
	"bytes"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"metahub/tenant"
)

// Selection says which of a tenant's answers are meant. Its zero value means all of them.
type Selection struct {
	host   string // with or without a port; empty for every host
	target string
	prefix bool // and all that begins with target
}

// SelectURL selects the answers of one URL: "https://ensotek.de/news?page=2", or "/news?page=2" on each of the tenant's hosts.
func SelectURL(text string) (Selection, error) { return parseSelection(text, false) }

// SelectPrefix selects the answers of all URLs that begin with a text in the same form.
func SelectPrefix(text string) (Selection, error) { return parseSelection(text, true) }

func parseSelection(text string, prefix bool) (Selection, error) {
	if strings.HasPrefix(text, "/") {
		return Selection{target: text, prefix: prefix}, nil
	}
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.User != nil || u.Fragment != "" {
		return Selection{}, fmt.Errorf("%q is neither a URL nor a path: write it like \"https://ensotek.de/news\" or \"/news\"", text)
	}
	host, port, err := tenant.CanonicalHost(nil, []byte(u.Host))
	if err != nil {
		return Selection{}, fmt.Errorf("%q has no host name: %w", text, err)
	}
	s := Selection{host: string(host), target: u.RequestURI(), prefix: prefix}
	if len(port) > 0 {
		s.host += ":" + string(port)
	}
	return s, nil
}

// selects reports whether a URL is meant.
func (s *Selection) selects(key []byte) bool {
	host, target := splitKey(key)
	if s.host != "" && string(host) != s.host {
		if colon := bytes.LastIndexByte(host, ':'); colon < 0 || string(host[:colon]) != s.host {
			return false
		}
	}
	if s.prefix {
		return bytes.HasPrefix(target, []byte(s.target))
	}
	return s.target == "" || string(target) == s.target
}

// ErrNoTenant is a purge for a tenant that is not served.
var ErrNoTenant = errors.New("there is no such tenant")

// Purge drops the answers of a tenant that a selection names, and returns how many they were. What the origin was asked for before is not
// kept either.
func (c *Cache) Purge(slug string, selection Selection) (answers int, err error) {
	t, ok := c.registry.Current().Tenant([]byte(slug))
	if !ok {
		return 0, fmt.Errorf("%w as %q", ErrNoTenant, slug)
	}
	s := c.shelf(t)
	if s == nil || !t.Cache.Enabled {
		return 0, nil
	}
	return s.purge(&selection), nil
}
