package tenant

import (
	"errors"
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Cache says what is kept of the answers of a tenant's own servers. Its zero value keeps nothing. It can be compared with ==.
type Cache struct {
	Enabled bool
	// Size is how many bytes are kept at most, and Entry how long a body is that is kept.
	Size, Entry int64
	// Shield says whether the last good pages stand in while the frontend is out.
	Shield bool
}

// The keys of cache:, in the order of cacheKeys.
const (
	keyCacheSize = iota
	keyCacheEntry
	keyCacheShield
)

var cacheKeys = []string{keyCacheSize: "size", keyCacheEntry: "entry", keyCacheShield: "stale_shield"}

// defaultCache is what holds for a tenant of which nothing is said.
func defaultCache() Cache { return Cache{Enabled: true, Size: 32 << 20, Entry: 1 << 20, Shield: true} }

const (
	minCacheSize = 64 << 10
	maxCacheSize = 1 << 40
)

// parseSwitch reads "on" or "off", or as people also write it.
func parseSwitch(text string) (on bool, err error) {
	switch strings.ToLower(text) {
	case "on", "true", "yes":
		return true, nil
	case "off", "false", "no":
		return false, nil
	}
	return false, fmt.Errorf("%q is neither on nor off: write one of them", clip(text))
}

// parseCacheSize reads how much is kept.
func parseCacheSize(text string) (int64, error) {
	size, err := parseSize(text)
	if err == nil && (size < minCacheSize || size > maxCacheSize) {
		return 0, fmt.Errorf("%q is not between 64KiB and 1024GiB: write such a size, like \"32MiB\"", clip(text))
	}
	return size, err
}

// check refuses what no file can have given.
func (c *Cache) check() error {
	if c.Enabled && (c.Size < minCacheSize || c.Size > maxCacheSize || c.Entry <= 0 || c.Entry > c.Size/4) {
		return errors.New("cache cannot be")
	}
	return nil
}

// checkEntry finds an entry that could push out everything else. A size that is none is told already.
func (c *Cache) checkEntry() error {
	if c.Size > 0 && c.Entry > c.Size/4 {
		return fmt.Errorf("is more than a quarter of size: write at most %d B, or a larger size", c.Size/4)
	}
	return nil
}

// fit makes an entry no longer than a small cache can hold, where nobody has said how long it may be.
func (c *Cache) fit() { c.Entry = min(c.Entry, c.Size/4) }

// cache reads on or off, or what is kept.
func (e *entry) cache() {
	n := e.fields[keyCache]
	if n == nil {
		return
	}
	c := &e.tenant.Cache
	if n.Kind != yaml.MappingNode {
		if v, ok := e.says(keyCache, ""); ok {
			on, err := parseSwitch(v.text)
			e.check(keyCache, v.at, err)
			c.Enabled = on
		}
		return
	}
	c.Enabled = true
	fields := e.mapping(n, "cache", cacheKeys)
	if v, ok := e.decoder.text(fields[keyCacheSize], "cache.size"); ok {
		size, err := parseCacheSize(v.text)
		if err != nil {
			e.fault(v.at, "cache.size %v", err)
			return
		}
		c.Size = size
	}
	if truth, ok := e.boolean(fields[keyCacheShield], "cache.stale_shield"); ok {
		c.Shield = truth
	}
	entry := fields[keyCacheEntry]
	if entry == nil {
		c.fit()
		return
	}
	c.Entry = e.size(entry, "cache.entry", c.Entry)
	if err := c.checkEntry(); err != nil {
		e.fault(e.place(entry), "cache.entry %v", err)
	}
}

// compileDefaultCache returns what each tenant starts from.
func (s *settings) compileDefaultCache() Cache {
	var c Cache
	var err error
	v := s.text("defaults.cache")
	c.Enabled, err = parseSwitch(v.text)
	s.check("defaults.cache", v.at, err)
	v = s.text("defaults.cache.size")
	c.Size, err = parseCacheSize(v.text)
	s.check("defaults.cache.size", v.at, err)
	c.Shield = s.boolean("defaults.cache.stale_shield")
	if v = s.text("defaults.cache.entry"); v.text == "" {
		c.Entry = defaultCache().Entry
		c.fit()
		return c
	}
	if c.Entry, err = parseSize(v.text); err == nil {
		err = c.checkEntry()
	}
	s.check("defaults.cache.entry", v.at, err)
	return c
}

// compileCacheSize reads gateway.cache, in bytes.
func (s *settings) compileCacheSize() int64 {
	v := s.text("gateway.cache")
	size, err := parseCacheSize(v.text)
	s.check("gateway.cache", v.at, err)
	return size
}
