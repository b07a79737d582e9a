package bsonjson

import (
	"encoding/binary"
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

// appendEscaped writes what belongs between the quotes (RFC 8259 §7). Runs that need no escape are copied whole.
func appendEscaped(dst, s []byte) []byte {
	copied := 0
	for i := 0; i < len(s); {
		if len(s)-i >= 8 && isPlain(binary.LittleEndian.Uint64(s[i:])) {
			i += 8
			continue
		}
		c := s[i]
		if c >= utf8.RuneSelf {
			r, size := utf8.DecodeRune(s[i:])
			if r == utf8.RuneError && size == 1 {
				dst = append(append(dst, s[copied:i]...), "\uFFFD"...)
				copied = i + 1
			}
			i += size
			continue
		}
		if c < ' ' || c == '"' || c == '\\' {
			dst = appendEscape(append(dst, s[copied:i]...), c)
			copied = i + 1
		}
		i++
	}
	return append(dst, s[copied:]...)
}

// isPlain reports whether each of eight bytes is ASCII and stands for itself in a JSON string. A subtraction borrows into a byte's top
// bit exactly when the byte is too small; borrows into the next byte happen only where the answer is false already.
func isPlain(eight uint64) bool {
	const each, top = 0x0101010101010101, 0x8080808080808080
	quote, backslash := eight^each*'"', eight^each*'\\'
	return (eight|(eight-each*' ')|(quote-each)|(backslash-each))&top == 0
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
