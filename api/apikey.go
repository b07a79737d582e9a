package api

import (
	"context"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"metahub/store"

	"metahub/api/model"
	"metahub/tenant"
)

const (
	// keyCollection holds the API keys, in the tenant's own database.
	keyCollection = "metahub_keys"
	keyHeader     = "X-Api-Key"
	// keyPrefix is what all keys begin with, so that scanners for leaked secrets know them.
	keyPrefix    = "mhk_"
	maxKeys      = 100 // of a tenant
	maxKeyName   = 100
	maxKeyScopes = 50
)

// access is what is done with a resource.
type access string

const (
	reads  access = "read"
	writes access = "write"
)

// apiKey lets a program in, as an admin of some resources.
type apiKey struct {
	ID      bson.ObjectID  `bson:"_id"`
	Name    string         `bson:"name"`
	Hash    string         `bson:"hash"`
	Scopes  []string       `bson:"scopes"` // "product:read"
	By      bson.ObjectID  `bson:"by"`     // who made it
	Created bson.DateTime  `bson:"created"`
	Expires *bson.DateTime `bson:"expires,omitempty"`
}

// allows reports whether the key may read or write a resource. All resources are not the users: who writes those makes admins.
func (k *apiKey) allows(m *model.Model, how access) bool {
	return slices.Contains(k.Scopes, m.Name+":"+string(how)) || m.Name != userModel && slices.Contains(k.Scopes, "*:"+string(how))
}

// keyText is what the key's owner has: "mhk_", the id, and 32 random bytes.
func keyText(id bson.ObjectID, secret []byte) string {
	return keyPrefix + id.Hex() + "_" + base64.RawURLEncoding.EncodeToString(secret)
}

func parseKeyText(text string) (id bson.ObjectID, secret []byte, ok bool) {
	text, ok = strings.CutPrefix(text, keyPrefix)
	if !ok || len(text) < 25 || text[24] != '_' {
		return id, nil, false
	}
	if id, ok = objectID([]byte(text[:24])); !ok {
		return id, nil, false
	}
	secret, err := base64.RawURLEncoding.DecodeString(text[25:])
	return id, secret, err == nil && len(secret) == secretSize
}

// findKey finds out which key sends the request.
func (a *API) findKey(r *request, text string) (caller, error) {
	id, secret, ok := parseKeyText(text)
	if !ok {
		return caller{}, errBadKey
	}
	return a.readKey(r.ctx, r.tenant, id, secretHash(r.tenant.Slug, "key", secret))
}

func (a *API) readKey(ctx context.Context, t *tenant.Tenant, id bson.ObjectID, hash string) (caller, error) {
	var k apiKey
	err := a.store.Do(ctx, t, func(ctx context.Context, db *mongo.Database) error {
		return db.Collection(keyCollection).FindOne(ctx, bson.D{{Key: "_id", Value: id}}).Decode(&k)
	})
	if errors.Is(err, mongo.ErrNoDocuments) {
		return caller{}, errBadKey
	}
	if err != nil {
		return caller{}, fmt.Errorf("read an API key: %w", err)
	}
	same := subtle.ConstantTimeCompare([]byte(k.Hash), []byte(hash)) == 1
	if !same || k.Expires != nil && !k.Expires.Time().After(a.now()) {
		return caller{}, errBadKey
	}
	return caller{key: &k}, nil
}

// admitKeeper lets admins in, as people: a key makes no keys.
func (a *API) admitKeeper(r *request) (caller, error) {
	c, err := a.person(r)
	if err == nil && !c.mayAs(r.resources.users.Roles) {
		err = errForbidden
	}
	return c, err
}

// listKeys answers the tenant's keys, without the secrets, which nobody knows any more.
func (a *API) listKeys(r *request) (reply, error) {
	if _, err := a.admitKeeper(r); err != nil {
		return reply{}, err
	}
	var all []apiKey
	err := a.store.Do(r.ctx, r.tenant, func(ctx context.Context, db *mongo.Database) error {
		cursor, err := store.Query(ctx, db, bson.D{
			{Key: "find", Value: keyCollection},
			{Key: "sort", Value: bson.D{{Key: "_id", Value: 1}}},
			{Key: "limit", Value: maxKeys},
		})
		if err != nil {
			return err
		}
		return cursor.All(ctx, &all)
	})
	if err != nil {
		return reply{}, fmt.Errorf("list API keys: %w", err)
	}
	shown := make([]shownKey, len(all))
	for i := range all {
		shown[i] = all[i].shown("")
	}
	return reply{status: 200, message: "OK", data: value{shown}}, nil
}

