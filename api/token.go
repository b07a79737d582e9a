package api

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"go.mongodb.org/mongo-driver/v2/bson"

	"metahub/tenant"
)

const (
	// tokenLifetime is how long a token is good before its session has to be refreshed. Frontends of the earlier service never refresh,
	// so with its cookies a token lives as long as a session.
	tokenLifetime = 15 * time.Minute
	maxToken      = 2048
)

func lifetimeOf(t *tenant.Tenant) time.Duration {
	if t.Cookies == tenant.LegacyCookies {
		return sessionLifetime
	}
	return tokenLifetime
}

// claims are what a token says. They implement jwt.Claims.
type claims struct {
	Subject  string  `json:"sub"`
	Role     string  `json:"role"` // for frontends; what counts is the database's
	Session  string  `json:"sid"`
	Issuer   string  `json:"iss"`
	Audience string  `json:"aud"`
	Issued   seconds `json:"iat"`
	Expires  seconds `json:"exp"`
}

// seconds are since 1970, whole, as we issue them.
type seconds int64

// date returns nil for none.
func (s seconds) date() (*jwt.NumericDate, error) {
	if s == 0 {
		return nil, nil
	}
	return jwt.NewNumericDate(time.Unix(int64(s), 0)), nil
}

func (c *claims) GetSubject() (string, error)                  { return c.Subject, nil }
func (c *claims) GetIssuer() (string, error)                   { return c.Issuer, nil }
func (c *claims) GetAudience() (jwt.ClaimStrings, error)       { return jwt.ClaimStrings{c.Audience}, nil }
func (c *claims) GetIssuedAt() (*jwt.NumericDate, error)       { return c.Issued.date() }
func (c *claims) GetExpirationTime() (*jwt.NumericDate, error) { return c.Expires.date() }
func (c *claims) GetNotBefore() (*jwt.NumericDate, error)      { return nil, nil }

// signToken says who the user is, in which session. Issuer and audience are the tenant, and the key is the tenant's own: a token of one
// tenant is nothing at another.
func signToken(t *tenant.Tenant, user bson.ObjectID, role string, session bson.ObjectID, now time.Time) (string, error) {
	keys, err := verifyingKeys(t)
	if err != nil {
		return "", err
	}
	token := jwt.NewWithClaims(jwt.SigningMethodHS256, &claims{
		Subject:  user.Hex(),
		Role:     role,
		Session:  session.Hex(),
		Issuer:   t.Slug,
		Audience: t.Slug,
		Issued:   seconds(now.Unix()),
		Expires:  seconds(now.Add(lifetimeOf(t)).Unix()),
	})
	token.Header["kid"] = keyID(keys[0])
	return token.SignedString(keys[0])
}

// verifyToken returns the user and the session that a token names. The algorithm is pinned (RFC 8725 §3.1), and so is the key, where the
// token names one.
func verifyToken(t *tenant.Tenant, token string, now func() time.Time) (user, session bson.ObjectID, err error) {
	if len(token) > maxToken {
		return user, session, errBadToken
	}
	keys, err := verifyingKeys(t)
	if err != nil {
		return user, session, err
	}
	var c claims
	_, err = jwt.ParseWithClaims(token, &c, func(token *jwt.Token) (any, error) { return chooseKeys(keys, token.Header) },
		jwt.WithValidMethods([]string{jwt.SigningMethodHS256.Alg()}),
		jwt.WithAudience(t.Slug),
		jwt.WithIssuer(t.Slug),
		jwt.WithExpirationRequired(),
		jwt.WithIssuedAt(),
		jwt.WithTimeFunc(now),
	)
	user, isUser := objectID([]byte(c.Subject))
	session, isSession := objectID([]byte(c.Session))
	if err != nil || !isUser || !isSession {
		return bson.NilObjectID, bson.NilObjectID, errBadToken
	}
	return user, session, nil
}

// chooseKeys returns the key that a header names, or all where it names none.
func chooseKeys(keys [][]byte, header map[string]any) (any, error) {
	named, ok := header["kid"]
	if !ok {
		all := jwt.VerificationKeySet{}
		for _, key := range keys {
			all.Keys = append(all.Keys, key)
		}
		return all, nil
	}
	for _, key := range keys {
		if named == keyID(key) {
			return key, nil
		}
	}
	return nil, errBadToken
}

// keyID is the name of a key. It tells nothing of a random key.
func keyID(key []byte) string {
	sum := sha256.Sum256(append([]byte("metahub kid\x00"), key...))
	return base64.RawURLEncoding.EncodeToString(sum[:6])
}

// verifyingKeys returns the tenant's keys, the one that signs first. None is empty, as anybody could sign with that.
func verifyingKeys(t *tenant.Tenant) (keys [][]byte, err error) {
	keys = make([][]byte, 0, 1+len(t.JWTPrevious))
	for _, secret := range append([]tenant.Secret{t.JWTSecret}, t.JWTPrevious...) {
		if secret.IsZero() {
			return nil, errors.New("the tenant has an empty jwt_secret, or none")
		}
		keys = append(keys, []byte(secret.Reveal()))
	}
	return keys, nil
}
