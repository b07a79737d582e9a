package api

import (
	"bytes"
	"io"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"

	"metahub/api/model"
)

// FuzzForm sends forms through reader, typing and validation, and demands that what comes out can be stored.
func FuzzForm(f *testing.F) {
	f.Add([]byte("--x\r\nContent-Disposition: form-data; name=\"title[en]\"\r\n\r\n1\r\n--x--\r\n"))
	f.Add([]byte("--x\r\nContent-Disposition: form-data; name=\"title\"\r\n\r\n{\"en\":\"a\"}\r\n--x\r\nContent-Disposition: form-data; name=\"tags[0][a][]\"\r\n\r\n1\r\n--x--\r\n"))
	f.Add([]byte("--x\r\nContent-Disposition: form-data; name=\"a]b[[\"; filename=\"\"\r\n\r\n\r\n--x--"))
	f.Add([]byte("--x\nContent-Disposition: form-data; name=tags\n\n[1,{}]\n--x--"))
	models, err := LoadModels(nil)
	if err != nil {
		f.Fatal(err)
	}
	products, _ := models.Named("product")
	f.Fuzz(func(t *testing.T, text []byte) {
		parts, err := readForm(bytes.NewReader(text), "x", func(_ string, content io.Reader) error {
			_, err := io.Copy(io.Discard, content)
			return err
		})
		if err != nil {
			if status := asError(err).Status; status != 400 && status != 422 {
				t.Fatalf("status %d: %v", status, err)
			}
			return
		}
		body, issues := products.Form(parts)
		body, arrangement, more := products.Arrangement(body, model.Admin)
		issues = append(issues, more...)
		if len(issues) > 0 {
			return
		}
		draft, issues := products.Create(body, model.Writer{Audience: model.Admin, Scope: model.Scope{Tenant: "anna"}})
		if len(issues) > 0 {
			return
		}
		if issues := draft.Arrange(arrangement, nil); len(issues) > 0 {
			return
		}
		if _, err := bson.Marshal(draft.Document()); err != nil {
			t.Fatal(err)
		}
	})
}
