package api_test

import (
	"fmt"
	"io/fs"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"metahub/api"
	"metahub/api/mail/mailtest"
	"metahub/tenant"
)

// postal is a site whose two tenants send mail, by one server.
type postal struct {
	*site
	mails *mailtest.Server
}

func newPostal(t *testing.T) *postal {
	t.Helper()
	p := newPostalOf(t, nil)
	p.addUsers(anna)
	p.addUsers(ben)
	return p
}

// newPostalOf is one with models of its own, and without users.
func newPostalOf(t *testing.T, models fs.FS) *postal {
	t.Helper()
	p := &postal{mails: mailtest.New(t)}
	withMail := func(slug string) *tenant.Tenant {
		made := newTenant(slug)
		made.Domains = append([]string{"*." + slug + ".test"}, made.Domains...)
		made.Mail = tenant.Mail{Server: tenant.NewSecret(p.mails.URL()), From: "<noreply@" + slug + ".test>"}
		return made
	}
	p.site = newSiteWith(t, api.Config{Models: models, MailRoots: p.mails.Roots}, withMail(anna), withMail(ben))
	return p
}

const usersPath = "/api/users/"

func (p *postal) post(slug, path, body string, headers ...string) answer {
	p.t.Helper()
	return p.send(slug, "POST", usersPath+path, body, headers...)
}

// want posts and demands a status.
func (p *postal) want(status int, slug, path, body string, headers ...string) answer {
	p.t.Helper()
	got := p.post(slug, path, body, headers...)
	if got.status != status {
		p.t.Fatalf("POST %s %s: %d, want %d: %s", path, body, got.status, status, got.body)
	}
	return got
}

// mail is the next one.
func (p *postal) mail() mailtest.Mail {
	p.t.Helper()
	select {
	case m := <-p.mails.Mails:
		return m
	case <-time.After(patience):
		p.t.Fatal("no mail comes")
		panic("unreachable")
	}
}

var (
	links = regexp.MustCompile(`https://([a-z.]+)/(reset-password|verify-email)/([0-9a-f]{24}\.[\w-]{43})\n`)
	codes = regexp.MustCompile(`\n([0-9]{6})\n`)
)

// ticket asks for a mail and returns what it brings.
func (p *postal) ticket(slug, path, email string) string {
	p.t.Helper()
	p.want(200, slug, path, `{"email":"`+email+`"}`)
	m := p.mail()
	if m.To != email || m.From != "noreply@"+slug+".test" {
		p.t.Errorf("mail from %s to %s", m.From, m.To)
	}
	if found := codes.FindStringSubmatch(m.Text); found != nil {
		return found[1]
	}
	found := links.FindStringSubmatch(m.Text)
	if found == nil || found[1] != slug+".test" || !strings.Contains(m.Text, "Brand of "+slug) || !strings.Contains(m.Subject, "Brand of "+slug) {
		p.t.Fatalf("the mail is %q", m.Text)
	}
	return found[3]
}

func login(email, password string) string {
	return `{"email":"` + email + `","password":"` + password + `"}`
}

func TestForgottenPassword(t *testing.T) {
	p := newPostal(t)
	mine, theirs := p.open(anna, userEmail), p.open(ben, userEmail)
	const fresh = `{"newPassword":"battery staple"}`
	first := p.ticket(anna, "forgot-password", userEmail)
	token := p.ticket(anna, "forgot-password", userEmail)
	if p.me(anna, mine.access) != 200 {
		t.Error("a mail ends a session")
	}
	bad := func(slug, path, body string) {
		t.Helper()
		scenario{name: path, tenant: slug, method: "POST", path: usersPath + path, body: body, status: 400, want: refusal("bad_token")}.run(t, p.site)
	}
	bad(anna, "reset-password/"+first, fresh) // the later one took its place
	bad(ben, "reset-password/"+token, fresh)  // where the user has another id, and would have it too
	bad(anna, "advanced-auth/verify-email", `{"token":"`+token+`"}`)
	bad(anna, "reset-password/"+token[:len(token)-1]+"_", fresh)
	bad(anna, "reset-password/"+token[:24], fresh)
	bad(anna, "reset-password/x", fresh)
	p.want(422, anna, "reset-password/"+token, `{"newPassword":"short"}`)
	p.want(422, anna, "reset-password/"+token, `{"newPassword":{"ne":""}}`)
	p.want(403, anna, "reset-password/"+token, fresh, "Origin: https://evil.test")
	// Of many at once one resets.
	var done atomic.Int32
	var wait sync.WaitGroup
	for range 4 {
		wait.Go(func() {
			if p.post(anna, "reset-password/"+token, fresh).status == 200 {
				done.Add(1)
			}
		})
	}
	wait.Wait()
	if done.Load() != 1 {
		t.Errorf("%d have used one link", done.Load())
	}
	bad(anna, "reset-password/"+token, fresh)
	if p.me(anna, mine.access) != 401 || p.refresh(anna, mine.refresh).status != 401 || p.me(ben, theirs.access) != 200 {
		t.Error("the session lives, or the other tenant's does not")
	}
	p.want(401, anna, "login", login(userEmail, password))
	p.want(200, anna, "login", login(userEmail, "battery staple"))
	p.want(200, ben, "login", login(userEmail, password))
}

