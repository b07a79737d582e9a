package api_test

import (
	"net"
	"strings"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"

	"metahub/tenant"
)

func TestDeadDatabase(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	listener.Close() // nobody answers there now
	s := newSite(t)
	dead := newTenant(ben)
	dead.Database = tenant.Database{URI: tenant.NewSecret("mongodb://user:hidden@" + address + "/ben?authSource=admin"), Name: ben}
	s.registry.Publish(tenant.NewDirectory(tenant.Gateway{}, []*tenant.Tenant{newTenant(anna), dead}))
	absent := []string{address, "hidden", "mongo"}
	got := scenario{name: "list", tenant: ben, path: "/api/products", status: 503, want: refusal("unavailable"), absent: absent,
		header: []string{"Cache-Control: private, no-store"}}.run(t, s)
	if got.header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
	runAll(t, s, []scenario{
		{name: "sign in", tenant: ben, method: "POST", path: "/api/users/login", body: `{"email":"a@b.test","password":"x"}`, status: 503, want: refusal("unavailable"), absent: absent},
		{name: "what needs no database", tenant: ben, path: "/api/tenant", status: 200},
		{name: "the neighbour", path: "/api/products", status: 200},
	})
}

func TestInternalErrorsAreHidden(t *testing.T) {
	s := newSite(t)
	s.addUsers(ben)
	broken := newTenant(ben)
	broken.JWTSecret = tenant.NewSecret("")
	s.registry.Publish(tenant.NewDirectory(tenant.Gateway{}, []*tenant.Tenant{broken}))
	scenario{name: "sign in", tenant: ben, method: "POST", path: "/api/users/login", body: `{"email":"` + adminEmail + `","password":"` + password + `"}`,
		status: 500, want: refusal("internal"), absent: []string{"jwt_secret"}}.run(t, s)
	entries := s.logs.FilterMessage("request failed").All()
	if len(entries) != 1 {
		t.Fatalf("%d lines in the log, want 1", len(entries))
	}
	fields := entries[0].ContextMap()
	if fields["request_id"] != "request-1" || fields["tenant"] != ben || !strings.Contains(fields["error"].(string), "jwt_secret") {
		t.Errorf("logged %v", fields)
	}
}

func TestCreateUserSaysWhatIsWrong(t *testing.T) {
	s := newSite(t)
	f := func(name, email, password, role, want string) {
		t.Helper()
		err := s.api.CreateUser(t.Context(), s.tenant(anna), name, email, password, role)
		if err == nil && want == "" {
			return
		}
		if err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
	f("Ada", "Ada@anna.localhost", password, "admin", "")
	f("Ada", "ada", "short", "root", `Validation error. email must be of the format email. password must have at least 8 characters. role must be one of superadmin, admin, moderator, staff, customer, user.`)
	if user := s.stored(anna, "users", bson.D{}); user["email"] != "ada@anna.localhost" || strings.Contains(user["password"].(string), password) {
		t.Errorf("stored %v", user)
	}
}
