package storage

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func newSealKey() []byte {
	key := make([]byte, 32)
	rand.Read(key)
	return key
}

func mustSeal(t testing.TB, s Storage, key []byte) Storage {
	t.Helper()
	sealed, err := Seal(s, key)
	if err != nil {
		t.Fatal(err)
	}
	return sealed
}

func TestParseKey(t *testing.T) {
	key := bytes.Repeat([]byte{0xfb, 0xff}, 16) // with "+" and "/" in it
	f := func(text string, want []byte) {
		t.Helper()
		got, err := ParseKey(text)
		if !bytes.Equal(got, want) || (err == nil) != (want != nil) {
			t.Errorf("ParseKey(%q) = %x, %v", text, got, err)
		}
		if err != nil && (!strings.Contains(err.Error(), "openssl rand -base64 32") || len(text) > 8 && strings.Contains(err.Error(), text)) {
			t.Errorf("the error is %q", err)
		}
	}
	f(base64.StdEncoding.EncodeToString(key), key)
	f(base64.RawStdEncoding.EncodeToString(key), key)
	f(base64.URLEncoding.EncodeToString(key), key)
	f(base64.RawURLEncoding.EncodeToString(key), key)
	f(hex.EncodeToString(key), key)
	f(strings.ToUpper(hex.EncodeToString(key)), key)
	f(" "+base64.StdEncoding.EncodeToString(key)+"\n", key)
	f("", nil)
	f("secret", nil)
	f(base64.StdEncoding.EncodeToString(key[:31]), nil)
	f(base64.StdEncoding.EncodeToString(append(key, 1)), nil)
	f(hex.EncodeToString(key[:16]), nil)
}

func TestSeal(t *testing.T) {
	below := openFolder(t, t.TempDir())
	s := mustSeal(t, below, newSealKey())
	const secret = "-----BEGIN PRIVATE KEY-----"
	mustStore(t, s, "authority/root.key", secret)
	mustStore(t, s, "authority/root.crt", "public")
	raw, err := below.Load(t.Context(), "authority/root.key")
	if err != nil || bytes.Contains(raw, []byte("PRIVATE")) || !isSealed(raw) {
		t.Errorf("%q is kept, %v", raw, err)
	}
	expectValue(t, below, "authority/root.crt", "public")
	expectValue(t, s, "authority/root.key", secret)
	expectValue(t, s, "authority/root.crt", "public")

	// sealed anew each time
	mustStore(t, s, "authority/root.key", secret)
	if again, _ := below.Load(t.Context(), "authority/root.key"); bytes.Equal(again, raw) {
		t.Error("the same value is sealed to the same bytes")
	}

	// another key, or none
	for _, key := range [][]byte{newSealKey(), nil} {
		if _, err := mustSeal(t, below, key).Load(t.Context(), "authority/root.key"); !errors.Is(err, ErrSealed) || errors.Is(err, fs.ErrNotExist) ||
			!strings.Contains(err.Error(), "set gateway.certificates.storage_key") {
			t.Errorf("with another key: %v", err)
		}
	}
	plain := mustSeal(t, below, nil)
	mustStore(t, plain, "acme/plain", "as it is")
	expectValue(t, below, "acme/plain", "as it is")
	expectValue(t, s, "acme/plain", "as it is")

	if _, err := Seal(below, make([]byte, 16)); err == nil {
		t.Error("a short key is taken")
	}
}

