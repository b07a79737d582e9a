package api

import (
	"bytes"
	"strconv"

	"github.com/valyala/fasthttp"

	"metahub/api/model"
)

// maxLanguages bounds how many languages of a header are looked at.
const maxLanguages = 20

// negotiate finds the language that the client likes best among those that there are (RFC 9110 §12.5.4).
func negotiate(http *fasthttp.RequestCtx) model.Language {
	best, weight := model.Fallback, 0.0
	header := http.Request.Header.Peek(fasthttp.HeaderAcceptLanguage)
	for range maxLanguages {
		if len(header) == 0 {
			break
		}
		var one []byte
		one, header, _ = bytes.Cut(header, []byte{','})
		tag, parameters, _ := bytes.Cut(one, []byte{';'})
		language, known := model.ParseLanguage(bytes.TrimSpace(tag))
		if q := quality(parameters); known && q > weight {
			best, weight = language, q
		}
	}
	return best
}

// quality reads "q=0.8" (RFC 9110 §12.4.2), which is 1 where it is missing and 0 where it makes no sense.
func quality(parameters []byte) float64 {
	parameters = bytes.TrimSpace(parameters)
	if len(parameters) == 0 {
		return 1
	}
	value, ok := bytes.CutPrefix(parameters, []byte("q="))
	if !ok || len(value) > 5 {
		return 0
	}
	q, err := strconv.ParseFloat(string(value), 64)
	if err != nil || !(0 <= q && q <= 1) {
		return 0
	}
	return q
}

// setLanguage reads a parameter that chooses the language, and reports whether name is one.
func (r *request) setLanguage(name, value string) (bool, error) {
	switch name {
	case "locale":
		language, known := model.ParseLanguage([]byte(value))
		if !known {
			return true, badRequest("The parameter %q must be %s.", name, `a language like "de"`)
		}
		r.language = language
	case "flat":
		if value != "0" && value != "1" {
			return true, badRequest("The parameter %q must be %s.", name, "one of: 0, 1")
		}
		r.flat = value == "1"
	default:
		return false, nil
	}
	return true, nil
}
