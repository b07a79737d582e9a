package issuer

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// storedChallenge is the file of an HTTP-01 challenge.
type storedChallenge struct {
	Token            string    `json:"token"` // some file systems do not tell "a" from "A"
	Host             string    `json:"host"`
	KeyAuthorization string    `json:"key_authorization"`
	Expires          time.Time `json:"expires"`
}

// What a challenge may be.
const (
	minToken            = 16 // a CA's has 128 bits, 22 characters (RFC 8555 §8.1)
	maxToken            = 128
	maxKeyAuthorization = 512
	maxChallengeFile    = 4 << 10
)

func challengeKey(token string) string { return challengeFolder + "/" + token }

// isToken reports text that can be a challenge's token: base64url (RFC 8555 §8.1), so neither a path nor a name with a meaning.
func isToken(text string) bool {
	return len(text) >= minToken && len(text) <= maxToken && isBase64URL(text, "")
}

func isBase64URL(text, more string) bool {
	for i := range len(text) {
		switch b := text[i]; {
		case 'a' <= b && b <= 'z', 'A' <= b && b <= 'Z', '0' <= b && b <= '9', b == '-', b == '_':
		case len(more) > 0 && b == more[0]:
		default:
			return false
		}
	}
	return true
}

// check refuses what must not be answered with, from a CA or from the storage.
func (c storedChallenge) check() error {
	switch {
	case !isToken(c.Token):
		return errors.New("the token is not base64url of a sensible length")
	case !isHostName(c.Host):
		return errors.New("the host is no host name")
	case c.KeyAuthorization == "" || len(c.KeyAuthorization) > maxKeyAuthorization || !isBase64URL(c.KeyAuthorization, "."):
		return errors.New("the key authorization is not base64url, a dot and base64url")
	}
	return nil
}

func formatChallenge(c storedChallenge) ([]byte, error) {
	if err := c.check(); err != nil {
		return nil, fmt.Errorf("the challenge for %q: %w", clip(c.Host, 253), err)
	}
	return json.Marshal(c)
}

func parseChallenge(text []byte) (storedChallenge, error) {
	var c storedChallenge
	if len(text) > maxChallengeFile {
		return storedChallenge{}, errors.New("the challenge is too long")
	}
	if err := json.Unmarshal(text, &c); err != nil {
		return storedChallenge{}, errors.New("the challenge is not JSON")
	}
	if err := c.check(); err != nil {
		return storedChallenge{}, err
	}
	return c, nil
}
