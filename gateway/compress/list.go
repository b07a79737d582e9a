package compress

import (
	"bytes"

	"metahub/gateway/grammar"
)

// hasElement reports whether a comma-separated list names lower, in any case, with or without "=value" behind it.
func hasElement(list []byte, lower string) bool {
	for len(list) > 0 {
		var element []byte
		element, list, _ = bytes.Cut(list, comma)
		element, _, _ = bytes.Cut(element, equals)
		if grammar.EqualFold(grammar.Trim(element), lower) {
			return true
		}
	}
	return false
}

var (
	comma     = []byte(",")
	semicolon = []byte(";")
	equals    = []byte("=")
)
