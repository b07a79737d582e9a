package api_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"image"
	"image/png"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/x/bsonx/bsoncore"

	uploads "metahub/api/upload"
	"metahub/bench/mongod"
)

// picture is a PNG of some size in bytes.
func picture(t testing.TB, size int) string {
	t.Helper()
	var out bytes.Buffer
	if err := png.Encode(&out, image.NewGray(image.Rect(0, 0, 3, 3))); err != nil {
		t.Fatal(err)
	}
	out.Write(make([]byte, max(0, size-out.Len())))
	return out.String()
}

// files are the names of all files in the site's folder.
func (s *site) fileNames() (names []string) {
	s.t.Helper()
	err := filepath.WalkDir(s.folder, func(path string, entry os.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			names = append(names, strings.TrimPrefix(path, s.folder+"/"))
		}
		return err
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return names
}

func (s *site) sendForm(method, path string, header string, pairs ...string) answer {
	s.t.Helper()
	body, contentType := form(s.t, pairs...)
	return s.send(anna, method, path, body, header, contentType)
}

func TestUpload(t *testing.T) {
	s := newSite(t)
	s.addUsers(anna)
	s.addUsers(ben)
	admin := s.signIn(anna, adminEmail)
	want := picture(t, 0)
	created := s.sendForm("POST", "/api/products/admin", admin, "title", `{"en":"x"}`, "isPublished", "true", "@images", want, "@files", want+"\x00", "@images[]", "")
	if created.status != 201 {
		t.Fatalf("%d %s", created.status, created.body)
	}
	id, first, second := text(t, created.body, "data._id"), text(t, created.body, "data.images.0.url"), text(t, created.body, "data.images.1.url")
	if thumbnail := text(t, created.body, "data.images.0.thumbnail"); thumbnail != first || !strings.HasPrefix(first, "/api/uploads/product/"+id+"-") || !strings.HasSuffix(first, ".png") {
		t.Errorf("urls are %q and %q", first, thumbnail)
	}
	if listed := s.send(anna, "GET", "/api/products", ""); text(t, listed.body, "data.0.images.0.url") != first {
		t.Errorf("listed: %s", listed.body)
	}
	got := s.send(anna, "GET", first, "")
	if got.status != 200 || got.body != want {
		t.Errorf("%d, %d bytes", got.status, len(got.body))
	}
	for name, value := range map[string]string{
		"Content-Type": "image/png", "X-Content-Type-Options": "nosniff", "Content-Security-Policy": "sandbox; default-src 'none'",
		"Cache-Control": "public, max-age=31536000, immutable",
	} {
		if got.header.Get(name) != value {
			t.Errorf("%s is %q", name, got.header.Get(name))
		}
	}
	if again := s.send(anna, "GET", first, "", "If-None-Match: "+got.header.Get("ETag")); again.status != 304 || again.body != "" {
		t.Errorf("with its tag: %d %q", again.status, again.body)
	}
	if head := s.send(anna, "HEAD", first, ""); head.status != 200 || head.body != "" || head.header.Get("Content-Length") != got.header.Get("Content-Length") {
		t.Errorf("HEAD: %d %v", head.status, head.header)
	}
	tag := got.header.Get("ETag")
	part := func(status int, body, contentRange string, headers ...string) {
		t.Helper()
		got := s.send(anna, "GET", first, "", headers...)
		if got.status != status || got.status != 412 && got.body != body || got.header.Get("Content-Range") != contentRange {
			t.Errorf("%q: %d, %d bytes, Content-Range %q", headers, got.status, len(got.body), got.header.Get("Content-Range"))
		}
	}
	size := strconv.Itoa(len(want))
	part(206, want[1:5], "bytes 1-4/"+size, "Range: bytes=1-4")
	part(206, want[len(want)-3:], "bytes "+strconv.Itoa(len(want)-3)+"-"+strconv.Itoa(len(want)-1)+"/"+size, "Range: bytes=-3", "If-Range: "+tag)
	part(200, want, "", "Range: bytes=1-4", `If-Range: "another"`)
	part(200, want, "", "Range: bytes=1-4", "If-Range: Mon, 02 Jan 2006 15:04:05 GMT")
	part(200, want, "", "Range: bytes=1-4,6-7")
	part(416, "", "bytes */"+size, "Range: bytes=100000-")
	part(304, "", "", "Range: bytes=1-4", "If-None-Match: "+tag)
	part(412, "", "", "Range: bytes=1-4", `If-Match: "another"`)
	none := func(slug, path string) {
		t.Helper()
		if got := s.send(slug, "GET", path, ""); got.status != 404 {
			t.Errorf("GET %s of %s: %d %s", path, slug, got.status, got.body)
		}
	}
	none(ben, first)
	none(anna, strings.Replace(first, "product/", "company/", 1))
	for _, name := range []string{"", "..", "%2e%2e%2fproduct", "x.png", strings.TrimPrefix(second, "/api/uploads/product/") + "x", "%2fetc%2fpasswd", "..%5c..%5cx.png", ".new-00000000000000000000000000000000"} {
		none(anna, "/api/uploads/product/"+name)
	}
	if batch := s.send(anna, "GET", "/api/_batch?u="+first, ""); text(t, batch.body, "data.0.body.code") != "not_found" {
		t.Errorf("in a batch: %s", batch.body)
	}

	// Another is added, one removed, and the rest ordered, as the admin pages do it.
	path := "/api/products/admin/" + id
	changed := s.sendForm("PUT", path, admin, "removedImages", `["`+first+`"]`, "existingImagesOrder", `[]`, "@images", want)
	third := text(t, changed.body, "data.images.1.url")
	if changed.status != 200 || text(t, changed.body, "data.images.0.url") != second {
		t.Fatalf("%d %s", changed.status, changed.body)
	}
	none(anna, first)
	changed = s.sendForm("PUT", path, admin, "existingImagesOrder", `[{"url":"`+third+`"}]`)
	if text(t, changed.body, "data.images.0.url") != third || text(t, changed.body, "data.images.1.url") != second {
		t.Errorf("ordered: %s", changed.body)
	}
	// What the API answered may be sent back, and another document that names a file does not take it along.
	images := `[{"_id":"` + text(t, changed.body, "data.images.0._id") + `","url":"` + third + `"}]`
	if set := s.send(anna, "PUT", path, `{"images":`+images+`}`, admin); set.status != 200 {
		t.Errorf("sent back: %d %s", set.status, set.body)
	}
	none(anna, second)
	thief := s.send(anna, "POST", "/api/products/admin", `{"title":{"en":"y"},"images":`+images+`}`, admin)
	s.send(anna, "DELETE", "/api/products/admin/"+text(t, thief.body, "data._id"), "", admin)
	if got := s.send(anna, "GET", third, ""); got.status != 200 {
		t.Errorf("after another document that named it: %d", got.status)
	}
	if gone := s.send(anna, "DELETE", path, "", admin); gone.status != 200 {
		t.Fatal(gone.body)
	}
	none(anna, third)
	if names := s.fileNames(); len(names) != 0 {
		t.Errorf("left are %q", names)
	}
}

func TestUploadRefusals(t *testing.T) {
	s := newSite(t)
	s.addUsers(anna)
	admin := s.signIn(anna, adminEmail)
	refuse := func(status int, path, msg string, pairs ...string) {
		t.Helper()
		got := s.sendForm("POST", "/api/products", admin, append(pairs, "title", `{"en":"x"}`)...)
		if got.status != status || path != "" && (text(t, got.body, "errors.0.path") != path || !strings.Contains(text(t, got.body, "errors.0.msg"), msg)) {
			t.Errorf("%d %s", got.status, got.body)
		}
		if names := s.fileNames(); len(names) != 0 {
			t.Errorf("left are %q", names)
		}
	}
	const kinds = "its content is none of these"
	gif, _ := base64.StdEncoding.DecodeString("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7")
	refuse(422, "images", kinds, "@images", "<!doctype html><script>alert(1)</script>")
	refuse(422, "images", kinds, "@images", `<svg xmlns="http://www.w3.org/2000/svg"/>`)
	refuse(422, "images", kinds, "@images", string(gif)+"<ScRipt>alert(1)</script>")
	refuse(422, "images", kinds, "@images", picture(t, 0), "@images", "GIF89a")
	refuse(422, "images", kinds, "@images", "RIFF\xff\x00\x00\x00WEBPVP8 ")
	refuse(422, "images", "10 MiB", "@images", picture(t, 10<<20+1))
	refuse(422, "avatar", "not taken here", "@avatar", picture(t, 0))
	eleven := []string{}
	for range 11 {
		eleven = append(eleven, "@images", picture(t, 0))
	}
	refuse(422, "images", "at most 10 files", eleven...)
	refuse(422, "price", "number", "@images", picture(t, 0), "price", "cheap")
	refuse(422, "images", "limit", "@images", picture(t, 9<<20), "@images", picture(t, 9<<20))
	refuse(422, "removedImages", "list", "@images", picture(t, 0), "removedImages", `{"a":1}`)
	// What was refused takes no room.
	created := s.sendForm("POST", "/api/products", admin, "title", `{"en":"x"}`, "@images", picture(t, 9<<20))
	if created.status != 201 {
		t.Fatalf("%d %s", created.status, created.body)
	}
	slug := text(t, created.body, "data.slug.en")
	// Refused by the database: the address is another document's.
	before := s.fileNames()
	if got := s.sendForm("POST", "/api/products", admin, "title", `{"en":"y"}`, "slug", `{"en":"`+slug+`"}`, "@images", picture(t, 0)); got.status != 409 {
		t.Errorf("%d %s", got.status, got.body)
	}
	if got := s.sendForm("PUT", "/api/products/admin/ffffffffffffffffffffffff", admin, "@images", picture(t, 0)); got.status != 404 {
		t.Errorf("%d %s", got.status, got.body)
	}
	if got := s.sendForm("POST", "/api/products", s.signIn(anna, userEmail), "title", `{"en":"y"}`, "@images", picture(t, 0)); got.status != 403 {
		t.Errorf("%d %s", got.status, got.body)
	}
	if after := s.fileNames(); len(after) != 1 || after[0] != before[0] {
		t.Errorf("files are %q", after)
	}
	if s.stored(anna, "products", bson.D{})["images"] == nil {
		t.Error("the document has no images")
	}
}

// Where the answer to a write never came, the document is asked for: its files stay where it is there, and go where it is not. Where that
// cannot be found out either they stay, to be asked for again.
func TestUploadOfAnUnknownWrite(t *testing.T) {
	f := func(name string, applied, answers bool, files int, marks int) {
		t.Helper()
		t.Run(name, func(t *testing.T) {
			keep := keepUsers(&mongod.Changes{})
			var server *mongod.Server
			var written atomic.Pointer[bsoncore.Document]
			var cut atomic.Bool
			server, err := mongod.Start(func(ctx context.Context, command bsoncore.Document) bsoncore.Document {
				collection, _ := command.Lookup(mongod.Name(command)).StringValueOK()
				switch {
				case collection != "products":
					return keep(ctx, command)
				case mongod.Name(command) == "insert":
					if document := command.Lookup("documents", "0").Document(); applied {
						written.Store(&document)
					}
					cut.Store(true)
					server.Cut()
				case mongod.Name(command) == "find" && cut.Load():
					if !answers {
						server.Cut()
					}
					if document := written.Load(); document != nil {
						return mongod.FirstBatch("anna.products", 0, *document)
					}
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(server.Close)
			s := newSiteAt(t, nil, server.URI(anna))
			got := s.sendForm("POST", "/api/products/admin", s.signIn(anna, adminEmail), "title", `{"en":"x"}`, "@images", picture(t, 0))
			if got.status != 503 {
				t.Errorf("%d %s", got.status, got.body)
			}
			names := s.fileNames()
			marked := slices.DeleteFunc(slices.Clone(names), func(name string) bool { return !strings.Contains(name, "/.doc-") })
			if len(names)-len(marked) != files || len(marked) != marks {
				t.Errorf("files are %q", names)
			}
		})
	}
	f("that was done", true, true, 1, 0)
	f("that was not done", false, true, 0, 0)
	f("of which nobody knows", true, false, 1, 1)
}

// What uploads leave that were cut off goes with the next upload a day later, but for what a document names, and what another tenant has.
func TestUploadsThatWereCutOff(t *testing.T) {
	s := newSite(t)
	s.addUsers(anna)
	admin := s.signIn(anna, adminEmail)
	upload := func() (url string) {
		t.Helper()
		got := s.sendForm("POST", "/api/products/admin", admin, "title", `{"en":"x"}`, "@images", picture(t, 0))
		if got.status != 201 {
			t.Fatalf("%d %s", got.status, got.body)
		}
		return text(t, got.body, "data.images.0.url")
	}
	mark := func(slug, name string, age time.Duration) {
		t.Helper()
		at, when := filepath.Join(s.folder, slug, "product", ".doc-"+name), time.Now().Add(-age)
		if err := errors.Join(os.WriteFile(at, nil, 0o600), os.Chtimes(at, when, when)); err != nil {
			t.Fatal(err)
		}
	}
	orphan := func(slug, digit string, age time.Duration) (name string) {
		t.Helper()
		name = strings.Repeat(digit, 24) + "-" + strings.Repeat(digit, 32) + ".png"
		folder := filepath.Join(s.folder, slug, "product")
		if err := errors.Join(os.MkdirAll(folder, 0o700), os.WriteFile(filepath.Join(folder, name), []byte(picture(t, 0)), 0o600)); err != nil {
			t.Fatal(err)
		}
		mark(slug, name, age)
		return name
	}
	const old = 25 * time.Hour
	named := path.Base(upload())
	mark(anna, named, old) // its process was killed after the document was written
	gone, fresh, other := orphan(anna, "a", old), orphan(anna, "b", time.Hour), orphan(ben, "c", old)
	var err error
	if s.files, err = uploads.Open(s.folder); err != nil { // another process
		t.Fatal(err)
	}
	s.api.SetUploads(s.files)
	last := path.Base(upload())
	want := []string{
		"anna/product/.doc-" + fresh, "anna/product/" + named, "anna/product/" + fresh, "anna/product/" + last,
		"ben/product/.doc-" + other, "ben/product/" + other,
	}
	got := s.fileNames()
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("without %q there are\n%q, want\n%q", gone, got, want)
	}
}
