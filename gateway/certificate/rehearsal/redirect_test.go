package rehearsal

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// at is a URL at the port that counts as 80.
func (w *world) at(scheme, host string) string {
	return scheme + "://" + net.JoinHostPort(host, strconv.Itoa(w.port))
}

func TestRedirectToHTTPS(t *testing.T) {
	w := newWorld(t)
	w.site("203.0.113.7", http.HandlerFunc(func(rw http.ResponseWriter, request *http.Request) {
		http.Redirect(rw, request, w.at("https", "secure.de")+request.URL.Path, http.StatusMovedPermanently)
	}))
	secure := httptest.NewUnstartedServer(http.HandlerFunc(func(rw http.ResponseWriter, request *http.Request) {
		if request.TLS == nil || request.TLS.ServerName != "secure.de" {
			http.NotFound(rw, request)
			return
		}
		request.Host = "ensotek.de"
		w.ServeHTTP(rw, request)
	}))
	secure.Listener.Close()
	secure.Listener = w.listen("198.51.100.4")
	secure.StartTLS() // with a certificate that nobody trusts
	t.Cleanup(secure.Close)
	w.points("ensotek.de", "203.0.113.7")
	w.points("secure.de", "198.51.100.9", "198.51.100.4") // nothing answers at the first
	r := w.rehearsal()
	wantRight(t, r.Rehearse(t.Context(), public("ensotek.de")))
	if got := r.suggested(true); got != nil {
		t.Errorf("who redirects counts as this server: %v", got)
	}
}

func TestRedirectToTheSameHostStaysAtTheAddress(t *testing.T) {
	w := newWorld(t)
	asked := make(chan string, 10)
	w.site("198.51.100.4", http.HandlerFunc(func(rw http.ResponseWriter, request *http.Request) {
		asked <- request.Host
		if request.URL.RawQuery == "" {
			http.Redirect(rw, request, request.URL.Path+"?again", http.StatusFound)
			return
		}
		request.Host = "ensotek.de"
		w.ServeHTTP(rw, request)
	}))
	w.site("203.0.113.7", stranger)
	w.points("ensotek.de", "198.51.100.4", "203.0.113.7")
	wantFault(t, w.rehearsal().Rehearse(t.Context(), public("ensotek.de")), false,
		"`ensotek.de` has several addresses and 203.0.113.7 is not this server: remove that A record")
	if first, second := <-asked, <-asked; first != "ensotek.de" || second != net.JoinHostPort("ensotek.de", strconv.Itoa(w.port)) {
		t.Errorf("the hosts were %q and %q", first, second)
	}
}

func TestRedirectsThatNoCAFollows(t *testing.T) {
	w := newWorld(t)
	var locations sync.Map // by domain
	w.site("203.0.113.7", http.HandlerFunc(func(rw http.ResponseWriter, request *http.Request) {
		location, _ := locations.Load(strings.Split(request.Host, ":")[0])
		rw.Header().Set("Location", location.(string))
		rw.WriteHeader(http.StatusMovedPermanently)
	}))
	w.points("private.example", "10.0.0.1", "fe80::1")
	w.points("dead.example", "203.0.113.99")
	n := 0
	f := func(location, why string) {
		t.Helper()
		n++
		domain := "d" + strconv.Itoa(n) + ".de"
		locations.Store(domain, location)
		w.points(domain, "203.0.113.7")
		wantFault(t, w.rehearsal("198.51.100.4").Rehearse(t.Context(), public(domain)), true,
			"`"+domain+"` points to 203.0.113.7, which redirects the challenge "+why+"; set its A record to 198.51.100.4")
	}
	to := func(location, why string) { t.Helper(); f(location, "to "+quoted(location)+", "+why) }

	to("ftp://ensotek.de/", "which is neither http nor https")
	to("http://private.example/", "a host that the Internet cannot reach")
	to("http://10.0.0.1/", "an address without a name, to which no CA goes")
	to("http://[::1]/", "an address without a name, to which no CA goes")
	to("http://203.0.113.7/", "an address without a name, to which no CA goes")
	to("http://127.1/", "a host that has no address")
	to("http://nowhere.example/", "a host that has no address")
	to("https://ensotek.de:8443/", "a port at which no CA asks")
	to("http://ensotek.de:99999/", "a port at which no CA asks")
	to("http:///path", "which names no host")
	to("http://%C3%BC.de/", "which is no host name")
	to("http://a b/", "which is no URL")
	to(w.at("http", "dead.example"), "where no answer comes")
	to(w.at("https", "d"+strconv.Itoa(n+1)+".de"), "where no answer comes") // no TLS there
	f("/", "more than 10 times")
}

