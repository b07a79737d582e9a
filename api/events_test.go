package api_test

import (
	"bufio"
	"context"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// listening is an open stream of events.
type listening struct {
	t      *testing.T
	lines  chan string
	status int
	last   atomic.Value // the id that the client would come back with
	leave  func()
}

// hear passes on the lines of an event. One that is nothing but an id says where the client is.
func (l *listening) hear(block []string) {
	for _, line := range block {
		id, isID := strings.CutPrefix(line, "id: ")
		if isID {
			l.last.Store(id)
		}
		if !isID || len(block) > 2 {
			l.lines <- line
		}
	}
}

func (s *site) listen(t *testing.T, slug, path string, headers ...string) *listening {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	request, err := http.NewRequestWithContext(ctx, "GET", "http://"+s.address+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Host = slug + ".test"
	for _, header := range headers {
		name, value, _ := strings.Cut(header, ": ")
		request.Header.Set(name, value)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	l := &listening{t: t, lines: make(chan string, 1000), status: response.StatusCode}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		defer close(l.lines)
		var block []string
		for lines := bufio.NewScanner(response.Body); lines.Scan(); {
			text := lines.Text()
			if text != "" {
				block = append(block, text)
				continue
			}
			l.hear(block)
			block = nil
		}
	}()
	l.leave = func() { cancel(); response.Body.Close(); <-ended }
	t.Cleanup(l.leave)
	if l.status == 200 {
		l.want("retry: 3000")
	}
	return l
}

// want waits for the next line, which must begin so. It returns what follows.
func (l *listening) want(prefix string) string {
	l.t.Helper()
	select {
	case line, open := <-l.lines:
		rest, ok := strings.CutPrefix(line, prefix)
		if !open || !ok {
			l.t.Fatalf("got %q, want %q", line, prefix)
		}
		return rest
	case <-time.After(30 * time.Second):
		l.t.Fatalf("%q does not come", prefix)
		return ""
	}
}

// wantChange waits for the next event, which must be this change, and returns its id.
func (l *listening) wantChange(op, document string) (id string) {
	l.t.Helper()
	id = l.want("id: ")
	l.want("event: change")
	want := `{"op":"` + op + `","id":"` + document + `"}`
	if op == "" {
		want = "{}"
	}
	if data := l.want("data: "); data != want {
		l.t.Fatalf("heard %s, want %s", data, want)
	}
	return id
}

func (l *listening) wantEnd() {
	l.t.Helper()
	select {
	case line, open := <-l.lines:
		if open {
			l.t.Errorf("at the end comes %q", line)
		}
	case <-time.After(30 * time.Second):
		l.t.Fatal("the stream does not end")
	}
}

// write makes a change through the API, and returns the document's id.
func (s *site) write(t *testing.T, slug, method, path, body string, headers ...string) string {
	t.Helper()
	status := 200
	if method == "POST" {
		status = 201
	}
	got := scenario{name: method + " " + path, tenant: slug, method: method, path: path, body: body, headers: headers, status: status}.run(t, s)
	if method == "DELETE" {
		return ""
	}
	return text(t, got.body, "data._id")
}

func TestEvents(t *testing.T) {
	s := newSite(t)
	for _, slug := range []string{anna, ben} {
		s.addUsers(slug)
	}
	admin := s.signIn(anna, adminEmail)
	public, asAdmin, other := s.listen(t, anna, "/api/faq/_events"), s.listen(t, anna, "/api/faq/_events", admin), s.listen(t, ben, "/api/faq/_events")
	const body = `{"question":{"en":"Q"},"answer":{"en":"A"}}`
	s.write(t, anna, "POST", "/api/newscategory", `{"name":{"en":"another collection"}}`, admin)
	id := s.write(t, anna, "POST", "/api/faq", body, admin)
	first := asAdmin.wantChange("create", id) // and nobody else hears of what is not public
	for _, change := range []struct{ method, body, admin, public string }{
		{"PUT", `{"order":5}`, "update", "none"},
		{"PUT", `{"isPublished":true}`, "update", "create"},
		{"PUT", `{"order":6}`, "update", "update"},
		{"PUT", `{"isActive":false}`, "update", "delete"},
		{"PUT", `{"order":7}`, "update", "none"},
		{"PUT", `{"isActive":true}`, "update", "create"},
		{"DELETE", "", "delete", "delete"},
	} {
		s.write(t, anna, change.method, "/api/faq/"+id, change.body, admin)
		asAdmin.wantChange(change.admin, id)
		if change.public != "none" {
			public.wantChange(change.public, id)
		}
	}
	// The other tenant hears its own alone.
	s.write(t, ben, "POST", "/api/faq", strings.Replace(body, "{", `{"isPublished":true,`, 1), s.signIn(ben, adminEmail))
	other.want("id: ")
	other.want("event: change")
	if len(other.lines) > 1 {
		t.Errorf("the other tenant hears more than its own: %q", <-other.lines)
	}
	// Who comes back hears what was missed, or that it is not known any more.
	back := s.listen(t, anna, "/api/faq/_events", admin, "Last-Event-ID: "+first)
	for range 6 {
		back.wantChange("update", id)
	}
	back.wantChange("delete", id)
	for _, unknown := range []string{"abc-1", "1", "x.", first + ".AAAA", first + ".", "-", other.last.Load().(string)} {
		lost := s.listen(t, anna, "/api/faq/_events", "Last-Event-ID: "+unknown)
		if unknown == first+"." {
			lost.wantChange("create", id)
			continue
		}
		lost.want("id: ")
		lost.want("event: reset")
	}
	if l := s.listen(t, anna, "/api/contact/_events"); l.status != 401 {
		t.Errorf("nobody hears of messages with status %d", l.status)
	}
	if l := s.listen(t, anna, "/api/contact/_events", s.signIn(anna, userEmail)); l.status != 403 {
		t.Errorf("a user hears of messages with status %d", l.status)
	}
	// Streams end with the server.
	s.api.EndStreams()
	for _, l := range []*listening{public, asAdmin, back} {
		l.wantEnd()
	}
	if l := s.listen(t, anna, "/api/faq/_events"); l.status != 503 {
		t.Errorf("after the end one may listen: %d", l.status)
	}
}

// Owners hear of what is theirs, and of what is public, and of nothing else.
func TestEventsOfOwners(t *testing.T) {
	s := newSite(t)
	s.addUsers(anna)
	if err := s.api.CreateUser(t.Context(), s.tenant(anna), "Another", "another@example.test", password, "user"); err != nil {
		t.Fatal(err)
	}
	admin, user := s.signIn(anna, adminEmail), s.signIn(anna, userEmail)
	public, own, another := s.listen(t, anna, "/api/comments/_events"), s.listen(t, anna, "/api/comments/_events", user),
		s.listen(t, anna, "/api/comments/_events", s.signIn(anna, "another@example.test"))
	id := s.write(t, anna, "POST", "/api/comments", `{"comment":"mine"}`, user)
	own.wantChange("create", id)
	s.write(t, anna, "PUT", "/api/comments/"+id+"/toggle", "", admin)
	own.wantChange("update", id)
	public.wantChange("create", id)
	another.wantChange("create", id)
	s.write(t, anna, "PUT", "/api/comments/"+id+"/toggle", "", admin)
	own.wantChange("update", id)
	public.wantChange("delete", id)
	another.wantChange("delete", id)
	s.write(t, anna, "DELETE", "/api/comments/"+id, "", user)
	own.wantChange("delete", id)
	anonymous := s.write(t, anna, "POST", "/api/comments", `{"comment":"nobody's"}`)
	s.write(t, anna, "PUT", "/api/comments/"+anonymous+"/toggle", "", admin)
	for _, l := range []*listening{public, own, another} {
		l.wantChange("create", anonymous)
	}
}

// Rights that the models give are looked at anew when the models are.
func TestEventsEndWithTheModels(t *testing.T) {
	s := newSite(t)
	public := s.listen(t, anna, "/api/faq/_events")
	if err := s.api.ReloadModels(); err != nil {
		t.Fatal(err)
	}
	public.wantEnd()
	s.listen(t, anna, "/api/faq/_events", "Last-Event-ID: "+public.last.Load().(string))
}
