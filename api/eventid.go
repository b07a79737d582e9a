package api

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"strconv"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"

	"metahub/tenant"
)

// eventID says where in a tenant's changes a client is: by a mark, for as long as this process remembers it, and by the resume token of
// the database's change stream, where it has one. Neither tells how much has changed that the client may not read.
type eventID struct {
	mark uint64
	at   position
}

// position is where a tenant's change stream has come to.
type position struct {
	token bson.Raw // to go on from; nil where there is none
	text  string   // the token as clients have it, sealed with a key of the tenant's
}

// maxEventID bounds what a client sends as Last-Event-ID, in bytes. Tokens have about 200.
const maxEventID = 4096

// append writes "mark" or "mark.token".
func (id eventID) append(dst []byte) []byte {
	dst = strconv.AppendUint(dst, id.mark, 36)
	if id.at.text != "" {
		dst = append(append(dst, '.'), id.at.text...)
	}
	return dst
}

// parseEventID reads an id. A resume token is there only if a key of the tenant's has sealed it: no client's bytes reach the database as one.
func parseEventID(t *tenant.Tenant, text string) (id eventID, ok bool) {
	if len(text) > maxEventID {
		return id, false
	}
	mark, sealed, _ := strings.Cut(text, ".")
	var err error
	if id.mark, err = strconv.ParseUint(mark, 36, 64); err != nil {
		return id, false
	}
	if sealed == "" {
		return id, true
	}
	if id.at.token, err = openToken(t, sealed); err != nil {
		return id, false
	}
	id.at.text = sealed
	return id, true
}

// is reports whether two positions are the same place in a change stream.
func (p position) is(other position) bool { return p.token != nil && bytes.Equal(p.token, other.token) }

// newPosition seals a resume token. Where that fails clients get none, and cannot go on from it.
func newPosition(t *tenant.Tenant, token bson.Raw) position {
	keys, err := verifyingKeys(t)
	if err != nil || token == nil {
		return position{token: token}
	}
	seal := positionSeal(keys[0])
	nonce := make([]byte, seal.NonceSize(), seal.NonceSize()+len(token)+seal.Overhead())
	_, _ = rand.Read(nonce) // it never fails
	text := base64.RawURLEncoding.EncodeToString(seal.Seal(nonce, nonce, token, []byte(t.Slug)))
	if len(text) > maxEventID/2 {
		text = ""
	}
	return position{token, text}
}

// openToken opens what any of the tenant's keys has sealed.
func openToken(t *tenant.Tenant, sealed string) (token bson.Raw, err error) {
	keys, err := verifyingKeys(t)
	if err != nil {
		return nil, err
	}
	raw, err := base64.RawURLEncoding.DecodeString(sealed)
	if err != nil {
		return nil, err
	}
	for _, key := range keys {
		seal := positionSeal(key)
		n := seal.NonceSize()
		if len(raw) < n {
			return nil, errBadToken
		}
		if token, err = seal.Open(nil, raw[:n], raw[n:], []byte(t.Slug)); err == nil {
			return token, nil
		}
	}
	return nil, err
}

func positionSeal(key []byte) cipher.AEAD {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte("position\x00"))
	block, err := aes.NewCipher(mac.Sum(nil))
	if err != nil {
		panic(err) // of a key of another length than 32 bytes
	}
	seal, err := cipher.NewGCM(block)
	if err != nil {
		panic(err) // of another block than AES's
	}
	return seal
}
