package api

import (
	"embed"
	"encoding/json"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/cespare/xxhash/v2"

	"metahub/api/model"
)

//go:embed docs/index.html docs/page.js docs/page.css
var docsPage embed.FS

type object = map[string]any

// static is an answer that is the same for every request.
type static struct {
	kind string // of its content
	body []byte
	etag string
}

func newStatic(kind string, body []byte) *static {
	return &static{kind, body, `"` + hexOf(xxhash.Sum64(body)) + `"`}
}

func (s *static) handle(*request) (reply, error) {
	return reply{status: 200, static: s, etag: s.etag}, nil
}

// addDocs adds the description of the API for programs, and the page for people.
func addDocs(r *router, models *model.Set) error {
	text, err := json.Marshal(describe(models))
	if err != nil {
		return err
	}
	r.add("/api/openapi.json", methods{"GET": newStatic("application/json; charset=utf-8", text).handle})
	for route, kind := range map[string]string{"index.html": "text/html; charset=utf-8", "page.js": "text/javascript; charset=utf-8", "page.css": "text/css; charset=utf-8"} {
		body, err := docsPage.ReadFile("docs/" + route)
		if err != nil {
			return err
		}
		r.add(path.Join("/api/docs", strings.TrimPrefix(route, "index.html")), methods{"GET": newStatic(kind, body).handle})
	}
	return nil
}

// describe is the OpenAPI 3.1 description of all models.
func describe(models *model.Set) object {
	d := description{paths: object{}, schemas: object{}}
	d.builtin(models)
	for _, m := range models.All() {
		d.add(m)
	}
	d.schemas["Problem"] = object{
		"type": "object", "description": "an error: the envelope, and the members of RFC 9457",
		"properties": object{
			"success": object{"const": false}, "message": object{"type": "string"}, "code": object{"type": "string"}, "request_id": object{"type": "string"},
			"errors": object{"type": "array", "items": object{"type": "object", "properties": object{"path": object{"type": "string"}, "msg": object{"type": "string"}}}},
			"type":   object{"type": "string"}, "title": object{"type": "string"}, "status": object{"type": "integer"}, "detail": object{"type": "string"},
		},
	}
	return object{
		"openapi": "3.1.0",
		"info":    object{"title": "MetaHub", "version": "1", "description": "The API of this tenant. docs/api.md of MetaHub tells what it means."},
		"paths":   d.paths,
		"components": object{
			"schemas":         d.schemas,
			"securitySchemes": object{"bearer": object{"type": "http", "scheme": "bearer"}, "cookie": object{"type": "apiKey", "in": "cookie", "name": hostPrefix + accessCookie}, "key": object{"type": "apiKey", "in": "header", "name": keyHeader}},
		},
	}
}

// description is an OpenAPI document in the making.
type description struct{ paths, schemas object }

// operation adds one method of a path.
func (d *description) operation(route, method, summary string, more object) {
	item, ok := d.paths[route].(object)
	if !ok {
		item = object{}
		d.paths[route] = item
	}
	problem := object{"description": "a refusal", "content": object{"application/json": object{"schema": ref("Problem")}}}
	operation := object{"summary": summary, "responses": object{"200": object{"description": "done"}, "default": problem}}
	for key, value := range more {
		operation[key] = value
	}
	for part := range strings.SplitSeq(route, "/") {
		if name, ok := strings.CutPrefix(part, "{"); ok {
			parameters, _ := operation["parameters"].([]object)
			name = strings.TrimSuffix(name, "}")
			operation["parameters"] = append(slices.Clip(parameters), object{"name": name, "in": "path", "required": true, "schema": object{"type": "string"}})
		}
	}
	item[method] = operation
}

func ref(name string) object { return object{"$ref": "#/components/schemas/" + name} }

func jsonContent(schema object) object {
	return object{"content": object{"application/json": object{"schema": schema}}}
}

// security is that of operations which need a role, and personal that of those which need a person.
var (
	security = object{"security": []object{{"bearer": []string{}}, {"cookie": []string{}}, {"key": []string{}}}}
	personal = object{"security": []object{{"bearer": []string{}}, {"cookie": []string{}}}}
)

func (d *description) builtin(models *model.Set) {
	d.operation("/api/tenant", "get", "what everybody may know of the tenant", nil)
	d.operation("/api/tenants", "get", "a list of this tenant alone", nil)
	d.operation("/api/_batch", "get", "several addresses in one answer", object{"parameters": []object{{"name": "u", "in": "query", "required": true, "schema": object{"type": "array", "items": object{"type": "string"}}}}})
	d.accounts()
	if users, ok := models.Named(userModel); ok {
		d.ownAccount(users)
	}
	d.keys()
}

