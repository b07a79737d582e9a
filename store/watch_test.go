package store_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/x/bsonx/bsoncore"

	"metahub/bench/mongod"
	"metahub/store"
	"metahub/tenant"
)

// watching is a Watch that runs.
type watching struct {
	t      *testing.T
	cancel context.CancelFunc
	opened chan struct{}
	heard  chan [2]bson.Raw // change and token
	ended  chan error
}

func watch(t *testing.T, s *store.Store, of *tenant.Tenant, after bson.Raw) *watching {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	w := &watching{t, cancel, make(chan struct{}, 1), make(chan [2]bson.Raw, 1000), make(chan error, 1)}
	done := make(chan struct{})
	go func() {
		defer close(done)
		w.ended <- s.Watch(ctx, of, store.Watch{
			Stages: mongo.Pipeline{{{Key: "$match", Value: bson.D{}}}},
			After:  after,
			Opened: func() { w.opened <- struct{}{} },
			Heard:  func(change, token bson.Raw) { w.heard <- [2]bson.Raw{change, token} },
		})
	}()
	t.Cleanup(func() { cancel(); <-done })
	return w
}

func (w *watching) wantOpened() {
	w.t.Helper()
	select {
	case <-w.opened:
	case err := <-w.ended:
		w.t.Fatalf("the stream does not open: %v", err)
	case <-time.After(30 * time.Second):
		w.t.Fatal("the stream does not open")
	}
}

// next returns the operation of the next change, and the token behind it.
func (w *watching) next() (operation string, token bson.Raw) {
	w.t.Helper()
	for {
		select {
		case heard := <-w.heard:
			if heard[0] != nil {
				return heard[0].Lookup("operationType").StringValue(), heard[1]
			}
		case err := <-w.ended:
			w.t.Fatalf("the stream has ended: %v", err)
		case <-time.After(30 * time.Second):
			w.t.Fatal("no change comes")
		}
	}
}

func (w *watching) wantError(what string, is func(error) bool) {
	w.t.Helper()
	select {
	case err := <-w.ended:
		if !is(err) {
			w.t.Errorf("%s: the stream ends with %v", what, err)
		}
	case <-time.After(30 * time.Second):
		w.t.Fatalf("%s: the stream does not end", what)
	}
}

