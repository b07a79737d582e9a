package api_test

import (
	"bytes"
	"mime/multipart"
	"strings"
	"testing"
)

// form is a multipart body of names and values, as axios makes it of a FormData, and its Content-Type. A name that begins with "@" is a
// file.
func form(t testing.TB, pairs ...string) (body, contentType string) {
	t.Helper()
	var out bytes.Buffer
	w := multipart.NewWriter(&out)
	for i := 0; i < len(pairs); i += 2 {
		name, file := strings.CutPrefix(pairs[i], "@")
		if !file {
			if err := w.WriteField(name, pairs[i+1]); err != nil {
				t.Fatal(err)
			}
			continue
		}
		part, err := w.CreateFormFile(name, "picture.png")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := part.Write([]byte(pairs[i+1])); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.String(), "Content-Type: " + w.FormDataContentType()
}

func TestForms(t *testing.T) {
	s := newSite(t)
	s.addUsers(anna)
	admin := s.signIn(anna, adminEmail)
	send := func(method, path string, status int, want string, pairs ...string) answer {
		t.Helper()
		body, contentType := form(t, pairs...)
		return scenario{name: strings.Join(pairs, " "), method: method, path: path, body: body, headers: []string{admin, contentType}, status: status, want: want}.run(t, s)
	}
	document := func(message, more string) string {
		return `{"success":true,"message":"` + message + `","data":{"_id":"<id>",` + more + `,"createdAt":"<date>","updatedAt":"<date>"}}`
	}
	// As the admin pages send a product: JSON in texts, brackets, booleans and numbers as words, empty inputs.
	created := send("POST", "/api/products/admin", 201, document("Created.", `"title":{"tr":"Kule","de":"Turm"},"slug":{"tr":"kule","de":"turm"},"price":9.5,"stock":3,
		"tags":["a","b"],"attributes":{"weight":"5 kg"},"images":[{"url":"/a.png"},{"url":"/b.png"}],"isPublished":true,"isActive":true,"order":0,"publishedAt":"<date>"`),
		"title", `{"tr":"Kule","de":"Turm"}`, "price", "9.5", "stock", "3", "tags", "a, b", "attributes[weight]", "5 kg", "images[0][url]", "/a.png", "images[1][url]", "/b.png",
		"isPublished", "true", "category", "", "publishedAt", "", "removedImages", "[]", "existingImagesOrder", "", "@images", "")
	path := "/api/products/admin/" + text(t, created.body, "data._id")
	// A toggle sends one field and nothing else.
	send("PUT", path, 200, "", "isPublished", "false")
	send("PUT", path, 200, "", "title[tr]", "Kule 2", "tags[]", "x", "tags[]", "y")
	if got := s.send(anna, "GET", path+"?fields=title,tags,isPublished", "", admin); got.body !=
		`{"success":true,"message":"OK","data":{"_id":"`+text(t, created.body, "data._id")+`","title":{"tr":"Kule 2","de":"Turm"},"tags":["x","y"],"isPublished":false}}` {
		t.Errorf("after the forms it is %s", got.body)
	}
	send("PUT", path, 200, "", "tags", `["one, with a comma"]`)
	send("POST", "/api/settings/admin", 201, document("Created.", `"key":"theme","value":{"dark":true,"sizes":[1,2]},"isActive":true`), "key", "theme", "value", `{"dark":true,"sizes":[1,2]}`)
	send("POST", "/api/settings/admin", 200, document("Updated.", `"key":"theme","value":{"en":"Light"},"isActive":false`), "key", "theme", "value[en]", "Light", "isActive", "0")
	send("POST", "/api/settings/admin", 200, document("Updated.", `"key":"theme","value":"12","isActive":false`), "key", "theme", "value", "12")
	send("POST", "/api/company", 201, document("Created.", `"companyName":"Ensotek","address":{"city":"Istanbul"},"managers":["A","B"],"socialLinks":{"x":"https://x.test"}`),
		"companyName", "Ensotek", "address[city]", "Istanbul", "managers[0]", "A", "managers[1]", "B", "socialLinks[x]", "https://x.test", "email", "")

	issue := func(path, msg string) string {
		return `{"success":false,"message":"Validation error.","code":"validation_failed","request_id":"request-1","errors":[{"path":"` + path + `","msg":"` + msg + `"}]}`
	}
	title := []string{"title", `{"en":"x"}`}
	refuse := func(want string, pairs ...string) {
		t.Helper()
		send("POST", "/api/products", 422, want, append(pairs, title...)...)
	}
	refuse(issue("images", "must be a JPEG, PNG, GIF, WebP, AVIF or PDF file: its content is none of these"), "@images", "PNG")
	refuse(issue("price", "must be of type number"), "price", "cheap")
	refuse(issue("price", "must be of type number"), "price", `{"$gt":0}`)
	refuse(issue("attributes", "is not JSON that can be stored"), "attributes", `{"$where":"x"}`)
	refuse(issue("attributes", "is not JSON that can be stored"), "attributes", `{"a":1},"b":{"c":1}`)
	refuse(issue("attributes[$where]", "is not a name that can be set"), "attributes[$where]", "x")
	refuse(issue("attributes[a.b]", "is not a name that can be set"), "attributes[a.b]", "x")
	refuse(issue("attributes[a", "is not a name like a[b][0]"), "attributes[a", "x")
	refuse(issue("a"+strings.Repeat("[a]", 8), "is too long a name"), "a"+strings.Repeat("[a]", 8), "x")
	refuse(issue("brand", "is there twice"), "brand", "a", "brand", "b")
	refuse(issue("attributes", "is a value and has fields at once"), "attributes", "{}", "attributes[a]", "b")
	refuse(issue("tags", "must be a list: name its elements [0], [1] and so on"), "tags[first]", "a")
	refuse(issue("nonsense", "is not a field that can be set"), "nonsense", "1")

	bad := func(name, body, contentType string, status int) {
		t.Helper()
		scenario{name: name, method: "POST", path: "/api/products", body: body, headers: []string{admin, "Content-Type: " + contentType}, status: status}.run(t, s)
	}
	bad("no boundary", "--x\r\n", "multipart/form-data", 400)
	bad("another boundary", "--x\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1\r\n--x--\r\n", "multipart/form-data; boundary=y", 400)
	bad("cut off", "--x\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1", "multipart/form-data; boundary=x", 400)
	bad("a part without a name", "--x\r\nContent-Disposition: form-data\r\n\r\n1\r\n--x--\r\n", "multipart/form-data; boundary=x", 400)
	bad("too many parts", strings.Repeat("--x\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1\r\n", 1001)+"--x--\r\n", "multipart/form-data; boundary=x", 400)
	large, contentType := form(t, "title", strings.Repeat("a", 1<<20+1))
	scenario{name: "too large", method: "POST", path: "/api/products", body: large, headers: []string{admin, contentType}, status: 413}.run(t, s)
	// A form on a foreign page is sent with the user's cookie; it does nothing.
	body, contentType := form(t, title...)
	scenario{name: "of a foreign page", method: "POST", path: "/api/products", body: body, status: 403, want: refusal("foreign_origin"),
		headers: []string{"Cookie: __Host-accessToken=" + s.token(anna, adminEmail), contentType, "Origin: https://evil.test"}}.run(t, s)
	scenario{name: "sign-in takes no form", method: "POST", path: "/api/users/login", body: body, headers: []string{contentType}, status: 415}.run(t, s)
}
