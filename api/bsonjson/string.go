package bsonjson

import (
	"encoding/binary"
	"math/bits"
	"unicode/utf8"
	"unsafe"
)

// AppendString appends s to dst as a JSON string. Bytes that are not UTF-8 become U+FFFD.
func AppendString(dst []byte, s string) []byte {
	return appendString(dst, unsafe.Slice(unsafe.StringData(s), len(s)))
}

func appendString(dst, s []byte) []byte {
	return append(appendEscaped(append(dst, '"'), s), '"')
}

// appendEscaped writes what belongs between the quotes (RFC 8259 §7). Most texts are ASCII and stand for themselves.
func appendEscaped(dst, s []byte) []byte {
	i := 0
	for len(s)-i >= 8 && isPlain(binary.LittleEndian.Uint64(s[i:])) {
		i += 8
	}
	if i == len(s) || len(s)-i < 8 && isPlainAtEnd(s) {
		return append(dst, s...)
	}
	return appendRest(append(dst, s[:i]...), s[i:])
}

// isPlainAtEnd is isPlain of the last eight bytes, or of all where they are fewer.
func isPlainAtEnd(s []byte) bool {
	switch n := len(s); {
	case n >= 8:
		return isPlain(binary.LittleEndian.Uint64(s[n-8:]))
	case n >= 4:
		return isPlain(uint64(binary.LittleEndian.Uint32(s)) | uint64(binary.LittleEndian.Uint32(s[n-4:]))<<32)
	}
	eight := each * uint64(' ')
	for i, c := range s {
		eight ^= uint64(c^' ') << (8 * i)
	}
	return isPlain(eight)
}

// appendRest is appendEscaped of any text. Runs that need no escape are copied whole.
func appendRest(dst, s []byte) []byte {
	copied, i := 0, 0
	for i < len(s) {
		if len(s)-i >= 8 {
			eight := binary.LittleEndian.Uint64(s[i:])
			found := special(eight)
			if found == 0 {
				if n := shortRunes(eight); n > 0 {
					i += n
					continue
				}
			}
			i += bits.TrailingZeros64(found|eight&top) / 8
		}
		switch c := s[i]; {
		case c >= utf8.RuneSelf:
			end := skipRunes(s, i)
			if end < 0 {
				return appendRepaired(append(dst, s[copied:i]...), s[i:])
			}
			i = end
		case c < ' ' || c == '"' || c == '\\':
			dst = appendEscape(append(dst, s[copied:i]...), c)
			i++
			copied = i
		default:
			i++
		}
	}
	return append(dst, s[copied:]...)
}

// skipRunes returns where the runes beyond ASCII end that begin at i, or a negative number where one is not UTF-8.
func skipRunes(s []byte, i int) int {
	for i < len(s) && s[i] >= utf8.RuneSelf {
		switch c := s[i]; {
		case c >= 0xc2 && c < 0xe0 && len(s)-i >= 2 && s[i+1]&0xc0 == 0x80: // as in shortRunes
			i += 2
			continue
		case c >= 0xe0 && c < 0xf0 && len(s)-i >= 3 && s[i+1]&0xc0 == 0x80 && s[i+2]&0xc0 == 0x80 &&
			(c != 0xe0 || s[i+1] >= 0xa0) && (c != 0xed || s[i+1] < 0xa0): // no surrogate, and none that two bytes would do for
			i += 3
			continue
		}
		r, size := utf8.DecodeRune(s[i:])
		if r == utf8.RuneError && size == 1 {
			return -1
		}
		i += size
	}
	return i
}

// shortRunes returns how many of eight bytes, of which the first begins a rune, are whole runes of one byte and of two, as those of all Latin,
// Greek and Cyrillic letters are (RFC 3629 §3): 8, or 7 before the first byte of one more. It is 0 where there is anything else.
func shortRunes(eight uint64) int {
	high := eight & top
	if high == 0 {
		return 8
	}
	first := high & (eight << 1) // 11xxxxxx
	next := high &^ first        // 10xxxxxx
	long := first & (eight << 2) // 111xxxxx
	wide := (eight&(each*0x1e) + each*0x7e) & top
	switch {
	case next != first<<8 || long != 0 || first&^wide != 0: // the last for what one byte would do for
		return 0
	case first>>63 != 0:
		return 7
	}
	return 8
}

// appendRepaired is appendEscaped of what is not UTF-8: each byte that belongs to no rune becomes U+FFFD.
func appendRepaired(dst, s []byte) []byte {
	for len(s) > 0 {
		switch r, size := utf8.DecodeRune(s); {
		case r == utf8.RuneError && size == 1:
			dst, s = append(dst, "\uFFFD"...), s[1:]
		case r < ' ' || r == '"' || r == '\\':
			dst, s = appendEscape(dst, s[0]), s[1:]
		default:
			dst, s = append(dst, s[:size]...), s[size:]
		}
	}
	return dst
}

const each, top = 0x0101010101010101, 0x8080808080808080

// isPlain reports whether each of eight bytes is ASCII and stands for itself in a JSON string. A subtraction borrows into a byte's top
// bit exactly when the byte is too small; borrows into the next byte happen only where the answer is false already.
func isPlain(eight uint64) bool {
	quote, backslash := eight^each*'"', eight^each*'\\'
	return (eight|(eight-each*' ')|(quote-each)|(backslash-each))&top == 0
}

// special finds the bytes that cannot stand for themselves in a JSON string, those beyond ASCII aside: the lowest bit that is set is the top bit
// of the first of them, and none is set where there is none. Bits above the first may be wrong, as a subtraction may have borrowed from them.
func special(eight uint64) uint64 {
	quote, backslash := eight^each*'"', eight^each*'\\'
	return ((eight-each*' ')&^eight | (quote-each)&^quote | (backslash-each)&^backslash) & top
}

// indexZero is bytes.IndexByte of a zero that is near, as behind a name.
func indexZero(b []byte) int {
	i := 0
	for ; len(b)-i >= 8; i += 8 {
		eight := binary.LittleEndian.Uint64(b[i:])
		if zero := (eight - each) &^ eight & top; zero != 0 {
			return i + bits.TrailingZeros64(zero)/8
		}
	}
	for ; i < len(b); i++ {
		if b[i] == 0 {
			return i
		}
	}
	return -1
}

func appendEscape(dst []byte, c byte) []byte {
	const digits = "0123456789abcdef"
	switch c {
	case '"', '\\':
		return append(dst, '\\', c)
	case '\n':
		return append(dst, '\\', 'n')
	case '\r':
		return append(dst, '\\', 'r')
	case '\t':
		return append(dst, '\\', 't')
	}
	return append(dst, '\\', 'u', '0', '0', digits[c>>4], digits[c&15])
}
