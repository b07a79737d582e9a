package api

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"

	"metahub/store"
	"metahub/tenant"
)

const (
	// ticketCollection holds what was sent by mail and not used yet, in the tenant's own database.
	ticketCollection = "metahub_tickets"
	ticketLifetime   = 15 * time.Minute
	// maxCodeTries is how many wrong codes a ticket outlives.
	maxCodeTries = 5
)

var ticketIndexes = []store.Index{{Fields: []string{"user"}}, {Fields: []string{"purpose", "email"}}, {Fields: []string{"expires"}}}

// purpose is what a ticket is good for, and for nothing else.
type purpose string

const (
	resetTicket  purpose = "reset"  // a new password, by a link
	verifyTicket purpose = "verify" // showing that the address is the user's, by a link
	codeTicket   purpose = "code"   // signing in, by six digits
)

// ticket is a mail's right to do something once. Of its secret only a hash is kept, under a key that the database does not have: six digits
// would be guessed from a hash alone.
type ticket struct {
	ID      bson.ObjectID `bson:"_id"`
	Purpose purpose       `bson:"purpose"`
	User    bson.ObjectID `bson:"user"`
	Email   string        `bson:"email"` // as it was: who has another one now has another ticket
	Hash    string        `bson:"hash"`
	Tries   int32         `bson:"tries"`
	Expires bson.DateTime `bson:"expires"`
}

var errBadTicket = &Error{Status: 400, Code: "bad_token", Message: "This link or code is not valid, or not any more: ask for a new one."}

// hash is what is kept of a secret.
func (k *ticket) hash(t *tenant.Tenant, secret string) string {
	mac := hmac.New(sha256.New, []byte(t.JWTSecret.Reveal()))
	fmt.Fprintf(mac, "metahub ticket %s %s %s %s", t.Slug, k.Purpose, k.ID.Hex(), secret)
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// issueTicket makes a ticket for a user, in place of the one before of the same purpose, and returns what the mail says: the ticket and its
// secret for a link, or a code.
func (a *API) issueTicket(ctx context.Context, t *tenant.Tenant, indexes *indexed, for_ purpose, user bson.ObjectID, email string) (text string, err error) {
	k := ticket{ID: bson.ObjectID(random(len(bson.ObjectID{}))), Purpose: for_, User: user, Email: email, Expires: bson.NewDateTimeFromTime(a.now().Add(ticketLifetime))}
	secret := base64.RawURLEncoding.EncodeToString(random(secretSize))
	text = k.ID.Hex() + "." + secret
	if for_ == codeTicket {
		if secret, err = newCode(); err != nil {
			return "", err
		}
		text = secret
	}
	k.Hash = k.hash(t, secret)
	if err := a.ensure(ctx, indexes, t, ticketCollection, ticketIndexes); err != nil {
		return "", err
	}
	return text, a.store.Do(ctx, t, func(ctx context.Context, db *mongo.Database) error {
		tickets := db.Collection(ticketCollection)
		over := bson.D{{Key: "$or", Value: bson.A{
			bson.D{{Key: "expires", Value: bson.D{{Key: "$lte", Value: bson.NewDateTimeFromTime(a.now())}}}},
			bson.D{{Key: "purpose", Value: for_}, {Key: "user", Value: user}},
		}}}
		if _, err := tickets.DeleteMany(ctx, over); err != nil {
			return err
		}
		_, err := tickets.InsertOne(ctx, k)
		return err
	})
}

// newCode returns six digits.
func newCode() (string, error) {
	n, err := rand.Int(rand.Reader, big.NewInt(1_000_000))
	return fmt.Sprintf("%06d", n), err
}

// findTicket reads the ticket of a link and leaves it there. Its error is errBadTicket where there is none that is good.
func (a *API) findTicket(r *request, for_ purpose, text string) (k ticket, err error) {
	id, secret, _ := strings.Cut(text, ".")
	k.ID, _ = objectID([]byte(id))
	k.Purpose = for_
	hash := k.hash(r.tenant, secret)
	err = a.tickets(r, func(ctx context.Context, tickets *mongo.Collection) error {
		return tickets.FindOne(ctx, a.good(bson.E{Key: "_id", Value: k.ID}, bson.E{Key: "purpose", Value: for_})).Decode(&k)
	})
	if err == nil && subtle.ConstantTimeCompare([]byte(hash), []byte(k.Hash)) != 1 {
		err = mongo.ErrNoDocuments
	}
	return k, ticketError(err)
}

// findCode reads the ticket of a code, which counts as a try, and leaves it there.
func (a *API) findCode(r *request, email, code string) (k ticket, err error) {
	tried := bson.D{{Key: "$inc", Value: bson.D{{Key: "tries", Value: 1}}}}
	err = a.tickets(r, func(ctx context.Context, tickets *mongo.Collection) error {
		left := bson.E{Key: "tries", Value: bson.D{{Key: "$lt", Value: maxCodeTries}}}
		return tickets.FindOneAndUpdate(ctx, a.good(bson.E{Key: "purpose", Value: codeTicket}, bson.E{Key: "email", Value: email}, left), tried).Decode(&k)
	})
	if err == nil && subtle.ConstantTimeCompare([]byte(k.hash(r.tenant, code)), []byte(k.Hash)) != 1 {
		err = mongo.ErrNoDocuments
	}
	return k, ticketError(err)
}

// useTicket uses a ticket up. Of several who try at once it is good for one.
func (a *API) useTicket(r *request, k ticket) error {
	return ticketError(a.tickets(r, func(ctx context.Context, tickets *mongo.Collection) error {
		return tickets.FindOneAndDelete(ctx, a.good(bson.E{Key: "_id", Value: k.ID}, bson.E{Key: "hash", Value: k.Hash})).Err()
	}))
}

// good narrows a filter to tickets whose time is not up.
func (a *API) good(filter ...bson.E) bson.D {
	return append(filter, bson.E{Key: "expires", Value: bson.D{{Key: "$gt", Value: bson.NewDateTimeFromTime(a.now())}}})
}

func (a *API) tickets(r *request, do func(context.Context, *mongo.Collection) error) error {
	return a.store.Do(r.ctx, r.tenant, func(ctx context.Context, db *mongo.Database) error {
		return do(ctx, db.Collection(ticketCollection))
	})
}

func ticketError(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, mongo.ErrNoDocuments):
		return errBadTicket
	}
	return fmt.Errorf("use a ticket: %w", err)
}
