package tickets

import (
	"encoding/json"
	"errors"
	"slices"
	"time"
)

const (
	// maxKeys is how many keys open tickets: the one that encrypts, the next, and those before.
	maxKeys = 4
	// maxText and maxStored bound what is read.
	maxText   = 16 << 10
	maxStored = 32
)

// key encrypts tickets from a moment on.
type key struct {
	secret [32]byte
	from   time.Time
}

// keyRing are keys, the newest first. It is immutable.
type keyRing []key

// inUse returns the secrets, the one that encrypts at a moment first.
func (keys keyRing) inUse(now time.Time) [][32]byte {
	current := slices.IndexFunc(keys, func(k key) bool { return !k.from.After(now) })
	if current < 0 { // the clock was put back
		current = len(keys) - 1
	}
	secrets := [][32]byte{keys[current].secret}
	for i, k := range keys {
		if i != current {
			secrets = append(secrets, k.secret)
		}
	}
	return secrets
}

// file is the text in the storage; secrets are base64.
type file struct {
	Keys []stored `json:"keys"`
}

type stored struct {
	From   time.Time `json:"from"`
	Secret []byte    `json:"secret"`
}

func (keys keyRing) format() []byte {
	var f file
	for _, k := range keys {
		f.Keys = append(f.Keys, stored{k.from, k.secret[:]})
	}
	text, _ := json.MarshalIndent(f, "", "  ") // all its times are near now, so nothing can fail
	return append(text, '\n')
}

// errTorn quotes nothing of the text, which holds keys.
var errTorn = errors.New("the file is empty, cut short or damaged")

// parse reads what format wrote.
func parse(text []byte) (keyRing, error) {
	var f file
	if len(text) > maxText || json.Unmarshal(text, &f) != nil || len(f.Keys) == 0 || len(f.Keys) > maxStored {
		return nil, errTorn
	}
	seen := map[[32]byte]bool{{}: true} // zeros are a hole in a file, and no key
	var keys keyRing
	for _, s := range f.Keys {
		k := key{from: s.From.UTC()}
		if copy(k.secret[:], s.Secret); len(s.Secret) != len(k.secret) || seen[k.secret] {
			return nil, errTorn
		}
		if year := k.from.Year(); year < 1970 || year > 9999 { // it could not be written again
			return nil, errTorn
		}
		seen[k.secret] = true
		keys = append(keys, k)
	}
	slices.SortStableFunc(keys, func(a, b key) int { return b.from.Compare(a.from) })
	return keys[:min(len(keys), maxKeys)], nil
}
