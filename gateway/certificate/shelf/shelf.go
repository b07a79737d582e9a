// Package shelf keeps the issued certificates of all domains in memory, so that a handshake finds its own without work.
//
//	s := shelf.New(shelf.Config{Load: readRecord, Logger: logger})
//	s.Expect(domains...)                          // they are in the storage, unread
//	certificate := s.Lookup([]byte("ensotek.de"), time.Now())
//	info, err := s.Put("ensotek.de", text)        // a new certificate, in place of the old one
//
// There are two levels. Every certificate is packed: DER and key next to each other in memory that the garbage collector neither scans
// nor counts. Those that handshakes ask for are parsed as well, in a cache of bounded size. What was announced and has not been asked
// for costs its name only; its file is read at its first handshake. Nothing here talks to a network, orders a certificate or writes.
package shelf

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"hash/maphash"
	"strings"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sync/singleflight"

	"metahub/gateway/certificate/record"
	"metahub/gateway/certificate/ring"
)

const (
	// defaultCapacity is how many certificates are parsed at a time, at about 3 KiB each.
	defaultCapacity = 4096
	// The domains are spread over shards by hash, so that a handshake shares its lock with few others.
	shardBits = 5
	shards    = 1 << shardBits
)

// Config is what a Shelf is made of. All of it may be left out.
type Config struct {
	// Load returns the text (package record) of a domain from the local storage, or fs.ErrNotExist where there is none. It is called
	// inside a handshake, for one domain at most once at a time. Nil stands for a storage across a network, which no handshake waits
	// for: what was not Put is then absent.
	Load func(domain string) ([]byte, error)
	// Torn is told of each domain whose text Lookup or Leaf found damaged, once, until a sound one is Put. It is called inside a
	// handshake and must not wait.
	Torn func(domain string)
	// Capacity bounds how many certificates are parsed at a time, rounded up to a multiple of 32; 0 stands for 4096.
	Capacity int
	// Logger may be nil.
	Logger *zap.Logger
}

// Shelf holds certificates by domain. Its methods may be called at once from any number of goroutines. What it hands out is immutable
// and stays valid whatever becomes of its domain.
type Shelf struct {
	load    func(domain string) ([]byte, error)
	torn    func(domain string)
	seed    maphash.Seed // secret, so that nobody can choose names that collide
	shards  [shards]shard
	tails   tails
	flights singleflight.Group
	faults  faults
	logger  *zap.Logger
}

// New makes an empty shelf.
func New(config Config) *Shelf { return newShelf(config, newChunk) }

func newShelf(config Config, newChunk chunkMaker) *Shelf {
	s := &Shelf{
		load:   config.Load,
		torn:   config.Torn,
		seed:   maphash.MakeSeed(),
		logger: config.Logger,
		tails:  tails{ids: map[tailHash]uint32{}},
		faults: faults{torn: map[string]struct{}{}},
	}
	if s.logger == nil {
		s.logger = zap.NewNop()
	}
	capacity := config.Capacity
	if capacity <= 0 {
		capacity = defaultCapacity
	}
	for i := range s.shards {
		s.shards[i].tails = &s.tails
		s.shards[i].packed.arena.newChunk = newChunk
		s.shards[i].parsed = ring.New[ready]((capacity + shards - 1) / shards)
	}
	return s
}

// Lookup returns the certificate of a name, ".example.com" for the wildcard "*.example.com", or nil where there is none or it has
// expired. A parsed one costs a read lock and no allocation, a packed one some ten microseconds; one that Expect announced is first
// read through Load. Any other name costs as little as a parsed one and never reaches Load.
func (s *Shelf) Lookup(key []byte, now time.Time) *tls.Certificate {
	sh, hash := s.shardOf(key)
	found := sh.find(hash, key, now.Unix())
	if found.state == expected {
		s.read(bytes.Clone(key), now) // so that the caller's own may stay on its stack
		found = sh.find(hash, key, now.Unix())
	}
	switch found.state {
	case parsed:
		return found.certificate
	case packed:
		return s.parse(sh, hash, key, found.material)
	}
	return nil
}

// parse does the work of a cold lookup outside the lock and keeps its result for the next one.
func (s *Shelf) parse(sh *shard, hash uint32, key []byte, m material) *tls.Certificate {
	certificate, err := m.certificate()
	if err != nil { // it was sound when it was packed
		s.logger.Error("a certificate in memory cannot be read", zap.String("key", string(key)), zap.Error(err))
		return nil
	}
	sh.keepParsed(hash, key, m, certificate)
	return certificate
}

// Expect announces domains that are in the storage. Those that are packed already are left as they are: a newer text is Put.
func (s *Shelf) Expect(domains ...string) {
	for _, domain := range domains {
		key := keyOf(domain)
		if len(key) == 0 || len(key) > maxName {
			continue
		}
		sh, hash := s.shardOf(key)
		sh.expect(hash, key)
	}
}

// Put keeps the certificate of a domain in place of the one before. An error wraps record.ErrTorn; the one before then stays.
func (s *Shelf) Put(domain string, text []byte) (Info, error) {
	c, err := parseText(domain, text)
	if err != nil {
		return Info{}, err
	}
	sh, hash := s.shardOf(c.name)
	c.tail = s.tails.hold(c.chain)
	sh.put(hash, c)
	s.faults.forget(domain)
	return c.info(), nil
}

// Info tells of a domain's certificate. It is false for what is absent, and for what is expected and has not been read.
func (s *Shelf) Info(domain string) (Info, bool) {
	key := keyOf(domain)
	sh, hash := s.shardOf(key)
	return sh.info(hash, key)
}

// Leaf parses a domain's own certificate, the first of its chain, be it expired or not. What is expected is first read through Load.
func (s *Shelf) Leaf(domain string) (*x509.Certificate, bool) {
	key := keyOf(domain)
	sh, hash := s.shardOf(key)
	der, state := sh.leaf(hash, key)
	if state == expected {
		s.read(key, time.Now())
		der, state = sh.leaf(hash, key)
	}
	if state != packed {
		return nil, false
	}
	leaf, err := x509.ParseCertificate(der)
	return leaf, err == nil
}

func (s *Shelf) shardOf(key []byte) (*shard, uint32) {
	hash := maphash.Bytes(s.seed, key)
	return &s.shards[hash>>(64-shardBits)], uint32(hash)
}

// keyOf is under what a domain is kept: the name itself, and ".example.com" for "*.example.com", so that a handshake finds a wildcard
// by a part of the host's own bytes.
func keyOf(domain string) []byte {
	return []byte(strings.TrimPrefix(domain, "*"))
}

// domainOf is the reverse of keyOf.
func domainOf(key string) string {
	if key != "" && key[0] == '.' {
		return "*" + key
	}
	return key
}

// parseText reads a record and refuses what no certificate is as large as.
func parseText(domain string, text []byte) (content, error) {
	if len(text) > maxText {
		return content{}, errTooLarge
	}
	key := keyOf(domain)
	if len(key) == 0 || len(key) > maxName {
		return content{}, errNoName
	}
	r, err := record.Parse(domain, text)
	if err != nil {
		return content{}, err
	}
	return contentOf(key, r)
}
