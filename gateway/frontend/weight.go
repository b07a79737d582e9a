package frontend

import (
	"bytes"

	"metahub/gateway/grammar"
)

// nextWeighted reads the first member of a list such as "br;q=0.5, *", as Accept and Accept-Encoding hold it (RFC 9110 §12.4.2): its name
// and its weight in thousandths. A weight that cannot be read is 0, so that nobody gets what they may not have wanted.
func nextWeighted(list []byte) (name []byte, weight int, rest []byte) {
	member, rest, _ := bytes.Cut(list, comma)
	name, parameters, _ := bytes.Cut(member, semicolon)
	weight = 1000
	for len(parameters) > 0 {
		var parameter []byte
		parameter, parameters, _ = bytes.Cut(parameters, semicolon)
		if parameter = grammar.Trim(parameter); len(parameter) >= 2 && parameter[0]|0x20 == 'q' && parameter[1] == '=' {
			weight = thousandths(parameter[2:])
		}
	}
	return grammar.Trim(name), weight, rest
}

var semicolon = []byte(";")

// thousandths reads a qvalue: 0 or 1 with at most three decimals, and none above 1.
func thousandths(text []byte) int {
	if len(text) == 0 || len(text) > len("0.000") || text[0] != '0' && text[0] != '1' || len(text) > 1 && text[1] != '.' {
		return 0
	}
	n := int(text[0]-'0') * 1000
	place := 100
	for _, c := range text[min(2, len(text)):] {
		if c < '0' || c > '9' {
			return 0
		}
		n += int(c-'0') * place
		place /= 10
	}
	if n > 1000 {
		return 0
	}
	return n
}

// acceptsHTML reports whether an Accept field names text/html itself. Every browser does when it opens a page, and no script does
// unasked.
func acceptsHTML(accept []byte) bool {
	for len(accept) > 0 {
		var name []byte
		var weight int
		name, weight, accept = nextWeighted(accept)
		if weight > 0 && grammar.EqualFold(name, "text/html") {
			return true
		}
	}
	return false
}
