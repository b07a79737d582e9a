package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// contractConfig has the pages of two tenants from one folder, over the API host that they share. A page and that host are two sites to a
// browser, so that the cookie must be one that it sends across them.
const contractConfig = `gateway:
  demo: true
  api_hosts: [api.localhost]
tenants:
  - slug: ensotek
    domains: [ensotek.localhost]
    frontend: dir:site
    cookies: legacy
  - slug: anastasia
    domains: [anastasia.localhost]
    frontend: dir:site
    cookies: legacy
`

// The pages of an existing frontend in a browser: all that they do with the real axios, on the shared API host, works as it did.
func TestFrontendWithAxios(t *testing.T) {
	chromium, err := exec.LookPath("chromium")
	if err != nil {
		t.Skip("chromium is not installed")
	}
	p := prepare(t)
	installAxios(t, filepath.Join(p.folder, "site"))
	p.writeConfig(contractConfig)
	p.run()
	b := openBrowser(t, chromium, p, "--disable-quic")

	tab := visitor{b.open(t)}
	tab.visit(p.url("ensotek", "/"))
	await(tab.page, `typeof call == "function" && typeof axios == "function"`, true)
	tab.readAsGuest()
	tab.signIn(p, "ensotek")
	tab.administer()
	tab.manageAccount()

	other := visitor{b.open(t)}
	other.visit(p.url("anastasia", "/"))
	await(other.page, `typeof call == "function"`, true)
	other.want("another tenant's page does not share the sign-in", `call("get", "/users/account/me")`, `null`)
	other.want("nor the documents", `call("get", "/services", {q: "axios"}).then(a => a.data)`, `[]`)
	other.want("nor may it ask for them", `session.tenant = "ensotek", refused("get", "/services").then(e => [session.tenant = "anastasia", e.status ?? null, e.message])`, `["anastasia",null,"Network Error"]`)
	other.signIn(p, "anastasia")
	tab.want("its sign-in takes the place of this one, as the host has one cookie", `call("get", "/users/account/me")`, `null`)
	tab.signIn(p, "ensotek")
	other.want("and the other way round", `call("get", "/users/account/me")`, `null`)

	tab.want("sign out", `call("post", "/users/logout").then(a => a.success)`, `true`)
	tab.want("and be a guest", `call("get", "/users/account/me")`, `null`)
	tab.want("who writes nothing", `refused("post", "/services/admin", {title: {en: "x"}}).then(e => e.status)`, `401`)
}