func TestTicketsEnd(t *testing.T) {
	p := newPostal(t)
	advance := p.stopClock()
	const fresh = `{"newPassword":"battery staple"}`
	late := p.ticket(anna, "forgot-password", userEmail)
	advance(15*time.Minute + time.Second)
	p.want(400, anna, "reset-password/"+late, fresh)
	// Whoever has another address by then, or is switched off, or is gone.
	admin := p.signIn(anna, adminEmail)
	path := usersPath + p.stored(anna, "users", bson.D{{Key: "email", Value: userEmail}})["_id"].(bson.ObjectID).Hex()
	for _, change := range [][3]string{{"PUT", `{"email":"moved@example.test"}`, `{"email":"` + userEmail + `"}`}, {"PUT", `{"isActive":false}`, `{"isActive":true}`}, {"DELETE", "", ""}} {
		token := p.ticket(anna, "forgot-password", userEmail)
		scenario{name: change[1], method: change[0], path: path, body: change[1], headers: []string{admin}, status: 200}.run(t, p.site)
		p.want(400, anna, "reset-password/"+token, fresh)
		if change[2] != "" {
			scenario{name: change[2], method: "PUT", path: path, body: change[2], headers: []string{admin}, status: 200}.run(t, p.site)
		}
		advance(15 * time.Minute)
		admin = p.signIn(anna, adminEmail)
	}
	// What is kept of a ticket is not what the mail says.
	token := p.ticket(anna, "forgot-password", adminEmail)
	if kept := fmt.Sprint(p.stored(anna, "metahub_tickets", bson.D{{Key: "email", Value: adminEmail}})); strings.Contains(kept, token[25:]) {
		t.Errorf("kept is %s", kept)
	}
}

// Nobody learns from an answer who has an account, and nobody can flood an address.
func TestMailsTellNothing(t *testing.T) {
	p := newPostal(t)
	p.stopClock()
	for _, path := range []string{"forgot-password", "advanced-auth/send-otp", "advanced-auth/send-verification"} {
		nobody, somebody := p.want(200, anna, path, `{"email":"nobody@example.test"}`), p.want(200, anna, path, `{"email":" ADMIN@example.test "}`)
		if nobody.body != somebody.body || nobody.header.Get("Cache-Control") != "private, no-store" {
			t.Errorf("%s and %s", nobody.body, somebody.body)
		}
		if m := p.mail(); m.To != adminEmail {
			t.Errorf("a mail to %s", m.To)
		}
	}
	// The account's share is used up, in all purposes together; another's at the other tenant is not.
	got := p.want(429, anna, "forgot-password", `{"email":"admin@example.test"}`)
	if got.header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
	p.want(429, anna, "forgot-password", `{"email":"nobody@example.test"}`)
	p.ticket(ben, "forgot-password", adminEmail)
	// An address of the network has a share as well.
	refused := 0
	for i := range 8 {
		if p.post(anna, "forgot-password", fmt.Sprintf(`{"email":"x%d@example.test"}`, i)).status == 429 {
			refused++
		}
	}
	if refused == 0 {
		t.Error("one address asks for mails without end")
	}
	p.want(422, ben, "forgot-password", `{"email":{"ne":""}}`)
	p.want(403, ben, "forgot-password", `{"email":"admin@example.test"}`, "Origin: https://evil.test")
}

