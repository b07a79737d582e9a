package api

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.uber.org/zap"

	"metahub/store"
)

const (
	// sessionCollection holds who is signed in, in the tenant's own database.
	sessionCollection = "metahub_sessions"
	// sessionLifetime is how long a session lives that is not refreshed.
	sessionLifetime = 30 * 24 * time.Hour
	// maxSessions bounds those of one user; the one that was refreshed longest ago ends.
	maxSessions = 20
	// turnGrace is how long after a refresh the token before it gives the same new one once more. Two tabs of a browser send the same cookie
	// at once, and an answer may be lost on its way; a thief that is so fast is noticed at the next refresh.
	turnGrace = 10 * time.Second
)

// sessionIndexes find a user's, and those that are over.
var sessionIndexes = []store.Index{{Fields: []string{"user"}}, {Fields: []string{"expires"}}}

// session is one sign-in and all its refreshes: the family of its refresh tokens. Of these only hashes are kept.
type session struct {
	ID      bson.ObjectID `bson:"_id"` // random, so that nobody can guess it
	User    bson.ObjectID `bson:"user"`
	Hash    string        `bson:"hash"`             // of the refresh token's secret
	Before  string        `bson:"before,omitempty"` // of the one before
	Salt    []byte        `bson:"salt,omitempty"`   // what this secret was made of, with the one before
	Created bson.DateTime `bson:"created"`
	Turned  bson.DateTime `bson:"turned"`
	Expires bson.DateTime `bson:"expires"`
}

// refreshToken names a session and proves the right to it: 12 and 32 random bytes. Each refresh gives the next one, and the one before is
// used up.
type refreshToken struct {
	session bson.ObjectID
	secret  []byte
}

const secretSize = 32

func random(size int) []byte {
	b := make([]byte, size)
	rand.Read(b) // never fails: the runtime ends the program instead
	return b
}

func (t refreshToken) String() string {
	return t.session.Hex() + "." + base64.RawURLEncoding.EncodeToString(t.secret)
}

func parseRefreshToken(text string) (t refreshToken, ok bool) {
	session, secret, _ := strings.Cut(text, ".")
	if t.session, ok = objectID([]byte(session)); !ok {
		return t, false
	}
	var err error
	t.secret, err = base64.RawURLEncoding.DecodeString(secret)
	return t, err == nil && len(t.secret) == secretSize
}

// hash is what is kept of the secret. It holds for one tenant, also where two have copies of one database.
func (t refreshToken) hash(slug string) string { return secretHash(slug, "refresh", t.secret) }

func secretHash(slug, purpose string, secret []byte) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "metahub %s %s %x", purpose, slug, secret))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// next is the token after t. It follows from t and the salt, so that t gives the same one again during the grace; who knows the database
// alone cannot make it.
func (t refreshToken) next(salt []byte) refreshToken {
	mac := hmac.New(sha256.New, t.secret)
	mac.Write(salt)
	return refreshToken{t.session, mac.Sum(nil)}
}

// openSession signs a user in.
func (a *API) openSession(r *request, user bson.ObjectID) (refreshToken, error) {
	token := refreshToken{bson.ObjectID(random(len(bson.ObjectID{}))), random(secretSize)}
	now := bson.NewDateTimeFromTime(a.now())
	s := session{
		ID: token.session, User: user, Hash: token.hash(r.tenant.Slug), Created: now, Turned: now,
		Expires: bson.NewDateTimeFromTime(a.now().Add(sessionLifetime)),
	}
	if err := a.ensure(r.ctx, &r.resources.indexed, r.tenant, sessionCollection, sessionIndexes); err != nil {
		return token, err
	}
	err := a.sessions(r, func(ctx context.Context, sessions *mongo.Collection) error {
		if _, err := sessions.DeleteMany(ctx, bson.D{{Key: "expires", Value: bson.D{{Key: "$lte", Value: now}}}}); err != nil {
			return err
		}
		if _, err := sessions.InsertOne(ctx, s); err != nil {
			return err
		}
		return endOldest(ctx, sessions, user)
	})
	if err != nil {
		return token, fmt.Errorf("open a session: %w", err)
	}
	return token, nil
}

