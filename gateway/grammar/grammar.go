// Package grammar says what the parts of an HTTP message may be made of (RFC 9110 §5, RFC 9112 §3).
//
//	if !grammar.IsToken(name) || !grammar.IsFieldValue(value) { … }
//
// The guard of incoming bytes, the bridge from HTTP/2 and the client of upstreams all judge by it, so that none of them passes what
// another refuses. It knows bytes and names, not messages.
package grammar

// What a byte may be part of.
const (
	token = 1 << iota
	target
	value
)

// classes is the table of what each byte may be part of.
var classes = func() (table [256]uint8) {
	for c := 0x21; c < 0x7f; c++ {
		table[c] = target | value
	}
	for _, c := range []byte("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ") {
		table[c] |= token
	}
	table['#'] &^= target // begins a fragment, which is never sent (RFC 9112 §3.2)
	table[' '], table['\t'] = value, value
	for c := 0x80; c < 0x100; c++ {
		table[c] = value // obs-text, RFC 9110 §5.5
	}
	return table
}()

// TokenLength returns how many bytes at the start of b can be a token.
func TokenLength(b []byte) int {
	for i, c := range b {
		if classes[c]&token == 0 {
			return i
		}
	}
	return len(b)
}

// IsToken reports whether s is a token, as methods and field names are (RFC 9110 §5.6.2).
func IsToken[T string | []byte](s T) bool { return len(s) > 0 && consists(s, token) }

// IsTarget reports whether s is made of the visible ASCII characters that a request target may hold: no space, no fragment.
func IsTarget[T string | []byte](s T) bool { return consists(s, target) }

// IsValueByte reports whether a field value may hold c.
func IsValueByte(c byte) bool { return classes[c]&value != 0 }

// IsBlank reports whether c is optional whitespace (RFC 9110 §5.6.3).
func IsBlank(c byte) bool { return c == ' ' || c == '\t' }

func consists[T string | []byte](s T, class uint8) bool {
	for i := range len(s) {
		if classes[s[i]]&class == 0 {
			return false
		}
	}
	return true
}

// HexDigit returns the value of a hexadecimal digit.
func HexDigit(c byte) (value byte, ok bool) {
	switch letter := c | 0x20; {
	case '0' <= c && c <= '9':
		return c - '0', true
	case 'a' <= letter && letter <= 'f':
		return letter - 'a' + 10, true
	}
	return 0, false
}
