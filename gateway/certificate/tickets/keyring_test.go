package tickets

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestParse(t *testing.T) {
	good := ring(36*time.Hour, 24*time.Hour, 12*time.Hour, 0)
	if got, err := parse(good.format()); err != nil || !slices.Equal(got, good) {
		t.Fatalf("parse = %v, %v", got, err)
	}
	many := ring(time.Hour, 2*time.Hour, 3*time.Hour, 4*time.Hour, 5*time.Hour, 6*time.Hour)
	if got, err := parse(many.format()); err != nil || len(got) != maxKeys || !got[0].from.Equal(noon.Add(6*time.Hour)) {
		t.Errorf("of six keys: %v, %v", got, err)
	}
	f := func(text string) {
		t.Helper()
		if got, err := parse([]byte(text)); !errors.Is(err, errTorn) {
			t.Errorf("parse = %v, %v", got, err)
		}
	}
	one := func(from, secret string) string {
		return fmt.Sprintf(`{"keys":[{"from":%q,"secret":%q}]}`, from, secret)
	}
	const secret = "AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
	if _, err := parse([]byte(one("2026-07-01T12:00:00Z", secret))); err != nil {
		t.Fatal(err)
	}
	// empty, cut short, zeros of a crash, no JSON
	f("")
	f(string(good.format()[:100]))
	f(strings.Repeat("\x00", 100))
	f("[]")
	f(`{"keys":[]}`)
	f(`{"keys":null}`)
	// a key that is too short, too long, zeros or there twice
	f(one("2026-07-01T12:00:00Z", "AQID"))
	f(one("2026-07-01T12:00:00Z", secret[:43]+"AAAA="))
	f(one("2026-07-01T12:00:00Z", strings.Repeat("A", 43)+"="))
	f(string(append(ring(0), ring(0)...).format()))
	// a moment that is none, or cannot be written again
	f(one("yesterday", secret))
	f(one("9999-12-31T23:59:59-12:00", secret))
	f(`{"keys":[{"secret":"` + secret + `"}]}`)
	// too many, too large
	f(string(append(ring(make([]time.Duration, 40)...), good...).format()))
	f(string(good.format()) + strings.Repeat(" ", maxText))
}

func FuzzParse(f *testing.F) {
	f.Add(ring(12*time.Hour, 0).format())
	f.Add([]byte(`{"keys":[{"from":"0000-01-01T00:00:00+23:59","secret":"AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="}]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		keys, err := parse(text)
		if err != nil {
			if !errors.Is(err, errTorn) {
				t.Fatal(err)
			}
			return
		}
		if len(keys) == 0 || len(keys) > maxKeys {
			t.Fatalf("%d keys", len(keys))
		}
		again, err := parse(keys.format())
		if err != nil || !slices.Equal(again, keys) {
			t.Fatalf("%v became %v, %v", keys, again, err)
		}
		if secrets := keys.inUse(noon); len(secrets) != len(keys) || bytes.Equal(secrets[0][:], make([]byte, 32)) {
			t.Fatalf("in use: %d of %d", len(secrets), len(keys))
		}
	})
}
