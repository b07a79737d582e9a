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
	for i < len(s) && s[i] < utf8.RuneSelf && s[i] >= ' ' && s[i] != '"' && s[i] != '\\' {
		i++
	}
	dst = append(dst, s[:i]...)
	if i == len(s) {
		return dst
	}
	return appendRest(dst, s[i:])
}

// appendRest is appendEscaped of any text. Runs that need no escape are copied whole.
func appendRest(dst, s []byte) []byte {
	if !utf8.Valid(s) {
		return appendRepaired(dst, s)
	}
	copied, i := 0, 0
	for len(s)-i >= 8 {
		found := special(binary.LittleEndian.Uint64(s[i:]))
		if found == 0 {
			i += 8
			continue
		}
		i += bits.TrailingZeros64(found) / 8
		dst = appendEscape(append(dst, s[copied:i]...), s[i])
		i++
		copied = i
	}
	for ; i < len(s); i++ {
		if c := s[i]; c < ' ' || c == '"' || c == '\\' {
			dst = appendEscape(append(dst, s[copied:i]...), c)
			copied = i + 1
		}
	}
	return append(dst, s[copied:]...)
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
