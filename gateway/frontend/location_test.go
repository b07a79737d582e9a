package frontend

import (
	"net/url"
	"sync"
	"testing"
)

func TestLocationOfTheUpstreamItself(t *testing.T) {
	f := func(upstream, location, want string) {
		t.Helper()
		u, err := url.Parse(upstream)
		if err != nil {
			t.Fatal(err)
		}
		up := newUpstream(u, nil, Timings{}, new(sync.WaitGroup))
		if got := string(up.withoutOrigin([]byte(location))); got != want {
			t.Errorf("%s from %s: %s, want %s", location, upstream, got, want)
		}
	}

	// by its own address
	f("http://127.0.0.1:3000", "http://127.0.0.1:3000/about?a=b#c", "/about?a=b#c")
	f("http://shop.internal:3000", "HTTPS://Shop.Internal:3000/about", "/about")
	f("http://shop.internal", "http://shop.internal/about", "/about")
	f("http://[::1]:3000", "http://[::1]:3000/about", "/about")
	// by what means its machine
	f("http://127.0.0.1:3000", "https://localhost:3000/about", "/about")
	f("http://shop.internal:3000", "http://localhost:3000/about", "/about")
	f("http://shop.internal:3000", "https://0.0.0.0:3000/about", "/about")
	f("http://shop.internal:3000", "https://[::]:3000", "/")
	f("http://shop.internal:3000", "https://127.0.0.2:3000?a=b", "/?a=b")
	f("http://shop.internal", "http://[::1]/about", "/about")
	// other servers
	f("http://127.0.0.1:3000", "https://localhost:3001/about", "https://localhost:3001/about")
	f("http://127.0.0.1:3000", "https://localhost/about", "https://localhost/about")
	f("http://127.0.0.1:3000", "https://shop.example:3000/about", "https://shop.example:3000/about")
	f("http://shop.internal", "https://shop.internal/about", "https://shop.internal/about")
	f("http://127.0.0.1:3000", "https://shop@localhost:3000/about", "https://shop@localhost:3000/about")
	f("http://127.0.0.1:3000", "https://localhost:3000.example/about", "https://localhost:3000.example/about")
	f("http://127.0.0.1:3000", "https://localhost:3000\\.example/about", "https://localhost:3000\\.example/about")
	// no origin
	f("http://127.0.0.1:3000", "/about", "/about")
	f("http://127.0.0.1:3000", "//localhost:3000/about", "//localhost:3000/about")
	f("http://127.0.0.1:3000", "", "")
	f("http://127.0.0.1:3000", "http:", "http:")
	// what would lead to another host without its own
	f("http://127.0.0.1:3000", "http://localhost:3000//evil.example", "http://localhost:3000//evil.example")
	f("http://127.0.0.1:3000", "http://localhost:3000/\\evil.example", "http://localhost:3000/\\evil.example")
	f("http://127.0.0.1:3000", "http://localhost:3000/\t/evil.example", "http://localhost:3000/\t/evil.example")
}

func TestLocationIsPassedOn(t *testing.T) {
	var upstream *url.URL
	upstream = rawUpstream(t, func(c *scripted) {
		for {
			if _, err := c.request(); err != nil {
				return
			}
			c.say("HTTP/1.1 307 Temporary Redirect\r\nlocation: https://localhost:" + upstream.Port() + "/about\r\nContent-Length: 0\r\n\r\n")
		}
	})
	if a := proxied(t, upstream).get(t, "/"); a.status != 307 || string(a.header.Peek("location")) != "/about" {
		t.Errorf("%d to %q", a.status, a.header.Peek("location"))
	}
}
