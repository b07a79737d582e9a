package api

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.uber.org/zap"

	"metahub/store"
	"metahub/tenant"
)

const (
	// onceCollection holds what was answered to requests with an Idempotency-Key, in the tenant's own database.
	onceCollection = "metahub_once"
	onceHeader     = "Idempotency-Key"
	maxOnceKey     = 200
	// onceKept is how long an answer is kept, oncePending how long a request may take before it counts as lost with its process.
	onceKept    = 24 * time.Hour
	oncePending = time.Minute
)

// onceIndexes find what is old.
var onceIndexes = []store.Index{{Fields: []string{"at"}}}

// onceRecord is a request that was sent with a key, and its answer once there is one.
type onceRecord struct {
	ID     string        `bson:"_id"`
	At     bson.DateTime `bson:"at"`
	Hash   []byte        `bson:"hash"` // of the body
	Status int           `bson:"status,omitempty"`
	Body   []byte        `bson:"body,omitempty"`
}

// once makes a handler do a request with an Idempotency-Key once: who sends it again, because no answer came, gets the answer that there
// was. A key belongs to the caller and the address. What was refused is not kept: nothing was done.
func (a *API) once(handle handler) handler {
	return func(r *request) (reply, error) {
		key := r.http.Request.Header.Peek(onceHeader)
		if len(key) == 0 {
			return handle(r)
		}
		if len(key) > maxOnceKey {
			return reply{}, badRequest("The header %q must have at most %d bytes.", onceHeader, maxOnceKey)
		}
		text, err := readAll(r.http, bodyLimit(r))
		r.restartClock()
		if err != nil {
			return reply{}, err
		}
		r.http.Request.SetBody(text)
		c, _ := a.authenticate(r) // nobody is somebody too, where everybody may write
		fresh := onceRecord{ID: onceID(r, c, key), At: bson.NewDateTimeFromTime(a.now()), Hash: onceHash(r, text)}
		if err := a.ensure(r.ctx, &r.resources.indexed, r.tenant, onceCollection, onceIndexes); err != nil {
			return reply{}, err
		}
		before, err := a.claimOnce(r.ctx, r.tenant, fresh)
		if err != nil {
			return reply{}, fmt.Errorf("claim an idempotency key: %w", err)
		}
		if before != nil {
			return before.replay(fresh)
		}
		return a.doOnce(r, handle, fresh)
	}
}

func onceID(r *request, c caller, key []byte) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%q %q %q %q", r.tenant.Slug, c.name(), r.http.Path(), key))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

func onceHash(r *request, body []byte) []byte {
	h := sha256.New()
	h.Write(r.http.URI().QueryString())
	h.Write([]byte{0})
	h.Write(body)
	return h.Sum(nil)
}

// claimOnce notes that a request is being done. It returns the record of an earlier one with the same key, or nil.
func (a *API) claimOnce(ctx context.Context, t *tenant.Tenant, fresh onceRecord) (before *onceRecord, err error) {
	err = a.store.Do(ctx, t, func(ctx context.Context, db *mongo.Database) error {
		collection := db.Collection(onceCollection)
		lost := bson.D{{Key: "at", Value: bson.D{{Key: "$lt", Value: fresh.before(oncePending)}}}, {Key: "status", Value: nil}}
		old := bson.D{{Key: "at", Value: bson.D{{Key: "$lt", Value: fresh.before(onceKept)}}}}
		if _, err := collection.DeleteMany(ctx, bson.D{{Key: "$or", Value: bson.A{lost, old}}}); err != nil {
			return err
		}
		_, err := collection.InsertOne(ctx, fresh)
		if err == nil || !isDuplicate(err) {
			return err
		}
		before = &onceRecord{}
		return collection.FindOne(ctx, bson.D{{Key: "_id", Value: fresh.ID}}).Decode(before)
	})
	return before, err
}

func (o onceRecord) before(d time.Duration) bson.DateTime {
	return bson.NewDateTimeFromTime(o.At.Time().Add(-d))
}

// replay answers what was answered to the same request before.
func (o *onceRecord) replay(again onceRecord) (reply, error) {
	switch {
	case string(o.Hash) != string(again.Hash):
		return reply{}, &Error{Status: 422, Code: "idempotency_key_reused", Message: "This Idempotency-Key came with another body before: take a new one."}
	case o.Status == 0:
		return reply{}, &Error{Status: 409, Code: "conflict", Message: "The same request is still being done. Try again in a moment.", RetryAfter: time.Second}
	}
	return reply{status: o.Status, body: o.Body, replayed: true}, nil
}

// doOnce does the request and keeps its answer. Where that fails the request has been done all the same, and is answered.
func (a *API) doOnce(r *request, handle handler, fresh onceRecord) (reply, error) {
	answered, err := handle(r)
	if err == nil {
		fresh.Status = answered.status
		fresh.Body, err = r.envelope(nil, &answered)
	}
	ctx, cancel := context.WithTimeout(context.Background(), a.patience) // the request's own may have ended
	defer cancel()
	kept := a.store.Do(ctx, r.tenant, func(ctx context.Context, db *mongo.Database) error {
		record := bson.D{{Key: "_id", Value: fresh.ID}}
		if err != nil {
			_, err := db.Collection(onceCollection).DeleteOne(ctx, record)
			return err
		}
		answer := bson.D{{Key: "status", Value: fresh.Status}, {Key: "body", Value: fresh.Body}}
		_, err := db.Collection(onceCollection).UpdateOne(ctx, record, bson.D{{Key: "$set", Value: answer}})
		return err
	})
	if kept != nil {
		a.log.Warn("an answer is not kept under its Idempotency-Key", append(r.logFields(), zap.Error(kept))...)
	}
	if err != nil {
		return reply{}, err
	}
	return reply{status: fresh.Status, body: fresh.Body}, nil
}
