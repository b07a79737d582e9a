package api

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"mime"
	"mime/multipart"

	"github.com/valyala/fasthttp"
	"go.mongodb.org/mongo-driver/v2/bson"

	"metahub/api/model"
)

// readDocument reads the document in a body: a JSON object, or a form (RFC 7578) as existing frontends send it, with its files where by
// may upload them. The attachments are the caller's to discard, also where they are nil.
func (a *API) readDocument(r *request, m *model.Model, by model.Audience) (bson.D, *attachments, error) {
	boundary, ok := formBoundary(r.http)
	if !ok {
		body, err := readBody(r)
		return body, nil, err
	}
	if err := checkEncoding(r.http); err != nil {
		return nil, nil, err
	}
	files := a.newAttachments(r, m, by)
	body, err := readFormDocument(r, m, by, boundary, files)
	if err != nil {
		files.discard()
		return nil, nil, err
	}
	return body, files, nil
}

func readFormDocument(r *request, m *model.Model, by model.Audience, boundary string, files *attachments) (bson.D, error) {
	from := &bounded{from: bodyReader(r.http), left: files.limit()}
	if r.http.Request.Header.ContentLength() > from.left {
		return nil, errTooLarge
	}
	parts, err := readForm(from, boundary, files.stage)
	r.restartClock()
	if from.err != nil {
		return nil, from.err
	}
	if err != nil {
		return nil, err
	}
	body, issues := m.Form(parts)
	body, arrangement, more := m.Arrangement(body, by)
	if issues = append(issues, more...); len(issues) > 0 {
		return nil, invalid(issues)
	}
	files.arrangement = arrangement
	return body, nil
}

func formBoundary(http *fasthttp.RequestCtx) (string, bool) {
	kind, parameters, err := mime.ParseMediaType(string(http.Request.Header.ContentType()))
	return parameters["boundary"], err == nil && kind == "multipart/form-data"
}

func bodyReader(http *fasthttp.RequestCtx) io.Reader {
	if stream := http.RequestBodyStream(); stream != nil {
		return stream
	}
	return bytes.NewReader(http.Request.Body())
}

// bounded reads no more than left bytes, and keeps what went wrong: a multipart.Reader tells it in words of its own.
type bounded struct {
	from io.Reader
	left int
	err  error
}

func (b *bounded) Read(p []byte) (int, error) {
	if b.err != nil {
		return 0, b.err
	}
	n, err := b.from.Read(p[:min(len(p), b.left+1)])
	if b.left -= n; b.left < 0 {
		b.err = errTooLarge
		return 0, b.err
	}
	if err != nil && !errors.Is(err, io.EOF) {
		b.err = &Error{Status: 400, Code: "bad_request", Message: "The body broke off.", cause: err}
		return n, b.err
	}
	return n, err
}

const (
	maxParts = 1000 // fields of a form
	partCost = 100  // bytes that a field counts besides its value: its head and the boundary
)

// readForm reads the fields of a form, and hands its files to stage, part by part. A file input that is empty sends an empty file, which
// is none.
func readForm(text io.Reader, boundary string, stage func(name string, content io.Reader) error) (parts []model.Part, err error) {
	broken := badRequest("The body is not a well-formed form.")
	if boundary == "" {
		return nil, broken
	}
	reader := multipart.NewReader(text, boundary)
	room := maxBody
	for seen := 0; ; seen++ {
		part, err := reader.NextPart()
		if errors.Is(err, io.EOF) && seen > 0 {
			return parts, nil
		}
		if err != nil || part.FormName() == "" || seen == maxParts {
			return nil, broken
		}
		if isFile(part) {
			content := &telling{from: bufio.NewReader(part)}
			if _, err := content.from.Peek(1); errors.Is(err, io.EOF) {
				continue
			}
			if err := stage(part.FormName(), content); err != nil {
				if content.err != nil {
					return nil, broken
				}
				return nil, err
			}
			continue
		}
		value, err := io.ReadAll(io.LimitReader(part, int64(room)+1))
		if err != nil {
			return nil, broken
		}
		if room -= len(value) + partCost; room < 0 {
			return nil, errTooLarge
		}
		parts = append(parts, model.Part{Name: part.FormName(), Value: string(value)})
	}
}

// telling keeps the error of a part that could not be read, which is not one of whom it is handed to.
type telling struct {
	from *bufio.Reader
	err  error
}

func (t *telling) Read(p []byte) (int, error) {
	n, err := t.from.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		t.err = err
	}
	return n, err
}

// isFile reports whether a part comes from a file input, also where the file has no name.
func isFile(part *multipart.Part) bool {
	_, parameters, err := mime.ParseMediaType(part.Header.Get("Content-Disposition"))
	_, named := parameters["filename"]
	return err == nil && named
}