func TestVerifiedAddress(t *testing.T) {
	p := newPostal(t)
	verified := func() any {
		return p.stored(anna, "users", bson.D{{Key: "name", Value: "Name of user"}})["emailVerified"]
	}
	token := p.ticket(anna, "advanced-auth/send-verification", userEmail)
	p.want(400, anna, "reset-password/"+token, `{"newPassword":"battery staple"}`)
	p.want(400, ben, "advanced-auth/verify-email", `{"token":"`+token+`"}`)
	p.want(422, anna, "advanced-auth/verify-email", `{"token":{"ne":1}}`)
	p.want(200, anna, "advanced-auth/verify-email", `{"token":"`+token+`"}`)
	if p.want(400, anna, "advanced-auth/verify-email", `{"token":"`+token+`"}`); verified() != true {
		t.Errorf("verified is %v", verified())
	}
	bearer := p.signIn(anna, userEmail)
	scenario{name: "one's own word", method: "PUT", path: me + "/update", body: `{"emailVerified":true}`, headers: []string{bearer}, status: 422}.run(t, p.site)
	scenario{name: "another address", method: "PUT", path: me + "/update", body: `{"email":"new@example.test","currentPassword":"correct horse"}`, headers: []string{bearer}, status: 200}.run(t, p.site)
	if verified() != false {
		t.Error("the new address is verified")
	}
}

func TestSignInByCode(t *testing.T) {
	p := newPostal(t)
	advance := p.stopClock()
	code := p.ticket(anna, "advanced-auth/send-otp", userEmail)
	try := func(slug, code string) answer {
		return p.post(slug, "advanced-auth/verify-otp", `{"email":"`+userEmail+`","code":"`+code+`"}`)
	}
	if got := try(ben, code); got.status != 400 {
		t.Errorf("at the other tenant: %d %s", got.status, got.body)
	}
	got := try(anna, code)
	if got.status != 200 || p.me(anna, text(t, got.body, "token")) != 200 || text(t, got.body, "data.email") != userEmail || got.header.Get("Set-Cookie") == "" {
		t.Errorf("%d %s", got.status, got.body)
	}
	if got := try(anna, code); got.status != 400 || text(t, got.body, "code") != "bad_token" {
		t.Errorf("again: %d %s", got.status, got.body)
	}
	advance(16 * time.Minute)
	// Wrong ones are counted, and use the code up.
	code = p.ticket(anna, "advanced-auth/resend-otp", userEmail)
	wrong := "000000"
	if code == wrong {
		wrong = "000001"
	}
	waits := 0
	for range 5 {
		for try(anna, wrong).status == 429 {
			waits++
			advance(time.Minute)
		}
	}
	for range 20 {
		if got = try(anna, code); got.status != 429 {
			break
		}
		waits++
		advance(10 * time.Second)
	}
	if got.status != 400 || waits == 0 {
		t.Errorf("after five wrong codes the right one: %d %s, after %d waits", got.status, got.body, waits)
	}
}

// Models without a place for it verify no addresses.
func TestNothingToVerify(t *testing.T) {
	p := newPostalOf(t, usersAs(t, "emailVerified: {", "checked: {"))
	p.addUsers(anna)
	for _, path := range []string{"send-verification", "verify-email"} {
		path = usersPath + "advanced-auth/" + path
		scenario{name: path, method: "POST", path: path, body: `{"email":"` + userEmail + `","token":"x"}`, status: 403, want: refusal("no_verification")}.run(t, p.site)
	}
}

func TestMailsInTheReadersLanguage(t *testing.T) {
	p := newPostal(t)
	p.want(200, anna, "forgot-password", `{"email":"`+userEmail+`"}`, "Accept-Language: de")
	if m := p.mail(); !strings.Contains(m.Text, "neues Passwort") {
		t.Errorf("in German: %q", m.Text)
	}
	p.want(200, anna, "advanced-auth/send-otp", `{"email":"`+userEmail+`"}`, "Accept-Language: tr")
	if m := p.mail(); !strings.Contains(m.Text, "15 dakika") {
		t.Errorf("in Turkish: %q", m.Text)
	}
}
