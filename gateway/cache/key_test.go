package cache

import (
	"testing"
	"time"
)

func TestAcceptedCodings(t *testing.T) {
	f := func(want codings, fields ...string) {
		t.Helper()
		var lists [][]byte
		for _, field := range fields {
			lists = append(lists, []byte(field))
		}
		if got := acceptedCodings(lists); got != want {
			t.Errorf("%q accepts %b, want %b", fields, got, want)
		}
	}
	f(0)
	f(0, "")
	f(acceptsGzip|acceptsDeflate|acceptsBrotli|acceptsZstd, "gzip, deflate, br, zstd")
	f(acceptsGzip|acceptsDeflate|acceptsBrotli|acceptsZstd, "ZSTD;q=0.1,x-gzip", "deflate;q=1.000, br;q=0.001")
	f(acceptsGzip, "gzip, br;q=0, zstd; q=0.000")
	f(acceptsAny, "*")
	f(refusesIdentity|acceptsBrotli, "br, identity;q=0")
	f(refusesIdentity, "*;q=0")
	f(0, "identity, unheard-of")
}

func TestAccepts(t *testing.T) {
	f := func(accept, coding string, want bool) {
		t.Helper()
		if got := acceptedCodings([][]byte{[]byte(accept)}).accepts([]byte(coding)); got != want {
			t.Errorf("%q accepts %q: %v", accept, coding, got)
		}
	}
	f("gzip", "gzip", true)
	f("gzip", "X-GZIP", true)
	f("*", "br", true)
	f("gzip", "br", false)
	// what is not known might be anything
	f("*", "unheard-of", false)
	f("gzip, br", "gzip, br", false)
	f("*", "*", false)
	f("", "gzip", false)
}

func TestMatchesTag(t *testing.T) {
	f := func(list, etag string, want bool) {
		t.Helper()
		if got := matchesTag([][]byte{[]byte(list)}, []byte(etag)); got != want {
			t.Errorf("%q matches %q: %v", list, etag, got)
		}
	}
	f(`"a"`, `"a"`, true)
	f(`"b", W/"a"`, `"a"`, true)
	f(`"a"`, `W/"a"`, true)
	f(`*`, `"a"`, true)
	f(`"a,b", "c"`, `"a,b"`, true)
	f(`"a,b"`, `"a"`, false)
	f(`"x"a"`, `"a"`, false)
	f(`"a`, `"a"`, false)
	f(`a`, `a`, false)
	f(`""`, ``, false)
	f(``, `"a"`, false)
}

func TestSelection(t *testing.T) {
	f := func(text string, prefix bool, key string, want bool) {
		t.Helper()
		s, err := parseSelection(text, prefix)
		if err != nil {
			t.Fatal(err)
		}
		if got := s.selects([]byte(key)); got != want {
			t.Errorf("%q selects %q: %v", text, key, got)
		}
	}
	f("/a", false, "sanna.test/a", true)
	f("/a", false, "Sanna.test:8443/a", true)
	f("/a", false, "sanna.test/a?b", false)
	f("/a", true, "sanna.test/a?b", true)
	f("/a/", true, "sanna.test/a", false)
	f("https://Anna.test/a", false, "panna.test/a", true)
	f("https://anna.test/a", false, "sanna.test:8443/a", true)
	f("https://anna.test:8443/a", false, "sanna.test:8443/a", true)
	f("https://anna.test:8443/a", false, "sanna.test/a", false)
	f("https://anna.test", true, "sanna.test/x", true)
	f("https://anna.test", false, "sanna.test/", true)
	f("https://anna.test/", true, "swww.anna.test/", false)
	f("https://[2001:db8::1]/a", false, "s[2001:db8::1]:8443/a", true)
	for _, text := range []string{"", "a", "anna.test/a", "ftp://anna.test/", "https://", "https://a@anna.test/", "https://anna.test/#a", "https://an na.test/"} {
		if s, err := SelectURL(text); err == nil {
			t.Errorf("%q is taken for %+v", text, s)
		}
	}
}

func TestPasses(t *testing.T) {
	var p passes
	const hash = 0x123456789abcdef0
	f := func(hash uint64, at time.Duration, want bool) {
		t.Helper()
		if got := p.has(hash, at); got != want {
			t.Errorf("%x after %v: %v", hash, at, got)
		}
	}
	f(hash, 0, false)
	p.set(hash, time.Hour)
	f(hash, time.Hour, true)
	f(hash, time.Hour+passFor-time.Second, true)
	f(hash, time.Hour+passFor, false)
	f(hash, time.Hour-time.Second, true) // it came before the mark, and asks for it behind others
	f(hash+1<<40, time.Hour, false)      // in the same place
	p.set(hash+1<<40, time.Hour)
	f(hash, time.Hour, false)
	p.clear(hash)
	f(hash+1<<40, time.Hour, true)
	p.clear(hash + 1<<40)
	f(hash+1<<40, time.Hour, false)
	p.set(hash, 1<<passBits*time.Second-time.Second) // the time of the mark begins anew
	f(hash, 1<<passBits*time.Second+time.Second, true)
}