func (d *description) accounts() {
	tokens := answers(object{"data": ref(userModel + ".admin"), "token": textSchema, "refreshToken": textSchema})
	refresh := jsonContent(object{"type": "object", "properties": object{refreshCookie: textSchema}, "description": "a browser sends the cookie instead"})
	d.operation("/api/users/register", "post", "make an account, where the model allows that", object{"requestBody": jsonContent(ref(userModel + ".create"))})
	d.operation("/api/users/login", "post", "sign in", object{"requestBody": textsBody(emailField, passwordField), "responses": tokens})
	d.operation("/api/users/refresh", "post", "new tokens for a refresh token, which is used up", object{"requestBody": refresh, "responses": tokens})
	d.operation("/api/users/logout", "post", "sign out", nil)
	d.operation("/api/users/logout-all", "post", "end all sessions", personal)
	d.operation(ownAccount, "get", "who is signed in", personal)
	for _, method := range []string{"put", "patch"} {
		d.operation(ownAccount+"/password", method, "a new password; ends the other sessions",
			object{"security": personal["security"], "requestBody": textsBody(presentPassword, "newPassword")})
	}
	asks := object{"requestBody": textsBody(emailField)}
	d.operation("/api/users/forgot-password", "post", "mail a link to choose a new password, where the site sends mail", asks)
	d.operation("/api/users/reset-password/{token}", "post", "choose it; ends all sessions", object{"requestBody": textsBody("newPassword")})
	d.operation("/api/users/advanced-auth/send-verification", "post", "mail a link that shows whose the address is", asks)
	d.operation("/api/users/advanced-auth/verify-email", "post", "follow it", object{"requestBody": textsBody("token")})
	d.operation("/api/users/advanced-auth/send-otp", "post", "mail a code to sign in by", asks)
	d.operation("/api/users/advanced-auth/resend-otp", "post", "mail another one, in its place", asks)
	d.operation("/api/users/advanced-auth/verify-otp", "post", "sign in by it", object{"requestBody": textsBody(emailField, "code"), "responses": tokens})
	d.operation("/api/users/advanced-auth/verify-mfa", "post", "refused: accounts have no second factor", nil)
}

// ownAccount describes what accountMethods routes.
func (d *description) ownAccount(users *model.Model) {
	prefix := "#/components/schemas/" + users.Name + "."
	one := answers(object{"user": ref(users.Name + ".admin")})
	for _, action := range users.Account {
		route := ownAccount + "/" + action.Name
		changed := object{"security": personal["security"], "responses": one}
		switch {
		case action.End != "":
			for _, method := range []string{"post", "delete"} {
				d.operation(route, method, "end the account, for who knows its password", object{"security": personal["security"], "requestBody": textsBody(passwordField)})
			}
			continue
		case action.Files():
			d.operation(route, "delete", "remove it", maps.Clone(changed))
			changed["requestBody"] = filesBody(users.Upload)
		default:
			changed["requestBody"] = jsonContent(users.ActionSchema(action, presentPassword, prefix))
		}
		for _, method := range []string{"put", "patch"} {
			d.operation(route, method, "change one's own account: "+action.Name, maps.Clone(changed))
		}
	}
}

func (d *description) keys() {
	scopes := object{"type": "array", "items": object{"type": "string", "examples": []string{"product:read", "*:write"}}}
	date := object{"type": "string", "format": "date-time"}
	d.schemas["apiKey"] = object{"type": "object", "properties": object{
		"_id": textSchema, "name": textSchema, "scopes": scopes, "createdBy": textSchema, "createdAt": date, "expiresAt": date,
		"key": object{"type": "string", "description": "in the answer to its creation alone"},
	}}
	create := object{"type": "object", "required": []string{"name", "scopes"}, "properties": object{"name": textSchema, "scopes": scopes, "expiresAt": date}}
	d.operation("/api/_keys", "get", "the API keys", object{"security": personal["security"], "responses": answers(object{"data": object{"type": "array", "items": ref("apiKey")}})})
	d.operation("/api/_keys", "post", "make an API key", object{"security": personal["security"], "requestBody": jsonContent(create), "responses": answers(object{"data": ref("apiKey")})})
	d.operation("/api/_keys/{id}", "delete", "revoke it", personal)
}

var textSchema = object{"type": "string"}

// textsBody is a body of texts that must all be there.
func textsBody(names ...string) object {
	properties := object{}
	for _, name := range names {
		properties[name] = textSchema
	}
	return jsonContent(object{"type": "object", "required": names, "properties": properties})
}

