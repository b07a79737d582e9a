package api

import (
	"bytes"
	"errors"
	"io"
	"mime"
	"strings"

	"github.com/valyala/fasthttp"
	"go.mongodb.org/mongo-driver/v2/bson"

	"metahub/api/bsonjson"
)

// maxBody is the largest JSON body in bytes; a tenant may allow less.
const maxBody = 1 << 20

// readBody reads a JSON object.
func readBody(r *request) (bson.D, error) { return readBodyWithin(r, bsonjson.DefaultLimits) }

func readBodyWithin(r *request, limits bsonjson.Limits) (bson.D, error) {
	if err := checkContentType(r.http); err != nil {
		return nil, err
	}
	text, err := readAll(r.http, bodyLimit(r))
	r.restartClock()
	if err != nil {
		return nil, err
	}
	body, err := bsonjson.Parse(text, limits)
	if err != nil {
		return nil, bodyError(err)
	}
	return body, nil
}

// readMaybe reads a JSON object, or nil where there is no body, or "null", which is what axios sends for none.
func readMaybe(r *request) (bson.D, error) {
	text, err := readAll(r.http, bodyLimit(r))
	r.restartClock()
	if trimmed := bytes.TrimSpace(text); err != nil || len(trimmed) == 0 || string(trimmed) == "null" {
		return nil, err
	}
	r.http.Request.SetBody(text)
	return readBody(r)
}

// checkContentType refuses all but JSON, also because a form on a foreign page can send the other types unasked.
func checkContentType(http *fasthttp.RequestCtx) error {
	header := &http.Request.Header
	unsupported := &Error{Status: 415, Code: "unsupported_media_type", Message: "The body must be JSON: send it with Content-Type: application/json."}
	kind, parameters, err := mime.ParseMediaType(string(header.ContentType()))
	if err != nil || kind != "application/json" {
		return unsupported
	}
	if charset, ok := parameters["charset"]; ok && !strings.EqualFold(charset, "utf-8") {
		return unsupported
	}
	return checkEncoding(http)
}

func checkEncoding(http *fasthttp.RequestCtx) error {
	if encoding := http.Request.Header.ContentEncoding(); len(encoding) > 0 && !strings.EqualFold(string(encoding), "identity") {
		return &Error{Status: 415, Code: "unsupported_media_type", Message: "The body must not be compressed."}
	}
	return nil
}

func bodyLimit(r *request) int {
	if most := r.tenant.Limits.Body; 0 < most && most < maxBody {
		return int(most)
	}
	return maxBody
}

var errTooLarge = &Error{Status: 413, Code: "payload_too_large", Message: "The body is too large."}

// readAll reads no more than limit bytes, whether the body is here already or still arrives.
func readAll(http *fasthttp.RequestCtx, limit int) ([]byte, error) {
	if http.Request.Header.ContentLength() > limit {
		return nil, errTooLarge
	}
	stream := http.RequestBodyStream()
	if stream == nil {
		body := http.Request.Body()
		if len(body) > limit {
			return nil, errTooLarge
		}
		return body, nil
	}
	body, err := io.ReadAll(io.LimitReader(stream, int64(limit)+1))
	if len(body) > limit {
		return nil, errTooLarge
	}
	if err != nil {
		return nil, &Error{Status: 400, Code: "bad_request", Message: "The body broke off.", cause: err}
	}
	return body, nil
}

func bodyError(err error) error {
	var wrong *bsonjson.Error
	if !errors.As(err, &wrong) {
		return err
	}
	where := ""
	if wrong.Path != "" {
		where = " at " + wrong.Path
	}
	return badRequest("The body is not a JSON object that can be stored:%s %s.", where, wrong.Reason)
}
