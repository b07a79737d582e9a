package api

import (
	"errors"
	"io"
	"io/fs"
	"os"

	"github.com/valyala/fasthttp"

	"metahub/api/model"
	"metahub/api/upload"
	"metahub/conditional"
)

// file is a file of a document, in place of an envelope.
type file struct {
	content *os.File
	size    int64
	kind    string
}

// parseFile takes the name of a file.
func parseFile(r *request, text []byte) error {
	r.name = string(text)
	if !upload.ValidName(r.name) {
		return errNoDocument
	}
	return nil
}

// showFile answers a file of a model's documents. Its name cannot be guessed, and whoever knows it may read it: a browser that shows a
// picture sends no token along.
func (a *API) showFile(m *model.Model) handler {
	return func(r *request) (reply, error) {
		if a.uploads == nil {
			return reply{}, errNoDocument
		}
		content, size, err := a.uploads.Open(r.tenant.Slug, m.Name, r.name)
		if errors.Is(err, fs.ErrNotExist) {
			return reply{}, errNoDocument
		}
		if err != nil {
			return reply{}, err
		}
		return reply{status: fasthttp.StatusOK, file: &file{content, size, upload.TypeOf(r.name)}, etag: `"` + r.name + `"`}, nil
	}
}

// answerFile writes a file. It never changes under its name, and runs nothing, whatever a browser takes it for.
func (r *request) answerFile(f *file, etag string) error {
	v := conditional.Validators{ETag: []byte(etag)}
	verdict := v.Judge(&r.http.Request.Header)
	if verdict == conditional.PreconditionFailed {
		return errors.Join(errPrecondition, f.content.Close())
	}
	response := &r.http.Response
	header := &response.Header
	response.SetStatusCode(fasthttp.StatusOK)
	header.Set(fasthttp.HeaderETag, etag)
	header.Set(fasthttp.HeaderCacheControl, "public, max-age=31536000, immutable")
	header.Set(fasthttp.HeaderXContentTypeOptions, "nosniff")
	header.Set("Content-Security-Policy", "sandbox; default-src 'none'")
	header.Set("Cross-Origin-Resource-Policy", "cross-origin")
	header.SetContentType(f.kind)
	if f.kind == "application/pdf" {
		header.Set(fasthttp.HeaderContentDisposition, "attachment") // readers of PDF run scripts of their own
	}
	if verdict == conditional.NotModified {
		response.SetStatusCode(fasthttp.StatusNotModified)
		return f.content.Close()
	}
	part := v.Cut(r.http, f.size)
	response.SetBodyStream(section{io.NewSectionReader(f.content, part.From, part.Length), f.content}, int(part.Length))
	return nil
}

// section is a part of a file, which is closed with it.
type section struct {
	io.Reader
	io.Closer
}
