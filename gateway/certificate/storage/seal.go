package storage

import (
	"bytes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/crypto/chacha20poly1305"
)

// A sealed value is this line with the key's fingerprint, a random nonce, and the value encrypted with XChaCha20-Poly1305, its storage key
// being authenticated along: a value that is moved to another place does not open.
//
//	metahub sealed 1 0123456789abcdef\n
const (
	sealMagic         = "metahub sealed 1 "
	fingerprintLength = 16
	sealHeader        = len(sealMagic) + fingerprintLength + 1
	sealOverhead      = sealHeader + chacha20poly1305.NonceSizeX + chacha20poly1305.Overhead
)

// ErrSealed is what a value is that another key than ours, or any key where we have none, was used for.
var ErrSealed = errors.New("the value is sealed with another key: set gateway.certificates.storage_key to the one it was written with")

// ParseKey reads a key of 32 bytes written as base64, in either alphabet and padded or not, or as hexadecimal digits. The error does not
// quote the text.
func ParseKey(text string) ([]byte, error) {
	text = strings.TrimSpace(text)
	if key, err := hex.DecodeString(text); err == nil && len(key) == chacha20poly1305.KeySize {
		return key, nil
	}
	plain := strings.NewReplacer("-", "+", "_", "/").Replace(strings.TrimRight(text, "="))
	if key, err := base64.RawStdEncoding.DecodeString(plain); err == nil && len(key) == chacha20poly1305.KeySize {
		return key, nil
	}
	return nil, fmt.Errorf("the storage key is not %d bytes in base64 or hexadecimal digits: make one with %q", chacha20poly1305.KeySize, "openssl rand -base64 32")
}

// sealer seals and opens values. Without a key it seals nothing and opens what is plain.
type sealer struct {
	aead        cipher.AEAD // nil without a key
	fingerprint string
}

func newSealer(key []byte) (*sealer, error) {
	if key == nil {
		return &sealer{}, nil
	}
	aead, err := chacha20poly1305.NewX(key)
	if err != nil {
		return nil, fmt.Errorf("the storage key has %d bytes instead of %d: make one with %q", len(key), chacha20poly1305.KeySize, "openssl rand -base64 32")
	}
	sum := sha256.Sum256(append([]byte("metahub storage key fingerprint\x00"), key...))
	return &sealer{aead: aead, fingerprint: hex.EncodeToString(sum[:fingerprintLength/2])}, nil
}

// public reports whether what a storage key holds is no secret.
func public(key string) bool { return strings.HasSuffix(key, ".crt") }

func isSealed(value []byte) bool { return bytes.HasPrefix(value, []byte(sealMagic)) }

func (s *sealer) seal(key string, value []byte) []byte {
	if s.aead == nil || public(key) || len(value) == 0 {
		return value
	}
	sealed := make([]byte, 0, len(value)+sealOverhead)
	sealed = append(sealed, sealMagic+s.fingerprint+"\n"...)
	nonce := sealed[len(sealed) : len(sealed)+chacha20poly1305.NonceSizeX]
	rand.Read(nonce)
	return s.aead.Seal(sealed[:sealHeader+len(nonce)], nonce, value, []byte(key))
}

// open returns a plain value as it is. An error wraps ErrSealed, or ErrTorn where the key is the right one but the value is not whole.
func (s *sealer) open(key string, value []byte) ([]byte, error) {
	if !isSealed(value) {
		return value, nil
	}
	if len(value) < sealOverhead || value[sealHeader-1] != '\n' {
		return nil, ErrTorn
	}
	if s.aead == nil || string(value[len(sealMagic):sealHeader-1]) != s.fingerprint {
		return nil, ErrSealed
	}
	rest := value[sealHeader:]
	plain, err := s.aead.Open(nil, rest[:chacha20poly1305.NonceSizeX], rest[chacha20poly1305.NonceSizeX:], []byte(key))
	if err != nil {
		return nil, ErrTorn
	}
	return plain, nil
}
