package frontend

import (
	"bytes"

	"metahub/gateway/grammar"
)

// reserved reports whether a field is the gateway's own, which no Connection option can remove (CVE-2022-31813).
func reserved(name []byte) bool {
	switch len(name) {
	case 4:
		return grammar.EqualFold(name, "host")
	case 8:
		return grammar.EqualFold(name, "x-tenant")
	case 9:
		return grammar.EqualFold(name, "x-real-ip")
	case 12:
		return grammar.EqualFold(name, "x-request-id")
	}
	return grammar.HasPrefixFold(name, "x-forwarded-")
}

// hasOption reports whether list, the value of a Connection field, names option in any case. option may be of any case too.
func hasOption(list, option []byte) bool {
	for len(list) > 0 {
		var token []byte
		token, list, _ = bytes.Cut(list, comma)
		if bytes.EqualFold(grammar.Trim(token), option) {
			return true
		}
	}
	return false
}

// namesFields reports whether a Connection field has options beyond those that name no other field.
func namesFields(list []byte) bool {
	for len(list) > 0 {
		var token []byte
		token, list, _ = bytes.Cut(list, comma)
		token = grammar.Trim(token)
		if len(token) > 0 && !grammar.EqualFold(token, "close") && !grammar.EqualFold(token, "keep-alive") && !grammar.EqualFold(token, "upgrade") {
			return true
		}
	}
	return false
}

var comma = []byte(",")