func startChanges(t *testing.T) (*mongod.Server, *mongod.Changes) {
	t.Helper()
	changes := &mongod.Changes{}
	server, err := mongod.Start(func(ctx context.Context, command bsoncore.Document) bsoncore.Document {
		database, _ := command.Lookup("$db").StringValueOK() // which is named after its tenant
		switch comment, _ := command.Lookup("comment").StringValueOK(); mongod.Name(command) {
		case "aggregate", "getMore":
			if comment != database {
				t.Errorf("a %s of %q has the comment %q", mongod.Name(command), database, comment)
			}
		}
		return changes.Answer(ctx, command)
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	return server, changes
}

func TestWatch(t *testing.T) {
	server, changes := startChanges(t)
	s := open(t, store.Config{})
	one, other := newTenant("one", server.URI("one")), newTenant("other", server.URI("other"))
	w, o := watch(t, s, one, nil), watch(t, s, other, nil)
	w.wantOpened()
	o.wantOpened()
	for _, operation := range []string{"insert", "update"} {
		changes.Add("one", "products", operation, nil)
	}
	changes.Add("other", "products", "delete", nil)
	_, first := w.next()
	if operation, _ := w.next(); operation != "update" {
		t.Errorf("the second change is %q", operation)
	}
	if operation, _ := o.next(); operation != "delete" {
		t.Errorf("the other database's first change is %q", operation)
	}
	again := watch(t, s, one, first)
	again.wantOpened()
	if operation, _ := again.next(); operation != "update" {
		t.Errorf("behind the first change is %q", operation)
	}
	if status := s.Status()[0]; status.Watches != 3 || status.InFlight != 0 {
		t.Errorf("the status has %d streams and %d operations, want 3 and none", status.Watches, status.InFlight)
	}
	changes.Forget()
	watch(t, s, one, first).wantError("a position that is lost", func(err error) bool { return errors.Is(err, store.ErrPositionLost) })

	// What ends says so, and is told to the server.
	w.cancel()
	w.wantError("the end", func(err error) bool { return errors.Is(err, context.Canceled) })
	eventually(t, "the server has two streams", func() bool { return changes.Open() == 2 })
	if err := s.Close(t.Context()); err != nil {
		t.Errorf("close with streams open: %v", err)
	}
	unavailable := func(err error) bool { return errors.As(err, new(*store.Unavailable)) }
	o.wantError("the store's end", unavailable)
	again.wantError("the store's end", unavailable)
}

func TestWatchWithoutChanges(t *testing.T) {
	server, changes := startChanges(t)
	changes.Refuse(true)
	s := open(t, store.Config{})
	none := func(err error) bool { return errors.Is(err, store.ErrNoChanges) }
	watch(t, s, newTenant("a", server.URI("a")), nil).wantError("a server without change streams", none)
	watch(t, s, newTenant("b", ""), nil).wantError("the embedded database", none)
	watch(t, s, newTenant("c", refused(t)), nil).wantError("a server that is not there", func(err error) bool {
		return errors.As(err, new(*store.Unavailable))
	})
	if len(s.Status()) == 0 || changes.Open() != 0 {
		t.Errorf("%d streams are open", changes.Open())
	}
}

// A stream ends with its connection, its cursor or its server, and goes on from where it was. Operations do not wait for it.
func TestWatchThatBreaks(t *testing.T) {
	server, changes := startChanges(t)
	s := open(t, store.Config{})
	one := newTenant("one", server.URI("one"))
	w := watch(t, s, one, nil)
	w.wantOpened()
	changes.Add("one", "products", "insert", nil)
	_, at := w.next()
	changes.Drop()
	changes.Add("one", "products", "update", nil)
	if operation, token := w.next(); operation != "update" { // the driver begins again by itself
		t.Errorf("after the server's start comes %q", operation)
	} else {
		at = token
	}
	if err := server.Behave(mongod.Hanging); err != nil {
		t.Fatal(err)
	}
	server.Cut()
	w.wantError("a server that hangs", func(err error) bool { return err != nil })
	if err := server.Behave(mongod.Answering); err != nil {
		t.Fatal(err)
	}
	server.Cut()
	changes.Add("one", "products", "delete", nil)
	eventually(t, "the deployment is there again", func() bool { return s.Status()[0].Available })
	again := watch(t, s, one, at)
	again.wantOpened()
	if operation, _ := again.next(); operation != "delete" {
		t.Errorf("from where it was comes %q", operation)
	}
}

// Who leaves while the server begins a stream leaves none behind there, and waits for no server that does not answer.
func TestWatchLeftBeforeItOpens(t *testing.T) {
	changes := &mongod.Changes{}
	asked, answer := make(chan struct{}, 1), make(chan struct{})
	server, err := mongod.Start(func(ctx context.Context, command bsoncore.Document) bsoncore.Document {
		reply := changes.Answer(ctx, command)
		if mongod.Name(command) == "aggregate" {
			asked <- struct{}{}
			select {
			case <-answer:
			case <-ctx.Done():
			}
		}
		return reply
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	s := open(t, store.Config{})
	one := newTenant("one", server.URI("one"))
	canceled := func(err error) bool { return errors.Is(err, context.Canceled) }

	w := watch(t, s, one, nil)
	<-asked
	begun := time.Now()
	w.cancel()
	w.wantError("a server that does not answer", canceled)
	if took := time.Since(begun); took > 10*time.Second {
		t.Errorf("it took %v to leave a server that does not answer", took)
	}

	left := watch(t, s, one, nil)
	<-asked
	left.cancel()
	close(answer)
	left.wantError("a stream that opens too late", canceled)
	eventually(t, "the server has only the stream whose answer it has kept back", func() bool { return changes.Open() == 1 })
	if status := s.Status()[0]; !status.Available || status.Watches != 0 {
		t.Errorf("the status is %+v", status)
	}
}
