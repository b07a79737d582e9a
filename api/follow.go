package api

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.uber.org/zap"

	"metahub/api/model"
	"metahub/store"
	"metahub/tenant"
)

const (
	// A change stream that has ended is begun again after firstPause, and after twice as long each time that this fails, up to lastPause.
	firstPause = time.Second
	lastPause  = 30 * time.Second
	// noChangesPause is how long a database that has no change streams is left alone.
	noChangesPause = 5 * time.Minute
)

// followChanges reads a tenant's change stream until ctx ends, one for all of the tenant's listeners. While the database has none, or
// none yet, they hear of the writes through here.
func (a *API) followChanges(ctx context.Context, t *tenant.Tenant, s *source) {
	log := a.log.With(zap.String("tenant", t.Slug))
	pause := firstPause
	for ctx.Err() == nil {
		collections, fields := a.resources.Load().models.Watched()
		err := a.store.Watch(ctx, t, store.Watch{
			Stages: stages(collections, fields),
			After:  s.after(),
			Opened: func() { pause = firstPause; s.opened() },
			Heard: func(change, token bson.Raw) {
				e := changeOf(change, fields)
				a.recall.heard(t.Slug, e, collections, a.now()) // before the listeners, who ask for what has changed
				s.heard(newPosition(t, token), e)
			},
		})
		wait := pause
		switch {
		case ctx.Err() != nil:
			return
		case errors.Is(err, store.ErrNoChanges):
			s.none()
			if t.Database.Embedded() {
				return
			}
			log.Info("listeners hear of the writes through this gateway alone", zap.Error(err))
			wait = noChangesPause
		case errors.Is(err, store.ErrPositionLost):
			s.lose()
			log.Info("listeners have to read all again", zap.Error(err))
		default:
			s.broke(pause == lastPause)
			log.Debug("the change stream has ended", zap.Error(err))
		}
		pause = min(2*pause, lastPause)
		sleep(ctx, wait/2+rand.N(wait/2)) // apart from the others whose streams have ended with this one
	}
}

func sleep(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// stages leave of a database's changes those of some collections, and of their documents some fields: nothing else is sent.
func stages(collections, fields []string) mongo.Pipeline {
	kept := bson.D{}
	for _, path := range []string{"_id", "operationType", "ns", "documentKey", "updateDescription.removedFields"} {
		kept = append(kept, bson.E{Key: path, Value: 1})
	}
	for _, field := range fields {
		kept = append(kept, bson.E{Key: "fullDocument." + field, Value: 1}, bson.E{Key: "updateDescription.updatedFields." + field, Value: 1})
	}
	ours := bson.D{{Key: "ns.coll", Value: bson.D{{Key: "$in", Value: collections}}}}
	all := bson.D{{Key: "operationType", Value: bson.D{{Key: "$in", Value: bson.A{"dropDatabase", "invalidate"}}}}}
	return mongo.Pipeline{
		{{Key: "$match", Value: bson.D{{Key: "$or", Value: bson.A{ours, all}}}}},
		{{Key: "$project", Value: kept}},
	}
}

// changeOf reads a change stream's document (https://www.mongodb.com/docs/manual/reference/change-events/). It returns nil for what is
// none of ours.
func changeOf(change bson.Raw, fields []string) *event {
	if change == nil {
		return nil
	}
	operation, _ := change.Lookup("operationType").StringValueOK()
	e := &event{collection: text(change, "ns", "coll")}
	if id, ok := change.Lookup("documentKey", "_id").ObjectIDOK(); ok {
		e.document = id.Hex()
	}
	now, there := change.Lookup("fullDocument").DocumentOK()
	e.after = sight{known: true}
	if there {
		e.after.fields = now
	}
	switch operation {
	case "insert":
		e.op, e.before = "create", sight{known: true}
	case "update", "replace":
		e.op = "update"
		if description, ok := change.Lookup("updateDescription").DocumentOK(); ok && there && !model.Touches(fields, description) {
			e.before = e.after
		}
	case "delete":
		e.op = "delete"
	case "drop", "rename":
		e.op = "reset"
	case "dropDatabase", "invalidate":
		e.op, e.collection = "reset", ""
	default:
		return nil
	}
	return e
}

func text(document bson.Raw, path ...string) string {
	s, _ := document.Lookup(path...).StringValueOK()
	return s
}

// after returns the token that the stream goes on from.
func (s *source) after() bson.Raw {
	s.bus.mu.Lock()
	defer s.bus.mu.Unlock()
	return s.channel.position.token
}

// opened says that the stream tells of what is written from now on.
func (s *source) opened() {
	s.bus.mu.Lock()
	defer s.bus.mu.Unlock()
	s.live = time.Now()
}

// heard says that the stream has come to a position, with a change or without.
func (s *source) heard(at position, e *event) {
	s.bus.mu.Lock()
	defer s.bus.mu.Unlock()
	if s.channel.source != s {
		return // the last listener has left: who comes back goes on from before
	}
	first := s.channel.position.token == nil
	s.channel.position = at
	if e != nil {
		s.channel.append(*e)
	}
	for l := range s.channel.listeners {
		if first {
			l.poke() // so that its client can come back to it
		}
	}
}

// broke says that the stream has ended. It will go on from its position. Where there is none, or it has failed for long, nobody knows
// what has changed, and the writes through here are told again.
func (s *source) broke(forLong bool) {
	s.bus.mu.Lock()
	lost := !s.live.IsZero() && (forLong || s.channel.position.token == nil)
	s.bus.mu.Unlock()
	if lost {
		s.lose()
	}
}

// lose says that nobody knows what has changed since the stream's position.
func (s *source) lose() {
	s.bus.mu.Lock()
	defer s.bus.mu.Unlock()
	if s.channel.source != s {
		return
	}
	s.live = time.Time{}
	s.channel.forget(position{})
	s.channel.append(event{op: "reset"})
}

// none says that there is no stream.
func (s *source) none() {
	s.bus.mu.Lock()
	streamed := !s.live.IsZero() || s.channel.position.token != nil
	s.bus.mu.Unlock()
	if streamed {
		s.lose()
	}
}