// A damaged value, or one that was moved, counts as absent.
func TestDamagedSeal(t *testing.T) {
	below := openFolder(t, t.TempDir())
	s := mustSeal(t, below, newSealKey())
	mustStore(t, s, "a", "value")
	raw, err := below.Load(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	f := func(key string, value []byte) {
		t.Helper()
		mustStore(t, below, key, string(value))
		if got, err := s.Load(t.Context(), key); !errors.Is(err, ErrTorn) || !errors.Is(err, fs.ErrNotExist) || got != nil {
			t.Errorf("%q, %v", got, err)
		}
	}
	f("b", raw)
	f("a", raw[:len(raw)-1])
	f("a", raw[:sealHeader])
	f("a", raw[:len(sealMagic)])
	for _, at := range []int{sealHeader, sealHeader + 24, len(raw) - 1, sealHeader - 1} {
		flipped := bytes.Clone(raw)
		flipped[at] ^= 1
		f("a", flipped)
	}
}

func TestSealAll(t *testing.T) {
	forEachStorage(t, func(t *testing.T, open func() Storage) {
		below := open()
		if s, ok := below.(*sealed); ok {
			below = s.Storage
		}
		key := newSealKey()
		s := mustSeal(t, below, key)
		mustStore(t, below, "acme/account/user.key", "secret")
		mustStore(t, below, "certificates/a.pem", "a")
		mustStore(t, below, "authority/root.crt", "public")
		mustStore(t, below, "elsewhere/b", "b")
		mustStore(t, s, "certificates/sealed.pem", "s")
		if n, err := SealAll(t.Context(), s, "acme", "certificates", "authority", "missing"); n != 2 || err != nil {
			t.Errorf("SealAll = %d, %v", n, err)
		}
		for name, isIt := range map[string]bool{"acme/account/user.key": true, "certificates/a.pem": true, "authority/root.crt": false, "elsewhere/b": false} {
			if raw, err := below.Load(t.Context(), name); err != nil || isSealed(raw) != isIt {
				t.Errorf("%q: sealed is %v, %v", name, !isIt, err)
			}
		}
		expectValue(t, s, "certificates/a.pem", "a")
		if n, err := SealAll(t.Context(), s, "acme", "certificates"); n != 0 || err != nil {
			t.Errorf("a second SealAll = %d, %v", n, err)
		}
		// with another key it seals what it can and says what it cannot
		mustStore(t, below, "certificates/plain.pem", "p")
		if n, err := SealAll(t.Context(), mustSeal(t, below, newSealKey()), "certificates"); n != 1 || !errors.Is(err, ErrSealed) || !strings.Contains(err.Error(), "2 values") {
			t.Errorf("SealAll with another key = %d, %v", n, err)
		}
		// a value that was replaced meanwhile stays
		if done, err := below.(swapper).swap(t.Context(), "elsewhere/b", []byte("before"), []byte("sealed")); done || err != nil {
			t.Errorf("swap = %v, %v", done, err)
		}
		expectValue(t, below, "elsewhere/b", "b")
	})
	if _, err := SealAll(t.Context(), openFolder(t, t.TempDir()), "certificates"); err == nil {
		t.Error("SealAll without a key is no error")
	}
}

// SealAll leaves no file behind that it does not put in its place.
func TestSwapLeavesNothingBehind(t *testing.T) {
	path := t.TempDir()
	s := openFolder(t, path)
	mustStore(t, s, "a/b", "new")
	if done, err := s.swap(t.Context(), "a/b", []byte("old"), []byte("x")); done || err != nil {
		t.Errorf("swap = %v, %v", done, err)
	}
	if entries, err := os.ReadDir(filepath.Join(path, "a")); len(entries) != 1 || err != nil {
		t.Errorf("%v, %v", entries, err)
	}
}

func FuzzOpenSealed(f *testing.F) {
	s, err := newSealer(bytes.Repeat([]byte{1}, 32))
	if err != nil {
		f.Fatal(err)
	}
	f.Add("a", []byte("plain"))
	f.Add("a", s.seal("a", []byte("value")))
	f.Add("b", s.seal("a", []byte("value")))
	f.Add("a", []byte(sealMagic+s.fingerprint+"\n"))
	f.Add("a", []byte(sealMagic+"0000000000000000\n"))
	f.Fuzz(func(t *testing.T, key string, value []byte) {
		plain, err := s.open(key, value)
		if err != nil && plain != nil {
			t.Fatal("a value and an error")
		}
		if err == nil && !isSealed(value) && !bytes.Equal(plain, value) {
			t.Fatal("a plain value is changed")
		}
		if public(key) || len(value) == 0 {
			return
		}
		if back, err := s.open(key, s.seal(key, value)); err != nil || !bytes.Equal(back, value) {
			t.Fatalf("%q became %q, %v", value, back, err)
		}
	})
}