// endOldest ends the sessions of a user beyond those that one may have.
func endOldest(ctx context.Context, sessions *mongo.Collection, user bson.ObjectID) error {
	cursor, err := store.Query(ctx, sessions.Database(), bson.D{
		{Key: "find", Value: sessions.Name()},
		{Key: "filter", Value: bson.D{{Key: "user", Value: user}}},
		{Key: "projection", Value: bson.D{{Key: "_id", Value: 1}}},
		{Key: "sort", Value: bson.D{{Key: "turned", Value: -1}, {Key: "_id", Value: 1}}},
		{Key: "skip", Value: maxSessions},
		{Key: "limit", Value: 100}, // one, but for those that were opened at the same moment
	})
	if err != nil {
		return err
	}
	var over []session
	if err := cursor.All(ctx, &over); err != nil || len(over) == 0 {
		return err
	}
	ids := make(bson.A, len(over))
	for i, s := range over {
		ids[i] = s.ID
	}
	_, err = sessions.DeleteMany(ctx, bson.D{{Key: "_id", Value: bson.D{{Key: "$in", Value: ids}}}})
	return err
}

// turn uses a refresh token up and returns the next one, and whose session it is. A token that was used up before its last successor was
// made has been stolen, or its successor has: the session ends, for whoever has it.
func (a *API) turn(r *request, old refreshToken) (next refreshToken, user bson.ObjectID, err error) {
	salt, now := random(secretSize), a.now()
	next = old.next(salt)
	slug := r.tenant.Slug
	var s session
	turned := false
	err = a.sessions(r, func(ctx context.Context, sessions *mongo.Collection) error {
		current := bson.D{
			{Key: "_id", Value: old.session}, {Key: "hash", Value: old.hash(slug)},
			{Key: "expires", Value: bson.D{{Key: "$gt", Value: bson.NewDateTimeFromTime(now)}}},
		}
		set := bson.D{{Key: "$set", Value: bson.D{
			{Key: "hash", Value: next.hash(slug)}, {Key: "before", Value: old.hash(slug)}, {Key: "salt", Value: salt},
			{Key: "turned", Value: bson.NewDateTimeFromTime(now)}, {Key: "expires", Value: bson.NewDateTimeFromTime(now.Add(sessionLifetime))},
		}}}
		err := sessions.FindOneAndUpdate(ctx, current, set).Decode(&s)
		if turned = err == nil; !errors.Is(err, mongo.ErrNoDocuments) {
			return err
		}
		return sessions.FindOne(ctx, bson.D{{Key: "_id", Value: old.session}}).Decode(&s)
	})
	switch {
	case errors.Is(err, mongo.ErrNoDocuments):
		return next, user, errBadRefresh
	case err != nil:
		return next, user, fmt.Errorf("refresh a session: %w", err)
	case turned:
		return next, s.User, nil
	case !s.Expires.Time().After(now):
		return next, s.User, errBadRefresh
	case s.Before == old.hash(slug) && now.Sub(s.Turned.Time()) < turnGrace:
		return old.next(s.Salt), s.User, nil
	}
	a.log.Warn("an old refresh token came back, so its session is ended: it or its successor was stolen",
		append(r.logFields(), zap.String("user", s.User.Hex()))...)
	if err := a.endSessions(r, bson.E{Key: "_id", Value: s.ID}); err != nil {
		return next, s.User, err
	}
	return next, s.User, errBadRefresh
}

// endSessions ends the sessions that a condition finds, with all tokens that name them.
func (a *API) endSessions(r *request, which ...bson.E) error {
	err := a.sessions(r, func(ctx context.Context, sessions *mongo.Collection) error {
		_, err := sessions.DeleteMany(ctx, bson.D(which))
		return err
	})
	if err != nil {
		return fmt.Errorf("end sessions: %w", err)
	}
	return nil
}

// endRefreshed ends the session of a refresh token, also of one that has just been used up.
func (a *API) endRefreshed(r *request, t refreshToken) error {
	hash := t.hash(r.tenant.Slug)
	return a.endSessions(r, bson.E{Key: "_id", Value: t.session},
		bson.E{Key: "$or", Value: bson.A{bson.D{{Key: "hash", Value: hash}}, bson.D{{Key: "before", Value: hash}}}})
}

func (a *API) sessions(r *request, do func(context.Context, *mongo.Collection) error) error {
	return a.store.Do(r.ctx, r.tenant, func(ctx context.Context, db *mongo.Database) error {
		return do(ctx, db.Collection(sessionCollection))
	})
}

// sessionLives reports whether a user's session is there.
func sessionLives(ctx context.Context, db *mongo.Database, id, user bson.ObjectID, now time.Time) (bool, error) {
	filter := bson.D{{Key: "_id", Value: id}, {Key: "user", Value: user}, {Key: "expires", Value: bson.D{{Key: "$gt", Value: bson.NewDateTimeFromTime(now)}}}}
	err := db.Collection(sessionCollection).FindOne(ctx, filter, options.FindOne().SetProjection(bson.D{{Key: "_id", Value: 1}})).Err()
	if errors.Is(err, mongo.ErrNoDocuments) {
		return false, nil
	}
	return err == nil, err
}
