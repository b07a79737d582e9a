package api

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"slices"

	"go.mongodb.org/mongo-driver/v2/bson"

	"metahub/tenant"
)

// A keyset cursor names the last document of a page by the values that the list is sorted by, so that the next page begins behind it
// however many there are before. It is signed with the tenant's key together with the filter and the order of the list: a cursor of
// another tenant, another user or another list is none.

const (
	signatureSize = 16
	maxCursor     = 4096 // bytes of the text
)

var errBadCursor = badRequest("The cursor does not belong to this list: begin with an empty one.")

// cursor makes the cursor of a page's last document. ok is false where one of its values is not one that a list can go on from.
func (s *search) cursor(t *tenant.Tenant, last bson.Raw) (text string, ok bool, err error) {
	values := make(bson.A, len(s.sort))
	for i, key := range s.sort {
		v := last.Lookup(key.Key)
		switch v.Type {
		case 0, bson.TypeNull:
			values[i] = nil
		case bson.TypeArray, bson.TypeEmbeddedDocument:
			return "", false, nil
		default:
			values[i] = v
		}
	}
	payload, err := bson.Marshal(bson.D{{Key: "v", Value: values}})
	if err != nil {
		return "", false, err
	}
	signatures, err := s.sign(t, payload)
	if err != nil {
		return "", false, err
	}
	text = base64.RawURLEncoding.EncodeToString(append(signatures[0], payload...))
	return text, len(text) <= maxCursor, nil
}

// after returns the condition of the documents behind a cursor.
func (s *search) after(t *tenant.Tenant, text string) (bson.E, error) {
	signed, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil || len(signed) <= signatureSize {
		return bson.E{}, errBadCursor
	}
	payload := signed[signatureSize:]
	signatures, err := s.sign(t, payload)
	if err != nil {
		return bson.E{}, err
	}
	if !slices.ContainsFunc(signatures, func(signature []byte) bool { return hmac.Equal(signature, signed[:signatureSize]) }) {
		return bson.E{}, errBadCursor
	}
	list, ok := bson.Raw(payload).Lookup("v").ArrayOK()
	if !ok {
		return bson.E{}, errBadCursor
	}
	values, err := list.Values()
	if err != nil || len(values) != len(s.sort) {
		return bson.E{}, errBadCursor
	}
	return behind(s.sort, values), nil
}

// sign returns the signatures by the tenant's keys, that of the one that signs now first.
func (s *search) sign(t *tenant.Tenant, payload []byte) (signatures [][]byte, err error) {
	keys, err := verifyingKeys(t)
	if err != nil {
		return nil, err
	}
	list, err := bson.Marshal(bson.D{
		{Key: "tenant", Value: t.Slug}, {Key: "collection", Value: s.collection}, {Key: "filter", Value: s.filter}, {Key: "sort", Value: s.sort},
	})
	if err != nil {
		return nil, fmt.Errorf("sign a cursor: %w", err)
	}
	for _, key := range keys {
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte("cursor\x00"))
		mac.Write(list)
		mac.Write(payload)
		signatures = append(signatures, mac.Sum(nil)[:signatureSize:signatureSize])
	}
	return signatures, nil
}

// behind is the condition of what comes after some values in an order: the first key is greater, or it is equal and the second is
// greater, and so on. Missing values and nulls come first, and last in descending order.
func behind(order bson.D, values []bson.RawValue) bson.E {
	var branches bson.A
	var equal bson.D
	for i, key := range order {
		v := values[i]
		null := v.Type == bson.TypeNull
		descending := key.Value == -1
		switch {
		case null && !descending:
			branches = append(branches, further(equal, bson.E{Key: key.Key, Value: bson.D{{Key: "$ne", Value: nil}}}))
		case null: // nothing is less
		case descending:
			branches = append(branches, further(equal, bson.E{Key: key.Key, Value: bson.D{{Key: "$lt", Value: v}}}), further(equal, bson.E{Key: key.Key, Value: nil}))
		default:
			branches = append(branches, further(equal, bson.E{Key: key.Key, Value: bson.D{{Key: "$gt", Value: v}}}))
		}
		if null {
			equal = append(equal, bson.E{Key: key.Key, Value: nil})
		} else {
			equal = append(equal, bson.E{Key: key.Key, Value: v})
		}
	}
	return bson.E{Key: "$or", Value: branches}
}

func further(equal bson.D, e bson.E) bson.D { return append(append(bson.D{}, equal...), e) }

// lastOf returns the last of documents that lie one after the other.
func lastOf(raw []byte) (last bson.Raw) {
	for len(raw) >= 4 {
		size := int(binary.LittleEndian.Uint32(raw))
		if size < 5 || size > len(raw) {
			break
		}
		last, raw = raw[:size], raw[size:]
	}
	return last
}