func TestRedirectWithTerminalCodes(t *testing.T) {
	w := newWorld(t)
	w.raw("203.0.113.7", func(conn net.Conn) {
		conn.Read(make([]byte, 4096))
		io.WriteString(conn, "HTTP/1.1 301 \x1b[2J\r\nLocation: x\x80y://\xff"+strings.Repeat("A", 5000)+"\r\nServer: \x1b]0;\a\r\n\r\n")
	})
	w.points("ensotek.de", "203.0.113.7")
	err := w.rehearsal().Rehearse(t.Context(), public("ensotek.de"))
	if err == nil {
		t.Fatal("that is right")
	}
	fit(t, err.Error())
}

func TestRedirectsMayBePrivateForAPrivateCA(t *testing.T) {
	w := newWorld(t)
	w.site("198.51.100.4", http.HandlerFunc(func(rw http.ResponseWriter, request *http.Request) {
		request.Host = "intern.lan"
		w.ServeHTTP(rw, request)
	}))
	w.site("203.0.113.7", http.HandlerFunc(func(rw http.ResponseWriter, request *http.Request) {
		http.Redirect(rw, request, w.at("http", "127.100.0.4")+request.URL.Path, http.StatusTemporaryRedirect)
	}))
	w.points("intern.lan", "127.113.0.7")
	r := New(Config{Resolver: w.zone.address, Port: w.port, Announce: w.announce})
	wantRight(t, r.Rehearse(t.Context(), Subject{Domain: "intern.lan"}))
}

func TestRedirectWhoseNameCannotBeLookedUp(t *testing.T) {
	w := newWorld(t)
	w.site("203.0.113.7", http.RedirectHandler("http://slow.example/", http.StatusFound))
	w.points("ensotek.de", "203.0.113.7")
	w.zone.silence("slow.example A")
	w.zone.silence("slow.example AAAA")
	r := w.rehearsal()
	r.resolver.patience = 50 * time.Millisecond
	wantInconclusive(t, r.Rehearse(t.Context(), public("ensotek.de")))
}

func FuzzRedirect(f *testing.F) {
	f.Add("http://ensotek.de/", true)
	f.Add("https://[::ffff:10.0.0.1]:443/", true)
	f.Add("//user:pass@ensotek.de:80/x?y#z", false)
	f.Add("http://10.0.0.1:80", true)
	f.Add("\x00", false)
	z := newZone(f)
	z.add(f, "private.example. 60 IN A 10.0.0.1", "evil.example. 60 IN AAAA ::ffff:127.0.0.1")
	f.Add("http://private.example", true)
	f.Add("http://EVIL.example.", true)
	p := &probe{Rehearsal: New(Config{Resolver: z.address, Port: 8080}), subject: Subject{Domain: "ensotek.de"}}
	here := netip.MustParseAddr("203.0.113.7")
	f.Fuzz(func(t *testing.T, location string, public bool) {
		p := &probe{Rehearsal: p.Rehearsal, subject: Subject{Domain: "ensotek.de", Public: public}}
		start := target{url: &url.URL{Scheme: "http", Host: "ensotek.de", Path: "/x"}}
		next, bad := p.redirect(context.Background(), start, location, here)
		if bad.verdict != "" {
			if bad.verdict == misdirected {
				fit(t, bad.detail)
			}
			return
		}
		for _, address := range next.addresses {
			if public && !reachable(address) {
				t.Errorf("%q leads to %s", location, address)
			}
		}
		if port := portOf(next.url); port != "80" && port != "443" && port != "8080" {
			t.Errorf("%q leads to port %s", location, port)
		}
	})
}
