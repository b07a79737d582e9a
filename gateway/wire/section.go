package wire

import (
	"bytes"

	"metahub/gateway/grammar"
)

// section is the check of lines up to an empty one: a head or a trailer section (RFC 9112 §2.1, §7.1.2).
type section struct {
	next   int // offset of the first line that is not checked yet
	fields int
}

// span is a part of a section by its offsets; the buffer below it may move.
type span struct{ from, to int }

func (s span) of(b []byte) []byte { return b[s.from:s.to] }
func (s span) isEmpty() bool      { return s.from == s.to }

// nextLine steps over the next line of b, the bytes from the section's first, and returns it without its CRLF; ok is false while it is
// not complete. A section that leaves no room for its end is too large.
func (s *section) nextLine(b []byte, limits *Limits) (line span, ok bool, err *Error) {
	end := bytes.IndexByte(b[s.next:], '\n')
	if end < 0 {
		if len(b) >= limits.HeaderBytes {
			return span{}, false, errHeadTooLarge
		}
		return span{}, false, nil
	}
	line = span{s.next, s.next + end - 1}
	s.next += end + 1
	if s.next > limits.HeaderBytes {
		return span{}, false, errHeadTooLarge
	}
	if end == 0 || b[line.to] != '\r' {
		return span{}, false, errLineEnding
	}
	return line, true, nil
}

// nextField checks a line that must be "name: value" (RFC 9112 §5) and returns its name, and where in b its value is without the
// whitespace around it. A folded line, and whitespace around the name, make a name that is no token.
func (s *section) nextField(b []byte, line span, limits *Limits) (name []byte, value span, err *Error) {
	if s.fields++; s.fields > limits.Headers {
		return nil, span{}, errTooManyFields
	}
	text := line.of(b)
	colon := grammar.TokenLength(text)
	if colon == 0 || colon == len(text) || text[colon] != ':' {
		return nil, span{}, errField
	}
	if !grammar.IsFieldValue(text[colon+1:]) {
		return nil, span{}, errFieldValue
	}
	value = span{line.from + colon + 1, line.to}
	for !value.isEmpty() && grammar.IsBlank(b[value.from]) {
		value.from++
	}
	for !value.isEmpty() && grammar.IsBlank(b[value.to-1]) {
		value.to--
	}
	return text[:colon], value, nil
}
