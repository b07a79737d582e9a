package grammar

import "encoding/binary"

// IsFieldValue reports whether b has no control character but tabs. Most of a head goes through here, so it takes eight bytes at a
// time; the last eight overlap.
func IsFieldValue(b []byte) bool {
	if len(b) < 8 {
		return consists(b, value)
	}
	for i := 0; i < len(b); i += 8 {
		eight := b[min(i, len(b)-8):][:8]
		if mayHaveControl(binary.LittleEndian.Uint64(eight)) && !consists(eight, value) {
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

// Trim removes the optional whitespace around a field value.
func Trim(b []byte) []byte {
	for len(b) > 0 && IsBlank(b[0]) {
		b = b[1:]
	}
	for len(b) > 0 && IsBlank(b[len(b)-1]) {
		b = b[:len(b)-1]
	}
	return b
}
