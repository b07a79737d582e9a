package bsonjson

import (
	"encoding/binary"
	"math/rand/v2"
	"testing"
	"unicode/utf8"
)

func TestShortRunes(t *testing.T) {
	pieces := []string{"a", "\x7f", "ş", "ü", "Ж", "\u0080", "\u07ff", "’", "語", "😀", "\xc0\x80", "\xc1\xbf", "\xc3", "\x80", "\xff", "\xed\xa0\x80", "\xe0\x80\x80"}
	for range 200_000 {
		var s []byte
		for some := 1 + rand.IntN(len(pieces)); len(s) < 9; {
			s = append(s, pieces[rand.IntN(some)]...)
		}
		want := 0
		for want < 8 {
			r, size := utf8.DecodeRune(s[want:])
			if size > 2 || r == utf8.RuneError || size == 2 && want == 7 {
				break
			}
			want += size
		}
		begins := s[7] >= 0xc2 && s[7] < 0xe0
		if want < 7 || want == 7 && !begins {
			want = 0
		}
		if n := shortRunes(binary.LittleEndian.Uint64(s)); n != want {
			t.Fatalf("%q: %d bytes are taken for short runes, want %d", s, n, want)
		}
	}
}
