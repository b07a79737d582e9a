package api_test

import (
	"fmt"
	"strings"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"
)

func TestBulk(t *testing.T) {
	s := newSite(t)
	s.addUsers(anna)
	s.addUsers(ben)
	admin := s.signIn(anna, adminEmail)
	s.insert(anna, "faqs", bson.D{{Key: "_id", Value: bson.ObjectID{1}}, {Key: "tenant", Value: anna}, {Key: "order", Value: 1}}, bson.D{{Key: "_id", Value: bson.ObjectID{2}}, {Key: "tenant", Value: anna}},
		bson.D{{Key: "_id", Value: bson.ObjectID{3}}, {Key: "tenant", Value: "other"}})
	const one, two, foreign = "010000000000000000000000", "020000000000000000000000", "030000000000000000000000"
	failed := func(status int, code, more string) string {
		return fmt.Sprintf(`{"success":false,"message":"<any>","code":"%s","request_id":"request-1",%s"type":"about:blank","title":"<any>","status":%d,"detail":"<any>"}`, code, more, status)
	}
	missing := `"errors":[{"path":"answer","msg":"is missing","type":"field","location":"body"}],`
	scenario{name: "each by itself", method: "POST", path: "/api/faq/_bulk", headers: []string{admin}, status: 200,
		body: `{"items":[{"op":"create","body":{"question":{"en":"Q"},"answer":{"en":"A"}}},{"op":"create","body":{"question":{"en":"Q"}}},{"op":"update","id":"` + one + `","body":{"order":5}},
			{"op":"update","id":"` + one + `","body":{"order":6},"ifMatch":"\"old\""},{"op":"update","id":"` + foreign + `","body":{"order":6}},{"op":"delete","id":"` + two + `"},{"op":"delete","id":"` + two + `"},
			{"op":"upsert","body":{}},{"op":"delete"},{"op":"update","id":"x","body":{}}]}`,
		want: `{"success":true,"message":"OK","data":[
			{"success":true,"status":201,"data":{"_id":"<id>","question":{"en":"Q"},"answer":{"en":"A"},"order":0,"isActive":true,"isPublished":false,"createdAt":"<date>","updatedAt":"<date>"}},
			` + failed(422, "validation_failed", missing) + `,{"success":true,"status":200,"data":{"_id":"` + one + `","order":5,"updatedAt":"<date>"}},` + failed(412, "precondition_failed", "") + `,` + failed(404, "not_found", "") + `,
			{"success":true,"status":200},` + failed(404, "not_found", "") + `,` + failed(400, "bad_request", "") + `,` + failed(400, "bad_request", "") + `,` + failed(400, "bad_request", "") + `]}`}.run(t, s)
	if n := s.count(anna, "faqs"); n != 3 {
		t.Errorf("%d documents are there", n)
	}
	post := func(name, body string, status int, headers ...string) {
		t.Helper()
		scenario{name: name, method: "POST", path: "/api/faq/_bulk", body: body, headers: headers, status: status}.run(t, s)
	}
	post("by nobody", `{"items":[{"op":"delete","id":"`+one+`"}]}`, 401)
	scenario{name: "where everybody may POST", method: "POST", path: "/api/contact/_bulk", body: `{"items":[{"op":"delete","id":"` + one + `"}]}`, status: 401}.run(t, s)
	post("by a user", `{"items":[{"op":"delete","id":"`+one+`"}]}`, 403, s.signIn(anna, userEmail))
	post("with the other tenant's token", `{"items":[{"op":"delete","id":"`+one+`"}]}`, 401, s.signIn(ben, adminEmail))
	post("nothing", `{"items":[]}`, 400, admin)
	post("no list", `{"items":{"$ne":1}}`, 400, admin)
	post("too many", `{"items":[`+strings.Repeat(`{"op":"x"},`, 100)+`{"op":"x"}]}`, 400, admin)
	post("an operator", `{"items":[{"op":"create","body":{"$where":1}}]}`, 400, admin)
}
