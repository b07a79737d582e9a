package tenant

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// madeSecretLen is the size of a made secret before encoding, in bytes: as long as HS256's hash (RFC 7518 §3.2).
const madeSecretLen = 32

// ring are the keys of one tenant's tokens. The first signs; the others did before it, the last one first. It is never empty.
type ring []Secret

// madeSecrets makes a jwt_secret for each tenant that declares none, once, and keeps them all in one file that only its owner can
// read, a line a tenant: one write makes any number last. The file is read at each load, as RotateSecret may have changed it. It is not
// for concurrent use.
type madeSecrets struct {
	path  string
	known map[string]ring // nil until the file has been read
}

func newMadeSecrets(data string) *madeSecrets {
	return &madeSecrets{path: filepath.Join(data, "jwt-secrets")}
}

// of returns the secrets of slugs, made and kept where there is none yet. What cannot be kept is not given out, since it would be
// another one after a restart; then there is an error.
func (m *madeSecrets) of(slugs []string) (map[string]ring, error) {
	there, err := m.read()
	if err != nil {
		return nil, err
	}
	secrets := make(map[string]ring, len(slugs))
	made := maps.Clone(m.known)
	for _, slug := range slugs {
		if _, ok := made[slug]; !ok {
			made[slug] = ring{makeSecret()}
		}
		secrets[slug] = made[slug]
	}
	if there && len(made) == len(m.known) {
		return secrets, nil
	}
	if err := m.write(made); err != nil {
		return nil, err
	}
	return secrets, nil
}

// read takes over the file. One that is gone while we know what it held is written again, and one that cannot be understood is left as it
// is: to write over it would end every session.
func (m *madeSecrets) read() (there bool, err error) {
	known := map[string]ring{}
	data, err := readRegular(m.path, maxFileSize)
	if errors.Is(err, errNotThere) {
		if m.known == nil {
			m.known = known
		}
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("the file %q %w", m.path, err)
	}
	number := 0
	for line := range strings.Lines(string(data)) {
		number++
		words := strings.Split(strings.TrimRight(line, "\r\n"), " ")
		if len(words) < 2 || parseSlug(words[0]) != nil || slices.Contains(words[1:], "") {
			return false, fmt.Errorf("the file %q has a line %d that is not \"slug secret\", with former secrets behind: mend it, or remove the line to have a secret made", m.path, number)
		}
		known[words[0]] = newSecrets(words[1:])
	}
	m.known = known
	return true, nil
}

func (m *madeSecrets) write(secrets map[string]ring) error {
	var lines bytes.Buffer
	for _, slug := range slices.Sorted(maps.Keys(secrets)) {
		lines.WriteString(slug)
		for _, secret := range secrets[slug] {
			lines.WriteString(" " + secret.Reveal())
		}
		lines.WriteByte('\n')
	}
	err := os.MkdirAll(filepath.Dir(m.path), 0o700)
	if err == nil {
		err = replaceFile(m.path, lines.Bytes())
	}
	if err != nil {
		return fmt.Errorf("write one, or make the folder gateway.data writable for this user: %w", err)
	}
	m.known = secrets
	return nil
}

// ErrDeclaredSecret says that a tenant's key is not one that was made here.
var ErrDeclaredSecret = errors.New("the tenant declares its own jwt_secret: write a new one there, and move the one that is there to jwt_previous")

// RotateSecret makes a new key for the tokens of t, which this machine made the key of, in the data folder of a gateway. What the former
// keys signed stays valid, unless forget is set, as for a key that has leaked. A running server takes the key over by itself.
func RotateSecret(data string, t *Tenant, forget bool) error {
	m := newMadeSecrets(data)
	if _, err := m.read(); err != nil {
		return err
	}
	keys, ok := m.known[t.Slug]
	if !ok || keys[0] != t.JWTSecret {
		return ErrDeclaredSecret
	}
	fresh := ring{makeSecret()}
	if !forget {
		fresh = append(fresh, keys[:min(len(keys), maxPrevious)]...)
	}
	secrets := maps.Clone(m.known)
	secrets[t.Slug] = fresh
	return m.write(secrets)
}

// passingSecrets gives every tenant a secret that is kept nowhere.
func passingSecrets(slugs []string) (map[string]ring, error) {
	secrets := make(map[string]ring, len(slugs))
	for _, slug := range slugs {
		secrets[slug] = ring{makeSecret()}
	}
	return secrets, nil
}

func makeSecret() Secret {
	var random [madeSecretLen]byte
	rand.Read(random[:]) // never fails: the runtime ends the program instead
	return NewSecret(base64.RawURLEncoding.EncodeToString(random[:]))
}