// add describes what addModel routes, at the canonical base path.
func (d *description) add(m *model.Model) {
	prefix := "#/components/schemas/" + m.Name + "."
	for name, schema := range m.Definitions(prefix) {
		d.schemas[m.Name+"."+name] = schema
	}
	view, base, item := m.View(), m.Routes[0], "/{id}"
	if m.Key != nil {
		item = "/{key}"
	}
	d.schemas[m.Name] = m.DocumentSchema(view, prefix)
	d.schemas[m.Name+".admin"] = m.DocumentSchema(m.Admin, prefix)
	d.schemas[m.Name+".create"] = m.BodySchema(m.Creators, false, prefix)
	d.schemas[m.Name+".update"] = m.BodySchema(model.Admin, true, prefix)
	d.collection(m, view, base, m.Name)
	d.collection(m, m.Admin, base+"/admin", m.Name+".admin")
	d.item(m, view, base+item, m.Name)
	d.item(m, m.Admin, base+"/admin"+item, m.Name+".admin")
	d.operation(base+"/_bulk", "post", "several changes", security)
	d.operation(base+"/_events", "get", "changes as they are made (Server-Sent Events)", secured(view, object{}))
	d.operation(base+"/_export", "get", "all documents, a line of JSON each", security)
	if m.Own != nil {
		d.operation(base+"/mine", "get", "the caller's own", secured(m.Own, object{"parameters": listParameters(m.Own)}))
	}
	if m.Slug != nil {
		d.operation(base+"/slug/{slug}", "get", "one by its address", secured(view, object{"responses": answers(object{"data": ref(m.Name)})}))
	}
	if m.Upload != nil {
		d.operation(strings.TrimSuffix(uploadPath(m), "/")+"/{name}", "get", "a file of one", object{"responses": object{"200": object{"description": "the file"}}})
	}
	for _, action := range m.Actions {
		for _, method := range []string{"put", "patch"} {
			d.operation(base+item+"/"+action.Name, method, action.Name, security)
			d.operation(base+"/admin"+item+"/"+action.Name, method, action.Name, security)
		}
	}
	list := object{"parameters": listParameters(view), "responses": answers(object{"data": object{"type": "array", "items": ref(m.Name)}, "meta": object{"type": "object"}})}
	for _, part := range m.Lists {
		d.operation(base+"/"+part.Name, "get", part.Name, secured(view, maps.Clone(list)))
	}
	if len(m.By) > 0 {
		d.operation(base+"/{"+m.By[0].Name+"}/{"+m.By[1].Name+"}", "get", "list of those with these values", secured(view, maps.Clone(list)))
	}
	for _, a := range m.Aggregations {
		var parameters []object
		for _, name := range a.ParameterNames() {
			parameters = append(parameters, queryParameter(name, ""))
		}
		d.operation(base+"/"+a.Name, "get", a.Name, secured(a.View, object{"parameters": parameters}))
	}
}

func (d *description) collection(m *model.Model, view *model.View, route, shown string) {
	create := object{"requestBody": documentBody(m, ".create")}
	if m.Single {
		d.item(m, view, route, shown)
		d.operation(route, "post", "create it, or change it", secured(m.Admin, create))
		return
	}
	list := object{"parameters": listParameters(view), "responses": answers(object{"data": object{"type": "array", "items": ref(shown)}, "meta": object{"type": "object"}})}
	d.operation(route, "get", "list", secured(view, list))
	if m.Creators < model.Public {
		create = secured(m.Admin, create)
	}
	d.operation(route, "post", "add one", create)
}

func (d *description) item(m *model.Model, view *model.View, route, shown string) {
	one := answers(object{"data": ref(shown)})
	update := object{"requestBody": documentBody(m, ".update")}
	d.operation(route, "get", "one", secured(view, object{"responses": one, "parameters": []object{queryParameter("fields", ""), queryParameter("locale", ""), queryParameter("flat", "")}}))
	d.operation(route, "put", "change it", secured(m.Admin, update))
	d.operation(route, "patch", "change it", secured(m.Admin, update))
	d.operation(route, "delete", "delete it", security)
}

// documentBody is a body of JSON or, where the model takes files, a form as well.
func documentBody(m *model.Model, schema string) object {
	body := jsonContent(ref(m.Name + schema))
	if m.Upload != nil {
		maps.Copy(body["content"].(object), filesBody(m.Upload)["content"].(object))
	}
	return body
}

// filesBody is a form that brings files.
func filesBody(u *model.Upload) object {
	file := object{"type": "string", "contentMediaType": "application/octet-stream"}
	files := object{"type": "object", "properties": object{u.Field.Name: object{"type": "array", "maxItems": filesOf(u), "items": file}}}
	return object{"content": object{"multipart/form-data": object{"schema": files}}}
}

// secured adds who may where the view is not everybody's.
func secured(view *model.View, more object) object {
	if view.Audience != model.Public {
		more["security"] = security["security"]
	}
	return more
}

func answers(properties object) object {
	properties["success"], properties["message"] = object{"const": true}, object{"type": "string"}
	done := jsonContent(object{"type": "object", "properties": properties})
	done["description"] = "done"
	return object{"200": done, "default": object{"description": "a refusal", "content": object{"application/json": object{"schema": ref("Problem")}}}}
}

func listParameters(view *model.View) []object {
	var all []object
	for _, name := range common {
		description := ""
		if name == "sort" {
			description = "up to four of " + oneOf(view.SortNames()) + "; \"-\" before a name is descending"
		}
		all = append(all, queryParameter(name, description))
	}
	for _, p := range view.Parameters() {
		all = append(all, queryParameter(p.Name, p.Describe()))
	}
	return all
}

func queryParameter(name, description string) object {
	p := object{"name": name, "in": "query", "schema": object{"type": "string"}}
	if description != "" {
		p["description"] = description
	}
	return p
}
