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

// madeSecrets makes a jwt_secret for each tenant that declares none, once, and keeps them all in one file that only its owner can
// read, a line a tenant: one write makes any number last. It is not for concurrent use.
type madeSecrets struct {
	path  string
	known map[string]Secret // nil until the file has been read
}

func newMadeSecrets(data string) *madeSecrets {
	return &madeSecrets{path: filepath.Join(data, "jwt-secrets")}
}

// of returns the secrets of slugs, made and kept where there is none yet. What cannot be kept is not given out, since it would be
// another one after a restart; then there is an error.
func (m *madeSecrets) of(slugs []string) (map[string]Secret, error) {
	if err := m.read(); err != nil {
		return nil, err
	}
	secrets := make(map[string]Secret, len(slugs))
	made := maps.Clone(m.known)
	for _, slug := range slugs {
		if _, ok := made[slug]; !ok {
			made[slug] = makeSecret()
		}
		secrets[slug] = made[slug]
	}
	if len(made) == len(m.known) {
		return secrets, nil
	}
	if err := m.write(made); err != nil {
		return nil, fmt.Errorf("write one, or make the folder gateway.data writable for this user: %w", err)
	}
	m.known = made
	return secrets, nil
}

// read takes over the file, once. A file that cannot be understood is left as it is: to write over it would end every session.
func (m *madeSecrets) read() error {
	if m.known != nil {
		return nil
	}
	known := map[string]Secret{}
	data, err := readRegular(m.path, maxFileSize)
	if err != nil && !errors.Is(err, errNotThere) {
		return fmt.Errorf("the file %q %w", m.path, err)
	}
	number := 0
	for line := range strings.Lines(string(data)) {
		number++
		slug, secret, ok := strings.Cut(strings.TrimRight(line, "\r\n"), " ")
		if !ok || parseSlug(slug) != nil || secret == "" {
			return fmt.Errorf("the file %q has a line %d that is not \"slug secret\": mend it, or remove the line to have a secret made", m.path, number)
		}
		known[slug] = NewSecret(secret)
	}
	m.known = known
	return nil
}

func (m *madeSecrets) write(secrets map[string]Secret) error {
	var lines bytes.Buffer
	for _, slug := range slices.Sorted(maps.Keys(secrets)) {
		fmt.Fprintf(&lines, "%s %s\n", slug, secrets[slug].Reveal())
	}
	if err := os.MkdirAll(filepath.Dir(m.path), 0o700); err != nil {
		return err
	}
	return replaceFile(m.path, lines.Bytes())
}

// passingSecrets gives every tenant a secret that is kept nowhere.
func passingSecrets(slugs []string) (map[string]Secret, error) {
	secrets := make(map[string]Secret, len(slugs))
	for _, slug := range slugs {
		secrets[slug] = makeSecret()
	}
	return secrets, nil
}

func makeSecret() Secret {
	var random [madeSecretLen]byte
	rand.Read(random[:]) // never fails: the runtime ends the program instead
	return NewSecret(base64.RawURLEncoding.EncodeToString(random[:]))
}
