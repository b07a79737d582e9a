package bsonjson

import (
	"bytes"
	"errors"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// string reads a string whose opening quote is next.
func (p *parser) string() (string, error) {
	p.at++
	start := p.at
	for p.at < len(p.data) {
		switch c := p.data[p.at]; {
		case c == '"':
			p.at++
			return string(p.data[start : p.at-1]), nil
		case c == '\\':
			return p.escaped(append([]byte(nil), p.data[start:p.at]...))
		case c < ' ':
			return "", p.fault("control characters in strings must be escaped")
		}
		p.at++
	}
	return "", p.fault("the JSON text ends in a string")
}

// escaped reads the rest of a string that begins with text and goes on with an escape.
func (p *parser) escaped(text []byte) (string, error) {
	for p.at < len(p.data) {
		switch c := p.data[p.at]; {
		case c == '"':
			p.at++
			return string(text), nil
		case c < ' ':
			return "", p.fault("control characters in strings must be escaped")
		case c != '\\':
			text = append(text, c)
			p.at++
		default:
			r, err := p.escape()
			if err != nil {
				return "", err
			}
			text = utf8.AppendRune(text, r)
		}
	}
	return "", p.fault("the JSON text ends in a string")
}

// escape reads one escape, or two that are a surrogate pair.
func (p *parser) escape() (rune, error) {
	if p.at+1 >= len(p.data) {
		return 0, p.fault("the JSON text ends in a string")
	}
	const names, meanings = `"\/bfnrt`, "\"\\/\b\f\n\r\t"
	c := p.data[p.at+1]
	if i := strings.IndexByte(names, c); i >= 0 {
		p.at += 2
		return rune(meanings[i]), nil
	}
	r, ok := p.codeUnit()
	if !ok {
		return 0, p.fault(`\ in a string must be followed by one of "\/bfnrt or by u and four hex digits`)
	}
	if !utf16.IsSurrogate(r) {
		return r, nil
	}
	low, ok := p.codeUnit()
	if r = utf16.DecodeRune(r, low); !ok || r == utf8.RuneError {
		return 0, p.fault("a surrogate escape must be one of a pair")
	}
	return r, nil
}

func (p *parser) codeUnit() (rune, bool) {
	rest := p.data[p.at:]
	if len(rest) < 6 || rest[0] != '\\' || rest[1] != 'u' {
		return 0, false
	}
	var unit rune
	for _, c := range rest[2:6] {
		digit, ok := hexDigit(c)
		if !ok {
			return 0, false
		}
		unit = unit<<4 | digit
	}
	p.at += 6
	return unit, true
}

func hexDigit(c byte) (rune, bool) {
	switch {
	case '0' <= c && c <= '9':
		return rune(c - '0'), true
	case 'a' <= c && c <= 'f':
		return rune(c-'a') + 10, true
	case 'A' <= c && c <= 'F':
		return rune(c-'A') + 10, true
	}
	return 0, false
}

func (p *parser) number() (any, error) {
	start := p.at
	p.accept('-')
	whole := p.digits()
	leadingZero := whole > 1 && p.data[p.at-whole] == '0'
	if whole == 0 || leadingZero {
		return nil, p.fault("is not a JSON number")
	}
	isInteger := true
	if p.accept('.') {
		isInteger = false
		if p.digits() == 0 {
			return nil, p.fault("is not a JSON number: digits must follow the point")
		}
	}
	if p.accept('e') || p.accept('E') {
		isInteger = false
		_ = p.accept('+') || p.accept('-')
		if p.digits() == 0 {
			return nil, p.fault("is not a JSON number: digits must follow the e")
		}
	}
	text := string(p.data[start:p.at])
	if isInteger {
		return p.integer(text)
	}
	x, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return nil, p.fault("the number is too large")
	}
	return x, nil
}

func (p *parser) integer(text string) (any, error) {
	n, err := strconv.ParseInt(text, 10, 64)
	switch {
	case errors.Is(err, strconv.ErrRange):
		return nil, p.fault("the number is beyond 64 bits: send it as a string")
	case n == int64(int32(n)):
		return int32(n), nil
	}
	return n, nil
}

func (p *parser) digits() int {
	start := p.at
	for c := p.peek(); '0' <= c && c <= '9'; c = p.peek() {
		p.at++
	}
	return p.at - start
}

// peek returns the next byte, or 0, which no JSON token begins with, at the end.
func (p *parser) peek() byte {
	if p.at < len(p.data) {
		return p.data[p.at]
	}
	return 0
}

func (p *parser) accept(c byte) bool {
	if p.at < len(p.data) && p.data[p.at] == c {
		p.at++
		return true
	}
	return false
}

func (p *parser) literal(word string) bool {
	if !bytes.HasPrefix(p.data[p.at:], []byte(word)) {
		return false
	}
	p.at += len(word)
	return true
}

func (p *parser) skipSpace() {
	for p.at < len(p.data) {
		switch p.data[p.at] {
		case ' ', '\t', '\n', '\r':
			p.at++
		default:
			return
		}
	}
}
