package admin

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
)

// answers is a Cache with so many bytes by slug, of which a purge drops three answers.
type answers map[string]int64

func (a answers) Bytes() map[string]int64 { return a }

func (a answers) Purge(_, url, prefix string) (int, error) {
	if url+prefix == "nonsense" {
		return 0, errors.New("it is no URL")
	}
	return 3, nil
}

func TestPurge(t *testing.T) {
	_, base := run(t, Config{Registry: registryOf(someTenants(1)...)})
	f := func(query string, control, origin string, status int, want string) {
		t.Helper()
		request, err := http.NewRequest(http.MethodPost, base+"/cache/purge"+query, nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set(ControlHeader, control)
		request.Header.Set("Origin", origin)
		response, err := http.DefaultTransport.RoundTrip(request)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		read, err := io.ReadAll(response.Body)
		if body := string(read); err != nil || response.StatusCode != status || !strings.Contains(body, want) {
			t.Errorf("%q: %d %q, want %d %q", query, response.StatusCode, body, status, want)
		}
	}
	f("?tenant=t00000", "yes", "", 200, `{"purged":3}`)
	f("?tenant=t00000&url=/a", "yes", "", 200, `{"purged":3}`)
	f("?tenant=t00000&prefix=/a", "yes", "", 200, `{"purged":3}`)
	f("?tenant=nobody", "yes", "", 404, `there is no tenant "nobody"`)
	f("", "yes", "", 404, `there is no tenant ""`)
	f("?tenant=t00000&url=nonsense", "yes", "", 400, "it is no URL")
	// a mistake does not stand for everything
	f("?tenant=t00000&url=", "yes", "", 400, "url is empty")
	f("?tenant=t00000&uri=/a", "yes", "", 400, `"uri" is not known`)
	f("?tenant=t00000&url=/a&prefix=/a", "yes", "", 400, "keep one")
	f("?tenant=t00000&url=/a&url=/b", "yes", "", 400, "there twice")
	// nor does a web page purge anything
	f("?tenant=t00000", "", "", 403, ControlHeader)
	f("?tenant=t00000", "yes", "https://evil.example", 403, ControlHeader)
}
