package gateway

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"metahub/tenant"
)

// TestTrailersPass sends trailers to an upstream and back; what may not be one gets through in neither direction.
func TestTrailersPass(t *testing.T) {
	seen := make(chan string, 1)
	upstream := func(rw http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		seen <- fmt.Sprintf("%s %v %v", body, r.TransferEncoding, sortedFields(r.Trailer))
		rw.Header().Set("Trailer", "X-Announced")
		_, _ = io.WriteString(rw, strings.Repeat("hello ", 1000))
		_ = http.NewResponseController(rw).Flush()
		h := rw.Header()
		h.Set("X-Announced", "1")
		h[http.TrailerPrefix+"X-Late"] = []string{"2", "3"}
		h.Set(http.TrailerPrefix+"Cache-Control", "no-store")
		h.Set(http.TrailerPrefix+"Set-Cookie", "a=b")
		h.Set(http.TrailerPrefix+"X-Tenant", "other")
	}
	pair(t, func(t *testing.T, http2 bool) {
		w := startWithUpstream(t, upstream)
		w.registry.Publish(tenant.NewDirectory(settings(), compressing(w.registry.Current().Tenants())))
		f := func(coding string) {
			t.Helper()
			r, err := http.NewRequest("POST", "https://up.test/", struct{ io.Reader }{strings.NewReader("hello")})
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Accept-Encoding", coding)
			r.Trailer = http.Header{"X-Sum": {"42", "43"}, "X-Second": {"yes"}}
			response, err := w.client(http2, "").Do(r)
			if err != nil {
				t.Fatal(err)
			}
			defer response.Body.Close()
			if _, err := io.Copy(io.Discard, response.Body); err != nil {
				t.Fatal(err)
			}
			if got := response.Header.Get("Content-Encoding"); (got == "gzip") != (coding == "gzip") {
				t.Errorf("Content-Encoding %q, asked for %s", got, coding)
			}
			if got, want := <-seen, "hello [chunked] [X-Second: yes X-Sum: 42 X-Sum: 43]"; got != want {
				t.Errorf("the upstream saw %q, want %q", got, want)
			}
			if got, want := fmt.Sprint(sortedFields(response.Trailer)), "[X-Announced: 1 X-Late: 2 X-Late: 3]"; got != want {
				t.Errorf("%s: trailers %s, want %s", coding, got, want)
			}
		}
		f("identity")
		f("gzip")
	})
}

// TestTrailersOfPages come with a page that is kept on its way, too, however long it is.
func TestTrailersOfPages(t *testing.T) {
	upstream := func(rw http.ResponseWriter, r *http.Request) {
		rw.Header().Set("Trailer", "X-Sum")
		_, _ = io.CopyN(rw, new(zeros), int64(len(r.URL.RawQuery))<<18) // 256 KiB for each letter
		rw.Header().Set("X-Sum", "42")
		rw.Header().Set(http.TrailerPrefix+"X-Late", "43")
	}
	pair(t, func(t *testing.T, http2 bool) {
		w := startWithUpstream(t, upstream)
		up := *w.registry.Current().Tenants()[0]
		up.Cache = tenant.Cache{Enabled: true, Size: 64 << 20, Entry: 1 << 20, Shield: true}
		w.registry.Publish(tenant.NewDirectory(settings(), []*tenant.Tenant{&up}))
		c := w.client(http2, "")
		for _, url := range []string{"https://up.test/a?x", "https://up.test/b?xxxxxxxx"} {
			got := w.do(c, "GET", url, "")
			if sent := fmt.Sprint(sortedFields(got.Trailer)); got.StatusCode != 200 || sent != "[X-Late: 43 X-Sum: 42]" {
				t.Errorf("%s: %d, %d bytes with trailers %s", url, got.StatusCode, len(got.body), sent)
			}
		}
	})
}

func compressing(tenants []*tenant.Tenant) (changed []*tenant.Tenant) {
	for _, t := range tenants {
		other := *t
		other.Compress = tenant.AllCodings()
		changed = append(changed, &other)
	}
	return changed
}

func sortedFields(h http.Header) (fields []string) {
	for name, values := range h {
		for _, value := range values {
			fields = append(fields, name+": "+value)
		}
	}
	slices.Sort(fields)
	return fields
}

// TestForgedTrailers are no way around what a client may not say in a header. On HTTP/1.1 and 3 they are refused, on HTTP/2 left out.
func TestForgedTrailers(t *testing.T) {
	upstream := func(rw http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		if len(r.Trailer) > 0 && (len(r.Trailer) != 1 || r.Trailer.Get("X-Ok") != "1") {
			t.Errorf("the upstream saw %v", r.Trailer)
		}
	}
	pair(t, func(t *testing.T, http2 bool) {
		w := startWithUpstream(t, upstream)
		for _, name := range []string{"X-Tenant", "X-Forwarded-For", "X-Real-Ip", "X_Tenant", "X-Middleware-Subrequest", "Cookie"} {
			r, err := http.NewRequest("POST", "https://up.test/", struct{ io.Reader }{strings.NewReader("hello")})
			if err != nil {
				t.Fatal(err)
			}
			r.Trailer = http.Header{name: {"other"}, "X-Ok": {"1"}}
			response, err := w.client(http2, "").Do(r)
			if err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			response.Body.Close()
			if want := map[bool]int{true: 200, false: 400}[http2 && !isHTTP3(t)]; response.StatusCode != want {
				t.Errorf("%s: status %d, want %d", name, response.StatusCode, want)
			}
		}
	})
}
