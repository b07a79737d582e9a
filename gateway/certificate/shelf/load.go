package shelf

import (
	"errors"
	"fmt"
	"io/fs"
	"time"

	"metahub/gateway/certificate/record"
)

// retryAfter is how long a domain whose file could not be read is left alone, so that a sick disk is not asked at each handshake.
const retryAfter = time.Second

// read has the text of an expected key loaded and packed. Of many at once for one key the first works and the others wait for it.
func (s *Shelf) read(key []byte, now time.Time) {
	if s.load == nil {
		return
	}
	s.flights.Do(string(key), func() (any, error) {
		for range 2 { // once more where it was announced anew meanwhile
			if s.readNow(key, now) {
				break
			}
		}
		return nil, nil
	})
}

// readNow is false where the key was announced anew meanwhile, so that what was read may be too old.
func (s *Shelf) readNow(key []byte, now time.Time) bool {
	sh, hash := s.shardOf(key)
	version, ok := sh.due(hash, key, now.Unix())
	if !ok {
		return true
	}
	domain := domainOf(string(key))
	c, err := s.loadText(domain)
	switch {
	case err == nil:
		return s.packLoaded(sh, hash, version, c)
	case errors.Is(err, fs.ErrNotExist):
		return sh.settle(hash, key, version, func() { sh.drop(hash, key) })
	case errors.Is(err, record.ErrTorn):
		if !sh.settle(hash, key, version, func() { sh.drop(hash, key) }) {
			return false
		}
		s.sayTorn(domain, err)
		return true
	}
	s.sayUnread(domain, err, now)
	return sh.settle(hash, key, version, func() { sh.postpone(hash, key, now.Add(retryAfter).Unix()) })
}

// loadText turns a panic of Load, or of a parser, into an error: it would end the handshakes of all tenants.
func (s *Shelf) loadText(domain string) (c content, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	text, err := s.load(domain)
	if err != nil {
		return content{}, err
	}
	return parseText(domain, text)
}

func (s *Shelf) packLoaded(sh *shard, hash uint32, version uint64, c content) bool {
	c.tail = s.tails.hold(c.chain)
	if !sh.settle(hash, c.name, version, func() { sh.replace(hash, &c) }) {
		s.tails.drop(c.tail)
		return false
	}
	sh.loaded.Add(1)
	s.faults.forget(domainOf(string(c.name)))
	return true
}
