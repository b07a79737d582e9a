package api

import (
	"errors"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"go.mongodb.org/mongo-driver/v2/bson"

	"metahub/tenant"
)

const (
	tokenLifetime = 7 * 24 * time.Hour
	maxToken      = 2048
)

// signToken says who the user is. Issuer and audience are the tenant, and the key is the tenant's own: a token of one tenant is nothing at
// another.
func signToken(t *tenant.Tenant, user bson.ObjectID, role string, now time.Time) (string, error) {
	key, err := signingKey(t)
	if err != nil {
		return "", err
	}
	return jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{
		"sub":  user.Hex(),
		"role": role, // for frontends; what counts is the database's
		"aud":  t.Slug,
		"iss":  t.Slug,
		"iat":  now.Unix(),
		"exp":  now.Add(tokenLifetime).Unix(),
	}).SignedString(key)
}

// verifyToken returns the user whom a token names. The algorithm is pinned (RFC 8725 §3.1).
func verifyToken(t *tenant.Tenant, token string, now func() time.Time) (bson.ObjectID, error) {
	if len(token) > maxToken {
		return bson.NilObjectID, errBadToken
	}
	key, err := signingKey(t)
	if err != nil {
		return bson.NilObjectID, err
	}
	var c jwt.RegisteredClaims
	_, err = jwt.ParseWithClaims(token, &c, func(*jwt.Token) (any, error) { return key, nil },
		jwt.WithValidMethods([]string{jwt.SigningMethodHS256.Alg()}),
		jwt.WithAudience(t.Slug),
		jwt.WithIssuer(t.Slug),
		jwt.WithExpirationRequired(),
		jwt.WithIssuedAt(),
		jwt.WithTimeFunc(now),
	)
	if err != nil {
		return bson.NilObjectID, errBadToken
	}
	user, ok := parseID([]byte(c.Subject))
	if !ok {
		return bson.NilObjectID, errBadToken
	}
	return user, nil
}

// signingKey never returns an empty key, with which anybody could sign.
func signingKey(t *tenant.Tenant) ([]byte, error) {
	if t.JWTSecret.IsZero() {
		return nil, errors.New("the tenant has no jwt_secret")
	}
	return []byte(t.JWTSecret.Reveal()), nil
}
