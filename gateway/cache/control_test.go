package cache

import (
	"bytes"
	"testing"
)

func parse(fields ...string) control {
	c := newControl()
	for _, f := range fields {
		c.read([]byte(f))
	}
	return c
}

func TestControl(t *testing.T) {
	f := func(want control, fields ...string) {
		t.Helper()
		if got := parse(fields...); got != want {
			t.Errorf("%q: %+v, want %+v", fields, got, want)
		}
	}
	with := func(change func(*control)) control {
		c := newControl()
		change(&c)
		return c
	}
	f(newControl())
	f(newControl(), "", " , ,\t")
	f(with(func(c *control) { c.public, c.maxAge = true, 60 }), "public, max-age=60")
	f(with(func(c *control) { c.public, c.maxAge = true, 60 }), "PUBLIC", "Max-Age = \"60\"")
	// as Next.js marks its pages
	f(with(func(c *control) { c.sharedMaxAge, c.staleWhileRevalidate = 31536000, forever }), "s-maxage=31536000, stale-while-revalidate")
	f(with(func(c *control) { c.sharedMaxAge, c.staleWhileRevalidate = 60, 31535940 }), "s-maxage=60, stale-while-revalidate=31535940")
	// of two numbers the smaller counts, and what is no number is none
	f(with(func(c *control) { c.maxAge = 5 }), "max-age=60, max-age=5, max-age=70")
	f(with(func(c *control) { c.maxAge = 0 }), "max-age=60", "max-age=soon")
	f(with(func(c *control) { c.maxAge = 0 }), "max-age")
	f(with(func(c *control) { c.maxAge = 0 }), "max-age=-1")
	f(with(func(c *control) { c.maxAge = maxSeconds }), "max-age=99999999999999999999999")
	// what stands in quotes is no directive
	f(with(func(c *control) { c.public = true }), `x="no-store, \", private", public`)
	f(with(func(c *control) { c.private, c.noCache = true, true }), `private="Set-Cookie, X", no-cache="a"`)
	// a field that ends in the midst of a string, or is no list, may have forbidden anything
	f(with(func(c *control) { c.broken = true }), `x="no-store`)
	f(with(func(c *control) { c.broken = true }), "public; max-age=60")
	f(with(func(c *control) { c.broken = true }), "max-age=60 no-store", "=")
	f(with(func(c *control) { c.mustRevalidate, c.noStore, c.staleIfError = true, true, 30 }), "proxy-revalidate, no-store,stale-if-error=30")
	f(with(func(c *control) { c.mustRevalidate, c.onlyIfCached = true, true }), "must-revalidate,only-if-cached")
}

// FuzzControl holds the parser to what the grammar says of lists: case and the number of fields mean nothing, what is added at the end is
// heard, and nothing is said twice as strictly by one field as by two.
func FuzzControl(f *testing.F) {
	f.Add([]byte("public, max-age=60"), []byte("s-maxage=\"9\""))
	f.Add([]byte(`private="a, b\"", x=`), []byte("no-cache"))
	f.Add([]byte("stale-while-revalidate"), []byte("stale-while-revalidate=1"))
	f.Add([]byte(`"`), []byte("max-age=99999999999999999999"))
	f.Fuzz(func(t *testing.T, a, b []byte) {
		one := newControl()
		one.read(a)
		for _, n := range []int64{one.maxAge, one.sharedMaxAge, one.staleWhileRevalidate, one.staleIfError} {
			if n < unsaid || n > maxSeconds {
				t.Fatalf("%q: %d seconds", a, n)
			}
		}
		upper := newControl()
		upper.read(asciiUpper(a))
		if one != upper {
			t.Fatalf("%q: %+v, in capitals %+v", a, one, upper)
		}
		if one.broken {
			return
		}
		longer := newControl()
		longer.read(append(bytes.Clone(a), ", no-store"...))
		if !longer.noStore || longer.broken {
			t.Fatalf("%q hides what follows: %+v", a, longer)
		}
		two, joined := one, newControl()
		two.read(b)
		joined.read(append(append(bytes.Clone(a), ','), b...))
		if two != joined {
			t.Fatalf("%q and %q: %+v in two fields, %+v in one", a, b, two, joined)
		}
	})
}

func asciiUpper(b []byte) []byte {
	b = bytes.Clone(b)
	for i, c := range b {
		if 'a' <= c && c <= 'z' {
			b[i] = c - 'a' + 'A'
		}
	}
	return b
}
