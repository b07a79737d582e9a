package frontend

import (
	"github.com/valyala/fasthttp"

	"metahub/gateway/grammar"
)

// coding is a content coding (RFC 9110 §8.4.1) that a file may lie beside its original in.
type coding uint8

// The codings in the order in which the gateway takes them when a client likes them alike.
const (
	brotli coding = iota
	zstandard
	gzip
	identity
	codings
)

var (
	codingNames    = [codings][]byte{brotli: []byte("br"), zstandard: []byte("zstd"), gzip: []byte("gzip"), identity: []byte("identity")}
	codingSuffixes = [identity]string{brotli: ".br", zstandard: ".zst", gzip: ".gz"}
)

// choose returns the representation that the client likes best (RFC 9110 §12.5.3), by number. Who accepts none of them gets the file as
// it is, which is better than nothing.
func (a *asset) choose(h *fasthttp.RequestHeader) int {
	if len(a.representations) == 1 {
		return 0
	}
	lists := h.PeekAll("Accept-Encoding")
	if len(lists) == 0 {
		return 0
	}
	weights := weigh(lists)
	best, most := 0, 0
	for i := 1; i <= len(a.representations); i++ {
		i := i % len(a.representations) // the file itself comes last
		if weight := weights[a.representations[i].coding]; weight > most {
			best, most = i, weight
		}
	}
	return best
}

// weigh returns the weight of each coding in thousandths. What no member names has the weight of "*"; without that identity is
// acceptable, if less than anything that is named, and nothing else is.
func weigh(lists [][]byte) (weights [codings]int) {
	const unnamed = -1
	for c := range weights {
		weights[c] = unnamed
	}
	star := unnamed
	for _, list := range lists {
		for len(list) > 0 {
			var name []byte
			var weight int
			name, weight, list = nextWeighted(list)
			if len(name) == 1 && name[0] == '*' {
				star = weight
			} else if c := codingOf(name); c < codings {
				weights[c] = weight
			}
		}
	}
	for c, weight := range weights {
		switch {
		case weight != unnamed:
		case coding(c) == identity:
			weights[c] = 0
		default:
			weights[c] = max(star, 0)
		}
	}
	return weights
}

func codingOf(name []byte) coding {
	switch {
	case grammar.EqualFold(name, "gzip"), grammar.EqualFold(name, "x-gzip"):
		return gzip
	case grammar.EqualFold(name, "br"):
		return brotli
	case grammar.EqualFold(name, "zstd"):
		return zstandard
	case grammar.EqualFold(name, "identity"):
		return identity
	}
	return codings
}
