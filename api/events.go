package api

import (
	"bufio"
	"fmt"
	"slices"
	"time"

	"github.com/valyala/fasthttp"
	"go.mongodb.org/mongo-driver/v2/bson"

	"metahub/api/model"
)

const (
	// heartbeat is how often a stream says that it is there: proxies end connections that are silent.
	heartbeat = 20 * time.Second
	// streamLife is after how long a stream ends. The rights of its client are looked at with each heartbeat.
	streamLife = 15 * time.Minute
)

// listen streams the changes of a collection (Server-Sent Events, HTML §9.2). A client hears of the documents that it may read: which
// they are, and nothing of what they hold, which is read where it is decided who may see it.
func (a *API) listen(m *model.Model) handler {
	return func(r *request) (reply, error) {
		eyes, err := a.eyesOf(r, m)
		if err != nil {
			return reply{}, err
		}
		if r.http.IsHead() {
			return reply{status: fasthttp.StatusOK, events: func(*bufio.Writer) {}}, nil
		}
		l, ok := a.events.listen(r.tenant, m.Collection, string(r.http.Request.Header.Peek("Last-Event-ID")))
		if !ok {
			return reply{}, &Error{Status: 503, Code: "unavailable", Message: "Too many listen already. Try again in a moment.", RetryAfter: heartbeat}
		}
		stands := a.standing(r)
		slug := r.tenant.Slug // the request is recycled while the stream runs
		stop := a.onLeave(r.http.Conn(), func() { a.events.leave(slug, l) })
		return reply{status: fasthttp.StatusOK, events: func(w *bufio.Writer) {
			defer a.events.leave(slug, l)
			defer stop()
			s := stream{w: w, bus: a.events, slug: slug, listener: l, eyes: eyes, stands: stands}
			s.run(a.heartbeat)
		}}, nil
	}
}

// eyes see what of a model one client is shown.
type eyes struct {
	model *model.Model
	scope model.Scope
	views []*model.View
	admin bool
}

// eyesOf returns what the client may read: all that admins see, or what is public and what it owns.
func (a *API) eyesOf(r *request, m *model.Model) (eyes, error) {
	e := eyes{model: m, scope: r.scope()}
	c, err := a.authenticate(r)
	if err == nil && c.may(m, reads, m.Roles) {
		e.admin, e.views = true, []*model.View{m.Admin}
		return e, nil
	}
	if m.Public != nil {
		e.views = append(e.views, m.Public)
	}
	if err == nil && m.Own != nil && c.mayAs(m.OwnerRoles) {
		e.scope.User = c.id
		e.views = append(e.views, m.Own)
	}
	switch {
	case len(e.views) > 0:
		return e, nil
	case err != nil:
		return e, err
	}
	return e, errForbidden
}

// see reports whether a document is or was one that the client is shown.
func (e *eyes) see(s sight) bool {
	return s.fields != nil && slices.ContainsFunc(e.views, func(v *model.View) bool { return e.model.Shows(e.scope, v, s.fields) })
}

// told is what of a change a client may know: the operation as it looks to the client, and on which document. The operation is empty
// where it was on a document that the client may have seen, and "unseen" where it was on none.
func (e *eyes) told(change event) (op, document string) {
	is, was := e.see(change.after), e.see(change.before)
	switch {
	case is && (was || !change.before.known):
		return "update", change.document
	case is:
		return "create", change.document
	case was:
		return "delete", change.document
	case change.before.known:
		return unseen, ""
	case e.admin && change.op == "delete":
		return "delete", change.document // the database is the tenant's own
	}
	return "", ""
}

const unseen = "unseen"

// stream writes events to one client.
type stream struct {
	w        *bufio.Writer
	bus      *bus
	slug     string
	listener *listener
	eyes     eyes
	stands   func() bool // the client may still do what it might
	placed   bool        // the client knows where it is in the database's change stream
	buffer   []byte
}

func (s *stream) run(heartbeat time.Duration) {
	fmt.Fprint(s.w, "retry: 3000\n")
	end, beat := time.NewTimer(streamLife), time.NewTicker(heartbeat)
	defer end.Stop()
	defer beat.Stop()
	for beats := true; s.tell(beats) && s.w.Flush() == nil; {
		beats = false
		select {
		case <-s.listener.wake:
		case <-beat.C:
			if !s.stands() {
				return
			}
			beats = true
		case <-end.C:
			return
		}
	}
}

// tell writes what there is to tell, and now and then where the client is with that; not with each change that it may not know of. It
// reports false when the stream is over.
func (s *stream) tell(where bool) bool {
	events, at, lost, ended := s.bus.take(s.slug, s.listener)
	for _, e := range events {
		if op, document := s.eyes.told(e); op != unseen {
			s.write(e.id, "change", op, document)
		}
	}
	if lost { // the client has to read everything again
		s.write(at, "reset", "", "")
	}
	if where || !s.placed && at.at.text != "" {
		s.placed = at.at.text != ""
		s.buffer = append(at.append(append(s.buffer[:0], "id: "...)), "\n\n"...)
		_, _ = s.w.Write(s.buffer)
	}
	return !ended
}

func (s *stream) write(id eventID, name, op, document string) {
	b := append(id.append(append(s.buffer[:0], "id: "...)), "\nevent: "...)
	b = append(append(b, name...), "\ndata: {"...)
	if op != "" {
		b = append(append(append(b, `"op":"`...), op...), `","id":"`...)
		b = append(append(b, document...), '"')
	}
	s.buffer = append(b, "}\n\n"...)
	_, _ = s.w.Write(s.buffer)
}

// tell tells those who listen of a write: what the document was before, and is now. nil is none.
func (a *API) tell(r *request, m *model.Model, op string, before, after bson.Raw) {
	if !a.events.heeded(r.tenant.Slug) {
		return
	}
	e := event{collection: m.Collection, op: op, before: r.resources.sightOf(before), after: r.resources.sightOf(after)}
	for _, document := range []bson.Raw{before, after} {
		if id, ok := document.Lookup("_id").ObjectIDOK(); ok {
			e.document = id.Hex()
		}
	}
	a.events.publish(r.tenant.Slug, r.began, e)
}

// sightOf keeps of a document, or of none, what says who is shown it.
func (r *resources) sightOf(document bson.Raw) sight {
	if document == nil {
		return sight{known: true}
	}
	kept := bson.D{}
	for _, name := range r.watched {
		if v, err := document.LookupErr(name); err == nil {
			kept = append(kept, bson.E{Key: name, Value: v})
		}
	}
	raw, err := bson.Marshal(kept)
	return sight{known: err == nil, fields: raw}
}

// EndStreams ends all streams of events. A server that stops does so first: they would hold it up.
func (a *API) EndStreams() { a.events.end() }
