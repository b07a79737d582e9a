package compress

import (
	"bytes"

	"metahub/gateway/grammar"
	"metahub/tenant"
)

// weights are the q-values of Accept-Encoding in thousandths, or unsaid.
type weights struct {
	of  [tenant.Gzip + 1]int
	any int // of "*"
}

const unsaid = -1

// choose returns the offered coding that the client likes best, among equals the first offered. Identity means to send the body as it
// is, whether or not the client would have it: no answer at all would help it less (RFC 9110 §12.5.3). plain is false if it would not.
func choose(accept [][]byte, offered tenant.Codings) (best tenant.Coding, plain bool) {
	w := weights{of: [...]int{unsaid, unsaid, unsaid, unsaid}, any: unsaid}
	for _, list := range accept {
		w.read(list)
	}
	most := max(w.of[tenant.Identity], 0) // not named, it is the last choice
	for _, coding := range offered {
		if q := w.quality(coding); coding != tenant.Identity && q > 0 && (q > most || q == most && best == tenant.Identity) {
			best, most = coding, q
		}
	}
	return best, w.quality(tenant.Identity) != 0
}

// quality is unsaid for what the client has not spoken of, but 0 for a coding: only identity needs no word.
func (w *weights) quality(c tenant.Coding) int {
	switch {
	case w.of[c] != unsaid:
		return w.of[c]
	case c == tenant.Identity && w.any > 0:
		return unsaid
	}
	return w.any
}

// read takes in one field. An element that is not sound says nothing; of two about one coding the later counts.
func (w *weights) read(list []byte) {
	for len(list) > 0 {
		var element []byte
		element, list, _ = bytes.Cut(list, comma)
		name, parameter, weighted := bytes.Cut(element, semicolon)
		q, ok := 1000, true
		if weighted {
			q, ok = weight(grammar.Trim(parameter))
		}
		if ok {
			w.set(grammar.Trim(name), q)
		}
	}
}

func (w *weights) set(name []byte, q int) {
	switch {
	case len(name) == 1 && name[0] == '*':
		w.any = q
	case grammar.EqualFold(name, "zstd"):
		w.of[tenant.Zstd] = q
	case grammar.EqualFold(name, "br"):
		w.of[tenant.Brotli] = q
	case grammar.EqualFold(name, "gzip"), grammar.EqualFold(name, "x-gzip"): // RFC 9110 §8.4.1.3
		w.of[tenant.Gzip] = q
	case grammar.EqualFold(name, "identity"):
		w.of[tenant.Identity] = q
	}
}

// weight reads "q=0.5" in thousandths (RFC 9110 §12.4.2).
func weight(p []byte) (q int, ok bool) {
	if len(p) < len("q=0") || len(p) > len("q=0.000") || p[0]|0x20 != 'q' || p[1] != '=' {
		return 0, false
	}
	q = int(p[2]-'0') * 1000
	if digits := p[3:]; len(digits) > 0 {
		if digits[0] != '.' {
			return 0, false
		}
		for i, unit := 1, 100; i < len(digits); i, unit = i+1, unit/10 {
			if digits[i] < '0' || digits[i] > '9' {
				return 0, false
			}
			q += int(digits[i]-'0') * unit
		}
	}
	return q, (p[2] == '0' || p[2] == '1') && q <= 1000
}
