package page

import "testing"

// TestPreparedIsError compares each form of a prepared page with what Error answers.
func TestPreparedIsError(t *testing.T) {
	f := func(target, accept, id string) {
		t.Helper()
		want, got := newContext("GET", target, "Accept", accept), newContext("GET", target, "Accept", accept)
		want.Request.Header.Set("X-Request-ID", id)
		got.Request.Header.Set("X-Request-ID", id)
		Error(want, 429, "rate_limited", "Slow down, <please>.")
		Prepare(429, "rate_limited", "Slow down, <please>.").Answer(got)
		if got.Response.String() != want.Response.String() {
			t.Errorf("%s\nwant\n%s", &got.Response, &want.Response)
		}
	}
	f("/", "text/html", "r1")
	f("/", "text/html", "<r1>")
	f("/", "text/html", "")
	f("/", "application/json", "r1")
	f("/api/x", "text/html", "r1")
	f("/api/x", "text/html", `"r1\`)
	f("/api/x", "text/html", "")
}
