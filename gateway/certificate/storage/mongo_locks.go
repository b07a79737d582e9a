package storage

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
)

// mongoLocks is the lockTable in MongoDB. Every holding of a lock is a document of its own, whose _id ends with its token; the one with the
// highest token is in force. To become the holder is to insert the next token, which succeeds for one only, with any server that keeps _id
// unique. A document has one writer, its holder. The last one of a lock stays, marked as free, so that tokens go on.
type mongoLocks struct {
	claims *mongo.Collection
	fault  func(what string, err error) error
}

type mongoClaim struct {
	ID       string `bson:"_id"` // name#token, the token in 16 hexadecimal digits
	Token    int64  `bson:"token"`
	Owner    string `bson:"owner"`
	Renewals int64  `bson:"renewals"`
	Free     bool   `bson:"free"`
	Holder   string `bson:"holder"` // for people
}

func (c mongoClaim) sighting() sighting {
	return sighting(c.ID + " " + c.Owner + " " + strconv.FormatInt(c.Renewals, 10))
}

func (t *mongoLocks) take(ctx context.Context, name string, dead sighting) (claim, sighting, error) {
	last, err := t.last(ctx, name)
	if err != nil {
		return claim{}, "", err
	}
	if last.Token != 0 && !last.Free && last.sighting() != dead {
		return claim{}, last.sighting(), nil
	}
	c := claim{token: last.Token + 1, owner: randomID()}
	doc := mongoClaim{ID: claimID(name, c.token), Token: c.token, Owner: c.owner, Holder: thisProcess()}
	if _, err := t.claims.InsertOne(ctx, doc); mongo.IsDuplicateKeyError(err) {
		return claim{}, sighting(doc.ID), nil // another was faster
	} else if err != nil {
		t.abandon(ctx, name, c)
		return claim{}, "", t.fault("cannot take a lock", err)
	}
	// Whoever slept since it looked may have inserted a token that was given and cleared away already.
	switch err := t.stillOurs(ctx, name, c); {
	case errors.Is(err, errTaken):
		t.remove(ctx, name, c)
		return claim{}, sighting(doc.ID), nil
	case err != nil:
		t.abandon(ctx, name, c)
		return claim{}, "", err
	}
	if last.Token != 0 {
		t.clearBelow(ctx, name, c.token)
	}
	return c, "", nil
}

func (t *mongoLocks) renew(ctx context.Context, name string, c claim) error {
	if err := t.set(ctx, name, c, bson.D{{Key: "renewals", Value: c.renewals}}); err != nil {
		return err
	}
	return t.stillOurs(ctx, name, c)
}

func (t *mongoLocks) release(ctx context.Context, name string, c claim) error {
	return t.set(ctx, name, c, bson.D{{Key: "free", Value: true}})
}

// set changes the document of c, if it is there.
func (t *mongoLocks) set(ctx context.Context, name string, c claim, fields bson.D) error {
	own := bson.D{{Key: "_id", Value: claimID(name, c.token)}, {Key: "owner", Value: c.owner}}
	result, err := t.claims.UpdateOne(ctx, own, bson.D{{Key: "$set", Value: fields}})
	if err != nil {
		return t.fault("cannot write a lock", err)
	}
	if result.MatchedCount == 0 {
		return errTaken
	}
	return nil
}

// stillOurs fails with errTaken when c is not in force.
func (t *mongoLocks) stillOurs(ctx context.Context, name string, c claim) error {
	last, err := t.last(ctx, name)
	if err != nil {
		return err
	}
	if last.Token != c.token || last.Owner != c.owner {
		return errTaken
	}
	return nil
}

// last returns the claim in force; its token is zero when there has been none.
func (t *mongoLocks) last(ctx context.Context, name string) (mongoClaim, error) {
	var c mongoClaim
	all := bson.D{{Key: "_id", Value: bson.D{{Key: "$gte", Value: claimID(name, 0)}, {Key: "$lte", Value: claimID(name, 1<<63-1)}}}}
	err := t.claims.FindOne(ctx, all, options.FindOne().SetSort(bson.D{{Key: "_id", Value: -1}})).Decode(&c)
	if err != nil && !errors.Is(err, mongo.ErrNoDocuments) {
		return mongoClaim{}, t.fault("cannot read a lock", err)
	}
	return c, nil
}

// abandon frees a claim that may have been inserted although we were told otherwise; without it others would wait for the lease's end.
func (t *mongoLocks) abandon(ctx context.Context, name string, c claim) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), abandonTimeout)
	defer cancel()
	t.release(ctx, name, c)
}

func (t *mongoLocks) remove(ctx context.Context, name string, c claim) {
	t.claims.DeleteOne(ctx, bson.D{{Key: "_id", Value: claimID(name, c.token)}, {Key: "owner", Value: c.owner}})
}

// clearBelow removes the claims before ours. A fault leaves them, which harms nobody, to the next holder.
func (t *mongoLocks) clearBelow(ctx context.Context, name string, token int64) {
	t.claims.DeleteMany(ctx, bson.D{{Key: "_id", Value: bson.D{{Key: "$gte", Value: claimID(name, 0)}, {Key: "$lt", Value: claimID(name, token)}}}})
}

// claimID orders the claims to a lock by their tokens. Names hold no "#".
func claimID(name string, token int64) string { return fmt.Sprintf("%s#%016x", name, token) }
