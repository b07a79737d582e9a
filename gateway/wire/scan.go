package wire

import (
	"bytes"
	"encoding/binary"
)

// tokenLength returns how many bytes at the start of b can be a token (RFC 9110 §5.6.2).
func tokenLength(b []byte) int {
	for i, c := range b {
		if class[c]&token == 0 {
			return i
		}
	}
	return len(b)
}

func isToken(b []byte) bool { return len(b) > 0 && tokenLength(b) == len(b) }

// isVisible reports whether b is made of the visible ASCII characters that a request target may hold: no space, no fragment.
func isVisible(b []byte) bool {
	for _, c := range b {
		if class[c]&inTarget == 0 {
			return false
		}
	}
	return true
}

// isFieldValue reports whether b has no control character but tabs. Most of a head goes through here, so it takes eight bytes at a
// time; the last eight overlap.
func isFieldValue(b []byte) bool {
	if len(b) < 8 {
		return hasNoControl(b)
	}
	for i := 0; i < len(b); i += 8 {
		eight := b[min(i, len(b)-8):][:8]
		if mayHaveControl(binary.LittleEndian.Uint64(eight)) && !hasNoControl(eight) {
			return false
		}
	}
	return true
}

func hasNoControl(b []byte) bool {
	for _, c := range b {
		if class[c]&inValue == 0 {
			return false
		}
	}
	return true
}

// mayHaveControl reports whether one of eight bytes is under 0x20 or is DEL. Carries make it say yes now and then of a word that has
// none, never no of one that has.
func mayHaveControl(word uint64) bool {
	const ones, highs = 0x0101010101010101, 0x8080808080808080
	del := word ^ 0x7f*ones
	return ((word-0x20*ones)&^word|(del-ones)&^del)&highs != 0
}

// equalFold reports whether b is lower but for the case of its ASCII letters. It takes b to hold no control characters.
func equalFold(b []byte, lower string) bool {
	if len(b) != len(lower) {
		return false
	}
	for i, c := range b {
		if c|0x20 != lower[i] {
			return false
		}
	}
	return true
}

// foldName folds what peers take for the same name: X-Tenant, x_tenant, X.Tenant.
func foldName(c byte) byte {
	switch {
	case c == '_' || c == '.':
		return '-'
	case 'A' <= c && c <= 'Z':
		return c | 0x20
	}
	return c
}

func isBlank(c byte) bool { return c == ' ' || c == '\t' }
func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// What a byte may be part of.
const (
	token = 1 << iota
	inTarget
	inValue
)

// class is the table of what each byte may be part of.
var class = func() (table [256]byte) {
	for c := ' '; c < 0x7f; c++ {
		table[c] = inTarget | inValue
		if isAlphanumeric(byte(c)) || bytes.ContainsRune([]byte("!#$%&'*+-.^_`|~"), c) {
			table[c] |= token
		}
	}
	table[' '] &^= inTarget
	table['#'] &^= inTarget // begins a fragment, which is never sent (RFC 9112 §3.2)
	table['\t'] = inValue
	for c := 0x80; c < 0x100; c++ {
		table[c] = inValue // obs-text, RFC 9110 §5.5
	}
	return table
}()

func isAlphanumeric(c byte) bool {
	return isDigit(c) || 'a' <= c|0x20 && c|0x20 <= 'z'
}