// createKey makes a key, and shows it this once.
func (a *API) createKey(r *request) (reply, error) {
	c, err := a.admitKeeper(r)
	if err != nil {
		return reply{}, err
	}
	body, err := readBody(r)
	if err != nil {
		return reply{}, err
	}
	k, err := a.draftKey(r, body)
	if err != nil {
		return reply{}, err
	}
	secret := random(secretSize)
	k.ID, k.By, k.Created = bson.NewObjectIDFromTimestamp(a.now()), c.id, bson.NewDateTimeFromTime(a.now())
	k.Hash = secretHash(r.tenant.Slug, "key", secret)
	err = a.store.Do(r.ctx, r.tenant, func(ctx context.Context, db *mongo.Database) error {
		keys := db.Collection(keyCollection)
		n, err := keys.CountDocuments(ctx, bson.D{}, options.Count().SetLimit(maxKeys))
		if err != nil {
			return err
		}
		if n >= maxKeys {
			return badRequest("There are %d keys already: revoke one first.", maxKeys)
		}
		_, err = keys.InsertOne(ctx, k)
		return err
	})
	if err != nil {
		return reply{}, fmt.Errorf("make an API key: %w", err)
	}
	return reply{status: 201, message: "Created.", data: value{k.shown(keyText(k.ID, secret))}}, nil
}

// revokeKey ends a key.
func (a *API) revokeKey(r *request) (reply, error) {
	if _, err := a.admitKeeper(r); err != nil {
		return reply{}, err
	}
	found := false
	err := a.store.Do(r.ctx, r.tenant, func(ctx context.Context, db *mongo.Database) error {
		result, err := db.Collection(keyCollection).DeleteOne(ctx, bson.D{{Key: "_id", Value: r.id}})
		found = err == nil && result.DeletedCount > 0
		return err
	})
	switch {
	case err != nil:
		return reply{}, fmt.Errorf("revoke an API key: %w", err)
	case !found:
		return reply{}, errNoDocument
	}
	return reply{status: 200, message: "Deleted."}, nil
}

// draftKey judges {"name":"…","scopes":["product:read"],"expiresAt":"…"}.
func (a *API) draftKey(r *request, body bson.D) (k apiKey, err error) {
	var issues []model.Issue
	issue := func(path, format string, args ...any) {
		issues = append(issues, model.Issue{Path: path, Message: fmt.Sprintf(format, args...)})
	}
	for _, e := range body {
		switch e.Key {
		case "name":
			name, ok := e.Value.(string)
			if k.Name = strings.TrimSpace(name); !ok || k.Name == "" {
				issue(e.Key, "must be a text")
			}
			if len(k.Name) > maxKeyName {
				issue(e.Key, "must have at most %d bytes", maxKeyName)
			}
		case "scopes":
			list, ok := e.Value.(bson.A)
			if !ok || len(list) == 0 || len(list) > maxKeyScopes {
				issue(e.Key, "must be a list of scopes like %q", "product:read")
			}
			for i, v := range list {
				scope, _ := v.(string)
				if !knownScope(r.resources.models, scope) {
					issue(fmt.Sprintf("%s.%d", e.Key, i), "must be a scope like %q, of a resource or \"*\"", "product:read")
				}
				k.Scopes = append(k.Scopes, scope)
			}
		case "expiresAt":
			text, _ := e.Value.(string)
			at, err := time.Parse(time.RFC3339, text)
			if err != nil || !at.After(a.now()) {
				issue(e.Key, "must be a date like %q, in the future", "2030-01-31T09:00:00Z")
				continue
			}
			expires := bson.NewDateTimeFromTime(at)
			k.Expires = &expires
		default:
			issue(e.Key, "is not a field that can be set")
		}
	}
	if k.Name == "" && len(issues) == 0 {
		issue("name", "is missing")
	}
	if k.Scopes == nil && len(issues) == 0 {
		issue("scopes", "is missing")
	}
	if len(issues) > 0 {
		return k, invalid(issues)
	}
	return k, nil
}

func knownScope(models *model.Set, scope string) bool {
	name, how, _ := strings.Cut(scope, ":")
	_, known := models.Named(name)
	return (known || name == "*") && (access(how) == reads || access(how) == writes)
}

// shownKey is a key as admins see it.
type shownKey struct {
	ID      string   `json:"_id"`
	Name    string   `json:"name"`
	Scopes  []string `json:"scopes"`
	By      string   `json:"createdBy"`
	Created string   `json:"createdAt"`
	Expires string   `json:"expiresAt,omitempty"`
	Key     string   `json:"key,omitempty"` // in the answer to its creation alone
}

func (k *apiKey) shown(text string) shownKey {
	s := shownKey{ID: k.ID.Hex(), Name: k.Name, Scopes: k.Scopes, By: k.By.Hex(), Created: dateText(k.Created), Key: text}
	if k.Expires != nil {
		s.Expires = dateText(*k.Expires)
	}
	return s
}

func dateText(d bson.DateTime) string { return d.Time().UTC().Format("2006-01-02T15:04:05.000Z") }