// installAxios puts the pages and the axios of the npm registry into a folder.
func installAxios(t *testing.T, site string) {
	t.Helper()
	if _, err := exec.LookPath("npm"); err != nil {
		t.Skip("npm is not installed")
	}
	folder := t.TempDir()
	if err := os.CopyFS(folder, os.DirFS("testdata/axios")); err != nil {
		t.Fatal(err)
	}
	npmInstall(t, folder)
	if err := os.Mkdir(site, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, from := range []string{"index.html", "client.js", "node_modules/axios/dist/axios.min.js"} {
		data, err := os.ReadFile(filepath.Join(folder, from))
		if err == nil {
			err = os.WriteFile(filepath.Join(site, filepath.Base(from)), data, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// npmInstall fetches what the package.json of a folder names. Where the registry cannot be reached it skips, but not in CI.
func npmInstall(t *testing.T, folder string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute) // a busy machine is no fault
	defer cancel()
	install := exec.CommandContext(ctx, "npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", "--no-package-lock")
	install.Dir = folder
	if out, err := install.CombinedOutput(); err != nil {
		if os.Getenv("CI") == "" {
			t.Skipf("npm install: %v, is the registry reached?\n%s", err, out)
		}
		t.Fatalf("npm install: %v\n%s", err, out)
	}
}

// visitor is a tab with the frontend's client in it.
type visitor struct{ *page }

// want demands what a JavaScript expression of the page comes to, as JSON.
func (v visitor) want(what, expression, want string) {
	v.t.Helper()
	if got := v.json(what, expression); got != want {
		v.t.Errorf("%s: %s\n got %s\nwant %s", what, expression, got, want)
	}
}

func (v visitor) json(what, expression string) string {
	v.t.Helper()
	var text string
	if err := v.evaluate(`(async () => JSON.stringify(await (`+expression+`)))()`, &text); err != nil {
		v.t.Fatalf("%s: %v", what, err)
	}
	return text
}

// readAsGuest does what the first paint of a page does.
func (v visitor) readAsGuest() {
	v.t.Helper()
	v.want("a guest", `call("get", "/users/account/me")`, `null`)
	v.want("its own tenant alone", `call("get", "/tenants").then(a => [a.success, a.data.map(t => t.slug)])`, `[true,["ensotek"]]`)
	v.want("a list", `call("get", "/services", {page: 1, limit: 2}).then(a => [a.success, a.data.length, a.meta.page, a.meta.limit, a.meta.total >= 2, typeof a.data[0].title, "tenant" in a.data[0]])`,
		`[true,2,1,2,true,"object",false]`)
	v.want("one by its address", `call("get", "/services", {limit: 1}).then(async list => {
		const [first] = list.data, one = await call("get", "/services/slug/" + Object.values(first.slug)[0])
		return one.success && one.data._id === first._id
	})`, `true`)
	v.want("an address that is not there", `refused("get", "/services/slug/none").then(e => [e.status, e.data.success, e.message == e.data.message])`, `[404,false,true]`)
	v.want("in the page's language", `Promise.all(["de", "tr", "en"].map(l => { session.language = l; return refused("get", "/nothing").then(e => e.message) })).then(all => [new Set(all).size, session.language = "de"])`, `[3,"de"]`)
	v.want("nobody writes", `refused("post", "/services/admin", {title: {en: "x"}}).then(e => [e.status, e.data.success])`, `[401,false]`)
}

// signIn signs in as the demo's administrator. What the browser keeps of it no script can read.
func (v visitor) signIn(p *process, slug string) {
	v.t.Helper()
	email, password := p.demoAdmin(slug)
	credentials, err := json.Marshal(map[string]string{"email": email, "password": password})
	if err != nil {
		v.t.Fatal(err)
	}
	v.want("a wrong password", fmt.Sprintf(`refused("post", "/users/login", {email: %q, password: "wrong"}).then(e => [e.status, typeof e.message])`, email), `[401,"string"]`)
	v.want("sign in", fmt.Sprintf(`call("post", "/users/login", %s).then(a => [a.success, a.data.email, a.data.role, "password" in a.data])`, credentials), fmt.Sprintf(`[true,%q,"admin",false]`, email))
	v.want("me", `call("get", "/users/account/me").then(a => [a.success, a.user.email])`, fmt.Sprintf(`[true,%q]`, email))
	v.want("no script reads the cookie", `document.cookie`, `""`)
}

// manageAccount does what the profile page and the admin's list of users do.
func (v visitor) manageAccount() {
	v.t.Helper()
	v.want("a profile", `call("put", "/users/account/me/update", {name: "Ayşe", email: session.email ??= (await call("get", "/users/account/me")).user.email, phone: "+90", language: "tr"})
		.then(a => [a.success, a.user.name, a.user.phone, a.user.role])`, `[true,"Ayşe","+90","admin"]`)
	v.want("no rise", `refused("put", "/users/account/me/update", {role: "superadmin"}).then(e => [e.status, e.data.errors.map(i => i.path)])`, `[422,["role"]]`)
	v.want("notifications", `call("patch", "/users/account/me/notifications", {emailNotifications: true, smsNotifications: false}).then(a => a.notifications)`, `{"emailNotifications":true,"smsNotifications":false}`)
	v.want("links", `call("patch", "/users/account/me/social", {facebook: "", instagram: "https://www.instagram.com/a"}).then(a => a.socialMedia)`, `{"facebook":"","instagram":"https://www.instagram.com/a"}`)
	v.want("a picture", `call("put", "/users/account/me/profile-image", form({images: new File([Uint8Array.from(atob("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7"), c => c.charCodeAt(0))], "a.gif", {type: "image/gif"})}))
		.then(a => fetch(a.profileImage.url)).then(a => a.blob()).then(b => [b.type, b.size])`, `["image/gif",42]`)
	v.want("and none", `call("delete", "/users/account/me/profile-image").then(a => [a.success, a.profileImage])`, `[true,null]`)
	v.want("a user turned off and on without a body", `call("post", "/users/users", {name: "Eve", email: "eve@example.test", password: "correct horse"}).then(a => window.eve = a.data._id)
		.then(() => call("put", "/users/users/" + eve + "/status", null)).then(async off => [off.isActive, (await call("put", "/users/users/" + eve + "/status", null)).isActive])`, `[false,true]`)
	v.want("a role", `call("put", "/users/users/" + eve + "/role", {role: "staff"}).then(a => a.role)`, `"staff"`)
	v.want("and gone", `call("delete", "/users/users/" + eve).then(a => a.success)`, `true`)
	v.want("an account does not end without its password", `refused("post", "/users/account/me/delete", {password: "wrong"}).then(e => [e.status, e.data.code])`, `[400,"wrong_password"]`)
	v.want("a forgotten password", `refused("post", "/users/forgot-password", {email: session.email}).then(e => [e.status, e.data.code, typeof e.message])`, `[403,"no_mail","string"]`)
}

// administer creates, changes and deletes a document by the forms of the admin pages, and sets a setting.
func (v visitor) administer() {
	v.t.Helper()
	v.want("create by a form", `call("post", "/services/admin", form({title: {de: "Axios eins", en: "Axios one"}, summary: {en: "by a form"}, tags: ["a", "b"], order: 3, isPublished: true, isActive: true}))
		.then(a => { window.made = a.data; return [a.success, a.data.title.en, a.data.slug.en, a.data.tags, a.data.order, a.data.isPublished] })`,
		`[true,"Axios one","axios-one",["a","b"],3,true]`)
	v.want("it is public", `call("get", "/services/slug/axios-eins").then(a => a.data._id === made._id)`, `true`)
	v.want("a picture in a form", `call("post", "/services/admin", form({title: {en: "Picture"}, images: new File([Uint8Array.from(atob("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7"), c => c.charCodeAt(0))], "a.gif", {type: "image/gif"})}))
		.then(a => fetch(a.data.images[0].url)).then(a => a.blob()).then(b => [b.type, b.size])`, `["image/gif",42]`)
	v.want("files are refused by name", `refused("post", "/services/admin", form({title: {en: "x"}, images: new File(["x"], "a.png", {type: "image/png"})})).then(e => [e.status, e.data.errors.map(i => i.path)])`, `[422,["images"]]`)
	v.want("merge a language", `call("put", "/services/admin/" + made._id, form({title: {tr: "Axios bir"}})).then(a => Object.keys(a.data.title).sort())`, `["de","en","tr"]`)
	v.want("toggle by a form of one field", `call("put", "/services/admin/" + made._id, form({isPublished: false})).then(a => a.data.isPublished)`, `false`)
	v.want("it is not public any more", `refused("get", "/services/slug/axios-one").then(e => e.status)`, `404`)
	v.want("but in the admin's list", `call("get", "/services/admin", {isPublished: false, q: "axios"}).then(a => a.data.map(d => d._id === made._id))`, `[true]`)
	v.want("a body at fault", `refused("put", "/services/admin/" + made._id, {order: "many", nonsense: 1}).then(e => [e.status, e.data.errors.map(i => i.path).sort()])`, `[422,["nonsense","order"]]`)
	v.want("a setting by its key", `call("post", "/settings/admin", {key: "axios", value: {a: [1, 2.5, null]}, isActive: true}).then(() => call("post", "/settings/admin", {key: "axios", value: 7}))
		.then(() => call("get", "/settings")).then(a => a.data.find(s => s.key == "axios").value)`, `7`)
	v.want("DELETE of a key", `call("delete", "/settings/admin/axios").then(a => [a.success, typeof a.message])`, `[true,"string"]`)
	v.want("DELETE with a body", `call("delete", "/services/admin/" + made._id, {reason: "none"}).then(a => a.success)`, `true`)
	v.want("and gone", `refused("get", "/services/admin/" + made._id).then(e => e.status)`, `404`)
}
